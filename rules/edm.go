package rules

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// EDM is what a rule with a table [rules.edm] finds: values that stand in one row of a set, which `weir dlp edm build` made of a table.
type EDM struct {
	Set        string   // path of the set
	Key        string   // path of its key; "": where keys are by default
	Columns    []string // that count; empty: all of the set
	MinColumns int      // so many of them must be found of one row
	Within     int      // bytes from the end of the first value to the beginning of the last
	Pos        Pos      // where the set is named
}

type rawEDM struct {
	Set        string   `toml:"set"`
	Key        string   `toml:"key"`
	Columns    []string `toml:"columns"`
	MinColumns *int     `toml:"min_columns"`
	Within     *int     `toml:"within"`
}

// ours
const (
	maxEDMColumns = 32
	maxEDMWithin  = 4096 // bytes
)

// exact takes in [rules.edm].
func (s *source) exact(r *Rule, raw *rawRule, path string) {
	if raw.EDM == nil && r.EDM == nil {
		return
	}
	at := func(key string) string { return member(member(path, "edm"), key) }
	e := EDM{MinColumns: 2, Within: 300}
	if r.EDM != nil {
		e = *r.EDM
	}
	if raw.EDM != nil {
		s.readEDM(&e, raw.EDM, at)
	}
	if e.Set == "" && !s.broken {
		s.fail(member(path, "edm"), Error, "edm has no set", `name the file that weir dlp edm build made: set = "customers.edm"`)
	}
	if n := len(e.Columns); n > 0 && n < e.MinColumns {
		s.fail(at("columns"), Error, fmt.Sprintf("min_columns is %d, but only %d are named: the rule would find nothing", e.MinColumns, n), "")
	}
	for _, no := range []struct {
		key   string
		given bool
	}{
		{"regex", r.Regex != ""}, {"secretGroup", r.SecretGroup > 0}, {"entropy", r.Entropy > 0}, {"validate", len(r.Validate) > 0},
		{"context", len(r.Context) > 0},
	} {
		if no.given {
			s.fail(member(path, no.key), Error, no.key+" and edm do not go together", "what edm finds is known: the other columns are its context")
		}
	}
	r.EDM = &e
}

func (s *source) readEDM(e *EDM, raw *rawEDM, at func(string) string) {
	relative := func(p string) string {
		if p != "" && !filepath.IsAbs(p) {
			p = filepath.Join(filepath.Dir(s.name), p)
		}
		return p
	}
	if raw.Set != "" {
		e.Set, e.Pos = relative(raw.Set), s.valuePos(at("set"))
	}
	setText(&e.Key, relative(raw.Key))
	setInt(s, &e.MinColumns, raw.MinColumns, at("min_columns"), 1, maxEDMColumns)
	setInt(s, &e.Within, raw.Within, at("within"), 0, maxEDMWithin)
	if raw.Columns == nil {
		return
	}
	e.Columns = raw.Columns
	for i, c := range e.Columns {
		if c == "" || slices.Contains(e.Columns[:i], c) {
			s.fail(element(at("columns"), i), Error, fmt.Sprintf("column %q is named twice, or is no name", c), "")
		}
	}
}

// explainEDM says what a rule with a set finds.
func explainEDM(e *EDM) string {
	which := "columns"
	if len(e.Columns) > 0 {
		which = strings.Join(e.Columns, ", ")
	}
	if e.MinColumns == 1 {
		return fmt.Sprintf("a value of %s of the set %s", which, e.Set)
	}
	return fmt.Sprintf("values of at least %d of %s of one row of the set %s, within %d bytes", e.MinColumns, which, e.Set, e.Within)
}
