package weir_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"weir/daemon"
	"weir/flow"
)

// planted is a value that no output may show, and a name that it goes by.
type planted struct{ name, value string }

// plantedValues are made up. Those that look like real keys are put together here, so that scanners of source code do not take them for some.
func plantedValues(n int) []planted {
	card := cardNumber(n)
	return []planted{
		{"card_number", card},
		{"card_number", groups(card, " ")},
		{"iban", ibanOf("DE", fmt.Sprintf("3704004405320%05d", 10007+n))},
		{"ssn", fmt.Sprintf("536-%02d-%04d", 20+n%70, 4711+n)},
		{"token", "gh" + "p_" + "kQ3vZ8mT1xWc7RbY5nLd2HsJ9fGa4P0uKq7E"},
		{"track2", fmt.Sprintf(";%s=27121010000%09d?", card, 76543210+n)},
		{"cvv", "8391"},
		{"password", fmt.Sprintf("Wq7-hunter%d!x", n)},
	}
}

// ibanOf computes the check digits of an IBAN (ISO 13616).
func ibanOf(country, account string) string {
	sum := 0
	for _, c := range account + country + "00" {
		if v := int(c - '0'); c <= '9' {
			sum = (sum*10 + v) % 97
		} else {
			sum = (sum*100 + int(c-'A') + 10) % 97
		}
	}
	return fmt.Sprintf("%s%02d%s", country, 98-sum, account)
}

// encodings of a value where it stands in text.
var encodings = []struct {
	name string
	do   func(string) string
}{
	{"raw", func(s string) string { return s }},
	{"percent", percentAll},
	{"percent twice", func(s string) string { return strings.ReplaceAll(percentAll(s), "%", "%25") }},
	{"upper", strings.ToUpper},
	{"base64", func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }},
	{"hex", func(s string) string { return hex.EncodeToString([]byte(s)) }},
	{"UTF-7", func(s string) string {
		var wide []byte
		for i := range len(s) {
			wide = append(wide, 0, s[i])
		}
		return "+" + base64.RawStdEncoding.EncodeToString(wide) + "-"
	}},
}

// places are where a value may stand: by name n, written as v; raw is the value as it is.
var places = []struct {
	name  string
	port  uint16
	write func(n, v, raw string) []turn
}{
	{"http query", 80, func(n, v, _ string) []turn { return web("GET /a?x=1&"+n+"="+v+"&y=2 HTTP/1.1", "") }},
	{"http fragment", 80, func(n, v, _ string) []turn { return web("GET /a#"+n+"="+v+" HTTP/1.1", "") }},
	{"http referer", 80, func(n, v, _ string) []turn {
		return web("GET / HTTP/1.1", "", "Referer: https://h/?"+n+"="+v)
	}},
	{"http query in query", 80, func(n, v, _ string) []turn {
		return web("GET /r?u=https%3A%2F%2Fh%2F%3F"+n+"%3D"+strings.ReplaceAll(v, "%", "%25")+" HTTP/1.1", "")
	}},
	{"http location", 80, func(n, v, _ string) []turn {
		return []turn{web("GET / HTTP/1.1", "")[0], {false, []byte("HTTP/1.1 302 x\r\nLocation: https://h/?" + n + "=" + v + "\r\nContent-Length: 0\r\n\r\n")}}
	}},
	{"http user agent", 80, func(n, v, _ string) []turn { return web("GET / HTTP/1.1", "", "User-Agent: x ("+n+": "+v+")") }},
	{"http form and echo", 80, func(n, v, _ string) []turn {
		return []turn{web("POST /a?"+n+"="+v+" HTTP/1.1", n+"="+v, "Content-Type: application/x-www-form-urlencoded")[0],
			{false, []byte("HTTP/1.1 302 x\r\nLocation: /b?" + n + "=" + v + "\r\nContent-Type: text/" + v + "\r\nContent-Length: 0\r\n\r\n")}}
	}},
	{"http json", 80, func(n, v, raw string) []turn {
		return web("POST / HTTP/1.1", `{"user":"bob","`+n+`":"`+raw+`","next":"b"}`, "Content-Type: application/json", "Referer: /?"+n+"="+v)
	}},
	{"http cookie", 80, func(n, v, _ string) []turn { return web("GET / HTTP/1.1", "", "Cookie: a=b; "+n+"="+v) }},
	{"http later", 80, func(n, v, raw string) []turn {
		return append(web("POST / HTTP/1.1", `{"`+n+`":"`+raw+`"}`, "Content-Type: application/json"), web("GET /q/"+v+" HTTP/1.1", "", "User-Agent: "+v)...)
	}},
	{"redis", 6379, func(n, v, raw string) []turn {
		return []turn{{true, []byte(fmt.Sprintf("*3\r\n$4\r\nAUTH\r\n$3\r\nbob\r\n$%d\r\n%s\r\n", len(raw), raw))},
			{false, []byte("-ERR wrong, bob: " + v + "\r\n")}, {true, []byte(fmt.Sprintf("*2\r\n$3\r\nGET\r\n$%d\r\n%s\r\n", len(v), v))}, {false, []byte("$-1\r\n")}}
	}},
	{"ftp", 21, func(n, v, raw string) []turn {
		return []turn{{false, []byte("220 x\r\n")}, {true, []byte("USER bob\r\n")}, {false, []byte("331 y\r\n")}, {true, []byte("PASS " + raw + "\r\n")},
			{false, []byte("530 no: " + v + "\r\n")}, {true, []byte("CWD " + v + "\r\n")}, {false, []byte("550 no\r\n")}}
	}},
	{"smtp", 25, func(n, v, raw string) []turn {
		return []turn{{false, []byte("220 x ESMTP\r\n")}, {true, []byte("EHLO y\r\n")}, {false, []byte("250 AUTH PLAIN\r\n")},
			{true, []byte("AUTH PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00bob\x00"+raw)) + "\r\n")}, {false, []byte("235 ok\r\n")},
			{true, []byte("MAIL FROM:<a@b.example>\r\n")}, {false, []byte("250 ok\r\n")}, {true, []byte("RCPT TO:<c@d.example>\r\n")}, {false, []byte("250 ok\r\n")},
			{true, []byte("DATA\r\n")}, {false, []byte("354 go\r\n")}, {true, []byte("Subject: " + n + ": " + v + "\r\n\r\n" + n + ": " + raw + "\r\n.\r\n")}, {false, []byte("250 ok\r\n")}}
	}},
	{"syslog", 514, func(n, v, raw string) []turn {
		return []turn{{true, []byte("<13>Oct 11 22:14:15 host app: " + n + "=" + v + " done\n")}, {true, []byte("<13>Oct 11 22:14:16 host app: " + n + "=" + raw + " and " + v + "\n")}}
	}},
	{"irc", 6667, func(n, v, raw string) []turn {
		return []turn{{true, []byte("PASS " + raw + "\r\nNICK bob\r\nUSER bob 0 * :Bob\r\n")}, {false, []byte(":s 001 bob :hello\r\n")}, {true, []byte("JOIN #" + strings.ReplaceAll(v, " ", "-") + "\r\n")}}
	}},
	{"text", 7777, func(n, v, raw string) []turn {
		return []turn{{true, []byte("\x01\x02" + n + "=" + raw + " " + n + "=" + v + "\n")}, {false, []byte("\x01\x02 you said " + n + ": " + v + "\n")}}
	}},
}

