package daemon

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/pprof"
	"sort"

	"weir/alert"
	"weir/capture"
	"weir/dissect"
	"weir/dlp"
	"weir/engine"
	"weir/flow"
	"weir/pcapstore"
	"weir/rules"
)

// Replay runs captures through the pipeline. It is the same engine as the daemon's, without a daemon.
type Replay struct {
	Config   *Config // nil: defaults
	Rules    []string
	Builtin  bool
	Output   string          // table, json or none
	Events   map[string]bool // types to tell; nil: all
	Slices   string          // folder for the packets of alerts; "": none
	Checksum flow.ChecksumMode
	Stats    bool
	Profile  string
	Stdout   io.Writer
	Stderr   io.Writer
}

// LoadRules reads the rules that the run uses.
func (r *Replay) LoadRules() (*rules.Set, rules.Problems) {
	paths, builtin := r.Rules, r.Builtin
	if r.Config != nil {
		paths = append(r.Config.RulePaths(), paths...)
		builtin = builtin && r.Config.Rules.Builtin
	}
	return LoadRules(paths, builtin)
}

const replayRecent = 256 << 20 // bytes of packets kept to look back from an alert

// Run takes the files through the pipeline and returns how many alerts they raised.
func (r *Replay) Run(set *rules.Set, files []string) (alerts uint64, err error) {
	conf := r.Config
	if conf == nil {
		conf = DefaultConfig()
	}
	recent := int64(0)
	if r.Slices != "" {
		recent = min(replayRecent, int64(conf.Budget.Memory)/4)
	}
	div := conf.divide(0, recent, programMin, false)
	if err := div.check(conf); err != nil {
		return 0, err
	}
	new(pacer).tune(0, div.garbage, int64(conf.Budget.Memory))
	if r.Profile != "" {
		stop, err := Profile(r.Profile)
		if err != nil {
			return 0, err
		}
		defer stop()
	}
	db, err := compileForUser(set, conf, dlp.Options{OpenBytes: div.inspect})
	if err != nil {
		return 0, err
	}
	defer db.Close()
	queue, events := r.sink()
	cfg := engine.Config{
		Flow: div.limits(conf), Overlap: flow.Overlap(conf.Flow.Overlap), Checksum: r.Checksum, Dissect: dissect.DefaultLimits,
		Events: events, Emit: queue.Put, Budgets: div.budgets(), Validation: conf.Protocols.validation(),
	}
	cfg.Budgets.RecentMost = recent // nobody waits
	if r.Slices != "" {
		store, err := pcapstore.Open(r.Slices, pcapstore.Options{Quota: int64(conf.Pcap.Quota), App: "weir " + Version()})
		if err != nil {
			return 0, err
		}
		defer func() { err = errors.Join(err, store.Close()) }()
		cfg.Store, cfg.Post = store, conf.Pcap.Post.Duration()
	}
	e := engine.New(cfg)
	e.SetRules(db)
	if r.Config != nil {
		set, p, problems := ConfiguredPolicy(r.Config)
		if err := problems.Err(); err != nil {
			return 0, err
		}
		if len(set.Rules)+len(set.Modes) > 0 {
			e.SetPolicy(p)
		}
	}
	lane := e.NewLane()
	lane.OnPanic = func(stack string) { fmt.Fprintf(r.Stderr, "weir: internal error, survived: %s\n", stack) }
	defer lane.Free()
	run := replayRun{e: e, lane: lane, stderr: r.Stderr}
	for _, name := range files {
		if err = run.file(name); err != nil {
			break
		}
	}
	run.close()
	if r.Stats {
		r.writeStats(&run.total, queue)
	}
	err = errors.Join(err, queue.Close())
	if err == nil && r.Output == "table" {
		fmt.Fprintln(r.Stderr, summary(&run.total))
	}
	return run.total.Alerts, err
}

// replayRun is the state that goes from one file into the next.
type replayRun struct {
	e      *engine.Engine
	lane   *engine.Lane
	tap    *engine.Tap
	src    *capture.File
	last   int64
	total  engine.Counters
	stderr io.Writer
}

func (r *replayRun) file(name string) error {
	if info, err := os.Stat(name); err == nil && info.IsDir() {
		return fmt.Errorf("%s is a folder: name the captures in it (%s)", name, filepath.Join(name, "*.pcap"))
	}
	src, err := capture.OpenFile(name)
	if err != nil {
		return err
	}
	defer src.Close()
	r.src = src
	for first := true; ; first = false {
		frames, err := src.Next()
		if len(frames) > 0 {
			if first && frames[0].Time < r.last {
				r.close() // time goes back: another recording, its flows are others
			}
			if r.tap == nil {
				r.tap = r.e.NewTap(engine.TapConfig{Interfaces: r.interfaces, Number: true})
			}
			r.last = frames[len(frames)-1].Time
			r.lane.Block(r.tap, frames)
		}
		switch {
		case errors.Is(err, io.EOF):
			if w := src.Warning(); w != nil {
				fmt.Fprintf(r.stderr, "weir: warning: %v\n", w)
			}
			return nil
		case err != nil:
			return err
		}
	}
}

func (r *replayRun) interfaces() []capture.Interface { return r.src.Interfaces() }

func (r *replayRun) close() {
	if r.tap == nil {
		return
	}
	r.lane.Close(r.tap)
	r.total.Add(r.tap.Counters())
	r.tap = nil
}

// sink returns where events go, and which are wanted.
func (r *Replay) sink() (*alert.Queue, map[string]bool) {
	events := r.Events
	var s alert.Sink
	switch r.Output {
	case "json":
		s = alert.NewWriter(r.Stdout)
	case "table":
		s = alert.NewTable(r.Stdout, IsTerminal(r.Stdout))
		if events == nil {
			events = tableEvents
		}
	default:
		return alert.NewQueue(nil, true), nil
	}
	if events == nil {
		events = allEvents()
	}
	return alert.NewQueue(s, true), events
}

// summary says in a line what was read, so that an empty table is not taken for an empty capture; and what was not looked at.
func summary(c *engine.Counters) string {
	s := fmt.Sprintf("weir: packets: %d, flows: %d, alerts: %d", c.Frames, c.Flow.Flows, c.Alerts)
	if c.Undecoded > 0 {
		s += fmt.Sprintf("; packets that could not be decoded: %d", c.Undecoded)
	}
	if c.Flow.GapBytes > 0 {
		s += fmt.Sprintf("; bytes that are missing in the capture: %d", c.Flow.GapBytes)
	}
	if c.Shed > 0 {
		s += fmt.Sprintf("; bytes that detection had no budget for: %d", c.Shed)
	}
	return s
}

// tableEvents are what a person sees unless more is asked for.
var tableEvents = map[string]bool{"alert": true, "info": true, "anomaly": true}

func (r *Replay) writeStats(c *engine.Counters, q *alert.Queue) {
	stats := c.Stats()
	if r.Output == "json" {
		q.Put(statsEvent(c.Last, stats))
	}
	lines := flatten("", stats, nil)
	sort.Strings(lines)
	for _, line := range lines {
		fmt.Fprintln(r.Stderr, line)
	}
}

func flatten(prefix string, m map[string]any, out []string) []string {
	for k, v := range m {
		if sub, ok := v.(map[string]any); ok {
			out = flatten(prefix+k+".", sub, out)
			continue
		}
		out = append(out, fmt.Sprintf("%-40s %v", prefix+k, v))
	}
	return out
}

// Profile writes a CPU profile to a file until stop is called.
func Profile(path string) (stop func(), err error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() { pprof.StopCPUProfile(); f.Close() }, nil
}
