package content

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
)

// fuzzReader checks a reader: whatever comes, it ends without a panic, and gives the same however its input is cut.
func fuzzReader(f *testing.F, read reader, seeds ...[]byte) {
	for _, s := range seeds {
		f.Add(s, 3)
	}
	f.Fuzz(func(t *testing.T, b []byte, n int) {
		if len(b) > 1<<14 {
			return
		}
		whole := readBounded(t, read, b, len(b)+1)
		if got := readBounded(t, read, b, 1+(n&0x7fffffff)%(len(b)+1)); got != whole {
			t.Fatalf("in pieces:\n%.500s\nwhole:\n%.500s", got, whole)
		}
	})
}

// readBounded reads with a reader up to a number of bytes.
func readBounded(t *testing.T, read reader, b []byte, n int) string {
	t.Helper()
	const most = 1 << 20
	r := newReading(&form{read: read})
	defer r.free()
	var out bytes.Buffer
	for at := 0; at <= len(b); at += n {
		end := min(at+n, len(b))
		r.feed(b[at:end], end == len(b))
		for c := r.more(); c != nil; c = r.more() {
			if c.first {
				fmt.Fprintf(&out, "\n%q:", c.name)
			}
			out.Write(c.bytes[:min(len(c.bytes), most-min(most, out.Len()))])
			if c.fault != noFault {
				fmt.Fprintf(&out, "<%d>", c.fault)
			}
			if out.Len() >= most {
				return out.String()[:most]
			}
		}
		if end == len(b) {
			break
		}
	}
	return out.String()
}

func FuzzZip(f *testing.F) {
	fuzzReader(f, readZip, zipOf(f, zip.Deflate, members("x")), zipOf(f, zip.Store, members("x")), zipSized(f, members("x")), quine, overlapping(f, 5, 1000))
}

func FuzzTar(f *testing.F) {
	fuzzReader(f, readTar, tarOf(f, tar.FormatPAX, members("x")), tarOf(f, tar.FormatGNU, members("x")))
}

func FuzzPDF(f *testing.F) {
	fuzzReader(f, readPDF, pdfOf("", [2]string{"/Filter /FlateDecode", string(zlibOf([]byte(pdfPage)))}, [2]string{"", pdfPage}), pdfOf("/Encrypt 1 0 R"))
}

func FuzzMarkup(f *testing.F) {
	fuzzReader(f, readMarkup, []byte(`<?xml version="1.0"?><w:p><w:r><w:t>a&amp;b</w:t></w:r><!-- c --><![CDATA[d]]></w:p>`))
}

func FuzzLZMA(f *testing.F) {
	fuzzReader(f, readXZ, []byte("\xfd7zXZ\x00\x00\x01"))
}

func FuzzLZ4(f *testing.F) {
	fuzzReader(f, readLZ4, []byte("\x04\x22\x4d\x18\x60\x40\x82\x05\x00\x00\x00\x30abc\x01\x00\x00\x00\x00\x00"))
}

// FuzzDocument opens whole values: office documents, and all that is in them.
func FuzzDocument(f *testing.F) {
	f.Add(nest["docx"](f), 5)
	f.Add(nest["zip in zip"](f), 700)
	f.Add([]byte("id,card\n1,4111\n"), 2)
	f.Fuzz(func(t *testing.T, b []byte, n int) {
		if len(b) > 1<<14 || len(b) < least {
			return
		}
		whole, _ := open(t, b, len(b))
		if got, _ := open(t, b, 1+(n&0x7fffffff)%len(b)); texts(got) != texts(whole) {
			t.Fatalf("in pieces:\n%.500s\nwhole:\n%.500s", texts(got), texts(whole))
		}
	})
}

// FuzzTarAgainst compares with archive/tar, where that reads an archive to its end.
func FuzzTarAgainst(f *testing.F) {
	f.Add(tarOf(f, tar.FormatPAX, members("x")))
	f.Add(tarOf(f, tar.FormatGNU, map[string]string{"a": "", "b": sample(700)}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<14 {
			return
		}
		want := map[string]bool{}
		r := tar.NewReader(bytes.NewReader(b))
		for {
			h, err := r.Next()
			if err == io.EOF {
				break
			}
			if err != nil || h.Typeflag == tar.TypeGNUSparse || h.PAXRecords["GNU.sparse.major"] != "" || h.PAXRecords["GNU.sparse.map"] != "" {
				return
			}
			text, err := io.ReadAll(r)
			if err != nil {
				return
			}
			want[string(text)] = true
		}
		for _, s := range readAll(t, readTar, b, len(b)+1) {
			delete(want, s.text)
		}
		if delete(want, ""); len(want) > 0 {
			t.Fatalf("%d members are missing", len(want))
		}
	})
}

// FuzzZipAgainst compares with what archive/zip was given to write.
func FuzzZipAgainst(f *testing.F) {
	f.Add([]byte("a text"), "name", []byte("another"), uint8(0))
	f.Add([]byte("PK\x03\x04 PK\x07\x08"), "x", []byte("PK\x01\x02"), uint8(1))
	f.Fuzz(func(t *testing.T, a []byte, name string, b []byte, how uint8) {
		if len(a)+len(b) > 1<<14 || len(name) > 1000 || strings.HasSuffix(name, "/") { // that would be a folder: archive/zip writes no text of it
			return
		}
		m := map[string]string{"0" + name: string(a), "1": string(b)}
		var file []byte
		switch how % 3 {
		case 0:
			file = zipOf(t, zip.Deflate, m)
		case 1:
			file = zipOf(t, zip.Store, m)
		default:
			file = zipSized(t, m)
		}
		got := readAll(t, readZip, file, len(file))
		if len(got) != 2 || got[0].text != string(a) || got[1].text != string(b) {
			t.Fatalf("%d members, %.300s", len(got), fmt.Sprint(got))
		}
	})
}
