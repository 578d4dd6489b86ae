package tunnel

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"weir/dissect"
	"weir/wire"
)

const second = int64(1e9)

// message makes a DNS message as the dissector tells it.
func message(name, typ string, answer int) *dissect.Message {
	m := &dissect.Message{Protocol: &dissect.DNS}
	add := func(field, value string) {
		for i, f := range dissect.DNS.Fields {
			if f.Name == field {
				m.Parts = append(m.Parts, dissect.Part{Field: dissect.Field(i), Bytes: []byte(value)})
			}
		}
	}
	if answer == 0 {
		add("dns.flags", "100")
	} else {
		add("dns.flags", "8180")
	}
	add("dns.query", name)
	add("dns.type", typ)
	if answer > 0 {
		add("dns.answer.type", typ)
		add("dns.answer", strings.Repeat("x", answer))
	}
	return m
}

func random16(r *rand.Rand, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return hex.EncodeToString(b)
}

func TestDNS(t *testing.T) {
	for _, c := range []struct {
		what   string
		n      int
		name   func(r *rand.Rand, i int) string
		typ    string
		answer int
		want   bool
	}{
		{"data in names, no answers", 80, func(r *rand.Rand, i int) string { return random16(r, 24) + ".x.example.com" }, "A", 0, true},
		{"data in long names", 60, func(r *rand.Rand, i int) string { return random16(r, 25) + "." + random16(r, 25) + ".example.co.uk" }, "AAAA", 0, true},
		{"data in answers", 40, func(r *rand.Rand, i int) string { return random16(r, 16) + ".example.com" }, "TXT", 200, true},
		{"NULL", 30, func(r *rand.Rand, i int) string {
			return fmt.Sprintf("paab%c%s.example.com", 'a'+i%26, `\200\201\202\203`)
		}, "NULL", 100, true},
		{"dns2tcp", 1, func(r *rand.Rand, i int) string { return "2mcaaaaa.=auth.example.com" }, "TXT", 0, true},
		{"one name again and again", 500, func(r *rand.Rand, i int) string { return "0123456789abcdef0123456789abcdef.example.com" }, "TXT", 300, false},
		{"few different names", 500, func(r *rand.Rand, i int) string {
			return fmt.Sprintf("0123456789abcdef0123456789a%03d.example.com", i%10)
		}, "TXT", 300, false},
		{"a name for each customer", 300, func(r *rand.Rand, i int) string { return fmt.Sprintf("customer-%d-production.example.com", i) }, "CNAME", 60, false},
		{"pods", 500, func(r *rand.Rand, i int) string {
			return fmt.Sprintf("cart-%s-%s.shop.svc.cluster.local", random16(r, 5), random16(r, 2))
		}, "A", 0, false},
		{"identifiers with hyphens", 500, func(r *rand.Rand, i int) string {
			return fmt.Sprintf("%s-%s-%s-%s-%s._msdcs.corp.example.com", random16(r, 4), random16(r, 2), random16(r, 2), random16(r, 2), random16(r, 6))
		}, "CNAME", 40, false},
		{"short hashes of a CDN", 500, func(r *rand.Rand, i int) string { return random16(r, 7) + ".cdn.example.net" }, "A", 0, false},
		{"addresses backwards", 500, func(r *rand.Rand, i int) string {
			return strings.Join(strings.Split(random16(r, 16), ""), ".") + ".ip6.arpa"
		}, "PTR", 40, false},
		{"hashes of a reputation list", 500, func(r *rand.Rand, i int) string { return random16(r, 20) + ".hbl.dq.spamhaus.net" }, "TXT", 30, false},
		{"customers of a domain under which everybody may register", 500, func(r *rand.Rand, i int) string { return random16(r, 12) + ".github.io" }, "A", 0, false},
		{"DNSSEC keys", 500, func(r *rand.Rand, i int) string { return fmt.Sprintf("host%d.example.com", i) }, "TXT", 400, false},
	} {
		t.Run(c.what, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 2))
			w := NewWatch()
			verdicts := 0
			for i := range c.n {
				name := c.name(r, i)
				for _, m := range []*dissect.Message{message(name, c.typ, 0), message(name, c.typ, c.answer)}[:1+min(c.answer, 1)] {
					if v, found := w.DNS(int64(i)*second, m); found && !v.Again {
						verdicts++
						if v.Kind != KindDNS || v.Score < Threshold || v.Why == "" {
							t.Errorf("verdict %+v", v)
						}
					}
				}
			}
			if got := verdicts > 0; got != c.want {
				t.Errorf("got %d verdicts, want any: %t", verdicts, c.want)
			}
			if c.n <= 500 && verdicts > 1 {
				t.Errorf("told %d times", verdicts)
			}
		})
	}
}

