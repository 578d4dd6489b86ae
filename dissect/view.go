package dissect

import "bytes"

// ours
const (
	viewReach = 1 << 10  // bytes around an escape that a body's view covers
	viewFlush = 16 << 10 // bytes of view in one part
	maxEscape = 12       // bytes of the longest escape: two \uXXXX of a surrogate pair
)

// Escape is one escape found: Size bytes of source stand for Out[:N]. Size is 0 if there is none, -1 if more bytes are needed to tell.
type Escape struct {
	Size, N int
	Out     [4]byte
}

// PercentEscape reads the escape at the front of b: %XX, IIS's %uXXXX, '+'.
func PercentEscape(b []byte, end bool) (e Escape) {
	if b[0] == '+' {
		return Escape{Size: 1, N: 1, Out: [4]byte{' '}}
	}
	if len(b) >= 2 && b[1]|0x20 == 'u' {
		if len(b) >= 6 || !end {
			r, ok := hexRune(b[2:], end)
			switch {
			case ok > 0:
				return runeEscape(6, r)
			case ok < 0:
				e.Size = -1
			}
		}
		return e
	}
	for i := 1; i < 3; i++ {
		if i == len(b) {
			if !end {
				e.Size = -1
			}
			return e
		}
		v, ok := hexDigit(b[i])
		if !ok {
			return Escape{}
		}
		e.Out[0] = e.Out[0]<<4 | v
	}
	e.Size, e.N = 3, 1
	return e
}

// hexRune reads four hexadecimal digits: ok is 0 if there are none, -1 if more bytes are needed.
func hexRune(b []byte, end bool) (r rune, ok int) {
	for i := range 4 {
		if i == len(b) {
			if end {
				return 0, 0
			}
			return 0, -1
		}
		v, is := hexDigit(b[i])
		if !is {
			return 0, 0
		}
		r = r<<4 | rune(v)
	}
	return r, 1
}

// runeEscape is an escape of size bytes that stands for r, in UTF-8; full-width forms of ASCII are taken for the ASCII,
// as IIS does.
func runeEscape(size int, r rune) (e Escape) {
	if r >= 0xff01 && r <= 0xff5e {
		r -= 0xff01 - '!'
	}
	e.Size = size
	e.N = len(appendRune(e.Out[:0], r))
	return e
}

// appendRune is utf8.AppendRune that writes surrogates as they are: half a pair is worth looking at too.
func appendRune(b []byte, r rune) []byte {
	switch {
	case r < 0x80:
		return append(b, byte(r))
	case r < 0x800:
		return append(b, 0xc0|byte(r>>6), 0x80|byte(r)&0x3f)
	case r < 0x10000:
		return append(b, 0xe0|byte(r>>12), 0x80|byte(r>>6)&0x3f, 0x80|byte(r)&0x3f)
	}
	return append(b, 0xf0|byte(r>>18), 0x80|byte(r>>12)&0x3f, 0x80|byte(r>>6)&0x3f, 0x80|byte(r)&0x3f)
}

// JSONEscape reads the JSON escape at the front of b, which is '\': RFC 8259 section 7.
func JSONEscape(b []byte, end bool) (e Escape) {
	if len(b) < 2 {
		if !end {
			e.Size = -1
		}
		return e
	}
	e.Size, e.N = 2, 1
	switch b[1] {
	case '"', '\\', '/':
		e.Out[0] = b[1]
	case 'b':
		e.Out[0] = '\b'
	case 'f':
		e.Out[0] = '\f'
	case 'n':
		e.Out[0] = '\n'
	case 'r':
		e.Out[0] = '\r'
	case 't':
		e.Out[0] = '\t'
	case 'u':
		return unicodeEscape(b, end)
	default:
		return Escape{}
	}
	return e
}

// unicodeEscape reads \uXXXX, or two of them that are a surrogate pair.
func unicodeEscape(b []byte, end bool) Escape {
	r, ok := hexRune(b[2:], end)
	if ok <= 0 {
		return Escape{Size: ok}
	}
	if r < 0xd800 || r > 0xdbff {
		e := Escape{Size: 6}
		e.N = len(appendRune(e.Out[:0], r))
		return e
	}
	one := Escape{Size: 6}
	one.N = len(appendRune(one.Out[:0], r))
	rest := b[6:]
	for i, c := range [...]byte{'\\', 'u'} {
		if i == len(rest) {
			if end {
				return one
			}
			return Escape{Size: -1}
		}
		if rest[i] != c {
			return one
		}
	}
	low, ok := hexRune(rest[2:], end)
	switch {
	case ok < 0:
		return Escape{Size: -1}
	case ok == 0 || low < 0xdc00 || low > 0xdfff:
		return one
	}
	e := Escape{Size: 12}
	e.N = len(appendRune(e.Out[:0], 0x10000+(r-0xd800)<<10+(low-0xdc00)))
	return e
}

