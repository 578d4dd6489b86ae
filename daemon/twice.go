package daemon

import (
	"hash/maphash"
	"strings"
	"sync"
	"sync/atomic"

	"weir/alert"
)

// twice knows what was told in the last seconds of conversations between two local workloads, which two taps see: alerts, and flows that
// carried nothing. What carried something is one conversation already in the engine, unless the two taps did not show the same.
// What the first tap told stands; nothing is held back that was not told. Of conversations whose addresses the host translates, as those with a service, each tap makes a conversation of its own: all
// that the second one tells of it is held back. Where one end of a veth is listened on in the other's stead, both show the same for some milliseconds: what was told of these by one is not told by
// the other.
type twice struct {
	seed maphash.Seed
	mu   sync.Mutex
	at   [2]map[uint64]mark // this window's, the last window's
	from int64              // ns, begin of this window

	takeovers map[string]takeover // by the name of the host's end; mu guards it
	last      atomic.Int64        // ns, when the last of them was or will be over
}

// takeover is the time in which both ends of a veth are listened on, ns.
type takeover struct{ from, until int64 }

// mark says who told it.
type mark struct {
	iface string
	apart bool // it does not stand for the other end of the same veth, which counts otherwise
}

const (
	twiceWindow = 10_000_000_000 // ns
	twiceMost   = 1 << 16        // alerts known per window; then later ones are told again

	takeoverMost = 1_000_000_000 // ns that both ends of a veth are listened on
)

func newTwice() *twice {
	return &twice{seed: maphash.MakeSeed(), at: [2]map[uint64]mark{{}, {}}, takeovers: map[string]takeover{}}
}

// begins is told that the other end of a veth is about to be listened on, beside the host's.
func (t *twice) begins(host string, now int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for name, x := range t.takeovers {
		if now-x.until > twiceWindow { // nothing of that time is told any more
			delete(t.takeovers, name)
		}
	}
	t.takeovers[host] = takeover{now, now + takeoverMost}
	t.last.Store(max(t.last.Load(), now+takeoverMost))
}

// ends is told that only one is.
func (t *twice) ends(host string, now int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if x, ok := t.takeovers[host]; ok {
		t.takeovers[host] = takeover{x.from, min(x.until, now)}
	}
}

// taken reports whether what an event tells happened when both ends of its veth were listened on.
func (t *twice) taken(ev *alert.Event) bool {
	if ev.Time > t.last.Load() || ev.Type == "anomaly" || ev.Type == "drop" {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	x, ok := t.takeovers[strings.TrimSuffix(ev.Iface, peerName)]
	return ok && ev.Time >= x.from && ev.Time <= x.until
}

// seen reports whether another interface has told the same of the same conversation. one is what its community id is taken for, translated says that both are workloads' which see it under different
// addresses.
func (t *twice) seen(ev *alert.Event, one string, translated bool) bool {
	bare := ev.Type == "flow" && ev.AppProto == "" && ev.Weir.Src != nil && ev.Weir.Dst != nil
	both := ev.Type == "alert" || ev.Type == "info" || bare || translated // other workloads' interfaces tell it too
	taken := t.taken(ev)
	if !both && !taken || one == "" || strings.HasSuffix(ev.Iface, loopbackName) {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if ev.Time-t.from > twiceWindow {
		t.at[0], t.at[1] = map[uint64]mark{}, t.at[0]
		t.from = ev.Time
	}
	held := taken && t.told(t.key(ev, one, translated, bare, true), mark{ev.Iface, false})
	return both && t.told(t.key(ev, one, translated, bare, false), mark{ev.Iface, taken}) || held
}

// key is the same for events that tell the same: as the two ends of a veth that are both listened on tell it, or as two workloads' interfaces do.
func (t *twice) key(ev *alert.Event, one string, translated, bare, taken bool) uint64 {
	var h maphash.Hash
	h.SetSeed(t.seed)
	h.WriteString(one)
	if translated || taken {
		h.WriteString(ev.Type)
		if ev.Anomaly != nil {
			h.WriteString(ev.Anomaly.Event)
		}
		if ev.File != nil {
			h.WriteString(ev.File.Name)
			maphash.WriteComparable(&h, ev.File.Size)
		}
		if ev.App != nil && ev.Alert == nil { // where one interface missed an exchange, another one has its number there
			h.Write(ev.App.Text)
		}
	}
	if ev.Flow != nil && (bare || taken) && !translated {
		h.WriteString(ev.Flow.State)
		maphash.WriteComparable(&h, [2]uint64{ev.Flow.PktsToServer, ev.Flow.PktsToClient})
	}
	h.WriteString(ev.Weir.Rule)
	if !taken { // it counts from when an end was listened on
		maphash.WriteComparable(&h, ev.TxID)
	}
	for _, m := range ev.Weir.Matches {
		h.WriteString(m.Field)
		h.WriteString(m.Fingerprint)
	}
	return h.Sum64()
}

// told reports whether another one has told that; if nobody has, it is noted as told. t.mu is held.
func (t *twice) told(key uint64, m mark) bool {
	for _, at := range t.at {
		if first, ok := at[key]; ok {
			apart := (first.apart || m.apart) && strings.TrimSuffix(first.iface, peerName) == strings.TrimSuffix(m.iface, peerName)
			return first.iface != m.iface && !apart
		}
	}
	if len(t.at[0]) < twiceMost {
		t.at[0][key] = m
	}
	return false
}
