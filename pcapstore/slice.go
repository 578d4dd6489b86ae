package pcapstore

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"weir/capture"
	"weir/wire"
)

// Slice is one file being written. It is owned by one goroutine, which must call Close.
type Slice struct {
	s      *Store
	w      *Writer
	meta   Meta
	id     string
	name   string
	ids    []ifaceID
	wrote  int64 // bytes given to the store
	close  Closing
	closed bool

	// The rest is the store's, used with disk held.
	file *os.File // nil: not made yet, or closed
	made bool     // the hidden file is there
	size int64    // bytes of it
	err  atomic.Pointer[error]
}

// ifaceID maps an interface of the source to one of the file. A source may show several link types under one index.
type ifaceID struct {
	index uint16
	link  wire.Link
	id    int
	lost  uint64 // frames to be told with the next packet
}

// ours
const maxSliceInterfaces = 64 // per slice; packets of more are not stored

type opKind uint8

const (
	opBegin opKind = iota
	opData
	opEnd
	opStop
)

// op is a piece of work for the disk.
type op struct {
	kind  opKind
	slice *Slice
	data  []byte
}

// Begin starts a slice. The file appears under its name once Close is done. With a background the file system's refusal shows at a later
// Add or Close, and in Counters. Errors: ErrTooManyOpen, ErrTooManyAlike, ErrNoSpace, ErrFull,
// ErrView, os.ErrClosed, those of the file system.
func (s *Store) Begin(m Meta) (*Slice, error) {
	if s.lock == nil {
		return nil, ErrView
	}
	if s.closed.Load() {
		return nil, os.ErrClosed
	}
	cause := m.cause()
	if err := s.open.take(cause, s.o.MaxOpen); err != nil {
		s.refused.Add(1)
		return nil, err
	}
	id := s.newID(&m)
	m.Slice = id
	l := &Slice{s: s, meta: m, id: id, name: sliceName(m.Time, id)}
	l.w = NewWriter(l, PcapNG, s.o.App, m.line())
	if err := s.do(op{kind: opBegin, slice: l}); err != nil {
		s.open.give(cause)
		s.refused.Add(1)
		return nil, err
	}
	return l, nil
}

// newID makes a slice's id: of its cause and its number, so that the same replay gives the same ids.
func (s *Store) newID(m *Meta) string {
	h := sha256.New()
	var b [24]byte
	binary.BigEndian.PutUint64(b[:], uint64(m.Time))
	binary.BigEndian.PutUint64(b[8:], m.FlowID)
	binary.BigEndian.PutUint64(b[16:], s.seq.Add(1))
	h.Write(b[:])
	io.WriteString(h, m.Alert+"\x00"+m.Rule)
	return hex.EncodeToString(h.Sum(nil)[:idDigits/2])
}

// ID returns the slice's id: 16 hexadecimal digits.
func (l *Slice) ID() string { return l.id }

// Info describes the slice as it is now.
func (l *Slice) Info() *Info {
	i := &Info{ID: l.id, Path: l.Path(), Open: true, Meta: l.meta, Closing: l.close}
	i.Closing.Alerts, i.Closing.Rules = slices.Clone(l.close.Alerts), slices.Clone(l.close.Rules)
	return i
}

// Path returns where the file will be.
func (l *Slice) Path() string { return filepath.Join(l.s.dir, l.name) }

