package dlp

import (
	"encoding/csv"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"weir/dissect"
	"weir/edm"
	"weir/rules"
)

// customers is a table, made up.
const customers = `name,email,customer,city
Ann-Marie van Dyke,ann.marie@shop.example,4711-0815-42,Ulm
José Müller,jose@mail.example,4711-0816-43,Bonn
Ulm Bonn,ulm@mail.example,4711-0817-44,Bonn
`

// exactRule makes a set of a table and a rule that asks for it.
func exactRule(t testing.TB, table string, e rules.EDM) *rules.Rule {
	t.Helper()
	dir := t.TempDir()
	e.Key, e.Set = filepath.Join(dir, "key"), filepath.Join(dir, "set.edm")
	key := []byte(strings.Repeat("a key for tests ", 2))
	if err := os.WriteFile(e.Key, key, 0o600); err != nil {
		t.Fatal(err)
	}
	columns, _, _ := strings.Cut(table, "\n")
	if _, err := edm.Build(t.Context(), strings.NewReader(table), e.Set, edm.Options{Columns: strings.Split(columns, ","), Key: key}); err != nil {
		t.Fatal(err)
	}
	if e.MinColumns == 0 {
		e.MinColumns = 2
	}
	if e.Within == 0 {
		e.Within = 100
	}
	return &rules.Rule{ID: "customers", EDM: &e}
}

// foundTexts lists what hits stand for, in the order of the text.
func foundTexts(text string, hits []Hit) []string {
	slices.SortFunc(hits, func(a, b Hit) int { return int(a.Off - b.Off) })
	out := []string{}
	for _, h := range hits {
		out = append(out, text[h.Off:h.End])
	}
	return out
}

func TestExact(t *testing.T) {
	two := exactRule(t, customers, rules.EDM{})
	three := exactRule(t, customers, rules.EDM{MinColumns: 3})
	some := exactRule(t, customers, rules.EDM{Columns: []string{"name", "email"}, Within: 20})
	one := exactRule(t, customers, rules.EDM{Columns: []string{"customer"}, MinColumns: 1})
	word := exactRule(t, customers, rules.EDM{})
	word.Keywords = []string{"export"}
	allow := exactRule(t, customers, rules.EDM{})
	allow.Allow = []rules.Allowlist{{Stopwords: []string{"ulm"}}}
	for _, c := range []struct {
		rule *rules.Rule
		text string
		want []string
	}{
		{two, `{"name":"Ann-Marie van Dyke","no":"4711081542"}`, []string{"Ann-Marie van Dyke", "4711081542"}},
		{two, `{"name":"Ann-Marie van Dyke","no":"4711081643"}`, nil},
		{two, `{"name":"Ann-Marie van Dyke","name2":"ANN MARIE VAN DYKE"}`, nil},
		{two, "Ann-Marie van Dyke " + strings.Repeat("x ", 60) + " 4711081542", nil},
		{two, "Ann-Marie van Dyke " + strings.Repeat("x ", 45) + " 4711081542", []string{"Ann-Marie van Dyke", "4711081542"}},
		{two, "Ulm Bonn; Müllers", []string{"Ulm Bonn", "Bonn"}[:0]}, // what overlaps is one
		{two, "Bonn; ulm bonn", []string{"Bonn", "ulm bonn"}},
		{two, "José Müller, Bonn", []string{"José Müller", "Bonn"}},
		{two, "José Müller, Ulm", nil},
		{three, "José Müller, Bonn", nil},
		{three, "José Müller, Bonn, jose@mail.example", []string{"José Müller", "Bonn", "jose@mail.example"}},
		{three, "José Müller, Ulm, jose@mail.example, Bonn", []string{"José Müller", "jose@mail.example", "Bonn"}},
		{some, "José Müller, 4711-0816-43", nil},
		{some, "José Müller <jose@mail.example>", []string{"José Müller", "jose@mail.example"}},
		{some, "José Müller, of Bonn. His address is jose@mail.example", nil},
		{one, "x 4711 0815 42 x", []string{"4711 0815 42"}},
		{word, "José Müller, Bonn", nil},
		{word, "José Müller, Bonn: an Export", []string{"José Müller", "Bonn"}},
		{allow, "Ann-Marie van Dyke, Ulm", nil},
		{allow, "José Müller, Bonn", []string{"José Müller", "Bonn"}},
	} {
		if c.want == nil {
			c.want = []string{}
		}
		_, s := mustCompile(t, c.rule)
		if got := foundTexts(c.text, s.ScanBytes([]byte(c.text), nil)); !slices.Equal(got, c.want) {
			t.Errorf("%q: got %q, want %q", c.text, got, c.want)
		}
		for n := range len(c.text) {
			if got := foundTexts(c.text, inPieces(s, c.text, []int{n})); !slices.Equal(got, c.want) {
				t.Errorf("%q, cut at %d: got %q, want %q", c.text, n, got, c.want)
			}
		}
	}
}

