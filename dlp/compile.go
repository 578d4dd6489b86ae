package dlp

import (
	"crypto/rand"
	"errors"
	"fmt"
	"hash/maphash"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"weir/edm"
	"weir/rules"
) // Options of Compile. The zero value is usable.
type Options struct {
	CacheDir       string // compiled databases are kept here; "" keeps none
	FingerprintKey []byte // keys fingerprints; empty: a random one, so that they compare within this process only
	Last4          bool   // of cards only the last four digits are shown, not the first six too
	OpenBytes      int64  // bytes that all open values together may hold, C memory included; 0: DefaultOpenBytes
	Files          bool   // for files, that is the fields of dissect.OnDisk; else for all but these
	scalar         bool   // for tests: no vector instructions
	forgetful      bool   // for tests: nothing is remembered of what was scanned
	Unsieved       bool   // everything is looked for in every byte: slow, but Scanner.Refused is told of all matches then, those too whose check digit the sieve sees
}

// DefaultOpenBytes is what open values may hold unless Options say otherwise.
const DefaultOpenBytes = 64 << 20 // bytes

// A Database is a rules.Set made ready to scan. It is immutable and shared by all Scanners. It is freed when its owner has closed it, no
// Scanner uses it and no value is open in it.
type Database struct {
	context  map[string]bool // words of the rules' contexts, see Speaks
	set      *rules.Set
	rules    []*rule
	words    []keyword // patterns after the rules'
	named    []named
	sets     map[string]*edm.Set // of exact data, by their path and their key's
	matchers []*matcher
	compiled []native
	classes  int
	of       [2][]*class // by direction and index into dissect.FieldNames; nil where no rule looks
	files    bool        // Options.Files
	key      []byte
	last4    bool
	limit    int64 // bytes that open values may hold
	scalar   bool
	unsieved bool
	seeds    *[2]maphash.Seed // of digests; nil: nothing is remembered
	global   []allowlist

	refs atomic.Int64
	open *atomic.Int64 // bytes that open values hold now
}

// A rule is a rules.Rule made ready to confirm. Immutable.
type rule struct {
	*rules.Rule
	index    int32
	expr     *expression
	prog     *program
	look     int64 // bytes before an end at which its match may start
	within   int64 // bytes around a match in which context words are looked for
	keywords bool  // they must be looked for on their own: the expression does not imply them
	prefix   bool  // Hyperscan has it as a prefilter only: an end may be none
	retry    bool  // after a match that fails its validators, look for one that starts inside it
	checks   []*validator
	mask     string
	hides    hides
	show     maskFunc
	path     *regexp.Regexp // of the files that it looks into; nil: all
	allow    []allowlist
	luhn     bool // the end of a match tells whether its value may have the check digit asked for
	iin      bool // such a value must be of an issuer's range
	sides    bool // a validator looks at what stands after the match
	byLine   bool // an allow-list looks at the line
	needs    []requirement
	needed   bool   // another rule requires it
	strong   int    // points of its strongest validator
	base     int    // points of any finding
	fixed    bool   // it has a fixed text
	number   bool   // what a key says of a number speaks against a finding
	yields   bool   // nobody asked for it by name: it gives way to what other rules find in the same bytes
	exact    *exact // what is found is exact data; then there is no expression
}

type requirement struct {
	rule           int32
	lines, columns int
}

// A keyword makes all the rules hold that ask for it.
type keyword struct {
	word  string
	rules []int32
}

// keyword keeps a word that r asks for.
func (db *Database) keyword(w string, r *rule) {
	i := slices.IndexFunc(db.words, func(k keyword) bool { return k.word == w })
	if i < 0 {
		i = len(db.words)
		db.words = append(db.words, keyword{word: w})
	}
	db.words[i].rules = append(db.words[i].rules, r.index)
}

// patterns returns how many there are: the rules' by index, then the keywords'.
func (db *Database) patterns() int { return len(db.rules) + len(db.words) }

// Compile makes a Database of a Set. An error names the rule's file, line and id.
func Compile(set *rules.Set, opt Options) (*Database, error) {
	db := &Database{
		set: set, key: opt.FingerprintKey, last4: opt.Last4, limit: opt.OpenBytes, files: opt.Files, open: new(atomic.Int64), scalar: opt.scalar, unsieved: opt.Unsieved,
	}
	if db.limit == 0 {
		db.limit = DefaultOpenBytes
	}
	if !opt.Files && !opt.forgetful {
		db.seeds = &[2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}
	}
	if len(db.key) == 0 {
		db.key = make([]byte, 32)
		if _, err := rand.Read(db.key); err != nil {
			return nil, fmt.Errorf("dlp: make a fingerprint key: %w", err)
		}
	}
	db.refs.Store(1)
	err := db.prepare()
	if err == nil {
		db.context = db.spoken()
		err = db.classify()
	}
	if err == nil {
		err = db.build(opt.CacheDir)
	}
	if err != nil {
		db.Close()
		return nil, err
	}
	return db, nil
}

// Last4 reports whether of cards only the last four digits are shown. A Database of nil has no cards to show.
func (db *Database) Last4() bool { return db != nil && db.last4 }

// Size returns the bytes of C memory that the patterns take, without open values.
func (db *Database) Size() (sum int64) {
	for _, m := range db.matchers {
		sum += m.native.size()
	}
	for _, d := range db.compiled {
		sum += d.size()
	}
	return sum
}

func ruleError(r *rules.Rule, err error) error {
	if r.Pos.File == "" {
		return fmt.Errorf("rule %s: %w", r.ID, err)
	}
	return fmt.Errorf("%s:%d:%d: rule %s: %w", r.Pos.File, r.Pos.Line, r.Pos.Col, r.ID, err)
}

