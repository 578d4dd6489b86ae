package tunnel

import (
	"bytes"
	"hash/maphash"
	"math"

	"golang.org/x/net/publicsuffix"
)

// name is a name in DNS, in lower case, without the escapes of its text form.
type name struct {
	text   [255]byte
	n      int // bytes of it
	cut    int // where its registered domain begins
	binary int // bytes that no name of a host has
}

// read reads the text form of a name (RFC 1035 section 5.1).
func (n *name) read(text []byte) {
	text = bytes.TrimSuffix(text, []byte("."))
	for i := 0; i < len(text); i++ {
		if n.n == len(n.text) {
			break
		}
		c := text[i]
		if c == '\\' && i+1 < len(text) {
			if d, ok := decimal(text[i+1:]); ok {
				c = d
				i += 3
			} else {
				i++
				c = text[i]
			}
			if c == '.' {
				c = 0 // no end of a label
			}
		}
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c < '!' || c > '~' {
			n.binary++
		}
		n.text[n.n] = c
		n.n++
	}
}

// divide finds the registered domain. It returns false for names that are of no interest: those that no resolver asks others for, and
// those of services that are asked about hashes and keys.
func (n *name) divide(w *registrar) bool {
	if isLocal(n.text[:n.n]) {
		return false
	}
	n.cut = w.registered(n.text[:n.n])
	return !isReputation(n.text[n.cut:n.n])
}

func decimal(b []byte) (byte, bool) {
	if len(b) < 3 {
		return 0, false
	}
	v := 0
	for _, c := range b[:3] {
		if c < '0' || c > '9' {
			return 0, false
		}
		v = v*10 + int(c-'0')
	}
	return byte(v), v < 256
}

// sub returns what stands below the registered domain.
func (n *name) sub() []byte { return n.text[:max(n.cut-1, 0)] }

// key names the registered domain. The tools that need none have one of their own.
func (n *name) key(seed maphash.Seed, s shape) uint64 {
	if s&shapeDNSCat != 0 {
		return uint64(shapeDNSCat)
	}
	return maphash.Bytes(seed, n.text[n.cut:n.n]) | 1<<63 // never 0
}

func (n *name) hash(seed maphash.Seed) uint64 { return maphash.Bytes(seed, n.sub()) }

// Ours.
const (
	suffixLen  = 32  // bytes of a name's end that are looked up: all suffixes that matter fit
	suffixMany = 256 // answers that are remembered
)

// suffix remembers how long the public suffix of a name's end is.
type suffix struct {
	end uint64 // hash of it
	n   uint8  // bytes
}

// registrar knows what of a name somebody has registered.
type registrar struct {
	seed     maphash.Seed
	suffixes [suffixMany]suffix
}

// registered returns where in a name the domain begins that somebody has registered: one label more than the public suffix.
func (w *registrar) registered(text []byte) int {
	at := max(len(text)-suffixLen, 0)
	if at > 0 { // at the beginning of a label
		i := bytes.IndexByte(text[at-1:], '.')
		if i < 0 {
			return 0
		}
		at += i
	}
	h := maphash.Bytes(w.seed, text[at:])
	known := &w.suffixes[h%suffixMany]
	if known.end != h || known.n == 0 {
		s, _ := publicsuffix.PublicSuffix(string(text[at:]))
		*known = suffix{h, uint8(len(s))}
	}
	end := len(text) - int(known.n) - 1
	if end <= 0 {
		return 0
	}
	return bytes.LastIndexByte(text[:end], '.') + 1
}

// isLocal reports whether a name is answered from within: nobody carries anything out with it.
func isLocal(text []byte) bool {
	for _, s := range locals {
		if bytes.HasSuffix(text, s) && (len(text) == len(s) || text[len(text)-len(s)-1] == '.') {
			return true
		}
	}
	return false
}

var locals = [][]byte{[]byte("arpa"), []byte("local"), []byte("localhost"), []byte("home")}

// isReputation reports whether a domain's owner answers questions about hashes, addresses and keys: there encoded names are ordinary. Nobody else
// can read what is asked of them.
func isReputation(domain []byte) bool {
	switch string(domain) {
	case "spamhaus.net", "spamhaus.org", "msbl.org", "surbl.org", "uribl.com", "sorbs.net", "abuseat.org", "barracudacentral.org", "senderscore.com",
		"sophosxl.net", "mcafee.com", "avqs.mcafee.com", "e5.sk", "cymru.com", "shadowserver.org", "amazonses.com", "footprintdns.com", "apple-dns.net",
		"trendmicro.com", "bitdefender.net", "kaspersky.com", "cloudflare-dns.com":
		return true
	}
	return false
}

// encoded reports whether what stands in a name looks as if it carried data: bytes that no host's name has, or a long run of letters and digits
// without sense.
func encoded(sub []byte) bool {
	for begin := 0; begin < len(sub); {
		end := begin
		for end < len(sub) && sub[end] != '-' && sub[end] != '.' {
			end++
		}
		if end-begin >= dnsRun && random(sub[begin:end]) {
			return true
		}
		begin = end + 1
	}
	return false
}

// random reports whether a run changes between letters and digits as encodings do, and no words do.
func random(run []byte) bool {
	digits, changes := 0, 0
	var seen [256]uint8
	for i, c := range run {
		seen[c]++
		if c >= '0' && c <= '9' {
			digits++
		}
		if i > 0 && isDigit(c) != isDigit(run[i-1]) {
			changes++
		}
	}
	return digits >= 2 && digits < len(run) && changes >= 3 && entropy(&seen, len(run)) >= 2.5
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// entropy returns the bits per byte of n bytes, n <= 255, that were counted.
func entropy(seen *[256]uint8, n int) float64 {
	sum := 0.0
	for _, c := range seen {
		if c > 1 {
			sum += timesLog[c]
		}
	}
	return math.Log2(float64(n)) - sum/float64(n)
}

// timesLog are n log2 n.
var timesLog = func() (out [256]float64) {
	for n := 1; n < len(out); n++ {
		out[n] = float64(n) * math.Log2(float64(n))
	}
	return out
}()
