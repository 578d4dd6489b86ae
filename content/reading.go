package content

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"iter"
	"sync"

	"weir/dissect"
)

// A reader takes a form apart as a plain loop over its bytes. It runs as a coroutine that waits inside a read until more bytes come, so what it
// finds does not depend on how they are cut up, and it holds no more of them than its buffers. What it needs is at the front of what it
// reads: no reader waits for the end of a file.
type reader func(in *input, out *output) error

// chunk is a part of what a reader has found: bytes of one stream in order (a member of an archive, the text of a document), or the word that something
// cannot be read. It is borrowed until the reading goes on.
type chunk struct {
	name   string // of the stream, as it is written in the input
	off    int64  // of bytes in the stream
	bytes  []byte
	shifts []dissect.Shift // how offsets lead back to the input; of a stream that never has any, nothing stands there just as it is
	own    bool            // they lead to offsets of all streams so far instead, one behind the other and a byte apart
	first  bool            // a stream begins
	last   bool            // it ends
	fault  fault           // noFault: none
	what   string          // cannot be read: a constant
	size   int64           // of it; -1: not known
}

// fault is a reason why something cannot be read.
type fault uint8

const (
	noFault        fault = iota
	faultEncrypted       // a key is needed
	faultMethod          // a way of compressing or packing that is not undone here
	faultBroken          // it does not decode
	faultBudget          // it would take more than a budget allows
)

var (
	errBroken = errors.New("content: broken data")
	errMethod = errors.New("content: compressed in a way that is not undone")
	errBudget = errors.New("content: more than a budget allows")
	errSealed = errors.New("content: encrypted")
	errEnough = errors.New("content: nothing more is wanted")
)

// ours
const (
	inputBuffer  = 4 << 10  // bytes
	outputBuffer = 32 << 10 // bytes of one chunk, at most
	sureWeak     = 1 << 10  // bytes that come out of what begins as text may too, before it is taken for what it looks like
	readingSize  = 48 << 10 // bytes that a reading is counted for, beside what its decoder takes
)

// reading is a reader at work.
type reading struct {
	src   source
	in    input
	out   output
	next  func() (*chunk, bool)
	stop  func()
	done  bool
	form  *form
	gave  int  // bytes that were given out
	wrong bool // it broke before there were enough of them
}

// source is what was pushed: it waits for more.
type source struct {
	b     []byte
	final bool
	n     int64 // bytes taken
	yield func(*chunk) bool
	off   bool // nothing more is wanted: reads end
}

func (s *source) Read(p []byte) (int, error) {
	for len(s.b) == 0 {
		if s.off {
			return 0, errEnough
		}
		if s.final {
			return 0, io.EOF
		}
		if !s.yield(nil) {
			s.off = true
		}
	}
	n := copy(p, s.b)
	s.b = s.b[n:]
	s.n += int64(n)
	return n, nil
}

// input is what a reader reads.
type input struct {
	*bufio.Reader
	src  *source
	cost int   // bytes that the decoder at work takes
	book *book // the worksheets in it
	// speaks reports whether a column's name says what stands in it; nil: nobody asks.
	speaks func(name []byte) bool
	// known reports whether what begins so is a container.
	known func(head []byte) bool
}

// at returns how much was read.
func (in *input) at() int64 { return in.src.n - int64(in.Buffered()) }

// full reads len(b) bytes.
func (in *input) full(b []byte) error {
	_, err := io.ReadFull(in.Reader, b)
	return err
}

// skip reads n bytes over.
func (in *input) skip(n int64) error {
	for n > 0 {
		k, err := in.Discard(int(min(n, 1<<30)))
		if err != nil {
			return err
		}
		n -= int64(k)
	}
	return nil
}

