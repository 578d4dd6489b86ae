package content

import (
	"archive/zip"
	"bytes"
	"fmt"
	"strings"
	"testing"

	"weir/dissect"
)

// bookOf is an archive of members in this order: name, text, name, text.
func bookOf(t testing.TB, members ...string) string {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for i := 0; i < len(members); i += 2 {
		f, err := w.Create(members[i])
		if err != nil {
			t.Fatal(err)
		}
		f.Write([]byte(members[i+1]))
	}
	w.Close()
	return b.String()
}

const (
	bookSheet = `<?xml version="1.0"?><worksheet><sheetData>` +
		`<row r="1"><c r="A1" t="s"><v>0</v></c></row>` + // a title
		`<row r="3"><c r="A3" t="s"><v>1</v></c><c r="B3" s="1" t="s"><v>2</v></c><c r="D3" t="s"><v>3</v></c></row>` +
		`<row r="4"><c r="A4"><v>7</v></c><c r="B4" t="s"><v>4</v></c><c r="C4"/><c r="D4"><v>41110002</v></c></row>` +
		`<row r="5"><c r="A5"><v>8</v></c><c r="B5" t="s"><v>5</v></c><c r="D5"><v>41110003</v></c><c r="E5" t="b"><v>1</v></c></row>` +
		`</sheetData></worksheet>`
	bookStrings = `<sst count="6"><si><t>Report</t></si><si><t>id</t></si><si><t xml:space="preserve">Card &amp; no</t></si><si><t>old card</t><rPh sb="0"><t>x</t></rPh></si>` +
		`<si><r><t>4111</t></r><r><t> 0000</t></r></si><si><t>a&lt;b</t></si></sst>`
	inlineSheet = `<x:worksheet><x:sheetData><x:row><x:c t="inlineStr"><x:is><x:t>name</x:t></x:is></x:c><x:c t="inlineStr"><x:is><x:t>card</x:t></x:is></x:c></x:row>` +
		`<x:row><x:c t="inlineStr"><x:is><x:t>Ann</x:t></x:is></x:c><x:c><x:v>4111</x:v></x:c></x:row></x:sheetData></x:worksheet>`
)

// TestWorkbook: cells of a worksheet are shown behind the names of their columns, wherever the workbook keeps its texts.
func TestWorkbook(t *testing.T) {
	const sheet, shared = "xl/worksheets/sheet1.xml", "xl/sharedStrings.xml"
	for name, c := range map[string]struct {
		book string
		want []string // lines, in any order
	}{
		"strings last":  {bookOf(t, "[Content_Types].xml", "<Types/>", sheet, bookSheet, shared, bookStrings), []string{"Card & no=4111 0000", "Card & no=a<b", "old card=41110002", "old card=41110003"}},
		"strings first": {bookOf(t, shared, bookStrings, sheet, bookSheet), []string{"Card & no=4111 0000", "Card & no=a<b", "old card=41110002", "old card=41110003"}},
		"inline":        {bookOf(t, sheet, inlineSheet), []string{"card=4111"}},
		"no strings":    {bookOf(t, sheet, bookSheet), nil},
		"other":         {bookOf(t, "a.xml", bookSheet, shared, bookStrings), nil},
		"a comment":     {bookOf(t, sheet, strings.Replace(bookSheet, "<row", `<!-- it's "so --><row`, 1), shared, bookStrings), []string{"old card=41110002"}},
		"two sheets":    {bookOf(t, sheet, inlineSheet, "xl/worksheets/sheet2.xml", bookSheet, shared, bookStrings), []string{"card=4111", "Card & no=a<b", "old card=41110003"}},
	} {
		for _, n := range []int{len(c.book), 1, 7, 100} {
			got := cellsShown(t, c.book, n)
			for _, w := range c.want {
				if !strings.Contains(got, w+"\n") {
					t.Errorf("%s in pieces of %d: no %q in %q", name, n, w, got)
				}
			}
			if len(c.want) == 0 && strings.Contains(got, "=4") || strings.Contains(got, "=7\n") || strings.Contains(got, "name=") {
				t.Errorf("%s in pieces of %d: %q", name, n, got)
			}
		}
	}
}

// cellsShown returns all lines that begin with a column's name.
func cellsShown(t *testing.T, value string, n int) string {
	t.Helper()
	var b strings.Builder
	for _, text := range shownOf(t, value, n) {
		for line := range strings.Lines(text) {
			if strings.Contains(line, "=") { // the first follows what came before, with nothing between
				b.WriteString(line)
			}
		}
	}
	return b.String()
}

// TestWorkbookLong: texts that are not kept have no others take their numbers.
func TestWorkbookLong(t *testing.T) {
	var shared strings.Builder
	shared.WriteString("<sst><si><t>card</t></si>")
	kept := maxBookKept / 1000
	for range kept + 10 {
		shared.WriteString("<si><t>" + strings.Repeat("x", 1000) + "</t></si>")
	}
	shared.WriteString("<si><t>short</t></si></sst>")
	sheet := fmt.Sprintf(`<row><c r="A1" t="s"><v>0</v></c></row><row><c r="A2"><v>4111</v></c></row><row><c r="A3" t="s"><v>%d</v></c></row>`, kept+1)
	if got := cellsShown(t, bookOf(t, "xl/sharedStrings.xml", shared.String(), "xl/worksheets/sheet1.xml", sheet), 1<<20); !strings.Contains(got, "card=4111\n") || strings.Contains(got, "card=short") {
		t.Errorf("got %.100q", got)
	}
}

