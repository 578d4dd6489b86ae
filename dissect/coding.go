package dissect

import "weir/wire"

// codingKind is a transfer or content coding.
type codingKind uint8

const (
	codingUnknown codingKind = iota
	codingIdentity
	codingChunked
	codingGzip
	codingDeflate
	codingBrotli
	codingZstd
)

// ours
const (
	maxLayers = 4        // stacked codings, whatever Limits.DecodeDepth says
	sniffSize = 6        // bytes that tell codings apart
	keepSize  = 1 << 10  // bytes of the front of a coded body that are kept, to be given as they came if they do not decode
	maxSilent = 16 << 10 // bytes that a decoder without magic number may take without giving any: else what it takes is no such coding
	decodeOut = 32 << 10 // bytes of output that a pulling decoder is asked for at once
	maxHeader = 96 << 10 // bytes of name, comment and extra field of a gzip header

	inflaterSize = 72 << 10 // bytes that an inflater is counted for
)

// codingList is the codings that were applied to a body, in that order.
type codingList struct {
	kind [maxLayers]codingKind
	n    uint8
	deep bool // there were more
}

// layerState is what a layer does with its input.
type layerState uint8

const (
	layerSniff layerState = iota // waits for the bytes that tell what it is
	layerGzipHead
	layerInflate
	layerTrailer // bytes that follow a stream and say nothing
	layerTail    // bytes where a raw stream has none
	layerNext    // after a stream: another one, or as it comes
	layerPull
	layerPlain // as it comes, to the next layer
	layerRaw   // as it came, past all other layers: it could not be decoded
)

// layer undoes one coding.
type layer struct {
	state layerState
	kind  codingKind // declared
	named bool       // the coding was found by its own magic number: it cannot be plain text
	skip  int        // bytes of a trailer
	in    int64      // bytes that were used, or are being used
	out   int64
	head  []byte          // the front of the input: for sniffing, for a gzip header in pieces, and for giving it as it came
	front [sniffSize]byte // bytes that are given once more
	inf   *inflater
	pull  puller
}

// codings undoes the codings of one body. It is reused.
type codings struct {
	layers [maxLayers]layer
	n      int
	env    *Env
	units  int   // bytes of decoders in use
	in     int64 // coded bytes
	dir    wire.Dir
	s      *httpSide
}

// newCodings prepares decoding: the last coding applied is undone first.
func (x *httpScratch) newCodings(env *Env, list codingList) *codings {
	var c *codings
	if n := len(x.codings); n > 0 {
		c, x.codings = x.codings[n-1], x.codings[:n-1]
	} else {
		c = new(codings)
	}
	c.env, c.n, c.in, c.units = env, int(list.n), 0, 0
	for i := range c.n {
		c.layers[i] = layer{kind: list.kind[c.n-1-i], head: c.layers[i].head[:0]}
	}
	return c
}

// freeCodings gives decoders back; it returns nil.
func (x *httpScratch) freeCodings(c *codings) *codings {
	if c == nil {
		return nil
	}
	for i := range c.n {
		l := &c.layers[i]
		if l.inf != nil && len(x.inflaters) < maxFree {
			x.inflaters = append(x.inflaters, l.inf)
		}
		l.inf = nil
		if l.pull != nil {
			l.pull.stop()
			l.pull = nil
		}
		if cap(l.head) > 2*maxSilent {
			l.head = nil
		}
	}
	c.env.give(c.units)
	c.units, c.s, c.env = 0, nil, nil
	if len(x.codings) < maxFree {
		x.codings = append(x.codings, c)
	}
	return nil
}

// decode takes a piece of a coded body.
func (h *http) decode(dir wire.Dir, s *httpSide, b []byte) {
	c := s.chain
	c.dir, c.s = dir, s
	c.in += int64(len(b))
	h.layerIn(c, 0, b)
}

// decodeEnd tells that the coded body is at its end: what still waits for more bytes is given as it is.
func (h *http) decodeEnd(dir wire.Dir, s *httpSide) {
	c := s.chain
	c.dir, c.s = dir, s
	for i := 0; i < c.n; i++ {
		l := &c.layers[i]
		switch l.state {
		case layerSniff:
			if len(l.head) > 0 {
				h.sniffed(c, i)
			}
		case layerGzipHead:
			h.note(s, noteUndecodable)
			h.raw(c, i, l.head)
		case layerPull:
			h.pullEnd(c, i)
		}
		if l.state == layerInflate && l.inf.state != inflated {
			h.broken(c, i, nil)
		}
	}
}

