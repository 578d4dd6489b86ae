package dlp

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"github.com/flier/gohs/hyperscan"
)

// job is one Hyperscan database that has to be made. Matchers may need the same one.
type job struct {
	stream bool
	pats   []*hyperscan.Pattern
	name   string // in the cache
	into   []target
	native native
	err    error
}

type target struct {
	native nativeClass
	role   role
}

// build compiles, or loads from the cache, the databases of every matcher: as many at a time as there are processors.
func (db *Database) build(cacheDir string) error {
	countMemory()
	jobs, err := db.jobs()
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	limit := make(chan struct{}, runtime.GOMAXPROCS(0))
	for _, j := range jobs {
		limit <- struct{}{}
		wg.Go(func() {
			defer func() { <-limit }()
			j.err = db.make(j, cacheDir)
		})
	}
	wg.Wait()
	var errs []error
	for _, j := range jobs {
		errs = append(errs, j.err)
		if j.native.db != nil {
			db.compiled = append(db.compiled, j.native)
		}
		for _, p := range j.pats {
			if p.Flags&hyperscan.PrefilterMode != 0 {
				db.rules[p.Id].prefix = true
			}
		}
	}
	for _, of := range db.of {
		for _, c := range of {
			if c != nil {
				c.size = int64(c.matcher.native.streamSize() + memoFrozen + c.keep + exactSize*len(c.exact))
			}
		}
	}
	Trim()
	return errors.Join(errs...)
}

// blockMost is how many patterns have databases for whole values beside those for streams. They take three times as long to compile, and are
// hardly faster where there are many.
const blockMost = 512

// jobs lists what has to be made: block and stream databases of each matcher's patterns, and of those that are sieved.
func (db *Database) jobs() (jobs []*job, err error) {
	kinds := make([]map[*rule]kind, len(db.matchers))
	for i, m := range db.matchers {
		if m.native, err = newNativeClass(); err != nil {
			return nil, err
		}
		if db.unsieved {
			continue
		}
		var v *sieve
		if kinds[i], v = sift(m.rules); v != nil {
			v.scalar = db.scalar
			if err := m.native.sift(v); err != nil {
				return nil, err
			}
		}
	}
	everywhere := db.everywhere(kinds)
	for i, m := range db.matchers {
		for _, as := range roles {
			pats := m.hyperscanPatterns(everywhere[i], kinds[i], as.kind)
			if len(pats) == 0 || m.brief && as.stream || !m.brief && !as.stream && len(m.rules) > blockMost {
				continue
			}
			j := &job{stream: as.stream, pats: pats}
			j.name = cacheName(pats, j.mode())
			if i := slices.IndexFunc(jobs, func(o *job) bool { return o.name == j.name }); i >= 0 {
				j = jobs[i]
			} else {
				jobs = append(jobs, j)
			}
			j.into = append(j.into, target{m.native, as})
		}
	}
	// The largest first: none is waited for at the end.
	slices.SortStableFunc(jobs, func(a, b *job) int { return len(b.pats) - len(a.pats) })
	return jobs, nil
}

// everywhere returns, by matcher, the rules that it looks for in every byte, and those of others that are cheap to look for, where these are few:
// a database takes seconds to compile, and one for several matchers is held once.
func (db *Database) everywhere(kinds []map[*rule]kind) [][]*rule {
	of := make([][]*rule, len(db.matchers))
	var cheap []*rule
	for i, m := range db.matchers {
		for _, r := range m.rules {
			if kinds[i][r] != always {
				continue
			}
			of[i] = append(of[i], r)
			if !m.brief && r.cheap() && !slices.Contains(cheap, r) {
				cheap = append(cheap, r)
			}
		}
	}
	for i, m := range db.matchers {
		var more []*rule
		for _, r := range cheap {
			if !slices.Contains(m.rules, r) {
				more = append(more, r)
			}
		}
		if !m.brief && len(of[i]) > 0 && len(more) <= sharedMost {
			of[i] = append(of[i], more...)
			slices.SortFunc(of[i], func(a, b *rule) int { return int(a.index - b.index) })
		}
	}
	return of
}

func (j *job) mode() hyperscan.ModeFlag {
	if j.stream {
		return hyperscan.StreamMode
	}
	return hyperscan.BlockMode
}

// hyperscanPatterns returns the patterns of a kind: those of rules that are looked for everywhere, or of what kinds has.
func (m *matcher) hyperscanPatterns(everywhere []*rule, kinds map[*rule]kind, want kind) (pats []*hyperscan.Pattern) {
	from := m.rules
	if want == always {
		from = everywhere
	}
	for _, r := range from {
		if want != always && kinds[r] != want {
			continue
		}
		p := hyperscan.NewPattern(r.expr.pattern(), 0)
		p.Id = int(r.index)
		pats = append(pats, p)
	}
	if want != always {
		return pats
	}
	for i := range m.db.words {
		w := &m.db.words[i]
		if !m.wants(w) {
			continue
		}
		// One end in a value is enough.
		p := hyperscan.NewPattern(hyperscanWord(w.word), hyperscan.Caseless|hyperscan.SingleMatch)
		p.Id = len(m.db.rules) + i
		pats = append(pats, p)
	}
	return pats
}

func hyperscanWord(w string) string {
	e, err := parse(quote(w))
	if err != nil {
		return `\x00\x00`
	}
	return e.pattern()
}

// make does a job.
func (db *Database) make(j *job, cacheDir string) error {
	if b, ok := readCache(cacheDir, j.name, db.key); ok && j.load(b) == nil {
		return nil
	}
	var b []byte
	var exact bool
	var err error
	frugal(func() { b, exact, err = db.compile(j) })
	if err != nil {
		return err
	}
	if exact { // else nobody would know when it is read again
		writeCache(cacheDir, j.name, db.key, b)
	}
	return j.load(b)
}

func (j *job) load(b []byte) (err error) {
	if j.native, err = loadNative(b); err != nil {
		return err
	}
	for _, t := range j.into {
		t.native.lend(t.role, j.native)
	}
	return nil
}

// compile returns a serialised database, and whether all patterns are as they were asked for: one that is refused is tried once more as a prefilter.
func (db *Database) compile(j *job) (b []byte, exact bool, err error) {
	exact = true
	for range len(j.pats) + 1 {
		d, err := hyperscan.Patterns(j.pats).Build(j.mode())
		if err == nil {
			defer d.Close()
			if b, err = d.Marshal(); err != nil {
				return nil, false, fmt.Errorf("dlp: serialise a database: %w", err)
			}
			return b, exact, nil
		}
		bad := culprit(j.pats, j.mode())
		if bad < 0 || j.pats[bad].Id >= len(db.rules) {
			return nil, false, fmt.Errorf("dlp: compile %d patterns: %w", len(j.pats), err)
		}
		p := j.pats[bad]
		if p.Flags&hyperscan.PrefilterMode != 0 {
			_, err := p.Build(j.mode())
			return nil, false, ruleError(db.rules[p.Id].Rule, fmt.Errorf("regex: neither as it is nor as a prefilter: %w", err))
		}
		p.Flags |= hyperscan.PrefilterMode
		exact = false
	}
	return nil, false, errNative
}

// culprit returns the first pattern that does not compile on its own, -1 if all do.
func culprit(pats []*hyperscan.Pattern, mode hyperscan.ModeFlag) int {
	for i, p := range pats {
		d, err := p.Build(mode)
		if err != nil {
			return i
		}
		d.Close()
	}
	return -1
}
