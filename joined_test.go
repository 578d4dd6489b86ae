package weir_test

import (
	"bytes"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"weir/daemon"
	"weir/flow"
)

// question is a query of DNS for a name.
func question(id, typ uint16, name string) string {
	b := binary.BigEndian.AppendUint16(nil, id)
	b = append(b, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0)
	for _, l := range strings.Split(name, ".") {
		b = append(append(b, byte(len(l))), l...)
	}
	b = binary.BigEndian.AppendUint16(append(b, 0), typ)
	return string(binary.BigEndian.AppendUint16(b, 1))
}

// pieces cuts a text.
func pieces(s string, n int) (out []string) {
	for ; len(s) > n; s = s[n:] {
		out = append(out, s[:n])
	}
	return append(out, s)
}

// TestJoinedNames: a card's number that leaves in the names of several queries, each from a port of its own, is found once, however it is written in them; what goes to
// different domains is not put together.
func TestJoinedNames(t *testing.T) {
	card := cardNumber(77)
	text := "card_number=" + card + ";holder=jane"
	b32 := base32.StdEncoding.WithPadding(base32.NoPadding)
	below := func(parts []string, format string) (out []string) {
		for i, p := range parts {
			out = append(out, strings.NewReplacer("N", fmt.Sprint(i), "P", p).Replace(format))
		}
		return out
	}
	each := func(n int, enc func([]byte) string) (out []string) {
		for _, p := range pieces(text, n) {
			out = append(out, enc([]byte(p)))
		}
		return out
	}
	for _, c := range []struct {
		name  string
		names []string
		found bool
	}{
		{"digits", below(pieces(card, 8), "P.evil.example"), true},
		{"digits, behind others", append([]string{"begin-of-all.evil.example"}, below(pieces(card, 8), "P.evil.example")...), true},
		{"digits, numbered", below(pieces(card, 6), "N.P.evil.example"), true},
		{"digits, in fours", below(pieces(card, 4), "P.evil.example"), true},
		{"digits, in threes", below(pieces(card, 3), "P.evil.example"), false}, // names as short are ordinary ones
		{"hexadecimal", below(pieces(hex.EncodeToString([]byte(text)), 30), "P.evil.example"), true},
		{"hexadecimal, odd", below(pieces(hex.EncodeToString([]byte(text)), 13), "P.n.evil.example"), true},
		{"hexadecimal, each", below(each(7, hex.EncodeToString), "N.P.evil.example"), true},
		{"base32", below(pieces(strings.ToLower(b32.EncodeToString([]byte(text))), 16), "P.evil.example"), true},
		{"base32, behind others", append([]string{"somethingelse.evil.example"}, below(pieces(b32.EncodeToString([]byte(text)), 21), "P.evil.example")...), true},
		{"base32, each", below(each(11, func(b []byte) string { return strings.ToLower(b32.EncodeToString(b)) }), "P.x.evil.example"), true},
		{"base64", below(pieces(base64.RawURLEncoding.EncodeToString([]byte(text)), 15), "P.evil.example"), true},
		{"base64, each", below(each(10, base64.RawURLEncoding.EncodeToString), "P.evil.example"), true},
		{"other domains", below(pieces(card, 8), "P.evilN.example"), false},
		{"one query", below([]string{card}, "P.evil.example"), true},
	} {
		var frames [][]byte
		for i, name := range c.names {
			for k, typ := range []uint16{1, 28} {
				d := &dialogue{udp: true, client: uint16(20000 + 2*i + k), srv: 53, actions: []action{{kind: "data", client: true, data: question(uint16(i), typ, name)}}}
				frames = append(frames, play(t, d, ways[0], wrappings()[0])...)
			}
		}
		path := filepath.Join(t.TempDir(), "names.pcap")
		writePcap(t, path, frames)
		var out bytes.Buffer
		r := daemon.Replay{Builtin: true, Checksum: flow.ChecksumAuto, Output: "json", Stdout: &out, Stderr: &out}
		set, problems := r.LoadRules()
		if problems.Failed() {
			t.Fatal(problems.Err())
		}
		if _, err := r.Run(set, []string{path}); err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(out.Bytes(), []byte(card)) {
			t.Errorf("%s: the number is shown", c.name)
		}
		var fields []string
		for _, line := range bytes.Split(bytes.TrimSpace(out.Bytes()), []byte("\n")) {
			var ev struct {
				Type string `json:"event_type"`
				Weir struct {
					Rule    string
					Matches []struct{ Field string }
				}
			}
			if err := json.Unmarshal(line, &ev); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			if ev.Type == "alert" && ev.Weir.Rule == "pci.pan" {
				fields = append(fields, ev.Weir.Matches[0].Field)
			}
		}
		if c.found != slices.Equal(fields, []string{"dns.labels"}) {
			t.Errorf("%s: found in %v of %q", c.name, fields, c.names)
		}
	}
}
