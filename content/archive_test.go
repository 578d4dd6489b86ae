package content

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"

	"weir/dissect"
)

// nest has the token in containers in each other.
var nest = map[string]func(t testing.TB) []byte{
	"zip":        func(t testing.TB) []byte { return zipOf(t, zip.Deflate, members(planted)) },
	"zip stored": func(t testing.TB) []byte { return zipOf(t, zip.Store, members(planted)) },
	"zip sized":  func(t testing.TB) []byte { return zipSized(t, members(planted)) },
	"tar":        func(t testing.TB) []byte { return tarOf(t, tar.FormatPAX, members(planted)) },
	"tar.gz":     func(t testing.TB) []byte { return gzipOf(tarOf(t, tar.FormatGNU, members(planted))) },
	"tar.zst":    func(t testing.TB) []byte { return zstdOf(tarOf(t, tar.FormatUSTAR, members(planted))) },
	"gzip":       func(testing.TB) []byte { return gzipOf([]byte(planted)) },
	"zlib":       func(testing.TB) []byte { return zlibOf([]byte(planted)) },
	"snappy":     func(testing.TB) []byte { return snappyOf([]byte(planted)) },
	"zip in zip": func(t testing.TB) []byte {
		return zipOf(t, zip.Deflate, map[string]string{"x.zip": string(zipOf(t, zip.Deflate, members(planted)))})
	},
	"zip in tar": func(t testing.TB) []byte {
		return tarOf(t, tar.FormatPAX, map[string]string{"x.zip": string(zipOf(t, zip.Store, members(planted)))})
	},
	"gzip thrice": func(testing.TB) []byte { return gzipOf(gzipOf(gzipOf([]byte(planted)))) },
	"base64 in gz": func(testing.TB) []byte {
		return gzipOf([]byte("a " + base64.StdEncoding.EncodeToString([]byte(planted)) + " b"))
	},
	"gz in base64": func(testing.TB) []byte {
		return []byte(`{"file":"` + base64.StdEncoding.EncodeToString(gzipOf([]byte(planted))) + `"}`)
	},
	"pdf": func(testing.TB) []byte {
		return pdfOf("", [2]string{"/Filter /FlateDecode", string(zlibOf([]byte("BT (" + planted + ") Tj ET")))})
	},
	"docx": func(t testing.TB) []byte {
		return zipOf(t, zip.Deflate, map[string]string{"[Content_Types].xml": `<?xml version="1.0"?><Types/>`,
			"word/document.xml": `<?xml version="1.0"?><w:document><w:p><w:r><w:t>` + planted[:9] + `</w:t></w:r><w:r><w:rPr/><w:t>` + planted[9:] + `</w:t></w:r></w:p></w:document>`})
	},
}

func members(text string) map[string]string {
	return map[string]string{"a/first.txt": sample(900), "b/second.txt": "before, " + text + " and after", "c/third.bin": strings.Repeat("\x00\x01", 300)}
}

func TestNested(t *testing.T) {
	for name, f := range nest {
		t.Run(name, func(t *testing.T) {
			value := f(t)
			whole, refused := open(t, value, len(value))
			if len(refused) > 0 {
				t.Errorf("not opened: %+v", refused)
			}
			if !slices.ContainsFunc(whole, func(s shown) bool { return bytes.Contains(s.text, []byte(planted)) }) {
				t.Fatalf("not found:\n%.2000s", texts(whole))
			}
			for _, n := range []int{1, 3, 100, 511, 4096} {
				got, _ := open(t, value, n)
				if g, w := texts(got), texts(whole); g != w {
					t.Fatalf("in pieces of %d bytes:\n%.2000s\nwhole:\n%.2000s", n, g, w)
				}
			}
		})
	}
}

// TestSource: what stands in a container just as it is has its place there, so that it is one finding with what is found in the value itself.
func TestSource(t *testing.T) {
	for _, name := range []string{"zip stored", "zip sized", "tar", "zip in tar"} {
		value := nest[name](t)
		views, _ := open(t, value, 1000)
		n := 0
		for _, s := range views {
			if i := bytes.Index(s.text, []byte(planted)); i >= 0 {
				n++
				if from := s.from[i]; from < 0 || from > int64(len(value)) || !bytes.HasPrefix(value[from:], []byte(planted)) {
					t.Errorf("%s: said to stand at %d of %d", name, from, len(value))
				}
			}
		}
		if n == 0 {
			t.Errorf("%s: not found", name)
		}
	}
	// Without a place, members of different containers have places that are not the same.
	value := zipOf(t, zip.Store, map[string]string{"a.gz": string(gzipOf([]byte(planted))), "b.gz": string(gzipOf([]byte(planted)))})
	views, _ := open(t, value, len(value))
	var places []int64
	for _, s := range views {
		for i := 0; ; i++ {
			k := bytes.Index(s.text[i:], []byte(planted))
			if k < 0 {
				break
			}
			i += k
			places = append(places, s.from[i])
		}
	}
	if len(places) != 2 || places[0] == places[1] || places[0] < placeless {
		t.Errorf("places %v", places)
	}
}

