package content

import (
	"compress/bzip2"
	"io"
	"sync"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
)

// ours
const (
	maxZstdWindow  = 8 << 20 // bytes, as RFC 8878 section 3.1.1.1.2 recommends
	maxSnappyBlock = 1 << 20
	bzip2Size      = 4 << 20  // bytes that its decoder takes
	maxGzipHead    = 96 << 10 // bytes of extra field, name and comment
)

// from RFC 1952
const (
	gzipSum     = 1 << 1
	gzipExtra   = 1 << 2
	gzipName    = 1 << 3
	gzipComment = 1 << 4
)

func isGzip(head []byte) bool {
	return len(head) >= 4 && string(head[:3]) == "\x1f\x8b\x08" && head[3]&0xe0 == 0
}

// readGzip gives what all members of a gzip file hold, as one stream.
func readGzip(in *input, out *output) error {
	var name string
	for n := 0; ; n++ {
		if n > 0 {
			for { // what pads the members, as tapes do
				b, err := in.Peek(1)
				if err != nil {
					return err
				}
				if b[0] != 0 {
					break
				}
				in.Discard(1)
			}
			if b, _ := in.Peek(4); !isGzip(b) {
				return nil
			}
		}
		have, err := gzipHead(in)
		if err != nil {
			return err
		}
		if n == 0 {
			name = have
			out.begin(name)
		}
		if err := inflate(in, out); err != nil {
			return err
		}
		if err := in.skip(8); err != nil {
			return err
		}
	}
}

// gzipHead reads a member's header.
func gzipHead(in *input) (name string, err error) {
	var head [10]byte
	if err = in.full(head[:]); err != nil {
		return "", err
	}
	flags := head[3]
	if flags&gzipExtra != 0 {
		var n [2]byte
		if err = in.full(n[:]); err == nil {
			err = in.skip(int64(n[0]) | int64(n[1])<<8)
		}
		if err != nil {
			return "", err
		}
	}
	if flags&gzipName != 0 {
		if name, err = gzipString(in); err != nil {
			return "", err
		}
	}
	if flags&gzipComment != 0 {
		if _, err = gzipString(in); err != nil {
			return "", err
		}
	}
	if flags&gzipSum != 0 {
		err = in.skip(2)
	}
	return name, err
}

func gzipString(in *input) (string, error) {
	var s []byte
	for n := 0; n < maxGzipHead; n++ {
		c, err := in.ReadByte()
		if err != nil {
			return "", err
		}
		if c == 0 {
			return string(s), nil
		}
		if len(s) < maxTarName {
			s = append(s, c)
		}
	}
	return "", errBroken
}

// isZlib knows the headers that writers make (RFC 1950): deflate with a window of 32 KiB, in one of four levels. Others are as likely text.
func isZlib(head []byte) bool {
	return len(head) >= 3 && head[0] == 0x78 && (head[1] == 0x01 || head[1] == 0x5e || head[1] == 0x9c || head[1] == 0xda) && head[2]>>1&3 != 3
}

func readZlib(in *input, out *output) error {
	if err := in.skip(2); err != nil {
		return err
	}
	out.begin("")
	return inflate(in, out)
}

var flates sync.Pool

// newFlate returns a reader of a raw DEFLATE stream. From what has ReadByte it reads not a byte beyond the end.
func newFlate(r io.Reader) io.ReadCloser {
	f, ok := flates.Get().(io.ReadCloser)
	if ok && f.(flate.Resetter).Reset(r, nil) == nil {
		return f
	}
	return flate.NewReader(r)
}

// inflate gives what a raw DEFLATE stream holds.
func inflate(in *input, out *output) error {
	r := newFlate(in.Reader)
	err := out.all(r)
	flates.Put(r)
	return err
}

func isBzip2(head []byte) bool {
	return len(head) >= 10 && string(head[:3]) == "BZh" && head[3] >= '1' && head[3] <= '9' &&
		(string(head[4:10]) == "\x31\x41\x59\x26\x53\x59" || string(head[4:10]) == "\x17\x72\x45\x38\x50\x90")
}

func readBzip2(in *input, out *output) error {
	out.begin("")
	in.cost = bzip2Size
	return out.all(bzip2.NewReader(in.Reader))
}

var zstds sync.Pool

func readZstd(in *input, out *output) error {
	out.begin("")
	in.cost = maxZstdWindow
	return unzstd(in.Reader, out)
}

func unzstd(in io.Reader, out *output) error {
	r, ok := zstds.Get().(*zstd.Decoder)
	if !ok {
		var err error
		if r, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(maxZstdWindow), zstd.WithDecoderMaxMemory(8*maxZstdWindow)); err != nil {
			return err
		}
	}
	err := r.Reset(in)
	if err == nil {
		err = out.all(zstdReader{r})
	}
	if r.Reset(nil) == nil {
		zstds.Put(r)
	}
	return err
}

// zstdReader tells a window that is too great from data that are broken.
type zstdReader struct{ *zstd.Decoder }

func (r zstdReader) Read(b []byte) (int, error) {
	n, err := r.Decoder.Read(b)
	if err == zstd.ErrWindowSizeExceeded || err == zstd.ErrDecoderSizeExceeded {
		err = errBudget
	}
	if err == zstd.ErrUnknownDictionary {
		err = errMethod
	}
	return n, err
}

func readSnappy(in *input, out *output) error {
	out.begin("")
	return out.all(s2.NewReader(io.Reader(in.Reader), s2.ReaderMaxBlockSize(maxSnappyBlock), s2.ReaderAllocBlock(1<<10)))
}
