package dissect

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	kflate "github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zstd"
)

// noise is n random bytes.
func noise(n int) string {
	r := rand.New(rand.NewPCG(3, 4))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return string(b)
}

// zip codes s.
func zip(t testing.TB, coding, s string) string {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	var err error
	switch coding {
	case "gzip":
		w = gzip.NewWriter(&b)
	case "zlib":
		w = zlib.NewWriter(&b)
	case "raw":
		w, err = flate.NewWriter(&b, 6)
	case "br":
		w = brotli.NewWriter(&b)
	case "zstd":
		w, err = zstd.NewWriter(&b)
	}
	if err == nil {
		_, err = io.WriteString(w, s)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// prose is n bytes that compress like text does.
func prose(n int) string {
	r := rand.New(rand.NewPCG(1, 2))
	words := strings.Fields("the quick brown fox jumps over lazy dogs while seventeen zebras watch 12345 {\"key\": \"value\"} <div class=x>")
	var b strings.Builder
	for b.Len() < n {
		b.WriteString(words[r.IntN(len(words))])
		b.WriteByte(' ')
		if r.IntN(20) == 0 {
			fmt.Fprintf(&b, "%x\n", r.Uint64())
		}
	}
	return b.String()[:n]
}

func inflateAll(f *inflater, in []byte, size int) (out []byte, rest []byte, err error) {
	f.reset()
	for len(in) > 0 {
		n := min(size, len(in))
		piece := in[:n]
		in = in[n:]
		for {
			r, done, err := f.push(piece)
			out = append(out, f.out[f.from:f.pos]...)
			f.from = f.pos
			if err != nil || done {
				return out, append(bytes.Clone(r), in...), err
			}
			if len(r) == 0 && !f.full {
				break
			}
			piece = r
		}
	}
	return out, nil, nil
}

func TestInflate(t *testing.T) {
	f := new(inflater)
	for _, text := range []string{"", "a", prose(100), prose(300 << 10), strings.Repeat("a", 200<<10), noise(100 << 10)} {
		for level := -2; level <= 9; level++ {
			var b bytes.Buffer
			w, err := flate.NewWriter(&b, level)
			if err != nil {
				t.Fatal(err)
			}
			for i := 0; i < len(text); i += 50000 {
				io.WriteString(w, text[i:min(len(text), i+50000)])
				w.Flush()
			}
			w.Close()
			b.WriteString("trailer!")
			for _, size := range []int{1, 3, 1000, 1 << 20} {
				if size == 1 && len(text) > 1000 && level != 6 {
					continue
				}
				out, rest, err := inflateAll(f, b.Bytes(), size)
				if err != nil || string(out) != text || string(rest) != "trailer!" {
					t.Fatalf("level %d, %d bytes in pieces of %d: %d bytes, rest %q, %v", level, len(text), size, len(out), rest, err)
				}
			}
		}
	}
}

// FuzzInflate compares with another decoder: the same output, wherever the input is cut.
func FuzzInflate(f *testing.F) {
	for _, s := range []string{"", "hello hello hello", prose(3000)} {
		f.Add([]byte(zip(f, "raw", s)), uint8(1))
	}
	f.Add([]byte("\x05\xe0\x81\x08\x00\x00\x00\x00\x20\x7f\xeb\x0b\x00\x00"), uint8(1))
	mine := new(inflater)
	f.Fuzz(func(t *testing.T, in []byte, size uint8) {
		want, werr := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(in)), 8<<20))
		if len(want) >= 8<<20 {
			return
		}
		whole, _, err := inflateAll(mine, in, len(in)+1)
		pieces, _, perr := inflateAll(mine, in, int(size)+1)
		if !bytes.Equal(whole, pieces) || (err == nil) != (perr == nil) {
			t.Fatalf("whole %d bytes, %v; in pieces %d bytes, %v", len(whole), err, len(pieces), perr)
		}
		if werr == nil && (err != nil || !bytes.Equal(whole, want)) {
			t.Fatalf("got %d bytes, %v; want %d", len(whole), err, len(want))
		}
	})
}

