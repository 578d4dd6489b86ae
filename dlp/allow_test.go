package dlp

import (
	"testing"
	"time"

	"weir/rules"
)

// TestAllowances: what an allow-list drops is counted, and a list that is over drops nothing.
func TestAllowances(t *testing.T) {
	set := &rules.Set{
		Rules: []*rules.Rule{{ID: "a", Regex: "VALUE-[0-9]{4}", Mask: "secret", Allow: []rules.Allowlist{
			{Stopwords: []string{"1111"}, Owner: "shop", Expires: "2026-03-31"},
			{Stopwords: []string{"2222"}, Expires: "2026-01-01", Expired: true},
		}}},
		Allow: []rules.Allowlist{{Stopwords: []string{"3333"}}},
	}
	db, s := compileSet(t, set, Options{})
	const text = "VALUE-1111 VALUE-1111 VALUE-2222 VALUE-3333"
	if hits := s.ScanBytes([]byte(text), nil); len(hits) != 1 || s.Count.Allowed != 3 {
		t.Errorf("got %d findings, %d dropped; want 1 and 3", len(hits), s.Count.Allowed)
	}
	got := db.Allowances()
	if len(got) != 3 || got[0].Dropped != 2 || got[0].Rule != "a" || got[0].List.Owner != "shop" || got[0].Expired || !got[1].Expired || got[1].Dropped != 0 || got[2].Dropped != 1 || got[2].Rule != "" {
		t.Errorf("got %+v", got)
	}
	if over := db.Expire(time.Date(2026, 3, 31, 23, 59, 0, 0, time.UTC)); len(over) != 0 {
		t.Errorf("on its last day: got %+v", over)
	}
	if over := db.Expire(time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)); len(over) != 1 || over[0].List.Owner != "shop" {
		t.Errorf("the day after: got %+v", over)
	}
	if over := db.Expire(time.Date(2026, 4, 2, 0, 0, 0, 0, time.UTC)); len(over) != 0 {
		t.Errorf("later: got %+v", over)
	}
	if hits := s.ScanBytes([]byte(text), nil); len(hits) != 3 {
		t.Errorf("after it expired: got %d findings, want 3", len(hits))
	}
}
