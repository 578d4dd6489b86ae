package policy

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// patterns are those of one condition, ready to be compared with many values. It is as long as a line of the processor's caches.
type patterns struct {
	any    bool          // one is '*'
	absent bool          // one is "": messages without the field, too
	texts  [][]byte      // those without a wildcard
	all    []pattern     // the others
	many   *manyPatterns // nil: they are few
}

// manyPatterns finds those that may fit among many.
type manyPatterns struct {
	exact   map[string]struct{} // texts; nil: they are few
	begins  map[string][]int    // of the others, by the text with which they begin; nil: they are few
	lengths []int               // of these texts, ascending
}

const maxLinear = 8 // so many are compared one by one: that is faster, measured

// interned are patterns that rules have in common: each is compiled once, and what is asked for most stays in the processor's caches.
type interned struct {
	lists map[string]*patterns
	each  map[string]pattern
}

func newInterned() *interned {
	return &interned{lists: map[string]*patterns{}, each: map[string]pattern{}}
}

// patterns compiles a list of patterns; fold makes them lower case.
func (k *interned) patterns(list []string, fold bool) *patterns {
	key := fmt.Sprint(fold, len(list), strings.Join(list, "\x00"))
	if k.lists[key] == nil {
		k.lists[key] = k.compile(list, fold)
	}
	return k.lists[key]
}

func (k *interned) pattern(text string) pattern {
	x, ok := k.each[text]
	if !ok {
		x = newPattern(text)
		k.each[text] = x
	}
	return x
}

func (k *interned) compile(list []string, fold bool) *patterns {
	p := &patterns{}
	for _, text := range list {
		if fold {
			text = lower(text)
		}
		p.absent = p.absent || text == ""
		x := k.pattern(text)
		if p.any = p.any || x.any(); p.any {
			continue
		}
		if t, ok := x.exact(); ok {
			p.texts = append(p.texts, t)
		} else {
			p.all = append(p.all, x)
		}
	}
	if len(p.texts) > maxLinear || len(p.all) > maxLinear {
		p.index()
	}
	return p
}

func (p *patterns) index() {
	p.many = &manyPatterns{}
	if len(p.texts) > maxLinear {
		p.many.exact = map[string]struct{}{}
		for _, t := range p.texts {
			p.many.exact[string(t)] = struct{}{}
		}
	}
	if len(p.all) <= maxLinear {
		return
	}
	p.many.begins = map[string][]int{}
	for i := range p.all {
		t := string(p.all[i].fixed())
		if p.many.begins[t] == nil && !slices.Contains(p.many.lengths, len(t)) {
			p.many.lengths = append(p.many.lengths, len(t))
		}
		p.many.begins[t] = append(p.many.begins[t], i)
	}
	slices.Sort(p.many.lengths)
}

// fits reports whether s is what one of them says. A value that is too long to be compared is taken to be what inDoubt says.
func (p *patterns) fits(s []byte, inDoubt bool) bool {
	if p.any || p.isText(s) {
		return true
	}
	if p.many == nil || p.many.begins == nil {
		for i := range p.all {
			if p.all[i].mayFit(s, inDoubt) {
				return true
			}
		}
		return false
	}
	for _, n := range p.many.lengths {
		if n > len(s) {
			return false
		}
		for _, i := range p.many.begins[string(s[:n])] {
			if p.all[i].mayFit(s, inDoubt) {
				return true
			}
		}
	}
	return false
}

func (p *patterns) isText(s []byte) bool {
	if p.many != nil && p.many.exact != nil {
		_, ok := p.many.exact[string(s)]
		return ok
	}
	for _, t := range p.texts {
		if bytes.Equal(s, t) {
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
		if bytes.HasPrefix(t, head) {
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
