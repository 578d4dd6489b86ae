package content

import (
	"bytes"
	"encoding/binary"
	"strconv"
	"strings"
	"unicode/utf8"

	"weir/dissect"
)

// ours
const (
	maxSheetColumns = 256       // of a workbook, those with a text near their top
	headRows        = 8         // of a sheet, in which the name of a column may stand: some have a title above
	headsEach       = 3         // texts of a column that may be its name
	maxSheetCell    = 1 << 10   // bytes; of longer cells the beginning is shown
	maxBookStrings  = 1 << 15   // shared strings of which the column is kept
	maxBookKept     = 512 << 10 // bytes of cells that wait for the names of their columns, and as many of what is shown behind them
	maxBookShown    = 1 << 15   // cells that are shown at the end of a member
	sheetCellsOnce  = 128       // of these, in a piece
	sheetCellSize   = 24        // bytes that a string's column is counted for
)

// book is the worksheets of a workbook (ECMA-376, part 1, 18.3 and 18.4) that is being unpacked. As of other tables, cells of columns whose names say
// what stands in them are shown once more, each behind the name. Texts stand in a member of their own, which sheets name by number; as a rule it
// comes after them. So of cells that wait for it only the number and the column are kept. What is beyond the bounds is shown without names, as
// all of it is.
type book struct {
	speaks func(name []byte) bool
	cols   []sheetColumn
	of     map[uint32]uint16 // column by number of a shared string, where it stood first
	heads  map[uint32]bool   // numbers of those that may be names
	some   bool              // there was a sheet
	told   bool              // the strings have come
	wait   []byte            // cells of columns whose names are not known yet: column, length, text
	texts  []byte            // of the strings that came before the sheets
	ends   []uint32
	places []int64
	out    []byte          // lines to be shown
	shifts []dissect.Shift // where their cells stand in what was unpacked before

	xml  elements
	cell sheetCell
	text []byte // of the element at hand
	from int64  // where it stands in what is unpacked
	in   bool   // text counts now
	skip bool   // how a text is pronounced
	at   uint32 // number of the string at hand
}

// sheetColumn is a column of a sheet.
type sheetColumn struct {
	heads [headsEach]uint32 // numbers of the shared strings that may be its name
	n     int               // of these
	name  string            // that says what stands in it; "" if none does so far
}

// sheetCell is where a sheet is read.
type sheetCell struct {
	kind  string // of the cell, as its attribute t says
	col   int
	row   int
	known map[int]int // by column of the sheet: index into cols
}

func newBook(speaks func([]byte) bool) *book {
	if speaks == nil {
		return nil
	}
	return &book{speaks: speaks, of: map[uint32]uint16{}, heads: map[uint32]bool{}}
}

// size is what it keeps.
func (b *book) size() int {
	if b == nil {
		return 0
	}
	return len(b.of)*sheetCellSize + cap(b.wait) + cap(b.texts) + cap(b.out) + 24*cap(b.shifts) + 4*cap(b.ends) + 8*cap(b.places) + len(b.cols)*96
}

// member returns what takes the bytes of an archive's member, the first of which stands at an offset of all that is unpacked; nil: they are of no
// interest.
func (b *book) member(name string, at int64) func([]byte) {
	if b == nil || !strings.HasPrefix(name, "xl/") || !strings.HasSuffix(name, ".xml") {
		return nil
	}
	b.xml, b.text, b.in, b.skip = elements{at: at}, b.text[:0], false, false
	switch {
	case strings.HasPrefix(name, "xl/worksheets/"):
		b.some = true
		b.cell = sheetCell{known: map[int]int{}}
		return func(p []byte) { b.xml.push(p, b.sheetTag, b.take) }
	case strings.EqualFold(name, "xl/sharedStrings.xml") && !b.told:
		b.told, b.at = true, 0
		return func(p []byte) { b.xml.push(p, b.stringTag, b.take) }
	}
	return nil
}

// show gives what is to be shown of the member that ended: a member more. Its cells have the places of those that they stand for.
func (b *book) show(name string, out *output) error {
	if b == nil {
		return nil
	}
	if b.told {
		b.waiting()
	}
	if len(b.out) == 0 {
		return nil
	}
	out.begin(name)
	out.now.own = true
	err := b.send(out, out.total)
	b.out, b.shifts = b.out[:0], b.shifts[:0]
	if err != nil {
		return err
	}
	return out.end()
}

