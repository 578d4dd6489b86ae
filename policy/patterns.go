package policy

import (
	"bytes"
	"slices"
	"strings"
)

// patterns are those of one condition, ready to be compared with many values.
type patterns struct {
	any     bool                // one is '*'
	absent  bool                // one is "": messages without the field, too
	texts   []string            // those without a wildcard
	exact   map[string]struct{} // likewise, where they are many
	all     []pattern           // the others
	begins  map[string][]int    // likewise, by the text with which they begin, where they are many
	lengths []int               // of these texts, ascending
}

const maxLinear = 8 // so many are compared one by one: that is faster, measured

// newPatterns compiles patterns; fold makes them lower case.
func newPatterns(list []string, fold bool) *patterns {
	p := &patterns{}
	for _, text := range list {
		if fold {
			text = lower(text)
		}
		p.absent = p.absent || text == ""
		x := newPattern(text)
		if p.any = p.any || x.any(); p.any {
			continue
		}
		if t, ok := x.exact(); ok {
			p.texts = append(p.texts, string(t))
		} else {
			p.all = append(p.all, x)
		}
	}
	if len(p.texts) > maxLinear {
		p.exact = map[string]struct{}{}
		for _, t := range p.texts {
			p.exact[t] = struct{}{}
		}
	}
	if len(p.all) > maxLinear {
		p.byBeginning()
	}
	return p
}

func (p *patterns) byBeginning() {
	p.begins = map[string][]int{}
	for i := range p.all {
		t := string(p.all[i].fixed())
		if p.begins[t] == nil && !slices.Contains(p.lengths, len(t)) {
			p.lengths = append(p.lengths, len(t))
		}
		p.begins[t] = append(p.begins[t], i)
	}
	slices.Sort(p.lengths)
}

// fits reports whether s is what one of them says. A value that is too long to be compared is taken to be what inDoubt says.
func (p *patterns) fits(s []byte, inDoubt bool) bool {
	if p.any || p.isText(s) {
		return true
	}
	if p.begins == nil {
		for i := range p.all {
			if p.all[i].mayFit(s, inDoubt) {
				return true
			}
		}
		return false
	}
	for _, n := range p.lengths {
		if n > len(s) {
			return false
		}
		for _, i := range p.begins[string(s[:n])] {
			if p.all[i].mayFit(s, inDoubt) {
				return true
			}
		}
	}
	return false
}

func (p *patterns) isText(s []byte) bool {
	if p.exact != nil {
		_, ok := p.exact[string(s)]
		return ok
	}
	for _, t := range p.texts {
		if string(s) == t {
			return true
		}
	}
	return false
}

// meets reports whether something can begin with head that one of them fits.
func (p *patterns) meets(head []byte) bool {
	if p.any {
		return true
	}
	for _, t := range p.texts {
		if strings.HasPrefix(t, string(head)) {
			return true
		}
	}
	for i := range p.all {
		t := p.all[i].fixed()
		if n := min(len(t), len(head)); bytes.Equal(t[:n], head[:n]) {
			return true
		}
	}
	return false
}

// lower folds ASCII letters, and no others: it keeps the length.
func lower(s string) string {
	b := []byte(s)
	fold(b)
	return string(b)
}

func fold(b []byte) {
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c | 0x20
		}
	}
}
