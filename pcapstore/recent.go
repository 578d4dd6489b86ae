package pcapstore

import (
	"encoding/binary"
	"math"
	"math/bits"
	"math/rand/v2"

	"weir/wire"
)

// ours
const (
	recordHead   = 56       // bytes of bookkeeping before each kept frame
	bytesPerList = 4 << 10  // bytes of ring per list of the flow index
	minRecent    = 64 << 10 // bytes; a smaller ring is made this large
	recentMarks  = 64       // places whose time is remembered, for Oldest
)

// Offsets in a record's head. Positions are absolute: they count all bytes that were ever laid
// into the ring, so that one comparison tells whether a record still stands.
const (
	atPrev  = 0  // uint64: position of the previous record of the same list, 0: none
	atNext  = 8  // uint64: scratch of a walk
	atFlow  = 16 // uint64
	atTime  = 24 // int64, ns since the epoch
	atLen   = 32 // uint32: bytes on the wire
	atCap   = 36 // uint32: bytes kept
	atVLAN  = 40 // uint32
	atIface = 44 // uint16
	atLink  = 46 // uint16
	atFlag  = 48 // uint8
)

// noRecord stands for the length of what is kept where the rest of the ring is left empty.
const noRecord = math.MaxUint32

// Recent holds the last packets of one tap in a ring. It is owned by one goroutine. All memory
// is taken by NewRecent and Resize; where a packet needs room the oldest ones go. A nil Recent keeps nothing.
//
// Records of one flow are found by a fixed number of lists, each holding the flows whose hash falls on
// it, linked from the newest record to the oldest. So the index never grows and never forgets.
type Recent struct {
	buf     []byte
	head    uint64   // position of the next record
	last    []uint64 // per list: position of its newest record, 0: none
	shift   uint     // of a flow's hash, giving its list
	seed    uint64   // odd; so that nobody can choose flows that share a list
	marks   [recentMarks]mark
	segment uint64 // of the ring that head stands in, each 1/recentMarks of it
	tooBig  uint64

	begin      uint64 // where head stood when the ring was made
	tooBigThen uint64 // what tooBig was then
}

type mark struct {
	at   uint64
	time int64
}

// NewRecent returns a ring of the given number of bytes, rounded up to a multiple of 4096 and to at least 64 KiB. Its
// index takes 0.2 to 0.4 % more.
func NewRecent(bytes int) *Recent {
	bytes = (max(bytes, minRecent) + 4095) &^ 4095
	n := bits.Len(uint(bytes/bytesPerList) - 1)
	return &Recent{
		buf:     make([]byte, bytes),
		head:    uint64(bytes), // so that 0 is no record's position
		begin:   uint64(bytes),
		last:    make([]uint64, 1<<n),
		shift:   uint(64 - n),
		seed:    rand.Uint64() | 1,
		segment: 1<<64 - 1,
	}
}

// Size returns the bytes of memory that r holds.
func (r *Recent) Size() int {
	if r == nil {
		return 0
	}
	return len(r.buf) + 8*len(r.last)
}

// TooBig returns how many frames were not kept because they are larger than the ring.
func (r *Recent) TooBig() uint64 {
	if r == nil {
		return 0
	}
	return r.tooBig
}

// Add keeps a copy of the frame under the id of its flow, 0 if it has none.
func (r *Recent) Add(f *wire.Frame, flow uint64) {
	if r == nil {
		return
	}
	size := uint64(len(r.buf))
	n := recordLen(len(f.Data))
	if n > size {
		r.tooBig++
		return
	}
	at := r.head
	off := at % size
	if off+n > size { // records do not wrap
		if size-off >= recordHead {
			binary.LittleEndian.PutUint32(r.buf[off+atCap:], noRecord)
		}
		at += size - off
		off = 0
	}
	r.head = at + n
	if s := at / (size / recentMarks); s != r.segment {
		r.segment = s
		r.marks[s%recentMarks] = mark{at, f.Time}
	}
	list := &r.last[flow*r.seed>>r.shift]
	b := r.buf[off : off+n : off+n]
	binary.LittleEndian.PutUint64(b[atPrev:], *list)
	binary.LittleEndian.PutUint64(b[atFlow:], flow)
	binary.LittleEndian.PutUint64(b[atTime:], uint64(f.Time))
	binary.LittleEndian.PutUint32(b[atLen:], f.Len)
	binary.LittleEndian.PutUint32(b[atCap:], uint32(len(f.Data)))
	binary.LittleEndian.PutUint32(b[atVLAN:], f.VLAN)
	binary.LittleEndian.PutUint16(b[atIface:], f.Iface)
	binary.LittleEndian.PutUint16(b[atLink:], uint16(f.Link))
	b[atFlag] = uint8(f.Flag)
	copy(b[recordHead:], f.Data)
	*list = at
}

// Flow calls fn with each kept frame of a flow, oldest first. The frame is borrowed until fn returns; fn must not call Add.
func (r *Recent) Flow(id uint64, fn func(*wire.Frame)) { r.Last(id, math.MaxInt, fn) }

// Last is Flow for the newest frames only, as many as hold at most n bytes of data.
func (r *Recent) Last(id uint64, n int, fn func(*wire.Frame)) {
	if r == nil {
		return
	}
	// Back from the newest, leaving a trail; then along it. So no memory is needed to turn the order round.
	var first uint64
	for at := r.last[id*r.seed>>r.shift]; r.kept(at); {
		b := r.record(at)
		if binary.LittleEndian.Uint64(b[atFlow:]) == id {
			if n -= int(binary.LittleEndian.Uint32(b[atCap:])); n < 0 {
				break
			}
			binary.LittleEndian.PutUint64(b[atNext:], first)
			first = at
		}
		at = binary.LittleEndian.Uint64(b[atPrev:])
	}
	var f wire.Frame
	for at := first; at != 0; {
		b := r.record(at)
		f = frameOf(b)
		at = binary.LittleEndian.Uint64(b[atNext:])
		fn(&f)
	}
}

// frameOf returns the frame of a record. Its data is borrowed.
func frameOf(b []byte) wire.Frame {
	return wire.Frame{
		Data:  b[recordHead:][:binary.LittleEndian.Uint32(b[atCap:])],
		Time:  int64(binary.LittleEndian.Uint64(b[atTime:])),
		Len:   binary.LittleEndian.Uint32(b[atLen:]),
		VLAN:  binary.LittleEndian.Uint32(b[atVLAN:]),
		Iface: binary.LittleEndian.Uint16(b[atIface:]),
		Link:  wire.Link(binary.LittleEndian.Uint16(b[atLink:])),
		Flag:  wire.Flag(b[atFlag]),
	}
}

// recordLen returns the bytes that a record with so much data takes.
func recordLen(data int) uint64 { return uint64(recordHead+data+7) &^ 7 }

// Oldest returns the time, ns since the epoch, back to which r certainly reaches: that of one of its oldest frames,
// within 1/64 of the ring. 0: it is empty.
func (r *Recent) Oldest() int64 {
	if r == nil {
		return 0
	}
	return r.oldest().time
}

// oldest returns the oldest mark that still stands, the zero mark if there is none.
func (r *Recent) oldest() (oldest mark) {
	for _, m := range r.marks {
		if r.kept(m.at) && (oldest.at == 0 || m.at < oldest.at) {
			oldest = m
		}
	}
	return oldest
}

// kept reports whether at is the position of a record that has not been overwritten.
func (r *Recent) kept(at uint64) bool { return at != 0 && r.head-at <= uint64(len(r.buf)) }

func (r *Recent) record(at uint64) []byte { return r.buf[at%uint64(len(r.buf)):] }
