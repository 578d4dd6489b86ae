package dissect

import (
	"golang.org/x/net/http2/hpack"
)

// from the specification (RFC 7541).
const (
	hpackOverhead = 32   // bytes that an entry counts beyond name and value, section 4.1
	hpackStatic   = 61   // entries of the static table, appendix A
	hpackDefault  = 4096 // bytes of a dynamic table unless announced otherwise
)

// ours
const (
	hpackLargest = 16 << 10 // bytes of a dynamic table that is followed; what falls out of it is unknown
	hpackNumber  = 1 << 28  // no number in a header block is as great
)

// hpackStaticTable is the static table, as the library has it.
var hpackStaticTable = staticHeaders()

func staticHeaders() (t [hpackStatic]hpack.HeaderField) {
	i := 0
	d := hpack.NewDecoder(0, func(f hpack.HeaderField) { t[i] = f; i++ })
	for n := range hpackStatic {
		if _, err := d.Write([]byte{0x80 | byte(n+1)}); err != nil {
			panic(err)
		}
	}
	return t
}

// hpackFlaws is what was wrong with header blocks.
type hpackFlaws uint8

const (
	hpackBroken   hpackFlaws = 1 << iota // it cannot be read on from here
	hpackUnknown                         // an index that the table does not have
	hpackHuffman                         // a string that is not well coded: taken as it came
	hpackResize                          // a size update where none may be, or too great
	hpackTooLarge                        // more fields than are listed
)

// hpackEntry is an entry of the dynamic table: name and value stand one behind the other in its memory.
type hpackEntry struct{ at, name, value int32 }

// hpackTable is the dynamic table of one direction. New entries have the lowest indices, so a table that was begun
// midway or after a loss never says anything wrong: it only lacks the older entries. That is why it is not the
// library's, which gives up for good.
type hpackTable struct {
	mem     []byte
	ents    []hpackEntry // ents[first:] are in force, the oldest first
	first   int
	size    int // bytes, as section 4.1 counts
	max     int // bytes in force
	allowed int // bytes that the receiver announced
	partial bool
}

func (t *hpackTable) reset(partial bool) {
	t.mem, t.ents, t.first, t.size = t.mem[:0], t.ents[:0], 0, 0
	t.max = hpackDefault
	if partial {
		t.max = hpackLargest // what is in force is not known; entries that are kept too long do no harm
	}
	t.partial = partial
}

// get appends name and value of an entry to dst.
func (t *hpackTable) get(dst []byte, i uint64) (out []byte, name int, ok bool) {
	if i == 0 {
		return dst, 0, false
	}
	if i <= hpackStatic {
		f := &hpackStaticTable[i-1]
		dst = append(dst, f.Name...)
		return append(dst, f.Value...), len(f.Name), true
	}
	i -= hpackStatic
	if i > uint64(len(t.ents)-t.first) {
		return dst, 0, false
	}
	e := t.ents[len(t.ents)-int(i)]
	return append(dst, t.mem[e.at:e.at+e.name+e.value]...), int(e.name), true
}

// length returns the bytes of an entry's name and value.
func (t *hpackTable) length(i uint64) int {
	switch {
	case i == 0 || i > hpackStatic+uint64(len(t.ents)-t.first):
		return 0
	case i <= hpackStatic:
		f := &hpackStaticTable[i-1]
		return len(f.Name) + len(f.Value)
	}
	e := t.ents[len(t.ents)-int(i-hpackStatic)]
	return int(e.name + e.value)
}

// add puts an entry in front: section 4.4. One that is larger than the table empties it.
func (t *hpackTable) add(name, value []byte) {
	n := len(name) + len(value) + hpackOverhead
	t.evict(t.max - n)
	if n > t.max {
		return
	}
	t.ents = append(t.ents, hpackEntry{int32(len(t.mem)), int32(len(name)), int32(len(value))})
	t.mem = append(append(t.mem, name...), value...)
	t.size += n
}

// evict drops the oldest entries until size is at most limit, and memory once half of it is not in use.
func (t *hpackTable) evict(limit int) {
	for t.first < len(t.ents) && t.size > limit {
		e := t.ents[t.first]
		t.size -= int(e.name+e.value) + hpackOverhead
		t.first++
	}
	switch {
	case t.first == len(t.ents):
		t.mem, t.ents, t.first = t.mem[:0], t.ents[:0], 0
	case t.first > len(t.ents)/2:
		from := t.ents[t.first].at
		t.mem = t.mem[:copy(t.mem, t.mem[from:])]
		t.ents = t.ents[:copy(t.ents, t.ents[t.first:])]
		t.first = 0
		for i := range t.ents {
			t.ents[i].at -= from
		}
	}
}

// resize takes a size update: section 6.3.
func (t *hpackTable) resize(size uint64) {
	t.max = int(min(size, hpackLargest))
	if size > hpackLargest {
		t.partial = true
	}
	t.evict(t.max)
}

// hpackNumberAt reads a number with a prefix of n bits: section 5.1. used is 0 if it is cut short, -1 if it is too
// great.
func hpackNumberAt(b []byte, n uint) (v uint64, used int) {
	if len(b) == 0 {
		return 0, 0
	}
	v = uint64(b[0]) & (1<<n - 1)
	if v < 1<<n-1 {
		return v, 1
	}
	for i := 1; i < len(b); i++ {
		v += uint64(b[i]&0x7f) << (7 * (i - 1))
		if v > hpackNumber || i > 5 {
			return 0, -1
		}
		if b[i] < 0x80 {
			return v, i + 1
		}
	}
	return 0, 0
}

