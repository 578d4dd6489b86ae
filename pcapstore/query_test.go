package pcapstore

import (
	"errors"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"weir/wire"
)

var queryNow = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

func parse(t *testing.T, text string) *Query {
	t.Helper()
	q, err := ParseQuery(text, queryNow)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return q
}

func TestQueryString(t *testing.T) {
	for in, want := range map[string]string{
		"tcp":                            "tcp",
		" TCP  AND Port 80 ":             "tcp and port 80",
		"tcp&&port 80||!udp":             "tcp and port 80 or not udp",
		"tcp or udp and port 53":         "tcp or udp and port 53",
		"(tcp or udp) and port 53":       "(tcp or udp) and port 53",
		"((tcp) and (udp and icmp))":     "tcp and udp and icmp",
		"not (tcp or not udp)":           "not (tcp or not udp)",
		"not not tcp":                    "tcp",
		"not(tcp)":                       "not tcp",
		"host ::ffff:10.0.0.1":           "host 10.0.0.1",
		"host 2001:DB8:0::1":             "host 2001:db8::1",
		"net 10.1.2.3/8":                 "net 10.0.0.0/8",
		"before 10m ago":                 "before 2026-01-31T11:50:00Z",
		"after 1h30m ago and tcp":        "after 2026-01-31T10:30:00Z and tcp",
		"after 2d ago":                   "after 2026-01-29T12:00:00Z",
		"after 2026-01-30":               "after 2026-01-30T00:00:00Z",
		"after 2026-01-30T15:04":         "after 2026-01-30T15:04:00Z",
		"after 2026-01-30T15:04:05.25":   "after 2026-01-30T15:04:05.25Z",
		"after 2026-01-30T15:04+01:00":   "after 2026-01-30T14:04:00Z",
		"after 2026-01-30T15:04:05+0100": "after 2026-01-30T14:04:05Z",
		"alert 9f1c02ab77d03e54":         "alert 9f1c02ab77d03e54",
		"flow 9223372036854775813":       "flow 9223372036854775813",
		`community-id "1:abc+/="`:        "community-id 1:abc+/=",
		`workload "a \"b\" \\ (c)"`:      `workload "a \"b\" \\ (c)"`,
		`workload "and"`:                 `workload "and"`,
		`workload "!x"`:                  `workload "!x"`,
		"workload a!b":                   "workload a!b",
		"pod shop/cart-0":                "pod shop/cart-0",
		"rule pci.pan or rule host":      "rule pci.pan or rule host",
	} {
		if got := parse(t, in).String(); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
	if got, want := And(nil, Alert("a b"), After(queryNow), parse(t, "tcp or udp")).String(),
		`alert "a b" and after 2026-01-31T12:00:00Z and (tcp or udp)`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := And(nil, nil); got != nil || got.String() != "" {
		t.Errorf("got %v, want nil", got)
	}
}

func TestQueryErrors(t *testing.T) {
	for in, want := range map[string]string{
		"":                                "column 1: the query ends where a condition (host, net, ",
		"hots 10.0.0.1":                   `column 1: "hots" stands where a condition (host, net, `,
		"tcp port 80":                     `column 5: "port" stands where and, or or the end is expected`,
		"tcp and":                         "column 8: the query ends where a condition",
		"(tcp":                            "column 5: the query ends where and, or or ) is expected",
		"tcp)":                            `column 4: ")" stands where and, or or the end is expected`,
		"()":                              `column 2: ")" stands where a condition`,
		"host":                            "column 5: the query ends where an address",
		"host and tcp":                    `column 6: "and" stands where an address`,
		"host web":                        `column 6: "web" stands where an address`,
		"host 10.0.0.0/8":                 `column 6: "10.0.0.0/8" stands where an address`,
		"net 10.0.0.1":                    `column 5: "10.0.0.1" stands where a network`,
		"port 65536":                      `column 6: "65536" stands where a number from 0 to 65535`,
		"flow -1":                         `column 6: "-1" stands where a number`,
		"after 10m":                       `column 7: "10m" stands where a time, as 10m ago`,
		"after 10x ago":                   `column 7: "10x" stands where a time`,
		"after 99999w ago":                `column 7: "99999w" stands where a time`,
		"after 1969-12-31":                `column 7: "1969-12-31" stands where a time`,
		"after 2262-01-01":                `column 7: "2262-01-01" stands where a time`,
		"pod cart":                        `column 5: "cart" stands where NAMESPACE/NAME`,
		`rule "a`:                         `column 6: ""a" stands where a text with a " at its end`,
		`rule "a\"`:                       `column 6: ""a\"" stands where a text with a "`,
		`rule ""`:                         `column 6: """" stands where the id of a rule`,
		`"tcp"`:                           `column 1: "tcp" stands where a condition`,
		"rule \x00":                       "column 6: \"?\" stands where printable text",
		"tcp & udp":                       `column 5: "&" stands where and, or`,
		"workload é and hots":             `column 16: "hots" stands where a condition`,
		strings.Repeat("(", 65) + "tcp":   `column 65: "(" stands where no more than 64`,
		strings.Repeat("!", 9999) + "tcp": `column 1: "…" stands where a query of at most 4096 bytes`,
	} {
		_, err := ParseQuery(in, queryNow)
		var e *QueryError
		if !errors.As(err, &e) || !strings.HasPrefix(e.Error(), want) {
			t.Errorf("%.40q: got %v, want %s", in, err, want)
		}
	}
}

func FuzzQuery(f *testing.F) {
	for _, s := range []string{
		"host 10.0.0.1 and not (tcp or udp && port 53)", "net 2001:db8::/32 || icmp", "after 10m ago and before 2026-01-31T15:04:05Z",
		`alert "x y" or flow 5 or community-id "1:a="`, `workload "a\"b" and pod n/p and ! rule r.s`, "((((tcp))))", `rule "\\`,
	} {
		f.Add(s)
	}
	p, i := queryPacket(), queryInfo()
	f.Fuzz(func(t *testing.T, text string) {
		q, err := ParseQuery(text, queryNow)
		if err != nil {
			var e *QueryError
			if !errors.As(err, &e) || e.Column < 1 || e.Error() == "" {
				t.Fatalf("%q: error %v", text, err)
			}
			return
		}
		again, err := ParseQuery(q.String(), queryNow.Add(time.Hour))
		if err != nil || !reflect.DeepEqual(q, again) || q.String() != again.String() {
			t.Fatalf("%q: %q is read as %q, %v", text, q, again, err)
		}
		// What a slice says of all its packets holds for each.
		if s, got := q.Slice(i), q.Packet(i, p); s == No && got || s == Yes && !got {
			t.Fatalf("%q: slice %v, packet %v", text, s, got)
		}
	})
}

// queryInfo is a slice with one packet, queryPacket.
func queryInfo() *Info {
	m := testMeta(1_700_000_000)
	m.Dst = netip.MustParseAddrPort("10.0.0.2:53")
	return &Info{ID: "00000000000000ab", Meta: m, Complete: true,
		Closing: Closing{Packets: 1, First: m.Time, Last: m.Time, Alerts: []string{"more"}, Rules: []string{"other.rule"}}}
}

func queryPacket() *wire.Packet {
	var d wire.Decoder
	var p wire.Packet
	d.Decode(frame(udp, 1_700_000_000*second), &p)
	return &p
}

func TestQueryMatches(t *testing.T) {
	const at = "2023-11-14T22:13:20Z"
	for text, want := range map[string]struct {
		slice  Answer
		packet bool
	}{
		"host 10.0.0.1":                    {Perhaps, true},
		"host 10.0.0.3":                    {Perhaps, false},
		"net 10.0.0.0/30":                  {Perhaps, true},
		"net 2001:db8::/32":                {Perhaps, false},
		"port 53":                          {Perhaps, true},
		"port 1000":                        {Perhaps, true},
		"port 0":                           {Perhaps, false},
		"udp":                              {Perhaps, true},
		"tcp or icmp":                      {Perhaps, false},
		"after " + at:                      {Yes, true},
		"before " + at:                     {No, false},
		"before 2023-11-14T22:13:20.0001Z": {Yes, true},
		"alert 00000000000000ab":           {Yes, true},
		"alert more":                       {Yes, true},
		"alert alert-1700000000":           {Yes, true},
		"alert x":                          {No, false},
		"flow 9223372036854775813":         {Yes, true},
		"flow 0":                           {No, false},
		"community-id 1:abc=":              {Yes, true},
		"workload dns":                     {Yes, true},
		"workload cart":                    {No, false},
		"pod shop/cart":                    {Yes, true},
		"rule pci.pan and rule other.rule": {Yes, true},
		"rule x":                           {No, false},
		"rule x or udp":                    {Perhaps, true},
		"rule x and udp":                   {No, false},
		"rule pci.pan or tcp":              {Yes, true},
		"rule pci.pan and tcp":             {Perhaps, false},
		"not rule x":                       {Yes, true},
		"not rule pci.pan":                 {No, false},
		"not tcp":                          {Perhaps, true},
		"not (tcp or rule pci.pan)":        {No, false},
		"not (udp and rule x) and port 53": {Perhaps, true},
	} {
		q, i := parse(t, text), queryInfo()
		if got := q.Slice(i); got != want.slice {
			t.Errorf("%s: slice: got %v, want %v", text, got, want.slice)
		}
		if got := q.Packet(i, queryPacket()); got != want.packet {
			t.Errorf("%s: packet: got %v, want %v", text, got, want.packet)
		}
	}
	var q *Query
	if q.Slice(queryInfo()) != Yes || !q.Packet(queryInfo(), queryPacket()) {
		t.Error("no query does not hold for all")
	}
	i := queryInfo()
	i.Complete = false
	if got := parse(t, "before "+at).Slice(i); got != Perhaps {
		t.Errorf("times of a slice without an end: got %v, want Perhaps", got)
	}
}

func TestQueryFragment(t *testing.T) {
	second := udp[:20] + "\x00\x08" + udp[22:] // fragment offset 64
	var d wire.Decoder
	var p wire.Packet
	d.Decode(frame(second, 1), &p)
	q := parse(t, "port 53")
	if i := queryInfo(); !p.Fragmented || !q.Packet(i, &p) {
		t.Error("a fragment is not taken for one of the slice's flow")
	}
	i := queryInfo()
	i.Meta.Src = netip.MustParseAddrPort("10.9.9.9:1000")
	if q.Packet(i, &p) {
		t.Error("a fragment of others has the ports of the slice's flow")
	}
}

func TestQueryPacketAllocatesNothing(t *testing.T) {
	q, i, p := parse(t, "not (tcp or host 10.0.0.9) and port 53 and after 2020-01-01 and workload dns"), queryInfo(), queryPacket()
	if n := testing.AllocsPerRun(100, func() { q.Packet(i, p) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
