package alert

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

const (
	fileMode      = 0o640                  // of eve.json: the group may read it
	flushInterval = 500 * time.Millisecond // events that are no alerts reach the file within this
)

// File is a Sink that appends EVE lines to a file and rotates it by size: eve.json becomes eve.json.1, that eve.json.2,
// and so on. Alerts and anomalies are in the file when Write returns, others soon after. Its methods may be called from
// any goroutine.
type File struct {
	path string
	max  int64 // bytes; 0: no limit
	keep int

	lost    atomic.Uint64               // events, ever
	problem atomic.Pointer[error]       // of the last flush; nil: it did not fail
	info    atomic.Pointer[fs.FileInfo] // of the file that is written to

	mu      sync.Mutex // guards what follows; held while the disk writes
	l       lines
	f       *os.File
	size    int64 // bytes of the file when it was opened
	regular bool  // can be rotated
	failing bool  // the last flush failed
	armed   bool  // timer is running
	closed  bool
	timer   *time.Timer
}

// NewFile opens the file at path for appending; it is made if it is not there, mode 0640. Before it would grow over
// maxBytes it is rotated, and keep older ones are kept; maxBytes <= 0: never.
func NewFile(path string, maxBytes int64, keep int) (*File, error) {
	f := &File{path: path, max: maxBytes, keep: max(0, keep)}
	if err := f.open(); err != nil {
		return nil, err
	}
	return f, nil
}

// open puts the file at path in place of the present one.
func (f *File) open() error {
	file, err := os.OpenFile(f.path, os.O_RDWR|os.O_APPEND|os.O_CREATE, fileMode)
	if err != nil {
		return fmt.Errorf("events: %w", err)
	}
	st, err := file.Stat()
	if err == nil && st.Mode().IsRegular() {
		err = prepare(file, st)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("events: %w", err), file.Close())
	}
	if f.f != nil {
		f.f.Close() // all of it is written; what an error here could say, write said before
	}
	f.f, f.l.w, f.regular = file, file, st.Mode().IsRegular()
	f.info.Store(&st)
	f.size, f.l.written, f.l.done = st.Size(), 0, 0
	return nil
}

// prepare sets the mode whatever the umask is, never wider than it was if the file was there; and ends a line that a
// crash left without an end.
func prepare(file *os.File, st fs.FileInfo) error {
	mode := st.Mode().Perm() & fileMode
	if st.Size() == 0 {
		mode = fileMode
	}
	if mode != st.Mode().Perm() {
		if err := file.Chmod(mode); err != nil {
			return err
		}
	}
	if st.Size() == 0 {
		return nil
	}
	var last [1]byte
	if _, err := file.ReadAt(last[:], st.Size()-1); err != nil || last[0] == '\n' {
		return err
	}
	file.Write([]byte{'\n'}) // on a full disk it stays torn; that must not keep Weir from starting
	return nil
}

// Write implements Sink. After an error (a full disk) the lines are kept, as far as there is room, and tried again;
// those for which there is none are counted, and an anomaly "output.lost" tells of them.
func (f *File) Write(e *Event) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return fmt.Errorf("events: %s: %w", f.path, os.ErrClosed)
	}
	n, err := f.l.add(e)
	if err != nil {
		return err
	}
	return f.added(e, n)
}

// WriteLine is Write for who has e as an EVE line already, without its newline. The line is borrowed.
func (f *File) WriteLine(e *Event, line []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return fmt.Errorf("events: %s: %w", f.path, os.ErrClosed)
	}
	f.l.buf = append(append(f.l.buf, line...), '\n')
	return f.added(e, len(line)+1)
}

// added sees to it that the last line, of n bytes, is written in time.
func (f *File) added(e *Event, n int) (err error) {
	if f.full() {
		err = f.rotate(len(f.l.buf) - n)
	}
	if !urgent(e.Type) && !f.failing && len(f.l.buf) < writeSize {
		f.arm()
		return err
	}
	if ferr := f.flush(); ferr != nil {
		f.l.shed(n)
		f.lost.Store(f.l.gone)
		f.arm()
		return ferr
	}
	if f.l.lost > 0 {
		return errors.Join(err, f.l.tell(e.Time), f.flush())
	}
	return err
}

// urgent says which events are written at once.
func urgent(typ string) bool {
	return typ == "alert" || typ == "info" || typ == "anomaly" || typ == "drop"
}

// flush writes out the buffer.
func (f *File) flush() error {
	err := f.l.flush(len(f.l.buf))
	f.failing = err != nil
	if err != nil {
		err = fmt.Errorf("events: %w", err)
		f.problem.Store(&err)
		return err
	}
	f.problem.Store(nil)
	return nil
}

// Lost returns how many events were never written, for there was no room for them while the file could not be written to; and why it
// cannot be now, nil if it can. It does not wait for a disk.
func (f *File) Lost() (events uint64, failing error) {
	if err := f.problem.Load(); err != nil {
		failing = *err
	}
	return f.lost.Load(), failing
}

// Astray reports whether the path leads to another file than that which is written to, or to none: somebody has renamed or removed it.
func (f *File) Astray() bool {
	mine := f.info.Load()
	there, err := os.Stat(f.path)
	return errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(*mine, there)
}

// arm sees to it that what is buffered does not wait for the next event.
func (f *File) arm() {
	if f.armed {
		return
	}
	f.armed = true
	if f.timer == nil {
		f.timer = time.AfterFunc(flushInterval, f.tick)
		return
	}
	f.timer.Reset(flushInterval)
}

func (f *File) tick() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.armed = false
	if f.closed {
		return
	}
	if f.flush() != nil {
		f.arm() // the next Write meets the error too, and returns it
	}
}

// full reports whether the buffered lines would take the file over its limit.
func (f *File) full() bool {
	return f.max > 0 && f.regular && f.size+f.l.written+int64(len(f.l.buf)-f.l.done) > f.max
}

// rotate writes the first end bytes of the buffer to the present file, renames the files and opens a new one.
func (f *File) rotate(end int) error {
	err := f.l.flush(end) // if the disk is full, the lines go to the new file: the oldest makes room for it
	st, serr := f.f.Stat()
	if serr != nil {
		return errors.Join(err, serr)
	}
	f.size, f.l.written = st.Size(), 0 // it may have been truncated meanwhile (logrotate's copytruncate)
	if f.size == 0 || !f.full() {
		return err
	}
	// Only the file in use is moved on: if it has gone already, renaming the others again would push out old ones for
	// nothing.
	if there, serr := os.Stat(f.path); serr == nil && os.SameFile(st, there) {
		err = errors.Join(err, f.shift())
	}
	return errors.Join(err, f.open())
}

// shift gives each file the next one's name.
func (f *File) shift() (err error) {
	if f.keep == 0 {
		return remove(f.path)
	}
	for i := f.keep; i > 0; i-- {
		from := f.path
		if i > 1 {
			from += "." + strconv.Itoa(i-1)
		}
		if e := os.Rename(from, f.path+"."+strconv.Itoa(i)); e != nil && !errors.Is(e, fs.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	return err
}

func remove(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Reopen opens the file at the path anew, for who has renamed it (logrotate). On an error the old one stays in use.
func (f *File) Reopen() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return fmt.Errorf("events: %s: %w", f.path, os.ErrClosed)
	}
	f.flush() // what cannot be written goes to the new file
	return f.open()
}

// Close implements Sink: it writes out what is buffered and closes the file.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil
	}
	f.closed = true
	if f.timer != nil {
		f.timer.Stop()
	}
	return errors.Join(f.flush(), f.f.Close())
}
