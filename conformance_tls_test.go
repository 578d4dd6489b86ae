package weir_test

import (
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"weir/alert"
	"weir/dissect"
	"weir/flow"
	"weir/wire"
)

// tlsSpy notes every value that a TLS dissector emits, also those that stand in no event.
type tlsSpy struct {
	dissect.Dissector
	values map[string][]string
	last   **tlsSpy // the one whose event is told next
}

func (s *tlsSpy) see(emit func(*dissect.Message)) func(*dissect.Message) {
	*s.last = s
	return func(m *dissect.Message) {
		for _, p := range m.Parts {
			name := m.Protocol.Fields[p.Field].Name
			s.values[name] = append(s.values[name], string(p.Bytes))
		}
		emit(m)
	}
}

func (s *tlsSpy) Feed(dir wire.Dir, data []byte, emit func(*dissect.Message)) (dissect.Progress, error) {
	return s.Dissector.Feed(dir, data, s.see(emit))
}

func (s *tlsSpy) Gap(dir wire.Dir, n int, emit func(*dissect.Message)) bool {
	return s.Dissector.Gap(dir, n, s.see(emit))
}

func (s *tlsSpy) Close(dir wire.Dir, emit func(*dissect.Message)) {
	s.Dissector.Close(dir, s.see(emit))
}

// tlsSeen is one exchange of a capture.
type tlsSeen struct {
	a, b   netip.AddrPort
	values map[string][]string
}

// tlsOf returns the TLS exchanges of a capture.
func tlsOf(t *testing.T, path string) (seen []tlsSeen) {
	t.Helper()
	var last *tlsSpy
	for _, p := range []*dissect.Protocol{&dissect.TLS, &dissect.QUIC, &dissect.DTLS, &dissect.OpenVPN, &dissect.OpenVPNTCP} {
		make := p.New
		defer func() { p.New = make }()
		p.New = func(p *dissect.Protocol, env *dissect.Env) dissect.Dissector {
			all := *env
			all.Want = slices.Repeat([]bool{true}, len(dissect.FieldNames))
			return &tlsSpy{make(p, &all), map[string][]string{}, &last}
		}
	}
	stack := replayFile(t, path, nil, flow.ChecksumIgnore, []string{"tls", "quic", "dtls", "openvpn"}, func(ev *alert.Event) {
		if last != nil {
			seen = append(seen, tlsSeen{ev.Src, ev.Dst, last.values})
		}
	})
	if stack != "" {
		t.Errorf("%s: panic: %s", path, stack)
	}
	return seen
}

// tlsColumns are the columns of the table and their fields.
var tlsColumns = []struct{ column, field string }{
	{"sni", "tls.sni"}, {"alpn", "tls.alpn"}, {"version", "tls.version"}, {"cipher", "tls.cipher"},
	{"ja3", "tls.ja3"}, {"ja3s", "tls.ja3s"}, {"ja4", "tls.ja4"},
}

// tlsAgrees reports whether an exchange has the value that a row wants of a column.
func tlsAgrees(values map[string][]string, column, field string, row map[string]string) (got string, ok bool) {
	got, want := strings.Join(values[field], ";"), row[column]
	switch column {
	case "version":
		if got != "" || len(values["tls.ja3_string"]) == 0 {
			return got, tlsVersionText(got) == tlsVersionText(want)
		}
		// no server answered: some tell the client's highest version then, some what stands in its hello
		got = values["tls.client_version"][0]
		legacy, _, _ := strings.Cut(values["tls.ja3_string"][0], ",")
		return got, tlsVersionText(got) == tlsVersionText(want) || tlsLegacy[legacy] == tlsVersionText(want)
	case "ja4":
		if row["source"] == "ndpi" {
			return got, ja4Alike(got) == ja4Alike(want)
		}
	}
	return got, strings.EqualFold(got, want)
}

// tlsLegacy are versions as JA3's string has them.
var tlsLegacy = map[string]string{"768": "ssl3", "769": "tls10", "770": "tls11", "771": "tls12"}

// ja4Alike blanks what nDPI wrote otherwise than FoxIO's text says when it made the table: the letter for the server
// name was about any name known for the address, the last character of ALPN was its second, a GREASE version was 00, an
// empty list was hashed.
func ja4Alike(v string) string {
	if len(v) < 10 {
		return v
	}
	v = v[:1] + "??" + "?" + v[4:9] + "?" + v[10:]
	return strings.ReplaceAll(v, "e3b0c44298fc", "000000000000")
}

// tlsVersionText makes spellings alike: "TLSv1.2", "TLSv12" and "TLS 1.2" are "tls12".
func tlsVersionText(v string) string {
	v = strings.NewReplacer("v", "", ".", "", " ", "", "-", "").Replace(strings.ToLower(v))
	if v == "tls1" {
		v = "tls10"
	}
	return v
}

func TestConformanceTLS(t *testing.T) {
	dir := corpus(t)
	captures := map[string][]tlsSeen{}
	met, all := map[string]int{}, map[string]int{}
	missed := map[string]int{}
	for _, row := range table(t, dir+"/tls/expected.csv") {
		seen, ok := captures[row["pcap"]]
		if !ok {
			seen = tlsOf(t, filepath.Join(dir, row["pcap"]))
			captures[row["pcap"]] = seen
		}
		n, of := tlsRow(t, row, seen, missed)
		met[row["l4"]] += n
		all[row["l4"]] += of
	}
	t.Log("missed by column:", missed)
	score(t, "tls", met["tcp"]+met[""], all["tcp"]+all[""])
	score(t, "tls_datagrams", met["udp"], all["udp"]) // DTLS, QUIC
}

// tlsRow compares a row with the exchange of its flow that agrees best.
func tlsRow(t *testing.T, row map[string]string, seen []tlsSeen, missed map[string]int) (met, all int) {
	a, b := endOf(t, row["a_ip"], row["a_port"]), endOf(t, row["b_ip"], row["b_port"])
	best, wrong := -1, []string(nil)
	try := func(values map[string][]string) {
		n, bad := 0, []string(nil)
		for _, c := range tlsColumns {
			want := row[c.column]
			if want == "" {
				continue
			}
			got, ok := tlsAgrees(values, c.column, c.field, row)
			if ok {
				n++
			} else {
				bad = append(bad, c.column+": got "+strconv.Quote(got)+", want "+strconv.Quote(want))
			}
		}
		if n > best {
			best, wrong = n, bad
		}
	}
	try(nil)
	for _, s := range seen {
		if s.a == a && s.b == b || s.a == b && s.b == a {
			try(s.values)
		}
	}
	for _, w := range wrong {
		column, _, _ := strings.Cut(w, ":")
		missed[column]++
		t.Logf("%s %s %s: %s", row["pcap"], a, b, w)
	}
	return best, best + len(wrong)
}

func endOf(t *testing.T, ip, port string) netip.AddrPort {
	t.Helper()
	a, err := netip.ParseAddr(ip)
	if err != nil {
		t.Fatal(err)
	}
	p, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		t.Fatal(err)
	}
	return netip.AddrPortFrom(a, uint16(p))
}