// until reads up to a mark, which comes next then, and gives what stands before it, in pieces (nil: to nobody).
func (in *input) until(mark string, give func(b []byte) error) error {
	for {
		b, err := in.Peek(len(mark))
		if string(b) == mark {
			return nil
		}
		if err == nil {
			b, _ = in.Peek(in.Buffered())
			if n := bytes.IndexByte(b[1:], mark[0]) + 1; n > 0 {
				b = b[:n]
			}
		}
		if give != nil {
			if e := give(b); e != nil {
				return e
			}
		}
		in.Discard(len(b))
		if err != nil {
			return err
		}
	}
}

// output is where a reader's pieces go.
type output struct {
	src    *source
	buf    []byte // what comes next of the stream
	shifts []dissect.Shift
	delta  int64 // of the last shift of the stream
	mapped bool  // there was one
	now    chunk
	begun  bool
	what   string // is read: the name of the form
	yield  func(*chunk) bool
	total  int64        // of all streams
	tee    func([]byte) // gets what is handed over, too; nil: nobody
}

// begin starts a stream.
func (o *output) begin(name string) {
	o.buf, o.shifts, o.mapped = o.buf[:0], o.shifts[:0], false
	o.now = chunk{name: name, first: true}
	o.begun = true
}

// give hands over bytes that stand at an offset of the input just as they are, or nowhere (-1). They are borrowed.
func (o *output) give(b []byte, at int64) error {
	if len(b) == 0 {
		return nil
	}
	o.shift(at)
	return o.send(b)
}

// add copies bytes to what is handed over once it is enough.
func (o *output) add(b []byte, at int64) error {
	if len(b) == 0 {
		return nil
	}
	o.shift(at)
	o.buf = append(o.buf, b...)
	if len(o.buf) < outputBuffer {
		return nil
	}
	return o.flush()
}

// stand copies bytes that stand for n of the input at an offset, all of them together.
func (o *output) stand(b []byte, at int64, n int) error {
	to := o.now.off + int64(len(o.buf))
	o.mapped = false
	o.shifts = append(o.shifts, dissect.Shift{At: to, Delta: at - to, In: int32(n), Out: int32(len(b))})
	return o.add(b, -1)
}

// shift notes where what comes next stands in the input.
func (o *output) shift(at int64) {
	to := o.now.off + int64(len(o.buf))
	if at < 0 || o.mapped && o.delta == at-to {
		return
	}
	o.mapped, o.delta = true, at-to
	if n := len(o.shifts); n > 0 && o.shifts[n-1].At == to {
		o.shifts = o.shifts[:n-1]
	}
	o.shifts = append(o.shifts, dissect.Shift{At: to, Delta: o.delta, In: 1, Out: 1})
}

func (o *output) flush() error {
	if len(o.buf) == 0 {
		return nil
	}
	err := o.send(o.buf)
	o.buf = o.buf[:0]
	return err
}

func (o *output) send(b []byte) error {
	if o.src.off {
		return errEnough
	}
	if o.tee != nil {
		o.tee(b)
	}
	o.now.bytes, o.now.shifts = b, o.shifts
	ok := o.yield(&o.now)
	o.now.first, o.now.bytes, o.now.shifts, o.now.fault = false, nil, nil, noFault
	o.now.off += int64(len(b))
	o.total += int64(len(b))
	o.shifts = o.shifts[:0]
	if !ok {
		o.src.off = true
		return errEnough
	}
	return nil
}

// end ends the stream.
func (o *output) end() error {
	if !o.begun {
		return nil
	}
	o.begun = false
	o.now.last = true
	err := o.send(o.buf)
	if o.now.off > 0 {
		o.total++
	}
	o.buf, o.now = o.buf[:0], chunk{}
	return err
}

// unreadable tells that size bytes cannot be read, and why.
func (o *output) unreadable(why fault, size int64) error {
	if err := o.flush(); err != nil {
		return err
	}
	o.now.fault, o.now.what, o.now.size = why, o.what, size
	return o.send(nil)
}

