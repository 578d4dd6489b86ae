package dissect

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"weir/wire"
)

// dnsMsg builds a message: id and flags, then the sections, written as strings of bytes.
func dnsMsg(id, flags uint16, sections ...[]string) []byte {
	b := binary.BigEndian.AppendUint16(nil, id)
	b = binary.BigEndian.AppendUint16(b, flags)
	for i := range 4 {
		n := 0
		if i < len(sections) {
			n = len(sections[i])
		}
		b = binary.BigEndian.AppendUint16(b, uint16(n))
	}
	for _, s := range sections {
		b = append(b, strings.Join(s, "")...)
	}
	return b
}

// dnsN writes a name; "^12" as its last label is a pointer.
func dnsN(name string) string {
	var b []byte
	if name == "." {
		return "\x00"
	}
	for _, l := range strings.Split(name, ".") {
		if to, ok := strings.CutPrefix(l, "^"); ok {
			var n uint16
			fmt.Sscan(to, &n)
			return string(binary.BigEndian.AppendUint16(b, 0xc000|n))
		}
		b = append(append(b, byte(len(l))), l...)
	}
	return string(append(b, 0))
}

func dnsQ(name string, typ uint16) string {
	return dnsN(name) + string([]byte{byte(typ >> 8), byte(typ), 0, 1})
}

func dnsRR(name string, typ uint16, ttl uint32, rdata string) string {
	b := binary.BigEndian.AppendUint16([]byte(dnsN(name)), typ)
	b = binary.BigEndian.AppendUint16(b, 1)
	b = binary.BigEndian.AppendUint32(b, ttl)
	b = binary.BigEndian.AppendUint16(b, uint16(len(rdata)))
	return string(b) + rdata
}

// dnsHeard writes down what a DNS dissector says, a line for each call.
type dnsHeard struct{ lines []string }

func (e *dnsHeard) hear(m *Message) {
	var s strings.Builder
	fmt.Fprintf(&s, "%d/%d", m.ID, m.Tx)
	for _, p := range m.Parts {
		fmt.Fprintf(&s, " %s#%d=%q", strings.TrimPrefix(m.Protocol.Fields[p.Field].Name, "dns."), p.Value, p.Bytes)
	}
	for _, n := range m.Notes {
		fmt.Fprintf(&s, " !%s", strings.TrimPrefix(n.Code, "dns."))
	}
	if m.End {
		s.WriteString(" end")
	}
	if m.TxEnd {
		s.WriteString(" txend")
	}
	e.lines = append(e.lines, s.String())
}

// dnsOne tells one message, header fields left out.
func dnsOne(t *testing.T, msg []byte) string {
	t.Helper()
	d := newDNS(&DNS, &Env{Want: everything(), Limits: DefaultLimits})
	var e dnsHeard
	p, err := d.Feed(wire.ToClient, msg, e.hear)
	if err != nil || p.Used != len(msg) {
		t.Fatalf("Feed: %v %v", p, err)
	}
	out := strings.Join(e.lines, "\n")
	_, out, _ = strings.Cut(out, "opcode#0=")
	_, out, _ = strings.Cut(out, " ")
	return strings.TrimSuffix(out, " end txend")
}

