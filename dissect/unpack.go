package dissect

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
)

// packing is a compression of a value that is there whole, as messages of protocols that are no HTTP have it.
type packing uint8

const (
	packNone packing = iota
	packGzip
	packSnappy // a block, or blocks as snappy-java frames them, or the framing format
	packLZ4    // the frame format
	packZstd
	packZlib
)

// ours
const maxUnpacked = 8 << 20 // bytes that a value may become, beside what Limits say

var (
	errUnpack       = errors.New("unpack: broken data")
	errUnpackBudget = errors.New("unpack: more than the limit")
)

// unpack undoes a compression. out is owned by the caller, who gives cap(out) bytes back to the Env's decoders when done with it. With an error it
// is what could be had.
func (e *Env) unpack(k packing, in []byte) (out []byte, err error) {
	limit := min(maxUnpacked, e.Limits.DecodeMax, e.Limits.DecodeFree+len(in)*e.Limits.DecodeRatio)
	u := unpacking{env: e, limit: limit}
	switch k {
	case packGzip:
		r, ok := gzips.Get().(*gzip.Reader)
		if !ok {
			r = new(gzip.Reader)
		}
		if err = r.Reset(bytes.NewReader(in)); err == nil {
			err = u.read(r)
		}
		gzips.Put(r)
	case packZlib:
		var r io.ReadCloser
		if r, err = zlib.NewReader(bytes.NewReader(in)); err == nil {
			err = u.read(r)
		}
	case packZstd:
		r, ok := zstdWhole.Get().(*zstd.Decoder)
		if !ok {
			if r, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow)); err != nil {
				return nil, err
			}
		}
		if err = r.Reset(bytes.NewReader(in)); err == nil {
			err = u.read(r)
		}
		if r.Reset(nil) == nil {
			zstdWhole.Put(r)
		}
	case packSnappy:
		err = u.snappy(in)
	case packLZ4:
		err = u.lz4(in)
	default:
		err = errUnpack
	}
	return u.out, err
}

var gzips, zstdWhole sync.Pool

// unpacking is a value that is being unpacked.
type unpacking struct {
	env   *Env
	out   []byte
	limit int
}

// grow makes room for n more bytes.
func (u *unpacking) grow(n int) error {
	if len(u.out)+n > u.limit {
		return errUnpackBudget
	}
	if len(u.out)+n <= cap(u.out) {
		return nil
	}
	size := min(max(2*cap(u.out), len(u.out)+n, 4<<10), u.limit)
	if !u.env.take(size - cap(u.out)) {
		return errUnpackBudget
	}
	u.out = append(make([]byte, 0, size), u.out...)
	return nil
}

// read takes all that a decoder has.
func (u *unpacking) read(r io.Reader) error {
	for {
		if len(u.out) == cap(u.out) {
			if err := u.grow(1); err != nil {
				return err
			}
		}
		n, err := r.Read(u.out[len(u.out):cap(u.out)])
		u.out = u.out[:len(u.out)+n]
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// snappy takes the block format, in the frames of snappy-java if they are there.
func (u *unpacking) snappy(in []byte) error {
	const java = "\x82SNAPPY\x00"
	if !bytes.HasPrefix(in, []byte(java)) {
		if bytes.HasPrefix(in, []byte("\xff\x06\x00\x00sNaPpY")) {
			return u.read(s2.NewReader(bytes.NewReader(in), s2.ReaderMaxBlockSize(64<<10), s2.ReaderAllocBlock(1<<10)))
		}
		return u.block(in)
	}
	for in = in[min(16, len(in)):]; len(in) >= 4; {
		n := int(binary.BigEndian.Uint32(in))
		if n > len(in)-4 {
			return errUnpack
		}
		if err := u.block(in[4 : 4+n]); err != nil {
			return err
		}
		in = in[4+n:]
	}
	return nil
}

func (u *unpacking) block(in []byte) error {
	n, err := s2.DecodedLen(in)
	if err != nil {
		return err
	}
	if err := u.grow(n); err != nil {
		return err
	}
	at := len(u.out)
	b, err := s2.Decode(u.out[at:at+n:at+n], in)
	if err == nil && len(b) == n {
		u.out = u.out[:at+n]
	}
	return err
}
