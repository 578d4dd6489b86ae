package daemon

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"

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
