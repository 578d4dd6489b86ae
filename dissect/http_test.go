package dissect

import (
	"fmt"
	"slices"
	"sort"
	"strings"
	"testing"

	"weir/wire"
)

// heard collects what an HTTP dissector says: a line for each value and note, in the order in which their messages
// began.
type heard struct {
	values map[string]string
	keys   []string
	notes  map[string]bool
	ends   map[uint64]int
	alerts bool
	raw    strings.Builder
	up     bool
	off    map[string]int64
}

func newHeard() *heard {
	return &heard{values: map[string]string{}, notes: map[string]bool{}, ends: map[uint64]int{}, off: map[string]int64{}}
}

func (e *heard) hear(m *Message) {
	for _, p := range m.Parts {
		k := fmt.Sprintf("%d %s %d/%d", m.ID, m.Protocol.Fields[p.Field].Name, p.Value, p.View)
		if _, ok := e.values[k]; !ok {
			e.keys = append(e.keys, k)
			e.values[k] = ""
		}
		if off := e.off[k]; off != p.Off {
			e.values[k] += fmt.Sprintf("<%d>", p.Off)
		}
		e.values[k] += string(p.Bytes)
		e.off[k] = p.Off + int64(len(p.Bytes))
	}
	for _, n := range m.Notes {
		e.notes[fmt.Sprintf("%d %s", m.ID, n.Code)] = true
		e.alerts = e.alerts || n.Alert
	}
	if m.End {
		e.ends[m.ID]++
	}
	e.up = e.up || m.Upgrade
}

// lines returns values of fields by name, in order; "" for all.
func (e *heard) lines(fields ...string) []string {
	var out []string
	for _, k := range e.keys {
		if f := strings.Fields(k)[1]; len(fields) == 0 || slices.Contains(fields, f) {
			out = append(out, k+" "+e.values[k])
		}
	}
	return out
}

func (e *heard) codes() []string {
	var out []string
	for n := range e.notes {
		out = append(out, n)
	}
	sort.Strings(out)
	return out
}

// broken reports whether a coding broke: then what is given as it came depends on the pieces.
func (e *heard) broken() bool {
	notes := strings.Join(e.codes(), " ")
	return strings.Contains(notes, "undecodable") || strings.Contains(notes, "mismatch") || strings.Contains(notes, "budget")
}

func everything() Wants {
	w := make(Wants, len(FieldNames))
	for i := range w {
		w[i] = true
	}
	return w
}

func newEnv() *Env { return &Env{Want: everything(), Limits: DefaultLimits} }

// turn is bytes of one direction.
type turn struct {
	dir  wire.Dir
	data string
}

// play feeds turns in pieces of at most size bytes, as the engine would, and closes both directions.
func play(t testing.TB, env *Env, turns []turn, size int) (*heard, error) {
	e := newHeard()
	d := HTTP.New(&HTTP, env)
	var left [2][]byte
	for _, tn := range turns {
		data := []byte(tn.data)
		for len(data) > 0 {
			n := len(data)
			if size > 0 {
				n = min(n, size)
			}
			in := append(slices.Clone(left[tn.dir]), data[:n]...)
			data = data[n:]
			p, err := d.Feed(tn.dir, in, e.hear)
			if p.Used < 0 || p.Used > len(in) {
				t.Fatalf("Used %d of %d", p.Used, len(in))
			}
			left[tn.dir] = slices.Clone(in[p.Used:])
			for i := range in {
				in[i] = 0xee
			}
			if err != nil || e.up {
				e.raw.Write(left[tn.dir])
				e.raw.Write(data)
				return e, err
			}
		}
	}
	for _, dir := range []wire.Dir{wire.ToServer, wire.ToClient} {
		d.Close(dir, e.hear)
		if len(left[dir]) > 0 {
			p, err := d.Feed(dir, left[dir], e.hear)
			if err != nil {
				return e, err
			}
			if p.Used != len(left[dir]) {
				t.Fatalf("after Close: used %d of %d", p.Used, len(left[dir]))
			}
		}
	}
	return e, nil
}

const (
	toS = wire.ToServer
	toC = wire.ToClient
)

func TestHTTPDialogues(t *testing.T) {
	for _, c := range httpCases {
		t.Run(c.name, func(t *testing.T) {
			for _, size := range []int{0, 1, 7} {
				e, err := play(t, newEnv(), c.turns, size)
				if err != nil {
					t.Fatalf("pieces of %d: %v", size, err)
				}
				got := strings.Join(e.lines(c.fields...), "\n")
				if want := strings.Join(c.want, "\n"); got != want {
					t.Errorf("pieces of %d: got\n%q\nwant\n%q", size, got, want)
				}
				if got, want := strings.Join(e.codes(), " "), strings.Join(c.notes, " "); got != want {
					t.Errorf("pieces of %d: notes %q, want %q", size, got, want)
				}
			}
		})
	}
}

// same compares what was heard of one dialogue played in two ways: all but views' parts.
func same(a, b *heard) error {
	if x, y := fmt.Sprintf("%q", a.lines()), fmt.Sprintf("%q", b.lines()); x != y {
		return fmt.Errorf("values differ:\n%s\n%s", x, y)
	}
	if x, y := fmt.Sprint(a.codes()), fmt.Sprint(b.codes()); x != y {
		return fmt.Errorf("notes differ:\n%s\n%s", x, y)
	}
	for id, n := range a.ends {
		if n != 1 || b.ends[id] != 1 {
			return fmt.Errorf("message %d ended %d and %d times", id, n, b.ends[id])
		}
	}
	return nil
}

