package content

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"weir/dissect"
)

// speaks is what a test's rules would ask for.
func speaks(name []byte) bool { return bytes.Contains(bytes.ToLower(name), []byte("card")) }

// cellsOf returns what the view shows that is first to show something behind a name.
func cellsOf(t *testing.T, value string, n int) string {
	t.Helper()
	for _, text := range shownOf(t, value, n) {
		if strings.Contains(text, "=") {
			return text
		}
	}
	return ""
}

// shownOf returns what each view shows of a value that comes in pieces of n bytes, to rules that speak of cards.
func shownOf(t *testing.T, value string, n int) (texts []string) {
	t.Helper()
	o := New(dissect.DefaultLimits)
	o.Speaks = speaks
	var st State
	wants := make(dissect.Wants, len(dissect.FieldNames))
	wants[dissect.RawBytes] = true
	out, shown := map[uint8]string{}, map[uint8][]dissect.Shift{}
	emit := func(m *dissect.Message) {
		for _, p := range m.Parts {
			shifts := append(shown[p.View], p.Shifts...)
			shown[p.View] = shifts
			out[p.View] += string(p.Bytes)
			if p.Shifts[0].Out >= 0 {
				continue // decoded text
			}
			for i, c := range p.Bytes { // what has a place in the value stands there
				var s *dissect.Shift
				for k := range shifts {
					if shifts[k].At <= p.Off+int64(i) {
						s = &shifts[k]
					}
				}
				if s.Out == 1 && c != '\n' && value[s.Begin(p.Off+int64(i))] != c {
					t.Fatalf("%q is said to stand at %d", c, s.Begin(p.Off+int64(i)))
				}
			}
		}
	}
	for at := 0; at < len(value); at += n {
		end := min(at+n, len(value))
		m := dissect.Message{Protocol: &dissect.Raw, ID: 1, End: end == len(value),
			Parts: []dissect.Part{{Field: dissect.RawBytes, Off: int64(at), Bytes: []byte(value[at:end]), More: end < len(value)}}}
		o.Open(&st, &m, wants, emit)
	}
	if !st.Empty() || st.Size() != 0 {
		t.Errorf("%d bytes are kept", st.Size())
	}
	for _, v := range slices.Sorted(maps.Keys(out)) {
		texts = append(texts, out[v])
	}
	return texts
}

func TestCSV(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"id,card_number,name\n1,4111,Ann\n2,4222,Bob\n", "card_number=4111\ncard_number=4222\n"},
		{"id;\"Card No\";name;CARD2\r\n1;\"41;11\";Ann;x\r\n2;\"a\"\"b\";;y", "Card No=41;11\nCARD2=x\nCard No=a\"b\nCARD2=y\n"},
		{"card\tx\n1\n\n2\t3\t4\n", "card=1\ncard=2\n"},
		{"\xef\xbb\xbfcard,other\n1,2\n", "card=1\n"},
		{"id,name\n1,2\n", ""},
		{"A card, and more of them.\nno table\n", "A card=no table\n"}, // it might be one
		{"card: 1, 2\n3,4\n", ""},
		{"card\n1\n", ""},
		{"card,x", ""},
		{`{"card":1,` + "\n2}", ""},
		{"--b\r\nContent-Disposition: form-data; name=\"id\"\r\n\r\n1\r\n--b\r\ncontent-disposition: form-data; name=\"card\"; x=y\r\nX: y\r\n\r\n41\r\n11\r\n--b--\r\n", "card=41\r\n11"},
		{"--b\r\nContent-Disposition: form-data; name=\"id\"; note=\"card\"\r\n\r\n1\r\n--b--\r\n", ""},
	} {
		for _, n := range []int{len(c.in), 1, 3, 10} {
			if got := cellsOf(t, c.in, n); !strings.HasPrefix(got, c.want) || c.want == "" && got != "" {
				t.Errorf("%q in pieces of %d: got %q, want %q", c.in, n, got, c.want)
			}
		}
	}
}

// TestRows: cells of a result are shown behind the names of their columns, however rows are cut.
func TestRows(t *testing.T) {
	p := dissect.Protocols[slices.IndexFunc(dissect.Protocols, func(p *dissect.Protocol) bool { return p.Name == "postgresql" && p.New != nil })]
	column := slices.IndexFunc(p.Fields, func(f dissect.FieldSpec) bool { return f.Table == dissect.ColumnName })
	row := slices.IndexFunc(p.Fields, func(f dissect.FieldSpec) bool { return f.Table == dissect.RowOfCells })
	wants := make(dissect.Wants, len(dissect.FieldNames))
	wants[p.Base+row] = true
	part := func(f int, value uint32, text string) dissect.Part {
		return dissect.Part{Field: dissect.Field(f), Value: value, Bytes: []byte(text)}
	}
	for n := range 9 {
		o := New(dissect.DefaultLimits)
		o.Speaks = speaks
		var st State
		var got strings.Builder
		emit := func(m *dissect.Message) {
			fmt.Fprintf(&got, "%d %s", m.Parts[0].Value, m.Parts[0].Bytes)
		}
		m := dissect.Message{Protocol: p, ID: 3, Parts: []dissect.Part{part(column, 1, "id"), part(column, 2, "card"), part(column, 3, "note"), part(column, 4, "old_card")}}
		o.Open(&st, &m, wants, emit)
		m.Parts = []dissect.Part{part(row, 5, "1\t4111\tx\t9"), part(row, 6, "2\t\ty\t8"), part(row, 7, "3\t7"), part(row, 8, "")}
		o.Open(&st, &m, wants, emit)
		text := "4\t4222\tz\t"
		m.Parts = []dissect.Part{{Field: dissect.Field(row), Value: 9, Bytes: []byte(text[:n]), More: true}}
		o.Open(&st, &m, wants, emit)
		m.Parts = []dissect.Part{{Field: dissect.Field(row), Value: 9, Bytes: []byte(text[n:]), Off: int64(n)}}
		m.End = true
		o.Open(&st, &m, wants, emit)
		if want := "5 card=4111\nold_card=9\n6 old_card=8\n7 card=7\n9 card=4222\n"; got.String() != want {
			t.Errorf("cut at %d: got %q, want %q", n, got.String(), want)
		}
		if !st.Empty() || st.Size() != 0 {
			t.Errorf("%d bytes are kept", st.Size())
		}
	}
}
