package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// logLock is what a daemon locks in the folder of eve.json; nobody else may open it, as they may the folder.
const logLock = ".lock"

const lockTries = 10 // ours: that another daemon ends just then

// alone reports, before anything is watched or held, what another daemon has that this one would need. Two that write one eve.json would
// rotate it under each other's hands, and two that hold packets would take down each other's rules.
func (d *Daemon) alone() error {
	path := d.conf.Paths.Socket()
	if err := freeSocket(path); err != nil {
		return fmt.Errorf("control socket %s: %w", path, err)
	}
	if addr := d.conf.Metrics.Listen; addr != "" {
		l, err := listenMetrics(addr)
		if err != nil {
			return err
		}
		l.Close() // nobody is answered before the daemon is ready
	}
	return d.lockLog()
}

// lockLog locks the folder of eve.json until the daemon ends. Where the file system has no locks, or no room for one, there is none.
func (d *Daemon) lockLog() error {
	path := filepath.Join(d.conf.Paths.Log, logLock)
	for range lockTries {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
		if err != nil {
			return nil // what is wrong with the folder eve.json will tell
		}
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); errors.Is(err, unix.EWOULDBLOCK) {
			f.Close()
			return fmt.Errorf("[paths] log: another weir writes to %s (stop it, or give another folder)", d.conf.Paths.Log)
		}
		mine, err := f.Stat()
		there, gone := os.Stat(path)
		if err == nil && (gone != nil || !os.SameFile(mine, there)) {
			f.Close() // one that ended has removed it meanwhile
			continue
		}
		d.logLock = f
		return nil
	}
	return nil // others come and go too fast: none of them stays
}

// unlockLog lets another daemon write there.
func (d *Daemon) unlockLog() {
	if d.logLock != nil {
		os.Remove(d.logLock.Name())
		d.logLock.Close()
	}
}

// freeSocket reports why no socket can be made at path: a living daemon has it, or something else stands there. What a dead one left is
// no obstacle.
func freeSocket(path string) error {
	st, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case st.Mode().Type() != fs.ModeSocket:
		return errors.New("what stands there is no socket (remove it, or change [paths] run)")
	}
	if n, err := net.DialTimeout("unix", path, controlRead); err == nil {
		n.Close()
		return errors.New("another weir answers there (stop it first: systemctl stop weir)")
	}
	return nil
}
