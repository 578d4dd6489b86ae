package dlp

import (
	"fmt"
	"regexp/syntax"
	"strings"
	"unicode/utf8"
)

// An expression is a rule's regex over bytes. Hyperscan without UTF-8 mode counts bytes where RE2 counts characters;
// both the Hyperscan pattern and the confirming machine are made from one tree in which characters beyond ASCII have
// become their UTF-8 bytes, so that the two agree on every input, valid UTF-8 or not.
type expression struct {
	tree  *syntax.Regexp
	lazy  bool // it has a lazy operator: its author asked for the shortest, so it is leftmost-first, not leftmost-longest
	min   int  // bytes of the shortest match
	max   int  // bytes of the longest match; unbounded if there is none
	start bool // it can only match at the start of a value
}

const unbounded = 1 << 30 // bytes; larger than any match

// ours
const (
	maxMultibyte  = 64      // characters beyond ASCII that a class may list one by one
	maxExpression = 1 << 15 // instructions of a compiled expression
)

func parse(regex string) (*expression, error) {
	re, err := syntax.Parse(regex, syntax.Perl)
	if err != nil {
		return nil, err
	}
	e := &expression{lazy: hasLazy(re)}
	e.tree = bytewise(re)
	e.min, e.max = width(e.tree)
	e.start = startsText(e.tree)
	if e.min == 0 {
		return nil, fmt.Errorf("the expression matches the empty string: it would match everywhere")
	}
	return e, nil
}

func hasLazy(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpStar, syntax.OpPlus, syntax.OpRepeat:
		// x{n}? repeats a fixed number: nothing lazy about it. A lazy '?' only prefers.
		if re.Flags&syntax.NonGreedy != 0 && (re.Op != syntax.OpRepeat || re.Min != re.Max) {
			return true
		}
	}
	for _, s := range re.Sub {
		if hasLazy(s) {
			return true
		}
	}
	return false
}

// bytewise rewrites a tree over characters into one over bytes: every rune that is left in it is below 0x100 and is a
// byte.
func bytewise(re *syntax.Regexp) *syntax.Regexp {
	switch re.Op {
	case syntax.OpLiteral:
		return bytewiseLiteral(re)
	case syntax.OpCharClass:
		return bytewiseClass(re.Rune)
	case syntax.OpAnyChar:
		return charset(0, 0xff)
	case syntax.OpAnyCharNotNL:
		return charset(0, '\n'-1, '\n'+1, 0xff)
	}
	out := *re
	out.Sub0 = [1]*syntax.Regexp{}
	out.Sub = make([]*syntax.Regexp, len(re.Sub))
	for i, s := range re.Sub {
		out.Sub[i] = bytewise(s)
	}
	return &out
}

func charset(pairs ...rune) *syntax.Regexp {
	return &syntax.Regexp{Op: syntax.OpCharClass, Rune: pairs}
}

func literal(s string) *syntax.Regexp {
	l := &syntax.Regexp{Op: syntax.OpLiteral}
	for i := range len(s) {
		l.Rune = append(l.Rune, rune(s[i]))
	}
	return l
}

func concat(sub []*syntax.Regexp) *syntax.Regexp {
	if len(sub) == 1 {
		return sub[0]
	}
	return &syntax.Regexp{Op: syntax.OpConcat, Sub: sub}
}

func bytewiseLiteral(re *syntax.Regexp) *syntax.Regexp {
	var sub []*syntax.Regexp
	plain := ""
	flush := func() {
		if plain != "" {
			sub = append(sub, literal(plain))
			plain = ""
		}
	}
	for _, r := range re.Rune {
		if lo := r | 0x20; re.Flags&syntax.FoldCase != 0 && lo >= 'a' && lo <= 'z' {
			flush()
			sub = append(sub, charset(lo-0x20, lo-0x20, lo, lo))
			continue
		}
		plain += string(r)
	}
	flush()
	return concat(sub)
}