func FuzzHTTP(f *testing.F) {
	for _, c := range httpCases {
		var req, ans string
		for _, tn := range c.turns {
			if tn.dir == toS {
				req += tn.data
			} else {
				ans += tn.data
			}
		}
		f.Add([]byte(req), []byte(ans), uint8(3))
	}
	for _, c := range []string{"gzip", "zlib", "raw", "br", "zstd"} {
		name := map[string]string{"zlib": "deflate", "raw": "deflate"}[c]
		if name == "" {
			name = c
		}
		f.Add([]byte("GET / HTTP/1.1\r\n\r\n"), []byte(codedAnswer(name, zip(f, c, prose(500)))[1].data), uint8(5))
	}
	f.Fuzz(func(t *testing.T, req, ans []byte, size uint8) {
		turns := []turn{{toS, string(req)}, {toC, string(ans)}}
		env := newEnv()
		env.Limits.Line = 512
		a, aerr := play(t, env, turns, 0)
		b, berr := play(t, env, turns, int(size)%64+1)
		if env.decoders != 0 {
			t.Fatalf("%d decoders are not given back", env.decoders)
		}
		gapped(t, env, req, ans, int(size))
		if (aerr == nil) != (berr == nil) {
			t.Fatalf("errors differ: %v, %v", aerr, berr)
		}
		if aerr != nil || a.up || b.up || a.broken() || b.broken() {
			return
		}
		if err := same(a, b); err != nil {
			t.Fatal(err)
		}
	})
}

// gapped plays both directions with a gap in the middle of each: what is heard is not compared, but nothing may be
// kept.
func gapped(t *testing.T, env *Env, req, ans []byte, n int) {
	d, e := HTTP.New(&HTTP, env), newHeard()
	for dir, b := range [][]byte{req, ans} {
		dir := wire.Dir(dir)
		for i, half := range [][]byte{b[:len(b)/2], b[len(b)/2:]} {
			if i > 0 && !d.Gap(dir, n+1, e.hear) {
				return
			}
			if p, err := d.Feed(dir, half, e.hear); err != nil || e.up {
				return
			} else if p.Used > len(half) {
				t.Fatalf("Used %d of %d", p.Used, len(half))
			}
		}
	}
	for dir := range wire.Dir(2) {
		d.Close(dir, e.hear)
		d.Feed(dir, nil, e.hear)
	}
	if env.decoders != 0 {
		t.Fatalf("%d decoders are not given back after a gap", env.decoders)
	}
}

const (
	benchRequest = "GET /api/v1/items/42?fields=name HTTP/1.1\r\nHost: service.example.internal:8080\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101\r\nAccept: application/json, text/plain, */*\r\nAccept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate\r\nConnection: keep-alive\r\nCookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\nX-Request-Id: 7a1b2c3d-0000-4444-8888-123456789abc\r\n\r\n"
	benchAnswer  = "HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 200\r\nConnection: keep-alive\r\nCache-Control: no-store\r\n\r\n"
)

// exchange returns a function that plays one keep-alive exchange again and again on one connection.
func exchange(tb testing.TB, want Wants, answer string) func() {
	env := &Env{Want: want, Limits: DefaultLimits}
	d := HTTP.New(&HTTP, env)
	ended := 0
	emit := func(m *Message) {
		if m.End {
			ended++
		}
	}
	req, ans := []byte(benchRequest), []byte(answer)
	return func() {
		if p, err := d.Feed(toS, req, emit); err != nil || p.Used != len(req) {
			tb.Fatal(p, err)
		}
		if p, err := d.Feed(toC, ans, emit); err != nil || p.Used != len(ans) {
			tb.Fatal(p, err)
		}
	}
}

// wanted returns Wants with only these HTTP fields.
func wanted(fields ...Field) Wants {
	w := make(Wants, len(FieldNames))
	for _, f := range fields {
		w[HTTP.Base+int(f)] = true
	}
	return w
}

func TestHTTPAllocs(t *testing.T) {
	plain := benchAnswer + strings.Repeat("x", 200)
	packed := zip(t, "gzip", strings.Repeat("some text ", 100))
	gz := "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: " + fmt.Sprint(len(packed)) + "\r\n\r\n" + packed
	for name, answer := range map[string]string{"plain": plain, "gzip": gz} {
		for wants, w := range map[string]Wants{
			"three": wanted(httpURI, httpRequestHead, httpResponseHead, httpResponseBody),
			"all":   everything(),
		} {
			if got := testing.AllocsPerRun(100, exchange(t, w, answer)); got != 0 {
				t.Errorf("%s, %s fields: %v allocations per exchange", name, wants, got)
			}
		}
	}
}

func BenchmarkHTTPExchange(b *testing.B) {
	answer := benchAnswer + strings.Repeat("x", 200)
	for _, c := range []struct {
		name string
		want Wants
	}{{"none", wanted()}, {"default", wanted(httpMethod, httpURI, httpRequestHead, httpResponseHead, httpRequestBody, httpResponseBody)}, {"all", everything()}} {
		b.Run(c.name, func(b *testing.B) {
			f := exchange(b, c.want, answer)
			b.ReportAllocs()
			b.SetBytes(int64(len(benchRequest) + len(answer)))
			for b.Loop() {
				f()
			}
		})
	}
}
