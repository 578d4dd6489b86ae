package dissect

import (
	"encoding/binary"
	"errors"
)

// errInflate is the only error of an inflater.
var errInflate = errors.New("deflate: broken data")

// from the specification, RFC 1951.
const (
	windowSize  = 32 << 10 // bytes that a distance reaches back
	maxCodeBits = 15
	maxLitLen   = 288
	maxDist     = 32
	endOfBlock  = 256
)

// ours
const (
	litBits  = 10 // of a literal or length code, looked up at once
	distBits = 8
	lenBits  = 7

	quickLits = 3                           // literals for which hold has bits without looking at the input again
	quickBits = litBits + 5 + distBits + 13 // of a match, with what lengths and distances have besides
)

// inflateState is where in the format an inflater stands.
type inflateState uint8

const (
	blockHead inflateState = iota
	storedHead
	storedData
	dynamicHead
	codeLengths
	codes
	blockData
	inflated
)

// inflater undoes DEFLATE (RFC 1951) as input comes: it stops at any bit for lack of input and goes on later, and gives
// out all that can be known so far. That is what a reader that pulls its input cannot do. About 80 KiB; it is reused.
type inflater struct {
	hold   uint64 // bits not used yet, the next one lowest
	nhold  uint   // how many
	state  inflateState
	final  bool
	stored int // bytes left of a stored block
	nlit   int
	ndist  int
	ncode  int
	have   int // code lengths read
	pos    int // end of output in out
	from   int // beginning of output that was not given out
	full   bool
	lens   [maxLitLen + maxDist]uint8
	lit    huffman
	dist   huffman
	out    [2 * windowSize]byte
}

// reset makes the inflater ready for a new stream.
func (f *inflater) reset() {
	f.hold, f.nhold, f.state, f.final, f.pos, f.from, f.full = 0, 0, blockHead, false, 0, 0, false
}

// fill takes bytes from the front of in until hold has at least 56 bits.
func (f *inflater) fill(in []byte) []byte {
	if len(in) >= 8 {
		f.hold |= binary.LittleEndian.Uint64(in) << f.nhold
		n := (63 - f.nhold) >> 3
		f.nhold += n * 8
		f.hold &= 1<<f.nhold - 1
		return in[n:]
	}
	for f.nhold <= 56 && len(in) > 0 {
		f.hold |= uint64(in[0]) << f.nhold
		f.nhold += 8
		in = in[1:]
	}
	return in
}

func (f *inflater) drop(n uint) {
	f.hold >>= n
	f.nhold -= n
}

// push takes input and puts output at f.out[f.from:f.pos]. It stops when the input is used up, when the output buffer
// is full (f.full: take the output and push the rest), or at the end of the stream (done). rest is the input that was
// not used; whole bytes that were looked at too early are given back.
func (f *inflater) push(in []byte) (rest []byte, done bool, err error) {
	f.makeRoom()
	whole := in
	for {
		in = f.fill(in)
		wait, err := f.step(&in)
		if err != nil {
			return f.unread(whole, len(whole)-len(in)), false, err
		}
		if f.state == inflated || f.full {
			return f.unread(whole, len(whole)-len(in)), f.state == inflated, nil
		}
		if wait && len(in) == 0 {
			return in, false, nil
		}
	}
}

// unread takes whole bytes back out of hold. They are of this push: what was held before it was too little for one
// step, and one was done.
func (f *inflater) unread(whole []byte, used int) []byte {
	back := min(int(f.nhold/8), used)
	f.nhold -= uint(back) * 8
	f.hold &= 1<<f.nhold - 1
	return whole[used-back:]
}

// makeRoom forgets output that was taken, but for the window.
func (f *inflater) makeRoom() {
	f.from, f.full = f.pos, false
	if f.pos >= len(f.out)-300 {
		copy(f.out[:windowSize], f.out[f.pos-windowSize:f.pos])
		f.pos, f.from = windowSize, windowSize
	}
}

// step does one thing; wait means that there were not enough bits for it.
func (f *inflater) step(in *[]byte) (wait bool, err error) {
	switch f.state {
	case blockHead:
		return f.blockHead()
	case storedHead:
		return f.storedHead()
	case storedData:
		return f.storedData(in), nil
	case dynamicHead:
		return f.dynamicHead()
	case codeLengths:
		return f.codeLengths()
	case codes:
		return f.codes()
	case blockData:
		return f.data(in)
	}
	return true, nil
}