// bytewiseClass keeps the ASCII part of a class. What lies beyond becomes: any byte from 0x80 on if the class excludes
// rather than lists ("[^,]"); the listed characters if they are few; else any one to four such bytes, which is more
// than was asked.
func bytewiseClass(pairs []rune) *syntax.Regexp {
	var low []rune
	high := 0
	for i := 0; i < len(pairs); i += 2 {
		lo, hi := pairs[i], pairs[i+1]
		if lo < utf8.RuneSelf {
			low = append(low, lo, min(hi, utf8.RuneSelf-1))
		}
		if hi >= utf8.RuneSelf {
			high += int(hi - max(lo, utf8.RuneSelf) + 1)
		}
	}
	switch {
	case len(pairs) > 0 && pairs[len(pairs)-1] == utf8.MaxRune:
		return charset(append(low, 0x80, 0xff)...)
	case high == 0 && len(low) == 0:
		return &syntax.Regexp{Op: syntax.OpNoMatch}
	case high == 0:
		return charset(low...)
	}
	var alt []*syntax.Regexp
	if len(low) > 0 {
		alt = append(alt, charset(low...))
	}
	if high > maxMultibyte {
		run := &syntax.Regexp{Op: syntax.OpRepeat, Min: 1, Max: utf8.UTFMax, Sub: []*syntax.Regexp{charset(0x80, 0xff)}}
		return &syntax.Regexp{Op: syntax.OpAlternate, Sub: append(alt, run)}
	}
	for i := 0; i < len(pairs); i += 2 {
		for r := max(pairs[i], utf8.RuneSelf); r <= pairs[i+1]; r++ {
			if r == 0x17f || r == 0x212a { // they fold to s and k; nobody who wrote (?i) meant them, and Hyperscan does not know them
				continue
			}
			alt = append(alt, literal(string(r)))
		}
	}
	if len(alt) == 1 {
		return alt[0]
	}
	return &syntax.Regexp{Op: syntax.OpAlternate, Sub: alt}
}

// width returns the bytes of the shortest and of the longest match.
func width(re *syntax.Regexp) (lo, hi int) {
	switch re.Op {
	case syntax.OpLiteral:
		return len(re.Rune), len(re.Rune)
	case syntax.OpCharClass:
		return 1, 1
	case syntax.OpCapture:
		return width(re.Sub[0])
	case syntax.OpConcat:
		for _, s := range re.Sub {
			l, h := width(s)
			lo, hi = lo+l, min(hi+h, unbounded)
		}
		return lo, hi
	case syntax.OpAlternate:
		lo = unbounded
		for _, s := range re.Sub {
			l, h := width(s)
			lo, hi = min(lo, l), max(hi, h)
		}
		return lo, hi
	case syntax.OpQuest:
		_, hi = width(re.Sub[0])
		return 0, hi
	case syntax.OpStar, syntax.OpPlus, syntax.OpRepeat:
		return widthRepeat(re)
	}
	return 0, 0
}

func widthRepeat(re *syntax.Regexp) (lo, hi int) {
	from, to := re.Min, re.Max
	switch re.Op {
	case syntax.OpStar:
		from, to = 0, -1
	case syntax.OpPlus:
		from, to = 1, -1
	}
	l, h := width(re.Sub[0])
	lo = min(l*from, unbounded)
	switch {
	case h == 0 || to == 0:
		return lo, 0
	case to < 0 || h >= unbounded:
		return lo, unbounded
	}
	return lo, min(h*to, unbounded)
}

// startsText reports whether every match begins at the start of a value.
func startsText(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpBeginText:
		return true
	case syntax.OpCapture, syntax.OpPlus:
		return startsText(re.Sub[0])
	case syntax.OpConcat:
		return len(re.Sub) > 0 && startsText(re.Sub[0])
	case syntax.OpAlternate:
		for _, s := range re.Sub {
			if !startsText(s) {
				return false
			}
		}
		return true
	}
	return false
}

// pattern writes the expression as Hyperscan reads it: PCRE without captures, names or modes.
func (e *expression) pattern() string {
	var b strings.Builder
	write(&b, e.tree)
	return b.String()
}

func write(b *strings.Builder, re *syntax.Regexp) {
	switch re.Op {
	case syntax.OpLiteral:
		for _, r := range re.Rune {
			writeByte(b, r)
		}
	case syntax.OpCharClass:
		b.WriteByte('[')
		for i := 0; i < len(re.Rune); i += 2 {
			writeByte(b, re.Rune[i])
			if re.Rune[i+1] != re.Rune[i] {
				b.WriteByte('-')
				writeByte(b, re.Rune[i+1])
			}
		}
		b.WriteByte(']')
	case syntax.OpNoMatch:
		b.WriteString(`[^\x00-\xff]`)
	case syntax.OpBeginLine:
		b.WriteString(`(?m:^)`)
	case syntax.OpEndLine:
		b.WriteString(`(?m:$)`)
	case syntax.OpBeginText:
		b.WriteString(`\A`)
	case syntax.OpEndText:
		b.WriteString(`\z`)
	case syntax.OpWordBoundary:
		b.WriteString(`\b`)
	case syntax.OpNoWordBoundary:
		b.WriteString(`\B`)
	case syntax.OpCapture:
		write(b, re.Sub[0])
	case syntax.OpConcat:
		for _, s := range re.Sub {
			writeGroup(b, s, s.Op == syntax.OpAlternate || s.Op == syntax.OpCapture)
		}
	case syntax.OpAlternate:
		for i, s := range re.Sub {
			if i > 0 {
				b.WriteByte('|')
			}
			write(b, s)
		}
	case syntax.OpStar, syntax.OpPlus, syntax.OpQuest, syntax.OpRepeat:
		writeGroup(b, re.Sub[0], true)
		writeRepeat(b, re)
	}
}

