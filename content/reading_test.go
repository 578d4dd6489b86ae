package content

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
)

// stream is what a reader gave of one stream.
type stream struct {
	name  string
	text  string
	fault fault
	whole bool
}

// readAll gives content to a reader in pieces of a size, and checks that what is said to stand in the input does.
func readAll(t testing.TB, read reader, content []byte, size int) (out []stream) {
	t.Helper()
	r := newReading(&form{read: read})
	defer r.free()
	var delta *int64
	for at := 0; at <= len(content); at += size {
		end := min(at+size, len(content))
		b := bytes.Clone(content[at:end])
		r.feed(b, end == len(content))
		for p := r.more(); p != nil; p = r.more() {
			if p.first {
				delta = nil
				out = append(out, stream{name: p.name})
			}
			if p.fault != noFault {
				if len(out) == 0 {
					out = append(out, stream{})
				}
				out[len(out)-1].fault = p.fault
			}
			if len(p.bytes) > 0 {
				s := &out[len(out)-1]
				s.text += string(p.bytes)
				delta = checkSource(t, content, p, delta)
			}
			if p.last {
				out[len(out)-1].whole = true
			}
		}
		clear(b)
		if end == len(content) {
			break
		}
	}
	return out
}

// checkSource checks that what is said to stand in the input does, all but what is not alike in the two: line ends that a reader made, say.
func checkSource(t testing.TB, content []byte, p *chunk, delta *int64) *int64 {
	t.Helper()
	shifts := p.shifts
	for i, c := range p.bytes {
		off := p.off + int64(i)
		for len(shifts) > 0 && shifts[0].At <= off {
			delta, shifts = &shifts[0].Delta, shifts[1:]
		}
		if delta == nil || c == '\n' || c == '\t' || c == ' ' {
			continue
		}
		if at := off + *delta; at < 0 || at >= int64(len(content)) || content[at] != c && content[at] != '&' && content[at] != '\\' {
			t.Fatalf("%q at %d of a stream is said to stand at %d of its source", c, off, at)
		}
	}
	if delta != nil {
		d := *delta
		delta = &d
	}
	return delta
}

// sameInPieces checks that what a reader gives does not depend on how its input is cut, and returns it.
func sameInPieces(t testing.TB, read reader, content []byte) []stream {
	t.Helper()
	whole := readAll(t, read, content, max(1, len(content)))
	for _, size := range []int{1, 7, 1000, 4096, 5000} {
		if size < 10 && len(content) > 30_000 {
			continue
		}
		if got := readAll(t, read, content, size); fmt.Sprint(got) != fmt.Sprint(whole) {
			t.Fatalf("in pieces of %d bytes: got %d streams, whole %d: %.300s, %.300s", size, len(got), len(whole), fmt.Sprint(got), fmt.Sprint(whole))
		}
	}
	return whole
}

// sample is text that compresses, and has no period.
func sample(n int) string {
	var b strings.Builder
	r := rand.New(rand.NewPCG(1, uint64(n)))
	for b.Len() < n {
		fmt.Fprintf(&b, "line %d of %x: what is here is told, and what is told is here\n", r.IntN(1000), r.Uint32())
	}
	return b.String()[:n]
}

var samples = map[string]string{"empty.txt": "", "one.txt": "1", "short.txt": "a short text", "dir/block.txt": sample(512), "long/text.txt": sample(70_000)}

func zipOf(t testing.TB, method uint16, members map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, name := range sortedKeys(members) {
		f, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: method})
		if err != nil {
			t.Fatal(err)
		}
		f.Write([]byte(members[name]))
	}
	w.Close()
	return b.Bytes()
}

// zipSized is an archive whose local headers have the sizes.
func zipSized(t testing.TB, members map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, name := range sortedKeys(members) {
		f, err := w.CreateRaw(&zip.FileHeader{Name: name, CRC32: crc32.ChecksumIEEE([]byte(members[name])),
			CompressedSize64: uint64(len(members[name])), UncompressedSize64: uint64(len(members[name]))})
		if err != nil {
			t.Fatal(err)
		}
		f.Write([]byte(members[name]))
	}
	w.Close()
	return b.Bytes()
}

