package pcapstore

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"weir/capture"
	"weir/wire"
)

// ours
const (
	window        = 64 << 10 // bytes of a slice that are read at once
	maxReadIfaces = 1024     // interfaces of one slice that are read; Weir writes 64 at the most
)

// Why a slice's file cannot be read on.
var (
	errCutShort = errors.New("it is cut short")
	errBlock    = errors.New("a block makes no sense")
)

// reader reads a finished slice: first all of it, for an index of the packets that a query holds for, then those. It is
// owned by one goroutine.
type reader struct {
	info   *Info
	order  int // among the slices of a query
	f      io.ReaderAt
	close  func() error
	size   int64 // bytes
	buf    []byte
	at     int64 // offset of buf[0]
	ifaces []readIface
	index  []record // what is still to be read, in order of time
	looked uint64   // packets
	broken error    // why reading ended before the file did; nil: it did not
}

// readIface is an interface of a slice.
type readIface struct {
	capture.Interface
	out               int    // its number in the file being written; -1: none yet
	carried           uint64 // frames lost before packets that the query left out
	noted             uint64 // frames lost, as the packets tell
	received, dropped uint64 // as the slice's end tells
}

// record says where a packet is.
type record struct {
	time int64 // ns since the epoch
	off  int64
	lost uint64 // frames that its interface lost since the packet before that the query holds for
}

// stored is a packet read back. Its data is borrowed until the next read.
type stored struct {
	frame wire.Frame
	note  Note
}

// openSlice opens a slice for reading; one that was being written may be finished now. Errors: fs.ErrNotExist if the quota has removed
// it, those of the file system.
func (s *Store) openSlice(i *Info) (*reader, error) {
	name := filepath.Base(i.Path)
	f, err := s.root.Open(name)
	if i.Open && errors.Is(err, fs.ErrNotExist) {
		if now, ok := s.info(openedName(name)); ok {
			*i = now
			f, err = s.root.Open(filepath.Base(i.Path))
		}
	}
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err != nil || !st.Mode().IsRegular() {
		f.Close()
		return nil, &os.PathError{Op: "read", Path: i.Path, Err: cmp.Or(err, errBlock)}
	}
	return &reader{info: i, f: f, close: f.Close, size: st.Size()}, nil
}

// scan reads the whole slice and makes the index, until enough packets are in it.
func (r *reader) scan(q *Query, enough int) {
	all := q.Slice(r.info) == Yes
	var d wire.Decoder
	var p wire.Packet
	var got stored
	sorted := true
	for off := int64(0); off < r.size && len(r.index) < enough; {
		kind, body, err := r.block(off)
		if err == nil && (off == 0) != (kind == blockSection) {
			err = errBlock
		}
		if err == nil && kind == blockPacket {
			err = r.packet(body, &got, false)
		} else if err == nil {
			err = r.describe(kind, body)
		}
		if r.info.Open && errors.Is(err, errCutShort) {
			break // the rest is not written yet
		}
		if err != nil {
			r.broken = fmt.Errorf("slice %s: damaged at byte %d: %w", r.info.ID, off, err)
			break
		}
		if kind == blockPacket {
			r.looked++
			i := &r.ifaces[got.frame.Iface]
			i.noted += got.note.Dropped
			i.carried += got.note.Dropped
			if !all {
				d.Decode(&got.frame, &p)
			}
			if all || q.Packet(r.info, &p) {
				n := len(r.index)
				sorted = sorted && (n == 0 || r.index[n-1].time <= got.frame.Time)
				r.index = append(r.index, record{got.frame.Time, off, i.carried})
				i.carried = 0
			}
		}
		off += int64(len(body)) + blockOverhead
	}
	if !sorted {
		slices.SortStableFunc(r.index, func(a, b record) int { return cmp.Compare(a.time, b.time) })
	}
}

const blockOverhead = 12 // from the specification: bytes of a block around its body

// next reads the next packet of the index.
func (r *reader) next(p *stored) error {
	at := r.index[0]
	r.index = r.index[1:]
	kind, body, err := r.block(at.off)
	if err == nil && kind != blockPacket {
		err = errBlock
	}
	if err == nil {
		err = r.packet(body, p, true)
	}
	if err != nil {
		return fmt.Errorf("slice %s: at byte %d: %w", r.info.ID, at.off, err)
	}
	p.note.Dropped = at.lost
	return nil
}

