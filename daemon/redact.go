package daemon

import (
	"context"
	"fmt"
	"io"
	"os"

	"weir/dissect"
	"weir/dlp"
	"weir/engine"
	"weir/flow"
	"weir/pcapstore"
	"weir/redact"
	"weir/rules"
)

// Redactor redacts what is pulled, with the rules and budgets of a configuration. Close it.
type Redactor struct {
	set   *rules.Set
	db    *dlp.Database
	cfg   engine.Config
	Count redact.Counters // of the last capture
}

// NewRedactor compiles set, which are the rules of conf.
func NewRedactor(conf *Config, set *rules.Set) (*Redactor, error) {
	div := conf.divide(0, 0, programMin, false)
	if err := div.check(conf); err != nil {
		return nil, err
	}
	db, err := compileForUser(set, conf, dlp.Options{OpenBytes: div.inspect})
	if err != nil {
		return nil, err
	}
	return &Redactor{set: set, db: db, cfg: engine.Config{
		Flow: div.limits(conf), Overlap: flow.Overlap(conf.Flow.Overlap), Dissect: dissect.DefaultLimits, Budgets: div.budgets(),
	}}, nil
}

// Close frees the rules.
func (r *Redactor) Close() { r.db.Close() }

// write has pull write a capture, and writes it to w redacted. What is pulled lies in a file without a name meanwhile.
func (r *Redactor) write(ctx context.Context, w io.Writer, o pcapstore.PullOptions, pull func(w io.Writer) error) error {
	f, err := os.CreateTemp("", "weir-pull-")
	if err != nil {
		return fmt.Errorf("redact: %w (TMPDIR names another folder)", err)
	}
	defer f.Close()
	if err := os.Remove(f.Name()); err != nil {
		return fmt.Errorf("redact: %w", err)
	}
	if err := pull(f); err != nil {
		return err
	}
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return fmt.Errorf("redact: %w", err)
	}
	r.Count, err = redact.Capture(ctx, &pcapstore.Capture{File: f, Size: size}, w, redact.Options{Set: r.set, DB: r.db, Engine: r.cfg, Format: o.Format, App: o.App})
	return err
}
