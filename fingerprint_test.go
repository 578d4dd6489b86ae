package weir_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"weir/alert"
	"weir/daemon"
	"weir/flow"
)

// TestFingerprints: the same card has the same fingerprint in every service, however it is written; another one has another; and what may not
// be kept has none.
func TestFingerprints(t *testing.T) {
	var first string
	card, other := cardNumber(7001), cardNumber(7002)
	json := func(s string) []turn {
		return web("POST / HTTP/1.1", `{"card":"`+s+`"}`, "Content-Type: application/json")
	}
	redis := func(s string) []turn {
		return []turn{{true, []byte(fmt.Sprintf("*3\r\n$3\r\nSET\r\n$6\r\ncard:1\r\n$%d\r\n%s\r\n", len(s), s))}, {false, []byte("+OK\r\n")}}
	}
	for i, c := range []struct {
		name  string
		port  uint16
		turns []turn
		same  bool
	}{
		{"json", 80, json(card), true},
		{"json, in groups", 80, json(groups(card, " ")), true},
		{"json, escaped", 80, json(escapeAll(card)), true},
		{"query, in groups", 80, web("GET /?card="+groups(card, "-")+" HTTP/1.1", ""), true},
		{"query, percent", 80, web("GET /?card="+percentAll(groups(card, "-"))+" HTTP/1.1", ""), true},
		{"redis", 6379, redis(card), true},
		{"redis, in groups", 6379, redis(groups(card, "-")), true},
		{"syslog", 514, []turn{{true, []byte("<13>Oct 11 22:14:15 host app: card " + card + " declined\n")}}, true},
		{"base64", 80, web("POST / HTTP/1.1", `{"x":"`+base64.StdEncoding.EncodeToString([]byte("the card is "+card+" and no other"))+`"}`, "Content-Type: application/json"), true},
		{"another card", 80, json(other), false},
	} {
		// One run for each, as by three services on one host: the key is kept between them.
		r := daemon.Replay{Builtin: true, Checksum: flow.ChecksumAuto, Output: "json"}
		set, problems := r.LoadRules()
		if problems.Failed() {
			t.Fatal(problems.Err())
		}
		d := &dialogue{client: uint16(20000 + i), srv: c.port}
		for _, u := range c.turns {
			d.actions = append(d.actions, action{kind: "data", client: u.client, data: string(u.data)})
		}
		path := filepath.Join(t.TempDir(), "card.pcap")
		writePcap(t, path, play(t, d, ways[0], wrappings()[0]))
		var text bytes.Buffer
		r.Stdout, r.Stderr = &text, &text
		if _, err := r.Run(set, []string{path}); err != nil {
			t.Fatal(err)
		}
		prints := map[string]bool{}
		for line := range bytes.Lines(text.Bytes()) {
			if ev, err := alert.ParseEVE(line); err == nil {
				for _, m := range ev.Weir.Matches {
					if strings.HasPrefix(ev.Weir.Rule, "pci.pan") {
						prints[m.Fingerprint] = true
					}
				}
			}
		}
		if len(prints) != 1 || prints[""] {
			t.Errorf("%s: got the fingerprints %v, want one", c.name, prints)
		}
		for p := range prints {
			if i == 0 {
				first = p
			}
			if (p == first) != c.same {
				t.Errorf("%s: got %s, the first was %s", c.name, p, first)
			}
		}
	}
}
