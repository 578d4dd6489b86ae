package dissect

import (
	"errors"
	"io"
	"iter"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
)

// ours
const (
	maxBigFree = 2       // decoders with a window of their own that are kept for reuse
	bigDecoder = 16      // units of a decoder with a window of its own
	maxWindow  = 8 << 20 // bytes of a zstd window, as RFC 8878 section 3.1.1.1.2 and RFC 9659 recommend
)

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
	stop(x *httpScratch)
}

// startPull begins decoding with a pulling decoder.
func (h *http) startPull(c *codings, i int, k codingKind, b []byte) {
	l := &c.layers[i]
	if !h.take(c, bigDecoder) {
		h.raw(c, i, b)
		return
	}
	if k == codingBrotli {
		l.pull = h.x.newBrotli()
	} else {
		l.pull = h.x.newZstd()
	}
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
	r   *brotli.Reader
	src input
	out [decodeOut]byte
}

func (x *httpScratch) newBrotli() puller {
	var p *brotliPuller
	if n := len(x.brotlis); n > 0 {
		p, x.brotlis = x.brotlis[n-1], x.brotlis[:n-1]
	} else {
		p = &brotliPuller{r: brotli.NewReader(nil)}
	}
	p.src = input{}
	p.r.Reset(&p.src) // always nil
	return p
}

func (p *brotliPuller) push(b []byte) { p.src.b = b }
func (p *brotliPuller) close()        { p.src.done = true }

func (p *brotliPuller) more() ([]byte, error) {
	n, err := p.r.Read(p.out[:])
	return p.out[:n], err
}

func (p *brotliPuller) stop(x *httpScratch) {
	p.src = input{}
	if len(x.brotlis) < maxBigFree {
		x.brotlis = append(x.brotlis, p)
	}
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

func (x *httpScratch) newZstd() puller {
	var p *zstdPuller
	if n := len(x.zstds); n > 0 {
		p, x.zstds = x.zstds[n-1], x.zstds[:n-1]
	} else {
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

func (p *zstdPuller) stop(x *httpScratch) {
	p.end()
	if p.r == nil {
		return
	}
	if len(x.zstds) < maxBigFree && p.r.Reset(nil) == nil {
		x.zstds = append(x.zstds, p)
	} else {
		p.r.Close()
	}
}
