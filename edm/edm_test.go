package edm

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var testKey = Key(strings.Repeat("a key for tests ", 2))

// build makes a set of a CSV, in the test's folder.
func build(t testing.TB, text string, columns ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "set.edm")
	if _, err := Build(t.Context(), strings.NewReader(text), path, Options{Columns: columns, Key: testKey}); err != nil {
		t.Fatal(err)
	}
	return path
}

func openSet(t testing.TB, path string) *Set {
	t.Helper()
	s, err := Open(path, testKey)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

const people = `id,name,email,phone,iban
1,Ann-Marie van Dyke,ann.marie@shop.example,+49 170 1234567,DE12 5001 0517 0648 4898 90
2,José Müller,jose@mail.example,0171-7654321,
3,Li,"li@mail.example",,"FR76 3000 6000 0112 3456 7890 189"
`

// found lists what a Finder finds: column=text, in order.
func found(s *Set, f *Finder, text string) (out []string) {
	s.Find(f, []byte(text), 0, 0, true)
	for _, v := range f.Values {
		out = append(out, s.Columns()[v.Column]+"="+text[v.Start:v.End])
	}
	return out
}

func TestFind(t *testing.T) {
	s := openSet(t, build(t, people, "name", "email", "phone", "iban"))
	var f Finder
	for _, c := range []struct {
		text string
		want []string
	}{
		{`{"name":"Ann-Marie van Dyke","mail":"ann.marie@shop.example"}`, []string{"name=Ann-Marie van Dyke", "email=ann.marie@shop.example"}},
		{"ANN MARIE VAN DYKE", []string{"name=ANN MARIE VAN DYKE"}},
		{"annmarie van-dyke.", []string{"name=annmarie van-dyke"}},
		{"Annmarievandyke", []string{"name=Annmarievandyke"}},
		{"Ann-Marie\nvan Dyke", nil},
		{"Ann, Marie van Dykes", nil},
		{"xAnn-Marie van Dyke", nil},
		{"+49 (170) 12 34 567 and 491701234567", []string{"phone=49 (170) 12 34 567", "phone=491701234567"}},
		{"+49 (170) -- 1234567", nil},
		{"de12500105170648489890", []string{"iban=de12500105170648489890"}},
		{"DE12-5001-0517-0648-4898-90", []string{"iban=DE12-5001-0517-0648-4898-90"}},
		{"to JOSE@MAIL.EXAMPLE>", []string{"email=JOSE@MAIL.EXAMPLE"}},
		{"jose @mail.example", nil},
		{"josemail.example", nil},
		{"Jose\u0301 MU\u0308LLER", []string{"name=Jose\u0301 MU\u0308LLER"}},
		{"José Müller, José Müllers", []string{"name=José Müller"}},
		{"０１７１７６５４３２１", []string{"phone=０１７１７６５４３２１"}},
		{"0\u200b1\u200b7\u200b1\u200b7654321", []string{"phone=0\u200b1\u200b7\u200b1\u200b7654321"}},
		{"Li, li@mail.example", []string{"name=Li", "name=li", "email=li@mail.example"}},
		{"Straße \xff Li\xff", []string{"name=Li"}},
	} {
		if got := found(s, &f, c.text); !slices.Equal(got, c.want) {
			t.Errorf("%q: %q, want %q", c.text, got, c.want)
		}
	}
}

// TestFindModel compares with a model that tries all stretches of words, on texts of values, pieces of them and other words, in one piece and cut
// anywhere.
func TestFindModel(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	words := []string{"ann", "Marie", "VAN", "dyke", "li", "x", "42", "4711", "0815", "a1b2", "müller", "Ünal", "ﬁn", "٣٤", "mail", "example", "4"}
	seps := []string{" ", "-", ".", "@", "", ", ", " / ", "\u00a0", "\u200b", "\"", "\n", " @", "&", "    ", "_", "\xc3", "="}
	phrase := func(most int) string {
		var b strings.Builder
		for i := range 1 + r.IntN(most) {
			if i > 0 {
				b.WriteString(seps[r.IntN(9)])
			}
			b.WriteString(words[r.IntN(len(words))])
		}
		return b.String()
	}
	for range 60 {
		var in bytes.Buffer
		w := csv.NewWriter(&in)
		_ = w.Write([]string{"a", "b"})
		var values []string
		for range 1 + r.IntN(30) {
			row := []string{phrase(5), phrase(3)}
			values = append(values, row...)
			_ = w.Write(row)
		}
		w.Flush()
		path := filepath.Join(t.TempDir(), "set.edm")
		if _, err := Build(t.Context(), &in, path, Options{Columns: []string{"a", "b"}, Key: testKey, sortRun: 1 + r.IntN(20)}); err != nil {
			var none *CSVError
			if errors.As(err, &none) {
				continue // no value that can be found
			}
			t.Fatal(err)
		}
		s := openSet(t, path)
		for range 20 {
			var text strings.Builder
			for range r.IntN(12) {
				switch r.IntN(3) {
				case 0:
					text.WriteString(values[r.IntN(len(values))])
				case 1:
					text.WriteString(phrase(4))
				}
				text.WriteString(seps[r.IntN(len(seps))])
			}
			want := model(values, s, text.String())
			for range 3 {
				if got := inPieces(s, text.String(), r); !slices.Equal(got, want) {
					t.Fatalf("%q in %q: %q, want %q", text.String(), values, got, want)
				}
			}
		}
		s.Close()
	}
}

// model lists the values in a text: from, to, column, rows. values are those of both columns in turn.
func model(values []string, s *Set, text string) (out []string) {
	rows := map[string]string{}
	for i, v := range values {
		if form, sh := normal(nil, []byte(v), new([]byte)); cannot(sh, form, v) == "" {
			rows[fmt.Sprint(i%2, string(form))] += fmt.Sprint(" ", i/2)
		}
	}
	var starts, ends []int
	for i := 0; i < len(text); {
		class, n := classAt([]byte(text[i:]))
		if class == digit || class == letter {
			starts = append(starts, i)
			i = wordEnd([]byte(text), i)
			ends = append(ends, i)
			continue
		}
		i += n
	}
	for j := range ends {
		for i := range j + 1 {
			form, sh := normal(nil, []byte(text[starts[i]:ends[j]]), new([]byte))
			if sh.hard || sh.words > int(s.most[sh.kind]) || len(form) > MaxValue || ends[j]-starts[i] > MaxRaw {
				continue
			}
			for c := range 2 {
				if in, ok := rows[fmt.Sprint(c, string(form))]; ok {
					out = append(out, fmt.Sprint(starts[i], ends[j], c, in))
				}
			}
		}
	}
	return out
}

// inPieces finds in a text that comes in pieces, of which no more is kept than a Finder asks for.
func inPieces(s *Set, text string, r *rand.Rand) (out []string) {
	var f Finder
	base, from, done := 0, 0, 0
	for end := 0; ; {
		more := r.IntN(20)
		final := end+more >= len(text)
		end = min(end+more, len(text))
		from, done = s.Find(&f, []byte(text[base:end]), from, done, final)
		for _, v := range f.Values {
			in := ""
			for i := range v.Rows.Len() {
				in += fmt.Sprint(" ", s.Row(v.Rows, i))
			}
			out = append(out, fmt.Sprint(base+v.Start, base+v.End, v.Column, in))
		}
		if final {
			return out
		}
		cut := max(0, min(from-8, end-base-MaxRaw))
		base, from, done = base+cut, from-cut, done-cut
	}
}

// TestNothingIsInTheFile looks for values, and for what anybody could make of them, in a set.
func TestNothingIsInTheFile(t *testing.T) {
	path := build(t, people, "name", "email", "phone", "iban")
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if fi, _ := os.Stat(path); fi.Mode().Perm() != 0o600 {
		t.Errorf("mode %o", fi.Mode().Perm())
	}
	rows, _ := csv.NewReader(strings.NewReader(people)).ReadAll()
	for _, row := range rows[1:] {
		for i, v := range row[1:] {
			form, _ := normal(nil, []byte(v), new([]byte))
			for _, text := range []string{v, string(form), rows[0][i+1] + string(form)} {
				if len(text) < 4 || v == "" {
					continue
				}
				b := []byte(text)
				h256, h1, h5 := sha256.Sum256(b), sha1.Sum(b), md5.Sum(b)
				crc := le.AppendUint32(nil, crc32.ChecksumIEEE(b))
				for what, bare := range map[string][]byte{"value": b, "SHA-256": h256[:8], "SHA-1": h1[:8], "MD5": h5[:8],
					"hex": []byte(hex.EncodeToString(h256[:8])), "base64": []byte(base64.StdEncoding.EncodeToString(b)), "CRC": crc} {
					if bytes.Contains(bytes.ToLower(file), bytes.ToLower(bare)) && what != "CRC" || bytes.Contains(file, bare) {
						t.Errorf("the file holds a %s", what)
					}
				}
				// Entries are not aligned to bytes: the bits themselves.
				s := openSet(t, path)
				for i := range uint32(s.cells) {
					rest, _ := s.entry(i)
					if bare := be64(h256[:]) & (1<<(tokenBits-s.bucketBits) - 1); rest == bare {
						t.Errorf("entry %d is a bare SHA-256", i)
					}
				}
			}
		}
	}
	left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".*"))
	if len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func be64(b []byte) (v uint64) {
	for _, c := range b[:8] {
		v = v<<8 | uint64(c)
	}
	return v
}