func (f *inflater) blockHead() (bool, error) {
	if f.final {
		f.state = inflated
		return false, nil
	}
	if f.nhold < 3 {
		return true, nil
	}
	f.final = f.hold&1 != 0
	kind := f.hold >> 1 & 3
	f.drop(3)
	switch kind {
	case 0:
		f.drop(f.nhold & 7)
		f.state = storedHead
	case 1:
		f.fixed()
		f.state = blockData
	case 2:
		f.state = dynamicHead
	default:
		return false, errInflate
	}
	return false, nil
}

func (f *inflater) storedHead() (bool, error) {
	if f.nhold < 32 {
		return true, nil
	}
	n, c := uint16(f.hold), uint16(f.hold>>16)
	if n != ^c {
		return false, errInflate
	}
	f.drop(32)
	f.stored = int(n)
	f.state = storedData
	return false, nil
}

func (f *inflater) storedData(in *[]byte) (wait bool) {
	for f.stored > 0 {
		if f.pos >= len(f.out)-300 {
			f.full = true
			return false
		}
		room := min(f.stored, len(f.out)-300-f.pos)
		if f.nhold > 0 {
			f.out[f.pos] = byte(f.hold)
			f.drop(8)
			f.pos++
			f.stored--
			continue
		}
		n := copy(f.out[f.pos:f.pos+room], *in)
		if n == 0 {
			return true
		}
		*in = (*in)[n:]
		f.pos += n
		f.stored -= n
	}
	f.state = blockHead
	return false
}

// fixed sets up the fixed codes: RFC 1951 section 3.2.6.
func (f *inflater) fixed() {
	for i := range maxLitLen {
		switch {
		case i < 144:
			f.lens[i] = 8
		case i < 256:
			f.lens[i] = 9
		case i < 280:
			f.lens[i] = 7
		default:
			f.lens[i] = 8
		}
	}
	f.lit.build(f.lens[:maxLitLen], litBits)
	for i := range 30 {
		f.lens[i] = 5
	}
	f.dist.build(f.lens[:30], distBits)
}

func (f *inflater) dynamicHead() (bool, error) {
	if f.nhold < 14 {
		return true, nil
	}
	f.nlit, f.ndist, f.ncode = int(f.hold&31)+257, int(f.hold>>5&31)+1, int(f.hold>>10&15)+4
	f.drop(14)
	if f.nlit > 286 || f.ndist > 30 {
		return false, errInflate
	}
	f.have = 0
	f.lens = [maxLitLen + maxDist]uint8{}
	f.state = codeLengths
	return false, nil
}

// codeOrder is the order of code length codes: RFC 1951 section 3.2.7.
var codeOrder = [19]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

func (f *inflater) codeLengths() (bool, error) {
	for f.have < f.ncode {
		if f.nhold < 3 {
			return true, nil
		}
		f.lens[codeOrder[f.have]] = uint8(f.hold & 7)
		f.drop(3)
		f.have++
	}
	if !f.lit.build(f.lens[:19], lenBits) {
		return false, errInflate
	}
	f.have = 0
	f.lens = [maxLitLen + maxDist]uint8{}
	f.state = codes
	return false, nil
}

func (f *inflater) codes() (bool, error) {
	total := f.nlit + f.ndist
	for f.have < total {
		sym, size := f.lit.decode(f.hold, f.nhold)
		if size > maxCodeBits {
			return false, errInflate
		}
		if size == 0 {
			return true, nil
		}
		if sym < 16 {
			f.drop(size)
			f.lens[f.have] = uint8(sym)
			f.have++
			continue
		}
		var val uint8
		extra, base := uint(7), 11
		switch sym {
		case 16:
			if f.have == 0 {
				return false, errInflate
			}
			val, extra, base = f.lens[f.have-1], 2, 3
		case 17:
			extra, base = 3, 3
		}
		if f.nhold < size+extra {
			return true, nil
		}
		n := base + int(f.hold>>size&(1<<extra-1))
		f.drop(size + extra)
		if f.have+n > total {
			return false, errInflate
		}
		for range n {
			f.lens[f.have] = val
			f.have++
		}
	}
	if f.lens[endOfBlock] == 0 || !f.lit.build(f.lens[:f.nlit], litBits) || !f.dist.build(f.lens[f.nlit:total], distBits) {
		return false, errInflate
	}
	f.state = blockData
	return false, nil
}