func tarOf(t testing.TB, format tar.Format, members map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range sortedKeys(members) {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(members[name])), Format: format}); err != nil {
			t.Fatal(err)
		}
		w.Write([]byte(members[name]))
	}
	w.Close()
	return b.Bytes()
}

func gzipOf(b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	w.Name = "inner.txt"
	w.Write(b)
	w.Close()
	return out.Bytes()
}

func zlibOf(b []byte) []byte {
	var out bytes.Buffer
	w := zlib.NewWriter(&out)
	w.Write(b)
	w.Close()
	return out.Bytes()
}

func zstdOf(b []byte) []byte {
	w, _ := zstd.NewWriter(nil)
	return w.EncodeAll(b, nil)
}

func snappyOf(b []byte) []byte {
	var out bytes.Buffer
	w := s2.NewWriter(&out, s2.WriterSnappyCompat())
	w.Write(b)
	w.Close()
	return out.Bytes()
}

// checkMembers compares what was read with what was written.
func checkMembers(t *testing.T, got []stream, want map[string]string) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%d streams, want %d", len(got), len(want))
	}
	for _, s := range got {
		if w, ok := want[s.name]; !ok || s.text != w || !s.whole || s.fault != noFault {
			t.Errorf("%q: %d bytes, whole %v, fault %d; want %d", s.name, len(s.text), s.whole, s.fault, len(w))
		}
	}
}

func TestZip(t *testing.T) {
	long := map[string]string{strings.Repeat("folder/", 200) + "file": "content"}
	for name, b := range map[string][]byte{
		"deflate": zipOf(t, zip.Deflate, samples), "stored": zipOf(t, zip.Store, samples), "sized": zipSized(t, samples),
		"two": append(zipOf(t, zip.Deflate, map[string]string{"one.txt": "1"}), zipSized(t, map[string]string{"short.txt": "a short text"})...),
	} {
		t.Run(name, func(t *testing.T) {
			want := samples
			if name == "two" {
				want = map[string]string{"one.txt": "1", "short.txt": "a short text"}
			}
			checkMembers(t, sameInPieces(t, readZip, b), want)
		})
	}
	checkMembers(t, sameInPieces(t, readZip, zipOf(t, zip.Deflate, long)), long)
	inner := map[string]string{"inner.zip": string(zipOf(t, zip.Store, samples)), "after": "it"}
	checkMembers(t, sameInPieces(t, readZip, zipOf(t, zip.Store, inner)), inner)
}

func TestTar(t *testing.T) {
	members := map[string]string{strings.Repeat("long/", 60) + "name": sample(5000), "ümlaut": "x"}
	for k, v := range samples {
		members[k] = v
	}
	for _, format := range []tar.Format{tar.FormatPAX, tar.FormatGNU} {
		checkMembers(t, sameInPieces(t, readTar, tarOf(t, format, members)), members)
	}
	checkMembers(t, sameInPieces(t, readTar, tarOf(t, tar.FormatUSTAR, samples)), samples)
}

func TestCompressed(t *testing.T) {
	for _, n := range []int{0, 1, 12, 512, 70_000} {
		text := []byte(sample(n))
		for name, f := range map[string]struct {
			read reader
			b    []byte
		}{
			"gzip": {readGzip, gzipOf(text)}, "zlib": {readZlib, zlibOf(text)}, "zstd": {readZstd, zstdOf(text)}, "snappy": {readSnappy, snappyOf(text)},
		} {
			if n == 0 && (name == "zstd" || name == "snappy") {
				continue // nothing at all is written
			}
			got := sameInPieces(t, f.read, f.b)
			if is, _ := formOf(f.b, false, true); is == nil || is.name != name || len(got) != 1 || got[0].text != string(text) || !got[0].whole || got[0].fault != noFault {
				t.Errorf("%s of %d bytes: %v, %.200s", name, n, is, fmt.Sprint(got))
			}
		}
	}
	two := append(gzipOf([]byte("one,")), gzipOf([]byte("two"))...)
	if got := sameInPieces(t, readGzip, two); len(got) != 1 || got[0].text != "one,two" {
		t.Errorf("two members: %v", got)
	}
}

func sortedKeys(m map[string]string) (keys []string) {
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