// web is a request and an empty answer.
func web(line, body string, head ...string) []turn {
	head = append([]string{line, "Host: shop.example", fmt.Sprintf("Content-Length: %d", len(body))}, head...)
	if body == "" {
		head = append(head[:2], head[3:]...)
	}
	return []turn{{true, []byte(strings.Join(append(head, "", body), "\r\n"))}, {false, []byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")}}
}

// TestNoLeakValues replays planted values in every place and encoding: no output shows one, in whatever form.
func TestNoLeakValues(t *testing.T) {
	r := daemon.Replay{Builtin: true, Stats: true, Checksum: flow.ChecksumAuto, Output: "json"}
	set, problems := r.LoadRules()
	if problems.Failed() {
		t.Fatal(problems.Err())
	}
	dir := t.TempDir()
	for n, p := range places {
		for _, w := range ways[:2] {
			var frames [][]byte
			values := plantedValues(n)
			for i, v := range values {
				for k, e := range encodings {
					value := e.do(v.value)
					if strings.ContainsAny(value, " \t") && strings.HasPrefix(p.name, "http") && p.name != "http json" && p.name != "http user agent" {
						continue // it would end the target
					}
					d := &dialogue{client: uint16(20000 + i*100 + k), srv: p.port}
					for _, u := range p.write(v.name, value, v.value) {
						d.actions = append(d.actions, action{kind: "data", client: u.client, data: string(u.data)})
					}
					frames = append(frames, play(t, d, w, wrappings()[0])...)
				}
			}
			path := filepath.Join(dir, "leak.pcap")
			writePcap(t, path, frames)
			var text bytes.Buffer
			r.Stdout, r.Stderr, r.Slices = &text, &text, filepath.Join(dir, fmt.Sprint("slices", n, w.name))
			if _, err := r.Run(set, []string{path}); err != nil {
				t.Fatal(err)
			}
			for what, output := range outputs(t, text.Bytes(), r.Slices) {
				seen := written(output)
				bare := separators.Replace(seen)
				for _, v := range values {
					if p.name == "http later" && (v.name == "password" || v.name == "cvv") {
						continue // where it stands later, nothing says what it is
					}
					low := strings.ToLower(v.value)
					i := strings.Index(seen, low)
					if len(low) < 6 { // it stands in longer numbers
						at := regexp.MustCompile(`\b` + low + `\b`).FindStringIndex(seen)
						if i = -1; at != nil {
							i = at[0]
						}
					}
					where := seen
					if compact := separators.Replace(low); i < 0 && len(compact) > 8 {
						i, where = strings.Index(bare, compact), bare
					}
					if i >= 0 {
						t.Errorf("%s, %s, %s: %s is shown: %q", p.name, w.name, what, v.name, where[max(0, i-200):min(len(where), i+60)])
					}
				}
			}
		}
	}
}
