package capture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"weir/wire"
)

// maker writes capture files of either byte order.
type maker struct {
	binary.AppendByteOrder
	b []byte
}

var orders = []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian}

func (m *maker) put(v ...any) *maker {
	for _, x := range v {
		switch x := x.(type) {
		case uint8:
			m.b = append(m.b, x)
		case uint16:
			m.b = m.AppendUint16(m.b, x)
		case uint32:
			m.b = m.AppendUint32(m.b, x)
		case uint64:
			m.b = m.AppendUint64(m.b, x)
		case string:
			m.b = append(m.b, x...)
		}
	}
	return m
}

// pcapHead begins a pcap file.
func pcapHead(o binary.AppendByteOrder, magic uint32, minor uint16, link uint32) *maker {
	return (&maker{AppendByteOrder: o}).put(magic, uint16(2), minor, uint32(0), uint32(0), uint32(65535), link)
}

// blk appends a pcapng block with the body that fill writes.
func (m *maker) blk(kind uint32, v ...any) *maker {
	body := (&maker{AppendByteOrder: m.AppendByteOrder}).put(v...)
	for len(body.b)%4 != 0 {
		body.b = append(body.b, 0)
	}
	n := uint32(len(body.b) + blockMin)
	return m.put(kind, n, string(body.b), n)
}

func (m *maker) sectionHead() *maker {
	return m.blk(blockSection, uint32(byteOrderMagic), uint16(1), uint16(0), uint64(math.MaxUint64))
}

func ngHead(o binary.AppendByteOrder) *maker { return (&maker{AppendByteOrder: o}).sectionHead() }

