package dissect

import (
	"errors"
	"io"
	"iter"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
)

// ours
const (
	maxWindow  = 8 << 20   // bytes of a zstd window, as RFC 8878 section 3.1.1.1.2 and RFC 9659 recommend
	pullerSize = 512 << 10 // bytes that a decoder is counted for beside its window
)

// Decoders that are not in use. What is in a pool is let go of when Go collects its memory, so that windows of megabytes are not kept for
// bodies that hardly ever come.
var brotlis, zstds sync.Pool

// errMoreInput says that a decoder has used all its input so far.
var errMoreInput = errors.New("coding: needs more input")

// puller is a decoder made of a reader that pulls its input.
type puller interface {
	// push gives input, which is borrowed until more reports that it is used up.
	push(in []byte)
	// more decodes into a buffer of the puller's, valid until the next call. It returns errMoreInput when input is used
	// up, io.EOF at the end of the stream.
	more() ([]byte, error)
	// close tells that no more input comes; more gives the rest.
	close()
	// stop ends decoding and keeps what is worth keeping for the next body.
	stop()
}

// startPull begins decoding with a pulling decoder.
func (h *http) startPull(c *codings, i int, k codingKind, b []byte) {
	l := &c.layers[i]
	var p puller
	size := maxWindow
	if k == codingBrotli {
		p, size = newBrotli(brotliWindow(b[0]))
	} else {
		p = newZstd()
	}
	if !h.take(c, size+pullerSize) {
		p.stop()
		h.raw(c, i, b)
		return
	}
	l.pull = p
	l.state = layerPull
	n := copy(l.front[:], b)
	h.pullIn(c, i, l.front[:n])
}

// pullIn gives b to the layer's pulling decoder.
func (h *http) pullIn(c *codings, i int, b []byte) {
	l := &c.layers[i]
	l.pull.push(b)
	h.pullOut(c, i, b)
}

// pullOut takes what the decoder has.
func (h *http) pullOut(c *codings, i int, b []byte) {
	l := &c.layers[i]
	for l.state == layerPull {
		out, err := safely(l.pull)
		if !h.decoded(c, i, out) {
			h.raw(c, i, b)
			return
		}
		switch {
		case err == nil && len(out) > 0:
		case err == errMoreInput:
			if !l.named && l.out == 0 && l.in >= maxSilent {
				h.broken(c, i, b)
			}
			return
		case (err == io.EOF || err == nil) && (l.named || l.out > 0):
			l.state, l.head = layerRaw, l.head[:0]
			return
		default:
			h.broken(c, i, b)
			return
		}
	}
}

// pullEnd takes the rest of a decoder whose input is at its end.
func (h *http) pullEnd(c *codings, i int) {
	c.layers[i].pull.close()
	h.pullOut(c, i, nil)
}

// safely contains a decoder's panic: what it was given was made to break it.
func safely(p puller) (out []byte, err error) {
	defer func() {
		if recover() != nil {
			out, err = nil, errInflate
		}
	}()
	return p.more()
}

// input is the source of a pulling decoder.
type input struct {
	b    []byte
	done bool
}

func (s *input) Read(p []byte) (int, error) {
	if len(s.b) == 0 {
		if s.done {
			return 0, io.EOF
		}
		return 0, errMoreInput
	}
	n := copy(p, s.b)
	s.b = s.b[n:]
	return n, nil
}

// brotliPuller decodes brotli (RFC 7932), whose reader goes on after its source had nothing.
type brotliPuller struct {
	r      *brotli.Reader
	window int // bytes that r has, if it needed them
	src    input
	out    [decodeOut]byte
}

// newBrotli returns a decoder for a stream with a window, and the bytes of the window that it has.
func newBrotli(window int) (puller, int) {
	p, ok := brotlis.Get().(*brotliPuller)
	if !ok {
		p = &brotliPuller{r: brotli.NewReader(nil)}
	}
	p.src, p.window = input{}, max(p.window, window)
	p.r.Reset(&p.src) // always nil
	return p, p.window
}

// brotliWindow returns the bytes of the window that a stream asks for with its first byte: RFC 7932 section 9.1.
func brotliWindow(b byte) int {
	bits := 16
	if n := int(b >> 1 & 7); b&1 == 1 && n > 0 {
		bits = 17 + n
	} else if n := int(b >> 4 & 7); b&1 == 1 {
		bits = 8 + n
		if n == 0 {
			bits = 17
		}
	}
	return 1 << bits
}

func (p *brotliPuller) push(b []byte) { p.src.b = b }
func (p *brotliPuller) close()        { p.src.done = true }

func (p *brotliPuller) more() ([]byte, error) {
	n, err := p.r.Read(p.out[:])
	return p.out[:n], err
}

func (p *brotliPuller) stop() {
	p.src = input{}
	brotlis.Put(p)
}

// zstdPuller decodes Zstandard (RFC 8878). Its reader does not go on after an error of its source, so it runs as a
// coroutine that waits inside its Read.
type zstdPuller struct {
	src   input
	r     *zstd.Decoder
	out   [decodeOut]byte
	n     int
	err   error
	yield func(struct{}) bool
	next  func() (struct{}, bool)
	end   func()
}

func newZstd() puller {
	p, ok := zstds.Get().(*zstdPuller)
	if !ok {
		p = new(zstdPuller)
	}
	p.src, p.n, p.err = input{}, 0, nil
	p.next, p.end = iter.Pull(p.run)
	return p
}

// Read is the decoder's source: it yields whenever there is no input.
func (p *zstdPuller) Read(b []byte) (int, error) {
	for {
		n, err := p.src.Read(b)
		if err != errMoreInput {
			return n, err
		}
		p.n, p.err = 0, err
		if !p.yield(struct{}{}) {
			return 0, io.ErrUnexpectedEOF
		}
	}
}

// run is the coroutine: it fills out, yields, and so on. A panic of the decoder ends it.
func (p *zstdPuller) run(yield func(struct{}) bool) {
	defer func() {
		if recover() != nil {
			p.n, p.err, p.r = 0, errInflate, nil
		}
	}()
	p.yield = yield
	if p.r == nil {
		p.r, p.err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderMaxMemory(8*maxWindow))
		if p.err != nil {
			return
		}
	}
	if p.err = p.r.Reset(p); p.err != nil {
		return
	}
	for {
		p.n, p.err = p.r.Read(p.out[:])
		if !yield(struct{}{}) {
			return
		}
	}
}

func (p *zstdPuller) push(b []byte) { p.src.b = b }
func (p *zstdPuller) close()        { p.src.done = true }

func (p *zstdPuller) more() ([]byte, error) {
	p.n = 0
	if _, ok := p.next(); !ok && p.err == nil {
		return nil, io.ErrUnexpectedEOF
	}
	return p.out[:p.n], p.err
}

func (p *zstdPuller) stop() {
	p.end()
	if p.r != nil && p.r.Reset(nil) == nil {
		zstds.Put(p)
	}
}
