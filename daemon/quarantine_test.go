package daemon

import (
	"bytes"
	"fmt"
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

// TestQuarantineFullDisk: who is to be cut off is, and it is told that this ends with the daemon; who is noted as cut off, and cannot be as let in, stays so.
func TestQuarantineFullDisk(t *testing.T) {
	state := t.TempDir()
	var log bytes.Buffer
	conf := DefaultConfig()
	conf.Paths.State = state
	d := &Daemon{conf: conf, spaces: &broker.Client{}, log: slog.New(slog.NewTextHandler(&log, nil)), queue: alert.NewQueue(nobody{}, false)}
	defer d.queue.Close()
	g := &gates{d: d}
	wants := map[uint64]*wanted{7: {way: way{inode: 7}, who: &workload.Workload{Name: "web"}}, 8: {way: way{inode: 8}, who: &workload.Workload{Name: "db"}}}
	full := filepath.Join(state, "state") // where a folder is to be
	fill := func() {
		if err := os.WriteFile(full, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	wish := func(name string, lift, want bool) {
		t.Helper()
		if err := g.wish(Quarantine{Name: name, Lift: lift}, wants); (err == nil) != want {
			t.Errorf("%s, lift %v: %v", name, lift, err)
		}
	}
	unkept := func(want string) {
		t.Helper()
		got := ""
		for _, q := range g.quarantines {
			got += fmt.Sprintf("%s %v ", q.Name, q.Unkept != "")
		}
		if got != want {
			t.Errorf("in quarantine, and unkept: %s, want %s", got, want)
		}
	}
	kept := func() []*Quarantine {
		t.Helper()
		list, err := loadQuarantines(conf.Paths.quarantineFile())
		if err != nil {
			t.Error(err)
		}
		return list
	}
	fill()
	wish("web", false, true)
	unkept("web true ")
	wish("web", true, true) // nothing of it is written down
	unkept("")
	wish("web", false, true)
	os.Remove(full)
	wish("db", false, true)
	unkept("web false db false ")
	g.quarantines = kept() // as after a start
	unkept("web false db false ")
	os.RemoveAll(full)
	fill()
	wish("db", true, false)
	wish("web", false, true)
	unkept("db false web true ")
	wish("web", true, false) // the one before is written down
	unkept("db false web true ")
	os.Remove(full)
	wish("web", true, true)
	wish("db", true, true)
	if list := kept(); len(list) > 0 || len(g.quarantines) > 0 {
		t.Errorf("kept %v, in quarantine %v", list, g.quarantines)
	}
}

// nobody is a sink.
type nobody struct{}

func (nobody) Write(*alert.Event) error { return nil }
func (nobody) Close() error             { return nil }
