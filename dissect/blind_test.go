package dissect

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"weir/wire"
)

// watched plays turns to a dissector whole, and reports whether somebody got to see token: in a value that rules look at, in bytes that the engine
// inspects raw, or as bytes that are counted as not looked into.
func watched(p *Protocol, turns []turn, token string) bool {
	env := newEnv()
	d := p.New(p, env)
	seen := map[string]*strings.Builder{}
	up, opaque := false, false
	hear := func(m *Message) {
		up = up || m.Upgrade
		for _, part := range m.Parts {
			if m.Protocol.Fields[part.Field].Derived {
				continue
			}
			k := fmt.Sprintf("%d %d %d %d", m.ID, part.Field, part.Value, part.View)
			if seen[k] == nil {
				seen[k] = new(strings.Builder)
			}
			seen[k].Write(part.Bytes)
		}
	}
	var left [2][]byte
	datagrams := p.Carrier&Stream == 0
	raw := func(b []byte) bool { return strings.Contains(string(b), token) }
	for i, tn := range turns {
		in := append(slices.Clone(left[tn.dir]), tn.data...)
		pr, err := d.Feed(tn.dir, in, hear)
		opaque = opaque || pr.Opaque+pr.Passed > 0
		rest := in[pr.Used:]
		if datagrams {
			if pr.Used == 0 && raw(rest) {
				return true
			}
			rest = nil
		}
		left[tn.dir] = slices.Clone(rest)
		if err != nil || up { // what is left is looked at anew
			if raw(rest) {
				return true
			}
			for _, tn := range turns[i+1:] {
				if raw([]byte(tn.data)) {
					return true
				}
			}
			break
		}
	}
	for dir := range wire.Dir(2) {
		d.Close(dir, hear)
		if len(left[dir]) > 0 {
			pr, _ := d.Feed(dir, left[dir], hear)
			opaque = opaque || pr.Opaque+pr.Passed > 0
			if raw(left[dir][pr.Used:]) {
				return true
			}
		}
	}
	for _, v := range seen {
		if strings.Contains(v.String(), token) {
			return true
		}
	}
	return opaque
}

// swallowing are protocols whose parsers may use up text in place of a message's rest without a word, and why that is little.
var swallowing = map[string]string{
	"tls":    "a hello that is none is a Note",
	"dcerpc": "a bind without a context: 64 KiB at most in each",
	"ldap":   "a message whose members are none: what it is, is told",
	"nfs":    "likewise",
}

// TestNothingIsSwallowed writes text over the rest of each message of the cases, from many places on: somebody gets to see it, or it is counted as
// not looked into.
func TestNothingIsSwallowed(t *testing.T) {
	const token, least = "WEIRTOKEN-7f3a9c", 96 // bytes of text
	for _, c := range loadCases(t) {
		if swallowing[c.protocol.Name] != "" {
			continue
		}
		for k, tn := range c.turns {
			d := tn.data
			for at := 0; len(d)-at >= least && at < 4096; at += 1 + len(d)/120 {
				turns := slices.Clone(c.turns)
				turns[k].data = d[:at] + strings.Repeat(token, len(d)/len(token)+1)[:len(d)-at]
				if !watched(c.protocol, turns, token) {
					t.Errorf("%s: turn %d: nobody sees what is written over it from %d on", c.path, k, at)
					break
				}
			}
		}
	}
}

// TestClear: what is in the clear and says nothing to its receiver is looked into, and not counted as ciphertext.
func TestClear(t *testing.T) {
	d := SSH.New(&SSH, newEnv())
	ignore := "\x00\x00\x00\x14\x04\x02\x00\x00\x00\x09hide this\x00\x00\x00\x00\x00"
	seen := ""
	pr, err := d.Feed(toS, []byte("SSH-2.0-a\r\n"+ignore), func(m *Message) {
		for _, p := range m.Parts {
			seen += string(p.Bytes) + " "
		}
	})
	if err != nil || pr.Opaque != 0 || !strings.Contains(seen, "hide this") {
		t.Errorf("%+v, %v: %q", pr, err, seen)
	}
}
