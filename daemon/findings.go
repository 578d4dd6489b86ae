package daemon

import (
	"bytes"
	"cmp"
	"fmt"
	"time"

	"weir/engine"
)

// findingsStatus says what became of findings that raised nothing. d.mu is held.
func (d *Daemon) findingsStatus(c *engine.Counters) FindingsStatus {
	f := FindingsStatus{Unsure: c.Unsure, Allowed: c.Allowed, GivenWay: c.Given, Elsewhere: c.Elsewhere}
	if d.db == nil {
		return f
	}
	for _, a := range d.db.Allowances() {
		f.Lists = append(f.Lists, AllowlistStatus{Rule: a.Rule, About: cmp.Or(a.List.Description, a.List.Reason), Owner: a.List.Owner,
			Expires: a.List.Expires, Expired: a.Expired, Dropped: a.Dropped})
	}
	return f
}

// notRaised counts findings that raised nothing, by why.
func notRaised(c *engine.Counters) map[string]uint64 {
	return map[string]uint64{"unsure": c.Unsure, "allowed": c.Allowed, "given_way": c.Given, "elsewhere": c.Elsewhere}
}

// warning says that the list has expired; "" if it has not.
func (a *AllowlistStatus) warning() string {
	if !a.Expired {
		return ""
	}
	return fmt.Sprintf("an allow-list expired on %s, what it left out is found again: %s (remove it, or give it a later date)", a.Expires, a.name())
}

func (a *AllowlistStatus) name() string {
	s := "of " + cmp.Or(a.Rule, "several rules")
	if a.About != "" {
		s += ", " + a.About
	}
	if a.Owner != "" {
		s += ", by " + a.Owner
	}
	return s
}

// expireLists ends the allow-lists whose last day is over, without a reload.
func (d *Daemon) expireLists(now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.db == nil {
		return
	}
	for _, a := range d.db.Expire(now) {
		d.log.Warn("an allow-list has expired: what it left out is found again", "rule", cmp.Or(a.Rule, "several"), "about", cmp.Or(a.List.Description, a.List.Reason),
			"owner", a.List.Owner, "expired", a.List.Expires)
	}
}

func (s *Status) writeFindings(b *bytes.Buffer) {
	f := &s.Findings
	if f.Unsure+f.Allowed+f.GivenWay+f.Elsewhere == 0 && len(f.Lists) == 0 {
		return
	}
	t := table(b)
	defer t.Flush()
	fmt.Fprintln(t, "\nFINDINGS NOT RAISED\tCOUNT")
	for _, x := range []struct {
		what string
		n    uint64
	}{
		{"less sure than their rule asks for (min_confidence)", f.Unsure},
		{"in bytes that another rule was surer of", f.GivenWay},
		{"between others than their rule asks for (from, to)", f.Elsewhere},
		{"dropped by allow-lists", f.Allowed},
	} {
		if x.n > 0 {
			fmt.Fprintf(t, "%s\t%d\n", x.what, x.n)
		}
	}
	for i := range f.Lists {
		l := &f.Lists[i]
		until := ""
		switch {
		case l.Expired:
			until = ", expired on " + l.Expires
		case l.Expires != "":
			until = ", until " + l.Expires
		}
		fmt.Fprintf(t, "  since the rules were loaded: allow-list %s%s\t%d\n", clean(l.name()), until, l.Dropped)
	}
}
