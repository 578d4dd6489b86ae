package policy

// condition is a Condition, by numbers. Patterns of a rule that denies are in lower case.
type condition struct {
	field    int32
	kind     kind
	patterns *patterns
}

// judge reports whether a condition of a rule with an action holds for a message.
func (c *condition) judge(f *Fields, a Action) answer {
	found, open := false, !f.Complete
	for i := range f.values {
		v := &f.values[i]
		if v.field != c.field {
			continue
		}
		found = true
		switch {
		case v.open:
			open = true
		case a == Deny && (v.cut || c.fits(f, v, a)):
			return yes
		case a == Allow && (v.cut || !c.fits(f, v, a)):
			return no
		}
	}
	switch {
	case f.over && a == Deny:
		return yes
	case f.over:
		return no
	case open:
		return maybe
	case found && a == Allow, !found && c.patterns.absent:
		return yes
	}
	return no
}

// fits reports whether a value is what one of the patterns says: in all its readings, for a rule that allows, or in any.
func (c *condition) fits(f *Fields, v *value, a Action) bool {
	if c.patterns.any {
		return true
	}
	deny := a == Deny
	r := f.readings(v, c.kind, a)
	switch {
	case r.whole:
		return c.patterns.fits(f.of(v.at), deny)
	case r.doubt:
		return deny
	}
	for _, s := range f.spans[r.first : r.first+r.n] {
		if c.reads(f.of(s), deny) == deny {
			return deny
		}
	}
	return !deny
}

// reads compares one reading.
func (c *condition) reads(s []byte, deny bool) bool {
	if deny && c.kind == kindTopic {
		if n := wildTopic(s); n >= 0 { // whoever subscribes to a pattern gets what it stands for
			return c.patterns.meets(s[:n])
		}
	}
	return c.patterns.fits(s, deny)
}