// setError is ruleError with the place where a set is named.
func setError(r *rules.Rule, err error) error {
	if r.EDM.Pos.Line == 0 {
		return ruleError(r, err)
	}
	return fmt.Errorf("%s: rule %s: %w", r.EDM.Pos, r.ID, err)
}

// prepare makes every rule that has an expression ready.
func (db *Database) prepare() error {
	ready, failed := db.prepareAll()
	var errs []error
	for i, r := range db.set.Rules {
		if r.EDM != nil {
			c, err := db.prepareExact(r)
			if err != nil {
				errs = append(errs, setError(r, err))
				continue
			}
			db.add(c)
			continue
		}
		if r.Regex == "" {
			if err := db.prepareNamed(r); err != nil {
				errs = append(errs, ruleError(r, err))
			}
			continue
		}
		c := ready[i]
		if c == nil {
			errs = append(errs, ruleError(r, failed[i]))
			continue
		}
		db.add(c)
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return db.link()
}

// prepareAll makes the rules that have an expression ready, as many at a time as there are processors.
func (db *Database) prepareAll() (ready []*rule, failed []error) {
	list := db.set.Rules
	ready, failed = make([]*rule, len(list)), make([]error, len(list))
	var next atomic.Int64
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := next.Add(1) - 1; int(i) < len(list); i = next.Add(1) - 1 {
				if list[i].Regex != "" {
					ready[i], failed[i] = prepareRule(list[i])
				}
			}
		})
	}
	wg.Wait()
	return ready, failed
}

// add gives a rule that is ready its index.
func (db *Database) add(c *rule) {
	c.index = int32(len(db.rules))
	db.rules = append(db.rules, c)
	if c.keywords {
		for _, w := range c.Keywords {
			db.keyword(w, c)
		}
	}
}

func prepareRule(r *rules.Rule) (*rule, error) {
	e, err := parse(r.Regex)
	if err != nil {
		return nil, err
	}
	p, err := compileProgram(e, r.SecretGroup)
	if err != nil {
		return nil, err
	}
	c := &rule{Rule: r, expr: e, prog: p, look: int64(min(e.max, maxMatch)) + 1, within: int64(r.Within)}
	if c.within == 0 {
		c.within = defaultWithin
	}
	c.within = min(c.within, maxWithin)
	c.keywords = !e.implies(r.Keywords)
	for _, name := range r.Validate {
		v := validatorNamed(name)
		if v == nil {
			return nil, fmt.Errorf("validate: no validator is called %q (there are %s)", name, strings.Join(Validators(), ", "))
		}
		c.checks = append(c.checks, v)
		c.sides = c.sides || slices.Contains(aside, v.name)
	}
	c.retry = len(c.checks) > 0 && e.max <= maxRetry
	c.prepareLuhn()
	c.prepareConfidence()
	if err := c.prepareTelling(); err != nil {
		return nil, err
	}
	return c, nil
}

// prepareTelling makes ready what says which findings are told, and how.
func (r *rule) prepareTelling() (err error) {
	how := maskNamed(maskOf(r.Rule))
	if how == nil {
		return fmt.Errorf("mask: no mask is called %q (there are %s)", r.Mask, strings.Join(Masks(), ", "))
	}
	r.mask, r.hides, r.show = how.name, how.hides, how.fn
	if r.Path != "" {
		if r.path, err = regexp.Compile(r.Path); err != nil {
			return fmt.Errorf("path: %w", err)
		}
	}
	r.allow, err = compileAllows(r.Allow)
	return err
}

// ours
const (
	defaultWithin = 300 // bytes, as Purview has it
	maxWithin     = 1024
	maxRetry      = 128 // bytes of the longest match inside which another one is looked for
)

// asks reports whether r asks for a validator.
func (r *rule) asks(name string) bool { return slices.Contains(r.Validate, name) }

// link resolves what rules say of each other.
func (db *Database) link() error {
	var errs []error
	for _, r := range db.rules {
		for _, q := range r.Required {
			i := slices.IndexFunc(db.rules, func(o *rule) bool { return o.ID == q.ID })
			if i < 0 {
				errs = append(errs, ruleError(r.Rule, fmt.Errorf("required: there is no rule %q", q.ID)))
				continue
			}
			db.rules[i].needed = true
			r.needs = append(r.needs, requirement{int32(i), q.WithinLines, q.WithinColumns})
		}
	}
	for _, a := range db.set.Allow {
		w, err := compileAllow(a)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		db.global = append(db.global, w)
	}
	for _, r := range db.rules {
		for i := range db.global {
			if db.global[i].isFor(r.ID) {
				r.allow = append(r.allow, db.global[i])
			}
		}
		r.byLine = slices.ContainsFunc(r.allow, func(a allowlist) bool { return a.target == "line" && len(a.regexes) > 0 })
		if r.byLine {
			r.within = max(r.within, maxLineWait)
		}
	}
	for _, r := range db.rules {
		r.yields = r.Builtin && r.Engine == rules.DLP && !r.needed && !r.SkipReport
	}
	for i := range db.named {
		for j := range db.global {
			if n := &db.named[i]; db.global[j].isFor(n.ID) {
				n.allow = append(n.allow, db.global[j])
			}
		}
	}
	return errors.Join(errs...)
}

// Close gives up the owner's hold on db. Its C memory is freed once no Scanner and no open value needs it.
func (db *Database) Close() { db.release() }

func (db *Database) retain() { db.refs.Add(1) }

func (db *Database) release() {
	if db.refs.Add(-1) > 0 {
		return
	}
	for _, m := range db.matchers {
		m.native.free()
	}
	for _, d := range db.compiled {
		d.free()
	}
	for _, s := range db.sets {
		s.Close()
	}
}
