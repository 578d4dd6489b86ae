package dissect

import (
	"encoding/binary"
	"strings"
	"testing"
)

func pgMessageOf(typ byte, body string) string {
	return string(binary.BigEndian.AppendUint32([]byte{typ}, uint32(len(body)+4))) + body
}

func pgColumnsOf(list ...string) string {
	b := binary.BigEndian.AppendUint16(nil, uint16(len(list)))
	for _, v := range list {
		b = binary.BigEndian.AppendUint32(b, uint32(len(v)))
		b = append(b, v...)
	}
	return string(b)
}

// TestPostgreSQLLarge plays messages that are larger than what is waited for: what is in them is told as it comes.
func TestPostgreSQLLarge(t *testing.T) {
	long := strings.Repeat("0123456789", 7000)
	ready := pgMessageOf('Z', "I")
	turns := []turn{
		{toS, pgMessageOf('Q', "SELECT '"+long+"' FROM shop.orders\x00")},
		{toC, pgMessageOf('D', pgColumnsOf("a", long, "", "b")) + pgMessageOf('D', pgColumnsOf("c")) + pgMessageOf('C', "SELECT 2\x00") + ready},
		{toS, pgMessageOf('P', "s\x00SELECT '"+long+"'\x00\x00\x00") + pgMessageOf('B', "\x00s\x00\x00\x00"+pgColumnsOf("p", long, "q")+"\x00\x00") + pgMessageOf('S', "")},
		{toC, ready},
	}
	want := map[string]string{
		"1 postgresql.query": "SELECT '" + long + "' FROM shop.orders\x00", "1 postgresql.verb": "SELECT",
		"2 postgresql.row": "a\t" + long + "\t\tb|c", "2 postgresql.command": "SELECT 2", "2 postgresql.rows": "2",
		"3 postgresql.name": "s|s", "3 postgresql.query": "SELECT '" + long + "'\x00\x00\x00", "3 postgresql.verb": "SELECT",
		"3 postgresql.parameter": "p|" + long + "|q", "3 postgresql.other": "\x00\x00",
	}
	inPieces(t, &PostgreSQL, turns, want)
}

// inPieces plays turns in pieces of several sizes, and compares what is told: all values of a field in a message, in their order.
func inPieces(t *testing.T, p *Protocol, turns []turn, want map[string]string) {
	t.Helper()
	for _, size := range []int{0, 600, 4099, 65536} {
		e, err := piecemeal(t, p, newEnv(), turns, size)
		if err != nil {
			t.Fatalf("in pieces of %d: %v", size, err)
		}
		got := map[string]string{}
		for _, k := range e.keys {
			w := strings.Fields(k)
			if !strings.HasSuffix(w[2], "/0") {
				continue
			}
			name := w[0] + " " + w[1]
			if have, ok := got[name]; ok {
				got[name] = have + "|" + e.values[k]
			} else {
				got[name] = e.values[k]
			}
		}
		for k, v := range got {
			if want[k] != v {
				t.Errorf("in pieces of %d: %s: got %d bytes %.80q, want %d bytes %.80q", size, k, len(v), v, len(want[k]), want[k])
			}
		}
		for k := range want {
			if _, ok := got[k]; !ok {
				t.Errorf("in pieces of %d: %s is not told", size, k)
			}
		}
		for _, n := range e.codes() {
			t.Errorf("in pieces of %d: %s", size, n)
		}
	}
}
