package alert

import (
	"encoding/json"
	"math"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

const noon = 1_767_268_800_123_456_789 // 2026-01-01T12:00:00.123456789Z

func ends4(a, b string) (src, dst netip.AddrPort) {
	return netip.MustParseAddrPort(a), netip.MustParseAddrPort(b)
}

// KV is a member of a protocol's own object: a text, a number, a bool, a list of texts, or one of objects.
type KV struct {
	Key   string
	Value any
}

func appOf(name string, members []KV) *App {
	var o Object
	o.Reset()
	text := func(v any) (Kind, []byte) {
		switch v := v.(type) {
		case json.Number:
			return Number, []byte(v)
		case bool:
			return Truth, strconv.AppendBool(nil, v)
		}
		return Text, []byte(v.(string))
	}
	for _, kv := range members {
		switch v := kv.Value.(type) {
		case []string:
			for _, s := range v {
				o.Add(kv.Key, []byte(s))
			}
		case [][]KV:
			for i, row := range v {
				o.row(o.list(kv.Key), uint32(i), false) // an empty one too
				for _, in := range row {
					k, b := text(in.Value)
					o.Row(kv.Key, uint32(i), false, in.Key, k, b, false)
				}
			}
		default:
			k, b := text(v)
			o.Set(kv.Key, k, b, true)
		}
	}
	return o.App(name)
}

// sample returns an alert with all that an alert may have.
func sample() *Event {
	src, dst := ends4("10.0.0.1:51234", "10.0.0.2:80")
	return &Event{
		Time: noon, Type: "alert", FlowID: 77, Iface: "veth1", Src: src, Dst: dst, Proto: 6, AppProto: "http",
		CommunityID: "1:hO+sN4H+MG5MY/8hIrXPqc4ZQz0=", VLAN: []uint16{10, 20}, TxID: 3, PcapCnt: 9,
		Alert: &Alert{Action: "allowed", GID: 1, SignatureID: 42, Rev: 2, Signature: "Primary account number in clear text",
			Category: "sensitive-data", Severity: 1, Metadata: map[string][]string{"tags": {"pci", "attack.T1048"}}},
		App: appOf("http", []KV{{"http_method", "POST"}, {"hostname", "shop.example"}, {"url", "/pay?x=<&>"},
			{"status", json.Number("200")}}),
		Weir: Weir{
			Src: &Workload{ID: "abc", Name: "web", Pod: "web-1", Namespace: "shop", Image: "web:1", Labels: map[string]string{"tier": "front", "app": "web"}},
			Dst: &Workload{Name: "pay"}, Rule: "pci.pan", Engine: "dlp", Severity: "critical",
			Matches: []Match{{Field: "http.request.body", Excerpt: "card=411111******1111&x", Count: 2, Distinct: 1, Confidence: 90, Fingerprint: "f00d"}},
			Slice:   "20260101-1", CaptureFile: "/var/lib/weir/pcap/20260101-1.pcapng", DropsBefore: 4, HeldBack: 5,
			Verdict: &Verdict{Action: "deny", Rule: "shop-to-web", Why: "no pattern", Mode: "protect"},
		},
	}
}

func kinds() map[string]*Event {
	src, dst := ends4("10.0.0.1:5353", "10.0.0.2:53")
	src6, dst6 := ends4("[2001:db8::1]:128", "[2001:db8::2]:0")
	return map[string]*Event{
		"alert": sample(),
		"dns request": {Time: noon, Type: "dns", FlowID: 1, Src: src, Dst: dst, Proto: 17, AppProto: "dns",
			App: appOf("dns", []KV{{"queries", [][]KV{{{"rrname", "a.example"}, {"rrtype", "A"}}}}})},
		"dns response": {Time: noon, Type: "dns", FlowID: 1, Src: src, Dst: dst, Proto: 17,
			App: appOf("dns", []KV{{"rcode", "NOERROR"}, {"answers", [][]KV{{{"rdata", "192.0.2.1"}, {"ttl", json.Number("60")}}, {}}}})},
		"dns of its own": {Time: noon, Type: "dns", App: appOf("dns", []KV{{"version", json.Number("2")}, {"type", "query"}})},
		"tls": {Time: noon, Type: "tls", Src: src, Dst: dst, Proto: 6, App: appOf("tls", []KV{{"sni", "x.example"},
			{"ja3/hash", "h"}, {"version", "TLS 1.3"}, {"ja3/string", "s"}, {"ja3/hash", "again"}, {"sni", "again"},
			{"client_alpns", []string{"h2", "http/1.1"}}, {"session_resumed", true}})},
		"no numbers": {Time: noon, Type: "http", App: appOf("http", []KV{{"length", json.Number("1e9999")}, {"status", json.Number("07")},
			{"a", json.Number("")}, {"b", json.Number("-1.5")}, {"c", json.Number("99999999999999999999")}, {"d", json.Number("1}")}, {"e", json.Number("0")}})},
		"flow": {Time: noon, Type: "flow", FlowID: 1, Src: src, Dst: dst, Proto: 132, AppProto: "failed",
			Flow: &Flow{PktsToServer: 1, PktsToClient: 2, BytesToServer: 3, BytesToClient: 4, Start: noon, End: noon + 2_500_000_000,
				State: "closed", Reason: "timeout", Alerted: true, TxCount: 7},
			Weir: Weir{Gaps: 8, Uninspected: &Uninspected{"encrypted", 9}, Counts: map[string]int{"z": 1, "a": 2}}},
		"anomaly": {Time: noon, Type: "anomaly", Iface: "veth1", Src: src6, Dst: dst6, Proto: 58,
			Anomaly: &Anomaly{Type: "stream", Event: "stream.gap", Layer: "l4", AppProto: "http", Detail: "bytes were never seen"}},
		"drop": {Time: noon, Type: "drop", FlowID: 1, Iface: "eth0", Src: src, Dst: dst, Proto: 6, AppProto: "http",
			Drop: &Drop{Reason: "policy", Len: 1500, TTL: 64, TCP: &DropTCP{Seq: 4294967295, Ack: 1, Window: 502, Flags: 0x18}},
			Weir: Weir{Verdict: &Verdict{Action: "deny", Rule: "default", Why: "no rule matches", Mode: "protect"}}},
		"drop at a deadline": {Time: noon, Type: "drop", FlowID: 1, Src: src, Dst: dst, Proto: 17, Drop: &Drop{Reason: "rules"}},
		"stats": {Time: noon, Type: "stats", Stats: map[string]any{"uptime": 5, "capture": map[string]any{"kernel_packets": uint64(math.MaxUint64), "kernel_drops": uint64(0)},
			"f": 1.5, "nan": math.NaN(), "list": []any{"a", int64(-1), false, nil}}},
		"other protocol": {Time: -1, Type: "flow", Src: netip.MustParseAddrPort("[::ffff:192.0.2.1]:0"), Dst: dst6, Proto: 253},
		"gre":            {Time: noon, Type: "flow", Src: netip.MustParseAddrPort("192.0.2.1:0"), Dst: netip.MustParseAddrPort("192.0.2.2:0"), Proto: 47},
		"empty":          {Type: "drop", Weir: Weir{Src: &Workload{}}},
	}
}

func TestAppendEVE(t *testing.T) {
	const stamp = `{"timestamp":"2026-01-01T12:00:00.123456+0000",`
	want := map[string]string{
		"alert": stamp + `"flow_id":77,"in_iface":"veth1","event_type":"alert","vlan":[10,20],"src_ip":"10.0.0.1","src_port":51234,` +
			`"dest_ip":"10.0.0.2","dest_port":80,"proto":"TCP","ip_v":4,"app_proto":"http","community_id":"1:hO+sN4H+MG5MY/8hIrXPqc4ZQz0=","tx_id":3,"pcap_cnt":9,` +
			`"alert":{"action":"allowed","gid":1,"signature_id":42,"rev":2,"signature":"Primary account number in clear text","category":"sensitive-data",` +
			`"severity":1,"metadata":{"tags":["pci","attack.T1048"]}},` +
			`"http":{"http_method":"POST","hostname":"shop.example","url":"/pay?x=<&>","status":200},` +
			`"capture_file":"/var/lib/weir/pcap/20260101-1.pcapng",` +
			`"weir":{"src":{"id":"abc","name":"web","pod":"web-1","namespace":"shop","image":"web:1","labels":{"app":"web","tier":"front"}},"dst":{"name":"pay"},` +
			`"rule":"pci.pan","engine":"dlp","severity":"critical","matches":[{"field":"http.request.body","excerpt":"card=411111******1111&x","count":2,` +
			`"distinct":1,"confidence":90,"fingerprint":"f00d"}],"slice":"20260101-1","verdict":{"action":"deny","rule":"shop-to-web","why":"no pattern","mode":"protect"},"held_back":5,"drops_before":4}}`,
		"dns request": stamp + `"flow_id":1,"event_type":"dns","src_ip":"10.0.0.1","src_port":5353,"dest_ip":"10.0.0.2","dest_port":53,"proto":"UDP","ip_v":4,` +
			`"app_proto":"dns","tx_id":0,"dns":{"version":3,"type":"request","queries":[{"rrname":"a.example","rrtype":"A"}]}}`,
		"dns response": stamp + `"flow_id":1,"event_type":"dns","src_ip":"10.0.0.1","src_port":5353,"dest_ip":"10.0.0.2","dest_port":53,"proto":"UDP","ip_v":4,` +
			`"tx_id":0,"dns":{"version":3,"type":"response","rcode":"NOERROR","answers":[{"rdata":"192.0.2.1","ttl":60},{}]}}`,
		"dns of its own": stamp + `"event_type":"dns","tx_id":0,"dns":{"version":2,"type":"query"}}`,
		"tls": stamp + `"event_type":"tls","src_ip":"10.0.0.1","src_port":5353,"dest_ip":"10.0.0.2","dest_port":53,"proto":"TCP","ip_v":4,"tx_id":0,` +
			`"tls":{"sni":"x.example","ja3":{"hash":"h","string":"s"},"version":"TLS 1.3","client_alpns":["h2","http/1.1"],"session_resumed":true}}`,
		"no numbers": stamp + `"event_type":"http","tx_id":0,"http":{"length_string":"1e9999","status_string":"07","a_string":"","b":-1.5,` +
			`"c_string":"99999999999999999999","d_string":"1}","e":0}}`,
		"flow": stamp + `"flow_id":1,"event_type":"flow","src_ip":"10.0.0.1","src_port":5353,"dest_ip":"10.0.0.2","dest_port":53,"proto":"SCTP","ip_v":4,` +
			`"app_proto":"failed","flow":{"pkts_toserver":1,"pkts_toclient":2,"bytes_toserver":3,"bytes_toclient":4,` +
			`"start":"2026-01-01T12:00:00.123456+0000","end":"2026-01-01T12:00:02.623456+0000","age":2,"state":"closed","reason":"timeout","alerted":true,` +
			`"tx_cnt":7},"weir":{"gaps":8,"uninspected":{"reason":"encrypted","bytes":9},"counts":{"a":2,"z":1}}}`,
		"drop": stamp + `"flow_id":1,"in_iface":"eth0","event_type":"drop","src_ip":"10.0.0.1","src_port":5353,"dest_ip":"10.0.0.2","dest_port":53,"proto":"TCP","ip_v":4,` +
			`"app_proto":"http","drop":{"len":1500,"ttl":64,"tcpseq":4294967295,"tcpack":1,"tcpwin":502,"fin":false,"syn":false,"rst":false,"psh":true,"ack":true,"urg":false,` +
			`"tcpurgp":0,"reason":"policy"},"weir":{"verdict":{"action":"deny","rule":"default","why":"no rule matches","mode":"protect"}}}`,
		"drop at a deadline": stamp + `"flow_id":1,"event_type":"drop","src_ip":"10.0.0.1","src_port":5353,"dest_ip":"10.0.0.2","dest_port":53,"proto":"UDP","ip_v":4,"drop":{"reason":"rules"}}`,
		"anomaly": stamp + `"in_iface":"veth1","event_type":"anomaly","src_ip":"2001:db8::1","dest_ip":"2001:db8::2","proto":"IPv6-ICMP","ip_v":6,"icmp_type":128,` +
			`"icmp_code":0,"anomaly":{"type":"stream","event":"stream.gap","layer":"l4","app_proto":"http"},"weir":{"why":"bytes were never seen"}}`,
		"stats": stamp + `"event_type":"stats","stats":{"capture":{"kernel_drops":0,"kernel_packets":18446744073709551615},"f":1.5,` +
			`"list":["a",-1,false,null],"nan":null,"uptime":5}}`,
		"other protocol": `{"timestamp":"1969-12-31T23:59:59.999999+0000","event_type":"flow","src_ip":"192.0.2.1","dest_ip":"2001:db8::2","proto":"253","ip_v":4}`,
		"gre":            stamp + `"event_type":"flow","src_ip":"192.0.2.1","dest_ip":"192.0.2.2","proto":"GRE","ip_v":4}`,
		"empty":          `{"timestamp":"1970-01-01T00:00:00.000000+0000","event_type":"drop"}`,
	}
	stampForm := regexp.MustCompile(`^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d+[+\-]\d+$`)
	for name, e := range kinds() {
		t.Run(name, func(t *testing.T) {
			got, err := AppendEVE([]byte("before"), e)
			if err != nil {
				t.Fatal(err)
			}
			got = got[len("before"):]
			if string(got) != want[name] {
				t.Errorf("got  %s\nwant %s", got, want[name])
			}
			var root map[string]any
			if err := json.Unmarshal(got, &root); err != nil {
				t.Fatal(err)
			}
			if s, _ := root["timestamp"].(string); !stampForm.MatchString(s) {
				t.Errorf("timestamp %q", s)
			}
			again(t, got)
		})
	}
}

// again reads a line and writes it again: the two must be equal.
func again(t *testing.T, line []byte) {
	t.Helper()
	e, err := ParseEVE(line)
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	got, err := AppendEVE(nil, e)
	if err != nil || string(got) != string(line) {
		t.Errorf("read and written again:\ngot  %s\nwant %s\n%v", got, line, err)
	}
}

func TestAppendEVERefuses(t *testing.T) {
	e := &Event{Type: "stats", Stats: map[string]any{"a": struct{}{}}}
	got, err := AppendEVE([]byte("before"), e)
	if err == nil || string(got) != "before" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestAppendString(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"", `""`},
		{"a\"b\\c/<>&", `"a\"b\\c/<>&"`},
		{"\n\r\t\x00\x1b\x7f", `"\n\r\t\u0000\u001b\u007f"`},
		{"é漢😀", `"é漢😀"`},
		{"\u0085\u009b\u2028\u2029\u00a0", `"\u0085\u009b\u2028\u2029` + "\u00a0" + `"`},
		{"a\xffb\xc3", `"a\\xffb\\xc3"`},
		{"\xed\xa0\x80", `"\\xed\\xa0\\x80"`},
		{"\ufffd", "\"\ufffd\""},
		{"\xf0\x9f\x98", `"\\xf0\\x9f\\x98"`},
	} {
		if got := string(appendString(nil, c.in)); got != c.want {
			t.Errorf("%q: got %s, want %s", c.in, got, c.want)
		}
	}
}