// TestSalt: the same table and key give another file each time, and the same answers.
func TestSalt(t *testing.T) {
	a, _ := os.ReadFile(build(t, people, "name"))
	b, _ := os.ReadFile(build(t, people, "name"))
	if len(a) != len(b) || bytes.Equal(a[headerSize:], b[headerSize:]) {
		t.Error("two builds of one table should differ in all their tokens")
	}
}

func TestWrongKey(t *testing.T) {
	path := build(t, people, "name", "email")
	other := Key(strings.Repeat("a key for tests.", 2))
	if _, err := Open(path, other); !errors.Is(err, ErrKey) {
		t.Errorf("%v, want %v", err, ErrKey)
	}
	// Nor does a set match whose header is believed under another key.
	s := openSet(t, path)
	k, err := derive(other, s.salt[:])
	if err != nil {
		t.Fatal(err)
	}
	s.keys = k
	var f Finder
	if got := found(s, &f, people); got != nil {
		t.Errorf("found with another key: %d", len(got))
	}
}

// TestDamage changes and cuts a set everywhere.
func TestDamage(t *testing.T) {
	path := build(t, people, "name", "email")
	file, _ := os.ReadFile(path)
	try := func(b []byte) error {
		p := filepath.Join(t.TempDir(), "x.edm")
		if err := os.WriteFile(p, b, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(p, testKey)
		if s != nil {
			s.Close()
		}
		os.Remove(p)
		return err
	}
	if err := try(file); err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(file); i++ {
		if i > 400 && i < atSeal-8 {
			continue // nothing is there: the seal covers it all the same
		}
		b := bytes.Clone(file)
		b[i] ^= 1 << (i & 7)
		if err := try(b); !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrKey) && !errors.Is(err, ErrFormat) {
			t.Errorf("byte %d changed: %v", i, err)
		}
	}
	for _, n := range []int{0, 1, 7, 8, 100, headerSize - 1, headerSize, headerSize + 1, len(file) - 1} {
		if err := try(file[:n]); !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrFormat) {
			t.Errorf("cut to %d: %v", n, err)
		}
	}
	if err := try(append(bytes.Clone(file), 0)); !errors.Is(err, ErrCorrupt) {
		t.Errorf("longer: %v", err)
	}
}

