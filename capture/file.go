package capture

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"

	"weir/wire"
)

// Ours.
const (
	batchFrames   = 512      // frames that one Next returns at most
	readBuffer    = 1 << 20  // bytes of the read buffer to begin with; about a level-2 cache, so the parser finds its bytes there
	maxRecord     = 16 << 20 // bytes of one record, header included; a longer length is taken for a lie
	maxInterfaces = 1 << 16  // interfaces of one file: wire.Frame.Iface has 16 bits
	maxEmptyReads = 100      // reads in a row that yield neither bytes nor an error
)

// File reads a capture file: pcap or pcapng, plain, gzip or zstd. It is a Source; Next must be called from one
// goroutine at a time. Frames come in the file's order and point into the read buffer. Memory is bounded by maxRecord.
//
// A file that is cut short or goes wrong in the middle yields what could be read, then io.EOF; Warning then says what
// happened and where.
type File struct {
	name   string
	inside string // " (gzip)", for messages
	in     io.Reader
	closer []io.Closer
	closed atomic.Bool

	buf    []byte
	lo, hi int   // buf[lo:hi] is not read yet
	base   int64 // offset of buf[0] in the uncompressed file
	skip   int64 // bytes to drop before the next record

	frames []wire.Frame
	count  int64 // frames returned, the current batch included
	done   bool
	warn   error

	ifaces []Interface
	ng     bool
	pcap   pcapState
	sect   section
}

// Next returns the next frames, at most 512, valid until the next call of Next or Close. At the end it returns io.EOF,
// and after Close net.ErrClosed.
func (f *File) Next() ([]wire.Frame, error) {
	f.frames = f.frames[:0]
	for !f.closed.Load() {
		need := f.parse()
		if len(f.frames) > 0 {
			f.count += int64(len(f.frames))
			return f.frames, nil
		}
		if !f.done {
			f.fill(need)
		} else if !f.closed.Load() {
			return nil, io.EOF
		}
	}
	return nil, net.ErrClosed
}

// parse appends the frames that are whole in the buffer, and returns how many bytes from lo on the next step needs.
func (f *File) parse() int {
	if f.skip > 0 {
		n := min(f.skip, int64(f.hi-f.lo))
		f.lo += int(n)
		if f.skip -= n; f.skip > 0 {
			return 1
		}
	}
	switch {
	case f.done:
		return 0
	case f.ng:
		return f.parseNG()
	}
	return f.parsePcap()
}

// fill reads more, so that the buffer comes nearer to holding need bytes from lo on. At the end of input it sets done.
func (f *File) fill(need int) {
	if f.lo > 0 {
		copy(f.buf, f.buf[f.lo:f.hi])
		f.base += int64(f.lo)
		f.lo, f.hi = 0, f.hi-f.lo
	}
	if f.hi == len(f.buf) { // need is more than the buffer: grow as bytes really come, not as a length claims
		bigger := make([]byte, min(2*len(f.buf), maxRecord))
		copy(bigger, f.buf[:f.hi])
		f.buf = bigger
	}
	for range maxEmptyReads {
		n, err := f.in.Read(f.buf[f.hi:])
		f.hi += n
		if n > 0 {
			return
		}
		if err != nil {
			f.end(need, err)
			return
		}
	}
	f.end(need, io.ErrNoProgress)
}

// end notes the end of input, and warns if that is no place to end.
func (f *File) end(need int, err error) {
	f.done = true
	rest := f.hi - f.lo
	switch {
	case !errors.Is(err, io.EOF):
		f.stop(err)
	case f.skip > 0:
		f.stop(fmt.Errorf("%d bytes of a block are missing", f.skip))
	case rest > 0:
		f.stop(fmt.Errorf("%d of %d bytes of a record are there", rest, need))
	}
}

// stop ends reading at lo, for the reason given.
func (f *File) stop(why error) {
	f.done = true
	f.warning(fmt.Errorf("%s: cut short after %d frames at byte %d: %w", f.name, f.count+int64(len(f.frames)), f.offset(), why))
}

// warning keeps the first warning, and any that ends the file.
func (f *File) warning(err error) {
	if f.warn == nil || f.done {
		f.warn = err
	}
}

// offset is where the next unread byte is in the uncompressed file.
func (f *File) offset() int64 { return f.base + int64(f.lo) }

// Warning returns what was wrong with the file as far as it was read, nil if nothing was: that it ends in the middle of
// a record, that bytes in it make no sense, that packets name an interface that is not described. Call it from the
// goroutine that calls Next.
func (f *File) Warning() error { return f.warn }

// Interfaces returns the interfaces described so far; a pcapng file may describe more of them later. The slice is the
// file's: do not change it, and call this from the goroutine that calls Next.
func (f *File) Interfaces() []Interface { return f.ifaces }

// Close ends reading. Frames of the last Next stay readable until garbage collection takes them, but may be
// overwritten.
func (f *File) Close() error {
	if f.closed.Swap(true) {
		return net.ErrClosed
	}
	var err error
	for _, c := range f.closer {
		err = errors.Join(err, c.Close())
	}
	return err
}
