package pcapstore

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Errors of a Store.
var (
	ErrTooManyOpen  = errors.New("too many slices are open")
	ErrTooManyAlike = errors.New("too many slices of one rule and workload are being written at once: what room there is is kept for others")
	ErrFull         = errors.New("pcap store is full of pinned and open slices (raise [pcap] quota, or remove some of them)")
	ErrNoSpace      = errors.New("too little space is left on the file system for a slice (free some, or move [paths] state)")
	ErrInUse        = errors.New("another weir writes to this folder (stop it, or give another folder)")
	ErrNotFound     = errors.New("no such slice")
	ErrEmpty        = errors.New("slice holds no packet")
	ErrView         = errors.New("pcap store was opened for reading")
)

// Options bound a Store. Fields that are 0 or less take the value named.
type Options struct {
	Quota    int64  // bytes that all slices together may take; then the oldest unpinned ones go; 10 GiB
	App      string // what is named as the writer, "weir VERSION"
	MaxOpen  int    // slices being written at once; then Begin fails, and for one rule and workload before that; 256
	MaxSlice int64  // bytes of one slice; then its packets are counted, not stored; 64 MiB, and half the quota at most
	MaxFiles int    // finished slices; then the oldest go; 200,000
	MinFree  int64  // bytes left free on the file system, else Begin fails; 64 MiB, and a sixteenth of the file system at most

	// Queue is the number of bytes that may wait for the disk. Slices are then written in the background, and packets that
	// do not fit are counted, not stored: a tap never waits for a disk. 0: every call writes itself, and returns the disk's errors.
	Queue int64
}

// opsPerSlice is how many pieces of work an open slice may add to a full queue; ours: its begin, the packet that was let in last, the last
// bytes and its end.
const opsPerSlice = 4

// Counters count what a Store did since Open.
type Counters struct {
	Written   uint64 // slices finished
	Bytes     uint64 // of finished slices
	Failed    uint64 // slices given up because the disk or the quota refused them
	Refused   uint64 // Begin that failed: too many open, no space
	NotStored uint64 // packets kept out of a slice by MaxSlice or Queue, and those of slices that were given up
	Removed   uint64 // slices removed to stay below the quota, or for their age
	Saved     uint64 // unfinished slices of a crash that Open finished
}

// Store is a folder of slices. Its methods may be called from any goroutine.
type Store struct {
	dir  string
	root *os.Root
	lock *os.File // the folder, held for as long as the Store is open; nil: a view
	o    Options

	seq    atomic.Uint64
	open   shares
	queued atomic.Int64 // bytes
	usage  atomic.Int64 // bytes of all slices, open ones too
	files  atomic.Int64 // finished slices
	closed atomic.Bool
	disk   sync.Mutex // one at a time writes to the disk, or makes room
	queue  chan op    // nil: no background
	spare  chan []byte
	began  atomic.Int64 // ns since the epoch: when the background began what it does now; 0: it waits
	done   chan struct{}

	written, bytes, failed, refused, notStored, removed, saved atomic.Uint64
}

// Open opens the store in a folder for writing, makes the folder (0700) if need be, and finishes what a crash left unfinished. Files that are
// no slices are never touched. Errors: ErrInUse, those of the file system.
func Open(dir string, o Options) (*Store, error) {
	o.Quota = orElse(o.Quota, 10<<30)
	o.MaxOpen = orElse(o.MaxOpen, 256)
	o.MaxSlice = orElse(o.MaxSlice, 64<<20)
	o.MaxFiles = orElse(o.MaxFiles, 200_000)
	if err := makeFolder(dir); err != nil {
		return nil, fmt.Errorf("pcap store: %w", err)
	}
	s, err := View(dir)
	if err != nil {
		return nil, err
	}
	o.MaxSlice = min(o.MaxSlice, o.Quota/2) // one slice must not push out all others
	if o.MinFree <= 0 {
		o.MinFree = s.reserve()
	}
	s.o = o
	if err := s.start(); err != nil {
		s.root.Close()
		return nil, fmt.Errorf("pcap store %s: %w", dir, err)
	}
	return s, nil
}

// View opens the store in a folder for List, Find, Remove and Pin, beside a daemon that writes to it.
func View(dir string) (*Store, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("pcap store: %w", err)
	}
	root, err := os.OpenRoot(abs)
	if err != nil {
		return nil, fmt.Errorf("pcap store: %w", err)
	}
	return &Store{dir: abs, root: root}, nil
}

