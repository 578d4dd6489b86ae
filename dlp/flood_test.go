package dlp

import (
	"fmt"
	"math/rand"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"weir/dissect"
	"weir/rules"
)

const panRegex = `\b(?:4\d{3}(?:[ -]?\d{4}){3}|(?:5[1-5]|2[2-7])\d{2}(?:[ -]?\d{4}){3}|3[47]\d{2}[ -]?\d{6}[ -]?\d{5})\b`

func hardRules() []*rules.Rule {
	rs := []*rules.Rule{
		{ID: "pan", Regex: panRegex, Validate: []string{"luhn", "iin"}, Context: []string{"card"}, Within: 300, Mask: "pan"},
		{ID: "loose", Regex: `\d[\d -]{11,22}\d`, Validate: []string{"luhn", "iin", "boundary"}, Mask: "pan"},
		{ID: "entropy", Regex: `[\w+/]{20,}`, Entropy: 4.9},
		{ID: "ctx", Regex: `\d{8,}`, Context: []string{"account"}, ContextRequired: true, Within: 500},
		{ID: "key", Regex: `-----BEGIN[\s\S]{64,}?-----END`, Mask: "key"},
		{ID: "kw", Regex: `[a-z]{6}\d{2}`, Keywords: []string{"nowhere"}},
	}
	for i, x := range plainRules {
		rs = append(rs, &rules.Rule{ID: fmt.Sprint("r", i), Regex: x})
	}
	return rs
}

// TestFlood: what an attacker sends to make confirming dear costs a bounded time, whole and in small pieces.
func TestFlood(t *testing.T) {
	const size = 1 << 20 // bytes
	_, s := mustCompile(t, hardRules()...)
	for _, unit := range []string{"4", "4111 ", "4111 1111 1111 1112 ", "a", "eyJ", "-----BEGIN", "a@b.c, ", "password: '", "aaaaaa11", "123-45-", "A1b2C3d4E5f6G7h8I9j0", "\x00", "é"} {
		text := strings.Repeat(unit, size/len(unit))
		for _, piece := range []int{size, 1400, 64} {
			var st State
			var hits []Hit
			start := cpuTime(t)
			m := dissect.Message{Protocol: &dissect.Raw, ID: 1, Parts: make([]dissect.Part, 1)}
			for at := 0; at < len(text); at += piece {
				m.Parts[0] = dissect.Part{Value: 1, Off: int64(at), Bytes: []byte(text[at:min(len(text), at+piece)]), More: true}
				hits = s.Inspect(&st, &m, hits)
			}
			hits = s.Close(&st, hits)
			lost, why := s.GaveUp()
			took := cpuTime(t) - start
			t.Logf("%-12.12q in pieces of %7d: %8v %5d hits, %8d bytes not looked at %s", unit, piece, took.Round(time.Millisecond), len(hits), lost, why)
			if took > 5*time.Second {
				t.Errorf("%q in pieces of %d took %v", unit, piece, took)
			}
			if len(hits) > len(s.db.rules)*2*(MaxHits+maxBlanket) {
				t.Errorf("%q: %d hits", unit, len(hits))
			}
		}
	}
}