// TestRefused: what cannot be looked into is told, and why.
func TestRefused(t *testing.T) {
	encrypted := zipOf(t, zip.Deflate, members("x"))
	for at := 0; ; {
		i := bytes.Index(encrypted[at:], []byte(zipLocal))
		if i < 0 {
			break
		}
		encrypted[at+i+6] |= zipEncrypted
		at += i + 4
	}
	other := zipSized(t, members("x"))
	other[8] = 98 // PPMd
	deep := []byte(planted)
	for range 9 {
		deep = gzipOf(deep)
	}
	broken := gzipOf([]byte(sample(100_000)))
	for i := 2000; i < 3000; i++ {
		broken[i] ^= 0x55
	}
	for name, c := range map[string]struct {
		value      []byte
		code, form string
		bytes      int
	}{
		"zip":     {encrypted, "content.encrypted", "zip", 0},
		"method":  {other, "content.unknown_form", "zip", 900},
		"7z":      {[]byte("7z\xbc\xaf\x27\x1c" + sample(994)), "content.unknown_form", "7z", 1000},
		"rar":     {[]byte("Rar!\x1a\x07\x01\x00" + sample(992)), "content.unknown_form", "rar", 1000},
		"openssl": {[]byte("Salted__" + sample(992)), "content.encrypted", "openssl", 1000},
		"ole":     {[]byte("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + sample(992) + "E\x00n\x00c\x00r\x00y\x00p\x00t\x00e\x00d\x00P\x00a\x00c\x00k\x00a\x00g\x00e\x00" + sample(100)), "content.encrypted", "ole", 132},
		"pdf":     {pdfOf("/Encrypt 9 0 R", [2]string{"", "x"}), "content.encrypted", "pdf", 0},
		"deep":    {deep, "content.depth", "", 0},
		"broken":  {broken, "content.broken", "gzip", 0},
		"in zip":  {zipSized(t, map[string]string{"x.7z": "7z\xbc\xaf\x27\x1c" + sample(994)}), "content.unknown_form", "7z", 1000},
	} {
		for _, n := range []int{len(c.value), 700} {
			var codes []string
			size, form := 0, ""
			_, refused := open(t, c.value, n)
			for _, r := range refused {
				codes = append(codes, r.Code)
				size += r.Bytes
				form = r.Form
			}
			if len(codes) == 0 || codes[0] != c.code || form != c.form || c.bytes > 0 && size != c.bytes {
				t.Errorf("%s: got %v %s of %d bytes, want %s %s %d", name, codes, form, size, c.code, c.form, c.bytes)
			}
		}
	}
	for name, text := range map[string]string{"zlib": "x\x9c is no zlib, it is " + sample(200), "bzip2": "BZh9 " + sample(100), "text": "7z is an archive " + sample(100), "power": "x^2 + y^2 = 1" + sample(100)} {
		if _, refused := open(t, []byte(text), len(text)); len(refused) > 0 {
			t.Errorf("%s: refused %+v", name, refused)
		}
	}
}

// TestBombs: whatever a value would become, what is made of it is bounded: bytes that come out of all containers, and containers.
func TestBombs(t *testing.T) {
	zeros := make([]byte, 20<<20)
	once := gzipOf(zeros)
	wide := map[string]string{}
	for i := range 3000 {
		wide[fmt.Sprintf("%d.gz", i)] = string(gzipOf(make([]byte, 30<<10)))
	}
	for name, value := range map[string][]byte{
		"zeros":    once,
		"again":    gzipOf(once),
		"zip":      zipOf(t, zip.Deflate, map[string]string{"a": string(zeros), "b": string(zeros)}),
		"zstd":     zstdOf(zeros),
		"wide":     zipOf(t, zip.Store, wide),
		"overlaps": overlapping(t, 200, 2<<20),
		"quine":    quine,
	} {
		o := New(dissect.DefaultLimits)
		var st State
		wants := make(dissect.Wants, len(dissect.FieldNames))
		for i := range wants {
			wants[i] = true
		}
		given, most := 0, 0
		codes := map[string]bool{}
		for at := 0; at < len(value); at += 8 << 10 {
			end := min(at+8<<10, len(value))
			m := dissect.Message{Protocol: &dissect.Raw, ID: 1, End: end == len(value),
				Parts: []dissect.Part{{Field: dissect.RawBytes, Off: int64(at), Bytes: value[at:end], More: end < len(value)}}}
			o.Open(&st, &m, wants, func(m *dissect.Message) { given += len(m.Parts[0].Bytes) })
			most = max(most, st.Size())
			for _, r := range o.Refused() {
				codes[r.Code] = true
			}
		}
		l := dissect.DefaultLimits
		if limit := min(l.DecodeMax, max(l.DecodeFree, len(value)*l.DecodeRatio)) + outputBuffer; given > limit || most > 2<<20 || o.Count.Opened > 4000 || !st.Empty() {
			t.Errorf("%s: %d bytes became %d, more than %d; %d bytes were held, %d containers opened", name, len(value), given, limit, most, o.Count.Opened)
		}
		if len(codes) == 0 {
			t.Errorf("%s: nothing was told", name)
		}
		t.Logf("%s: %d bytes, %d came out, %d held, %d opened, %v", name, len(value), given, most, o.Count.Opened, codes)
	}
}

// overlapping is an archive of n members over each other, each of which quotes the headers of those behind it and ends with the same data: D. Fifield,
// "A better zip bomb".
func overlapping(t testing.TB, n, size int) []byte {
	t.Helper()
	one := zipOf(t, zip.Deflate, map[string]string{"0": string(make([]byte, size))})
	data := one[zipLocalSize+1 : bytes.Index(one, []byte(zipDescriptor))]
	header := func(name string, size int) []byte {
		h := append([]byte(zipLocal), make([]byte, zipLocalSize-4)...)
		h[4], h[8], h[26] = 20, zipDeflate, byte(len(name))
		h[18], h[19], h[20] = byte(size), byte(size>>8), byte(size>>16)
		return append(h, name...)
	}
	file := data
	for i := n; i > 0; i-- {
		h := header(fmt.Sprint(i), len(file))
		file = append(h, file...)
		if i > 1 {
			k := byte(len(h))
			file = append([]byte{0, k, 0, ^k, 0xff}, file...)
		}
	}
	return append(file, zipEnd+strings.Repeat("\x00", zipEndSize-4)...)
}