func codedAnswer(names, body string) []turn {
	return []turn{
		{toS, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"},
		{toC, "HTTP/1.1 200 OK\r\nContent-Encoding: " + names + "\r\nContent-Length: " + fmt.Sprint(len(body)) + "\r\n\r\n" + body},
	}
}

func TestCodings(t *testing.T) {
	text := prose(70 << 10)
	for _, c := range []struct{ names, body string }{
		{"gzip", zip(t, "gzip", text)},
		{"x-gzip", zip(t, "gzip", text)},
		{"gzip", zip(t, "gzip", text[:100]) + zip(t, "gzip", text[100:])},
		{"deflate", zip(t, "zlib", text)},
		{"deflate", zip(t, "raw", text)},
		{"br", zip(t, "br", text)},
		{"zstd", zip(t, "zstd", text)},
		{"gzip, br", zip(t, "br", zip(t, "gzip", text))},
		{"zstd, gzip", zip(t, "gzip", zip(t, "zstd", text))},
		{"br, zstd, deflate", zip(t, "zlib", zip(t, "zstd", zip(t, "br", text)))},
		{"identity", text},
	} {
		for _, size := range []int{0, 1, 1448} {
			if size == 1 && len(c.body) > 40<<10 {
				continue
			}
			env := newEnv()
			e, err := play(t, env, codedAnswer(c.names, c.body), size)
			body := strings.Join(e.lines("http.response.body"), "")
			_, got, _ := strings.Cut(body, "/0 ")
			if err != nil || got != text || len(e.codes()) != 0 {
				t.Errorf("%s in pieces of %d: %d bytes, want %d; %v, notes %v", c.names, size, len(got), len(text), err, e.codes())
			}
			if env.decoders != 0 {
				t.Errorf("%s: %d decoders are not given back", c.names, env.decoders)
			}
		}
	}
}

// TestCodingsPlain: text that is said to be coded is found whole, whatever it begins with.
func TestCodingsPlain(t *testing.T) {
	for c := 1; c < 256; c++ {
		text := string([]byte{byte(c)}) + "ustomer 4000 0000, " + prose(20<<10)
		for _, name := range []string{"deflate", "gzip", "br", "zstd", "foo", "gzip, deflate"} {
			for _, size := range []int{0, 500} {
				env := newEnv()
				e, err := play(t, env, codedAnswer(name, text), size)
				body := strings.Join(e.lines("http.response.body"), "")
				want := text
				if name == "br" {
					want = text[8:] // brotli has no magic number: a text may be a header and stored bytes
				}
				if err != nil || !strings.Contains(body, want) {
					t.Fatalf("%q as %s in pieces of %d: %.60q of %d; %v %v", text[:10], name, size, body, len(body), err, e.codes())
				}
			}
		}
	}
}

// TestCodingsPrompt: what a piece of input decodes to is given out with that piece.
func TestCodingsPrompt(t *testing.T) {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	io.WriteString(w, "first half, ")
	w.Flush()
	n := b.Len()
	io.WriteString(w, "second half")
	w.Close()
	env := newEnv()
	d := HTTP.New(&HTTP, env)
	e := newHeard()
	d.Feed(toC, []byte("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n"), e.hear)
	d.Feed(toC, b.Bytes()[:n], e.hear)
	if got := strings.Join(e.lines("http.response.body"), ""); !strings.HasSuffix(got, "first half, ") {
		t.Errorf("after the first flush: %q", got)
	}
	d.Close(toC, e.hear)
}

func TestCodingsBroken(t *testing.T) {
	text := prose(20 << 10)
	gz := zip(t, "gzip", text)
	bomb := zip(t, "gzip", strings.Repeat("\x00", 40<<20))
	for _, c := range []struct {
		name, names, body, has, note string
	}{
		{"plain said to be gzip", "gzip", "plain text with a token", "plain text with a token", "http.coding_mismatch"},
		{"plain said to be deflate", "deflate", "plain text with a token", "plain text with a token", "http.coding_mismatch"},
		{"plain said to be br", "br", "<html>plain text with a token</html>", "plain text with a token", "http.coding_mismatch"},
		{"cut short", "gzip", gz[:len(gz)/2], text[:4000], "http.undecodable"},
		{"damaged", "gzip", gz[:len(gz)/2] + noise(20<<10) + "tail token", "tail token", "http.undecodable"},
		{"unknown", "lzma", "some token", "some token", "http.undecodable"},
		{"bomb", "gzip", bomb + "", "\x00\x00", "http.decode_budget"},
		{"more after the end", "gzip", gz + "after the end", "after the end", ""},
		{"zlib said to be gzip", "gzip", zip(t, "zlib", text), text, "http.coding_mismatch"},
	} {
		for _, size := range []int{0, 100} {
			env := newEnv()
			env.Limits.DecodeFree = 64 << 10
			e, err := play(t, env, codedAnswer(c.names, c.body), size)
			body := strings.Join(e.lines("http.response.body"), "")
			if err != nil || !strings.Contains(body, c.has) {
				t.Errorf("%s: not found in %d bytes; %v, notes %v", c.name, len(body), err, e.codes())
			}
			if notes := strings.Join(e.codes(), " "); c.note != "" && !strings.Contains(notes, c.note) {
				t.Errorf("%s: notes %s, want %s", c.name, notes, c.note)
			}
		}
	}
}

func BenchmarkInflate(b *testing.B) {
	text := prose(256 << 10)
	in := []byte(zip(b, "raw", text))
	b.Run("push", func(b *testing.B) {
		f := new(inflater)
		b.SetBytes(int64(len(text)))
		for b.Loop() {
			f.reset()
			rest := in
			for {
				r, done, err := f.push(rest)
				f.from = f.pos
				if err != nil {
					b.Fatal(err)
				}
				if done {
					break
				}
				rest = r
			}
		}
	})
	b.Run("pull", func(b *testing.B) {
		src := bytes.NewReader(in)
		r := kflate.NewReader(src)
		b.SetBytes(int64(len(text)))
		for b.Loop() {
			src.Reset(in)
			r.(kflate.Resetter).Reset(src, nil)
			io.Copy(io.Discard, r)
		}
	})
}

// BenchmarkCodings decodes an answer on a connection that is kept.
func BenchmarkCodings(b *testing.B) {
	for _, size := range []int{1 << 10, 64 << 10} {
		for _, c := range []string{"identity", "gzip", "br", "zstd"} {
			b.Run(fmt.Sprintf("%s/%d", c, size), func(b *testing.B) {
				text := prose(size)
				body := text
				if c != "identity" {
					body = zip(b, c, text)
				}
				f := exchange(b, wanted(httpResponseBody), codedAnswer(c, body)[1].data)
				b.ReportAllocs()
				b.SetBytes(int64(size))
				for b.Loop() {
					f()
				}
			})
		}
	}
}
