package weir_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"weir/daemon"
	"weir/flow"
)

// leakCase is a conversation with a card number in it, and the forms of it that no output may show.
type leakCase struct {
	name  string
	udp   bool
	port  uint16
	turns []turn
	forms []string // as it stands in the conversation, beside the number itself
	part  bool     // it is cut short: nothing is found, perhaps
}

// cardNumber makes a valid number that is no published test number.
func cardNumber(i int) string {
	s := fmt.Sprintf("4539%011d", 10007*i+38_111_777_913)
	sum := 0
	for j := range 15 {
		d := int(s[14-j] - '0')
		if j%2 == 0 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return s + string(byte('0'+(10-sum%10)%10))
}

func percentAll(s string) string {
	var b strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&b, "%%%02x", s[i])
	}
	return b.String()
}

func escapeAll(s string) string {
	var b strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&b, `\u%04x`, s[i])
	}
	return b.String()
}

func leakCases(t *testing.T) (out []leakCase) {
	n := 0
	add := func(name string, write func(card string) (request, answer string, forms []string)) {
		n++
		request, answer, forms := write(cardNumber(n))
		forms = append(forms, cardNumber(n))
		out = append(out, leakCase{name: name, port: 80, turns: []turn{{true, []byte(request)}, {false, []byte(answer)}}, forms: forms})
	}
	const ok = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
	get := func(line string, head ...string) string {
		return line + "\r\nHost: shop.example\r\n" + strings.Join(append(head, "", ""), "\r\n")
	}
	request := func(name string, write func(card string) string, form func(string) string) {
		add(name, func(card string) (string, string, []string) { return write(card), ok, []string{form(card)} })
	}
	plain := func(s string) string { return s }
	head := func(name, line string) {
		request(name, func(c string) string { return get("GET / HTTP/1.1", fmt.Sprintf(line, c)) }, plain)
	}
	request("path", func(c string) string { return get("GET /a/" + c + "/b HTTP/1.1") }, plain)
	request("query", func(c string) string { return get("GET /a?c=" + c + "&d HTTP/1.1") }, plain)
	request("query in groups", func(c string) string { return get("GET /a?c=" + groups(c, "-") + " HTTP/1.1") }, func(c string) string { return groups(c, "-") })
	request("query with pluses", func(c string) string { return get("GET /a?c=" + groups(c, "+") + " HTTP/1.1") }, func(c string) string { return groups(c, "+") })
	request("query percent", func(c string) string { return get("GET /a?c=" + percentAll(c) + " HTTP/1.1") }, percentAll)
	request("query percent twice", func(c string) string {
		return get("GET /a?c=" + strings.ReplaceAll(percentAll(c), "%", "%25") + " HTTP/1.1")
	},
		func(c string) string { return strings.ReplaceAll(percentAll(c), "%", "%25") })
	request("query twice, once percent", func(c string) string { return get("GET /" + c + "?c=" + percentAll(c) + " HTTP/1.1") }, percentAll)
	request("query and referer", func(c string) string {
		return get("GET /?c="+c+" HTTP/1.1", "Referer: https://shop.example/?c="+c, "User-Agent: "+c, "Cookie: c="+c)
	}, plain)
	request("query and referer percent", func(c string) string {
		return get("GET /?c="+c+" HTTP/1.1", "Referer: https://shop.example/?c="+percentAll(c))
	}, percentAll)
	request("absolute target", func(c string) string { return get("GET http://" + c + ".shop.example/ HTTP/1.1") }, plain)
	request("user of target", func(c string) string { return get("GET http://u:" + c + "@shop.example/ HTTP/1.1") }, plain)
	request("method", func(c string) string { return get(c + " / HTTP/1.1") }, plain)
	request("version", func(c string) string { return get("GET / HTTP/1.1 " + c) }, plain)
	request("odd version", func(c string) string { return get("GET / HTTP/1.1;" + c) }, plain)
	request("fragment", func(c string) string { return get("GET /#" + c + " HTTP/1.1") }, plain)
	head("authorization", "Authorization: Bearer %s")
	head("cookie", "Cookie: a=b; c=%s")
	head("referer", "Referer: https://shop.example/?c=%s")
	head("user agent", "User-Agent: cards/1.0 (%s)")
	head("content type", "Content-Type: text/%s")
	head("second host", "Host: %s.example")
	head("header name", "X-%s: 1")
	request("referer percent", func(c string) string { return get("GET / HTTP/1.1", "Referer: https://shop.example/?c="+percentAll(c)) }, percentAll)
	request("basic", func(c string) string {
		return get("GET / HTTP/1.1", "Authorization: Basic "+base64.StdEncoding.EncodeToString([]byte("u:"+c)))
	}, plain)
	out[len(out)-1].part = true // Base64 is not undone
	request("host", func(c string) string { return "GET / HTTP/1.1\r\nHost: " + c + ".example\r\n\r\n" }, plain)
	request("version 0.9", func(c string) string { return "GET /" + c + "\r\n" }, plain)
	request("head cut short", func(c string) string { return "GET /?c=" + c + " HTTP/1.1\r\nHost: x\r\nUser-Agent: " + c }, plain)
	request("line cut short", func(c string) string { return "GET /?c=" + c }, plain)
	request("long target", func(c string) string {
		return get("GET /" + strings.Repeat("x", 2039) + "/" + c + strings.Repeat("/y", 50) + " HTTP/1.1")
	}, plain)
	request("longer target", func(c string) string { return get("GET /" + strings.Repeat("x/", 6000) + c + " HTTP/1.1") }, plain)
	request("behind a long head", func(c string) string {
		return get("GET /?c="+c+" HTTP/1.1", "X-Long: "+strings.Repeat("x ", 40000), "User-Agent: "+c, "Referer: http://x/"+c)
	}, plain)
	body := func(name, typ string, form func(string) string, format string) {
		request(name, func(c string) string {
			b := fmt.Sprintf(format, form(c))
			return get("POST / HTTP/1.1", "Content-Type: "+typ, fmt.Sprintf("Content-Length: %d", len(b))) + b
		}, form)
	}
	body("form", "application/x-www-form-urlencoded", percentAll, "c=%s&d=e")
	body("json", "application/json", escapeAll, `{"c":"%s"}`)
	body("text", "text/plain", plain, "pay with %s please")
	body("file name", "multipart/form-data; boundary=b", plain, "--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"%s.txt\"\r\n\r\nx\r\n--b--\r\n")
	answer := func(name string, write func(c string) string) {
		add(name, func(c string) (string, string, []string) { return get("GET / HTTP/1.1"), write(c), nil })
	}
	answer("reason", func(c string) string { return "HTTP/1.1 200 " + c + "\r\nContent-Length: 0\r\n\r\n" })
	answer("status", func(c string) string { return "HTTP/1.1 " + c + " OK\r\nContent-Length: 0\r\n\r\n" })
	answer("answer's version", func(c string) string { return "HTTP/1.1;" + c + " 200 OK\r\nContent-Length: 0\r\n\r\n" })
	answer("location", func(c string) string { return "HTTP/1.1 302 x\r\nLocation: /?c=" + c + "\r\nContent-Length: 0\r\n\r\n" })
	answer("answer's type", func(c string) string {
		return "HTTP/1.1 200 OK\r\nContent-Type: text/" + c + "\r\nContent-Length: 0\r\n\r\n"
	})
	answer("set-cookie", func(c string) string {
		return "HTTP/1.1 200 OK\r\nSet-Cookie: c=" + c + "\r\nContent-Length: 0\r\n\r\n"
	})
	answer("length", func(c string) string { return "HTTP/1.1 200 OK\r\nContent-Length: " + c + "\r\n\r\n" })
	answer("trailer", func(c string) string {
		return "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-C: " + c + "\r\n\r\n"
	})
	answer("chunk extension", func(c string) string {
		return "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;c=" + c + "\r\nx\r\n0\r\n\r\n"
	})
	add("both ways", func(c string) (string, string, []string) {
		return get("GET /?c=" + c + " HTTP/1.1"), "HTTP/1.1 302 " + c + "\r\nLocation: /?c=" + c + "\r\nContent-Length: 0\r\n\r\n", nil
	})
	add("raw", func(c string) (string, string, []string) {
		return "\x01\x02card " + c + "\n", "\x01\x02card " + c + "\n", nil
	})
	many := make([]string, 400)
	var lines []string
	for i := range many {
		many[i] = cardNumber(1000 + i)
		if i%8 == 0 {
			lines = append(lines, "User-Agent: "+strings.Join(many[max(0, i-8):i], " "), "Referer: /"+strings.Join(many[max(0, i-8):i], "/"))
		}
	}
	out = append(out, leakCase{name: "many", port: 80, forms: many, part: true,
		turns: []turn{{true, []byte(get("GET /"+strings.Join(many[:200], "/")+" HTTP/1.1", lines...))}, {false, []byte(ok)}}})
	out = append(out, leakCase{name: "many in the answer", port: 80, forms: many, part: true,
		turns: []turn{{true, []byte(get("GET / HTTP/1.1"))}, {false, []byte("HTTP/1.1 302 x\r\nLocation: /" + strings.Join(many[:100], "/") + "\r\nContent-Type: " + strings.Join(many[100:200], " ") + "\r\nServer: " + strings.Join(many[200:], " ") + "\r\nContent-Length: 0\r\n\r\n")}}})
	n = 500
	label := func(s string) string { return string(byte(len(s))) + s }
	query := func(name string) []byte {
		return []byte("\x124\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00" + name + "\x00\x00\x01\x00\x01")
	}
	c := cardNumber(501)
	out = append(out, leakCase{name: "dns name", udp: true, port: 53, forms: []string{c}, turns: []turn{{true, query(label(c) + label("example"))}}})
	c = cardNumber(502)
	out = append(out, leakCase{name: "dns name in labels", udp: true, port: 53, part: true, forms: []string{c, groups(c, ".")},
		turns: []turn{{true, query(label(c[:4]) + label(c[4:8]) + label(c[8:12]) + label(c[12:]) + label("example"))}}})
	c = cardNumber(503)
	txt := "\x124\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00" + label("q") + label("example") + "\x00\x00\x10\x00\x01\xc0\x0c\x00\x10\x00\x01\x00\x00\x00\x05\x00" + label(label("c="+c))
	out = append(out, leakCase{name: "dns text", udp: true, port: 53, forms: []string{c}, turns: []turn{{true, query(label("q") + label("example"))}, {false, []byte(txt)}}})
	c = cardNumber(504)
	out = append(out, leakCase{name: "server name", port: 443, forms: []string{c}, turns: []turn{{true, clientHello(c + ".example")}}})
	return out
}

