package wire

// Seq is a TCP sequence number: RFC 9293 section 3.4, arithmetic modulo 2^32.
type Seq uint32

// Before reports whether s comes before t, for numbers less than 2^31 apart.
func (s Seq) Before(t Seq) bool { return int32(s-t) < 0 }

// Sub returns the signed distance s-t in bytes.
func (s Seq) Sub(t Seq) int { return int(int32(s - t)) }

// Add returns s advanced by n bytes.
func (s Seq) Add(n int) Seq { return s + Seq(n) }
