package dissect

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"

	"weir/wire"
)

func TestHTTPProbe(t *testing.T) {
	for _, c := range []struct {
		head string
		want Guess
	}{
		{"GET / HTTP/1.1\r\n", Yes},
		{"GET / HTTP/1.1", Yes},
		{"M-SEARCH * HTTP/1.1\r\n", Yes},
		{"\r\nPOST /x HTTP/1.0\r\n", Yes},
		{"HTTP/1.1 200 OK\r\n", Yes},
		{"HTTP/1.1 2", Maybe},
		{"GET /" + strings.Repeat("a", 1000), Maybe},
		{"GE", Maybe},
		{"", Maybe},
		{"GET /old\r\n", Yes},
		{"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", No},
		{"SSH-2.0-OpenSSH\r\n", No},
		{"EHLO example.com\r\n", No},
		{"\x16\x03\x01", No},
		{"*1\r\n$4\r\nPING\r\n", No},
		{"RTSP/1.0 200 OK\r\n", No},
		{"USER anonymous\r\n", No},
		{"INVITE sip:a@b SIP/2.0\r\n", No},
	} {
		if got := HTTP.Probe(wire.ToServer, []byte(c.head)); got != c.want {
			t.Errorf("%.30q: got %v, want %v", c.head, got, c.want)
		}
	}
}

// feed feeds whole pieces and returns what was heard.
func feed(t *testing.T, d Dissector, e *heard, dir wire.Dir, data string) {
	t.Helper()
	p, err := d.Feed(dir, []byte(data), e.hear)
	if err != nil || p.Used != len(data) {
		t.Fatalf("used %d of %d, %v", p.Used, len(data), err)
	}
}

func TestHTTPGap(t *testing.T) {
	for _, c := range []struct {
		name, before string
		lost         int
		after, want  string
	}{
		{"in a body of known length", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nab", 5, "hijHTTP/1.1 204 No\r\n\r\n",
			"1 http.status 3/0 200|1 http.response.body 6/0 ab<7>hij|2 http.status 3/0 204"},
		{"to the end of a body", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nab", 8, "HTTP/1.1 204 No\r\n\r\n",
			"1 http.status 3/0 200|1 http.response.body 6/0 ab<10>|2 http.status 3/0 204"},
		{"past a body", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nab", 80, "me: x\r\n\r\nab\r\nHTTP/1.1 204 No\r\n\r\n",
			"1 http.status 3/0 200|1 http.response.body 6/0 ab|2 http.response.body 1/0 me: x\r\n\r\nab\r\n|3 http.status 3/0 204"},
		{"in a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\nab", 5, "hij\r\n0\r\n\r\n",
			"1 http.status 3/0 200|1 http.response.body 6/0 ab<7>hij"},
		{"in a body until close", "HTTP/1.0 200 OK\r\n\r\nab", 5, "hij",
			"1 http.status 3/0 200|1 http.response.body 5/0 ab<7>hij"},
		{"before an answer", "", 50, "ngth: 2\r\n\r\nxxHTTP/1.1 500 no\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
			"1 http.response.body 1/0 ngth: 2\r\n\r\nxxHTTP/1.1 500 no\r\n|2 http.status 3/0 200"},
	} {
		d, e := HTTP.New(&HTTP, newEnv()), newHeard()
		if c.before != "" {
			feed(t, d, e, toC, c.before)
		}
		if !d.Gap(toC, c.lost, e.hear) {
			t.Errorf("%s: cannot go on", c.name)
		}
		feed(t, d, e, toC, c.after)
		d.Close(toC, e.hear)
		if got := strings.Join(e.lines("http.status", "http.response.body"), "|"); got != c.want {
			t.Errorf("%s: got\n%q\nwant\n%q", c.name, got, c.want)
		}
	}
}

