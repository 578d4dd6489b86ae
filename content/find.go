package content

/*
#cgo CFLAGS: -O2
#cgo noescape weir_find
#cgo nocallback weir_find
#include "find.h"
*/
import "C"

import "unsafe"

// kind is what may begin at a place.
type kind uint32

const (
	aRun     kind = C.WEIR_RUN     // letters of base64, as many as are worth it
	aEscape  kind = C.WEIR_ESCAPE  // a backslash that stands for something
	aPercent kind = C.WEIR_PERCENT // %XX
	anEntity kind = C.WEIR_ENTITY  // &...;
	anEquals kind = C.WEIR_EQUALS  // =XX, or = at the end of a line
	aSign    kind = C.WEIR_SIGN    // a character beyond ASCII that stands for an ASCII one, or for none
	wideText kind = C.WEIR_WIDE    // UTF-16
	oneByOne kind = C.WEIR_DIGITS  // digits one by one
	weak     kind = C.WEIR_WEAK    // an escape, entity or sign that is not worth a look by itself

	allKinds    = 1<<C.WEIR_KINDS - 1
	strongKinds = allKinds &^ (1 << C.WEIR_WEAK)
)

// place is one where something of a kind may begin.
type place = C.weir_place

const placesMost = 512 // that are found at a time

var vectors = C.weir_find_vector() != 0

// finder is where something may begin in a text.
type finder struct {
	list []place
	upto int // so much of the text has been looked at
	buf  [placesMost]place
}

// find looks for the places of kinds in b from an offset on.
func (f *finder) find(b []byte, from int, kinds uint32) {
	f.list, f.upto = f.buf[:0], len(b)
	if from >= len(b) {
		return
	}
	f.search(b[from:], kinds, vectors)
	f.upto += from
	for i := range f.list {
		f.list[i].at += C.uint32_t(from)
	}
}

func (f *finder) search(b []byte, kinds uint32, vector bool) {
	var upto C.uint32_t
	v := C.int(0)
	if vector {
		v = 1
	}
	n := C.weir_find((*C.uint8_t)(unsafe.SliceData(b)), C.uint32_t(len(b)), C.uint32_t(kinds), &f.buf[0], placesMost, v, &upto)
	f.list, f.upto = f.buf[:n], int(upto)
}
