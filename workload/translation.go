package workload

import (
	"net/netip"
	"sync"
	"sync/atomic"
)

// maxTranslations are connections with translated addresses that are remembered, each in two tuples; then the oldest are forgotten; ours.
const maxTranslations = 1 << 16

// Tuple is a connection as it is seen at one place: from who began it.
type Tuple struct {
	Proto    uint8
	From, To netip.AddrPort
}

// Translations know connections whose addresses the host changes on their way: what is sent to a service's address goes to a pod, what a pod
// sends may go out under the host's. Each is known by its tuple before and after that. Any goroutine may use it.
type Translations struct {
	n    atomic.Int64 // mostly 0, and then nobody takes the lock
	mu   sync.RWMutex
	at   map[Tuple]Tuple
	ring []Tuple // in the order of their coming
	next int
}

// Add notes a connection that began as one tuple and goes on as another.
func (t *Translations) Add(began, goes Tuple) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.at == nil {
		t.at = map[Tuple]Tuple{}
	}
	t.put(began, goes)
	t.put(goes, began)
	t.n.Store(int64(len(t.at)))
}

func (t *Translations) put(k, other Tuple) {
	if _, known := t.at[k]; !known {
		if len(t.ring) < 2*maxTranslations {
			t.ring = append(t.ring, k)
		} else {
			delete(t.at, t.ring[t.next])
			t.ring[t.next] = k
			t.next = (t.next + 1) % len(t.ring)
		}
	}
	t.at[k] = other
}

// Other returns what a connection is called on the other side of the translation; false: none is known. It does not allocate.
func (t *Translations) Other(k Tuple) (Tuple, bool) {
	if t == nil || t.n.Load() == 0 {
		return Tuple{}, false
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	other, ok := t.at[k]
	return other, ok
}