// TestExactIsMasked: nothing of a row is shown, neither of the value nor of those around it.
func TestExactIsMasked(t *testing.T) {
	r := exactRule(t, customers, rules.EDM{})
	r.Mask = "last4"
	hits := scan(t, "José Müller,jose@mail.example,4711-0816-43,Bonn", r)
	if len(hits) != 4 {
		t.Fatalf("%d hits, want 4", len(hits))
	}
	raised := 0
	for i, h := range hits {
		for _, v := range []string{"José", "Müller", "jose", "mail.ex", "4711", "0816", "Bonn"} {
			if strings.Contains(h.Excerpt, v) || strings.Contains(h.Masked, v) {
				t.Errorf("hit %d shows a value", i)
			}
		}
		if h.Confidence < 99 || h.Distinct != 1 || h.Count != i+1 || h.Field != "raw" || !h.Exact || h.Fingerprint == "" {
			t.Errorf("%+v", h)
		}
		if h.Raise {
			raised++
			if !strings.HasPrefix(h.Excerpt, "name: ") || !strings.Contains(h.Excerpt, ", email: ") {
				t.Errorf("excerpt %q", h.Excerpt)
			}
		}
	}
	if raised != 1 {
		t.Errorf("raised %d times", raised)
	}
}

// TestExactDistinct: different values are different rows.
func TestExactDistinct(t *testing.T) {
	r := exactRule(t, customers, rules.EDM{Within: 30})
	r.MinDistinct = 2
	for _, c := range []struct {
		text string
		want bool
	}{
		{"José Müller,jose@mail.example,4711-0816-43", false},
		{"José Müller,jose@mail.example;" + strings.Repeat(" ", 40) + "Jose\u0301 Müller,4711-0816-43", false},
		{"José Müller,jose@mail.example;" + strings.Repeat(" ", 40) + "Ann-Marie van Dyke,4711081542", true},
	} {
		hits := scan(t, c.text, r)
		if got := slices.ContainsFunc(hits, func(h Hit) bool { return h.Raise }); got != c.want || len(hits) < 3 {
			t.Errorf("%q: raised %v, want %v, of %d hits", c.text, got, c.want, len(hits))
		}
	}
}

// TestExactModel compares with a model that knows the table: texts of its values, of other values, and of separators, cut anywhere.
func TestExactModel(t *testing.T) {
	rng := rand.New(rand.NewSource(3))
	for range 12 {
		rows := make([][]string, 30)
		var in strings.Builder
		w := csv.NewWriter(&in)
		_ = w.Write([]string{"a", "b", "c", "d"})
		for i := range rows {
			rows[i] = []string{fmt.Sprint("Ab", rng.Intn(5)), fmt.Sprint("Cd", rng.Intn(25)), fmt.Sprint(1000 + i), fmt.Sprintf("x%d@y", rng.Intn(12))}
			_ = w.Write(rows[i])
		}
		w.Flush()
		e := rules.EDM{MinColumns: 2 + rng.Intn(3), Within: 5 + rng.Intn(60)}
		r := exactRule(t, in.String(), e)
		_, s := mustCompile(t, r)
		for range 150 {
			var text strings.Builder
			var all []edmValue
			for range 2 + rng.Intn(9) {
				row, col := rng.Intn(len(rows)), rng.Intn(4)
				if len(all) > 0 && rng.Intn(2) == 0 {
					row = all[rng.Intn(len(all))].row
				}
				all = append(all, edmValue{text.Len(), text.Len() + len(rows[row][col]), col, row})
				text.WriteString(rows[row][col])
				text.WriteString([]string{"\"", "; ", "</td><td>", " ! ", "\n" + strings.Repeat("-", rng.Intn(30))}[rng.Intn(5)])
			}
			want := exactModel(rows, all, &e)
			hits := inPieces(s, text.String(), cutsOf(rng, text.Len()))
			var got []string
			for _, h := range hits {
				got = append(got, fmt.Sprint(h.Off))
			}
			slices.Sort(got)
			if got = slices.Compact(got); !slices.Equal(got, want) {
				t.Fatalf("%d columns within %d in %q: values at %q, want %q", e.MinColumns, e.Within, text.String(), got, want)
			}
		}
	}
}