// viewer makes the decoded view of a body that comes in pieces. It gives out only what is near escapes: view offsets
// run on through what is left out, so that a part's Off jumps there.
type viewer struct {
	form  bodyForm
	begun bool
	src   int64 // offset of the next source byte
	delta int64 // source offset less view offset
	until int64 // source offset up to which the view is given out
	given int64 // source offset up to which it was given out
	ntail int
	tail  [viewReach]byte // the last bytes of the source that were not given out
	ncar  int
	carry [maxEscape]byte // the beginning of an escape that is not whole yet
}

func (x *httpScratch) newViewer(f bodyForm) *viewer {
	var v *viewer
	if n := len(x.viewers); n > 0 {
		v, x.viewers = x.viewers[n-1], x.viewers[:n-1]
	} else {
		v = new(viewer)
	}
	v.form, v.begun, v.src, v.delta, v.until, v.given, v.ntail, v.ncar = f, false, 0, 0, 0, 0, 0, 0
	return v
}

func (x *httpScratch) freeViewer(v *viewer) *viewer {
	if v != nil && len(x.viewers) < maxFree {
		x.viewers = append(x.viewers, v)
	}
	return nil
}

func (v *viewer) view() uint8 {
	if v.form == jsonForm {
		return ViewJSON
	}
	return ViewPercent
}

// next returns the place of the next byte that may begin an escape, or -1.
func (v *viewer) next(b []byte) int {
	if v.form == jsonForm {
		return bytes.IndexByte(b, '\\')
	}
	i, j := bytes.IndexByte(b, '%'), -1
	if i >= 0 {
		j = bytes.IndexByte(b[:i], '+')
	} else {
		j = bytes.IndexByte(b, '+')
	}
	if j >= 0 {
		return j
	}
	return i
}

func (v *viewer) escape(b []byte, end bool) Escape {
	if v.form == jsonForm {
		return JSONEscape(b, end)
	}
	return PercentEscape(b, end)
}

// push takes the next bytes of the value.
func (v *viewer) push(x *httpScratch, f Field, value uint32, b []byte) {
	b = v.finishCarry(x, f, value, b)
	for len(b) > 0 {
		i := v.next(b)
		if i < 0 {
			v.plain(x, f, value, b)
			return
		}
		e := v.escape(b[i:], false)
		switch {
		case e.Size < 0:
			v.plain(x, f, value, b[:i])
			v.ncar = copy(v.carry[:], b[i:])
			return
		case e.Size == 0:
			v.plain(x, f, value, b[:i+1])
			b = b[i+1:]
		default:
			v.open(x, f, value, b[:i])
			v.put(x, f, value, e)
			b = b[i+e.Size:]
		}
	}
}

// finishCarry completes an escape that began in the piece before.
func (v *viewer) finishCarry(x *httpScratch, f Field, value uint32, b []byte) []byte {
	for v.ncar > 0 {
		var buf [maxEscape]byte
		had := copy(buf[:], v.carry[:v.ncar])
		n := had + copy(buf[had:], b)
		e := v.escape(buf[:n], false)
		if e.Size < 0 {
			v.ncar = copy(v.carry[:], buf[:n])
			return b[n-had:]
		}
		v.ncar = 0
		used := e.Size
		if e.Size == 0 {
			used = 1
			v.plain(x, f, value, buf[:1])
		} else {
			v.open(x, f, value, nil)
			v.put(x, f, value, e)
		}
		if used >= had {
			return b[used-had:]
		}
		v.again(x, f, value, buf[used:had])
	}
	return b
}

// again takes bytes of a carry that began no escape after all.
func (v *viewer) again(x *httpScratch, f Field, value uint32, b []byte) {
	if i := v.next(b); i >= 0 {
		v.plain(x, f, value, b[:i])
		v.ncar = copy(v.carry[:], b[i:])
		return
	}
	v.plain(x, f, value, b)
}

