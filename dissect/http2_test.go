package dissect

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
)

// h2case is a dialogue after the hellos; peers are the client's and the server's.
type h2case struct {
	name   string
	turns  func(c, s *h2peer) []turn
	fields []string
	want   []string
	notes  []string
	bare   bool // without hellos
}

func zipped(s string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(s))
	_ = w.Close()
	return b.String()
}

// inFrames puts a body into DATA frames of n bytes, the last of which ends the stream.
func inFrames(stream uint32, body string, n int) (out string) {
	for len(body) > n {
		out += h2data(stream, 0, body[:n])
		body = body[n:]
	}
	return out + h2data(stream, flagEndStream, body)
}

var h2cases = []h2case{
	{
		name: "exchange",
		turns: func(c, s *h2peer) []turn {
			return []turn{
				{toS, c.get(1, "/a%20b?x=1", "user-agent", "curl/8", "cookie", "a=1", "cookie", "b=2", "accept", "*/*")},
				{toC, s.headers(1, 0, ":status", "200", "content-type", "text/plain", "content-length", "5")},
				{toC, h2data(1, flagEndStream, "hello")},
			}
		},
		want: []string{
			"1 http2.stream_id 1/0 1", "1 http.method 2/0 GET", "1 http.uri 3/0 /a%20b?x=1", "1 http.uri 3/1 /a b?x=1", "1 http.path 4/0 /a%20b",
			"1 http.query 5/0 x=1", "1 http.version 6/0 2", "1 http.host 7/0 example.com", "1 http.user_agent 8/0 curl/8",
			"1 http.cookie 9/0 a=1; b=2", "1 http.request.header 10/0 user-agent: curl/8\r\ncookie: a=1\r\ncookie: b=2\r\naccept: */*\r\n",
			"2 http2.stream_id 1/0 1", "2 http.version 2/0 2", "2 http.status 3/0 200", "2 http.content_type 4/0 text/plain",
			"2 http.response.header 5/0 content-type: text/plain\r\ncontent-length: 5\r\n", "2 http.response.body 6/0 hello", "2 http.length 7/0 5",
		},
	},
	{
		name: "interleaved, padded, in pieces",
		turns: func(c, s *h2peer) []turn {
			return []turn{
				{toS, c.post(1, "/1") + c.post(3, "/3", "content-length", "6") + h2data(1, 0, "one ") + h2data(3, 0, "six") +
					h2frame(frameData, flagPadded, 1, "\x03more\x00\x00\x00") + h2frame(frameWindow, 0, 0, "\x00\x00\x01\x00") +
					h2data(3, flagEndStream, "ths") + h2data(1, flagEndStream, "")},
				{toC, s.headers(3, flagEndStream, ":status", "204") + s.headers(1, 0, ":status", "200") + h2data(1, flagEndStream, "ok")},
			}
		},
		fields: []string{"http.uri", "http.request.body", "http.response.body", "http.status"},
		want: []string{"1 http.uri 3/0 /1", "2 http.uri 3/0 /3", "1 http.request.body 7/0 one more", "2 http.request.body 8/0 sixths",
			"3 http.status 3/0 204", "4 http.status 3/0 200", "4 http.response.body 4/0 ok"},
	},
	{
		name: "gzip in small frames, views",
		turns: func(c, s *h2peer) []turn {
			return []turn{
				{toS, c.post(1, "/", "content-type", "application/json") + h2data(1, 0, `{"a":"x\u00`) + h2data(1, flagEndStream, `41"}`)},
				{toC, s.headers(1, 0, ":status", "200", "content-encoding", "gzip") + inFrames(1, zipped("the answer is long enough"), 3)},
			}
		},
		fields: []string{"http.request.body", "http.response.body"},
		want: []string{`1 http.request.body 9/0 {"a":"x\u0041"}`, `1 http.request.body 9/3 {"a":"xA"}`,
			"2 http.response.body 5/0 the answer is long enough"},
	},
	{
		name: "continuation, priority, trailers",
		turns: func(c, s *h2peer) []turn {
			list := c.list(":method", "POST", ":scheme", "http", ":path", "/long", "te", "trailers", "content-type", "application/stream", "host", "h.test")
			return []turn{
				{toS, h2frame(frameHeaders, flagPriority|flagPadded, 1, "\x02\x00\x00\x00\x00\x10"+list[:5]+"\x00\x00") +
					h2frame(frameContinuation, 0, 1, list[5:11]) + h2frame(frameContinuation, flagEndHeaders, 1, list[11:])},
				{toS, h2data(1, flagEndStream, "\x00\x00\x00\x00\x02hi")},
				{toC, s.headers(1, 0, ":status", "200") + h2data(1, 0, "\x00\x00\x00\x00\x02ho") + s.headers(1, flagEndStream, "grpc-status", "0")},
			}
		},
		fields: []string{"http.uri", "http.host", "http.request.header", "http.request.body", "http.response.header", "http.response.body"},
		want: []string{"1 http.uri 3/0 /long", "1 http.host 7/0 h.test",
			"1 http.request.header 8/0 te: trailers\r\ncontent-type: application/stream\r\nhost: h.test\r\n", "1 http.request.body 9/0 \x00\x00\x00\x00\x02hi",
			"2 http.response.body 4/0 \x00\x00\x00\x00\x02ho", "2 http.response.header 5/0 grpc-status: 0\r\n"},
	},
	{
		name: "interim answer, HEAD",
		turns: func(c, s *h2peer) []turn {
			return []turn{
				{toS, c.headers(1, flagEndStream, ":method", "HEAD", ":scheme", "http", ":path", "/", ":authority", "a")},
				{toC, s.headers(1, 0, ":status", "103", "link", "</x>") + s.headers(1, flagEndStream, ":status", "200", "content-length", "7")},
			}
		},
		fields: []string{"http.status", "http.response.header"},
		want: []string{"2 http.status 3/0 103", "2 http.response.header 4/0 link: </x>\r\n", "3 http.status 3/0 200",
			"3 http.response.header 4/0 content-length: 7\r\n"},
	},
	{
		name: "pseudo-headers that no field shows whole",
		turns: func(c, s *h2peer) []turn {
			return []turn{{toS, c.headers(1, flagEndStream, ":method", "CONNECT", ":protocol", "websocket", ":scheme", "https", ":path", "/chat",
				":authority", "User:Key@h.test:80", "a", "b")}}
		},
		fields: []string{"http.host", "http.request.header", "http.method"},
		want: []string{"1 http.method 2/0 CONNECT", "1 http.host 6/0 h.test",
			"1 http.request.header 7/0 :protocol: websocket\r\n:scheme: https\r\n:authority: User:Key@h.test:80\r\na: b\r\n"},
	},
	{
		name: "push",
		turns: func(c, s *h2peer) []turn {
			return []turn{
				{toS, c.get(1, "/")},
				{toC, h2frame(framePush, flagEndHeaders, 1, "\x00\x00\x00\x02"+s.list(":method", "GET", ":scheme", "http", ":path", "/style", ":authority", "a"))},
				{toC, s.headers(1, flagEndStream, ":status", "200") + s.headers(2, 0, ":status", "200") + h2data(2, flagEndStream, "css")},
			}
		},
		fields: []string{"http.uri", "http.response.body", "http2.stream_id"},
		want: []string{"1 http2.stream_id 1/0 1", "1 http.uri 3/0 /", "2 http2.stream_id 1/0 2", "2 http.uri 3/0 /style",
			"3 http2.stream_id 1/0 1", "4 http2.stream_id 1/0 2", "4 http.response.body 4/0 css"},
	},
	{
		name: "reset, and data after it",
		turns: func(c, s *h2peer) []turn {
			return []turn{
				{toS, c.post(1, "/") + h2data(1, 0, "half")},
				{toC, h2frame(frameReset, 0, 1, "\x00\x00\x00\x08")},
				{toS, h2data(1, flagEndStream, "rest")},
			}
		},
		fields: []string{"http.request.body"},
		want:   []string{"1 http.request.body 7/0 half", "2 http.request.body 2/0 rest"},
		notes:  []string{"1 http.truncated"},
	},
	{
		name: "answer to the request that asked for the upgrade",
		turns: func(c, s *h2peer) []turn {
			return []turn{{toC, s.headers(1, 0, ":status", "200") + h2data(1, flagEndStream, "up")}, {toS, c.get(3, "/3")}}
		},
		fields: []string{"http.uri", "http.response.body"},
		want:   []string{"1 http.response.body 4/0 up", "2 http.uri 3/0 /3"},
	},
	{
		name: "payload of other frames",
		turns: func(c, s *h2peer) []turn {
			return []turn{
				{toS, h2frame(0x42, 0, 0, "covert") + h2frame(frameData, flagPadded|flagEndStream, 1, "\x06xsecret")},
				{toC, h2frame(frameGoaway, 0, 0, "\x00\x00\x00\x00\x00\x00\x00\x00because") + h2frame(framePing, flagAck, 0, "12345678")},
			}
		},
		fields: []string{"http2.payload", "http.request.body"},
		want:   []string{"1 http2.payload 1/0 covert", "2 http.request.body 2/0 x", "1 http2.payload 2/0 secret", "3 http2.payload 1/0 because"},
		notes:  []string{"1 http2.padding_used", "2 http2.data_without_headers"},
	},
	{
		name: "picked up midway, headers partly known, client unknown",
		bare: true,
		turns: func(c, s *h2peer) []turn {
			c.list("x-old", "never seen", "x-older", "neither")
			return []turn{
				{toC, c.get(5, "/mid", "x-old", "never seen", "x-new", "seen")},
				{toC, c.get(7, "/mid", "x-new", "seen")},
				{toS, h2data(3, flagEndStream, "tail")},
				{toS, s.headers(5, flagEndStream, ":status", "200")},
			}
		},
		fields: []string{"http.uri", "http.request.header", "http.response.body", "http.status"},
		want: []string{"2 http.uri 3/0 /mid", "2 http.request.header 7/0 x-new: seen\r\n", "3 http.uri 3/0 /mid", "3 http.request.header 7/0 x-new: seen\r\n",
			"4 http.response.body 2/0 tail", "5 http.status 3/0 200"},
		notes: []string{"1 http2.hpack_lost"},
	},
}