// TestCutWhileMapped: who cuts the file under a reader gets an error, not the end of the program.
func TestCutWhileMapped(t *testing.T) {
	path := build(t, people, "name", "email")
	s := openSet(t, path)
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	var f Finder
	err := Guard(func() error {
		s.Find(&f, []byte(people), 0, 0, true)
		return nil
	})
	if !errors.Is(err, ErrCorrupt) {
		t.Errorf("%v, want %v", err, ErrCorrupt)
	}
}

func TestBuildErrors(t *testing.T) {
	secret := "S3CRETVALUE"
	for _, c := range []struct{ csv, columns, want string }{
		{"", "a", "line 1: the file is empty"},
		{"a,b\n", "a", "line 1: there is no row with a value"},
		{"a,b\n,x\n", "a", "line 1: there is no row with a value"},
		{secret + "," + secret + "1\n", secret + "2", `line 1: no column is called "` + secret + `2": the first line must name the 2 columns`},
		{"a,b\n1,2\n" + secret + "\n", "a", "line 3: it has another number of columns than the first line"},
		{"a,b\n1,2\n1," + secret + "\xff\n", "b", `line 3: column "b": this is not UTF-8 (convert the file, as with iconv)`},
		{"a,b\n1,\"" + secret + "\n", "a", `line 2: column`},
		{"a,b\n1," + secret + "\"\n", "a", `line 2: column`},
		{"a,b\n11,2\n1,\"" + strings.Repeat(secret+"\n", maxRecord/8) + "\n", "a", "line 3: a record is longer than 1048576 bytes: is a quote not closed?"},
	} {
		path := filepath.Join(t.TempDir(), "set.edm")
		_, err := Build(t.Context(), strings.NewReader(c.csv), path, Options{Columns: []string{c.columns}, Key: testKey})
		var where *CSVError
		if !errors.As(err, &where) || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%v, want %s", err, c.want)
		} else if c.columns[0] != secret[0] && strings.Contains(err.Error(), secret) {
			t.Error("the error shows a value")
		}
		if files, _ := os.ReadDir(filepath.Dir(path)); len(files) > 0 {
			t.Errorf("left behind: %v", files)
		}
	}
}

// TestBuildKeeps: a build that fails leaves the set as it was.
func TestBuildKeeps(t *testing.T) {
	path := build(t, people, "name")
	before, _ := os.ReadFile(path)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Build(ctx, strings.NewReader(people), path, Options{Columns: []string{"email"}, Key: testKey}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
		t.Error("the set was changed")
	}
}

