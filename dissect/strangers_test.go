package dissect

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// strangers are bytes that are no protocol's: what flows carry whose protocol nobody knows.
var strangers = []struct {
	name string
	make func(r *rand.Rand) []byte
}{
	{"random", func(r *rand.Rand) []byte { return scrap(r, 1+r.IntN(1400)) }},
	{"few bytes", func(r *rand.Rand) []byte { return scrap(r, 1+r.IntN(40)) }},
	{"small numbers", func(r *rand.Rand) []byte {
		b := scrap(r, 4+r.IntN(200))
		for i := range b {
			if r.IntN(4) > 0 {
				b[i] &= 3
			}
		}
		return b
	}},
	{"zeros", func(r *rand.Rand) []byte {
		b := make([]byte, 8+r.IntN(500))
		for range r.IntN(8) {
			b[r.IntN(len(b))] = byte(r.UintN(256))
		}
		return b
	}},
	{"framed by length", func(r *rand.Rand) []byte {
		body := scrap(r, 8+r.IntN(600))
		var b []byte
		switch r.IntN(5) {
		case 0:
			b = binary.BigEndian.AppendUint32(nil, uint32(len(body)))
		case 1:
			b = binary.LittleEndian.AppendUint32(nil, uint32(len(body)))
		case 2:
			b = binary.BigEndian.AppendUint16(nil, uint16(len(body)))
		case 3:
			b = binary.LittleEndian.AppendUint16(nil, uint16(len(body)))
		default:
			b = binary.BigEndian.AppendUint32(nil, uint32(len(body)+4))
		}
		return append(b, body...)
	}},
	{"letters", func(r *rand.Rand) []byte { return []byte(phrase(r, 5+r.IntN(200))) }},
	{"lines of words", func(r *rand.Rand) []byte {
		var b strings.Builder
		for range 1 + r.IntN(20) {
			b.WriteString(phrase(r, 1+r.IntN(8)) + "\r\n")
		}
		return []byte(b.String())
	}},
	{"log", func(r *rand.Rand) []byte {
		return fmt.Appendf(nil, "2024-05-%02d 12:%02d:00,%03d INFO  [main] %s: %d\n", 1+r.IntN(28), r.IntN(60), r.IntN(1000), phrase(r, 6), r.IntN(1000))
	}},
	{"table", func(r *rand.Rand) []byte {
		return fmt.Appendf(nil, "id,name,amount\n%d,%s,%d\n%d,%s,%d\n", r.IntN(1000), phrase(r, 1), r.IntN(1e6), r.IntN(1000), phrase(r, 1), r.IntN(1e6))
	}},
	{"json", func(r *rand.Rand) []byte {
		return fmt.Appendf(nil, `{"id": %d, "name": %q, "items": [%d, %d], "done": true}`+"\n", r.IntN(1000), phrase(r, 3), r.IntN(9), r.IntN(9))
	}},
	{"base64", func(r *rand.Rand) []byte { return []byte(base64.StdEncoding.EncodeToString(scrap(r, 30+r.IntN(900)))) }},
	{"hexadecimal", func(r *rand.Rand) []byte { return fmt.Appendf(nil, "%x", scrap(r, 8+r.IntN(300))) }},
	{"jpeg", func(r *rand.Rand) []byte {
		return append([]byte("\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x48\x00\x48\x00\x00\xff\xdb\x00\x43\x00"), scrap(r, 600)...)
	}},
	{"png", func(r *rand.Rand) []byte {
		return append([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"), scrap(r, 600)...)
	}},
	{"zip", func(r *rand.Rand) []byte {
		return append([]byte("PK\x03\x04\x14\x00\x00\x00\x08\x00"), scrap(r, 600)...)
	}},
	{"elf", func(r *rand.Rand) []byte {
		return append([]byte("\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x03\x00\x3e\x00\x01\x00\x00\x00"), scrap(r, 400)...)
	}},
	{"pdf", func(r *rand.Rand) []byte { return append([]byte("%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"), scrap(r, 400)...) }},
	{"gzip", func(r *rand.Rand) []byte {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		w.Write([]byte(phrase(r, 300)))
		w.Close()
		return b.Bytes()
	}},
	{"ciphertext of TLS", func(r *rand.Rand) []byte {
		body := scrap(r, 40+r.IntN(1000))
		return append([]byte{23, 3, 3, byte(len(body) >> 8), byte(len(body))}, body...)
	}},
	{"prefixed by a kind", func(r *rand.Rand) []byte {
		body := scrap(r, 8+r.IntN(300))
		return append([]byte{byte(r.IntN(32)), byte(r.IntN(4)), 0, byte(len(body))}, body...)
	}},
	{"counter and noise", func(r *rand.Rand) []byte {
		b := binary.BigEndian.AppendUint32(nil, uint32(r.IntN(5000)))
		return append(binary.BigEndian.AppendUint64(b, 1700000000000+r.Uint64N(1e9)), scrap(r, 20+r.IntN(400))...)
	}},
	{"names in length and letters", func(r *rand.Rand) []byte {
		var b []byte
		for range 2 + r.IntN(4) {
			w := phrase(r, 1)
			b = append(append(b, byte(len(w))), w...)
		}
		return append(b, 0)
	}},
	{"floats", func(r *rand.Rand) []byte {
		var b []byte
		for range 4 + r.IntN(60) {
			b = binary.LittleEndian.AppendUint64(b, uint64(0x4000000000000000+r.Int64N(1<<52)))
		}
		return b
	}},
}

func scrap(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

var words = strings.Fields(`the quick Brown fox jumps a lazy dog while servers send records to clients and nobody knows whether
	data end hello world password name type key value Jan Feb 12 345 6789 error: note, this is plain text. root bin tmp`)

func phrase(r *rand.Rand, n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(words[r.IntN(len(words))])
	}
	return b.String()
}

// mistakable are strangers that a probe takes for its own, and why that does no harm.
var mistakable = map[string]string{
	"rtp":                      "its header says little: the parser takes nothing before four packets follow each other",
	"ciphertext of TLS tls":    "it is TLS, seen from the middle on",
	"prefixed by a kind socks": "a greeting of SOCKS is three bytes of little meaning: its parser finds out with the next",
	"small numbers dns":        "names of a few letters are names",
	"zeros http2":              "empty frames, as from the middle of a connection",
}

// TestStrangers asks all probes about bytes that are no protocol's: none may take them for its own, but by chance.
func TestStrangers(t *testing.T) {
	const each, chance = 1000, 2 // of each kind; how many of them may be taken for one protocol
	for si, s := range strangers {
		r := rand.New(rand.NewPCG(uint64(si), 1))
		found := map[string]int{}
		example := map[string][]byte{}
		for range each {
			b := s.make(r)
			head := b[:min(len(b), MaxProbe)]
			for _, p := range Protocols {
				if p.Probe == nil || p.Carrier&(Stream|Datagram) == 0 || mistakable[p.Name] != "" || mistakable[s.name+" "+p.Name] != "" {
					continue
				}
				if p.Probe(toS, head) == Yes || p.Probe(toC, head) == Yes {
					found[p.Name]++
					example[p.Name] = head
				}
			}
		}
		for name, n := range found {
			if n > chance {
				t.Errorf("%s: %d of %d are taken for %s, as %.60q", s.name, n, each, name, example[name])
			}
		}
	}
}

// TestProbesShort asks all probes about beginnings of every length that begin as the cases do, with bytes changed: none may panic.
func TestProbesShort(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	for _, c := range loadCases(t) {
		for _, tn := range c.turns {
			for range 8 {
				head := []byte(tn.data[:min(len(tn.data), 1+r.IntN(64))])
				for range r.IntN(3) {
					head[r.IntN(len(head))] = byte(r.UintN(256))
				}
				for _, p := range Protocols {
					if p.Probe == nil {
						continue
					}
					for dir := range toC + 1 {
						p.Probe(dir, head)
						if p.Expected != nil {
							p.Expected(dir, head)
						}
					}
				}
			}
		}
	}
	probed(t, &Aerospike, []byte("\x02\x01\x00\x00\x00\n00a0000\x160")) // no text, from where it was text enough on
	if g := HTTP.Probe(toS, []byte("POST /\r")); g != Maybe {
		t.Errorf("http: %d of a line whose end is on its way", g)
	}
	for n := range 12 { // a batch that is all there, and shorter than its headers
		TDS.Probe(toS, append([]byte{tdsBatch, 1, 0, byte(8 + n), 0, 0, 1, 0}, make([]byte, n)...))
	}
}