// Add copies a frame into the slice, with a comment or "". A frame beyond the limits of the store is counted, not stored, and that is no
// error. An error means that the slice is lost: nothing more can be added, and Close returns the same.
func (l *Slice) Add(f *wire.Frame, comment string) error {
	if err := l.failed(); err != nil {
		return err
	}
	i := l.iface(f)
	n := int64(len(f.Data) + len(comment) + 64)
	switch {
	case i == nil:
		l.omit("interfaces")
		return nil
	case l.wrote+n > l.s.o.MaxSlice:
		l.omit("size of a slice")
		return nil
	case l.s.backlogged(n):
		l.omit("queue to the disk")
		i.lost++
		return nil
	}
	l.wrote += n
	if l.close.Packets == 0 || f.Time < l.close.First {
		l.close.First = f.Time
	}
	l.close.Last = max(l.close.Last, f.Time)
	l.close.Packets++
	captured, _ := lengths(f)
	l.close.Bytes += uint64(captured)
	note := Note{Comment: comment, Dropped: i.lost}
	i.lost = 0
	return l.w.Packet(i.id, f, note)
}

// Lost says that the capture lost n frames of an interface since the last Add: it is told with the next packet, and at the end.
func (l *Slice) Lost(iface uint16, n uint64) {
	l.close.Lost += n
	for i := range l.ids {
		if l.ids[i].index == iface {
			l.ids[i].lost += n
			return
		}
	}
	if d := l.declare(iface, l.linkOf(iface)); d != nil {
		d.lost += n
	}
}

// Also notes a further alert that fell into the slice; either may be "".
func (l *Slice) Also(alert, rule string) {
	l.close.Alerts = further(l.close.Alerts, alert)
	l.close.Rules = further(l.close.Rules, rule)
}

// further adds a text to a list of at most maxFurther, each once.
func further(list []string, text string) []string {
	text = cutText(text, maxFurtherLen)
	if text == "" || len(list) == maxFurther || slices.Contains(list, text) {
		return list
	}
	return append(list, text)
}

// Short notes why the slice ends before its time.
func (l *Slice) Short(why string) { l.close.Why = cmp.Or(l.close.Why, why) }

// Close ends the slice. Without a background the file is then on disk, complete, and under its name. Errors: ErrEmpty, the file
// system's; there is no file then.
func (l *Slice) Close() error {
	if l.closed {
		return nil
	}
	l.closed = true
	err := l.failed()
	if err == nil && l.close.Packets == 0 {
		err = ErrEmpty
		l.err.Store(&err)
	}
	if err == nil {
		for _, i := range l.ids {
			l.w.stats[i.id].Dropped += i.lost
		}
		l.w.stats[len(l.w.stats)-1].Comment = l.close.line()
		err = l.w.Close()
	}
	if e := l.s.do(op{kind: opEnd, slice: l}); err == nil {
		err = e
	}
	return err
}

// iface returns the file's interface for a frame, nil if there are too many.
func (l *Slice) iface(f *wire.Frame) *ifaceID {
	for i := range l.ids {
		if l.ids[i].index == f.Iface && l.ids[i].link == f.Link {
			return &l.ids[i]
		}
	}
	return l.declare(f.Iface, f.Link)
}

func (l *Slice) declare(index uint16, link wire.Link) *ifaceID {
	if len(l.ids) == maxSliceInterfaces {
		return nil
	}
	var c capture.Interface
	if int(index) < len(l.meta.Interfaces) {
		c = l.meta.Interfaces[index]
	}
	c.Link = link
	id, err := l.w.Interface(c)
	if err != nil {
		return nil
	}
	l.ids = append(l.ids, ifaceID{index: index, link: link, id: id})
	return &l.ids[len(l.ids)-1]
}

func (l *Slice) linkOf(index uint16) wire.Link {
	if int(index) < len(l.meta.Interfaces) {
		return l.meta.Interfaces[index].Link
	}
	return wire.LinkEthernet
}

func (l *Slice) omit(limit string) {
	l.close.NotStored++
	l.close.Why = limit
	l.s.notStored.Add(1)
}

func (l *Slice) failed() error {
	if e := l.err.Load(); e != nil {
		return *e
	}
	return nil
}

// Write hands whole blocks to the store; it is the Writer's way out.
func (l *Slice) Write(b []byte) (int, error) {
	if l.s.queue != nil {
		b = append(l.s.buffer(), b...) // the Writer goes on with its own
	}
	return len(b), l.s.do(op{kind: opData, slice: l, data: b})
}

