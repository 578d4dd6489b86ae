// Package edm matches exact data: which values of a customer's own table stand in a text, and in which of its rows. Build packs a CSV into a
// set, a file that without its key says nothing of the values; Open maps one; a Finder looks for its values. FORMAT.md describes the file. It
// knows nothing of rules and traffic.
package edm

import "errors"

// What a set may hold, ours.
const (
	MaxWords   = 16  // words of a value
	MaxValue   = 128 // bytes of a value in normal form
	MaxRaw     = 512 // bytes that a value may take in a text, separators and all
	MaxColumns = 32
	maxName    = 64           // bytes of a column's name
	groups     = 8            // in which a number is written, at most
	minValue   = 2            // characters of a value; a single one stands everywhere
	maxCells   = 1<<32 - 1    // of a set
	maxRows    = 1<<32 - 1    //
	maxRecord  = 1 << 20      // bytes of a record of a CSV
	MinKey     = 32           // bytes of a key file
	maxKey     = 4096         //
	fewValues  = 100          // different values of a column with which it says little ...
	fewRows    = 1000         // ... of so many rows
	sortRun    = 1 << 21      // entries that are sorted in memory
	fileMode   = 0o600        //
	headerSize = 4096         // bytes
	magic      = "WEIREDM2"   // 1: the version
	blockSize  = 64           // bytes of a filter's block: a line of the processor's cache
	filterBits = 10           // of the filter, for each different value
	bucketFill = 16           // entries of a bucket, at least on average
	tokenBits  = 64           // of the HMAC-SHA256 of a column and a value
	keyDerived = "weir edm 1" // what keys are derived for
)

// Errors of Open, wrapped.
var (
	ErrKey     = errors.New("the set was built with another key")
	ErrCorrupt = errors.New("the file is damaged")
	ErrFormat  = errors.New("this is no set of weir dlp edm build")
)

// kind says what a value consists of.
type kind uint8

const (
	digits  kind = iota
	letters      // and what else is not a digit
	mixed
	address // has an @
	kinds
)

// with is the kind of a value of both.
func (k kind) with(o kind) kind {
	switch {
	case k == address || o == address:
		return address
	case k == o:
		return k
	}
	return mixed
}
