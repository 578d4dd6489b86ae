package daemon

import "sync"

// leftOut counts the frames of an interface that a filter keeps out of its rings: what its own counters grow by that the rings' do not,
// while anything is left out. It is exact but for the frames that come while the counters are read.
type leftOut struct {
	mu     sync.Mutex
	rings  int    // that leave something out
	base   uint64 // frames of the interface beyond those of its rings, when the first began to
	before uint64 // frames that were left out before
}

// begin is called before a ring leaves flows out, end after it lets them in again.
func (x *leftOut) begin(t *tap) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.rings++; x.rings == 1 {
		x.base = t.unread()
	}
}

func (x *leftOut) end(t *tap) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.rings--; x.rings == 0 {
		x.before += t.unread() - x.base
	}
}

// frames returns how many were left out so far. Any goroutine may ask.
func (x *leftOut) frames(t *tap) uint64 {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.rings == 0 {
		return x.before
	}
	return x.before + t.unread() - x.base
}

// unread returns the frames that the interface counts and its rings do not. An interface that is gone has as many as when it was asked last.
func (t *tap) unread() uint64 {
	if t.end == loopback { // the host cannot count them
		return t.unreadLast
	}
	if n, err := t.iface.Frames(); err == nil {
		t.unreadLast = max(t.unreadLast, n-min(t.readStats().Packets, n))
	}
	return t.unreadLast
}