func (s *Store) start() error {
	d, err := s.root.Open(".")
	if err != nil {
		return err
	}
	if err := unix.Flock(int(d.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		d.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return ErrInUse
		}
		return err
	}
	s.lock = d
	err = s.salvage()
	if err == nil {
		_, err = s.scan()
	}
	if err != nil {
		d.Close()
		return err
	}
	if s.o.Queue > 0 {
		// Room for all that may be queued at once, so that sending never waits: full buffers, and what each open slice may add to them
		// whatever else waits.
		s.queue = make(chan op, opsPerSlice*s.o.MaxOpen+int(s.o.Queue/writerBuffer)+1)
		s.done = make(chan struct{})
		s.spare = make(chan []byte, spareBuffers)
		go s.background()
	}
	return nil
}

// makeFolder makes the folder. One that stands there empty, and is ours, is closed to others too.
func makeFolder(dir string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	err := os.Mkdir(dir, 0o700)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		return &fs.PathError{Op: "stat", Path: dir, Err: err}
	}
	if st.Mode&0o077 == 0 || st.Mode&unix.S_ISVTX != 0 || int(st.Uid) != os.Geteuid() {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if _, err := d.Readdirnames(1); err == io.EOF {
		return d.Chmod(0o700)
	}
	return nil
}

// Dir returns the folder's absolute path.
func (s *Store) Dir() string { return s.dir }

// Usage returns the bytes that all slices take.
func (s *Store) Usage() int64 { return s.usage.Load() }

// Counters returns what s did so far.
func (s *Store) Counters() Counters {
	return Counters{
		Written: s.written.Load(), Bytes: s.bytes.Load(), Failed: s.failed.Load(), Refused: s.refused.Load(),
		NotStored: s.notStored.Load(), Removed: s.removed.Load(), Saved: s.saved.Load(),
	}
}

// Busy returns how long the background has been at its present piece of work; 0: it is at none.
func (s *Store) Busy() time.Duration {
	if t := s.began.Load(); t != 0 {
		return time.Since(time.Unix(0, t))
	}
	return 0
}

// Close waits until all closed slices are on disk. Slices that are still open are finished by the next Open.
func (s *Store) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	if s.queue != nil {
		s.queue <- op{kind: opStop}
		<-s.done
	}
	s.disk.Lock()
	defer s.disk.Unlock()
	if s.lock != nil {
		s.lock.Close()
	}
	return s.root.Close()
}

// makeRoom removes the oldest slices until n more bytes fit. Called with disk held.
func (s *Store) makeRoom(n int64) error {
	if s.usage.Load()+n <= s.o.Quota && s.files.Load() < int64(s.o.MaxFiles) {
		return nil
	}
	all, err := s.scan() // others may have removed or pinned some
	if err != nil {
		return err
	}
	// A tenth more than is needed, so that the folder is not read for every slice.
	limit, files := s.o.Quota-s.o.Quota/10, int64(s.o.MaxFiles-s.o.MaxFiles/10)
	for _, e := range all {
		if s.usage.Load()+n <= limit && s.files.Load() < files {
			break
		}
		if e.pinned {
			continue
		}
		if err := s.remove(e); err != nil {
			return err
		}
		s.removed.Add(1)
	}
	if s.usage.Load()+n > s.o.Quota || s.files.Load() >= int64(s.o.MaxFiles) {
		return ErrFull
	}
	return nil
}

func (s *Store) remove(e entry) error {
	err := s.root.Remove(e.name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	s.usage.Add(-e.size)
	s.files.Add(-1)
	return nil
}

// Free returns the bytes that are free on the file system. The store must have been opened for writing.
func (s *Store) Free() (int64, error) {
	if s.lock == nil {
		return 0, ErrView
	}
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(s.lock.Fd()), &st); err != nil {
		return 0, err
	}
	return int64(st.Bavail) * int64(st.Bsize), nil
}

// ours
const (
	mostReserve = 64 << 20 // bytes left free on the file system for others
	reservePart = 16       // of a small one so much of it
)

// reserve returns how many bytes of the file system are left to others.
func (s *Store) reserve() int64 {
	var st unix.Statfs_t
	if err := unix.Statfs(s.dir, &st); err != nil {
		return mostReserve
	}
	return min(mostReserve, int64(st.Blocks)*int64(st.Bsize)/reservePart)
}

// enoughSpace reports ErrNoSpace if the file system is nearly full.
func (s *Store) enoughSpace() error {
	free, err := s.Free()
	if err == nil && free < s.o.MinFree {
		err = ErrNoSpace
	}
	return err
}

func orElse[T int | int64](v, other T) T {
	if v <= 0 {
		return other
	}
	return v
}
