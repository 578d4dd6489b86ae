package weir_test

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"compress/flate"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
)

// evasionRule is what the random dialogues hide.
const evasionRule = `[[rules]]
id = "test.token"
description = "A token that stands for whatever must be found"
regex = '''WEIRTOKEN-[0-9a-f]{6}'''
severity = "high"
`

// turn is what one end says before the other one does.
type turn struct {
	client bool
	data   []byte
}

// author writes random HTTP dialogues. Every message holds the token at most once.
type author struct {
	t      testing.TB
	r      *rand.Rand
	want   int      // messages that hold the token
	places []string // where
}

func (a *author) one(n int) bool             { return a.r.IntN(n) == 0 }
func (a *author) pick(list ...string) string { return list[a.r.IntN(len(list))] }
func (a *author) token() string              { return fmt.Sprintf("WEIRTOKEN-%06x", a.r.IntN(1<<24)) }

// text is n bytes of words that no rule and no parser cares about.
func (a *author) text(n int) string {
	const letters = "abcdefghijklmnopqrstuvwxyz0123456789  ._"
	b := make([]byte, n)
	for i := range b {
		b[i] = letters[a.r.IntN(len(letters))]
	}
	return string(b)
}

func (a *author) size() int {
	switch a.r.IntN(8) {
	case 0:
		return 0
	case 1:
		return a.r.IntN(20000)
	case 2:
		return a.r.IntN(3000)
	}
	return a.r.IntN(200)
}

// dialogue writes exchanges on one connection, some of them pipelined.
func (a *author) dialogue() (turns []turn) {
	for left := 1 + a.r.IntN(4); left > 0; {
		n := 1
		if a.one(3) {
			n = 1 + a.r.IntN(left)
		}
		left -= n
		var requests, answers []byte
		for i := range n {
			method := a.pick("GET", "GET", "POST", "PUT", "DELETE", "HEAD", "PATCH")
			requests = append(requests, a.request(method)...)
			answers = append(answers, a.answer(method, left == 0 && i == n-1)...)
		}
		turns = append(turns, turn{true, requests}, turn{false, answers})
	}
	return turns
}

func (a *author) hide(place string) string {
	a.want++
	a.places = append(a.places, place)
	return a.token()
}

func (a *author) request(method string) []byte {
	place := a.pick("none", "uri", "query", "percent", "header", "cookie", "body", "body", "body")
	hasBody := method == "POST" || method == "PUT" || method == "PATCH"
	if place == "body" && !hasBody {
		place = "none"
	}
	uri := "/" + strings.Map(uriOnly, a.text(a.r.IntN(60)))
	switch place {
	case "uri":
		uri += "/" + a.hide(place) + "/x"
	case "query":
		uri += "?q=" + strings.Map(uriOnly, a.text(a.r.IntN(20))) + "&t=" + a.hide(place)
	case "percent":
		uri += "?q=" + a.percent(a.hide(place))
	}
	head := []string{"Host: shop.example"}
	switch place {
	case "header":
		head = append(head, a.pick("X-Trace", "Authorization", "User-Agent", "Referer", "X-"+strings.Map(uriOnly, a.text(5)))+":"+a.pick(" ", "  ", "")+a.text(a.r.IntN(30))+" "+a.hide(place))
	case "cookie":
		head = append(head, "Cookie: a=1; t="+a.hide(place)+"; b=2")
	}
	head = append(head, a.fillers()...)
	var body []byte
	if hasBody {
		body, head = a.body(place == "body", "request", head, false)
	}
	return a.message(method+" "+uri+" HTTP/1.1", head, body)
}

func (a *author) answer(method string, last bool) []byte {
	place := a.pick("none", "header", "body", "body", "body", "interim")
	if method == "HEAD" && place == "body" {
		place = "none"
	}
	var before []byte
	if place == "interim" {
		before = a.message("HTTP/1.1 103 Early Hints", []string{"Link: </" + a.hide(place) + ">"}, nil)
	}
	head := a.fillers()
	if place == "header" {
		head = append(head, a.pick("X-Trace", "Location", "Set-Cookie", "Server")+": t="+a.hide(place))
	}
	if method == "HEAD" {
		return append(before, a.message("HTTP/1.1 200 OK", append(head, "Content-Length: 1234"), nil)...)
	}
	if place != "body" && a.one(6) {
		return append(before, a.message("HTTP/1.1 "+a.pick("204 No Content", "304 Not Modified"), head, nil)...)
	}
	body, head := a.body(place == "body", "answer", head, last && a.one(3))
	return append(before, a.message("HTTP/1.1 "+a.pick("200 OK", "404 Not Found", "500 "), head, body)...)
}

func uriOnly(r rune) rune {
	if r == ' ' || r == '.' {
		return '-'
	}
	return r
}

func (a *author) fillers() (head []string) {
	for range a.r.IntN(5) {
		head = append(head, "X-Filler-"+a.pick("a", "b", "C", "d")+": "+strings.TrimSpace(a.text(a.r.IntN(80))))
	}
	return head
}

func (a *author) message(line string, head []string, body []byte) []byte {
	a.r.Shuffle(len(head), func(i, j int) { head[i], head[j] = head[j], head[i] })
	return append([]byte(line+"\r\n"+strings.Join(append(head, "", ""), "\r\n")), body...)
}