// do does a piece of work, or leaves it to the background.
func (s *Store) do(o op) error {
	if s.closed.Load() {
		return os.ErrClosed
	}
	if s.queue == nil {
		return s.run(o)
	}
	s.queued.Add(int64(len(o.data)))
	s.queue <- o
	return nil
}

// backlogged reports whether n more bytes would have to wait for a disk that is too far behind: by bytes, or by pieces of work, since
// each packet with a comment is one.
func (s *Store) backlogged(n int64) bool {
	return s.queue != nil && (s.queued.Load()+n > s.o.Queue || len(s.queue) > cap(s.queue)-opsPerSlice*s.o.MaxOpen)
}

func (s *Store) background() {
	defer close(s.done)
	for o := range s.queue {
		if o.kind == opStop {
			return
		}
		s.began.Store(time.Now().UnixNano())
		s.run(o) // its error is the slice's
		s.began.Store(0)
		s.queued.Add(-int64(len(o.data)))
		if o.data != nil {
			select {
			case s.spare <- o.data:
			default:
			}
		}
	}
}

// buffer returns an empty buffer, one that the disk is done with if there is one.
func (s *Store) buffer() []byte {
	select {
	case b := <-s.spare:
		return b[:0]
	default:
		return nil
	}
}

// run does a piece of work. At the first error of a slice its file is removed.
func (s *Store) run(o op) error {
	s.disk.Lock()
	defer s.disk.Unlock()
	l := o.slice
	err := l.failed()
	if err == nil {
		switch o.kind {
		case opBegin:
			err = s.create(l)
		case opData:
			err = s.write(l, o.data)
		case opEnd:
			err = s.finish(l)
		}
		if err != nil {
			l.err.Store(&err)
			s.failed.Add(1)
		}
	}
	if err != nil && l.made {
		s.discard(l)
	}
	if o.kind == opEnd {
		s.open.give(l.meta.cause())
		if err != nil {
			s.notStored.Add(l.close.Packets) // Close is done with it
		}
	}
	return err
}

func (s *Store) create(l *Slice) error {
	if err := s.enoughSpace(); err != nil {
		return err
	}
	if err := s.makeRoom(0); err != nil {
		return err
	}
	f, err := s.root.OpenFile(hiddenName(l.name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	l.file, l.made = f, err == nil
	return err
}

func (s *Store) write(l *Slice, b []byte) error {
	if err := s.makeRoom(int64(len(b))); err != nil {
		return err
	}
	n, err := l.file.Write(b)
	l.size += int64(n)
	s.usage.Add(int64(n))
	return err
}

func (s *Store) finish(l *Slice) error {
	if err := l.file.Sync(); err != nil {
		return err
	}
	err := l.file.Close()
	l.file = nil
	if err != nil {
		return err
	}
	old, oldErr := s.root.Lstat(l.name) // the same replay once more
	if err := s.root.Rename(hiddenName(l.name), l.name); err != nil {
		return err
	}
	l.made = false
	if oldErr == nil {
		s.usage.Add(-old.Size())
	} else {
		s.files.Add(1)
	}
	s.written.Add(1)
	s.bytes.Add(uint64(l.size))
	return s.lock.Sync()
}

func (s *Store) discard(l *Slice) {
	if l.file != nil {
		l.file.Close()
		l.file = nil
	}
	s.root.Remove(hiddenName(l.name))
	l.made = false
	s.usage.Add(-l.size)
}

// hiddenName returns the name that a slice has while it is written.
func hiddenName(name string) string { return "." + name + ".part" }

// openedName undoes hiddenName; "" if name is none.
func openedName(name string) string {
	n, ok := strings.CutSuffix(name, ".part")
	if !ok || !strings.HasPrefix(n, ".") {
		return ""
	}
	return n[1:]
}