// TestWorkbookBounds: whatever a workbook claims, what is kept of it is bounded, and it takes no longer than its bytes.
func TestWorkbookBounds(t *testing.T) {
	b := newBook(func([]byte) bool { return true })
	take := b.member("xl/worksheets/sheet1.xml", 0)
	for i := range 200_000 {
		fmt.Fprintf(takes(take), `<row><c r="%c%c1" t="s"><v>%d</v></c><c t="inlineStr"><is><t>%s</t></is></c>`, 'A'+i%26, 'A'+i/26%26, i, strings.Repeat("y", i%300))
	}
	take = b.member("xl/sharedStrings.xml", 0)
	for i := range 1_000_000 {
		if i%3 == 0 {
			take([]byte("<si/>"))
		} else {
			take([]byte("<si><t>z"))
		}
	}
	b.waiting()
	if n := b.size(); n > 4<<20 {
		t.Errorf("%d bytes are kept", n)
	}
}

// takes is a writer.
type takes func([]byte)

func (f takes) Write(b []byte) (int, error) { f(b); return len(b), nil }

// FuzzWorkbook: whatever stands in the members of a workbook, what is shown of it is the same however they are cut.
func FuzzWorkbook(f *testing.F) {
	f.Add(bookSheet, bookStrings, 5)
	f.Add(inlineSheet, bookStrings, 1)
	f.Add(`<row><c r="ZZZ9" t='s'><v>4294967295</v></c><c t="str"><v>&#x10FFFF;card</v></c>`, `<si/><si><rPh><t>x</si>`, 2)
	f.Fuzz(func(t *testing.T, sheet, shared string, n int) {
		if len(sheet)+len(shared) > 1<<14 {
			return
		}
		show := func(n int) string {
			var out strings.Builder
			for _, order := range [][]string{{"xl/worksheets/sheet1.xml", sheet, "xl/sharedStrings.xml", shared}, {"xl/sharedStrings.xml", shared, "xl/worksheets/a.xml", sheet}} {
				b := newBook(speaks)
				for i := 0; i < len(order); i += 2 {
					take := b.member(order[i], 0)
					for text := order[i+1]; len(text) > 0; {
						k := min(n, len(text))
						take([]byte(text[:k]))
						text = text[k:]
					}
					b.waiting()
					fmt.Fprintf(&out, "%s %v\n", b.out, b.shifts)
					b.out, b.shifts = b.out[:0], b.shifts[:0]
				}
				if b.size() > 2<<20 {
					t.Fatalf("%d bytes are kept", b.size())
				}
			}
			return out.String()
		}
		if whole, got := show(1<<20), show(1+n&0xff); got != whole {
			t.Fatalf("in pieces %q, whole %q", got, whole)
		}
	})
}

// TestWorkbookPlaces: a cell has one place, whether it is shown as it is written, as text or behind the name of its column: it is one finding.
func TestWorkbookPlaces(t *testing.T) {
	long := strings.Replace(bookSheet, `<row r="4">`, strings.Repeat(`<row><c r="D9"><v>52220000</v></c></row>`, 3000)+`<row r="4">`, 1)
	for _, value := range []string{bookOf(t, "xl/worksheets/sheet1.xml", bookSheet, "xl/sharedStrings.xml", bookStrings), bookOf(t, "x", "y", "xl/sharedStrings.xml", bookStrings, "xl/worksheets/sheet1.xml", bookSheet),
		bookOf(t, "xl/worksheets/sheet1.xml", long, "xl/sharedStrings.xml", bookStrings)} {
		o := New(dissect.DefaultLimits)
		o.Speaks = speaks
		places, shown := map[int64]bool{}, 0
		wants := make(dissect.Wants, len(dissect.FieldNames))
		wants[dissect.RawBytes] = true
		var st State
		m := dissect.Message{Protocol: &dissect.Raw, ID: 1, End: true, Parts: []dissect.Part{{Field: dissect.RawBytes, Bytes: []byte(value)}}}
		o.Open(&st, &m, wants, func(m *dissect.Message) {
			for _, p := range m.Parts {
				if bytes.Contains(p.Bytes, []byte("old card=")) && len(p.Shifts) > 2*sheetCellsOnce+1 {
					t.Errorf("a piece of %d bytes has %d places", len(p.Bytes), len(p.Shifts))
				}
				for _, text := range []string{"41110002", "old card=41110002"} {
					i := bytes.Index(p.Bytes, []byte(text))
					if i < 0 {
						continue
					}
					at := p.Off + int64(i+len(text)-8)
					s := p.Shifts[0]
					for _, next := range p.Shifts {
						if next.At <= at {
							s = next
						}
					}
					places[s.Begin(at)] = true
					shown++
				}
			}
		})
		if shown != 4 || len(places) != 1 {
			t.Errorf("shown %d times, at %v", shown, places)
		}
	}
}