// show reads a whole file and prints what came, one frame per line: data, time, length, link, interface and flags where
// they are not 1, 0, 0.
func show(t *testing.T, r io.Reader) string {
	t.Helper()
	f, err := NewFile(r, "x")
	if err != nil {
		return "open: " + err.Error()
	}
	defer f.Close()
	var out strings.Builder
	for {
		frames, err := f.Next()
		for _, p := range frames {
			fmt.Fprintf(&out, "%s %d %d", p.Data, p.Time, p.Len)
			if p.Link != 1 || p.Iface != 0 || p.Flag != 0 {
				fmt.Fprintf(&out, " link %d iface %d flag %d", p.Link, p.Iface, p.Flag)
			}
			out.WriteByte('\n')
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if f.Warning() != nil {
		fmt.Fprintf(&out, "warning: %v\n", f.Warning())
	}
	return out.String()
}

func TestFilePcap(t *testing.T) {
	for _, o := range orders {
		for _, c := range []struct {
			name string
			file *maker
			want string
		}{
			{"us", pcapHead(o, pcapMicro, 4, 1).put(uint32(3), uint32(7), uint32(2), uint32(9), "ab"), "ab 3000007000 9\n"},
			{"ns", pcapHead(o, pcapNano, 4, 1).put(uint32(3), uint32(7), uint32(2), uint32(2), "ab"), "ab 3000000007 2\n"},
			{"modified", pcapHead(o, pcapKuznetzov, 4, 1).put(uint32(3), uint32(7), uint32(2), uint32(2), uint32(5), uint16(8), uint8(4), uint8(0), "ab"), "ab 3000007000 2\n"},
			{"link with class and FCS", pcapHead(o, pcapMicro, 4, 0x2<<28|1<<26|113).put(uint32(0), uint32(0), uint32(1), uint32(1), "a"), "a 0 1 link 113 iface 0 flag 0\n"},
			{"NetBSD class", pcapHead(o, pcapMicro, 4, 0x0224<<16|1).put(uint32(0), uint32(0), uint32(1), uint32(1), "a"), "a 0 1\n"},
			{"original shorter than captured", pcapHead(o, pcapMicro, 4, 1).put(uint32(0), uint32(0), uint32(2), uint32(1), "ab"), "ab 0 2\n"},
			{"version 2.2 has the lengths swapped", pcapHead(o, pcapMicro, 2, 1).put(uint32(0), uint32(0), uint32(9), uint32(2), "ab"), "ab 0 9\n"},
			{"version 2.3 perhaps", pcapHead(o, pcapMicro, 3, 1).put(uint32(0), uint32(0), uint32(9), uint32(2), "ab", uint32(0), uint32(0), uint32(2), uint32(9), "cd"), "ab 0 9\ncd 0 9\n"},
			{"absurd time", pcapHead(o, pcapMicro, 4, 1).put(uint32(math.MaxUint32), uint32(math.MaxUint32), uint32(0), uint32(0)), " 4294971589967295000 0\n"},
			{"no packets", pcapHead(o, pcapMicro, 4, 1), ""},
			{"cut in a header", pcapHead(o, pcapMicro, 4, 1).put(uint32(0), uint32(0), uint32(1), uint32(1), "a", uint32(9)), "a 0 1\nwarning: x: cut short after 1 frames at byte 41: 4 of 16 bytes of a record are there\n"},
			{"cut in a packet", pcapHead(o, pcapMicro, 4, 1).put(uint32(0), uint32(0), uint32(8), uint32(8), "a"), "warning: x: cut short after 0 frames at byte 24: 17 of 24 bytes of a record are there\n"},
			{"a lie", pcapHead(o, pcapMicro, 4, 1).put(uint32(0), uint32(0), uint32(1), uint32(1), "a", "garbagegarbage~~~~~~~~~~~~~~~~"), "a 0 1\nwarning: x: cut short after 1 frames at byte 41: a record of "},
		} {
			if got := show(t, bytes.NewReader(c.file.b)); got != c.want && !(strings.HasSuffix(c.want, " of ") && strings.HasPrefix(got, c.want)) {
				t.Errorf("%v, %s:\ngot  %q\nwant %q", o, c.name, got, c.want)
			}
		}
	}
}

func TestFilePcapng(t *testing.T) {
	idb := []any{uint16(1), uint16(0), uint32(0)}
	opt := func(o binary.AppendByteOrder, v ...any) []any {
		return append([]any{uint16(1), uint16(0), uint32(0)}, v...)
	}
	epb := func(iface uint32, ts uint64, n, orig uint32, data ...any) []any {
		return append([]any{iface, uint32(ts >> 32), uint32(ts), n, orig}, data...)
	}
	for _, o := range orders {
		for _, c := range []struct {
			name string
			file *maker
			want string
		}{
			{"microseconds", ngHead(o).blk(1, idb...).blk(6, epb(0, 3000007, 2, 9, "ab")...), "ab 3000007000 9\n"},
			{"original shorter", ngHead(o).blk(1, idb...).blk(6, epb(0, 0, 2, 1, "ab")...), "ab 0 2\n"},
			{"10^-9", ngHead(o).blk(1, opt(o, uint16(9), uint16(1), uint32(0)|ordered(o, 9))...).blk(6, epb(0, 7, 1, 1, "a")...), "a 7 1\n"},
			{"10^-12", ngHead(o).blk(1, opt(o, uint16(9), uint16(1), ordered(o, 12))...).blk(6, epb(0, 7999, 1, 1, "a")...), "a 7 1\n"},
			{"2^-10", ngHead(o).blk(1, opt(o, uint16(9), uint16(1), ordered(o, 0x8a))...).blk(6, epb(0, 1536, 1, 1, "a")...), "a 1500000000 1\n"},
			{"2^-127", ngHead(o).blk(1, opt(o, uint16(9), uint16(1), ordered(o, 0xff))...).blk(6, epb(0, math.MaxUint64, 1, 1, "a")...), "a 0 1\n"},
			{"offset", ngHead(o).blk(1, opt(o, uint16(14), uint16(8), uint64(2))...).blk(6, epb(0, 1, 1, 1, "a")...), "a 2000001000 1\n"},
			{"offset below 0", ngHead(o).blk(1, opt(o, uint16(14), uint16(8), uint64(math.MaxUint64))...).blk(6, epb(0, 1, 1, 1, "a")...), "a -999999000 1\n"},
			{"simple packet: time of the one before", ngHead(o).blk(1, idb...).blk(6, epb(0, 5, 1, 1, "a")...).blk(3, uint32(2), "bc"), "a 5000 1\nbc 5000 2\n"},
			{"simple packet: cut to the snap length", ngHead(o).blk(1, uint16(1), uint16(0), uint32(2)).blk(3, uint32(9), "bc"), "bc 0 9\n"},
			{"obsolete packet", ngHead(o).blk(1, idb...).blk(2, uint16(0), uint16(dropsUnknown), uint32(0), uint32(1), uint32(1), uint32(1), "a").blk(2, uint16(0), uint16(3), uint32(0), uint32(1), uint32(1), uint32(1), "b"), "a 1000 1\nb 1000 1 link 1 iface 0 flag 16\n"},
			{"flags: out, lost before", ngHead(o).blk(1, idb...).blk(6, epb(0, 0, 1, 1, "a\x00\x00\x00", uint16(2), uint16(4), uint32(2), uint16(4), uint16(8), uint64(3), uint32(0))...), "a 0 1 link 1 iface 0 flag 17\n"},
			{"others are passed over", ngHead(o).blk(1, idb...).blk(0xbad, "custom").blk(4, "names").blk(5, "statistics").blk(10, "secrets").blk(6, epb(0, 0, 1, 1, "a")...), "a 0 1\n"},
			{"a long one", ngHead(o).blk(1, idb...).blk(0xbad, strings.Repeat("x", 3<<20)).blk(6, epb(0, 0, 1, 1, "a")...), "a 0 1\n"},
			{"sections count interfaces anew", ngHead(o).blk(1, idb...).blk(6, epb(0, 0, 1, 1, "a")...).sectionHead().blk(1, uint16(113), uint16(0), uint32(0)).blk(6, epb(0, 0, 1, 1, "b")...), "a 0 1\nb 0 1 link 113 iface 1 flag 0\n"},
			{"sections of both orders", both(o), "a 1000 1\nb 1000 1 link 1 iface 1 flag 0\n"},
			{"no interface", ngHead(o).blk(1, idb...).blk(6, epb(1, 0, 1, 1, "a")...).blk(6, epb(0, 0, 1, 1, "b")...), "b 0 1\nwarning: x: after 0 frames at byte 48: " + errNoInterface.Error() + "\n"},
			{"packet longer than its block", ngHead(o).blk(1, idb...).blk(6, epb(0, 0, 9, 9, "a")...), "warning: x: after 0 frames at byte 48: " + errPacketLength.Error() + "\n"},
			{"ends differ", ngHead(o).blk(1, idb...).put(uint32(6), uint32(12), uint32(16)), "warning: x: cut short after 0 frames at byte 48: " + errBlockTrailer.Error() + "\n"},
			{"block of no length", ngHead(o).put(uint32(6), uint32(0), uint32(0)), "warning: x: cut short after 0 frames at byte 28: " + errBlockShort.Error() + "\n"},
			{"block of the greatest length", ngHead(o).put(uint32(6), uint32(math.MaxUint32), uint32(0)), "warning: x: cut short after 0 frames at byte 28: a block of 4294967296 bytes is longer than 16777216\n"},
			{"skipped block cut", ngHead(o).put(uint32(0xbad), uint32(100), "abcd"), "warning: x: cut short after 0 frames at byte 40: 88 bytes of a block are missing\n"},
			{"a lie", ngHead(o).put(uint32(6), uint32(maxRecord+4), "abcd"), "warning: x: cut short after 0 frames at byte 28: a block of 16777220 bytes is longer than 16777216\n"},
		} {
			if got := show(t, bytes.NewReader(c.file.b)); got != c.want {
				t.Errorf("%v, %s:\ngot  %q\nwant %q", o, c.name, got, c.want)
			}
			if got := show(t, iotest.OneByteReader(bytes.NewReader(c.file.b))); got != c.want && len(c.file.b) < 1000 {
				t.Errorf("%v, %s, a byte at a time:\ngot  %q\nwant %q", o, c.name, got, c.want)
			}
		}
	}
}

// ordered is a 4-byte word whose first byte is v, in either order.
func ordered(o binary.AppendByteOrder, v uint32) uint32 {
	if o == binary.AppendByteOrder(binary.BigEndian) {
		return v << 24
	}
	return v
}

// both is a section of one order before a section of the other.
func both(first binary.AppendByteOrder) *maker {
	out := &maker{AppendByteOrder: first}
	for i, o := range orders {
		if first == orders[1] {
			o = orders[1-i]
		}
		m := ngHead(o).blk(1, uint16(1), uint16(0), uint32(0)).blk(6, uint32(0), uint32(0), uint32(1), uint32(1), uint32(1), string('a'+rune(i)))
		out.b = append(out.b, m.b...)
	}
	return out
}

func TestFileInterfaces(t *testing.T) {
	m := ngHead(binary.LittleEndian).blk(1, uint16(1), uint16(0), uint32(96), uint16(2), uint16(4), "eth0", uint16(3), uint16(6), "uplink\x00\x00", uint32(0))
	m.blk(6, uint32(0), uint32(0), uint32(1), uint32(1), uint32(1), "a").blk(1, uint16(276), uint16(0), uint32(0), uint16(2), uint16(5), "any\x00\x00\x00\x00\x00")
	f, err := NewFile(bytes.NewReader(m.b), "x")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for err == nil {
		_, err = f.Next()
	}
	want := []Interface{{"eth0", "uplink", wire.LinkEthernet, 96}, {"any", "", wire.LinkSLL2, 0}}
	if got := f.Interfaces(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestClock(t *testing.T) {
	for _, c := range []struct {
		resolution byte
		offset     int64
		count      uint64
		want       int64
	}{
		{0, 0, 3, 3e9},
		{6, 0, math.MaxUint64, math.MaxInt64},
		{9, 0, math.MaxInt64, math.MaxInt64},
		{9, 1, math.MaxInt64, math.MaxInt64},
		{9, math.MaxInt64, 1, math.MaxInt64},
		{9, math.MinInt64, 1, math.MinInt64},
		{19, 0, math.MaxUint64, 1844674407},
		{127, 0, math.MaxUint64, 1},
		{0x80, 0, 2, 2e9},
		{0x80 | 63, 0, 1 << 63, 1e9},
		{0x80 | 64, 0, 1 << 63, 5e8},
		{0x80 | 94, 0, math.MaxUint64, 0},
	} {
		k := clock{offset: c.offset}
		k.resolution(c.resolution)
		if got := k.nanos(c.count); got != c.want && c.resolution != 127 {
			t.Errorf("%d of resolution %#x, offset %d: got %d, want %d", c.count, c.resolution, c.offset, got, c.want)
		}
	}
}

// many is a pcap file of n packets of varying size.
func many(n int) []byte {
	m := pcapHead(binary.LittleEndian, pcapMicro, 4, 1)
	for i := range n {
		size := i * 37 % 1500
		m.put(uint32(i), uint32(0), uint32(size), uint32(size), strings.Repeat("x", size))
	}
	return m.b
}

func gz(b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	w.Write(b)
	w.Close()
	return out.Bytes()
}

func zst(b []byte) []byte {
	e, _ := zstd.NewWriter(nil)
	return e.EncodeAll(b, nil)
}

func TestFileCompressed(t *testing.T) {
	plain := many(3000)
	want := show(t, bytes.NewReader(plain))
	half := len(plain) / 2
	for name, b := range map[string][]byte{
		"plain":             plain,
		"gzip":              gz(plain),
		"gzip, two members": append(gz(plain[:half]), gz(plain[half:])...),
		"zstd":              zst(plain),
		"zstd, two frames":  append(zst(plain[:half]), zst(plain[half:])...),
	} {
		if got := show(t, bytes.NewReader(b)); got != want {
			t.Errorf("%s: got %d bytes, want %d: %.200s", name, len(got), len(want), got[max(0, len(got)-200):])
		}
		path := filepath.Join(t.TempDir(), "no.extension")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := OpenFile(path)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if frames, err := f.Next(); len(frames) == 0 || err != nil {
			t.Errorf("%s: got %d frames, %v", name, len(frames), err)
		}
		if err := f.Close(); err != nil {
			t.Errorf("%s: close: %v", name, err)
		}
		if name == "plain" {
			continue
		}
		if got := show(t, bytes.NewReader(b[:len(b)*3/4])); !strings.Contains(got, "warning: x: cut short after ") || len(got) < 1000 {
			t.Errorf("%s, truncated: got %.200q", name, got)
		}
	}
}

func TestFileErrors(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"empty", "", "x: empty, so no capture file: Weir reads pcap and pcapng, plain, gzip or zstd"},
		{"3 bytes", "abc", "x: only 3 bytes, so no capture file: "},
		{"zip", "PK\x03\x04 and more", "x: begins with 50 4b 03 04 20 61 6e 64, which is no capture file: "},
		{"pcap header cut", "\xd4\xc3\xb2\xa1\x02\x00", "x: pcap: the file header has 6 bytes, not 24"},
		{"section header cut", "\x0a\x0d\x0d\x0a\x02\x00", "x: pcapng: the section header has 6 bytes, not 28"},
		{"no byte order", "\x0a\x0d\x0d\x0a" + strings.Repeat("z", 40), "x: pcapng: " + errByteOrder.Error()},
		{"text in gzip", string(gz([]byte("hello, world"))), "x (gzip): begins with 68 65 6c 6c 6f 2c 20 77"},
		{"gzip cut", string(gz([]byte("hello, world"))[:5]), "x: gzip: unexpected EOF"},
		{"nothing in zstd", string(zst(nil)), "x (zstd): empty"},
	} {
		if got := show(t, strings.NewReader(c.in)); !strings.HasPrefix(got, "open: "+c.want) {
			t.Errorf("%s:\ngot  %q\nwant %q", c.name, got, "open: "+c.want)
		}
	}
	if _, err := OpenFile(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: got %v", err)
	}
	if _, err := OpenFile(t.TempDir()); err == nil {
		t.Error("a directory was opened")
	}
	broken := io.MultiReader(bytes.NewReader(many(3)), iotest.ErrReader(io.ErrClosedPipe))
	if got := show(t, broken); !strings.HasSuffix(got, io.ErrClosedPipe.Error()+"\n") {
		t.Errorf("read error: got %q", got)
	}
}

// TestFileClose closes a file whose Next waits for a pipe.
func TestFileClose(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if _, err := w.Write(many(1)); err != nil {
		t.Fatal(err)
	}
	f, err := NewFile(r, "pipe")
	if err != nil {
		t.Fatal(err)
	}
	f.closer = append(f.closer, r)
	if frames, err := f.Next(); len(frames) != 1 || err != nil {
		t.Fatalf("got %d frames, %v: a live pipe must not be waited for", len(frames), err)
	}
	done := make(chan error)
	go func() {
		_, err := f.Next()
		done <- err
	}()
	f.Close()
	if err := <-done; !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v, want %v", err, net.ErrClosed)
	}
	if err := f.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("second Close: got %v", err)
	}
}

