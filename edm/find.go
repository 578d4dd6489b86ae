package edm

import "unicode/utf8"

// A Value is a value of a set that stands in a text.
type Value struct {
	Start, End int // in the text
	Column     int
	Rows       Rows
}

// A Finder is scratch for looking. One goroutine uses it at a time; it serves any set.
type Finder struct {
	Values []Value // what the last Find found, in order of its end

	set    *Set
	tokens *tokens
	open   [MaxWords]window // the words before, oldest first
	opened int
	word   []byte
	normal []byte
	room   []byte
}

// window is a value that may go on: from its first word to the last one read.
type window struct {
	hash  hashing
	start int
	n     int // bytes in normal form
	kind  kind
	words uint8
}

// Find looks for values of a set in text[from:], and leaves those that end behind done in f.Values. Text before from is there to see whether a word
// begins before it. Unless the text is final, what touches its end is left for the next call: pass then what is returned, with the text from the
// returned from on, or more, in front of the text that follows; both count in this text.
func (s *Set) Find(f *Finder, text []byte, from, done int, final bool) (nextFrom, nextDone int) {
	f.use(s)
	f.Values = f.Values[:0]
	f.opened = 0
	if from > 0 && from < len(text) {
		from = max(1, runeStart(text, from))
		if class, _ := classAt(text[from:]); class == letter || class == digit {
			from = f.inside(text, from)
		}
	}
	seps, ats := 0, 0
	i := from
	for i < len(text) {
		c := classOf[text[i]]
		n := 1
		if c == further {
			if !final && !wholeRune(text[i:]) {
				break
			}
			c, n = classAt(text[i:])
		}
		switch c {
		case hard:
			f.opened = 0
			i += n
			continue
		case soft, at:
			if seps++; seps > maxSeparators {
				f.opened = 0
			}
			if c == at {
				ats++
			}
			i += n
			continue
		}
		end := wordEnd(text, i)
		if !final && (end == len(text) || !wholeRune(text[end:])) {
			break
		}
		switch {
		case ats == 1 && seps == 1:
			f.address(s)
		case ats > 0:
			f.opened = 0
		}
		seps, ats = 0, 0
		f.read(s, text, i, end, done)
		i = end
	}
	if final {
		return len(text), len(text)
	}
	nextFrom, nextDone = i, i
	if f.opened > 0 {
		nextFrom = f.open[0].start
	}
	return max(nextFrom, len(text)-MaxRaw), nextDone
}

func (f *Finder) use(s *Set) {
	if f.set != s {
		f.set, f.tokens = s, s.keys.tokens()
	}
}

// inside returns where to begin, if from is in the middle of a word: behind it.
func (f *Finder) inside(text []byte, from int) int {
	before := runeStart(text, from-1)
	if class, _ := classAt(text[before:]); class != letter && class != digit {
		return from
	}
	last, _ := utf8.DecodeRune(text[before:])
	next, _ := utf8.DecodeRune(text[from:])
	if (unspaced(last) || unspaced(next)) && !voices(next) {
		return from
	}
	return wordEnd(text, from)
}

// runeStart returns where the character begins that the byte at i belongs to.
func runeStart(text []byte, i int) int {
	for at := i; at >= 0 && at > i-utf8.UTFMax; at-- {
		if text[at]&0xc0 == 0x80 {
			continue
		}
		if _, n := classAt(text[at:]); at+n > i {
			return at
		}
		break
	}
	return i
}

// wholeRune reports whether the character at the beginning of b is not cut by its end.
func wholeRune(b []byte) bool {
	n := 1
	switch c := b[0]; {
	case c >= 0xf0:
		n = 4
	case c >= 0xe0:
		n = 3
	case c >= 0xc0:
		n = 2
	}
	return len(b) >= n
}

// address appends an @ to what is open.
func (f *Finder) address(s *Set) {
	n := 0
	for i := range f.open[:f.opened] {
		w := &f.open[i]
		if w.n >= s.reach[address] {
			continue
		}
		w.hash, w.kind = s.keys.join(w.hash, '@', 1), address
		w.n++
		f.open[n] = *w
		n++
	}
	f.opened = n
}

// read takes in the next word, text[from:end].
func (f *Finder) read(s *Set, text []byte, from, end, done int) {
	if end-from > MaxRaw {
		f.opened = 0
		return
	}
	f.word = normalWord(f.word[:0], text[from:end], &f.room)
	n := len(f.word)
	if n == 0 || n > MaxValue {
		f.opened = 0
		return
	}
	k, hash := kindOf(f.word), s.keys.word(f.word)
	if f.opened == MaxWords {
		copy(f.open[:], f.open[1:])
		f.opened--
	}
	f.open[f.opened] = window{hash: emptyHash, start: from, kind: k}
	f.opened++
	kept := 0
	for i := range f.open[:f.opened] {
		w := f.open[i]
		w.kind = w.kind.with(k)
		if w.n += n; w.n > s.reach[w.kind] || end-w.start > MaxRaw {
			continue
		}
		w.words++
		w.hash = s.keys.join(w.hash, hash, n)
		f.open[kept] = w
		kept++
		if from >= done && w.words <= s.most[w.kind] && s.hasLength(w.kind, w.n) && s.mayHave(s.keys.print(w.hash)) {
			f.confirm(s, text, w.start, end)
		}
	}
	f.opened = kept
}

// confirm asks the table for a value that passed the filter.
func (f *Finder) confirm(s *Set, text []byte, start, end int) {
	f.normal, _ = normal(f.normal[:0], text[start:end], &f.room)
	for c, name := range s.columns {
		if rows := s.find(f.tokens.of(name, f.normal)); rows.Len() > 0 {
			f.Values = append(f.Values, Value{Start: start, End: end, Column: c, Rows: rows})
		}
	}
}
