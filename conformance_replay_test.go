package weir_test

import (
	"errors"
	"io"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"

	"weir/alert"
	"weir/capture"
	"weir/dissect"
	"weir/dlp"
	"weir/engine"
	"weir/flow"
	"weir/rules"
	"weir/wire"
)

// playing says how a capture of the corpus is taken through the engine.
type playing struct {
	pcap  string // under the corpus
	mode  flow.ChecksumMode
	ports bool // every port is another one: see movePorts
	rules bool // with the rules that are built in
}

// played is what came of it: every event there is, and where a panic was.
type played struct {
	events []*alert.Event
	panics []string
}

// plays remembers what came of each playing, for several tables look at the same captures.
var plays = struct {
	sync.Mutex
	of map[playing]*played
}{of: map[playing]*played{}}

// playAll takes captures through engines of their own, on all processors, unless it was done before. Panics fail the test.
func playAll(t *testing.T, dir string, want []playing) map[playing]*played {
	t.Helper()
	out := map[playing]*played{}
	var todo []playing
	plays.Lock()
	for _, p := range want {
		if _, ok := out[p]; ok {
			continue
		}
		if out[p] = plays.of[p]; out[p] == nil {
			out[p] = &played{}
			todo = append(todo, p)
		}
	}
	plays.Unlock()
	db := builtinRules(t, todo)
	if db != nil {
		defer db.Close()
	}
	next := make(chan playing)
	var all sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		all.Add(1)
		go func() {
			defer all.Done()
			for p := range next {
				out[p].play(filepath.Join(dir, p.pcap), p, db)
			}
		}()
	}
	for _, p := range todo {
		next <- p
	}
	close(next)
	all.Wait()
	plays.Lock()
	defer plays.Unlock()
	for _, p := range todo {
		plays.of[p] = out[p]
	}
	for p, got := range out {
		for _, stack := range got.panics {
			t.Errorf("%s: panic: %s", p.pcap, stack)
		}
	}
	return out
}

// builtinRules compiles the rules that are built in if one of the playings asks for them.
func builtinRules(t *testing.T, list []playing) *dlp.Database {
	t.Helper()
	for _, p := range list {
		if !p.rules {
			continue
		}
		set, problems := rules.Load(nil, rules.Options{Builtin: true})
		if problems.Failed() {
			t.Fatal(problems.Err())
		}
		db, err := dlp.Compile(set, dlp.Options{FingerprintKey: make([]byte, 32)})
		if err != nil {
			t.Fatal(err)
		}
		return db
	}
	return nil
}

// everyEvent are all types of events that a replay can tell.
func everyEvent() map[string]bool {
	all := map[string]bool{"alert": true, "info": true, "anomaly": true, "flow": true, "fileinfo": true}
	for _, p := range dissect.Protocols {
		// else it is only named, or only its flows are told of
		if p.New != nil && slices.ContainsFunc(p.Fields, func(f dissect.FieldSpec) bool { return f.EVE != "" }) {
			all[p.EventType()] = true
		}
	}
	return all
}

func (r *played) play(path string, p playing, db *dlp.Database) {
	src, err := capture.OpenFile(path)
	if err != nil {
		return // no capture: told by the reader's own tables
	}
	defer src.Close()
	e := engine.New(engine.Config{
		Flow: flow.DefaultLimits, Dissect: dissect.DefaultLimits, Checksum: p.mode, Events: everyEvent(),
		Emit: func(ev *alert.Event) { r.events = append(r.events, ev) },
	})
	if p.rules {
		e.SetRules(db)
	}
	lane := e.NewLane()
	defer lane.Free()
	lane.Poison = true
	lane.OnPanic = func(stack string) { r.panics = append(r.panics, stack) }
	tap := e.NewTap(engine.TapConfig{Interfaces: src.Interfaces, Number: true})
	move := func([]wire.Frame) {}
	if p.ports {
		move = newPortMap(p.pcap).move
	}
	for err == nil {
		var frames []wire.Frame
		frames, err = src.Next()
		move(frames)
		lane.Block(tap, frames)
	}
	if !errors.Is(err, io.EOF) {
		r.panics = append(r.panics, err.Error())
	}
	lane.Close(tap)
}

// everyName are the names of all protocols that Weir knows.
func everyName() map[string]bool {
	all := map[string]bool{}
	for _, p := range dissect.Protocols {
		all[p.Name] = true
	}
	return all
}
