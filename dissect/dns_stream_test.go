package dissect

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"weir/wire"
)

// framed puts messages behind their lengths.
func dnsFramed(msgs ...[]byte) (b []byte) {
	for _, m := range msgs {
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(m))), m...)
	}
	return b
}

// dnsPieces feeds a stream in pieces of at most n bytes, as the engine does, and ends it.
func dnsPieces(t testing.TB, stream []byte, n int) ([]string, error) {
	d := newDNSTCP(&DNSTCP, &Env{Want: everything(), Limits: DefaultLimits})
	var e dnsHeard
	var held []byte
	need := 0
	for i := 0; i < len(stream); i += n {
		held = append(held, stream[i:min(i+n, len(stream))]...)
		if len(held) < need {
			continue
		}
		p, err := d.Feed(wire.ToClient, held, e.hear)
		if p.Used > len(held) || p.Need < 0 {
			t.Fatalf("Used %d Need %d of %d", p.Used, p.Need, len(held))
		}
		held = held[p.Used:]
		need = len(held) + p.Need
		if err != nil {
			return e.lines, err
		}
	}
	d.Close(wire.ToClient, e.hear)
	if len(held) > 0 {
		if p, _ := d.Feed(wire.ToClient, held, e.hear); p.Used != len(held) {
			t.Fatalf("after Close: used %d of %d", p.Used, len(held))
		}
	}
	d.Close(wire.ToServer, e.hear)
	return e.lines, nil
}

func TestDNSStream(t *testing.T) {
	q := dnsMsg(7, 0, []string{dnsQ("a", typeA)})
	bad := slices.Concat(q[:12], []byte("\x99\x99"))
	bad[5] = 9
	for _, c := range []struct {
		name   string
		stream []byte
		want   []string
		err    error
	}{
		{"two", dnsFramed(q, q[:]), []string{
			`1/1 id#0="7" flags#0="0" opcode#0="0" query#1="a" type#1="A" end`,
			`2/1 id#0="7" flags#0="0" opcode#0="0" question#1="a" type#1="A" end`,
			`3/1 end txend`}, nil},
		{"cut", dnsFramed(q)[:17], []string{
			`1/1 id#0="7" flags#0="0" opcode#0="0" query#1="a" rdata#2="\x01a\x00" !truncated end`,
			`2/1 end txend`}, nil},
		{"cut length", dnsFramed(q, q)[:len(q)+3], []string{
			`1/1 id#0="7" flags#0="0" opcode#0="0" query#1="a" type#1="A" end`,
			`2/2 rdata#0="\x00" !truncated end txend`,
			`3/1 end txend`}, nil},
		{"no message", dnsFramed(bad, q), []string{
			`1/1 rdata#0="\x00\a\x00\x00\x00\t\x00\x00\x00\x00\x00\x00\x99\x99" !malformed_message end txend`,
			`2/2 id#0="7" flags#0="0" opcode#0="0" query#1="a" type#1="A" end`,
			`3/2 end txend`}, nil},
		{"length 0", []byte("\x00\x00\x00"), nil, errDNSLength},
	} {
		for n := range len(c.stream) {
			got, err := dnsPieces(t, c.stream, n+1)
			if !slices.Equal(got, c.want) || err != c.err {
				t.Errorf("%s by %d: got %v\n%s\nwant\n%s", c.name, n+1, err, strings.Join(got, "\n"), strings.Join(c.want, "\n"))
				break
			}
		}
	}
}

// TestDNSTransfer checks that the messages of a zone transfer are one exchange, with value numbers of their own.
func TestDNSTransfer(t *testing.T) {
	soa := dnsRR("z", typeSOA, 1, dnsN("n")+dnsN("h")+strings.Repeat("\x00", 20))
	host := dnsRR("h.z", typeA, 1, "\x01\x02\x03\x04")
	d := newDNSTCP(&DNSTCP, &Env{Want: everything(), Limits: DefaultLimits})
	var e dnsHeard
	d.Feed(wire.ToServer, dnsFramed(dnsMsg(9, 0, []string{dnsQ("z", typeAXFR)})), e.hear)
	d.Feed(wire.ToClient, dnsFramed(
		dnsMsg(9, 0x8400, []string{dnsQ("z", typeAXFR)}, []string{soa}),
		dnsMsg(9, 0x8400, nil, []string{host, host}),
		dnsMsg(9, 0x8400, nil, []string{soa})), e.hear)
	for i, want := range [][]string{{"1/1 ", " query#1=", "zone_transfer end"}, {"2/1 ", " answer#1=", "NOERROR\" !zone_transfer end"},
		{"3/1 ", " answer#2=", " answer#3=", "NOERROR\" end"}, {"4/1 ", " answer#4=", " end txend"}} {
		if i >= len(e.lines) {
			t.Fatalf("%d messages", len(e.lines))
		}
		for _, w := range want {
			if !strings.Contains(e.lines[i], w) {
				t.Errorf("message %d lacks %q: %s", i+1, w, e.lines[i])
			}
		}
		if i < 3 && strings.Contains(e.lines[i], "txend") {
			t.Errorf("message %d ends the exchange", i+1)
		}
	}
}