func TestHTTPLongHead(t *testing.T) {
	for _, c := range []struct{ name, head string }{
		{"many lines", "GET /x HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X: yyyyyyyyyyyyyyyy\r\n", 200) + "Content-Length: 3\r\n\r\n"},
		{"one long line", "GET /x HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("y", 5000) + "\r\nContent-Length: 3\r\n\r\n"},
		{"long start line", "GET /" + strings.Repeat("x", 5000) + " HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n"},
	} {
		for _, size := range []int{0, 1, 100} {
			env := newEnv()
			env.Limits.Line = 1024
			e, err := play(t, env, []turn{{toS, c.head + "abcGET /2 HTTP/1.1\r\nHost: a\r\n\r\n"}}, size)
			got := strings.Join(e.lines("http.request.body", "http.uri"), "|")
			if err != nil || !strings.Contains(got, "abc") || !strings.Contains(got, "http.uri 3/0 /2") || !e.notes["1 http.head_too_long"] {
				t.Errorf("%s in pieces of %d: %.200q, %v, %v", c.name, size, got, e.codes(), err)
			}
			all := strings.Join(e.lines(), "")
			if n := strings.Count(c.head, "y"); n > 0 && strings.Count(strings.Join(e.lines("http.request.header"), ""), "y") != n {
				t.Errorf("%s in pieces of %d: bytes of the head are missing", c.name, size)
			}
			if n := strings.Count(c.head, "x"); strings.Count(all, "x") < n {
				t.Errorf("%s in pieces of %d: bytes of the start line are missing", c.name, size)
			}
		}
	}
}