// all gives what r reads. An error of r that is not the consumer's is returned as broken data.
func (o *output) all(r io.Reader) error {
	for {
		n, err := r.Read(o.buf[:cap(o.buf)])
		if n > 0 {
			if err := o.send(o.buf[:n]); err != nil {
				return err
			}
		}
		switch {
		case err == io.EOF:
			return nil
		case err == nil:
		case o.src.off:
			return errEnough
		case errors.Is(err, io.ErrUnexpectedEOF):
			return io.ErrUnexpectedEOF
		case errors.Is(err, errMethod) || errors.Is(err, errBudget):
			return err
		default:
			return errBroken
		}
	}
}

var readings = sync.Pool{New: func() any {
	r := new(reading)
	r.in = input{Reader: bufio.NewReaderSize(nil, inputBuffer), src: &r.src}
	r.out.buf = make([]byte, 0, outputBuffer)
	return r
}}

// newReading begins to read what has a form.
func newReading(f *form) *reading {
	r := readings.Get().(*reading)
	r.src, r.form, r.done, r.gave, r.wrong = source{}, f, false, 0, false
	r.in.Reset(&r.src)
	r.in.known = known
	r.out = output{buf: r.out.buf[:0], shifts: r.out.shifts[:0], src: &r.src, what: f.name}
	r.next, r.stop = iter.Pull(func(yield func(*chunk) bool) {
		r.src.yield, r.out.yield = yield, yield
		err := f.read(&r.in, &r.out)
		if r.src.off || err == errEnough {
			return
		}
		if why := faultOf(err); why != noFault {
			r.out.unreadable(why, -1)
		}
		r.out.end()
	})
	return r
}

// feed gives bytes, which are borrowed until more has returned nil; last says that none follow.
func (r *reading) feed(b []byte, last bool) { r.src.b, r.src.final = b, last }

// faultOf tells what an error means to who waits for the content. An end that came too early is told by whoever saw it.
func faultOf(err error) fault {
	switch {
	case err == nil, err == errEnough, errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return noFault
	case errors.Is(err, errMethod):
		return faultMethod
	case errors.Is(err, errSealed):
		return faultEncrypted
	case errors.Is(err, errBudget):
		return faultBudget
	}
	return faultBroken
}

// more returns the next chunk; nil: all that came has been read, or the reader is done. The chunk is borrowed until the next call.
func (r *reading) more() *chunk {
	if r.done {
		return nil
	}
	p, ok := r.next()
	if !ok {
		r.done = true
		return nil
	}
	return p
}

// push takes the next bytes of what is read, and puts what is found in them where it belongs.
func (r *reading) push(to *inside, b []byte, last bool) bool {
	if r.done {
		return false
	}
	r.feed(b, last)
	for c := r.more(); c != nil; c = r.more() {
		if c.first && r.form.files {
			to.begin(c.name)
		}
		r.gave += len(c.bytes)
		r.wrong = r.wrong || c.fault == faultBroken && (r.gave == 0 || r.form.weak && r.gave < sureWeak)
		if c.fault != noFault && !r.wrong {
			to.refuse(c.fault, c.what, c.size)
			to.b.cut = true
		}
		if len(c.bytes) > 0 && !to.write(c.bytes, c.shifts, c.own) {
			return false
		}
		if c.last {
			if r.form.files {
				to.over(c.off + int64(len(c.bytes)))
			}
			to.end()
		}
	}
	return !r.done
}

// mistaken reports whether what is read turned out not to be what it began as.
func (r *reading) mistaken() bool { return r.wrong }

func (r *reading) size() int { return readingSize + r.in.cost + r.in.book.size() }

// free ends the reading, wherever it is.
func (r *reading) free() {
	r.stop()
	r.next, r.stop, r.src, r.out.yield, r.in.cost = nil, nil, source{}, nil, 0
	r.in.book, r.in.speaks, r.out.tee = nil, nil, nil
	readings.Put(r)
}
