package content

import (
	"bytes"
	"slices"
	"unicode/utf8"
)

// ours
const (
	maxGlyphs = 1 << 20 // bytes of strings of a file that wait for the tables of its fonts
	maxTables = 16      // tables of a file
	maxCodes  = 8 << 10 // entries of all tables
	maxFits   = 4       // tables that a font's strings are read by
	maxArgs   = 512     // strings of one operator of a table: 100 lines are allowed
	sureGlyph = 90      // percent of a font's codes that a table must have, to be its
)

// glyphs are strings whose bytes are numbers of letter shapes in a font (Identity-H), in two bytes each. What they mean tells a table of the font
// (ToUnicode), which most writers put behind the pages.
type glyphs struct {
	now    string              // font in use
	last   string              // font of the last string
	apart  byte                // what is to stand before the next; 0: nothing
	over   bool                // there was no room for some
	fonts  []glyphFont         // strings by font
	n      int                 // bytes of them
	tables []map[uint16]string // what codes stand for
	codes  int
	table  map[uint16]string // being read
	args   [][]byte
	array  int // of args, where an array begins; -1: none does
}

type glyphFont struct {
	name  string
	codes []byte // strings, with newlineCode or spaceCode between those that do not touch
}

const (
	newlineCode  = "\x00\x00"
	spaceCode    = "\xff\xff"
	maxGlyphPage = 0x0f // first byte of a code: fonts have less than 4096 shapes, mostly
)

// font notes a name: what stands before Tf is the font.
func (g *glyphs) font(name []byte) { g.now = string(name) }

// arg takes a string of a table that is being read; false: none is.
func (g *glyphs) arg(b []byte) bool {
	if g.table != nil && len(g.args) < maxArgs {
		g.args = append(g.args, bytes.Clone(b))
	}
	return g.table != nil
}

// bracket begins an array in a table, or ends it: of a range, each code has its own there.
func (g *glyphs) bracket(c byte) {
	if g.table == nil {
		return
	}
	if c == '[' {
		g.array = len(g.args)
		return
	}
	if g.array >= 2 && g.array <= len(g.args) {
		for k, to := range g.args[g.array:] {
			g.set(g.args[g.array-2], k, to, 0)
		}
		g.args = g.args[:g.array-2]
	}
	g.array = -1
}

// take takes a string of such codes; false: it is none.
func (g *glyphs) take(b []byte) bool {
	for i, c := range b {
		if i%2 == 0 && c > maxGlyphPage {
			return false
		}
	}
	if len(b) < 2 || len(b)%2 != 0 {
		return false
	}
	if g.n+len(b)+2 > maxGlyphs {
		g.over = true
		return true
	}
	apart := g.apart
	g.apart = 0
	if g.last != g.now {
		apart, g.last = '\n', g.now
	}
	i := slices.IndexFunc(g.fonts, func(f glyphFont) bool { return f.name == g.now })
	if i < 0 {
		i = len(g.fonts)
		g.fonts = append(g.fonts, glyphFont{name: g.now})
	}
	f := &g.fonts[i]
	before := len(f.codes)
	switch {
	case before == 0:
	case apart == '\n':
		f.codes = append(f.codes, newlineCode...)
	case apart == ' ':
		f.codes = append(f.codes, spaceCode...)
	}
	f.codes = append(f.codes, b...)
	g.n += len(f.codes) - before
	return true
}

// separate says what stands between the last string and the next.
func (g *glyphs) separate(c byte) {
	if g.apart != '\n' {
		g.apart = c
	}
}

// operator deals with those of tables.
func (g *glyphs) operator(w string) {
	switch w {
	case "begincmap":
		if len(g.tables) < maxTables {
			g.table = map[uint16]string{}
			g.tables = append(g.tables, g.table)
		}
	case "endcmap":
		g.table = nil
	case "beginbfchar", "beginbfrange", "begincodespacerange":
		g.args, g.array = g.args[:0], -1
	case "endbfchar":
		for a := g.args; len(a) >= 2; a = a[2:] {
			g.set(a[0], 0, a[1], 0)
		}
	case "endbfrange":
		for a := g.args; len(a) >= 3; a = a[3:] {
			if len(a[0]) != 2 || len(a[1]) != 2 {
				continue
			}
			for k := range min(256, 1+int(a[1][0])<<8+int(a[1][1])-int(a[0][0])<<8-int(a[0][1])) {
				g.set(a[0], k, a[2], k)
			}
		}
	}
}

// set notes that a code and k stands for a character (UTF-16) and k.
func (g *glyphs) set(code []byte, k int, to []byte, add int) {
	if g.table == nil || len(code) != 2 || len(to) < 2 || g.codes >= maxCodes {
		return
	}
	var s []byte
	for i := 1; i < len(to); i += 2 {
		r := rune(to[i-1])<<8 | rune(to[i])
		if i+2 > len(to)-1 {
			r += rune(add)
		}
		s = utf8.AppendRune(s, r)
	}
	g.codes++
	g.table[uint16(code[0])<<8+uint16(code[1])+uint16(k)] = string(s)
}

// tell gives the text of the strings by the tables that fit.
func (g *glyphs) tell(out *output) error {
	for i := range g.fonts {
		f := &g.fonts[i]
		n := 0
		for _, table := range g.tables {
			if n == maxFits || !f.fits(table) {
				continue
			}
			n++
			if err := f.give(out, table); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *glyphFont) fits(table map[uint16]string) bool {
	all, known := 0, 0
	for i := 1; i < len(f.codes); i += 2 {
		if c := uint16(f.codes[i-1])<<8 | uint16(f.codes[i]); c != 0 && c != 0xffff {
			all++
			if table[c] != "" {
				known++
			}
		}
	}
	return known > 0 && known*100 >= all*sureGlyph
}

func (f *glyphFont) give(out *output, table map[uint16]string) error {
	if err := out.add([]byte{'\n'}, -1); err != nil {
		return err
	}
	for i := 1; i < len(f.codes); i += 2 {
		s := "\n"
		switch c := uint16(f.codes[i-1])<<8 | uint16(f.codes[i]); c {
		case 0:
		case 0xffff:
			s = " "
		default:
			s = table[c]
		}
		if err := out.add([]byte(s), -1); err != nil {
			return err
		}
	}
	return nil
}