// hpackStringAt reads a string literal: section 5.2. used is 0 if it is cut short, -1 if its length is no number.
func hpackStringAt(b []byte) (s []byte, huffman bool, used int) {
	n, used := hpackNumberAt(b, 7)
	if used <= 0 {
		return nil, false, used
	}
	if uint64(len(b)-used) < n {
		return nil, false, 0
	}
	return b[used : used+int(n)], b[0]&0x80 != 0, used + int(n)
}

// hpackField is a header field; name and value stand in the list's text as "name: value\r\n" from at on.
type hpackField struct {
	at, name, value int32
	unknown         bool // the name is not known
}

// hpackList is a decoded header list, as text. It is bounded by max.
type hpackList struct {
	text   []byte
	fields []hpackField
	tmp    []byte
	max    int // bytes of text
	flaws  hpackFlaws
	resize bool // a size update may come
}

func (l *hpackList) reset(max int, begin bool) {
	l.text, l.fields, l.max, l.flaws, l.resize = l.text[:0], l.fields[:0], max, 0, begin
}

func (l *hpackList) name(f hpackField) []byte { return l.text[f.at : f.at+f.name : f.at+f.name] }

func (l *hpackList) value(f hpackField) []byte {
	at := f.at + f.name + 2
	return l.text[at : at+f.value : at+f.value]
}

// Write appends to tmp; it is what Huffman decoding writes to.
func (l *hpackList) Write(b []byte) (int, error) {
	l.tmp = append(l.tmp, b...)
	return len(b), nil
}

// str appends a string literal to tmp and returns its length.
func (l *hpackList) str(s []byte, huffman bool) int {
	at := len(l.tmp)
	if huffman {
		if _, err := hpack.HuffmanDecode(l, s); err == nil {
			return len(l.tmp) - at
		}
		l.flaws |= hpackHuffman
		l.tmp = l.tmp[:at]
	}
	l.tmp = append(l.tmp, s...)
	return len(s)
}

// put lists the field whose name and value are in tmp.
func (l *hpackList) put(name int, unknown bool) {
	if len(l.text)+len(l.tmp) > l.max {
		l.flaws |= hpackTooLarge
		return
	}
	at := len(l.text)
	l.text = append(l.text, l.tmp[:name]...)
	l.text = append(l.text, ": "...)
	l.text = append(l.text, l.tmp[name:]...)
	l.text = append(l.text, "\r\n"...)
	l.fields = append(l.fields, hpackField{int32(at), int32(name), int32(len(l.tmp) - name), unknown})
}

// decode lists the fields of a header block, or of the front of one. It returns what is left of an unfinished field,
// nil if the block cannot be read on; the table is begun anew then.
func (t *hpackTable) decode(l *hpackList, b []byte) (rest []byte) {
	for len(b) > 0 {
		var used int
		switch c := b[0]; {
		case c >= 0x80:
			used = t.indexed(l, b)
		case c >= 0x40:
			used = t.literal(l, b, 6)
		case c >= 0x20:
			used = t.sizeUpdate(l, b)
		default:
			used = t.literal(l, b, 4)
		}
		if used == 0 {
			return b
		}
		if used < 0 {
			l.flaws |= hpackBroken
			t.reset(true)
			return nil
		}
		b = b[used:]
	}
	return nil
}

// indexed takes an indexed field: section 6.1.
func (t *hpackTable) indexed(l *hpackList, b []byte) int {
	i, used := hpackNumberAt(b, 7)
	if used <= 0 {
		return used
	}
	if i == 0 {
		return -1
	}
	l.resize = false
	if len(l.text)+t.length(i) > l.max {
		l.flaws |= hpackTooLarge
		return used
	}
	name, ok := 0, false
	if l.tmp, name, ok = t.get(l.tmp[:0], i); !ok {
		l.flaws |= hpackUnknown
		return used
	}
	l.put(name, false)
	return used
}

// literal takes a literal field, that is added to the table if its index has 6 bits: section 6.2.
func (t *hpackTable) literal(l *hpackList, b []byte, bits uint) int {
	i, used := hpackNumberAt(b, bits)
	if used <= 0 {
		return used
	}
	l.tmp = l.tmp[:0]
	name, ok := 0, true
	if i == 0 {
		s, huffman, n := hpackStringAt(b[used:])
		if n <= 0 {
			return n
		}
		name = l.str(s, huffman)
		used += n
	} else if l.tmp, name, ok = t.get(l.tmp, i); !ok {
		l.flaws |= hpackUnknown
		l.tmp, name = append(l.tmp, '?'), 1
	}
	l.tmp = l.tmp[:name]
	s, huffman, n := hpackStringAt(b[used:])
	if n <= 0 {
		return n
	}
	used += n
	l.resize = false
	if bits != 6 && len(l.text)+name+len(s) > l.max {
		l.flaws |= hpackTooLarge
		return used
	}
	l.str(s, huffman)
	if bits == 6 {
		t.add(l.tmp[:name], l.tmp[name:])
	}
	l.put(name, !ok)
	return used
}

func (t *hpackTable) sizeUpdate(l *hpackList, b []byte) int {
	size, used := hpackNumberAt(b, 5)
	if used <= 0 {
		return used
	}
	if !l.resize || !t.partial && size > uint64(t.allowed) {
		l.flaws |= hpackResize
	}
	t.resize(size)
	return used
}