// layerIn gives b to layer i; past the last layer it is the body.
func (h *http) layerIn(c *codings, i int, b []byte) {
	if len(b) == 0 {
		return
	}
	if i >= c.n {
		h.bodyOut(c.s, b)
		h.flush(c.dir, c.s, false) // b is a decoder's memory
		return
	}
	l := &c.layers[i]
	for len(b) > 0 {
		switch l.state {
		case layerSniff:
			n := min(len(b), sniffSize-len(l.head))
			c.hold(l, b[:n])
			l.in += int64(n)
			b = b[n:]
			if len(l.head) < sniffSize {
				return
			}
			h.sniffed(c, i)
		case layerGzipHead:
			c.hold(l, b)
			l.in += int64(len(b))
			b = h.gzipHead(c, i)
			l.in -= int64(len(b))
		case layerInflate:
			h.keep(c, l, b)
			l.in += int64(len(b))
			b = h.inflate(c, i, b)
			l.in -= int64(len(b))
		case layerTrailer:
			n := min(l.skip, len(b))
			l.skip -= n
			b = b[n:]
			if l.skip == 0 {
				l.state, l.head = layerNext, l.head[:0]
			}
		case layerTail:
			h.note(c.s, noteCodingMismatch)
			l.in += int64(len(b))
			h.asItCame(c, i, b)
			return
		case layerNext:
			b = h.nextMember(c, i, b)
		case layerPull:
			h.keep(c, l, b)
			l.in += int64(len(b))
			h.pullIn(c, i, b)
			return
		case layerPlain:
			h.layerIn(c, i+1, b)
			return
		case layerRaw:
			h.layerIn(c, c.n, b)
			return
		}
	}
}

// keep keeps the front of a layer's input.
func (h *http) keep(c *codings, l *layer, b []byte) {
	limit := keepSize
	if l.state == layerPull && !l.named && l.out == 0 {
		limit = maxSilent
	}
	if len(l.head) < limit {
		c.hold(l, b[:min(len(b), limit-len(l.head))])
	}
}

// hold keeps b behind what is kept of a layer's input, which counts as a decoder's memory does.
func (c *codings) hold(l *layer, b []byte) {
	had := cap(l.head)
	l.head = append(l.head, b...)
	if n := cap(l.head) - had; n > 0 {
		c.units += n
		c.env.give(-n)
	}
}

// sniffed chooses a decoder by the layer's first bytes: what the body is counts, not what it is said to be.
func (h *http) sniffed(c *codings, i int) {
	l := &c.layers[i]
	b := l.head
	switch {
	case len(b) >= 2 && b[0] == 0x1f && b[1] == 0x8b:
		h.sniffedAs(c, l, codingGzip)
		l.state = layerGzipHead
		l.head = l.head[:0]
		h.again(c, i, b)
	case len(b) >= 4 && string(b[:4]) == "\x28\xb5\x2f\xfd":
		h.sniffedAs(c, l, codingZstd)
		h.startPull(c, i, codingZstd, b)
	case len(b) >= 2 && b[0]&0x0f == 8 && b[0]>>4 <= 7 && (uint(b[0])<<8|uint(b[1]))%31 == 0 && b[1]&0x20 == 0:
		h.sniffedAs(c, l, codingDeflate)
		h.startInflate(c, i, b, 2)
	case l.kind == codingBrotli:
		h.startPull(c, i, codingBrotli, b)
	case (l.kind == codingDeflate || l.kind == codingGzip) && plausibleDeflate(b):
		if l.kind == codingGzip {
			h.note(c.s, noteCodingMismatch)
		}
		h.startInflate(c, i, b, 0)
	default:
		if l.kind == codingUnknown || l.kind == codingZstd {
			h.note(c.s, noteUndecodable)
		} else {
			h.note(c.s, noteCodingMismatch)
		}
		l.state = layerPlain
		l.head = l.head[:0]
		h.again(c, i, b)
	}
}

// sniffedAs notes what was found by its magic number.
func (h *http) sniffedAs(c *codings, l *layer, k codingKind) {
	l.named = true
	if l.kind != k {
		h.note(c.s, noteCodingMismatch)
	}
}

// again gives sniffed bytes to a layer once more; they are counted anew.
func (h *http) again(c *codings, i int, b []byte) {
	l := &c.layers[i]
	n := copy(l.front[:], b)
	l.in -= int64(n)
	h.layerIn(c, i, l.front[:n])
}

