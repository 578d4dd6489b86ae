// Package redact overwrites in a capture what rules find in it: in every packet that carries it, sent again or cut between segments, and in
// whatever encoding. What cannot be told apart byte by byte, because it was seen in a decoded view, is overwritten with all the bytes that carried
// it; what could not be looked at is overwritten whole. It looks at the capture with the very engine that looks at traffic, and at what it has written once more.
package redact

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"weir/dlp"
	"weir/engine"
	"weir/pcapstore"
	"weir/rules"
	"weir/wire"
)

// Options say what is looked for, and how the answer is written.
type Options struct {
	Set    *rules.Set
	DB     *dlp.Database // made of Set, for traffic
	Engine engine.Config // limits and budgets; its events and its store are not used
	Format pcapstore.Format
	App    string // what is named as the writer
}

// Counters count what was done.
type Counters struct {
	Packets int // in which something was overwritten
	Bytes   int
	Blanked map[string]int // conversations whose payload was overwritten whole, by why
}

// ours
const (
	maxPackets = 32 << 20 // of a capture: of each is remembered which conversation it belongs to
	// maxGroups is how many values are told apart. A conversation that has more is overwritten whole.
	maxGroups = 1 << 18
	fill      = 'X' // what stands where something stood
)

// ErrTooMany says that a capture has more packets than can be redacted at once.
var ErrTooMany = errors.New("too many packets to be redacted at once (narrow the query down)")

// Capture writes the capture to w, redacted. Nothing is written if it fails before it is sure. Errors: ctx's, ErrTooMany, those of w, of the rules' memory and of
// the file system; that the capture is none that pcapstore wrote.
func Capture(ctx context.Context, in *pcapstore.Capture, w io.Writer, o Options) (Counters, error) {
	p := newPlan(&o)
	if err := p.look(ctx, in); err != nil {
		return Counters{}, err
	}
	if err := p.search(ctx, in); err != nil {
		return Counters{}, err
	}
	if err := p.verify(ctx, in); err != nil {
		return Counters{}, err
	}
	p.count = Counters{Blanked: p.blanked()}
	err := in.Edit(ctx, w, o.Format, o.App, "redacted", p.edit)
	return p.count, err
}

// verify looks at what would be written once more. A conversation in which something is found still is overwritten whole.
func (p *plan) verify(ctx context.Context, in *pcapstore.Capture) error {
	f, err := os.CreateTemp("", "weir-redact-")
	if err != nil {
		return err
	}
	defer f.Close()
	if err := os.Remove(f.Name()); err != nil { // nothing is left behind whatever becomes of this process
		return err
	}
	if err := in.Edit(ctx, f, pcapstore.PcapNG, p.o.App, "redacted", p.edit); err != nil {
		return err
	}
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	return p.check(ctx, &pcapstore.Capture{File: f, Size: size})
}

// viewer is the engine for the packets of one interface: what is said on two is not mixed up.
type viewer struct {
	lane *engine.Lane
	tap  *engine.Tap
}

// pass takes all packets through the engine, with rules or without; trace makes what is told of an interface's.
func (p *plan) pass(ctx context.Context, in *pcapstore.Capture, db *dlp.Database, trace func(iface uint16) *engine.Trace) error {
	cfg := p.o.Engine
	cfg.Events, cfg.Emit, cfg.Store = map[string]bool{"alert": true}, nil, nil // as if somebody listened, so that what was found is kept
	seen := map[uint16]*viewer{}
	defer func() {
		for _, v := range seen {
			v.lane.Free()
		}
	}()
	frames := make([]wire.Frame, 1)
	err := in.Walk(ctx, func(n int, f *wire.Frame, comment string) error {
		if n == maxPackets {
			return ErrTooMany
		}
		v := seen[f.Iface]
		if v == nil {
			e := engine.New(cfg)
			e.SetRules(db)
			v = &viewer{lane: e.NewLane(), tap: e.NewTap(engine.TapConfig{})}
			v.lane.Trace = trace(f.Iface)
			seen[f.Iface] = v
		}
		p.packet, p.comment = n, comment
		frames[0] = *f
		v.lane.Block(v.tap, frames)
		return nil
	})
	if err != nil {
		return fmt.Errorf("redact: %w", err)
	}
	for _, v := range seen {
		v.lane.Close(v.tap)
	}
	return nil
}
