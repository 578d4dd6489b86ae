package tunnel

import (
	"bytes"
	"encoding/binary"
	"math/bits"

	"weir/wire"
)

// poll is what is remembered of a connection of HTTP on which something is asked for again and again, with bodies that look like ciphertext: a tunnel
// that hides its headers. Neither is much alone. What goes over one connection only is seen.
type poll struct {
	path   uint32 // hash of the last request's
	same   uint8  // requests for it in a row
	plain  bool   // a request says what its body is
	told   bool
	bodies [2]pollSide // of requests, of answers
}

type pollSide struct {
	sealed uint8     // that look like ciphertext
	open   uint8     // that do not, or begin as another did
	sizes  uint32    // lengths of their first pieces, a bit for each power of two and half of it
	heads  [4]uint32 // how the last ones began
}

// ours
const (
	pollLeast   = 16 // requests for the same path in a row
	pollSealed  = 10 // bodies of each direction that look like ciphertext,
	pollPart    = 8  // and at most one in so many that does not
	pollSample  = 64 // bytes of a body that are looked at
	pollShort   = 24 // bytes of a body that nothing can be told of
	pollLengths = 5  // lengths of each direction that are many
)

// pollPath takes the target of a request.
func (s *Stream) pollPath(uri []byte) {
	p := &s.poll
	uri, _, _ = bytes.Cut(uri, []byte("?"))
	h := uint32(2166136261) // FNV-1a
	for _, c := range uri {
		h = (h ^ uint32(c)) * 16777619
	}
	if h != p.path {
		*p = poll{path: h, told: p.told}
	}
	p.same = min(p.same+1, 255-1)
}

// pollHead takes the headers of a request.
func (s *Stream) pollHead(head []byte) {
	switch t := string(bytes.ToLower(lineOf(head, "content-type"))); t {
	case "", "application/octet-stream", "text/plain", "text/html", "application/x-www-form-urlencoded":
	default:
		s.poll.plain = true
	}
}

// pollBody takes the beginning of a body.
func (s *Stream) pollBody(dir wire.Dir, b []byte) (Verdict, bool) {
	p := &s.poll
	if len(b) < pollShort || p.told {
		return Verdict{}, false
	}
	d := &p.bodies[dir]
	head := binary.BigEndian.Uint32(b)
	if d.begunSo(head) || !sealed(b) {
		d.open = min(d.open+1, 255-1)
		return Verdict{}, false
	}
	copy(d.heads[1:], d.heads[:])
	d.heads[0] = head
	d.sealed = min(d.sealed+1, 255-1)
	n := bits.Len(uint(len(b)))
	d.sizes |= 1 << min(31, 2*(n-4)+len(b)>>max(n-2, 0)&1)
	return p.judge()
}

func (d *pollSide) begunSo(head uint32) bool {
	for _, h := range d.heads {
		if h == head {
			return true
		}
	}
	return false
}

func (p *poll) judge() (Verdict, bool) {
	for i := range p.bodies {
		if d := &p.bodies[i]; d.sealed < pollSealed || d.open > d.sealed/pollPart {
			return Verdict{}, false
		}
	}
	if p.same < pollLeast {
		return Verdict{}, false
	}
	var sum points
	sum.add(20, "the same path is asked for again and again on one connection")
	sum.add(20, "the bodies of requests look like ciphertext, and none begins as another does")
	sum.add(15, "so do those of answers")
	if !p.plain {
		sum.add(15, "nothing says what they are")
	}
	if bits.OnesCount32(p.bodies[0].sizes) >= pollLengths && bits.OnesCount32(p.bodies[1].sizes) >= pollLengths {
		sum.add(4, "their lengths are many")
	}
	v, found := sum.verdict(KindHTTP)
	p.told = found
	return v, found
}

// sealed reports whether a body begins as ciphertext does: as random bytes, or as such in an encoding of text.
func sealed(b []byte) bool {
	b = b[:min(len(b), pollSample)]
	var seen [4]uint64
	high, coded, distinct := 0, 0, 0
	for _, c := range b {
		if c >= 0x80 {
			high++
		} else if c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' || c == '+' || c == '/' || c == '-' || c == '_' || c == '=' {
			coded++
		}
		if seen[c>>6]&(1<<(c&63)) == 0 {
			seen[c>>6] |= 1 << (c & 63)
			distinct++
		}
	}
	n := len(b)
	if coded == n { // the letters of base64 at random: some 40 of 64 differ
		return n >= pollSample/2 && distinct >= n/2+2 && mixed(b)
	}
	return high >= n*3/10 && high <= n*7/10 && distinct >= n*4/5
}

// mixed reports whether b changes between small letters, capitals and digits as encoded bytes do and words do not.
func mixed(b []byte) bool {
	changes, last := 0, byte(0)
	for _, c := range b {
		k := byte(1)
		switch {
		case c >= 'a' && c <= 'z':
			k = 2
		case c >= 'A' && c <= 'Z':
			k = 3
		}
		if k != last {
			changes++
		}
		last = k
	}
	return changes >= len(b)/3
}

// pollTake takes a part of a message; s is made when a request's body looks like ciphertext.
func pollTake(s **Stream, kind uint8, b []byte) (Verdict, bool) {
	switch kind {
	case httpTarget:
		if *s != nil {
			(*s).pollPath(b)
		}
	case httpHead:
		if *s != nil {
			(*s).pollHead(b)
		}
	case httpRequest:
		if *s == nil && (len(b) < pollShort || !sealed(b)) {
			return Verdict{}, false
		}
		return remember(s).pollBody(wire.ToServer, b)
	case httpResponse:
		if *s != nil {
			return (*s).pollBody(wire.ToClient, b)
		}
	}
	return Verdict{}, false
}
