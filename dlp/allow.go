package dlp

import (
	"bytes"
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"weir/rules"
)

// An allowlist drops findings that it covers.
type allowlist struct {
	about     string         // for people: why it is there
	dropped   *atomic.Uint64 // findings
	over      *atomic.Bool   // its last day is over: it drops nothing
	and       bool
	target    string
	regexes   []*regexp.Regexp
	stopwords []string
	paths     []*regexp.Regexp
	targets   []string
}

// isFor reports whether a global list is for a rule.
func (a *allowlist) isFor(rule string) bool {
	return len(a.targets) == 0 || slices.Contains(a.targets, rule)
}

func compileAllows(list []rules.Allowlist) (out []allowlist, err error) {
	for _, a := range list {
		w, err := compileAllow(a)
		if err != nil {
			return nil, err
		}
		out = append(out, w)
	}
	return out, nil
}

func compileAllow(a rules.Allowlist) (allowlist, error) {
	out := allowlist{dropped: new(atomic.Uint64), over: new(atomic.Bool), about: cmp.Or(a.Description, a.Reason, a.Owner), and: a.And, target: a.Target, targets: a.TargetRules}
	out.over.Store(a.Expired)
	for _, w := range a.Stopwords {
		out.stopwords = append(out.stopwords, strings.ToLower(w))
	}
	for _, s := range a.Regexes {
		re, err := regexp.Compile(s)
		if err != nil {
			return out, fmt.Errorf("allowlist: %w", err)
		}
		out.regexes = append(out.regexes, re)
	}
	for _, s := range a.Paths {
		re, err := regexp.Compile(s)
		if err != nil {
			return out, fmt.Errorf("allowlist: paths: %w", err)
		}
		out.paths = append(out.paths, re)
	}
	return out, nil
}

// Allowance is an allow-list, and what became of it since the rules were loaded.
type Allowance struct {
	List    *rules.Allowlist
	Rule    string // whose list it is; "" of several
	Dropped uint64 // findings
	Expired bool   // it drops nothing any more
}

// Allowances returns the allow-lists that have dropped findings, or have expired. Any goroutine may ask.
func (db *Database) Allowances() (out []Allowance) {
	db.eachAllow(func(a *allowlist, l *rules.Allowlist, rule string) {
		if n, over := a.dropped.Load(), a.over.Load(); n > 0 || over {
			out = append(out, Allowance{l, rule, n, over})
		}
	})
	return out
}

// Expire ends the allow-lists whose last day is over, and returns those that held until now. Any goroutine may call it.
func (db *Database) Expire(now time.Time) (out []Allowance) {
	db.eachAllow(func(a *allowlist, l *rules.Allowlist, rule string) {
		if l.ExpiredAt(now) && !a.over.Swap(true) {
			out = append(out, Allowance{l, rule, a.dropped.Load(), true})
		}
	})
	return out
}

func (db *Database) eachAllow(fn func(a *allowlist, l *rules.Allowlist, rule string)) {
	each := func(list []allowlist, of []rules.Allowlist, rule string) {
		for i := range of {
			fn(&list[i], &of[i], rule)
		}
	}
	for _, r := range db.rules {
		each(r.allow, r.Allow, r.ID)
	}
	for i := range db.named {
		each(db.named[i].allow, db.named[i].Allow, db.named[i].ID)
	}
	each(db.global, db.set.Allow, "")
}

func (a *allowlist) byPath(file string) bool {
	if file == "" {
		return false
	}
	for _, re := range a.paths {
		if re.MatchString(file) {
			return true
		}
	}
	return false
}

// allowing returns the allow-list that drops f, nil if none does.
func allowing(list []allowlist, f *found) *allowlist {
	for i := range list {
		if !list[i].over.Load() && list[i].covers(f) {
			return &list[i]
		}
	}
	return nil
}

// LeavesOut reports whether an allow-list for all rules leaves a file of this name out, whatever is in it.
func (db *Database) LeavesOut(name string) bool {
	f := found{file: name}
	for i := range db.global {
		a := &db.global[i]
		if len(a.targets) == 0 && !a.over.Load() && a.byPath(name) && (!a.and || a.covers(&f)) {
			return true
		}
	}
	return false
}

// covers reports whether the list drops f.
func (a *allowlist) covers(f *found) bool {
	byRegex := len(a.regexes) > 0 && matchAny(a.regexes, f.target(a.target))
	byWord := false
	if len(a.stopwords) > 0 {
		low := bytes.ToLower(f.secret)
		for _, w := range a.stopwords {
			if bytes.Contains(low, []byte(w)) {
				byWord = true
				break
			}
		}
	}
	byPath := a.byPath(f.file)
	if !a.and {
		return byRegex || byWord || byPath
	}
	return (len(a.paths) == 0 || byPath) && (len(a.regexes) == 0 || byRegex) && (len(a.stopwords) == 0 || byWord) && (byRegex || byWord || byPath)
}
