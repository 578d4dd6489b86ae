package dlp

import (
	"errors"
	"fmt"
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

func (c *class) build(cacheDir string) error {
	pats := make([]*hyperscan.Pattern, 0, c.patterns)
	for i, r := range c.rules {
		p := hyperscan.NewPattern(r.expr.pattern(), 0)
		p.Id = i
		pats = append(pats, p)
	}
	for i, w := range c.words {
		// One end in a value is enough.
		p := hyperscan.NewPattern(hyperscanWord(w.word), hyperscan.Caseless|hyperscan.SingleMatch)
		p.Id = len(c.rules) + i
		pats = append(pats, p)
	}
	var err error
	if c.block, err = c.database(pats, hyperscan.BlockMode, cacheDir); err != nil {
		return err
	}
	if c.stream, err = c.database(pats, hyperscan.StreamMode, cacheDir); err != nil {
		return err
	}
	c.size = int64(c.stream.streamSize() + c.keep)
	return nil
}

func hyperscanWord(w string) string {
	e, err := parse(quote(w))
	if err != nil {
		return `\x00\x00`
	}
	return e.pattern()
}

// database compiles pats for mode. A pattern that is refused is tried once more as a prefilter.
func (c *class) database(pats []*hyperscan.Pattern, mode hyperscan.ModeFlag, cacheDir string) (nativeDB, error) {
	name := cacheName(pats, mode)
	if b, ok := readCache(cacheDir, name, c.db.key); ok {
		if d, err := loadNative(b); err == nil {
			return d, nil
		}
	}
	for range len(pats) + 1 {
		d, err := hyperscan.Patterns(pats).Build(mode)
		if err == nil {
			defer d.Close()
			b, err := d.Marshal()
			if err != nil {
				return nativeDB{}, fmt.Errorf("dlp: serialise a database: %w", err)
			}
			writeCache(cacheDir, name, c.db.key, b)
			return loadNative(b)
		}
		bad := culprit(pats, mode)
		if bad < 0 || bad >= len(c.rules) {
			return nativeDB{}, fmt.Errorf("dlp: compile %d rules: %w", len(c.rules), err)
		}
		if pats[bad].Flags&hyperscan.PrefilterMode != 0 {
			_, err := pats[bad].Build(mode)
			return nativeDB{}, ruleError(c.rules[bad].Rule, fmt.Errorf("regex: neither as it is nor as a prefilter: %w", err))
		}
		pats[bad].Flags |= hyperscan.PrefilterMode
	}
	return nativeDB{}, errNative
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