func TestHTTPUpgrade(t *testing.T) {
	for _, c := range []struct{ name, ask, answer string }{
		{"websocket", "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"},
		{"connect", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", "HTTP/1.1 200 Connection established\r\n\r\n"},
	} {
		d, e := HTTP.New(&HTTP, newEnv()), newHeard()
		feed(t, d, e, toS, c.ask)
		p, err := d.Feed(toC, []byte(c.answer+"\x81\x05hello"), e.hear)
		if err != nil || p.Used != len(c.answer) || !e.up {
			t.Errorf("%s: used %d of %d, upgrade %v, %v", c.name, p.Used, len(c.answer), e.up, err)
		}
	}
}

func TestHTTPTx(t *testing.T) {
	d := HTTP.New(&HTTP, newEnv())
	var got []string
	hear := func(m *Message) {
		if m.End {
			got = append(got, fmt.Sprintf("%d:%d %v", m.ID, m.Tx, m.TxEnd))
		}
	}
	d.Feed(toS, []byte("GET / HTTP/1.1\r\nHost: a\r\n\r\nPOST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n"), hear)
	d.Feed(toC, []byte("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 500 Early\r\nContent-Length: 0\r\n\r\n"), hear)
	d.Feed(toS, []byte("ab"), hear)
	if got, want := strings.Join(got, ", "), "1:1 false, 3:1 false, 4:1 true, 5:2 false, 2:2 true"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestHTTPPending(t *testing.T) {
	env := newEnv()
	env.Limits.Pending = 3
	e, err := play(t, env, []turn{{toS, strings.Repeat("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 5)}}, 0)
	if err != nil || !e.notes["4 http.too_many_pending"] {
		t.Errorf("%v, %v", err, e.codes())
	}
}

// TestHTTPDecoders: more coded bodies at once than allowed are given as they came, and decoders are given back however
// a body ends.
func TestHTTPDecoders(t *testing.T) {
	before := runtime.NumGoroutine()
	env := newEnv()
	env.Limits.Decoders = 2*(maxWindow+pullerSize) + 4096
	var ds []Dissector
	e := newHeard()
	body := zip(t, "zstd", prose(500<<10))
	for range 3 {
		d := HTTP.New(&HTTP, env)
		feed(t, d, e, toC, "HTTP/1.1 200 OK\r\nContent-Encoding: zstd\r\n\r\n"+body[:len(body)/2])
		ds = append(ds, d)
	}
	if !e.notes["1 http.too_many_decoders"] {
		t.Errorf("notes %v", e.codes())
	}
	ds[0].Gap(toC, 5, e.hear)
	for _, d := range ds {
		d.Close(toC, e.hear)
	}
	if env.decoders != 0 {
		t.Errorf("%d units are not given back", env.decoders)
	}
	for range 100 {
		if runtime.NumGoroutine() <= before {
			return
		}
		runtime.Gosched()
	}
	t.Errorf("%d coroutines are left", runtime.NumGoroutine()-before)
}

// TestHTTPLinear: cost grows with the input, not with its square, whatever the pieces.
func TestHTTPLinear(t *testing.T) {
	for name, s := range map[string]string{
		"long start line": "GET /" + strings.Repeat("a", 60<<10),
		"unknown method":  "FOO " + strings.Repeat("a", 60<<10),
		"long header":     "GET / HTTP/1.1\r\nA: " + strings.Repeat("a", 60<<10),
		"short headers":   "GET / HTTP/1.1\r\n" + strings.Repeat("a:b\r\n", 12<<10),
		"blank lines":     strings.Repeat("\r\n", 30<<10),
		"blank headers":   "GET / HTTP/1.1\r\n" + strings.Repeat(" \r\n", 20<<10),
		"chunks":          "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + strings.Repeat("1\r\na\r\n", 10<<10),
		"chunk blanks":    "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + strings.Repeat(" ", 60<<10),
		"trailer":         "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + strings.Repeat("a:b\r\n", 12<<10),
		"junk":            "HTTP/1.1 204 a\r\n\r\n" + strings.Repeat("HTTP\n", 12<<10),
		"junk words":      "GET / HTTP/1.1\r\n\r\n?" + strings.Repeat("\nA ", 20<<10),
	} {
		d := HTTP.New(&HTTP, newEnv())
		start := time.Now()
		var left []byte
		for i := range len(s) {
			left = append(left, s[i])
			p, err := d.Feed(toS, left, func(*Message) {})
			if err != nil {
				break
			}
			left = left[p.Used:]
		}
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("%s: %v for %d bytes", name, took, len(s))
		}
	}
}

// TestViews compares views of random bodies with a plain decoder: every part stands where it should, and shifts lead
// back.
func TestViews(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for round := range 400 {
		form, kind := ViewPercent, "application/x-www-form-urlencoded"
		pick := []string{"%41", "+", "%u00e9", "%4", "%", "plain", "%%41", "é"}
		if round%2 == 1 {
			form, kind = ViewJSON, "application/json"
			pick = []string{`\"`, `\\`, `\u0041`, `\ud83d\ude00`, `\ud83d`, `\u00`, `\x`, "plain", `\n`}
		}
		var b strings.Builder
		for range r.IntN(12) {
			for range r.IntN(6) {
				b.WriteString(pick[r.IntN(len(pick))])
			}
			b.WriteString(strings.Repeat("z", r.IntN(3000)))
		}
		src := b.String()
		want, back := decodeAll(form, src)
		seen := 0
		d := HTTP.New(&HTTP, newEnv())
		hear := func(m *Message) {
			for _, p := range m.Parts {
				if p.View != form {
					continue
				}
				seen += len(p.Bytes)
				if end := int(p.Off) + len(p.Bytes); end > len(want) || want[p.Off:end] != string(p.Bytes) {
					t.Fatalf("round %d: part at %d of %q is %q", round, p.Off, want, p.Bytes)
				}
				k, delta := 0, int64(0)
				for i := range p.Bytes {
					at := p.Off + int64(i)
					for k < len(p.Shifts) && p.Shifts[k].At <= at {
						delta = p.Shifts[k].Delta
						k++
					}
					if lead := back[at]; lead >= 0 && int(at+delta) != lead {
						t.Fatalf("round %d: view %d leads back to %d, want %d", round, at, at+delta, lead)
					}
				}
			}
		}
		msg := "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: " + kind + "\r\nContent-Length: " + fmt.Sprint(len(src)) + "\r\n\r\n" + src
		for len(msg) > 0 {
			n := min(len(msg), 300+r.IntN(1+round*5))
			d.Feed(toS, []byte(msg[:n]), hear)
			msg = msg[n:]
		}
		if want != src && seen == 0 {
			t.Fatalf("round %d: no view of %q", round, src)
		}
	}
}

// decodeAll decodes src at once; back leads from each byte to its source, -1 where it is the inside of an escape's
// output.
func decodeAll(form uint8, src string) (out string, back []int) {
	var b []byte
	for i := 0; i < len(src); {
		e := Escape{}
		if form == ViewJSON && src[i] == '\\' {
			e = JSONEscape([]byte(src[i:]), true)
		} else if form == ViewPercent && (src[i] == '%' || src[i] == '+') {
			e = PercentEscape([]byte(src[i:]), true)
		}
		if e.Size <= 0 {
			e = Escape{Size: 1, N: 1, Out: [4]byte{src[i]}}
		}
		for k := range e.N {
			b = append(b, e.Out[k])
			if k == 0 {
				back = append(back, i)
			} else {
				back = append(back, -1)
			}
		}
		i += e.Size
	}
	return string(b), back
}
