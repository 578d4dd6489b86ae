package content

/*
#cgo CFLAGS: -O2
#cgo noescape weir_find
#cgo nocallback weir_find
#cgo noescape weir_letters
#cgo nocallback weir_letters
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

// vectors is 1 if the processor has the instructions.
var vectors = C.weir_find_vector()

// lettersOf returns how many letters b begins with.
func lettersOf(b []byte) int {
	return int(C.weir_letters((*C.uint8_t)(unsafe.SliceData(b)), C.uint32_t(len(b)), vectors))
}

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

// strong reports whether there is a place that is worth a look by itself.
func (f *finder) strong() bool {
	for i := range f.list {
		if kind(f.list[i].kind) != weak {
			return true
		}
	}
	return false
}

// move makes the places those of a text before which n bytes were put.
func (f *finder) move(n int) {
	for i := range f.list {
		f.list[i].at += C.uint32_t(n)
	}
	f.upto += n
}

func (f *finder) search(b []byte, kinds uint32, vector C.int) {
	var upto C.uint32_t
	n := C.weir_find((*C.uint8_t)(unsafe.SliceData(b)), C.uint32_t(len(b)), C.uint32_t(kinds), &f.buf[0], placesMost, vector, &upto)
	f.list, f.upto = f.buf[:n], int(upto)
}