func TestDNSExchange(t *testing.T) {
	q := dnsMsg(0x1234, 0x0100, []string{dnsQ("www.example.com", typeA)})
	r := dnsMsg(0x1234, 0x8180, []string{dnsQ("www.example.com", typeA)},
		[]string{dnsRR("^12", typeCNAME, 300, dnsN("web.^16")), dnsRR("web.^16", typeA, 60, "\xc0\x00\x02\x01")},
		[]string{dnsRR("^16", typeNS, 7, dnsN("ns.^16"))},
		[]string{dnsRR("ns.^16", typeAAAA, 8, "\x20\x01\x0d\xb8"+strings.Repeat("\x00", 11)+"\x01"), dnsRR(".", typeOPT, 0, "\x00\x03\x00\x01x")})
	d := newDNS(&DNS, &Env{Want: everything(), Limits: DefaultLimits})
	var e dnsHeard
	for _, f := range []struct {
		dir wire.Dir
		msg []byte
	}{{wire.ToServer, q}, {wire.ToServer, q}, {wire.ToClient, r}, {wire.ToClient, r}, {wire.ToServer, q}} {
		if p, err := d.Feed(f.dir, f.msg, e.hear); err != nil || p.Used != len(f.msg) {
			t.Fatalf("Feed: %v %v", p, err)
		}
	}
	d.Close(wire.ToServer, e.hear)
	d.Close(wire.ToClient, e.hear)
	answer := ` answer.name#%d="www.example.com" answer.type#%[1]d="CNAME" answer.ttl#%[1]d="300" answer#%[1]d="web.example.com"` +
		` answer.name#%d="web.example.com" answer.type#%[2]d="A" answer.ttl#%[2]d="60" answer#%[2]d="192.0.2.1"` +
		` authority.name#%d="example.com" authority.type#%[3]d="NS" authority.ttl#%[3]d="7" authority#%[3]d="ns.example.com"` +
		` additional.name#%d="ns.example.com" additional.type#%[4]d="AAAA" additional.ttl#%[4]d="8" additional#%[4]d="2001:db8::1" rdata#%d="\x00\x03\x00\x01x" rcode#0="NOERROR"`
	want := []string{
		`1/1 id#0="4660" flags#0="100" opcode#0="0" query#1="www.example.com" type#1="A" end`,
		`2/1 id#0="4660" flags#0="100" opcode#0="0" question#1="www.example.com" type#1="A" end`,
		`3/1 id#0="4660" flags#0="8180" opcode#0="0" question#0="www.example.com" type#0="A"` + fmt.Sprintf(answer, 1, 2, 3, 4, 5) + ` end txend`,
		`4/2 id#0="4660" flags#0="8180" opcode#0="0" query#1="www.example.com" type#1="A"` + fmt.Sprintf(answer, 2, 3, 4, 5, 6) + ` !answer_without_query end txend`,
		`5/3 id#0="4660" flags#0="100" opcode#0="0" query#1="www.example.com" type#1="A" end`,
		`6/3 end txend`,
	}
	if got, want := strings.Join(e.lines, "\n"), strings.Join(want, "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestDNSMessages(t *testing.T) {
	long := strings.Repeat("a", 63)
	answer := func(typ uint16, rdata string) []byte {
		return dnsMsg(1, 0x8000, nil, []string{dnsRR("a", typ, 1, rdata)})
	}
	head := func(typ string) string {
		return `answer.name#1="a" answer.type#1="` + typ + `" answer.ttl#1="1"`
	}
	ok := ` rcode#0="NOERROR"`
	for _, c := range []struct {
		name string
		msg  []byte
		want string
	}{
		{"mx", answer(typeMX, "\x00\x0a"+dnsN("mail.^12")), head("MX") + ` answer#1="mail.a"` + ok},
		{"soa", answer(typeSOA, dnsN("n")+dnsN("h.x")+"\x00\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00\x03\x00\x00\x00\x04\x00\x00\x00\x05"),
			head("SOA") + ` answer#1="n h.x 1 2 3 4 5"` + ok},
		{"srv", answer(typeSRV, "\x00\x01\x00\x02\x14\x46"+dnsN("s")), head("SRV") + ` answer#1="1 2 5190 s"` + ok},
		{"txt", answer(typeTXT, "\x03abc"), head("TXT") + ` answer#1="abc"` + ok},
		{"txt in pieces is one value", answer(typeTXT, "\x03abc\x00\x02de"), head("TXT") + ` answer#1="abc" answer#1="" answer#1="de"` + ok},
		{"txt in many pieces", answer(typeTXT, strings.Repeat("\x01a", 9)), head("TXT") + ` answer#1="aaaaaaaaa"` + ok},
		{"txt that lies", answer(typeTXT, "\x09abc"), head("TXT") + ` rdata#1="\tabc"` + ok + ` !malformed_record`},
		{"hinfo", answer(typeHINFO, "\x03cpu\x02os"), head("HINFO") + ` answer#1="cpu os"` + ok},
		{"caa", answer(typeCAA, "\x00\x05issueca.example"), head("CAA") + ` answer#1="0 issue ca.example"` + ok},
		{"uri", answer(typeURI, "\x00\x0a\x00\x01ftp://x"), head("URI") + ` answer#1="10 1 ftp://x"` + ok},
		{"null", answer(typeNULL, "any\x00"), head("NULL") + ` rdata#1="any\x00"` + ok + ` !type_null`},
		{"unknown type", answer(4711, "any\x00"), head("TYPE4711") + ` rdata#1="any\x00"` + ok},
		{"ds", answer(43, "\x01\x02"), head("DS") + ` rdata#1="\x01\x02"` + ok},
		{"short address", answer(typeA, "\x01\x02"), head("A") + ` rdata#1="\x01\x02"` + ok + ` !malformed_record`},
		{"address with a tail", answer(typeA, "\x01\x02\x03\x04hidden"), head("A") + ` answer#1="1.2.3.4" rdata#1="\x01\x02\x03\x04hidden"` + ok + ` !malformed_record`},
		{"no rdata", answer(typeA, ""), head("A") + ok},
		{"root", dnsMsg(1, 0, []string{dnsQ(".", typeNS)}), `query#1="." type#1="NS"`},
		{"escapes", dnsMsg(1, 0, []string{dnsQ("a b", typeNS), "\x04.\\\x00\xff\x01c\x00\x00\x01\x00\x01"}),
			`query#1="a\\032b" type#1="NS" query#2="\\046\\092\\000\\255.c" type#2="A"`},
		{"loop on itself", dnsMsg(1, 0, []string{dnsQ("^12", typeA)}), `query#1="." type#1="A" !pointer_loop`},
		{"loop over a label", dnsMsg(1, 0, []string{dnsQ("ab.^12", typeA)}), `query#1="ab" type#1="A" !pointer_loop`},
		{"forward", dnsMsg(1, 0, []string{dnsQ("ab.^21", typeA), dnsQ("cd", typeA)}), `query#1="ab.cd" type#1="A" query#2="cd" type#2="A" !forward_pointer`},
		{"loop over two names", dnsMsg(1, 0, []string{dnsQ("ab.^21", typeA), dnsQ("cd.^12", typeA)}), "LOOP"},
		{"into the header", dnsMsg(1, 0x8000, nil, []string{dnsRR("x.^5", typeA, 1, "\x01\x02\x03\x04")}), `answer.name#1="x" answer.type#1="A" answer.ttl#1="1" answer#1="1.2.3.4"` + ok + ` !forward_pointer`},
		{"beyond the end", dnsMsg(1, 0, []string{dnsQ("ab.^900", typeA)}), `query#1="ab" type#1="A" !forward_pointer`},
		{"name too long", dnsMsg(1, 0, []string{dnsQ(long+"."+long+"."+long+"."+long+"."+long, typeA)}),
			`query#1="` + long + "." + long + "." + long + "." + long + "." + long + `" type#1="A" !name_too_long`},
		{"trailing", append(dnsMsg(1, 0, []string{dnsQ("a", typeA)}), "more"...), `query#1="a" type#1="A" rdata#2="more" !trailing_bytes`},
		{"transfer", dnsMsg(1, 0, []string{dnsQ("a", typeAXFR)}), `query#1="a" type#1="AXFR" !zone_transfer`},
		{"cut name", dnsMsg(1, 0x0100, []string{"\x06goo"}), `query#1="goo" rdata#2="\x06goo" !truncated`},
		{"cut type", dnsMsg(1, 0x0100, []string{dnsN("goo") + "\x00"}), `query#1="goo" rdata#2="\x03goo\x00\x00" !truncated`},
		{"cut rdata", dnsMsg(1, 0x8000, nil, []string{dnsRR("a", typeA, 1, "1234")[:15]}), head("A") + ` rdata#1="12"` + ok + ` !truncated`},
		{"missing records", dnsMsg(1, 0x8000, []string{dnsQ("a", typeA), ""}), `query#1="a" type#1="A"` + ok + ` !truncated`},
		{"reserved label", dnsMsg(1, 0x0000, []string{dnsQ("a", typeA), "\x01b\x41xx\x00"}), `query#1="a" type#1="A" query#2="b" rdata#3="\x01bAxx\x00" !malformed_record !truncated`},
		{"extended rcode", dnsMsg(1, 0x8000, nil, nil, nil, []string{dnsRR(".", typeOPT, 1<<24|0x8000, "")}), `rcode#0="BADVERS"`},
		{"only a header", dnsMsg(1, 0x8001), `rcode#0="FORMERR"`},
		{"reserved bit", dnsMsg(1, 0x0140, []string{dnsQ("a", typeA)}), `query#1="a" type#1="A" !reserved_bit`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := dnsOne(t, c.msg); c.want == "LOOP" {
				if !strings.Contains(got, "!pointer_loop") || len(got) > 4000 {
					t.Errorf("got %s", got)
				}
			} else if got = strings.Replace(got, " end", "", 1); got != c.want {
				t.Errorf("\ngot  %s\nwant %s", got, c.want)
			}
		})
	}
}
