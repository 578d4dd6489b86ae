package dlp

import (
	"time"

	"weir/rules"
)

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
