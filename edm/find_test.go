package edm

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"math/rand/v2"
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

// TestFindUnspaced: in scripts without spaces a value is found within what stands around it, in either width of its characters.
func TestFindUnspaced(t *testing.T) {
	s := openSet(t, build(t, "name,phone,company\n山田太郎,03-1234-5678,株式会社サクラ銀行\n李明,１３８ ００１３ ８０００,ガス・ポンプ\nジョン・スミス,+81 90 1111 2222,ＡＢＣ商事\n", "name", "phone", "company"))
	var f Finder
	for _, c := range []struct {
		text string
		want []string
	}{
		{"氏名：山田太郎様、電話：０３－１２３４－５６７８。", []string{"name=山田太郎", "phone=０３－１２３４－５６７８"}},
		{"山田 太郎 03(1234)5678", []string{"name=山田 太郎", "phone=03(1234)5678"}},
		{"客户李明的电话13800138000", []string{"name=李明", "phone=13800138000"}},
		{"ｼﾞｮﾝ･ｽﾐｽ様", []string{"name=ｼﾞｮﾝ･ｽﾐｽ"}},
		{"ジョン=スミス", nil},
		{"(株式会社ｻｸﾗ銀行)", []string{"company=株式会社ｻｸﾗ銀行"}},
		{"ｶﾞｽ･ﾎﾟﾝﾌﾟ", []string{"company=ｶﾞｽ･ﾎﾟﾝﾌﾟ"}},
		{"カス・ホンフ", nil},
		{"abc商事", []string{"company=abc商事"}},
		{"xabc商事", nil},
		{"山田次郎", nil},
	} {
		if got := found(s, &f, c.text); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.text, got, c.want)
		}
	}
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
	words := []string{"山", "田中", "ｶﾞ", "ガ", "東a", "１２", "ann", "Marie", "VAN", "dyke", "li", "x", "42", "4711", "0815", "a1b2", "müller", "Ünal", "ﬁn", "٣٤", "mail", "example", "4"}
	seps := []string{"・", "－", "＠", "", " ", "-", ".", "@", "", ", ", " / ", "\u00a0", "\u200b", "\"", "\n", " @", "&", "    ", "_", "\xc3", "="}
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

// TestSipHash is the vector of the authors for 8 bytes.
func TestSipHash(t *testing.T) {
	var k keys
	k.sip = [2]uint64{0x0706050403020100, 0x0f0e0d0c0b0a0908}
	if got := k.print(0x0706050403020100); got != 0x93f5f5799a932462 {
		t.Errorf("%x", got)
	}
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
