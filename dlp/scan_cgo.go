package dlp

/*
#cgo pkg-config: libhs
#cgo CFLAGS: -O2
#cgo noescape weir_block
#cgo nocallback weir_block
#cgo noescape weir_write
#cgo nocallback weir_write
#cgo noescape weir_freeze
#cgo nocallback weir_freeze
#cgo noescape weir_thaw
#cgo nocallback weir_thaw
#include <stdlib.h>
#include "native.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"unsafe"
)

// errNative is what Hyperscan answered when it could not scan. The bytes were not looked at.
var errNative = errors.New("dlp: hyperscan failed")

var countMemory = sync.OnceFunc(func() { C.weir_count_memory() })

// NativeBytes returns the bytes of C memory that Hyperscan's databases, scratches and streams hold in this process.
func NativeBytes() int64 { return int64(C.weir_bytes()) }

// Trim gives C memory that is not in use back to the system: after many matches were open, and after rules were compiled, there is some.
func Trim() { C.weir_trim() }

// frugal calls f, which compiles patterns, while memory that its thread gives back is kept for what it takes next.
func frugal(f func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	C.weir_keep_memory(1)
	defer C.weir_keep_memory(0)
	f()
}

// region is what Hyperscan tells of one pattern: its matches end at first, at last, and at so many places between.
type region struct {
	id, ends    uint32
	first, last uint64 // offsets from where the stream began
}

// nativeClass is what is compiled for a class, in C memory.
type nativeClass struct{ c *C.weir_class }

func newNativeClass() (nativeClass, error) {
	c := (*C.weir_class)(C.weir_alloc(C.sizeof_weir_class))
	if c == nil {
		return nativeClass{}, errNative
	}
	*c = C.weir_class{}
	return nativeClass{c}, nil
}

// kind is how the patterns of a database are looked for.
type kind uint8

const (
	always  kind = C.WEIR_ALWAYS // in every byte
	single  kind = C.WEIR_SINGLE // where the sieve says that a match may begin
	chained kind = C.WEIR_CHAIN  // where the sieve says so again and again
)

// role is a database's place in a class.
type role struct {
	stream bool
	kind   kind
}

var roles = []role{{false, always}, {true, always}, {false, single}, {true, single}, {false, chained}, {true, chained}}

func (n nativeClass) place(r role) **C.hs_database_t {
	if r.stream {
		return &n.c.stream[r.kind]
	}
	return &n.c.block[r.kind]
}

// A native is a compiled database in C memory. Several classes may look for patterns with one.
type native struct{ db *C.hs_database_t }

// loadNative takes over a database in its serialised form.
func loadNative(b []byte) (native, error) {
	countMemory()
	if len(b) == 0 {
		return native{}, errNative
	}
	p := C.CBytes(b) // Hyperscan wants the serialised form aligned, which Go's slices need not be
	defer C.free(p)
	db := C.weir_load((*C.char)(p), C.size_t(len(b)))
	if db == nil {
		return native{}, fmt.Errorf("dlp: load a compiled database: %w", errNative)
	}
	return native{db}, nil
}

func (d native) free() { C.hs_free_database(d.db) }

func (d native) size() int64 {
	var size C.size_t
	if C.hs_database_size(d.db, &size) != C.HS_SUCCESS {
		return 0
	}
	return int64(size)
}

// lend has the class look for patterns with a database, which must outlive it.
func (n nativeClass) lend(r role, d native) { *n.place(r) = d.db }

// sift sets the class's sieve.
func (n nativeClass) sift(v *sieve) error {
	f := (*C.weir_sieve)(C.weir_alloc(C.sizeof_weir_sieve))
	if f == nil {
		return errNative
	}
	*f = C.weir_sieve{
		outside: C.uint8_t(v.outside), words: C.uint8_t(v.words), numbers: C.uint64_t(v.numbers), digits: C.uint32_t(v.digits),
	}
	if v.groups {
		f.groups = 1
	}
	if v.inside {
		f.inside = 1
	}
	for _, a := range v.alike {
		t := &f.numeral[f.numerals]
		t.rows, t.least, t.most = C.uint64_t(a.rows), C.uint32_t(a.least), C.uint32_t(a.most)
		if a.luhn {
			t.luhn = 1
		}
		f.numerals++
	}
	for c := range 256 {
		if v.seps.has(byte(c)) {
			f.seps[c&15] = C.uint8_t(c)
		}
	}
	for j := range v.low {
		for i := range v.low[j] {
			f.low[j][i], f.high[j][i] = C.uint8_t(v.low[j][i]), C.uint8_t(v.high[j][i])
		}
	}
	for j := range v.fits {
		for i := range v.fits[j] {
			f.fits[j][i] = C.uint64_t(v.fits[j][i])
		}
	}
	for i := range v.before {
		f.before[i] = C.uint64_t(v.before[i])
	}
	for j := range v.past {
		f.past[j] = C.uint64_t(v.past[j])
	}
	for i := range v.reach {
		f.reach[i], f.lead[i] = C.uint32_t(v.reach[i]), C.uint32_t(v.lead[i])
		f.led = max(f.led, f.lead[i])
		k := single
		if v.need[i] > 0 {
			k = chained
			f.chained |= 1 << i
			f.chain[f.chains], f.need[f.chains] = C.uint32_t(i), C.uint32_t(v.need[i])
			f.chains++
		}
		f.farthest[k] = max(f.farthest[k], f.reach[i])
	}
	C.weir_sieve_ready(f)
	if v.scalar {
		f.vector = 0
	}
	n.c.sieve = f
	return nil
}

func (n *nativeClass) free() {
	if n.c == nil {
		return
	}
	C.weir_release(unsafe.Pointer(n.c.sieve))
	C.weir_release(unsafe.Pointer(n.c))
	n.c = nil
}

// size returns the bytes of what it has itself, without databases.
func (n nativeClass) size() int64 {
	if n.c == nil || n.c.sieve == nil {
		return 0
	}
	return C.sizeof_weir_sieve
}

// streamSize returns the bytes that an open stream holds.
func (n nativeClass) streamSize() int {
	sum := int(C.sizeof_weir_stream)
	for _, k := range []kind{always, single, chained} {
		var size C.size_t
		if db := *n.place(role{true, k}); db != nil && C.hs_stream_size(db, &size) == C.HS_SUCCESS {
			sum += int(size)
		}
	}
	return sum
}

// nativeStream is an open stream; its class must outlive it.
type nativeStream struct{ st *C.weir_stream }

func (n nativeClass) open() (nativeStream, bool) {
	st := C.weir_open(n.c)
	return nativeStream{st}, st != nil
}

// freeze writes what s is into b, but for the last bytes that came. It returns the length, 0 if b is too small.
func (s nativeStream) freeze(b []byte) int {
	return int(C.weir_freeze(s.st, (*C.char)(unsafe.Pointer(unsafe.SliceData(b))), C.uint(len(b))))
}

// thaw makes s what another stream of its class was when it was frozen, behind at bytes: tail are the last of them, at least nativeKeep unless
// fewer came. False if it could not: s is to be ended then.
func (s nativeStream) thaw(frozen []byte, at int64, tail []byte) bool {
	return C.weir_thaw(s.st, (*C.char)(unsafe.Pointer(unsafe.SliceData(frozen))), C.uint64_t(at),
		(*C.char)(unsafe.Pointer(unsafe.SliceData(tail))), C.uint(len(tail))) != 0
}

const nativeKeep = C.WEIR_KEEP // bytes

// id is the class's, as long as it lives.
func (n nativeClass) id() uint64 { return uint64(uintptr(unsafe.Pointer(n.c))) }

func (s nativeStream) close() { C.weir_close(s.st) }

// nativeScan is one lane's scratch.
type nativeScan struct{ s *C.weir_scan }

func newNativeScan() (nativeScan, error) {
	countMemory()
	s := C.weir_new()
	if s == nil {
		return nativeScan{}, errNative
	}
	return nativeScan{s}, nil
}

func (n nativeScan) fit(c nativeClass, patterns int) error {
	if C.weir_fit(n.s, c.c, C.uint32_t(patterns)) == 0 {
		return fmt.Errorf("dlp: allocate scratch: %w", errNative)
	}
	return nil
}

func (n nativeScan) free() { C.weir_drop(n.s) }

// block scans a whole value. The regions are valid until the next scan.
func (n nativeScan) block(c nativeClass, b []byte) ([]region, error) {
	return n.regions(C.weir_block(n.s, c.c, (*C.char)(unsafe.Pointer(unsafe.SliceData(b))), C.uint(len(b))))
}

// write scans the next piece of a stream.
func (n nativeScan) write(s nativeStream, b []byte) ([]region, error) {
	return n.regions(C.weir_write(n.s, s.st, (*C.char)(unsafe.Pointer(unsafe.SliceData(b))), C.uint(len(b))))
}

// end tells a stream that its value ended: what matches only there is told now. The stream is as new afterwards.
func (n nativeScan) end(s nativeStream) ([]region, error) {
	return n.regions(C.weir_end(n.s, s.st))
}

func (n nativeScan) regions(c C.int) ([]region, error) {
	if c == 0 {
		return nil, nil
	}
	if c < 0 {
		return nil, errNative
	}
	return unsafe.Slice((*region)(unsafe.Pointer(n.s.region)), int(c)), nil
}
