package daemon

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"weir/alert"
	"weir/broker"
	"weir/workload"
)

// TestQuarantineBusy: where a namespace is just being changed, it is looked at again once that is over, and not over and over until then.
func TestQuarantineBusy(t *testing.T) {
	const inode = 7
	g := &gates{d: &Daemon{spaces: &broker.Client{}}, wake: make(chan struct{}, 1), cut: map[uint64]bool{}, uncut: map[uint64]string{}, cutting: map[uint64]bool{inode: false}}
	g.cuts = sync.NewCond(&g.mu)
	wants := map[uint64]*wanted{inode: {way: way{inode: inode}, who: &workload.Workload{Name: "web"}}}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.quarantines = []*Quarantine{{Name: "web"}}
	g.quarantine(wants, nil)
	if len(g.wake) > 0 {
		t.Error("the next pass comes at once, though it can do nothing yet")
	}
	if !g.cutting[inode] {
		t.Error("nobody looks at it again")
	}
	if q := g.quarantines[0]; !q.Starting || q.Now {
		t.Errorf("got %+v", q)
	}
	if !g.busy(wants, func(*wanted) bool { return true }) {
		t.Error("it is not busy")
	}
}

// TestQuarantineFails: what could not be lifted is told to whoever asked and, once, in the log, and is tried again.
func TestQuarantineFails(t *testing.T) {
	const inode = 7
	var log bytes.Buffer
	d := &Daemon{spaces: &broker.Client{}, log: slog.New(slog.NewTextHandler(&log, nil))}
	g := &gates{d: d, wake: make(chan struct{}, 1), cut: map[uint64]bool{}, uncut: map[uint64]string{}, cutting: map[uint64]bool{}}
	g.cuts = sync.NewCond(&g.mu)
	wants := map[uint64]*wanted{inode: {way: way{inode: inode, path: "/nowhere"}, who: &workload.Workload{Name: "web"}}}
	g.mu.Lock()
	defer g.mu.Unlock()
	for range 3 {
		g.quarantine(wants, nil)
	}
	if g.uncut[inode] == "" || len(g.cutting) > 0 {
		t.Errorf("not noted: %v %v", g.uncut, g.cutting)
	}
	if n := strings.Count(log.String(), "is not known"); n != 1 {
		t.Errorf("told %d times: %s", n, &log)
	}
	if len(g.wake) > 0 {
		t.Error("it is tried again at once")
	}
}

// TestQuarantineFullDisk: who is to be cut off is, and it is told that this ends with the daemon; who cannot be noted as let in stays cut off.
func TestQuarantineFullDisk(t *testing.T) {
	state := t.TempDir()
	var log bytes.Buffer
	conf := DefaultConfig()
	conf.Paths.State = state
	d := &Daemon{conf: conf, spaces: &broker.Client{}, log: slog.New(slog.NewTextHandler(&log, nil)), queue: alert.NewQueue(nobody{}, false)}
	defer d.queue.Close()
	g := &gates{d: d}
	wants := map[uint64]*wanted{7: {way: way{inode: 7}, who: &workload.Workload{Name: "web"}}}
	full := filepath.Join(state, "state") // where a folder is to be
	fill := func() {
		if err := os.WriteFile(full, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	fill()
	if err := g.wish(Quarantine{Name: "web"}, wants); err != nil || len(g.quarantines) != 1 || g.quarantines[0].Unkept == "" {
		t.Fatalf("got %v, %+v", err, g.quarantines)
	}
	if err := g.wish(Quarantine{Name: "web", Lift: true}, wants); err == nil || len(g.quarantines) != 1 {
		t.Errorf("lifted, and not written down: %v, %+v", err, g.quarantines)
	}
	os.Remove(full)
	if err := g.wish(Quarantine{Name: "web"}, wants); err != nil || g.quarantines[0].Unkept != "" {
		t.Errorf("with room again: %v, %+v", err, g.quarantines[0])
	}
	if kept, err := loadQuarantines(conf.Paths.quarantineFile()); err != nil || len(kept) != 1 {
		t.Errorf("kept %v, %v", kept, err)
	}
	if err := g.wish(Quarantine{Name: "web", Lift: true}, wants); err != nil || len(g.quarantines) != 0 {
		t.Errorf("lifted: %v, %+v", err, g.quarantines)
	}
}

// nobody is a sink.
type nobody struct{}

func (nobody) Write(*alert.Event) error { return nil }
func (nobody) Close() error             { return nil }
