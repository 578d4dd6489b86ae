package edm

import (
	"bufio"
	"context"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
)

// tempPrefix is of files that are being written.
const tempPrefix = ".weir-edm-"

func folder(path string) string { return filepath.Dir(path) }

// write makes the file. It takes path's place when it is on the disk.
func (b *builder) write(ctx context.Context, path string) (err error) {
	b.progress("sort", 0)
	if err := b.count(ctx); err != nil {
		return err
	}
	b.head.fit()
	f, err := os.CreateTemp(folder(path), tempPrefix+"*")
	if err != nil {
		return err
	}
	defer func() {
		f.Close()
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	if err := f.Chmod(fileMode); err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<18)
	if _, err := w.Write(make([]byte, headerSize)); err != nil { // it comes last
		return err
	}
	for i, part := range []func(io.Writer) error{b.filter, b.directory, b.table} {
		if err := ctx.Err(); err != nil {
			return err
		}
		sum := &summed{w: w}
		if err := part(sum); err != nil {
			return err
		}
		b.head.sums[i] = sum.sum
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if _, err := f.WriteAt(b.head.encode(b.keys), 0); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	dir, err := os.Open(folder(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// summed writes on and sums up.
type summed struct {
	w   io.Writer
	sum uint32
}

func (s *summed) Write(b []byte) (int, error) {
	s.sum = crc32.Update(s.sum, castagnoli, b)
	return s.w.Write(b)
}

// count counts the different values.
func (b *builder) count(ctx context.Context) error {
	var last uint64
	return b.prints.each(func(p pair) error {
		if b.head.values == 0 || p.key != last {
			b.head.values++
		}
		last = p.key
		if b.head.values&0xfffff == 0 {
			return ctx.Err()
		}
		return nil
	})
}

// filter writes the blocks of the filter: fingerprints come in the order of their blocks.
func (b *builder) filter(w io.Writer) error {
	var block [blockSize]byte
	at := uint64(0)
	next := func(until uint64) error {
		for ; at < until; at++ {
			if _, err := w.Write(block[:]); err != nil {
				return err
			}
			clear(block[:])
		}
		return nil
	}
	err := b.prints.each(func(p pair) error {
		i, bit := filterPlace(p.key, b.head.blocks)
		if err := next(i); err != nil {
			return err
		}
		for word := 0; word < blockSize; word += 8 {
			le.PutUint64(block[word:], le.Uint64(block[word:])|1<<(bit&63))
			bit >>= 6
		}
		return nil
	})
	if err != nil {
		return err
	}
	return next(b.head.blocks)
}

// directory writes where each bucket begins.
func (b *builder) directory(w io.Writer) error {
	buckets := uint64(1) << b.head.bucketBits
	at, n := uint64(0), uint32(0)
	var word [4]byte
	next := func(until uint64) error {
		for ; at < until; at++ {
			le.PutUint32(word[:], n)
			if _, err := w.Write(word[:]); err != nil {
				return err
			}
		}
		return nil
	}
	err := b.cells.each(func(p pair) error {
		err := next(p.key>>(tokenBits-b.head.bucketBits) + 1)
		n++
		return err
	})
	if err != nil {
		return err
	}
	return next(buckets + 1)
}

// table writes the entries, bit behind bit.
func (b *builder) table(w io.Writer) error {
	width, rest := b.head.entryBits(), uint64(1)<<(tokenBits-b.head.bucketBits)-1
	var low, high uint64 // bits that are not written yet, the first one lowest
	var have uint64      // how many
	var word [8]byte
	put := func(v, n uint64) error {
		low |= v << have
		if have > 0 {
			high = v >> (64 - have)
		}
		if have += n; have < 64 {
			return nil
		}
		le.PutUint64(word[:], low)
		low, high, have = high, 0, have-64
		_, err := w.Write(word[:])
		return err
	}
	err := b.cells.each(func(p pair) error {
		if err := put(uint64(p.row), uint64(b.head.rowBits)); err != nil {
			return err
		}
		return put(p.key&rest, width-uint64(b.head.rowBits))
	})
	if err != nil {
		return err
	}
	le.PutUint64(word[:], low)
	tail := append(word[:(have+7)/8:(have+7)/8], make([]byte, 16)...)
	_, err = w.Write(tail)
	return err
}
