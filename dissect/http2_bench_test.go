package dissect

import (
	"strings"
	"testing"

	"weir/wire"
)

// h2loop is a connection on which the same exchange comes again and again. Header blocks are those that an encoder
// sends once its table holds everything.
type h2loop struct {
	d        Dissector
	req, ans []byte
	stream   uint32
	discard  func(*Message)
	failed   error
}

func newH2Loop(t testing.TB, env *Env, body string) *h2loop {
	c, s := newH2Peer(), newH2Peer()
	l := &h2loop{d: HTTP2.New(&HTTP2, env), discard: func(*Message) {}}
	list := []string{":method", "GET", ":scheme", "http", ":path", "/api/v1/items/42?fields=name", ":authority", "service.example.internal:8080",
		"user-agent", "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101", "accept", "application/json, text/plain, */*",
		"accept-language", "en-US,en;q=0.5", "accept-encoding", "gzip, deflate", "cookie", "session=0123456789abcdef0123456789abcdef", "cookie", "theme=dark"}
	answer := []string{":status", "200", "content-type", "text/plain", "server", "example/1.0", "cache-control", "no-store"}
	l.feed(wire.ToServer, []byte(h2hello+c.headers(1, flagEndStream, list...)))
	l.feed(wire.ToClient, []byte(h2noSettings+s.headers(1, flagEndStream, answer...)))
	l.req = []byte(c.headers(3, flagEndStream, list...))
	l.ans = []byte(s.headers(3, 0, answer...) + inFrames(3, body, http2FrameSize))
	l.stream = 3
	if l.failed != nil {
		t.Fatal(l.failed)
	}
	return l
}

func (l *h2loop) feed(dir wire.Dir, b []byte) {
	if p, err := l.d.Feed(dir, b, l.discard); err != nil || p.Used != len(b) {
		l.failed = errHTTP2Lost
	}
}

func (l *h2loop) exchange() {
	l.feed(wire.ToServer, l.req)
	l.feed(wire.ToClient, l.ans)
}

// TestHTTP2Allocations: an exchange on a connection that is warm allocates nothing.
func TestHTTP2Allocations(t *testing.T) {
	l := newH2Loop(t, newEnv(), strings.Repeat("x", 2000))
	if got := testing.AllocsPerRun(200, l.exchange); got != 0 || l.failed != nil {
		t.Errorf("%v allocations for an exchange, want none (%v)", got, l.failed)
	}
}

func BenchmarkHTTP2(b *testing.B) {
	for _, c := range []struct {
		name string
		size int
	}{{"GET", 200}, {"64KiB", 64 << 10}} {
		b.Run(c.name, func(b *testing.B) {
			l := newH2Loop(b, newEnv(), strings.Repeat("x", c.size))
			b.ReportAllocs()
			b.SetBytes(int64(len(l.req) + len(l.ans)))
			for b.Loop() {
				l.exchange()
			}
			if l.failed != nil {
				b.Fatal(l.failed)
			}
		})
	}
}

// BenchmarkHTTP2Literals decodes header blocks whose every field is a new entry of the table, coded with Huffman.
func BenchmarkHTTP2Literals(b *testing.B) {
	p := newH2Peer()
	var table hpackTable
	var l hpackList
	table.allowed = hpackDefault
	table.reset(false)
	var nv []string
	for i := range 20 {
		nv = append(nv, "x-header-"+strings.Repeat("n", i), "a value of some length, that is "+strings.Repeat("v", i))
	}
	block := []byte(p.list(nv...))
	b.ReportAllocs()
	b.SetBytes(int64(len(block)))
	for b.Loop() {
		l.reset(1<<20, true)
		table.decode(&l, block)
	}
}