func groups(c, sep string) string { return strings.Join([]string{c[:4], c[4:8], c[8:12], c[12:]}, sep) }

// clientHello is a TLS ClientHello for a server's name.
func clientHello(name string) []byte {
	u16 := func(n int) string { return string([]byte{byte(n >> 8), byte(n)}) }
	sni := "\x00" + u16(len(name)) + name
	sni = u16(len(sni)) + sni
	ext := "\x00\x00" + u16(len(sni)) + sni
	b := "\x03\x03" + strings.Repeat("r", 32) + "\x00" + "\x00\x02\x13\x01" + "\x01\x00" + u16(len(ext)) + ext
	b = "\x01\x00" + u16(len(b)) + b
	return []byte("\x16\x03\x01" + u16(len(b)) + b)
}

// TestNoLeak replays card numbers in every place: each is found, sure enough for an alert or not, and no output shows one, as it is or as it was written.
func TestNoLeak(t *testing.T) {
	cases := leakCases(t)
	r := daemon.Replay{Builtin: true, Stats: true, Checksum: flow.ChecksumAuto}
	set, problems := r.LoadRules()
	if problems.Failed() {
		t.Fatal(problems.Err())
	}
	const firstPort = 20000
	for _, w := range ways[:3] {
		var frames [][]byte
		for i, c := range cases {
			if c.udp && w.name != "whole" {
				continue
			}
			d := &dialogue{udp: c.udp, client: firstPort + uint16(i), srv: c.port}
			for _, u := range c.turns {
				d.actions = append(d.actions, action{kind: "data", client: u.client, data: string(u.data)})
			}
			frames = append(frames, play(t, d, w, wrappings()[0])...)
		}
		path := filepath.Join(t.TempDir(), "leak.pcap")
		writePcap(t, path, frames)
		for _, output := range []string{"json", "table"} {
			var text bytes.Buffer
			r.Output, r.Stdout, r.Stderr = output, &text, &text
			if _, err := r.Run(set, []string{path}); err != nil {
				t.Fatal(err)
			}
			found := map[int]bool{}
			for line := range strings.Lines(text.String()) {
				port := 0
				if i := strings.Index(line, `"src_port":`); i >= 0 && (strings.Contains(line, `"event_type":"alert"`) || strings.Contains(line, `"pci.`)) { // or counted: not sure enough
					fmt.Sscanf(line[i:], `"src_port":%d`, &port)
					found[port-firstPort] = true
				}
			}
			for i, c := range cases {
				if output == "json" && !found[i] && !c.part && !(c.udp && w.name != "whole") {
					t.Errorf("%s, %s: not found", c.name, w.name)
				}
				if c.part && output == "json" && !found[i] {
					continue
				}
				for _, form := range c.forms {
					if i := strings.Index(text.String(), form); i >= 0 {
						t.Errorf("%s, %s, %s: shown: %q", c.name, w.name, output, text.String()[max(0, i-300):min(text.Len(), i+60)])
						break
					}
				}
			}
		}
	}
}