// plausibleDeflate reports whether b may begin a raw DEFLATE stream.
func plausibleDeflate(b []byte) bool {
	switch b[0] >> 1 & 3 {
	case 0:
		return len(b) >= 5 && b[1] == ^b[3] && b[2] == ^b[4]
	case 1:
		return true
	case 2:
		return len(b) >= 3 && b[0]>>3 <= 29 && b[1]&31 <= 29
	}
	return false
}

// take reserves n bytes for a decoder.
func (h *http) take(c *codings, n int) bool {
	if !h.env.take(n) {
		h.note(c.s, noteDecoders)
		return false
	}
	c.units += n
	return true
}

// startInflate begins inflating after skip bytes of b, which are kept in the layer's head.
func (h *http) startInflate(c *codings, i int, b []byte, skip int) {
	l := &c.layers[i]
	if l.inf == nil {
		if !h.take(c, inflaterSize) {
			h.raw(c, i, b)
			return
		}
		if n := len(h.x.inflaters); n > 0 {
			l.inf, h.x.inflaters = h.x.inflaters[n-1], h.x.inflaters[:n-1]
		} else {
			l.inf = new(inflater)
		}
	}
	l.inf.reset()
	l.state = layerInflate
	if skip < len(b) {
		n := copy(l.front[:], b[skip:])
		h.inflateAll(c, i, l.front[:n])
	}
}

// inflateAll inflates bytes that are kept already.
func (h *http) inflateAll(c *codings, i int, b []byte) {
	if rest := h.inflate(c, i, b); len(rest) > 0 {
		c.layers[i].in -= int64(len(rest))
		h.layerIn(c, i, rest)
	}
}

// inflate gives b to the layer's inflater and returns what comes after the stream.
func (h *http) inflate(c *codings, i int, b []byte) []byte {
	l := &c.layers[i]
	for {
		rest, done, err := l.inf.push(b)
		if !h.decoded(c, i, l.inf.out[l.inf.from:l.inf.pos]) {
			h.raw(c, i, rest)
			return nil
		}
		l.inf.from = l.inf.pos
		switch {
		case l.state != layerInflate:
			return nil
		case err != nil:
			h.broken(c, i, rest)
			return nil
		case done:
			return h.streamEnd(c, i, rest)
		case len(rest) == 0 && !l.inf.full:
			return nil
		}
		b = rest
	}
}

// streamEnd goes on after the end of a compressed stream. What has no magic number and ends before its body does was
// likely no stream at all.
func (h *http) streamEnd(c *codings, i int, rest []byte) []byte {
	l := &c.layers[i]
	switch {
	case !l.named:
		l.state = layerTail
	case l.kindFound() == codingGzip:
		l.state, l.skip = layerTrailer, 8
	default:
		l.state, l.skip = layerTrailer, 4
	}
	return rest
}

// kindFound tells a gzip member from a zlib or raw stream.
func (l *layer) kindFound() codingKind {
	if len(l.head) >= 2 && l.head[0] == 0x1f && l.head[1] == 0x8b {
		return codingGzip
	}
	return codingDeflate
}

// decoded gives output of layer i to the next. It is false if the budget is reached.
func (h *http) decoded(c *codings, i int, out []byte) bool {
	l := &c.layers[i]
	l.out += int64(len(out))
	h.layerIn(c, i+1, out)
	lim := &h.env.Limits
	if l.out > int64(lim.DecodeMax) || l.out > int64(lim.DecodeFree)+c.in*int64(lim.DecodeRatio) {
		h.note(c.s, noteBudget)
		return false
	}
	return true
}

// broken gives what did not decode as it came.
func (h *http) broken(c *codings, i int, rest []byte) {
	l := &c.layers[i]
	if !l.named && l.out < keepSize {
		h.note(c.s, noteCodingMismatch)
	} else {
		h.note(c.s, noteUndecodable)
	}
	h.asItCame(c, i, rest)
}

// asItCame gives the layer's input past the other layers: all of it if what was used so far is kept, else from rest on.
func (h *http) asItCame(c *codings, i int, rest []byte) {
	l := &c.layers[i]
	if used := l.in - int64(len(rest)); used <= int64(len(l.head)) {
		h.raw(c, i, l.head[:used])
	}
	h.raw(c, i, rest)
}

// raw gives b, and all that follows, past the other layers.
func (h *http) raw(c *codings, i int, b []byte) {
	c.layers[i].state = layerRaw
	h.layerIn(c, c.n, b)
}