func (c *h2case) play(t testing.TB, env *Env, size int) (*heard, error) {
	turns := c.turns(newH2Peer(), newH2Peer())
	if !c.bare {
		turns = append([]turn{{toS, h2hello}, {toC, h2noSettings}}, turns...)
	}
	return playHTTP2(t, env, turns, size)
}

func TestHTTP2Dialogues(t *testing.T) {
	for _, c := range h2cases {
		t.Run(c.name, func(t *testing.T) {
			for _, size := range []int{0, 1, 7} {
				env := newEnv()
				e, err := c.play(t, env, size)
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
				for id, n := range e.ends {
					if n != 1 {
						t.Errorf("message %d ended %d times", id, n)
					}
				}
				if env.decoders != 0 {
					t.Errorf("%d decoders are not given back", env.decoders)
				}
			}
		})
	}
}

// TestHTTP2Notes: violations are told, and parsing goes on: the last request is found whatever came before.
func TestHTTP2Notes(t *testing.T) {
	req := func(nv ...string) func(c *h2peer) string {
		return func(c *h2peer) string { return c.get(1, "/", nv...) }
	}
	raw := func(s string) func(c *h2peer) string { return func(*h2peer) string { return s } }
	for _, c := range []struct {
		name string
		send func(c *h2peer) string
		want string
	}{
		{"line end in a value", req("x", "a\r\nb: c"), "http2.bad_header_value"},
		{"NUL in a value", req("x", "a\x00"), "http2.bad_header_value"},
		{"line end in a name", req("x: y\r\nz", "1"), "http2.bad_header_name"},
		{"colon in a name", req("transfer-encoding: chunked", "1"), "http2.bad_header_name"},
		{"upper case", req("X-Up", "1"), "http2.uppercase_header_name"},
		{"transfer coding", req("transfer-encoding", "chunked"), "http2.connection_header"},
		{"connection", req("connection", "keep-alive"), "http2.connection_header"},
		{"te", req("te", "gzip"), "http2.connection_header"},
		{"late pseudo-header", req(":path", "/x"), "http2.pseudo_header_repeated"},
		{"unknown pseudo-header", func(c *h2peer) string { return c.get(1, "/", ":status", "200") }, "http2.pseudo_header_unknown"},
		{"pseudo-header after others", func(c *h2peer) string {
			return c.headers(1, flagEndStream, ":method", "GET", ":scheme", "http", "a", "b", ":path", "/", "host", "h")
		}, "http2.pseudo_header_late"},
		{"no path", func(c *h2peer) string {
			return c.headers(1, flagEndStream, ":method", "GET", ":scheme", "http", "host", "h")
		}, "http2.pseudo_header_missing"},
		{"odd scheme", func(c *h2peer) string {
			return c.headers(1, flagEndStream, ":method", "GET", ":scheme", "http://x/?", ":path", "/", "host", "h")
		}, "http2.bad_scheme"},
		{"pseudo-header in trailers", func(c *h2peer) string { return c.post(1, "/") + c.headers(1, flagEndStream, ":path", "/x") }, "http2.pseudo_header_in_trailer"},
		{"too short", func(c *h2peer) string { return c.post(1, "/", "content-length", "4") + h2data(1, flagEndStream, "abc") }, "http2.content_length_differs"},
		{"too long", func(c *h2peer) string { return c.post(1, "/", "content-length", "2") + h2data(1, flagEndStream, "abc") }, "http2.content_length_differs"},
		{"even stream", func(c *h2peer) string {
			return c.headers(2, flagEndStream, ":method", "GET", ":scheme", "http", ":path", "/", "host", "h")
		}, "http2.bad_stream_id"},
		{"after the end", func(c *h2peer) string { return c.get(1, "/") + h2data(1, flagEndStream, "x") }, "http2.data_after_end"},
		{"block interrupted", func(c *h2peer) string {
			l := c.list(":method", "GET", ":scheme", "http", ":path", "/", "host", "h")
			return h2frame(frameHeaders, flagEndStream, 1, l) + h2frame(framePing, 0, 0, "12345678")
		}, "http2.header_block_broken"},
		{"continued without beginning", raw(h2frame(frameContinuation, flagEndHeaders, 1, "\x82")), "http2.header_block_broken http2.pseudo_header_missing http.host_missing"},
		{"flood", func(c *h2peer) string {
			l := c.list(":method", "GET", ":scheme", "http", ":path", "/", "host", "h")
			return h2frame(frameHeaders, flagEndStream, 1, l) + strings.Repeat(h2frame(frameContinuation, 0, 1, ""), maxContinuations) + h2frame(frameContinuation, flagEndHeaders, 1, "")
		}, "http2.continuation_flood"},
		{"frame too large", raw(h2frame(0x77, 0, 0, strings.Repeat("x", 20<<10))), "http2.bad_frame_size"},
		{"no index", func(c *h2peer) string { return h2frame(frameHeaders, 5, 1, "\x82\x84\x86\xff\x20") }, "http2.bad_header_block"},
		{"settings", raw(h2frame(frameSettings, 0, 0, "\x00\x02\x00\x00\x00\x02")), "http2.bad_settings"},
		{"promise by the client", func(c *h2peer) string {
			return h2frame(framePush, flagEndHeaders, 1, "\x00\x00\x00\x02"+c.list(":method", "GET", ":scheme", "http", ":path", "/", "host", "h"))
		}, "http2.bad_push"},
		{"rapid reset", func(c *h2peer) (out string) {
			for i := range uint32(maxResets + 1) {
				out += c.get(2*i+1, "/") + h2frame(frameReset, 0, 2*i+1, "\x00\x00\x00\x08")
			}
			return out
		}, "http2.rapid_reset"},
		{"too many streams", func(c *h2peer) (out string) {
			for i := range uint32(maxStreams + 1) {
				out += c.get(2*i+1, "/")
			}
			return out
		}, "http2.too_many_streams"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newH2Peer()
			e, err := playHTTP2(t, newEnv(), []turn{{toS, h2hello + c.send(p) + p.get(9999, "/last")}}, 0)
			if err != nil {
				t.Fatal(err)
			}
			seen := map[string]bool{}
			for n := range e.notes {
				seen[strings.Fields(n)[1]] = true
			}
			for _, want := range strings.Fields(c.want) {
				if !seen[want] {
					t.Errorf("no note %s in %v", want, e.codes())
				}
				delete(seen, want)
			}
			for extra := range seen {
				t.Logf("also noted: %s", extra)
			}
			if got := strings.Join(e.lines("http.uri"), " "); !strings.Contains(got, "/last") {
				t.Errorf("the last request was not found: %s", got)
			}
		})
	}
}

