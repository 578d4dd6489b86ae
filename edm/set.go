package edm

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"math/bits"
	"os"
	"runtime/debug"
	"sort"
	"syscall"
)

// A Set is a mapped file. It is immutable, and shared by any number of Finders until Close.
type Set struct {
	header
	keys    *keys
	mapped  []byte
	filter  []byte
	buckets []byte
	entries []byte
	width   uint64       // bits of an entry
	reach   [kinds]int   // bytes of the longest value that one of the kind may still become part of
	most    [kinds]uint8 // words in which a value of the kind is looked for
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Open maps a set and reads all of it once, to see that it is as it was written. Errors are of the file system, or wrap ErrFormat, ErrKey or
// ErrCorrupt; none of them shows anything of the content.
func Open(path string, key Key) (*Set, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe has no writer to wait for
	if err != nil {
		return nil, err
	}
	defer f.Close()
	s, err := open(f, key)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return s, nil
}

func open(f *os.File, key Key) (*Set, error) {
	fi, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !fi.Mode().IsRegular():
		return nil, errors.New("not a regular file")
	case fi.Size() < headerSize:
		return nil, ErrFormat
	}
	mapped, err := syscall.Mmap(int(f.Fd()), 0, int(fi.Size()), syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map: %w", err)
	}
	s := &Set{mapped: mapped}
	if err := Guard(func() error { return s.read(key) }); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// read takes the set apart.
func (s *Set) read(key Key) (err error) {
	if s.keys, err = s.decode(s.mapped, key); err != nil {
		return err
	}
	if want := s.size(); uint64(len(s.mapped)) != want {
		return fmt.Errorf("%w: it has %d bytes and should have %d", ErrCorrupt, len(s.mapped), want)
	}
	rest := s.mapped[headerSize:]
	parts := [3]*[]byte{&s.filter, &s.buckets, &s.entries}
	for i, n := range s.sizes() {
		*parts[i], rest = rest[:n:n], rest[n:]
		if crc32.Checksum(*parts[i], castagnoli) != s.sums[i] {
			return fmt.Errorf("%w: its %s is not as it was written", ErrCorrupt, [3]string{"filter", "directory", "table"}[i])
		}
	}
	s.width = s.entryBits()
	for k := range kinds {
		s.reach[k] = max(s.longest(k), s.longest(k.with(mixed)), s.longest(address))
		s.most[k] = max(groups, min(MaxWords, s.words[k]))
	}
	if s.words[letters] > 0 { // words are everywhere
		s.most[letters] = min(MaxWords, s.words[letters]+1)
	}
	return nil
}

// Guard runs what reads mapped files. Where a file was cut meanwhile, it comes back with ErrCorrupt; else the program would end.
func Guard(read func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			if _, fault := r.(interface{ Addr() uintptr }); !fault {
				panic(r)
			}
			err = fmt.Errorf("%w: it was cut while it was read", ErrCorrupt)
		}
	}()
	return read()
}

// Close unmaps the file. No Finder may use it any more.
func (s *Set) Close() {
	if s.mapped != nil {
		_ = syscall.Munmap(s.mapped) // fails only for what is not mapped
		s.mapped, s.filter, s.buckets, s.entries = nil, nil, nil, nil
	}
}

// Rows returns how many rows the set has.
func (s *Set) Rows() uint64 { return s.rows }

// Size returns the bytes that are mapped.
func (s *Set) Size() int64 { return int64(len(s.mapped)) }

// Columns returns the names of the columns, by index. The caller must not change it.
func (s *Set) Columns() []string { return s.columns }

// Column returns the index of a column, -1 if there is none of that name.
func (s *Set) Column(name string) int { return s.columnIndex(name) }

// mayHave asks the filter for a value's fingerprint: one line of the cache.
func (s *Set) mayHave(print uint64) bool {
	i, bit := filterPlace(print, s.blocks)
	b := s.filter[i*blockSize : i*blockSize+blockSize : i*blockSize+blockSize]
	for w := range blockSize / 8 {
		if le.Uint64(b[8*w:])>>(bit&63)&1 == 0 {
			return false
		}
		bit >>= 6
	}
	return true
}