func TestLeftOut(t *testing.T) {
	in := "name,sex\nA & B,m\nLi,f\na b c d e f g h i,m\n" + strings.Repeat("x", 200) + ",f\nB & C,\n"
	path := filepath.Join(t.TempDir(), "set.edm")
	got, err := Build(t.Context(), strings.NewReader("\xef\xbb\xbf"+in), path, Options{Columns: []string{"name", "sex"}, Key: testKey})
	if err != nil {
		t.Fatal(err)
	}
	want := []LeftOut{
		{"name", "what stands between the words would end a value in a text", 2, 2},
		{"sex", "a single character stands everywhere", 4, 2},
		{"name", "more than 8 words", 1, 4},
		{"name", "longer than 128 bytes", 1, 5},
	}
	if !slices.Equal(got.LeftOut, want) || got.Rows != 5 || got.Cells != 1 {
		t.Errorf("got %+v", got)
	}
}

// TestSipHash is the vector of the authors for 8 bytes.
func TestSipHash(t *testing.T) {
	var k keys
	k.sip = [2]uint64{0x0706050403020100, 0x0f0e0d0c0b0a0908}
	if got := k.print(0x0706050403020100); got != 0x93f5f5799a932462 {
		t.Errorf("%x", got)
	}
}

func TestKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	for _, c := range []struct {
		n    int
		mode os.FileMode
		want string
	}{{32, 0o600, ""}, {32, 0o440, ""}, {31, 0o600, "at least 32"}, {5000, 0o600, "this is no key"}, {32, 0o604, "chmod 600"}} {
		os.Remove(path)
		if err := os.WriteFile(path, make([]byte, c.n), c.mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, c.mode); err != nil {
			t.Fatal(err)
		}
		_, err := ReadKey(path)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%d bytes, mode %o: %v, want %q", c.n, c.mode, err, c.want)
		}
	}
}

// FuzzOpen: whatever a file holds, reading it gives an answer.
func FuzzOpen(f *testing.F) {
	file, _ := os.ReadFile(build(f, people, "name", "email"))
	f.Add(file)
	f.Add(file[:headerSize])
	f.Fuzz(func(t *testing.T, b []byte) {
		path := filepath.Join(t.TempDir(), "set.edm")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		try := func() {
			s, err := Open(path, testKey)
			if err != nil {
				return
			}
			defer s.Close()
			var find Finder
			s.Find(&find, []byte(people), 0, 0, true)
		}
		try()
		if len(b) < headerSize { // sealed anew, so that what comes behind the seal is reached
			return
		}
		var h header
		copy(h.salt[:], b[atSalt:])
		k, err := derive(testKey, h.salt[:])
		if err != nil {
			t.Fatal(err)
		}
		copy(b[atCheck:], k.check[:])
		copy(b[atSeal:], k.sealHeader(b[:atSeal]))
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		try()
	})
}

// FuzzFind: no text is too much, and pieces find what the whole does.
func FuzzFind(f *testing.F) {
	s := openSet(f, build(f, people, "name", "email", "phone"))
	f.Add([]byte(people), uint64(1))
	f.Add([]byte("José Müller, ann.marie@shop.example"), uint64(2))
	f.Fuzz(func(t *testing.T, b []byte, seed uint64) {
		whole := inPieces(s, string(b), rand.New(rand.NewPCG(seed, 1)))
		if other := inPieces(s, string(b), rand.New(rand.NewPCG(seed, 2))); !slices.Equal(whole, other) {
			t.Fatalf("%q and %q", whole, other)
		}
	})
}

// TestFindAllocates nothing, whatever it finds.
func TestFindAllocates(t *testing.T) {
	s := openSet(t, build(t, people, "name", "email", "phone", "iban"))
	var f Finder
	text := []byte(people + " José Müller ٣٤")
	if n := testing.AllocsPerRun(100, func() { s.Find(&f, text, 0, 0, true) }); n != 0 || len(f.Values) == 0 {
		t.Errorf("%v allocations, %d values", n, len(f.Values))
	}
}

// TestCommonValues: a value that stands in many rows is found in all of them.
func TestCommonValues(t *testing.T) {
	var in strings.Builder
	in.WriteString("city,id\n")
	for i := range 3000 {
		fmt.Fprintf(&in, "%s,%d\n", [3]string{"Bonn", "Ulm", "Bonn"}[i%3], 100000+i)
	}
	s := openSet(t, build(t, in.String(), "city", "id"))
	var f Finder
	found(s, &f, "Bonn, Ulm")
	if len(f.Values) != 2 || f.Values[0].Rows.Len() != 2000 || f.Values[1].Rows.Len() != 1000 {
		t.Fatalf("%v", f.Values)
	}
	for i := range uint32(3000) {
		if s.Has(f.Values[0].Rows, i) != (i%3 != 1) || s.Has(f.Values[1].Rows, i) != (i%3 == 1) {
			t.Fatalf("row %d", i)
		}
	}
}
