package edm

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
)

// table writes a CSV of made-up customers: a name, an e-mail address, a number of 12 digits and a telephone number.
func table(w io.Writer, rows int) error {
	r := rand.New(rand.NewPCG(7, 7))
	b := bufio.NewWriter(w)
	fmt.Fprintln(b, "name,email,customer,phone")
	for i := range rows {
		first, last := syllables(r, 2), syllables(r, 3)
		fmt.Fprintf(b, "%s %s,%s.%s@%s.example,%012d,+49 %d %07d\n", first, last, first, last, syllables(r, 2), uint64(i)*7919+1e11, 150+r.IntN(30), r.IntN(1e7))
	}
	return b.Flush()
}

func syllables(r *rand.Rand, n int) string {
	const first, second = "bcdfghjklmnprstvwz", "aeiou"
	var b []byte
	for range n {
		b = append(b, first[r.IntN(len(first))], second[r.IntN(len(second))])
	}
	return string(b)
}

// benchRows is the size of the table: 10 million with WEIR_EDM_ROWS=10000000.
func benchRows(tb testing.TB) int {
	n, err := strconv.Atoi(os.Getenv("WEIR_EDM_ROWS"))
	if err != nil {
		return 100_000
	}
	return n
}

// benched is a set of benchRows rows, made once: it stays mapped when its file is gone.
var benched struct {
	once  sync.Once
	set   *Set
	built *Built
	err   error
}

func benchSet(tb testing.TB) (*Set, *Built) {
	tb.Helper()
	benched.once.Do(func() {
		in, out := io.Pipe()
		rows := benchRows(tb)
		go func() { out.CloseWithError(table(out, rows)) }()
		path := filepath.Join(tb.TempDir(), "set.edm")
		opt := Options{Columns: []string{"name", "email", "customer", "phone"}, Key: testKey}
		if benched.built, benched.err = Build(tb.Context(), in, path, opt); benched.err == nil {
			benched.set, benched.err = Open(path, testKey)
		}
	})
	if benched.err != nil {
		tb.Fatal(benched.err)
	}
	return benched.set, benched.built
}

// TestBytesPerRow: 10 million rows of four columns are to take no more than 400 MB. Two bits of an entry more are there than in a small table, and four of
// a bucket less.
func TestBytesPerRow(t *testing.T) {
	s, built := benchSet(t)
	if built.Cells != 4*built.Rows || s.Size() != built.Size {
		t.Fatalf("%+v", built)
	}
	big := header{rows: 1e7, cells: 4e7, values: 4e7}
	big.fit()
	t.Logf("%d rows: %.1f bytes each; 10 million: %.1f MB", built.Rows, float64(built.Size-headerSize)/float64(built.Rows), float64(big.size())/1e6)
	if per := float64(built.Size-headerSize) / float64(built.Rows); per > 40 {
		t.Errorf("%.1f bytes a row", per)
	}
	if big.size() > 400e6 {
		t.Errorf("10 million rows would take %d bytes", big.size())
	}
}

// TestFilterPasses: one in fifty values that are not there may pass the filter; all that are there do.
func TestFilterPasses(t *testing.T) {
	s, _ := benchSet(t)
	const n = 200_000
	passed := 0
	for i := range uint64(n) {
		if s.mayHave(s.keys.print(s.keys.join(emptyHash, i, 12))) {
			passed++
		}
	}
	t.Logf("%.2f %% pass", 100*float64(passed)/n)
	if passed > n/50 {
		t.Errorf("%d of %d pass", passed, n)
	}
}

func BenchmarkLookup(b *testing.B) {
	s, _ := benchSet(b)
	const n = 1 << 16
	hashes, there := make([]hashing, n), make([]uint64, n)
	r := rand.New(rand.NewPCG(1, 2))
	t := s.keys.tokens()
	for i := range hashes {
		hashes[i] = hashing(r.Uint64() % prime)
		there[i] = t.of("customer", fmt.Appendf(nil, "%012d", uint64(r.IntN(int(s.rows)))*7919+1e11))
	}
	b.Run("miss", func(b *testing.B) { // of traffic, nearly all
		n := 0
		for i := 0; b.Loop(); i++ {
			if s.mayHave(s.keys.print(hashes[i%len(hashes)])) {
				n++
			}
		}
	})
	b.Run("token", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			if s.find(there[i%len(there)]).Len() == 0 {
				b.Fatal("not found")
			}
		}
	})
	b.Run("hmac", func(b *testing.B) {
		for b.Loop() {
			t.of("customer", []byte("100000000000"))
		}
	})
}

func BenchmarkFind(b *testing.B) {
	s, _ := benchSet(b)
	r := rand.New(rand.NewPCG(1, 2))
	texts := map[string][]byte{}
	for len(texts["words"]) < 1<<20 {
		texts["words"] = append(append(texts["words"], syllables(r, 1+r.IntN(4))...), ' ')
	}
	for len(texts["json"]) < 1<<20 {
		texts["json"] = fmt.Appendf(texts["json"], `{"id":%d,"title":"%s %s","price":%d.%02d,"tags":["%s","%s"]},`,
			r.IntN(1e6), syllables(r, 3), syllables(r, 2), r.IntN(100), r.IntN(100), syllables(r, 2), syllables(r, 3))
	}
	for len(texts["binary"]) < 1<<20 {
		texts["binary"] = append(texts["binary"], byte(r.Uint32()))
	}
	for _, name := range []string{"words", "json", "binary"} {
		b.Run(name, func(b *testing.B) {
			var f Finder
			b.SetBytes(int64(len(texts[name])))
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				s.Find(&f, texts[name], 0, 0, true)
				n += len(f.Values)
			}
			b.ReportMetric(float64(n)/float64(b.N), "values")
		})
	}
}
