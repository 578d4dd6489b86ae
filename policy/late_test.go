package policy

import "testing"

// TestLateRefusal: what is refused after it was handed over, or on another lane, is refused all the same; what was forgotten is nothing new.
func TestLateRefusal(t *testing.T) {
	s := newScene(t)
	other := NewSeen(testTerms)
	const scan = "http.method=GET http.path=/secret http.host=shop"
	note := func(seen *Seen) Mark {
		s.at++
		m, ok := seen.Note(&Observation{Time: s.at, From: s.l.Party(cart0, nil), To: s.l.Party(store, nil), Proto: 6, Port: 80, App: 0, Words: testWords(t, scan)})
		if !ok {
			t.Fatal("no room")
		}
		return m
	}
	hand := func(seen *Seen) {
		s.l.Merge(seen)
		seen.Reset()
	}
	after := note(s.seen) // refused once it was handed over
	hand(s.seen)
	s.seen.Refuse(after)
	first := note(other) // refused on another lane, before and after that one handed over
	s.seen.Refuse(first)
	hand(s.seen)
	hand(other)
	s.seen.Refuse(Mark(12345))
	hand(s.seen)
	hand(s.seen)
	for k, e := range s.l.edges {
		if e.Count != 2 || e.Refused != 2 {
			t.Errorf("%v: %d seen, %d refused, want 2 and 2", k, e.Count, e.Refused)
		}
	}
	for range 3 * lateMost { // nobody's
		s.seen.Refuse(Mark(s.at | 1))
		s.at += 2
		hand(s.seen)
	}
	if n := len(s.l.recent.late); n > lateMost || len(s.l.edges) != 1 {
		t.Errorf("%d refusals wait, %d edges", n, len(s.l.edges))
	}
}
