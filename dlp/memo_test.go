package dlp

import (
	"fmt"
	"math/rand"
	"slices"
	"testing"

	"weir/dissect"
	"weir/rules"
)

// TestMemo: what is remembered changes nothing of what is found, however values are cut, mixed, and passed from Scanner to Scanner, and whatever rules come meanwhile.
func TestMemo(t *testing.T) {
	var rs []*rules.Rule
	for i, x := range slices.Concat(sievedRules, plainRules) {
		rs = append(rs, &rules.Rule{ID: fmt.Sprint("r", i), Regex: x})
	}
	rs = append(rs, hardRules()[:4]...)
	some := rs[len(rs)/2:]
	pdb, plain := compileSet(t, &rules.Set{Rules: rs}, Options{forgetful: true})
	pdb2, _ := compileSet(t, &rules.Set{Rules: some}, Options{forgetful: true})
	db, one := compileSet(t, &rules.Set{Rules: rs}, Options{})
	db2, _ := compileSet(t, &rules.Set{Rules: some}, Options{})
	two, err := db.NewScanner()
	if err != nil {
		t.Fatal(err)
	}
	defer two.Free()
	both := []*Scanner{one, two}

	type value struct {
		id   uint32
		text string
		cuts []int
		at   int
		gap  int // bytes that were lost before at
	}
	rng := rand.New(rand.NewSource(7))
	var pool []value
	for range 60 {
		v := value{text: filler(rng, 1<<rng.Intn(12))}
		for at := 0; rng.Intn(8) > 0; {
			if at += 1 + rng.Intn(1+len(v.text)/2); at >= len(v.text) {
				break
			}
			v.cuts = append(v.cuts, at)
		}
		v.cuts = append(v.cuts, len(v.text))
		pool = append(pool, v)
	}
	var want, got State
	var open []value
	hits := 0
	for i := range 15000 {
		if i%5000 == 4999 {
			both[0].Trim()
		}
		if i%1000 == 999 { // other rules, for a while, and those of before again
			of := [2]*Database{pdb, db}
			if i%2000 == 999 {
				of = [2]*Database{pdb2, db2}
			}
			for k, s := range []*Scanner{plain, one, two} {
				if err := s.Use(of[min(k, 1)]); err != nil {
					t.Fatal(err)
				}
			}
		}
		if len(open) < 5 {
			v := pool[rng.Intn(1+i*len(pool)/15000)] // ever more of them
			v.id = uint32(i + 1)
			if rng.Intn(50) == 0 { // one that nobody has seen
				v.text = filler(rng, 2*len(v.text))[:len(v.text)]
			}
			open = append(open, v)
		}
		k := rng.Intn(len(open))
		v := &open[k]
		from, to, off := v.at, v.cuts[0], v.at+v.gap
		if rng.Intn(200) == 0 {
			v.gap += 1000
			off += 1000
		}
		m := dissect.Message{Protocol: &dissect.Raw, ID: 1, Parts: []dissect.Part{{Value: v.id, Off: int64(off), Bytes: []byte(v.text[from:to]), More: len(v.cuts) > 1}}}
		w, g := spansOf(plain.Inspect(&want, &m, nil)), spansOf(both[rng.Intn(2)].Inspect(&got, &m, nil))
		if w != g {
			t.Fatalf("%d: value %d from %d, %q\n got %s\nwant %s", i, v.id, off, m.Parts[0].Bytes, g, w)
		}
		hits += len(w)
		v.at, v.cuts = to, v.cuts[1:]
		if len(v.cuts) == 0 {
			open = slices.Delete(open, k, k+1)
		}
		if i%100 == 0 { // the message ends: findings are counted anew
			want, got = ended(plain, want), ended(both[0], got)
			open = open[:0]
		}
	}
	if known := one.Count.Known + two.Count.Known; hits == 0 || known < 3000 {
		t.Errorf("%d bytes of findings, %d of 15000 parts were known: the test is of those", hits, known)
	}
}

func ended(s *Scanner, st State) State {
	s.Close(&st, nil)
	return st
}

// TestMemoRests: where nothing comes again the memo rests, and remembers nothing.
func TestMemoRests(t *testing.T) {
	_, s := mustCompile(t, &rules.Rule{ID: "pan", Regex: panRegex})
	var st State
	for i := range memoTurn + memoTurn/2 {
		s.Inspect(&st, &dissect.Message{Protocol: &dissect.Raw, ID: uint64(i), Parts: []dissect.Part{{Value: 1, Bytes: fmt.Appendf(nil, "something new each time: %d", i)}}, End: true}, nil)
	}
	if s.memo.rest == 0 || s.Count.Known != 0 || slices.ContainsFunc(slices.Concat(s.memo.open.keys, s.memo.whole.keys), func(d digest) bool { return d != digest{} }) {
		t.Errorf("%d parts to rest, %d known", s.memo.rest, s.Count.Known)
	}
}
