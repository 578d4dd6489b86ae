package dlp

/*
#cgo pkg-config: libhs
#cgo noescape weir_block
#cgo nocallback weir_block
#cgo noescape weir_write
#cgo nocallback weir_write
#include <stdint.h>
#include <stdlib.h>
#include <malloc.h>
#include <string.h>
#include <hs.h>

// All matches of one pattern whose ends lie close together.
typedef struct { uint32_t id, ends; uint64_t first, last; } weir_region;

typedef struct {
	hs_scratch_t *scratch;
	weir_region *region;
	uint32_t *slot;    // by pattern: 1 + index of its last region
	uint32_t n, cap;   // regions in use, and how many there are
	uint32_t patterns; // length of slot
	uint32_t spare;
} weir_scan;

static int64_t weir_native;

static void *weir_alloc(size_t n) {
	void *p = malloc(n);
	if (p) __atomic_add_fetch(&weir_native, (int64_t)malloc_usable_size(p), __ATOMIC_RELAXED);
	return p;
}

static void weir_release(void *p) {
	if (p) __atomic_sub_fetch(&weir_native, (int64_t)malloc_usable_size(p), __ATOMIC_RELAXED);
	free(p);
}

static int64_t weir_bytes(void) { return __atomic_load_n(&weir_native, __ATOMIC_RELAXED); }

static void weir_count_memory(void) {
	hs_set_database_allocator(weir_alloc, weir_release);
	hs_set_scratch_allocator(weir_alloc, weir_release);
	hs_set_stream_allocator(weir_alloc, weir_release);
}

// Ends that are this close make one region: what is between them is looked at once.
#define WEIR_CLOSE 64

static int weir_match(unsigned int id, unsigned long long from, unsigned long long to, unsigned int flags, void *ctx) {
	weir_scan *s = ctx;
	uint32_t k = s->slot[id];
	if (k) {
		weir_region *r = &s->region[k - 1];
		// The last places are kept for patterns that have none yet.
		if (to <= r->last + WEIR_CLOSE || s->n >= s->spare) {
			r->ends++;
			if (to > r->last) r->last = to;
			if (to < r->first) r->first = to;
			return 0;
		}
	}
	weir_region *r = &s->region[s->n++];
	r->id = id;
	r->ends = 1;
	r->first = r->last = to;
	s->slot[id] = s->n;
	return 0;
}

static void weir_clear(weir_scan *s) {
	for (uint32_t i = 0; i < s->n; i++) s->slot[s->region[i].id] = 0;
	s->n = 0;
}

static int weir_block(weir_scan *s, const hs_database_t *db, const char *b, unsigned int n) {
	if (s->n) weir_clear(s);
	hs_error_t e = hs_scan(db, b, n, 0, s->scratch, weir_match, s);
	return e == HS_SUCCESS ? (int)s->n : (int)e;
}

static int weir_write(weir_scan *s, hs_stream_t *st, const char *b, unsigned int n) {
	if (s->n) weir_clear(s);
	hs_error_t e = hs_scan_stream(st, b, n, 0, s->scratch, weir_match, s);
	return e == HS_SUCCESS ? (int)s->n : (int)e;
}

// Tells the stream that its data ended, and makes it as new.
static int weir_end(weir_scan *s, hs_stream_t *st) {
	if (s->n) weir_clear(s);
	hs_error_t e = hs_reset_stream(st, 0, s->scratch, weir_match, s);
	return e == HS_SUCCESS ? (int)s->n : (int)e;
}

static hs_stream_t *weir_open(const hs_database_t *db) {
	hs_stream_t *st = NULL;
	return hs_open_stream(db, 0, &st) == HS_SUCCESS ? st : NULL;
}

static void weir_close(hs_stream_t *st) { hs_close_stream(st, NULL, NULL, NULL); }

static hs_database_t *weir_load(const char *b, size_t n) {
	hs_database_t *db = NULL;
	return hs_deserialize_database(b, n, &db) == HS_SUCCESS ? db : NULL;
}

// Makes s fit for a database and its number of patterns.
static int weir_fit(weir_scan *s, const hs_database_t *db, uint32_t patterns) {
	if (hs_alloc_scratch(db, &s->scratch) != HS_SUCCESS) return 0;
	if (patterns <= s->patterns) return 1;
	uint32_t cap = patterns + 1024;
	weir_region *r = weir_alloc(cap * sizeof *r);
	uint32_t *slot = weir_alloc(patterns * sizeof *slot);
	if (!r || !slot) { weir_release(r); weir_release(slot); return 0; }
	memset(slot, 0, patterns * sizeof *slot);
	weir_release(s->region);
	weir_release(s->slot);
	s->region = r; s->slot = slot; s->n = 0;
	s->cap = cap; s->patterns = patterns; s->spare = cap - patterns;
	return 1;
}

static weir_scan *weir_new(void) {
	weir_scan *s = weir_alloc(sizeof *s);
	if (s) memset(s, 0, sizeof *s);
	return s;
}

static void weir_drop(weir_scan *s) {
	hs_free_scratch(s->scratch);
	weir_release(s->region);
	weir_release(s->slot);
	weir_release(s);
}
*/
import "C"

import (
	"errors"
	"fmt"
	"sync"
	"unsafe"
)

// errNative is what Hyperscan answered when it could not scan. The bytes were not looked at.
var errNative = errors.New("dlp: hyperscan failed")

var countMemory = sync.OnceFunc(func() { C.weir_count_memory() })

// NativeBytes returns the bytes of C memory that Hyperscan's databases, scratches and streams hold in this process.
func NativeBytes() int64 { return int64(C.weir_bytes()) }

// region is what Hyperscan tells of one pattern: its matches end at first, at last, and at so many places between.
type region struct {
	id, ends    uint32
	first, last uint64 // offsets from where the stream began
}

// nativeDB is a Hyperscan database in C memory.
type nativeDB struct{ db *C.hs_database_t }

func loadNative(b []byte) (nativeDB, error) {
	countMemory()
	if len(b) == 0 {
		return nativeDB{}, errNative
	}
	p := C.CBytes(b) // Hyperscan wants the serialised form aligned, which Go's slices need not be
	defer C.free(p)
	db := C.weir_load((*C.char)(p), C.size_t(len(b)))
	if db == nil {
		return nativeDB{}, fmt.Errorf("dlp: load a compiled database: %w", errNative)
	}
	return nativeDB{db}, nil
}

func (d *nativeDB) free() {
	if d.db != nil {
		C.hs_free_database(d.db)
		d.db = nil
	}
}

// streamSize returns the bytes that an open stream of d holds.
func (d nativeDB) streamSize() int {
	var n C.size_t
	if C.hs_stream_size(d.db, &n) != C.HS_SUCCESS {
		return 0
	}
	return int(n)
}

// nativeStream is an open stream; its database must outlive it.
type nativeStream struct{ st *C.hs_stream_t }

func (d nativeDB) open() (nativeStream, bool) {
	st := C.weir_open(d.db)
	return nativeStream{st}, st != nil
}

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

func (n nativeScan) fit(d nativeDB, patterns int) error {
	if C.weir_fit(n.s, d.db, C.uint32_t(patterns)) == 0 {
		return fmt.Errorf("dlp: allocate scratch: %w", errNative)
	}
	return nil
}

func (n nativeScan) free() { C.weir_drop(n.s) }

// block scans a whole value. The regions are valid until the next scan.
func (n nativeScan) block(d nativeDB, b []byte) ([]region, error) {
	return n.regions(C.weir_block(n.s, d.db, (*C.char)(unsafe.Pointer(unsafe.SliceData(b))), C.uint(len(b))))
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
