package rules

import (
	"fmt"
	"strconv"
	"strings"
)

// Limits of a TOML file, ours. What is beyond them is refused with its position.
const (
	maxFile  = 8 << 20 // bytes of one file
	maxDepth = 32      // arrays and tables inside each other; parts of a dotted key
)

// place is where a key and its value begin. Lines and columns count from 1, columns in bytes.
type place struct{ line, col, valueLine, valueCol int }

// places tells where each key of a TOML file stands, since the decoder does not. A key's path is
// as `rules[2].allowlists[0].regexes[1]`.
type places struct {
	at    map[string]place
	names map[string][]string // table path: its keys as they are written, in order
	twice place               // of the first key or table that was there already; 0 if none
}

// find returns the place of path or, where that is unknown, of what it is part of.
func (p *places) find(path string) place {
	for path != "" {
		if at, ok := p.at[path]; ok {
			return at
		}
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
	return place{}
}

// member is the path of key in the table at path.
func member(path, key string) string {
	if key == "" || strings.ContainsAny(key, ".[]\" ") {
		key = strconv.Quote(key)
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

// element is the path of the i-th element of the array at path.
func element(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

// scanner walks a TOML file for the places of its keys. It checks no more than it needs to: at the first thing it
// does not understand it stops, since the decoder will refuse the file there. Each step moves on, so it ends.
type scanner struct {
	src    string
	off    int
	line   int             // of off
	start  int             // offset of the line's first byte
	arrays map[string]int  // path of an array of tables: elements so far
	tables map[string]bool // paths of [tables] so far
	out    places
	deep   string // what was nested too deeply, if anything
	done   bool   // the end was reached
}

// scan finds the places in src. deep is what is nested beyond maxDepth, at the returned line and column;
// such a file must not be given to the decoder, which recurses.
func scan(src string) (out *places, deep string, at place) {
	s := newScanner(src)
	s.file()
	return &s.out, s.deep, s.here()
}

func newScanner(src string) *scanner {
	s := scanner{src: src, line: 1, arrays: map[string]int{}, tables: map[string]bool{}}
	s.out = places{at: map[string]place{}, names: map[string][]string{}}
	for _, mark := range []string{"\xef\xbb\xbf", "\xff\xfe", "\xfe\xff"} { // byte order marks: the decoder skips one
		if strings.HasPrefix(src, mark) {
			s.off, s.start = len(mark), len(mark)
			break
		}
	}
	return &s
}

func (s *scanner) here() place {
	return place{line: s.line, col: s.off - s.start + 1}
}

func (s *scanner) peek() byte {
	if s.off < len(s.src) {
		return s.src[s.off]
	}
	return 0
}

// skip moves n bytes on, counting lines.
func (s *scanner) skip(n int) {
	end := min(s.off+n, len(s.src))
	for ; s.off < end; s.off++ {
		if s.src[s.off] == '\n' {
			s.line++
			s.start = s.off + 1
		}
	}
}

// blank skips spaces and, where lines is set, line ends and comments too.
func (s *scanner) blank(lines bool) {
	for s.off < len(s.src) {
		switch c := s.src[s.off]; {
		case c == ' ' || c == '\t':
			s.skip(1)
		case lines && (c == '\n' || c == '\r'):
			s.skip(1)
		case lines && c == '#':
			n := strings.IndexByte(s.src[s.off:], '\n')
			if n < 0 {
				n = len(s.src) - s.off
			}
			s.skip(n)
		default:
			return
		}
	}
}

// file scans everything: headers and key-value lines.
func (s *scanner) file() {
	table := ""
	for {
		s.blank(true)
		if s.off >= len(s.src) {
			s.done = true
			return
		}
		ok := false
		if s.peek() == '[' {
			table, ok = s.header()
		} else {
			ok = s.pair(table, 0)
		}
		if !ok {
			return
		}
	}
}

// header scans [a.b] or [[a.b]] and returns the path of the table that it opens.
func (s *scanner) header() (string, bool) {
	s.skip(1)
	many := s.peek() == '['
	if many {
		s.skip(1)
	}
	parts, ok := s.key()
	if !ok || s.peek() != ']' {
		return "", false
	}
	s.skip(1)
	if many {
		if s.peek() != ']' {
			return "", false
		}
		s.skip(1)
	}
	path := ""
	for i, k := range parts {
		path = s.enter(path, k)
		last := i == len(parts)-1
		if last && many {
			s.arrays[path]++
		}
		if n := s.arrays[path]; n > 0 {
			path = element(path, n-1)
			s.note(path, k.place)
		}
	}
	if !many {
		s.again(s.tables[path], parts)
		s.tables[path] = true
	}
	return path, true
}

// again notes the first key that is given a second time.
func (s *scanner) again(seen bool, parts []keyPart) {
	if seen && s.out.twice.line == 0 {
		s.out.twice = parts[0].place
	}
}

// keyPart is one part of a dotted key.
type keyPart struct {
	name string
	place
}

// enter notes that key k stands in the table at path, and returns its path.
func (s *scanner) enter(path string, k keyPart) string {
	sub := member(path, k.name)
	if s.note(sub, k.place) {
		s.out.names[path] = append(s.out.names[path], k.name)
	}
	return sub
}

func (s *scanner) note(path string, at place) bool {
	if _, ok := s.out.at[path]; ok {
		return false
	}
	s.out.at[path] = at
	return true
}

// pair scans key = value in the table at path.
func (s *scanner) pair(path string, depth int) bool {
	parts, ok := s.key()
	if !ok || s.peek() != '=' {
		return false
	}
	s.skip(1)
	s.blank(false)
	for _, k := range parts {
		path = s.enter(path, k)
	}
	at := s.out.at[path]
	s.again(at.valueLine > 0, parts)
	at.valueLine, at.valueCol = s.line, s.off-s.start+1
	s.out.at[path] = at
	return s.value(path, depth)
}

// key scans a dotted key and the blanks behind it.
func (s *scanner) key() ([]keyPart, bool) {
	var parts []keyPart
	for {
		s.blank(false)
		at := s.here()
		name, ok := s.name()
		if !ok {
			return nil, false
		}
		if len(parts) == maxDepth {
			return nil, s.tooDeep(fmt.Sprintf("the key has more than %d parts", maxDepth))
		}
		parts = append(parts, keyPart{name, at})
		s.blank(false)
		if s.peek() != '.' {
			return parts, true
		}
		s.skip(1)
	}
}

// name scans one part of a key: bare or quoted.
func (s *scanner) name() (string, bool) {
	if c := s.peek(); c == '"' || c == '\'' {
		from := s.off
		if strings.HasPrefix(s.src[from:], `"""`) || strings.HasPrefix(s.src[from:], `'''`) || !s.text() {
			return "", false
		}
		raw := s.src[from:s.off]
		if c == '\'' {
			return raw[1 : len(raw)-1], true
		}
		return unquote(raw), true
	}
	from := s.off
	for s.off < len(s.src) && !strings.ContainsRune(" \t\r\n.=[]{},\"'#", rune(s.src[s.off])) {
		s.off++
	}
	return s.src[from:s.off], s.off > from
}

// unquote resolves the escapes of a quoted key. What Go's strings do not have (\e) stays as it is: it costs the
// key its place, no more.
func unquote(raw string) string {
	if name, err := strconv.Unquote(raw); err == nil {
		return name
	}
	return raw[1 : len(raw)-1]
}

// tooDeep records what is too deep, and is false: the scan ends.
func (s *scanner) tooDeep(what string) bool {
	s.deep = what
	return false
}

// value scans the value of the key at path.
func (s *scanner) value(path string, depth int) bool {
	if depth > maxDepth {
		return s.tooDeep(fmt.Sprintf("nested more than %d deep", maxDepth))
	}
	switch s.peek() {
	case '"', '\'':
		return s.text()
	case '[':
		return s.array(path, depth)
	case '{':
		return s.inline(path, depth)
	}
	from := s.off
	for s.off < len(s.src) && !strings.ContainsRune(",]}#\n", rune(s.src[s.off])) {
		s.off++
	}
	return s.off > from
}

func (s *scanner) array(path string, depth int) bool {
	s.skip(1)
	for i := 0; ; i++ {
		s.blank(true)
		if s.peek() == ']' {
			s.skip(1)
			return true
		}
		at := s.here()
		at.valueLine, at.valueCol = at.line, at.col
		sub := element(path, i)
		s.note(sub, at)
		if !s.value(sub, depth+1) {
			return false
		}
		s.blank(true)
		if s.peek() == ',' {
			s.skip(1)
		} else if s.peek() != ']' {
			return false
		}
	}
}

// inline scans { key = value, ... }, since TOML 1.1 over several lines too.
func (s *scanner) inline(path string, depth int) bool {
	s.skip(1)
	for {
		s.blank(true)
		if s.peek() == '}' {
			s.skip(1)
			return true
		}
		if !s.pair(path, depth+1) {
			return false
		}
		s.blank(true)
		if s.peek() == ',' {
			s.skip(1)
		} else if s.peek() != '}' {
			return false
		}
	}
}

// text scans a string of any of the four kinds.
func (s *scanner) text() bool {
	quote := s.src[s.off : s.off+1]
	triple := strings.Repeat(quote, 3)
	end := quote
	if strings.HasPrefix(s.src[s.off:], triple) {
		end = triple
	}
	s.skip(len(end))
	for s.off < len(s.src) {
		rest := s.src[s.off:]
		switch {
		case quote == `"` && rest[0] == '\\':
			s.skip(2)
		case strings.HasPrefix(rest, end):
			if len(end) == 3 { // up to two quotes may stand right before the closing three
				for i := 0; i < 2 && strings.HasPrefix(s.src[s.off+3:], quote); i++ {
					s.skip(1)
				}
			}
			s.skip(len(end))
			return true
		case len(end) == 1 && rest[0] == '\n':
			return false
		default:
			s.skip(1)
		}
	}
	return false
}