func writeGroup(b *strings.Builder, re *syntax.Regexp, group bool) {
	if !group || re.Op == syntax.OpCharClass {
		write(b, re)
		return
	}
	b.WriteString("(?:")
	write(b, re)
	b.WriteByte(')')
}

func writeRepeat(b *strings.Builder, re *syntax.Regexp) {
	switch re.Op {
	case syntax.OpStar:
		b.WriteByte('*')
	case syntax.OpPlus:
		b.WriteByte('+')
	case syntax.OpQuest:
		b.WriteByte('?')
	default:
		switch {
		case re.Max < 0:
			fmt.Fprintf(b, "{%d,}", re.Min)
		case re.Min == re.Max:
			fmt.Fprintf(b, "{%d}", re.Min)
		default:
			fmt.Fprintf(b, "{%d,%d}", re.Min, re.Max)
		}
	}
}

func writeByte(b *strings.Builder, r rune) {
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_':
		b.WriteByte(byte(r))
	default:
		fmt.Fprintf(b, `\x%02x`, r)
	}
}

// implies reports whether every match of the expression holds one of the words (lower case), in any case, so that a
// keyword need not be looked for on its own.
func (e *expression) implies(words []string) bool {
	if len(words) == 0 {
		return true
	}
	set, ok := spellings(e.tree)
	if ok {
		return holdAll(set, words)
	}
	return implied(e.tree, words)
}

const maxSpellings = 64 // strings that a part of an expression may stand for, before it counts as anything

func holdAll(set []string, words []string) bool {
	for _, s := range set {
		found := false
		for _, w := range words {
			found = found || strings.Contains(s, w)
		}
		if !found {
			return false
		}
	}
	return len(set) > 0
}

func implied(re *syntax.Regexp, words []string) bool {
	if set, ok := spellings(re); ok {
		return holdAll(set, words)
	}
	switch re.Op {
	case syntax.OpCapture, syntax.OpPlus:
		return implied(re.Sub[0], words)
	case syntax.OpRepeat:
		return re.Min > 0 && implied(re.Sub[0], words)
	case syntax.OpAlternate:
		for _, s := range re.Sub {
			if !implied(s, words) {
				return false
			}
		}
		return true
	case syntax.OpConcat:
		run := []string{""}
		for _, s := range re.Sub {
			set, ok := spellings(s)
			if ok && len(run)*len(set) <= maxSpellings {
				run = cross(run, set)
				if holdAll(run, words) {
					return true
				}
				continue
			}
			if implied(s, words) {
				return true
			}
			run = []string{""}
			if ok {
				run = set
			}
		}
	}
	return false
}

// spellings lists, in lower case, all strings that re matches, if they are few.
func spellings(re *syntax.Regexp) ([]string, bool) {
	switch re.Op {
	case syntax.OpLiteral:
		s := make([]byte, len(re.Rune))
		for i, r := range re.Rune {
			s[i] = byte(r)
		}
		return []string{strings.ToLower(string(s))}, true
	case syntax.OpCharClass:
		var out []string
		for i := 0; i < len(re.Rune); i += 2 {
			for r := re.Rune[i]; r <= re.Rune[i+1]; r++ {
				if len(out) == 16 {
					return nil, false
				}
				if s := strings.ToLower(string([]byte{byte(r)})); len(out) == 0 || out[0] != s || len(re.Rune) != 4 {
					out = append(out, s)
				}
			}
		}
		return out, len(out) > 0
	case syntax.OpCapture:
		return spellings(re.Sub[0])
	case syntax.OpBeginLine, syntax.OpEndLine, syntax.OpBeginText, syntax.OpEndText, syntax.OpWordBoundary, syntax.OpNoWordBoundary, syntax.OpEmptyMatch:
		return []string{""}, true
	case syntax.OpQuest:
		set, ok := spellings(re.Sub[0])
		return append([]string{""}, set...), ok
	case syntax.OpConcat:
		run := []string{""}
		for _, s := range re.Sub {
			set, ok := spellings(s)
			if !ok || len(run)*len(set) > maxSpellings {
				return nil, false
			}
			run = cross(run, set)
		}
		return run, true
	case syntax.OpAlternate:
		var out []string
		for _, s := range re.Sub {
			set, ok := spellings(s)
			if !ok || len(out)+len(set) > maxSpellings {
				return nil, false
			}
			out = append(out, set...)
		}
		return out, true
	}
	return nil, false
}

func cross(a, b []string) []string {
	out := make([]string, 0, len(a)*len(b))
	for _, x := range a {
		for _, y := range b {
			out = append(out, x+y)
		}
	}
	return out
}