func TestIsNumber(t *testing.T) {
	for s, want := range map[string]bool{"0": true, "-0": true, "10": true, "1.5": true, "-12.03": true, "123456789012345678": true,
		"": false, "-": false, "01": false, "1.": false, ".5": false, "1e3": false, "+1": false, "1 ": false, "0x1": false, "NaN": false,
		"1234567890123456789": false, "1.2.3": false, "١": false} {
		if got := isNumber(s); got != want {
			t.Errorf("%q: got %v, want %v", s, got, want)
		}
	}
}

func TestParseEVERefuses(t *testing.T) {
	for _, line := range []string{"", "{", "null", "[]", "{}", `{"timestamp":"x","event_type":"alert"}`, `{"timestamp":"2026-01-01T12:00:00.1+0000"}`,
		`{"timestamp":"2026-01-01T12:00:00.1+0000","event_type":"flow","flow":{"start":"x"}}`} {
		if e, err := ParseEVE([]byte(line)); err == nil {
			t.Errorf("%s: got %+v", line, e)
		}
	}
}

func TestParseEVEOfOthers(t *testing.T) {
	line := `{"timestamp":"2026-01-01T14:00:00.5+0200","event_type":"http","src_ip":"192.0.2.1","src_port":1,"http":{"a":{"b":{"c":{"d":{"e":{"f":1}}}}},"n":null,` +
		`"codes":[1,"x"],"http2":{"id":7}},"unknown":[{}]}`
	e, err := ParseEVE([]byte(line))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := e.Time, int64(1_767_268_800_500_000_000); got != want {
		t.Errorf("time: got %d, want %d", got, want)
	}
	if got, want := e.App.members().text("http2/id")+" "+e.App.members().text("codes"), "7 1,x"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestAppendEVEAllocs(t *testing.T) {
	e, buf := sample(), make([]byte, 0, 4096)
	if got := testing.AllocsPerRun(100, func() { buf, _ = AppendEVE(buf[:0], e) }); got != 0 {
		t.Errorf("got %v allocations, want 0", got)
	}
}

func BenchmarkAppendEVE(b *testing.B) {
	for _, name := range []string{"alert", "dns request", "flow"} {
		b.Run(strings.ReplaceAll(name, " ", "-"), func(b *testing.B) {
			e, buf := kinds()[name], make([]byte, 0, 4096)
			b.ReportAllocs()
			for b.Loop() {
				buf, _ = AppendEVE(buf[:0], e)
			}
			b.SetBytes(int64(len(buf)))
		})
	}
}

// FuzzAppendEVE puts any strings wherever one may stand: the line is JSON, holds no byte that a terminal obeys, and
// reads back.
func FuzzAppendEVE(f *testing.F) {
	f.Add("http", "a\x00\xff\"", "7", uint8(6), uint64(1), int64(noon))
	f.Add("dns", "ja3/hash", "1e5", uint8(58), uint64(0), int64(math.MinInt64))
	f.Add("x", "0", "0\n", uint8(0), uint64(1), int64(0))
	f.Add("tls", "/", "-0.0", uint8(0), uint64(math.MaxUint64), int64(math.MaxInt64))
	f.Fuzz(func(t *testing.T, typ, s, number string, proto uint8, n uint64, now int64) {
		e := sample()
		for _, p := range []*string{&e.Iface, &e.AppProto, &e.CommunityID, &e.Alert.Action, &e.Alert.Signature, &e.Alert.Category, &e.Weir.Src.ID,
			&e.Weir.Src.Name, &e.Weir.Rule, &e.Weir.Engine, &e.Weir.Severity, &e.Weir.Why, &e.Weir.Slice, &e.Weir.CaptureFile,
			&e.Weir.Matches[0].Field, &e.Weir.Matches[0].Excerpt, &e.Weir.Matches[0].Fingerprint} {
			*p = s
		}
		now = now >> 2 // what Parse takes
		e.Time, e.Type, e.Proto, e.FlowID, e.TxID, e.Weir.Gaps = now, "x"+typ, proto, n, n, n
		e.Src = netip.AddrPortFrom(netip.AddrFrom4([4]byte{byte(n)}), uint16(n))
		e.Alert.Metadata = map[string][]string{s: {s, number}}
		e.Weir.Src.Labels = map[string]string{s: s}
		e.Weir.Counts = map[string]int{s: int(n)}
		e.Weir.Uninspected = &Uninspected{s, n}
		e.Flow = &Flow{Start: now, End: now, State: s, Reason: s}
		e.Anomaly = &Anomaly{Type: s, Event: s, Layer: s, AppProto: s, Detail: s}
		e.Stats = map[string]any{"x": map[string]any{s: json.Number(number)}}
		e.App = appOf([]string{"http", "dns"}[n%2], []KV{{s, s}, {"number", json.Number(number)}, {"list", []string{s, number}},
			{"ja3/hash", s}, {"rows", [][]KV{{{s, json.Number(number)}}, {{"k", s}}}}, {s, number}})
		line, err := AppendEVE(nil, e)
		if err != nil {
			t.Fatal(err)
		}
		if !json.Valid(line) {
			t.Fatalf("not JSON: %q", line)
		}
		for _, c := range line {
			if c < 0x20 || c == 0x7f {
				t.Fatalf("control character: %q", line)
			}
		}
		again(t, line)
		var out strings.Builder
		table := NewTable(&out, false)
		if err := errorsOf(table.Write(e), table.Close()); err != nil {
			t.Fatal(err)
		}
		tame(t, out.String())
	})
}

func FuzzParseEVE(f *testing.F) {
	for _, e := range kinds() {
		line, _ := AppendEVE(nil, e)
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		if e, err := ParseEVE(line); err == nil {
			if _, err := AppendEVE(nil, e); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestDNSTwice looks at what EVE tells twice of a DNS message, and that a line that was read again tells it no third time.
func TestDNSTwice(t *testing.T) {
	row := func(typ, rdata string) []KV { return []KV{{"rrtype", typ}, {"rdata", rdata}} }
	e := &Event{Type: "dns", App: appOf("dns", []KV{{"flags", "8580"}, {"rcode", "NOERROR"},
		{"answers", [][]KV{row("TXT", "a"), row("A", "192.0.2.1"), row("TXT", "")}},
		{"authorities", [][]KV{row("SOA", "m.example r.example 1 2 3 4 5"), row("SOA", "[masked]")}},
		{"additionals", [][]KV{row("SRV", "1 2 443 s.example")}}})}
	got, err := AppendEVE(nil, e)
	if err != nil {
		t.Fatal(err)
	}
	want := `"dns":{"type":"response","flags":"8580","qr":true,"aa":true,"rd":true,"ra":true,"rcode":"NOERROR",` +
		`"answers":[{"rrtype":"TXT","rdata":"a"},{"rrtype":"A","rdata":"192.0.2.1"},{"rrtype":"TXT","rdata":""}],` +
		`"authorities":[{"rrtype":"SOA","rdata":"m.example r.example 1 2 3 4 5","soa":{"mname":"m.example","rname":"r.example","serial":1,` +
		`"refresh":2,"retry":3,"expire":4,"minimum":5}},{"rrtype":"SOA","rdata":"[masked]"}],` +
		`"additionals":[{"rrtype":"SRV","rdata":"1 2 443 s.example","srv":{"priority":1,"weight":2,"port":443,"name":"s.example"}}],` +
		`"grouped":{"TXT":["a",""],"A":["192.0.2.1"]}}`
	if !strings.Contains(strings.Replace(string(got), `"version":3,`, "", 1), want) {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	again(t, got)
}

// TestDNSTypes: of answers that all have types of their own some are told twice, and all of them once.
func TestDNSTypes(t *testing.T) {
	var rows [][]KV
	for i := range 500 {
		rows = append(rows, []KV{{"rrtype", "TYPE" + strconv.Itoa(1000+i)}, {"rdata", "x"}})
	}
	text := string(appOf("dns", []KV{{"answers", rows}}).Text)
	if n := strings.Count(text, `"TYPE`); n != 500+maxTypes || !json.Valid([]byte("{"+text+"}")) {
		t.Errorf("%d types are told, want %d: %s", n, 500+maxTypes, text)
	}
}

// TestFlowInside looks at what a flow inside a tunnel tells, and at the answers of ICMP.
func TestFlowInside(t *testing.T) {
	e := &Event{Type: "flow", Proto: protoICMP, Src: netip.MustParseAddrPort("192.0.2.1:8"), Dst: netip.MustParseAddrPort("192.0.2.2:0"),
		Flow: &Flow{State: "established", Reason: "timeout", ICMP: &ICMP{Type: 0, Code: 0}}, Weir: Weir{Inside: []string{"vxlan", "gre"}}}
	got, err := AppendEVE(nil, e)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"icmp_type":8,"icmp_code":0,"response_icmp_type":0,"response_icmp_code":0`, `"inside":["vxlan","gre"]`} {
		if !strings.Contains(string(got), want) {
			t.Errorf("got %s, want %s in it", got, want)
		}
	}
	again(t, got)
}
