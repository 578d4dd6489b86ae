package alert

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func errorsOf(errs ...error) error { return errors.Join(errs...) }

// tame fails if a text has anything that a terminal would obey.
func tame(t *testing.T, s string) {
	t.Helper()
	if !utf8.ValidString(s) {
		t.Errorf("not UTF-8: %q", s)
	}
	for _, r := range s {
		if r != '\n' && !unicode.IsPrint(r) {
			t.Errorf("%U in %q", r, s)
		}
	}
}

func show(t *testing.T, terminal bool, events ...*Event) string {
	t.Helper()
	var out strings.Builder
	table := NewTable(&out, terminal)
	for _, e := range events {
		if err := table.Write(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := table.Flush(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestTable(t *testing.T) {
	k := kinds()
	bare := sample()
	bare.Weir = Weir{}
	info := sample()
	info.Type, info.Weir.Severity, info.Weir.Why, info.Weir.Src, info.Weir.Slice = "info", "info", "a published test value: no alert", nil, ""
	http := sample()
	http.Type, http.Alert, http.Weir = "http", nil, Weir{}
	other := &Event{Time: noon, Type: "redis", Src: http.Src, Dst: http.Dst, Proto: 6, AppProto: "redis",
		App: appOf("redis", []KV{{"command", "GET"}, {"args", []string{"a", "b"}}, {"ok", true}, {"n", json.Number("1")}})}
	got := show(t, false, k["alert"], bare, info, k["flow"], k["anomaly"], http, k["dns request"], k["dns response"], k["tls"], other, k["stats"],
		k["gre"], k["drop"], k["empty"])
	want := `TIME (UTC)          SEVERITY  RULE                      SOURCE → DESTINATION                           PROTOCOL    WHAT
01-01 12:00:00.123  critical  pci.pan                   shop/web-1:51234 → pay:80                      http        http.request.body card=411111******1111&x (2 found, 1 distinct)  +5 held back  slice 20260101-1
01-01 12:00:00.123  alert     42                        10.0.0.1:51234 → 10.0.0.2:80                   http        Primary account number in clear text
01-01 12:00:00.123  info      pci.pan                   10.0.0.1:51234 → pay:80                        http        http.request.body card=411111******1111&x (2 found, 1 distinct)  a published test value: no alert  +5 held back
01-01 12:00:00.123  flow      closed                    10.0.0.1:5353 → 10.0.0.2:53                    sctp        1/2 packets  3/4 bytes  2.5s  timeout  alerted  8 bytes never seen  9 bytes not inspected: encrypted
01-01 12:00:00.123  anomaly   stream.gap                2001:db8::1 → 2001:db8::2                      ipv6-icmp 128/0  bytes were never seen
01-01 12:00:00.123  http                                10.0.0.1:51234 → 10.0.0.2:80                   http        POST shop.example/pay?x=<&> 200
01-01 12:00:00.123  dns                                 10.0.0.1:5353 → 10.0.0.2:53                    dns         A a.example
01-01 12:00:00.123  dns                                 10.0.0.1:5353 → 10.0.0.2:53                    udp         192.0.2.1
01-01 12:00:00.123  tls                                 10.0.0.1:5353 → 10.0.0.2:53                    tcp         x.example TLS 1.3
01-01 12:00:00.123  redis                               10.0.0.1:51234 → 10.0.0.2:80                   redis       command=GET args=a,b ok=true n=1
01-01 12:00:00.123  stats                               -                                              -           capture.kernel_packets=18446744073709551615 f=1.5 list=[a -1 false <nil>] nan=NaN uptime=5
01-01 12:00:00.123  flow                                192.0.2.1 → 192.0.2.2                          gre
01-01 12:00:00.123  drop      policy                    10.0.0.1:5353 → 10.0.0.2:53                    http        cut off by default at a packet of 1500 bytes
01-01 00:00:00.000  drop                                -                                              -
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestCompact(t *testing.T) {
	k := kinds()
	http := sample()
	http.Type, http.Alert, http.Weir = "http", nil, Weir{}
	http.App = appOf("http", []KV{{"http_method", "GET"}, {"url", "/path"}, {"status", json.Number("200")}, {"length", json.Number("512")}})
	none := &Event{Time: noon, Type: "dns", Src: http.Src, Dst: http.Dst, Proto: 17, AppProto: "dns",
		App: appOf("dns", []KV{{"queries", [][]KV{{{"rrtype", "A"}, {"rrname", "example.org"}}}}, {"rcode", "NXDOMAIN"}})}
	blocked := &Event{Time: noon, Type: "drop", Src: http.Src, Dst: http.Dst, Proto: 6}
	var out strings.Builder
	table := NewCompact(&out, false)
	for _, e := range []*Event{k["alert"], k["flow"], k["anomaly"], http, none, k["tls"], blocked} {
		if err := table.Write(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := table.Close(); err != nil {
		t.Fatal(err)
	}
	want := `TIME (UTC)          VERDICT   SOURCE → DESTINATION                           PROTOCOL    WHAT
01-01 12:00:00.123  critical  shop/web-1:51234 → pay:80                      http        pci.pan: http.request.body card=411111******1111&x (2 found, 1 distinct)  +5 held back  slice 20260101-1
01-01 12:00:00.123  allowed   10.0.0.1:5353 → 10.0.0.2:53                    sctp        flow closed: 1/2 packets  3/4 bytes  2.5s  timeout  alerted  8 bytes never seen  9 bytes not inspected: encrypted
01-01 12:00:00.123  anomaly   2001:db8::1 → 2001:db8::2                      ipv6-icmp 128/0  stream.gap: bytes were never seen
01-01 12:00:00.123  allowed   10.0.0.1:51234 → 10.0.0.2:80                   http        GET /path 200 512B
01-01 12:00:00.123  allowed   10.0.0.1:51234 → 10.0.0.2:80                   dns         A example.org NXDOMAIN
01-01 12:00:00.123  allowed   10.0.0.1:5353 → 10.0.0.2:53                    tcp         x.example TLS 1.3
01-01 12:00:00.123  blocked   10.0.0.1:51234 → 10.0.0.2:80                   tcp
`
	if got := out.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestTableColours(t *testing.T) {
	got := show(t, true, sample())
	if want := "\x1b[1;31mcritical\x1b[0m  pci.pan"; !strings.Contains(got, want) {
		t.Errorf("no %q in %q", want, got)
	}
}

// TestTableTame puts what commands a terminal wherever bytes from the wire may stand.
func TestTableTame(t *testing.T) {
	const evil = "\x1b]0;x\a\x1b[2J\r\n\u202e\u200b\u009b\xff\u2028\u00ad"
	e := sample()
	e.Weir.Matches[0].Excerpt, e.Weir.Matches[0].Field, e.Weir.Src.Pod, e.Weir.Rule, e.Weir.Severity = evil, evil, evil, evil, evil
	e.AppProto, e.Weir.Slice = evil, evil
	app := &Event{Type: "http", App: appOf("http", []KV{{"url", evil + strings.Repeat("ä", 10000)}, {"hostname", evil}})}
	got := show(t, false, e, app)
	tame(t, got)
	if n := strings.Count(got, "\n"); n != 3 {
		t.Errorf("got %d lines, want 3", n)
	}
	if len(got) > 3000 {
		t.Errorf("%d bytes: a long value was not cut", len(got))
	}
	if want := `\x1b]0;x\x07\x1b[2J\x0d\x0a\u202e\u200b\x9b\xff\u2028\xad`; !strings.Contains(got, want) {
		t.Errorf("no %s in %s", want, got)
	}
}

// TestTableOfLines shows the same for an event as for its EVE line.
func TestTableOfLines(t *testing.T) {
	for name, e := range kinds() {
		if name == "stats" || name == "no numbers" {
			continue // NaN is null in JSON, what is no number has another name
		}
		line, err := AppendEVE(nil, e)
		if err != nil {
			t.Fatal(err)
		}
		read, err := ParseEVE(line)
		if err != nil {
			t.Fatal(err)
		}
		got, want := show(t, false, read), show(t, false, e)
		if got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
		}
	}
}