// filterPlace returns the block of a fingerprint, and the bits in it: six bits for each of its words.
func filterPlace(print, blocks uint64) (block, bit uint64) {
	block, low := bits.Mul64(print, blocks)
	return block, (low ^ low>>29) * 0x9e3779b97f4a7c15 >> 16
}

// Rows are the rows that hold a value in a column: a part of the table.
type Rows struct{ from, to uint32 }

// Len returns how many there are.
func (r Rows) Len() int { return int(r.to - r.from) }

// find returns the rows of a token.
func (s *Set) find(token uint64) Rows {
	bucket := token >> (tokenBits - s.bucketBits)
	from, to := le.Uint32(s.buckets[4*bucket:]), le.Uint32(s.buckets[4*bucket+4:])
	if from > to || uint64(to) > s.cells {
		return Rows{}
	}
	want := token & (1<<(tokenBits-s.bucketBits) - 1)
	first, there := s.first(from, to, want)
	if !there {
		return Rows{}
	}
	end := first + 1 // most values stand in one row
	for step := uint32(1); end < to && s.is(end, want); step *= 2 {
		next := uint32(min(uint64(to), uint64(end)+uint64(step)))
		if next == to || !s.is(next, want) {
			end = s.search(end, next, func(rest uint64, _ uint32) bool { return rest > want })
			break
		}
		end = next
	}
	return Rows{first, end}
}

// first returns the first entry in [from, to) that is not below want, and whether it is want. What entries hold of their tokens is spread evenly: it is
// near where it would be then, and what lies between is read once.
func (s *Set) first(from, to uint32, want uint64) (at uint32, is bool) {
	const near = 16 // entries
	if from == to {
		return to, false
	}
	part, _ := bits.Mul64(want<<s.bucketBits, uint64(to-from))
	at = from + uint32(part)
	rest, _ := s.entry(at)
	if rest < want {
		for end := min(to, at+near); rest < want; rest, _ = s.entry(at) {
			if at++; at == end {
				break
			}
		}
		if at == to {
			return to, false
		}
	} else {
		for low := max(from, at-min(at, near)); at > low; at-- {
			before, _ := s.entry(at - 1)
			if before < want {
				return at, rest == want
			}
			rest = before
		}
		if at == from {
			return at, rest == want
		}
	}
	if rest >= want && at > from && !s.notBelow(at-1, want) {
		return at, rest == want
	}
	at = s.search(from, to, func(rest uint64, _ uint32) bool { return rest >= want })
	return at, at < to && s.is(at, want)
}

func (s *Set) notBelow(i uint32, want uint64) bool {
	rest, _ := s.entry(i)
	return rest >= want
}

func (s *Set) is(i uint32, want uint64) bool {
	rest, _ := s.entry(i)
	return rest == want
}

// search returns the first entry in [from, to) for which at holds, to if there is none.
func (s *Set) search(from, to uint32, at func(rest uint64, row uint32) bool) uint32 {
	return from + uint32(sort.Search(int(to-from), func(i int) bool { return at(s.entry(from + uint32(i))) }))
}

// entry returns what the i-th entry holds of its token, and its row.
func (s *Set) entry(i uint32) (rest uint64, row uint32) {
	bit := uint64(i) * s.width
	b := s.entries[bit>>3 : bit>>3+16]
	low, high, shift := le.Uint64(b), le.Uint64(b[8:]), bit&7
	low = low>>shift | high<<1<<(63-shift)
	high >>= shift
	n := s.rowBits
	row = uint32(low & (1<<n - 1))
	rest = (low>>n | high<<(64-n)) & (1<<(tokenBits-s.bucketBits) - 1)
	return rest, row
}

// Row returns the i-th of r, in ascending order.
func (s *Set) Row(r Rows, i int) uint32 {
	_, row := s.entry(r.from + uint32(i))
	return row
}

// Has reports whether row is one of r.
func (s *Set) Has(r Rows, row uint32) bool {
	i := s.search(r.from, r.to, func(_ uint64, at uint32) bool { return at >= row })
	return i < r.to && s.Row(r, int(i-r.from)) == row
}
