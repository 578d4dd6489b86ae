package dlp

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/flier/gohs/hyperscan"
)

// build compiles, or loads from the cache, the databases of every class, two at a time.
func (db *Database) build(cacheDir string) error {
	countMemory()
	errs := make([]error, len(db.classes))
	var wg sync.WaitGroup
	limit := make(chan struct{}, 2)
	for i, c := range db.classes {
		wg.Add(1)
		limit <- struct{}{}
		go func() {
			defer wg.Done()
			defer func() { <-limit }()
			errs[i] = c.build(cacheDir)
		}()
	}
	wg.Wait()
	return errors.Join(errs...)
}

// build compiles what the class needs: block and stream databases of its patterns, and of those that are sieved.
func (c *class) build(cacheDir string) error {
	var err error
	if c.native, err = newNativeClass(); err != nil {
		return err
	}
	sieved, v := sift(c.rules)
	if v != nil {
		v.scalar = c.db.scalar
		if err := c.native.sift(v); err != nil {
			return err
		}
	}
	always, rare := c.hyperscanPatterns(sieved)
	for _, stream := range []bool{false, true} {
		if err := c.database(role{stream: stream}, always, cacheDir); err != nil {
			return err
		}
		if err := c.database(role{stream: stream, sieved: true}, rare, cacheDir); err != nil {
			return err
		}
	}
	c.size = int64(c.native.streamSize() + c.keep)
	return nil
}

func (c *class) hyperscanPatterns(sieved []*rule) (always, rare []*hyperscan.Pattern) {
	for i, r := range c.rules {
		p := hyperscan.NewPattern(r.expr.pattern(), 0)
		p.Id = i
		if slices.Contains(sieved, r) {
			rare = append(rare, p)
			continue
		}
		always = append(always, p)
	}
	for i, w := range c.words {
		// One end in a value is enough.
		p := hyperscan.NewPattern(hyperscanWord(w.word), hyperscan.Caseless|hyperscan.SingleMatch)
		p.Id = len(c.rules) + i
		always = append(always, p)
	}
	return always, rare
}

func hyperscanWord(w string) string {
	e, err := parse(quote(w))
	if err != nil {
		return `\x00\x00`
	}
	return e.pattern()
}

// database compiles pats, if there are any, for their role. A pattern that is refused is tried once more as a prefilter.
func (c *class) database(as role, pats []*hyperscan.Pattern, cacheDir string) error {
	if len(pats) == 0 {
		return nil
	}
	mode := hyperscan.BlockMode
	if as.stream {
		mode = hyperscan.StreamMode
	}
	name := cacheName(pats, mode)
	if b, ok := readCache(cacheDir, name, c.db.key); ok && c.native.load(as, b) == nil {
		return nil
	}
	for range len(pats) + 1 {
		d, err := hyperscan.Patterns(pats).Build(mode)
		if err == nil {
			defer d.Close()
			b, err := d.Marshal()
			if err != nil {
				return fmt.Errorf("dlp: serialise a database: %w", err)
			}
			writeCache(cacheDir, name, c.db.key, b)
			return c.native.load(as, b)
		}
		bad := culprit(pats, mode)
		if bad < 0 || pats[bad].Id >= len(c.rules) {
			return fmt.Errorf("dlp: compile %d rules: %w", len(c.rules), err)
		}
		if pats[bad].Flags&hyperscan.PrefilterMode != 0 {
			_, err := pats[bad].Build(mode)
			return ruleError(c.rules[pats[bad].Id].Rule, fmt.Errorf("regex: neither as it is nor as a prefilter: %w", err))
		}
		pats[bad].Flags |= hyperscan.PrefilterMode
	}
	return errNative
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