// TestHTTP2ClosesExchanges: each exchange is told to be over once, and nothing is kept of it.
func TestHTTP2ClosesExchanges(t *testing.T) {
	c, s := newH2Peer(), newH2Peer()
	d := newHTTP2(&HTTP2, newEnv()).(*http2)
	over := map[uint64]int{}
	hear := func(m *Message) {
		if m.TxEnd {
			over[m.Tx]++
		}
	}
	for _, tn := range []turn{
		{toS, h2hello + c.get(1, "/1") + c.post(3, "/3") + c.get(5, "/5") + c.get(7, "/7")},
		{toC, h2noSettings + s.headers(3, flagEndStream, ":status", "413") + s.headers(1, 0, ":status", "200")},
		{toS, h2frame(frameReset, 0, 5, "\x00\x00\x00\x08")},
		{toC, h2data(1, flagEndStream, "x") + h2frame(frameReset, 0, 3, "\x00\x00\x00\x00") + s.headers(7, 0, ":status", "100") + s.headers(7, flagEndStream, ":status", "200")},
	} {
		if _, err := d.Feed(tn.dir, []byte(tn.data), hear); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := fmt.Sprint(over), "map[1:1 2:1 3:1 4:1]"; got != want {
		t.Errorf("ends of exchanges %s, want %s", got, want)
	}
	if len(d.streams) != 0 {
		t.Errorf("%d streams are kept", len(d.streams))
	}
}

// TestHTTP2DNS: DNS messages in bodies and paths are told as DNS too, with numbers of their own.
func TestHTTP2DNS(t *testing.T) {
	const query = "\x00\x00\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x04mail\x07example\x00\x00\x01\x00\x01"
	c, s := newH2Peer(), newH2Peer()
	e, err := playHTTP2(t, newEnv(), []turn{
		{toS, h2hello + c.post(1, "/dns-query", "content-type", dohType) + inFrames(1, query, 5)},
		{toC, h2noSettings + s.headers(1, 0, ":status", "200", "content-type", dohType) + inFrames(1, query[:2]+"\x81\x80"+query[4:], 9)},
		{toS, c.get(3, "/dns-query?x=1&dns="+base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(query, "mail", "news", 1))))},
	}, 0)
	if err != nil {
		t.Fatal(err)
	}
	want := "2 dns.query 1/0 mail.example|6 dns.query 1/0 news.example"
	if got := strings.Join(e.lines("dns.query"), "|"); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestHTTP2Gap(t *testing.T) {
	c := newH2Peer()
	d := newHTTP2(&HTTP2, newEnv())
	e := newHeard()
	feed := func(s string) {
		t.Helper()
		if p, err := d.Feed(toS, []byte(s), e.hear); err != nil || p.Used != len(s) {
			t.Fatalf("used %d of %d: %v", p.Used, len(s), err)
		}
	}
	body := h2data(1, flagEndStream, "0123456789")
	feed(h2hello + c.post(1, "/") + body[:9+3])
	if !d.Gap(toS, 4, e.hear) {
		t.Fatal("a gap inside data stops parsing")
	}
	feed(body[9+7:] + c.get(3, "/3"))
	if d.Gap(toS, 1, e.hear) {
		t.Fatal("a gap between frames does not stop parsing")
	}
	want := "1 http.request.body 7/0 012<7>789|2 http.uri 3/0 /3"
	if got := strings.Join(e.lines("http.request.body"), "|") + "|" + e.lines("http.uri")[1]; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestHTTP2Probe(t *testing.T) {
	p := newH2Peer()
	for _, c := range []struct {
		name, head string
		want       Guess
	}{
		{"nothing", "", Maybe},
		{"preface", http2Preface, Yes},
		{"its beginning", http2Preface[:5], Maybe},
		{"HTTP/1", "PUT / HTTP/1.1\r\n\r\n", No},
		{"no settings", h2noSettings, Maybe},
		{"settings", h2frame(frameSettings, 0, 0, "\x00\x03\x00\x00\x00\x64"), Maybe},
		{"settings and more", h2frame(frameSettings, 0, 0, "\x00\x03\x00\x00\x00\x64") + h2frame(frameSettings, flagAck, 0, ""), Yes},
		{"headers and data", p.get(1, "/") + h2data(1, 1, "x"), Maybe},
		{"headers, data, data", p.get(1, "/") + h2data(1, 0, "x") + h2data(1, 1, ""), Yes},
		{"zeros", strings.Repeat("\x00", 64), No},
		{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", No},
		{"DNS over TCP", "\x00\x1d\xab\xcd\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00", No},
		{"PostgreSQL", "\x00\x00\x00\x08\x04\xd2\x16\x2f", No},
		{"SMB", "\x00\x00\x00\x54\xffSMB\x72", No},
		{"Kafka", "\x00\x00\x00\x23\x00\x12\x00\x04\x00\x00\x00\x01", No},
	} {
		if got := probeHTTP2(toC, []byte(c.head)); got != c.want {
			t.Errorf("%s: got %d, want %d", c.name, got, c.want)
		}
	}
}

// TestHTTP2ListBudget: one byte that stands for a whole table is not paid for without end, and later requests are
// found.
func TestHTTP2ListBudget(t *testing.T) {
	p := newH2Peer()
	in := h2hello + p.get(1, "/", "x-big", strings.Repeat("v", 3900))
	for i := range uint32(2000) {
		in += h2frame(frameHeaders, flagEndHeaders|flagEndStream, 2*i+3, "\x82\x84\x86"+strings.Repeat("\xbe", 40))
		in += h2frame(frameReset, 0, 2*i+3, "\x00\x00\x00\x08")
	}
	in += p.get(9999, "/last", "x-new", "seen")
	total, notes, last := 0, map[string]int{}, false
	d := newHTTP2(&HTTP2, newEnv())
	_, err := d.Feed(toS, []byte(in), func(m *Message) {
		for _, part := range m.Parts {
			total += len(part.Bytes)
			last = last || string(part.Bytes) == "/last"
		}
		for _, n := range m.Notes {
			notes[n.Code]++
		}
	})
	lim := &DefaultLimits
	most := 2*(lim.DecodeFree+listRatio*lim.DecodeRatio*len(in)) + 2000*leastList
	if err != nil || total > most || notes["http2.header_list_too_large"] != 1 || !last {
		t.Errorf("%d bytes in, %d out (at most %d), notes %v, last found %v, %v", len(in), total, most, notes, last, err)
	}
}

// TestHTTP2StringTooLong: a header that is never whole is given up, not held.
func TestHTTP2StringTooLong(t *testing.T) {
	d := newHTTP2(&HTTP2, newEnv()).(*http2)
	e := newHeard()
	in := h2hello + h2frame(frameHeaders, 0, 1, "\x82\x84\x86\x40\x01x\x7f\xff\xff\x3f")
	for range 40 {
		in += h2frame(frameContinuation, 0, 1, strings.Repeat("y", 16<<10))
	}
	in += h2frame(frameContinuation, flagEndHeaders, 1, "") + newH2Peer().get(3, "/last")
	most := 0
	for len(in) > 0 {
		n := min(len(in), 8<<10)
		p, err := d.Feed(toS, []byte(in[:n]), e.hear)
		if err != nil {
			t.Fatal(err)
		}
		in = in[p.Used:]
		if p.Used == 0 { // a frame is waited for
			if p, err = d.Feed(toS, []byte(in[:min(len(in), 32<<10)]), e.hear); err != nil || p.Used == 0 {
				t.Fatalf("used %d, %v", p.Used, err)
			}
			in = in[p.Used:]
		}
		most = max(most, cap(d.side[toS].block.buf))
	}
	if uris := e.lines("http.uri"); len(uris) != 2 || !strings.HasSuffix(uris[1], "/last") {
		t.Errorf("requests found: %q", uris)
	}
	if most > 256<<10 {
		t.Errorf("%d bytes were held", most)
	}
}