type edmValue struct{ from, to, col, row int }

// exactModel lists where values begin that stand with others of their row.
func exactModel(rows [][]string, all []edmValue, e *rules.EDM) []string {
	var out []string
	for row := range rows {
		for last := range all {
			if rows[row][all[last].col] != rows[all[last].row][all[last].col] {
				continue
			}
			columns := map[int]bool{}
			var of []string
			for i := range last + 1 {
				v := all[i]
				if rows[row][v.col] == rows[v.row][v.col] && (i == last || v.col != all[last].col && all[last].from-v.to <= e.Within) {
					columns[v.col] = true
					of = append(of, fmt.Sprint(v.from))
				}
			}
			if len(columns) >= e.MinColumns {
				out = append(out, of...)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// TestExactErrors: each says where the set is named, and what to do.
func TestExactErrors(t *testing.T) {
	for _, c := range []struct {
		spoil func(e *rules.EDM) error
		want  string
	}{
		{func(e *rules.EDM) error { e.Columns = []string{"name", "emial"}; return nil }, `the set has no column "emial" (did you mean "email"?)`},
		{func(e *rules.EDM) error { e.MinColumns = 5; return nil }, "min_columns is 5, but the set has 4 (name, email, customer, city)"},
		{func(e *rules.EDM) error { return os.Remove(e.Set) }, "no such file"},
		{func(e *rules.EDM) error { return os.Remove(e.Key) }, "no such file"},
		{func(e *rules.EDM) error { return os.Chmod(e.Key, 0o666) }, "chmod 600"},
		{func(e *rules.EDM) error { return os.WriteFile(e.Key, make([]byte, 32), 0o600) }, "built with another key than"},
		{func(e *rules.EDM) error { return os.Truncate(e.Set, 5000) }, "damaged"},
		{func(e *rules.EDM) error { return os.WriteFile(e.Set, []byte("name,email\n"), 0o600) }, "no set of weir dlp edm build"},
	} {
		r := exactRule(t, customers, rules.EDM{Pos: rules.Pos{File: "my.toml", Line: 3, Col: 7}})
		if err := c.spoil(r.EDM); err != nil {
			t.Fatal(err)
		}
		db, err := Compile(&rules.Set{Rules: []*rules.Rule{r}}, Options{})
		if err == nil {
			db.Close()
			t.Errorf("no error, want %s", c.want)
		} else if !strings.HasPrefix(err.Error(), "my.toml:3:7: rule customers: edm: ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %s", err, c.want)
		}
	}
}

// TestExactSwap: a set that is built anew takes the old one's place with the rules; values that are open finish with the old one, which is
// unmapped afterwards.
func TestExactSwap(t *testing.T) {
	r := exactRule(t, customers, rules.EDM{})
	old, s := mustCompile(t, r)
	var st State
	m := dissect.Message{Protocol: &dissect.Raw, ID: 1, Parts: []dissect.Part{{Field: dissect.RawBytes, Value: 1, Bytes: []byte("José Mül"), More: true}}}
	hits := s.Inspect(&st, &m, nil)
	key, err := edm.ReadKey(r.EDM.Key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := edm.Build(t.Context(), strings.NewReader("name,email\nnew name,new@mail.example\n"), r.EDM.Set, edm.Options{Columns: []string{"name", "email"}, Key: key}); err != nil {
		t.Fatal(err)
	}
	next, err := Compile(&rules.Set{Rules: []*rules.Rule{r}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	if err := s.Use(next); err != nil {
		t.Fatal(err)
	}
	old.Close()
	m.Parts = []dissect.Part{{Field: dissect.RawBytes, Value: 1, Off: 10, Bytes: []byte("ler, jose@mail.example")}}
	if hits = s.Inspect(&st, &m, hits); len(hits) != 2 {
		t.Errorf("%d hits with the set that the value began with, want 2", len(hits))
	}
	s.Close(&st, nil)
	if n := len(s.ScanBytes([]byte("José Müller, jose@mail.example; New Name <new@mail.example>"), nil)); n != 2 {
		t.Errorf("%d hits with the new set, want 2", n)
	}
	for _, set := range old.sets {
		if set.Size() != 0 {
			t.Error("the old set is still mapped")
		}
	}
	old.refs.Add(1) // for the Close of mustCompile
}

// TestExactFileIsCut: who cuts a set under the daemon loses the set, and it is told.
func TestExactFileIsCut(t *testing.T) {
	r := exactRule(t, customers, rules.EDM{})
	_, s := mustCompile(t, r)
	if err := os.Truncate(r.EDM.Set, 0); err != nil {
		t.Fatal(err)
	}
	if hits := s.ScanBytes([]byte("José Müller, Bonn"), nil); len(hits) > 0 {
		t.Errorf("%d hits", len(hits))
	}
	if n, why := s.GaveUp(); n == 0 || why != whyExactFile {
		t.Errorf("gave up %d bytes: %q", n, why)
	}
}

// TestExactMany: more values near each other than are compared is told.
func TestExactMany(t *testing.T) {
	_, s := mustCompile(t, exactRule(t, customers, rules.EDM{Within: 1000}))
	if hits := s.ScanBytes([]byte(strings.Repeat("Ulm! ", 2*maxRecent)), nil); len(hits) > 0 {
		t.Errorf("%d hits", len(hits))
	}
	if n, why := s.GaveUp(); n == 0 || why != whyExact {
		t.Errorf("gave up %d bytes: %q", n, why)
	}
}

// TestExactAllocates nothing where nothing of a row is found.
func TestExactAllocates(t *testing.T) {
	_, s := mustCompile(t, exactRule(t, customers, rules.EDM{}))
	var st State
	text := []byte("José Müller lives in Ulm; " + strings.Repeat("nothing is here: 4711, x@y; ", 50))
	m := dissect.Message{Protocol: &dissect.Raw, ID: 1, Parts: []dissect.Part{{Field: dissect.RawBytes, Value: 1, Bytes: text}}, End: true}
	var hits []Hit
	if n := testing.AllocsPerRun(100, func() { hits = s.Inspect(&st, &m, hits[:0]) }); n != 0 || len(hits) > 0 {
		t.Errorf("%v allocations, %d hits", n, len(hits))
	}
}

// TestGapAfterSwap: what comes behind a gap is inspected with the rules that the value began with, also where nothing else holds them.
func TestGapAfterSwap(t *testing.T) {
	for _, more := range []bool{false, true} {
		old, err := Compile(&rules.Set{Rules: []*rules.Rule{{ID: "old", Regex: `token-\d{4}`}}}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		s, err := old.NewScanner()
		if err != nil {
			t.Fatal(err)
		}
		next, err := Compile(&rules.Set{}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		var st State
		m := dissect.Message{Protocol: &dissect.Raw, ID: 1, Parts: []dissect.Part{{Field: dissect.RawBytes, Value: 1, Bytes: []byte("begin"), More: true}}}
		s.Inspect(&st, &m, nil)
		if err := s.Use(next); err != nil {
			t.Fatal(err)
		}
		old.Close()
		m.Parts = []dissect.Part{{Field: dissect.RawBytes, Value: 1, Off: 100, Bytes: []byte("token-1234 "), More: more}}
		if hits := s.Close(&st, s.Inspect(&st, &m, nil)); len(hits) != 1 {
			t.Errorf("more %v: %d hits, want 1", more, len(hits))
		}
		s.Free()
		next.Close()
	}
}