// TestDNSFlood: a flood of domains that look bad does not push one out that looks worse.
func TestDNSFlood(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	w := NewWatch()
	found := false
	for i := range 100 {
		_, ok := w.DNS(int64(i)*second, message(random16(r, 24)+"."+random16(r, 24)+".bad.example", "TXT", 0))
		found = found || ok
		for range 200 {
			w.DNS(int64(i)*second, message(random16(r, 10)+"."+random16(r, 5)+".example", "A", 0))
		}
	}
	if !found {
		t.Error("not found among a flood of other domains")
	}
}

func TestRegistered(t *testing.T) {
	w := NewWatch()
	for text, want := range map[string]string{
		"a.b.example.com": "example.com", "example.com": "example.com", "com": "com", "a.example.co.uk": "example.co.uk",
		"x.d111111abcdef8.cloudfront.net": "d111111abcdef8.cloudfront.net", "a.b.pirate.sea": "pirate.sea",
		"a.k8s-x.us-east-1.elb.amazonaws.com":   "k8s-x.us-east-1.elb.amazonaws.com",
		"x." + strings.Repeat("y", 60) + ".com": strings.Repeat("y", 60) + ".com",
		strings.Repeat("y", 60):                 strings.Repeat("y", 60), "": "",
	} {
		if got := text[w.registered([]byte(text)):]; got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

// ping makes the payload of a Linux ping: a time, then a pattern.
func ping(i, n int) []byte {
	b := make([]byte, n)
	for k := range b {
		b[k] = byte(k)
	}
	binary.LittleEndian.PutUint64(b, uint64(1_700_000_000+i))
	binary.LittleEndian.PutUint64(b[8:], uint64(i*7919))
	return b
}

func ipPacket(r *rand.Rand, n int) []byte {
	b := make([]byte, 20+n)
	for i := range b[20:] {
		b[20+i] = byte(r.Uint32())
	}
	b[0], b[8], b[9] = 0x45, 64, 6
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	copy(b[12:], []byte{10, 0, 0, 1, 10, 0, 0, 2})
	binary.BigEndian.PutUint16(b[10:], ^sum(b[:20]))
	return b
}

func TestEcho(t *testing.T) {
	noise := func(r *rand.Rand, n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return b
	}
	for _, c := range []struct {
		what string
		n    int
		pair func(r *rand.Rand, i int) (request, reply []byte)
		want bool
	}{
		{"ping", 1000, func(r *rand.Rand, i int) (_, _ []byte) { return ping(i, 56), ping(i, 56) }, false},
		{"ping of many sizes", 1000, func(r *rand.Rand, i int) (_, _ []byte) { return ping(i, 56+i), ping(i, 56+i) }, false},
		{"a reply that a link has cut", 2, func(r *rand.Rand, i int) (_, _ []byte) { return ping(i, 1400), ping(i, 700) }, false},
		{"no replies", 1000, func(r *rand.Rand, i int) (_, _ []byte) { return ping(i, 56), nil }, false},
		{"Windows", 1000, func(r *rand.Rand, i int) (_, _ []byte) {
			p := []byte("abcdefghijklmnopqrstuvwabcdefghi")
			return p, p
		}, false},
		{"IP inside", 5, func(r *rand.Rand, i int) (_, _ []byte) { return ipPacket(r, 64), ipPacket(r, 40) }, true},
		{"ptunnel", 5, func(r *rand.Rand, i int) (_, _ []byte) {
			return append([]byte{0xd5, 0x20, 8, 0x80}, noise(r, 60)...), append([]byte{0xd5, 0x20, 8, 0x80}, noise(r, 60)...)
		}, true},
		{"ciphertext both ways", 20, func(r *rand.Rand, i int) (_, _ []byte) { return noise(r, 100+i*13), noise(r, 200+i*7) }, true},
		{"data out, echoed", 100, func(r *rand.Rand, i int) (_, _ []byte) {
			b := noise(r, 512)
			return b, b
		}, true},
		{"a shell's text", 20, func(r *rand.Rand, i int) (_, _ []byte) {
			return []byte(fmt.Sprintf("total %d\ndrwxr-xr-x 2 root root 4096 file%d\n", i, i*3)), []byte(fmt.Sprintf("ls /dir%d\n", i))
		}, true},
	} {
		t.Run(c.what, func(t *testing.T) {
			r := rand.New(rand.NewPCG(5, 6))
			w := NewWatch()
			key := wire.Key{Proto: wire.ProtoICMP, APort: 8}
			verdicts := 0
			for i := range c.n {
				request, reply := c.pair(r, i)
				for side, b := range [][]byte{request, reply} {
					message := append([]byte{8, 0, 0, 0, 0, 0, 0, 0}, b...)
					if side == 1 {
						message[0] = 0
					}
					if v, found := w.Echo(int64(i)*second/10, &key, message); found && !v.Again {
						verdicts++
						if v.Kind != KindICMP || v.Score < Threshold {
							t.Errorf("verdict %+v", v)
						}
					}
				}
			}
			if got := verdicts > 0; got != c.want {
				t.Errorf("got %d verdicts, want any: %t", verdicts, c.want)
			}
			if verdicts > 1 {
				t.Errorf("told %d times", verdicts)
			}
		})
	}
}

func TestIsIP(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	p := ipPacket(r, 33)
	if !IsIP(p) {
		t.Error("an IP packet is none")
	}
	for i := range 20 {
		q := append([]byte(nil), p...)
		q[i] ^= 0x11
		if IsIP(q) {
			t.Errorf("a packet with a wrong byte %d is one", i)
		}
	}
	for range 100000 {
		b := make([]byte, 20+r.IntN(60))
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		if b[0] = 0x45; IsIP(b) {
			t.Fatalf("random bytes are an IP packet: %x", b)
		}
	}
}

func TestSocket(t *testing.T) {
	socket := &dissect.Protocol{Name: "websocket", Fields: []dissect.FieldSpec{{Name: "websocket.opcode", Derived: true}, {Name: "websocket.payload"}}}
	hello := "\x16\x03\x01\x00\x31\x01\x00\x00\x2d\x03\x03" + strings.Repeat("A", 32) + "\x00\x00\x04\xc0\x2f\xc0\x30\x01\x00\x00\x00"
	for text, want := range map[string]bool{
		"SSH-2.0-OpenSSH_9.6\r\n": true, "SSH-chisel-v3-client\r\n": true, hello: true, "GET / HTTP/1.1\r\nHost: a\r\n\r\n": true,
		`{"type":"hello","text":"GET / HTTP/1.1"}`: false, "\x10\x1a\x00\x04MQTT\x04\x02\x00\x3c\x00\x0eclient": false, "RFB 003.008\n": false,
		"\x01$ ls -l\r\n": false, "0{\"sid\":\"a\"}": false, "CONNECT\naccept-version:1.2\n\n\x00": false,
	} {
		var s *Stream
		m := &dissect.Message{Protocol: socket, Parts: []dissect.Part{{Field: 0, Bytes: []byte("2")}, {Field: 1, Bytes: []byte(text)}}}
		if v, got := Socket(&s, m); got != want {
			t.Errorf("%q: got %t %+v, want %t", text, got, v, want)
		}
	}
}

func TestHTTP(t *testing.T) {
	say := func(field, text string, dir wire.Dir) *dissect.Message {
		m := &dissect.Message{Protocol: &dissect.HTTP, Dir: dir}
		for i, f := range dissect.HTTP.Fields {
			if f.Name == field {
				m.Parts = []dissect.Part{{Field: dissect.Field(i), Bytes: []byte(text)}}
			}
		}
		return m
	}
	for _, c := range []struct {
		what string
		say  []*dissect.Message
		want bool
	}{
		{"chisel", []*dissect.Message{say("http.request.header", "Host: a\r\nSec-WebSocket-Protocol: chisel-v3\r\n\r\n", 0)}, true},
		{"kubectl exec", []*dissect.Message{say("http.request.header", "Host: a\r\nSec-WebSocket-Protocol: v5.channel.k8s.io\r\n\r\n", 0)}, false},
		{"kubectl with a token", []*dissect.Message{say("http.request.header", "Sec-WebSocket-Protocol: base64url.bearer.authorization.k8s.io.YWJj, v4.channel.k8s.io\r\n\r\n", 0)}, false},
		{"reGeorg", []*dissect.Message{say("http.request.header", "X-CMD: READ\r\n\r\n", 0)}, true},
		{"another X-Cmd", []*dissect.Message{say("http.request.header", "X-CMD: status\r\n\r\n", 0)}, false},
		{"SSH both ways", []*dissect.Message{say("http.request.body", "SSH-2.0-a\r\n", 0), say("http.response.body", "SSH-2.0-b\r\n", 1)}, true},
		{"a banner that somebody found", []*dissect.Message{say("http.request.body", "{}", 0), say("http.response.body", "SSH-2.0-b\r\n", 1)}, false},
		{"long polling", []*dissect.Message{say("http.request.body", "\x00\x01\x02binary", 0), say("http.response.body", "", 1), say("http.response.body", "hello", 1)}, false},
	} {
		var s *Stream
		got := false
		for _, m := range c.say {
			_, found := HTTP(&s, m)
			got = got || found
		}
		if got != c.want {
			t.Errorf("%s: got %t, want %t", c.what, got, c.want)
		}
	}
}

// TestPoll: the same path again and again, bodies that look like ciphertext both ways; and what looks a little like that.
func TestPoll(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	random := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return b
	}
	say := func(piece int, dir wire.Dir, parts ...string) *dissect.Message {
		m := &dissect.Message{Protocol: &dissect.HTTP, Dir: dir}
		for k := 0; k < len(parts); k += 2 {
			for i, f := range dissect.HTTP.Fields {
				if f.Name != parts[k] {
					continue
				}
				off := 0
				for b := range slices.Chunk([]byte(parts[k+1]), piece) {
					m.Parts = append(m.Parts, dissect.Part{Field: dissect.Field(i), Off: int64(off), Bytes: b, More: off+len(b) < len(parts[k+1])})
					off += len(b)
				}
			}
		}
		return m
	}
	bytes := func(int) string { return string(random(30 + r.IntN(900))) }
	text := func(int) string { return base64.StdEncoding.EncodeToString(random(30 + r.IntN(900))) }
	json := func(i int) string { return fmt.Sprintf(`{"id": %d, "name": "something or other of the sort"}`, i) }
	jpeg := func(i int) string { return "\xff\xd8\xff\xe0" + bytes(i) }
	path := func(int) string { return "/index.php" }
	for _, c := range []struct {
		what      string
		path      func(i int) string
		ask, tell func(i int) string
		typ       string
		want      bool
	}{
		{"ciphertext both ways", path, bytes, bytes, "application/octet-stream", true},
		{"base64 of it", path, text, text, "text/plain", true},
		{"one way in base64, a query that changes", func(i int) string { return fmt.Sprint("/a?", i) }, text, bytes, "", true},
		{"uploads that are acknowledged", path, bytes, json, "application/octet-stream", false},
		{"objects of a store", func(i int) string { return fmt.Sprint("/bucket/", i) }, bytes, bytes, "application/octet-stream", false},
		{"pictures", path, jpeg, jpeg, "", false},
		{"a service of its own kind", path, bytes, bytes, "application/x-protobuf", false},
		{"JSON", path, json, json, "application/json", false},
		{"words", path, func(int) string { return "thisIsNoCiphertextButSomeWordsInARowThatSomebodyHasWrittenHereForYou" }, text, "", false},
	} {
		for _, piece := range []int{1000, 80} {
			var s *Stream
			got := 0
			for i := range 60 {
				answer := c.tell(i)
				if i%3 == 1 {
					answer = ""
				}
				for _, m := range []*dissect.Message{say(piece, 0, "http.uri", c.path(i), "http.request.header", "Content-Type: "+c.typ+"\r\n", "http.request.body", c.ask(i)),
					say(piece, 1, "http.response.body", answer)} {
					if _, found := HTTP(&s, m); found {
						got++
					}
				}
			}
			if want := map[bool]int{true: 1}[c.want]; got != want {
				t.Errorf("%s in pieces of %d: %d verdicts, want %d", c.what, piece, got, want)
			}
		}
	}
}

func TestShell(t *testing.T) {
	for _, c := range []struct {
		what string
		said []string // > to the server, < to the client
		want bool
	}{
		{"netcat, no prompts", []string{"<id\n", ">uid=0(root) gid=0(root)\n"}, true},
		{"bash -i", []string{">bash: no job control in this shell\n", ">root@web-0:/# ", "<ls\n", ">bin\n"}, true},
		{"Windows", []string{">Microsoft Windows [Version 10.0.1]\r\n\r\nC:\\>", "<whoami\r\n", ">corp\\web\r\n"}, true},
		{"a bind shell", []string{">uname -a\n", "<Linux a 6.1 x86_64\n$ ", ">ls\n", "<a\n$ "}, true},
		{"a log of a shell", []string{">root@a:/# id\nuid=0(root) gid=0(root)\nroot@a:/# ls\n"}, false},
		{"a protocol of lines", []string{">get key\n", "<value 12\n", ">find all\n", "<total 3\n"}, false},
		{"a greeting", []string{"<welcome\n> ", ">help\n", "<...\n> ", ">exit\n"}, false},
		{"a build's output", []string{">$ go test\nbash: foo: command not found\n", "<ok\n", ">total 12\n", "<ok\n"}, false},
	} {
		for _, size := range []int{1, 1000} {
			var s *Shell
			got := false
			for _, line := range c.said {
				dir := wire.ToServer
				if line[0] == '<' {
					dir = wire.ToClient
				}
				for b := []byte(line[1:]); len(b) > 0; {
					n := min(size, len(b))
					_, found := Raw(&s, dir, b[:n])
					got, b = got || found, b[n:]
				}
			}
			if got != c.want {
				t.Errorf("%s, in pieces of %d: got %t, want %t", c.what, size, got, c.want)
			}
		}
	}
}

// TestAllocations: what comes with every message and ping costs no memory.
func TestAllocations(t *testing.T) {
	w := NewWatch()
	query, answer := message("aaaabbbb1c2d3e4f5a6b7c8d.example.com", "TXT", 0), message("aaaabbbb1c2d3e4f5a6b7c8d.example.com", "TXT", 100)
	key, payload := wire.Key{Proto: wire.ProtoICMP}, append([]byte{8, 0, 0, 0, 0, 0, 0, 0}, ping(1, 56)...)
	head := &dissect.Message{Protocol: &dissect.HTTP, Parts: []dissect.Part{{Bytes: []byte("Host: a.example\r\nAccept: */*\r\n\r\n")}}}
	for i, f := range dissect.HTTP.Fields {
		if f.Name == "http.request.header" {
			head.Parts[0].Field = dissect.Field(i)
		}
	}
	var s *Stream
	for what, do := range map[string]func(){
		"a query":   func() { w.DNS(second, query) },
		"an answer": func() { w.DNS(second, answer) },
		"a ping":    func() { w.Echo(second, &key, payload) },
		"HTTP":      func() { HTTP(&s, head) },
		"bytes":     func() { Packets(&s, payload, true) },
	} {
		if n := testing.AllocsPerRun(100, do); n != 0 {
			t.Errorf("%s: %v allocations", what, n)
		}
	}
	if s != nil {
		t.Error("something is remembered of nothing")
	}
}

// TestSize: a Watch is counted for what it takes.
func TestSize(t *testing.T) {
	if got := int(unsafe.Sizeof(Watch{})); got > WatchSize || got < WatchSize/2 {
		t.Errorf("a Watch takes %d bytes, counted are %d", got, WatchSize)
	}
}

// TestDocs holds docs/tunnels.md to the kinds.
func TestDocs(t *testing.T) {
	text, err := os.ReadFile("../docs/tunnels.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range Kinds {
		if !strings.Contains(string(text), "| `"+k.Rule+"` |") || !strings.Contains(string(text), k.Technique) {
			t.Errorf("docs/tunnels.md: no row for %s, %s", k.Rule, k.Technique)
		}
	}
}

func BenchmarkDNS(b *testing.B) {
	w := NewWatch()
	for i := range dnsDomains {
		w.DNS(second, message(fmt.Sprintf("aaaabbbb1c2d3e4f5a6b7c8d.example%d.com", i), "TXT", 0))
	}
	for _, c := range []struct{ what, name string }{{"ordinary", "www.example.com"}, {"encoded", "aaaabbbb1c2d3e4f5a6b7c8d.example191.com"}} {
		m := message(c.name, "A", 0)
		b.Run(c.what, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				w.DNS(second, m)
			}
		})
	}
}

func BenchmarkHTTP(b *testing.B) {
	m := &dissect.Message{Protocol: &dissect.HTTP}
	for i, f := range dissect.HTTP.Fields {
		if f.Name == "http.request.header" {
			m.Parts = []dissect.Part{{Field: dissect.Field(i), Bytes: []byte("Host: shop.example\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\nAccept: text/html\r\n" +
				"Accept-Encoding: gzip, br\r\nX-Request-Id: 0123456789\r\nSec-Fetch-Mode: navigate\r\nCookie: a=b; c=d\r\nConnection: keep-alive\r\n\r\n")}}
		}
	}
	var s *Stream
	b.ReportAllocs()
	for b.Loop() {
		HTTP(&s, m)
	}
}
