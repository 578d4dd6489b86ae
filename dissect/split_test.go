package dissect

import (
	"strings"
	"testing"
)

// TestSplitValues plays values that come in several records, or are longer than what is waited for: each is one value, so that what lies across two
// pieces is found.
func TestSplitValues(t *testing.T) {
	record := func(kind byte, text string) string {
		return string([]byte{1, kind, 0, 1, byte(len(text) >> 8), byte(len(text)), 0, 0}) + text
	}
	long := strings.Repeat("<a b='c'>text</a>", 9000)
	for name, c := range map[string]struct {
		p     *Protocol
		turns []turn
		want  string
	}{
		"fastcgi": {&FastCGI, []turn{
			{toS, record(1, "\x00\x01\x01\x00\x00\x00\x00\x00") + record(4, "\x0e\x04REQUEST_METHODPOST") + record(4, "") + record(5, "secr") + record(5, "et") + record(5, "")},
			{toC, record(6, "Content-type: a/b\r\n\r\nto") + record(7, "oops") + record(6, "ken") + record(6, "") + record(3, strings.Repeat("\x00", 8))},
			{toS, record(1, "\x00\x01\x01\x00\x00\x00\x00\x00") + record(5, "other") + record(5, "")},
		}, "stdin secret|stdout Content-type: a/b\r\n\r\ntoken|stderr oops|stdin other"},
		"nntp": {&NNTP, []turn{
			{toC, "200 news.example.org NNTP ready\r\n"}, {toS, "ARTICLE 1\r\n"}, {toC, "220 1 x\r\nA: b\r\n\r\n..one\r\ntwo\r\n.\r\n"}, {toS, "DATE\r\n"}, {toC, "111 20260101000000\r\n"},
		}, "text A: b\r\n\r\n.one\r\ntwo\r\n"},
		"xmpp": {&XMPP, []turn{
			{toS, "<stream:stream to='a' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'><message to='b'>" + long + "</message><presence/>"},
		}, "stanza <message to='b'>" + long + "</message>|stanza <presence/>"},
	} {
		for _, size := range []int{0, 1, 5, 1447} {
			if size > 0 && size < 1000 && len(c.want) > 10000 {
				continue
			}
			e, err := piecemeal(t, c.p, newEnv(), c.turns, size)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			var got []string
			for _, k := range e.keys {
				got = append(got, k[strings.Index(k, ".")+1:strings.LastIndex(k, " ")]+" "+e.values[k])
			}
			text := "|" + strings.Join(got, "|") + "|"
			for _, want := range strings.Split(c.want, "|") {
				if !strings.Contains(text, "|"+want+"|") {
					t.Errorf("%s in pieces of %d: %d values, without %.60q", name, size, len(got), want)
				}
			}
		}
	}
}