func TestDNSGap(t *testing.T) {
	q := dnsMsg(7, 0, []string{dnsQ("abcdefgh", typeA)})
	stream := dnsFramed(q, q)
	for _, c := range []struct {
		from, n int // the gap
		ok      bool
		want    string
	}{
		{10, 5, true, "rdata:query"},             // within the first message
		{10, len(q) + 2 - 10, true, "query"},     // to its end
		{10, len(q) + 2 - 9, false, ""},          // beyond
		{0, 1, false, ""},                        // at its beginning
		{1, 4, false, ""},                        // within its length
		{len(q) + 2 + 5, 3, true, "query:rdata"}, // within the second
	} {
		d := newDNSTCP(&DNSTCP, &Env{Want: everything(), Limits: DefaultLimits})
		var e dnsHeard
		d.Feed(wire.ToServer, stream[:c.from], e.hear)
		if got := d.Gap(wire.ToServer, c.n, e.hear); got != c.ok {
			t.Errorf("gap of %d at %d: got %v", c.n, c.from, got)
			continue
		}
		if !c.ok {
			continue
		}
		d.Feed(wire.ToServer, stream[c.from+c.n:], e.hear)
		var kinds []string
		for _, l := range e.lines {
			if strings.Contains(l, "rdata") {
				kinds = append(kinds, "rdata")
			} else {
				kinds = append(kinds, "query")
			}
		}
		if got := strings.Join(kinds, ":"); got != c.want && got != c.want+":query" {
			t.Errorf("gap of %d at %d: got %s, want %s", c.n, c.from, got, c.want)
		}
	}
}

func TestDNSPending(t *testing.T) {
	d := newDNS(&DNS, &Env{Want: everything(), Limits: DefaultLimits})
	var e dnsHeard
	for i := range dnsMaxQueries + 2 {
		d.Feed(wire.ToServer, dnsMsg(uint16(i), 0, []string{dnsQ("a", typeA)}), e.hear)
	}
	d.Feed(wire.ToClient, dnsMsg(5, 0x8000, []string{dnsQ("a", typeA)}), e.hear)
	d.Close(wire.ToServer, e.hear)
	d.Close(wire.ToClient, e.hear)
	ends := map[string]int{}
	for _, l := range e.lines {
		if strings.HasSuffix(l, "txend") {
			_, tx, _ := strings.Cut(l, "/")
			tx, _, _ = strings.Cut(tx, " ")
			ends[tx]++
		}
	}
	if len(ends) != dnsMaxQueries+2 {
		t.Errorf("%d exchanges ended", len(ends))
	}
	for tx, n := range ends {
		if n != 1 {
			t.Errorf("exchange %s ended %d times", tx, n)
		}
	}
}

func TestDNSProbe(t *testing.T) {
	q := dnsMsg(1, 0x0100, []string{dnsQ("example.com", typeA)})
	for _, c := range []struct {
		name string
		head []byte
		want Guess
	}{
		{"query", q, Yes},
		{"opcode 9", dnsMsg(1, 0x4800, []string{dnsQ("example.com", typeA)}), Yes},
		{"mdns", dnsMsg(0, 0x8400, nil, []string{dnsRR("a.local", typeA, 120, "\x01\x02\x03\x04")}), Yes},
		{"cut answer", dnsMsg(1, 0x8180, []string{dnsQ("example.com", typeA), ""}), Yes},
		{"trailing", append(slices.Clone(q), 0, 0), Yes},
		{"loop", dnsMsg(1, 0x0100, []string{dnsQ("^12", typeA)}), Yes},
		{"unknown class", append(q[:len(q)-1:len(q)-1], 77), No},
		{"trailing and opcode", append(dnsMsg(1, 0x4800, []string{dnsQ("example.com", typeA)}), 0, 0), No},
		{"no record", dnsMsg(1, 0x0100), No},
		{"cut header", q[:11], No},
		{"empty", nil, No},
		{"netbios", dnsMsg(1, 0x0110, []string{dnsQ(strings.Repeat("CA", 16), 0x20)}), No},
		{"zeros", make([]byte, 100), No},
		{"ones", bytes.Repeat([]byte{1}, 400), No},
		{"text", []byte("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n"), No},
		{"stun", []byte("\x00\x01\x00\x08\x21\x12\xa4\x42aaaaaaaaaaaa\x00\x03\x00\x04\x00\x00\x00\x00"), No},
		{"ntp", append([]byte{0x1b}, make([]byte, 47)...), No},
	} {
		if got := probeDNS(wire.ToServer, c.head); got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
		if c.want == Yes {
			stream := dnsFramed(c.head, c.head)
			for n := range len(stream) {
				got := probeDNSTCP(wire.ToServer, stream[:n])
				if got == No || got == Maybe && n >= 2+len(c.head) {
					t.Errorf("%s: %d bytes: got %v", c.name, n, got)
				}
			}
		}
	}
	for _, head := range []string{"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		"SSH-2.0-OpenSSH_9.6\r\n", "220 mail.example.com ESMTP\r\n", "\x00\x05hello", "\x00\x00\x00\x2d\xffSMBr\x00\x00\x00\x00\x18\x53\xc8\x00"} {
		if got := probeDNSTCP(wire.ToServer, []byte(head)); got != No {
			t.Errorf("%q: got %v", head, got)
		}
	}
}
