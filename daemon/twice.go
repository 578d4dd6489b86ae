package daemon

import (
	"hash/maphash"
	"sync"

	"weir/alert"
)

// twice knows the alerts of the last seconds, so that a conversation of two local workloads, which two taps see, raises
// each alert once. What the first tap told stands; nothing is held back that was not told.
type twice struct {
	seed maphash.Seed
	mu   sync.Mutex
	at   [2]map[uint64]mark // this window's, the last window's
	from int64              // ns, begin of this window
}

// mark says who told an alert.
type mark struct{ iface string }

const (
	twiceWindow = 10_000_000_000 // ns
	twiceMost   = 1 << 16        // alerts known per window; then later ones are told again
)

func newTwice() *twice {
	return &twice{seed: maphash.MakeSeed(), at: [2]map[uint64]mark{{}, {}}}
}

// seen reports whether another interface has told the same alert of the same conversation.
func (t *twice) seen(ev *alert.Event) bool {
	if ev.Type != "alert" && ev.Type != "info" || ev.CommunityID == "" {
		return false
	}
	var h maphash.Hash
	h.SetSeed(t.seed)
	h.WriteString(ev.CommunityID)
	h.WriteString(ev.Weir.Rule)
	maphash.WriteComparable(&h, ev.TxID)
	for _, m := range ev.Weir.Matches {
		h.WriteString(m.Field)
		h.WriteString(m.Fingerprint)
	}
	key := h.Sum64()
	t.mu.Lock()
	defer t.mu.Unlock()
	if ev.Time-t.from > twiceWindow {
		t.at[0], t.at[1] = map[uint64]mark{}, t.at[0]
		t.from = ev.Time
	}
	for _, m := range t.at {
		if first, ok := m[key]; ok {
			return first.iface != ev.Iface
		}
	}
	if len(t.at[0]) < twiceMost {
		t.at[0][key] = mark{ev.Iface}
	}
	return false
}