// cpuTime is what this process has used: other processes may be busy too.
func cpuTime(t *testing.T) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestLeak: whatever is opened and closed, the C memory returns to what it was.
func TestLeak(t *testing.T) {
	base := NativeBytes()
	db, err := Compile(&rules.Set{Rules: hardRules()}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := db.NewScanner()
	if err != nil {
		t.Fatal(err)
	}
	idle := NativeBytes()
	for i := range 10000 {
		var st State
		m := dissect.Message{Protocol: &dissect.Raw, ID: uint64(i), Parts: []dissect.Part{{Value: 1, Bytes: []byte("4111 1111"), More: true}}}
		s.Inspect(&st, &m, nil)
		if i%2 == 0 {
			m.Parts[0] = dissect.Part{Value: 2, Bytes: []byte("more"), More: true}
			m.End = true
			s.Inspect(&st, &m, nil)
			if !st.Empty() {
				t.Fatal("the message ended, its state did not")
			}
		}
		s.Close(&st, nil)
	}
	if got := NativeBytes(); got > idle+1<<20 {
		t.Errorf("%d bytes of C memory after 10000 values, %d before", got, idle)
	}
	if got := db.open.Load(); got != 0 {
		t.Errorf("%d bytes counted as open", got)
	}
	s.Free()
	db.Close()
	if got := NativeBytes(); got != base {
		t.Errorf("%d bytes of C memory at the end, %d at the start", got, base)
	}
}

// TestReload: a value that is open when rules change finishes with the rules it began with, and nothing leaks.
func TestReload(t *testing.T) {
	base := NativeBytes()
	compile := func(id string) *Database {
		db, err := Compile(&rules.Set{Rules: []*rules.Rule{{ID: id, Regex: `secret-\d{8}`}}}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		return db
	}
	old, fresh := compile("old"), compile("fresh")
	s, err := old.NewScanner()
	if err != nil {
		t.Fatal(err)
	}
	var st State
	m := dissect.Message{Protocol: &dissect.Raw, ID: 1, Parts: []dissect.Part{{Value: 1, Bytes: []byte("secret-123"), More: true}}}
	hits := s.Inspect(&st, &m, nil)
	if err := s.Use(fresh); err != nil {
		t.Fatal(err)
	}
	old.Close()
	other, err := fresh.NewScanner() // a lane that never knew the old rules
	if err != nil {
		t.Fatal(err)
	}
	m.Parts[0] = dissect.Part{Value: 1, Off: 10, Bytes: []byte("45678 "), More: true}
	hits = other.Inspect(&st, &m, hits)
	m.Parts[0] = dissect.Part{Value: 2, Bytes: []byte("secret-87654321")}
	hits = s.Inspect(&st, &m, hits)
	hits = s.Close(&st, hits)
	if got, want := spansOf(final(hits)), "fresh[0 15) old[0 15)"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	s.Free()
	other.Free()
	fresh.Close()
	if got := NativeBytes(); got != base {
		t.Errorf("%d bytes of C memory at the end, %d at the start", got, base)
	}
}

// TestSharedDatabase: two scanners share a Database.
func TestSharedDatabase(t *testing.T) {
	db, _ := mustCompile(t, hardRules()...)
	var wg sync.WaitGroup
	for i := range 2 {
		s, err := db.NewScanner()
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			defer s.Free()
			rng := rand.New(rand.NewSource(int64(i)))
			for range 200 {
				text := phrase(rng, 20)
				whole := spansOf(s.ScanBytes([]byte(text), nil))
				if got := spansOf(inPieces(s, text, cutsOf(rng, len(text)))); got != whole {
					t.Errorf("%q: in pieces %s, whole %s", text, got, whole)
					return
				}
			}
		})
	}
	wg.Wait()
}

// TestNoAllocation: where nothing is found, nothing is allocated, and an idle State is small.
func TestNoAllocation(t *testing.T) {
	_, s := mustCompile(t, hardRules()...)
	var st State
	hits := make([]Hit, 0, 1)
	body := []byte(strings.Repeat("<p>nothing to see here</p>\n", 60))
	m := dissect.Message{Protocol: &dissect.Raw, ID: 1, End: true, Parts: []dissect.Part{{Value: 1, Bytes: body}}}
	pieces := []dissect.Message{
		{Protocol: &dissect.Raw, ID: 2, Parts: []dissect.Part{{Value: 1, Bytes: body, More: true}}},
		{Protocol: &dissect.Raw, ID: 2, Parts: []dissect.Part{{Value: 1, Bytes: body, Off: int64(len(body))}}, End: true},
	}
	run := func() {
		hits = s.Inspect(&st, &m, hits[:0])
		for i := range pieces {
			hits = s.Inspect(&st, &pieces[i], hits[:0])
		}
	}
	run()
	if got := testing.AllocsPerRun(100, run); got != 0 {
		t.Errorf("%v allocations, want 0", got)
	}
	if len(hits) != 0 {
		t.Errorf("found %v", spansOf(hits))
	}
}

// FuzzInspect: pieces are as good as the whole, whatever is sent.
func FuzzInspect(f *testing.F) {
	_, s := mustCompile(f, hardRules()...)
	rng := rand.New(rand.NewSource(2))
	for range 20 {
		f.Add([]byte(phrase(rng, 10)), int64(rng.Int()))
	}
	f.Add([]byte("4111 1111 112 3400"), int64(6777167885553937777))
	f.Fuzz(func(t *testing.T, b []byte, seed int64) {
		text := string(b[:min(len(b), 2000)])
		whole := spansOf(s.ScanBytes([]byte(text), nil))
		cuts := cutsOf(rand.New(rand.NewSource(seed)), len(text))
		if got := spansOf(inPieces(s, text, cuts)); got != whole {
			t.Errorf("%q cut at %v: in pieces %s, whole %s", text, cuts, got, whole)
		}
	})
}
