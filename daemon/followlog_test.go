package daemon

import (
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"weir/alert"
)

// TestReloadOnADiskThatHangs: a write to eve.json that does not come back keeps no reload from going on, and the next one no time at all. Once it
// has come back, eve.json is opened anew.
func TestReloadOnADiskThatHangs(t *testing.T) {
	conf := &Config{}
	conf.Paths.Log = t.TempDir()
	if err := unix.Mkfifo(conf.Paths.EVE(), 0o600); err != nil {
		t.Fatal(err)
	}
	pipe, err := unix.Open(conf.Paths.EVE(), unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pipe)
	for err == nil { // until it is full
		_, err = unix.Write(pipe, make([]byte, 4<<10))
	}
	d := newDaemon(conf, testLog(t))
	if d.eve, err = alert.NewFile(conf.Paths.EVE(), 0, 0); err != nil {
		t.Fatal(err)
	}
	d.queue = alert.NewQueue(d.eve, false)
	d.queue.Put(&alert.Event{Time: 1, Type: "alert", Alert: &alert.Alert{}})
	for end := time.Now().Add(10 * time.Second); d.queue.Busy() < time.Second; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("no write hangs")
		}
	}
	if err := unix.Rename(conf.Paths.EVE(), filepath.Join(conf.Paths.Log, "moved")); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		d.reopenLogSoon()
	}
	if d.queue.Busy() == 0 {
		t.Error("the write has come back: nothing was tested")
	}
	for d.queue.Busy() > 0 { // somebody reads
		unix.Read(pipe, make([]byte, 64<<10))
	}
	for end := time.Now().Add(10 * time.Second); d.reopening.Load(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("eve.json is not opened anew")
		}
	}
	if err := unix.Access(conf.Paths.EVE(), unix.R_OK); err != nil {
		t.Errorf("eve.json was not made anew: %v", err)
	}
	if err := d.queue.Close(); err != nil {
		t.Error(err)
	}
}