func (a *author) percent(s string) string {
	var b strings.Builder
	some := a.r.IntN(2)
	for i := range len(s) {
		switch {
		case some == 0 || a.one(3):
			fmt.Fprintf(&b, a.pick("%%%02x", "%%%02X"), s[i])
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

func (a *author) escapeJSON(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if a.one(2) {
			fmt.Fprintf(&b, a.pick(`\u%04x`, `\u%04X`), s[i])
		} else {
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

// body writes a body with its framing, and the header lines that say how it is written.
func (a *author) body(hide bool, who string, head []string, untilClose bool) ([]byte, []string) {
	form := a.pick("text", "json", "form", "multipart", "binary")
	token := ""
	if hide {
		token = a.hide(who + " " + form)
	}
	raw, typ := a.content(form, token)
	head = append(head, "Content-Type: "+typ)
	var transfer []string
	if a.one(2) {
		name := a.pick("gzip", "deflate", "deflate-raw", "br", "zstd", "gzip, deflate", "br, gzip", "x-gzip")
		if hide {
			a.places[len(a.places)-1] += " " + name
		}
		for n := range strings.SplitSeq(name, ", ") {
			raw = a.encode(n, raw)
		}
		head = append(head, "Content-Encoding: "+strings.TrimSuffix(name, "-raw"))
	} else if a.one(6) {
		raw, transfer = a.encode("gzip", raw), []string{"gzip"}
	}
	switch {
	case untilClose && transfer == nil:
		if hide {
			a.places[len(a.places)-1] += " until-close"
		}
		return raw, append(head, "Connection: close")
	case transfer != nil || a.one(2):
		if hide {
			a.places[len(a.places)-1] += " chunked"
		}
		return a.chunked(raw), append(head, "Transfer-Encoding: "+strings.Join(append(transfer, "chunked"), ", "))
	}
	return raw, append(head, fmt.Sprintf("Content-Length: %d", len(raw)))
}

func (a *author) content(form, token string) (body []byte, typ string) {
	front, back := a.text(a.size()), a.text(a.size())
	switch form {
	case "json":
		return fmt.Appendf(nil, `{"f":"%s","t":"%s","b":"%s"}`, front, a.escapeJSON(token), back), "application/json"
	case "form":
		fix := strings.NewReplacer(" ", "+").Replace
		return fmt.Appendf(nil, "f=%s&t=%s&b=%s", fix(front), a.percent(token), fix(back)), "application/x-www-form-urlencoded"
	case "multipart":
		return fmt.Appendf(nil, "--sep42\r\nContent-Disposition: form-data; name=\"f\"\r\n\r\n%s\r\n--sep42\r\nContent-Disposition: form-data; name=\"t\"; filename=\"a.txt\"\r\n\r\n%s %s %s\r\n--sep42--\r\n",
			front, back, token, front), "multipart/form-data; boundary=sep42"
	case "binary":
		noise := make([]byte, a.size())
		for i := range noise {
			noise[i] = byte(a.r.Uint32())
		}
		return fmt.Appendf(noise, " %s %s", token, back), "application/octet-stream"
	}
	return []byte(front + " " + token + " " + back), "text/plain"
}

func (a *author) chunked(b []byte) []byte {
	var out bytes.Buffer
	most := 1 + a.r.IntN([]int{3, 20, 500, 5000}[a.r.IntN(4)])
	for len(b) > 0 {
		n := min(1+a.r.IntN(most), len(b))
		ext := ""
		if a.one(10) {
			ext = ";n=" + strings.Map(uriOnly, a.text(a.r.IntN(8)))
		}
		fmt.Fprintf(&out, a.pick("%x", "%X", "%04x")+"%s\r\n", n, ext)
		out.Write(b[:n])
		out.WriteString("\r\n")
		b = b[n:]
	}
	out.WriteString("0\r\n")
	if a.one(4) {
		out.WriteString("X-Sum: " + strings.Map(uriOnly, a.text(8)) + "\r\n")
	}
	out.WriteString("\r\n")
	return out.Bytes()
}

// encode applies one content coding, flushing now and then, so that blocks end inside the token too.
func (a *author) encode(name string, b []byte) []byte {
	var out bytes.Buffer
	level := a.r.IntN(10)
	var w io.WriteCloser
	switch name {
	case "gzip", "x-gzip":
		w, _ = gzip.NewWriterLevel(&out, level)
	case "deflate":
		w, _ = zlib.NewWriterLevel(&out, level)
	case "deflate-raw":
		w, _ = flate.NewWriter(&out, level)
	case "br":
		w = brotli.NewWriterLevel(&out, level)
	case "zstd":
		w, _ = zstd.NewWriter(&out, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.EncoderLevel(1+level%3)))
	}
	for len(b) > 0 {
		n := min(1+a.r.IntN(2000), len(b))
		if _, err := w.Write(b[:n]); err != nil {
			a.t.Fatal(err)
		}
		if f, ok := w.(interface{ Flush() error }); ok && a.one(3) {
			if err := f.Flush(); err != nil {
				a.t.Fatal(err)
			}
		}
		b = b[n:]
	}
	if err := w.Close(); err != nil {
		a.t.Fatal(err)
	}
	return out.Bytes()
}