// send gives the lines, some at once: whoever looks for the place of a finding goes through the shifts of a piece. at is where the first one begins.
func (b *book) send(out *output, at int64) error {
	for from, i := 0, 0; from < len(b.out); {
		next, to := min(i+2*sheetCellsOnce, len(b.shifts)), len(b.out)
		if next < len(b.shifts) {
			to = int(b.shifts[next].At)
		}
		for _, s := range b.shifts[i:next] {
			if s.Delta != 0 { // else it is a name, and stands here
				s.Delta -= at + s.At
			}
			out.shifts = append(out.shifts, s)
		}
		if err := out.send(b.out[from:to]); err != nil {
			return err
		}
		from, i = to, next
	}
	return nil
}

func (b *book) take(p []byte) {
	if b.in {
		if len(b.text) == 0 {
			b.from = b.xml.at
		}
		b.text = append(b.text, p[:min(len(p), maxSheetCell-len(b.text))]...)
	}
}

// sheetTag takes a tag of a worksheet.
func (b *book) sheetTag(tag []byte) {
	c := &b.cell
	switch name, closes := tagName(tag); {
	case name == "row" && !closes:
		c.row++
		c.col = 0
	case name == "c" && !closes:
		c.kind = attribute(tag, "t")
		if n := columnNumber(attribute(tag, "r")); n > 0 {
			c.col = n
		} else {
			c.col++
		}
		b.text, b.in = b.text[:0], false
	case name == "v" || name == "t":
		b.in = !closes && tag[len(tag)-1] != '/'
	case name == "c":
		b.in = false
		if len(b.text) > 0 {
			b.ended()
		}
		b.text = b.text[:0]
	}
}

// ended takes the cell at hand.
func (b *book) ended() {
	c := &b.cell
	shared := c.kind == "s"
	i, ok := c.known[c.col]
	if !ok {
		if !shared && c.kind != "inlineStr" && c.kind != "str" || c.row > headRows || len(b.cols) == maxSheetColumns {
			return
		}
		i = len(b.cols)
		b.cols = append(b.cols, sheetColumn{})
		c.known[c.col] = i
	}
	col := &b.cols[i]
	switch {
	case shared:
		n, err := strconv.ParseUint(string(b.text), 10, 32)
		if err != nil {
			return
		}
		b.shared(i, uint32(n))
	case c.kind == "b" || c.kind == "e":
	default:
		text := unescape(b.text)
		if c.kind != "" && c.kind != "n" && col.name == "" && c.row <= headRows && b.names(text) {
			col.name = string(text)
			return
		}
		b.value(i, text, b.from)
	}
}

// shared takes a cell of a column whose text is a shared string.
func (b *book) shared(i int, n uint32) {
	col := &b.cols[i]
	if b.told { // they came before
		if int(n) >= len(b.ends) {
			return
		}
		from := uint32(0)
		if n > 0 {
			from = b.ends[n-1]
		}
		text := b.texts[from:b.ends[n]]
		if col.name == "" && b.cell.row <= headRows && b.names(text) {
			col.name = string(text)
			return
		}
		b.value(i, text, b.places[n])
		return
	}
	if b.cell.row <= headRows && col.n < headsEach {
		col.heads[col.n] = n
		col.n++
		b.heads[n] = true
	}
	if _, ok := b.of[n]; !ok && len(b.of) < maxBookStrings {
		b.of[n] = uint16(i)
	}
}

// names reports whether a text is a column's name that says what stands in it.
func (b *book) names(text []byte) bool {
	return len(text) > 0 && len(text) <= maxColumnName && b.speaks(text)
}

// value shows a cell behind the name of its column, or keeps it until that is known.
func (b *book) value(i int, text []byte, from int64) {
	switch name := b.cols[i].name; {
	case name != "":
		if len(b.out)+len(name)+len(text) < maxBookKept && len(b.shifts) < 2*maxBookShown {
			b.shifts = append(b.shifts, dissect.Shift{At: int64(len(b.out)), Out: -1})
			b.out = append(append(b.out, name...), '=')
			b.shifts = append(b.shifts, dissect.Shift{At: int64(len(b.out)), Delta: from, Out: -1})
			b.out = append(append(b.out, text...), '\n')
		}
	case !b.told && b.cols[i].n > 0 && len(b.wait)+len(text) < maxBookKept:
		b.wait = binary.LittleEndian.AppendUint64(append(b.wait, byte(i>>8), byte(i), byte(len(text)>>8), byte(len(text))), uint64(from))
		b.wait = append(b.wait, text...)
	}
}

// stringTag takes a tag of the member that has the shared strings.
func (b *book) stringTag(tag []byte) {
	switch name, closes := tagName(tag); {
	case name == "si" && !closes:
		b.text, b.in, b.skip = b.text[:0], false, false
		if tag[len(tag)-1] == '/' {
			b.string()
		}
	case name == "rPh":
		b.skip = !closes && tag[len(tag)-1] != '/'
	case name == "t":
		b.in = !closes && !b.skip && tag[len(tag)-1] != '/'
	case name == "si":
		b.in = false
		b.string()
	}
}