// plain passes bytes without escapes: given out if the last escape is near, else kept for the next one.
func (v *viewer) plain(x *httpScratch, f Field, value uint32, b []byte) {
	if n := min(v.until-v.src, int64(len(b))); n > 0 {
		v.out(x, f, value, b[:n])
		b = b[n:]
	}
	v.src += int64(len(b))
	switch {
	case len(b) >= viewReach:
		v.ntail = copy(v.tail[:], b[len(b)-viewReach:])
	case len(b) > 0:
		if over := v.ntail + len(b) - viewReach; over > 0 {
			v.ntail = copy(v.tail[:], v.tail[over:v.ntail])
		}
		v.ntail += copy(v.tail[v.ntail:], b)
	}
}

// open gives out what stands before an escape.
func (v *viewer) open(x *httpScratch, f Field, value uint32, b []byte) {
	if v.src+int64(len(b)) <= v.until {
		v.out(x, f, value, b)
		return
	}
	v.plain(x, f, value, b)
	n := int64(v.ntail)
	v.ntail = 0
	if n > 0 {
		v.src -= n
		v.out(x, f, value, v.tail[:n])
	}
}

// out gives out source bytes that stand for themselves.
func (v *viewer) out(x *httpScratch, f Field, value uint32, b []byte) {
	for len(b) > 0 {
		p := v.part(x, f, value)
		n := min(len(b), viewFlush-len(p.Bytes))
		v.text(x, p, b[:n])
		v.src += int64(n)
		v.given = v.src
		b = b[n:]
	}
}

// put gives out an escape.
func (v *viewer) put(x *httpScratch, f Field, value uint32, e Escape) {
	p := v.part(x, f, value)
	v.text(x, p, e.Out[:e.N])
	v.src += int64(e.Size)
	v.given = v.src
	v.until = v.src + viewReach
	if d := int64(e.Size - e.N); d != 0 {
		v.delta += d
		x.shifts = append(x.shifts, Shift{At: v.src - v.delta, Delta: v.delta})
		p.Shifts = x.shifts[len(x.shifts)-len(p.Shifts)-1:]
	}
}

// part returns the part that the next byte of the view goes to: the one collected last if it goes on there and is not
// too big.
func (v *viewer) part(x *httpScratch, f Field, value uint32) *Part {
	if n := len(x.parts); n > 0 {
		p := &x.parts[n-1]
		if p.View == v.view() && p.Value == value && p.Field == f && v.src == v.given && len(p.Bytes) < viewFlush {
			return p
		}
	}
	x.shifts = append(x.shifts, Shift{At: v.src - v.delta, Delta: v.delta})
	v.given = v.src
	v.begun = true
	x.parts = append(x.parts, Part{Field: f, Value: value, View: v.view(), Off: v.src - v.delta, More: true,
		Bytes: x.text[len(x.text):], Shifts: x.shifts[len(x.shifts)-1:]})
	return &x.parts[len(x.parts)-1]
}

// text appends b to the last part, whose bytes are the end of x.text.
func (v *viewer) text(x *httpScratch, p *Part, b []byte) {
	x.text = append(x.text, b...)
	p.Bytes = x.text[len(x.text)-len(p.Bytes)-len(b):]
}

// skip passes over n lost bytes.
func (v *viewer) skip(x *httpScratch, f Field, value uint32, n int64) {
	v.flushCarry(x, f, value)
	v.src += n
	v.until, v.ntail = 0, 0
}

func (v *viewer) flushCarry(x *httpScratch, f Field, value uint32) {
	for v.ncar > 0 {
		b := v.carry[:v.ncar]
		e := v.escape(b, true)
		if e.Size <= 0 {
			v.plain(x, f, value, b[:1])
			e.Size = 1
		} else {
			v.open(x, f, value, nil)
			v.put(x, f, value, e)
		}
		v.ncar = copy(v.carry[:], v.carry[e.Size:v.ncar])
		if i := v.next(v.carry[:v.ncar]); i != 0 {
			if i < 0 {
				i = v.ncar
			}
			v.plain(x, f, value, v.carry[:i])
			v.ncar = copy(v.carry[:], v.carry[i:v.ncar])
		}
	}
}

// end ends the view.
func (v *viewer) end(x *httpScratch, f Field, value uint32) {
	v.flushCarry(x, f, value)
	if !v.begun {
		return
	}
	if n := len(x.parts); n > 0 {
		if p := &x.parts[n-1]; p.View == v.view() && p.Value == value && p.Field == f {
			p.More = false
			return
		}
	}
	x.parts = append(x.parts, Part{Field: f, Value: value, View: v.view(), Off: v.given - v.delta})
}