// block returns the block at an offset; its body is borrowed until the next call.
func (r *reader) block(off int64) (kind uint32, body []byte, err error) {
	b, err := r.bytes(off, 8)
	if err != nil {
		return 0, nil, err
	}
	kind, n := binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:])
	if n < blockOverhead || n > maxBlock || n%4 != 0 {
		return 0, nil, errBlock
	}
	if b, err = r.bytes(off, int(n)); err != nil {
		return 0, nil, err
	}
	if binary.LittleEndian.Uint32(b[n-4:]) != n {
		return 0, nil, errBlock
	}
	return kind, b[8 : n-4], nil
}

// bytes returns n bytes from an offset on, out of the window.
func (r *reader) bytes(off int64, n int) ([]byte, error) {
	if r.size-off < int64(n) {
		return nil, errCutShort
	}
	if lo := off - r.at; lo >= 0 && lo+int64(n) <= int64(len(r.buf)) {
		return r.buf[lo:][:n], nil
	}
	want := int(min(r.size-off, int64(max(n, window))))
	if cap(r.buf) < want {
		r.buf = make([]byte, want)
	}
	r.buf, r.at = r.buf[:want], off
	if _, err := r.f.ReadAt(r.buf, off); err != nil && err != io.EOF {
		r.buf = r.buf[:0]
		return nil, err
	}
	return r.buf[:n], nil
}

// describe takes a block that is no packet: interfaces and their statistics; all others are passed over.
func (r *reader) describe(kind uint32, body []byte) error {
	c := wire.Cut(body)
	switch kind {
	case blockInterface:
		return r.newIface(&c)
	case blockStats:
		i := le32(&c)
		c.Skip(8)
		if c.Short() || int(i) >= len(r.ifaces) {
			return errBlock
		}
		options(&c, func(code uint16, v []byte) {
			switch {
			case code == isbReceived && len(v) == 8:
				r.ifaces[i].received = binary.LittleEndian.Uint64(v)
			case code == isbDropped && len(v) == 8:
				r.ifaces[i].dropped = binary.LittleEndian.Uint64(v)
			}
		})
	}
	return nil
}

func (r *reader) newIface(c *wire.Cursor) error {
	i := readIface{out: -1}
	i.Link = wire.Link(le16(c))
	c.Skip(2)
	i.SnapLen = le32(c)
	if c.Short() || len(r.ifaces) == maxReadIfaces {
		return errBlock
	}
	nanos := false
	options(c, func(code uint16, v []byte) {
		switch code {
		case ifName:
			i.Name = cutText(string(v), maxName)
		case ifDescription:
			i.Description = cutText(string(v), maxName)
		case ifTSResol:
			nanos = len(v) == 1 && v[0] == nanoseconds
		}
	})
	if !nanos {
		return errBlock // not written by Weir
	}
	r.ifaces = append(r.ifaces, i)
	return nil
}

// packet reads the body of a packet's block; the comments only if asked for.
func (r *reader) packet(body []byte, p *stored, comments bool) error {
	c := wire.Cut(body)
	i := le32(&c)
	high, low := le32(&c), le32(&c)
	captured, onWire := le32(&c), le32(&c)
	if captured > maxCaptured {
		return errBlock
	}
	data := c.Bytes(int(captured))
	c.Skip(-int(captured) & 3)
	if c.Short() || int(i) >= len(r.ifaces) {
		return errBlock
	}
	*p = stored{frame: wire.Frame{
		Data: data, Time: int64(min(uint64(high)<<32|uint64(low), math.MaxInt64)), Len: onWire,
		Iface: uint16(i), Link: r.ifaces[i].Link,
	}}
	var texts []string
	options(&c, func(code uint16, v []byte) {
		switch {
		case code == epbFlags && len(v) == 4 && binary.LittleEndian.Uint32(v)&3 == flagsOutbound:
			p.frame.Flag |= wire.FlagOutgoing
		case code == epbDropCount && len(v) == 8:
			p.note.Dropped = binary.LittleEndian.Uint64(v)
		case code == optComment && string(v) == lossUnknown:
			p.frame.Flag |= wire.FlagLoss
		case code == optComment && comments:
			texts = append(texts, string(v))
		}
	})
	p.note.Comment = strings.Join(texts, "\n")
	return nil
}

// options calls fn with each option; it ends at the first that does not fit.
func options(c *wire.Cursor, fn func(code uint16, v []byte)) {
	for c.Len() >= 4 {
		code, n := le16(c), int(le16(c))
		v := c.Bytes(n)
		c.Skip(min(-n&3, c.Len()))
		if c.Short() || code == optEnd {
			return
		}
		fn(code, v)
	}
}
