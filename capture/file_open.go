package capture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"weir/wire"
)

// From the specifications: RFC 1952 section 2.3.1, RFC 8878 section 3.1.1.
var (
	magicGzip = []byte{0x1f, 0x8b}
	magicZstd = []byte{0x28, 0xb5, 0x2f, 0xfd}
)

// Ours.
const (
	maxZstdWindow = 128 << 20 // bytes of history that a zstd stream may ask us to keep; zstd --ultra writes up to this
)

// OpenFile opens the capture file at path; "-" is standard input. Compression and format are told by content, never by
// name. The error names what was found and what can be read. Closing the File closes it.
func OpenFile(path string) (*File, error) {
	in, err := openInput(path)
	if err != nil {
		return nil, err
	}
	name := path
	if path == "-" {
		name = "standard input"
	}
	f, err := NewFile(in, name)
	if err != nil {
		in.Close()
		return nil, err
	}
	f.closer = append(f.closer, in)
	return f, nil
}

func openInput(path string) (*os.File, error) {
	if path != "-" {
		return os.Open(path)
	}
	// Reads of os.Stdin do not end when it is closed. A pipe opened anew is waited for by the runtime's poller, and
	// they do.
	if st, err := os.Stdin.Stat(); err == nil && st.Mode()&os.ModeNamedPipe != 0 {
		if p, err := os.Open("/dev/stdin"); err == nil {
			return p, nil
		}
	}
	return os.Stdin, nil
}

// NewFile reads a capture file from r; name is used in messages. It reads the file's header before it returns. r stays
// the caller's to close.
func NewFile(r io.Reader, name string) (*File, error) {
	f := &File{name: name, in: r, buf: make([]byte, readBuffer), frames: make([]wire.Frame, 0, batchFrames)}
	if err := f.open(); err != nil {
		for _, c := range f.closer {
			c.Close()
		}
		return nil, err
	}
	return f, nil
}

func (f *File) open() error {
	if err := f.want(4); err != nil {
		return f.notCapture(err)
	}
	if err := f.decompress(); err != nil {
		return err
	}
	head := f.buf[:4]
	switch {
	case binary.LittleEndian.Uint32(head) == blockSection: // reads the same in both byte orders
		f.ng = true
		return f.openNG()
	case f.pcap.magic(head):
		return f.openPcap()
	}
	return f.notCapture(nil)
}

// decompress puts a decompressor before the input if its first bytes ask for one, and reads the first decompressed
// bytes.
func (f *File) decompress() error {
	head := f.buf[:f.hi]
	switch {
	case bytes.HasPrefix(head, magicGzip):
		z, err := gzip.NewReader(f.rewound())
		if err != nil {
			return fmt.Errorf("%s: gzip: %w", f.name, err)
		}
		f.in, f.inside = z, " (gzip)"
	case bytes.HasPrefix(head, magicZstd):
		z, err := zstd.NewReader(f.rewound(), zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxZstdWindow))
		if err != nil {
			return fmt.Errorf("%s: zstd: %w", f.name, err)
		}
		f.in, f.inside = z, " (zstd)"
	default:
		return nil
	}
	f.lo, f.hi = 0, 0
	if err := f.want(4); err != nil {
		return f.notCapture(err)
	}
	return nil
}

// rewound is the input from its very beginning, the bytes already read included.
func (f *File) rewound() io.Reader {
	return io.MultiReader(bytes.NewReader(bytes.Clone(f.buf[:f.hi])), f.in)
}

// want reads until n bytes are in the buffer. io.ErrUnexpectedEOF says that there are fewer.
func (f *File) want(n int) error {
	if f.hi >= n {
		return nil
	}
	m, err := io.ReadAtLeast(f.in, f.buf[f.hi:], n-f.hi)
	f.hi += m
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// notCapture says what was found in place of a capture; cause is nil if the bytes could be read but mean nothing.
func (f *File) notCapture(cause error) error {
	const reads = "Weir reads pcap and pcapng, plain, gzip or zstd"
	switch {
	case cause != nil && !errors.Is(cause, io.ErrUnexpectedEOF):
		return fmt.Errorf("%s%s: %w", f.name, f.inside, cause)
	case f.hi == 0:
		return fmt.Errorf("%s%s: empty, so no capture file: %s", f.name, f.inside, reads)
	case cause != nil:
		return fmt.Errorf("%s%s: only %d bytes, so no capture file: %s", f.name, f.inside, f.hi, reads)
	}
	return fmt.Errorf("%s%s: begins with % x, which is no capture file: %s", f.name, f.inside, f.buf[:min(f.hi, 8)], reads)
}