func TestFileAllocs(t *testing.T) {
	f, err := NewFile(bytes.NewReader(many(200_000)), "x")
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(300, func() {
		if frames, err := f.Next(); len(frames) == 0 {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("Next allocates %v times", n)
	}
}

func FuzzFile(f *testing.F) {
	for _, o := range orders {
		f.Add(pcapHead(o, pcapMicro, 4, 1).put(uint32(1), uint32(2), uint32(2), uint32(9), "ab").b)
		f.Add(pcapHead(o, pcapKuznetzov, 2, 1).put(uint32(1), uint32(2), uint32(2), uint32(9), uint32(1), uint32(1), "ab").b)
		f.Add(both(o).blk(3, uint32(1), "x").blk(2, uint16(0), uint16(3), uint32(0), uint32(1), uint32(1), uint32(1), "b").blk(0xbad, "custom").b)
	}
	f.Add(gz(many(3)))
	f.Add(zst(many(3)))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := NewFile(bytes.NewReader(b), "x")
		if err != nil {
			return
		}
		defer r.Close()
		for {
			frames, err := r.Next()
			if len(frames) > batchFrames {
				t.Fatalf("%d frames", len(frames))
			}
			for i := range frames {
				if p := &frames[i]; int(p.Len) < len(p.Data) || int(p.Iface) >= len(r.Interfaces()) || cap(p.Data) != len(p.Data) {
					t.Fatalf("frame of %d bytes, length %d, interface %d of %d", len(p.Data), p.Len, p.Iface, len(r.Interfaces()))
				}
			}
			if len(r.buf) > maxRecord {
				t.Fatalf("%d bytes of buffer", len(r.buf))
			}
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil || len(frames) == 0 {
				t.Fatalf("%d frames, %v", len(frames), err)
			}
		}
	})
}

// BenchmarkFile reads a file of 60 MB from memory.
func BenchmarkFile(b *testing.B) {
	data := many(80_000)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		f, err := NewFile(bytes.NewReader(data), "x")
		for err == nil {
			_, err = f.Next()
		}
	}
}