// string takes the shared string at hand.
func (b *book) string() {
	text := unescape(b.text)
	n := b.at
	b.at++
	if !b.some { // they come first
		if len(b.texts)+len(text) < maxBookKept && len(b.ends) < maxBookStrings && int(n) == len(b.ends) { // behind one that is not kept numbers would be others'
			b.texts = append(b.texts, text...)
			b.ends = append(b.ends, uint32(len(b.texts)))
			b.places = append(b.places, b.from)
		}
		return
	}
	head := false
	if b.heads[n] && b.names(text) {
		for i := range b.cols {
			c := &b.cols[i]
			for _, h := range c.heads[:c.n] {
				if h == n && c.name == "" {
					c.name, head = string(text), true
				}
			}
		}
	}
	if i, ok := b.of[n]; ok && !head {
		b.value(int(i), text, b.from)
	}
}

const waitHead = 12 // bytes: column, length, place

// waiting shows the cells that waited for the names of their columns.
func (b *book) waiting() {
	for w := b.wait; len(w) >= waitHead; {
		i, n := int(w[0])<<8|int(w[1]), int(w[2])<<8|int(w[3])
		b.value(i, w[waitHead:waitHead+n], int64(binary.LittleEndian.Uint64(w[4:])))
		w = w[waitHead+n:]
	}
	b.wait = b.wait[:0]
}

// elements takes XML apart that comes in pieces.
type elements struct {
	at    int64 // where what text gets begins
	tag   []byte
	in    bool // of a tag
	quote byte
}

// push takes the next piece: on gets tags, without their brackets and, beyond maxTag bytes, cut; text what stands between them, as it is written.
func (x *elements) push(b []byte, on, text func([]byte)) {
	for len(b) > 0 {
		if !x.in {
			n := bytes.IndexByte(b, '<')
			if n < 0 {
				text(b)
				x.at += int64(len(b))
				return
			}
			text(b[:n])
			x.at += int64(n) + 1
			b, x.in, x.tag = b[n+1:], true, x.tag[:0]
			continue
		}
		c := b[0]
		b = b[1:]
		x.at++
		switch {
		case x.quote != 0:
			if c == x.quote {
				x.quote = 0
			}
		case (c == '"' || c == '\'') && !(len(x.tag) > 0 && x.tag[0] == '!'): // in a comment they are text
			x.quote = c
		case c == '>':
			x.in = false
			if len(x.tag) > 0 {
				on(x.tag)
			}
			continue
		}
		if len(x.tag) < maxTag {
			x.tag = append(x.tag, c)
		}
	}
}

// tagName returns a tag's name without its prefix, and whether it ends its element.
func tagName(tag []byte) (name string, closes bool) {
	if closes = tag[0] == '/'; closes {
		tag = tag[1:]
	}
	if i := bytes.IndexAny(tag, " \t\r\n/"); i >= 0 {
		tag = tag[:i]
	}
	if i := bytes.IndexByte(tag, ':'); i >= 0 {
		tag = tag[i+1:]
	}
	return string(tag), closes
}

// attribute returns the value of a tag's attribute, which has no quotes in it.
func attribute(tag []byte, name string) string {
	for i := 0; ; {
		k := bytes.Index(tag[i:], []byte(name+"="))
		if k < 0 {
			return ""
		}
		i += k + len(name) + 1
		if at := i - len(name) - 2; at < 0 || tag[at] != ' ' && tag[at] != '\t' && tag[at] != '\n' && tag[at] != '\r' || i >= len(tag) {
			continue
		}
		v := tag[i+1:]
		if n := bytes.IndexByte(v, tag[i]); n >= 0 && (tag[i] == '"' || tag[i] == '\'') {
			return string(v[:n])
		}
	}
}

// columnNumber returns the number of a cell's column, from 1 on: of B7 it is 2; 0: it has none.
func columnNumber(ref string) (n int) {
	for i := 0; i < len(ref) && i < 3 && ref[i] >= 'A' && ref[i] <= 'Z'; i++ {
		n = 26*n + int(ref[i]-'A') + 1
	}
	return n
}

// unescape undoes XML's entities, in place.
func unescape(b []byte) []byte {
	i := bytes.IndexByte(b, '&')
	if i < 0 {
		return b
	}
	out := b[:i]
	for i < len(b) {
		if b[i] == '&' {
			if n := bytes.IndexByte(b[i:min(len(b), i+maxEntity)], ';'); n > 1 {
				if r := entityRune(b[i+1 : i+n]); r >= 0 && utf8.RuneLen(r) <= n+1 {
					out = utf8.AppendRune(out, r)
					i += n + 1
					continue
				}
			}
		}
		out = append(out, b[i])
		i++
	}
	return out
}