// Lengths and distances: RFC 1951 section 3.2.5.
var (
	lenBase   = [29]uint16{3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258}
	lenExtra  = [29]uint8{0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0}
	distBase  = [30]uint16{1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577}
	distExtra = [30]uint8{0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13}
)

// data decodes literals and matches. A match needs at most 48 bits, which hold has unless the input is used up; then a
// match that is not whole yet is left in hold.
func (f *inflater) data(in *[]byte) (wait bool, err error) {
	pos, b := f.pos, *in
	defer func() { f.pos, *in = pos, b }()
	for {
		pos, b = f.quick(pos, b)
		if pos >= len(f.out)-300 {
			f.full = true
			return false, nil
		}
		if f.nhold < 48 {
			b = f.fill(b)
		}
		hold, n := f.hold, f.nhold
		sym, size := f.lit.decode(hold, n)
		if size == 0 {
			return true, nil
		}
		if sym < endOfBlock && size <= maxCodeBits {
			f.out[pos] = byte(sym)
			pos++
			f.drop(size)
			continue
		}
		if size > maxCodeBits || sym > endOfBlock+29 {
			return false, errInflate
		}
		if sym == endOfBlock {
			f.drop(size)
			f.state = blockHead
			return false, nil
		}
		used := size
		hold >>= size
		sym -= endOfBlock + 1
		x := uint(lenExtra[sym])
		length := int(lenBase[sym]) + int(hold&(1<<x-1))
		used, hold = used+x, hold>>x
		if used > n {
			return true, nil
		}
		sym, size = f.dist.decode(hold, n-used)
		if size == 0 {
			return true, nil
		}
		if size > maxCodeBits || sym >= 30 {
			return false, errInflate
		}
		used, hold = used+size, hold>>size
		x = uint(distExtra[sym])
		d := int(distBase[sym]) + int(hold&(1<<x-1))
		if used += x; used > n {
			return true, nil
		}
		if d > pos {
			return false, errInflate
		}
		f.drop(used)
		f.copy(pos, d, length)
		pos += length
	}
}

// quick does what data does as long as eight bytes of input are left, codes are short enough for the first table and nothing is odd. It returns
// the new end of output, and the input that is left.
func (f *inflater) quick(pos int, b []byte) (int, []byte) {
	hold, n := f.hold, f.nhold
	for len(b) >= 8 && pos < len(f.out)-300 {
		hold |= binary.LittleEndian.Uint64(b) << n
		b = b[(63-n)>>3:]
		n |= 56 // bits at least, and what is above n in hold are the next ones
		e := f.lit.first[hold&(1<<litBits-1)]
		for k := 0; e-1 < endOfBlock<<4-1 && k < quickLits; k++ {
			f.out[pos] = byte(e >> 4)
			pos++
			hold >>= e & 15
			n -= uint(e & 15)
			e = f.lit.first[hold&(1<<litBits-1)]
		}
		if n < quickBits || e-1 < endOfBlock<<4-1 {
			continue
		}
		sym, size := uint(e>>4)-endOfBlock-1, uint(e&15)
		if sym >= uint(len(lenBase)) { // the end, or a longer code
			break
		}
		at := hold >> size
		x := uint(lenExtra[sym])
		length := int(lenBase[sym]) + int(at&(1<<x-1))
		at, size = at>>x, size+x
		e = f.dist.first[at&(1<<distBits-1)]
		if sym = uint(e >> 4); e == 0 || sym >= uint(len(distBase)) {
			break
		}
		at, size = at>>(e&15), size+uint(e&15)
		x = uint(distExtra[sym])
		d := int(distBase[sym]) + int(at&(1<<x-1))
		if d > pos {
			break
		}
		hold, n = at>>x, n-size-x
		f.copy(pos, d, length)
		pos += length
	}
	f.hold, f.nhold = hold&(1<<n-1), n
	return pos, b
}

// copy repeats length bytes of output from d bytes before pos on. What stands behind may be overwritten.
func (f *inflater) copy(pos, d, length int) {
	switch {
	case d >= 8 && length <= 32:
		for end := pos + length; pos < end; pos += 8 {
			binary.LittleEndian.PutUint64(f.out[pos:pos+8], binary.LittleEndian.Uint64(f.out[pos-d:pos-d+8]))
		}
	case d >= length:
		copy(f.out[pos:pos+length], f.out[pos-d:])
	default:
		for end := pos + length; pos < end; pos++ {
			f.out[pos] = f.out[pos-d]
		}
	}
}
