package daemon

import "time"

// leaveEvery is how often it is looked whether the namespaces that sockets are open in are there still: a socket keeps one alive that nobody else
// needs; ours.
const leaveEvery = 250 * time.Millisecond

// lead has fn told of the ways into namespaces, now and as they change. It must not call n.
func (n *naming) lead(fn func(map[int]way)) {
	n.mu.Lock()
	n.ways = fn
	n.again = true
	n.mu.Unlock()
	n.stir()
}

// leads returns the ways that are known, by the index of the interface that leads there. n.mu is held.
func (n *naming) leads() map[int]way {
	ways := map[int]way{}
	for index, i := range n.ifaces {
		if p := n.places[i.NSID]; p != nil && p.found.NetNS != "" {
			ways[index] = way{path: p.found.NetNS, inode: p.found.Space, first: p.iface.Index == index}
		}
	}
	return ways
}

// leave has namespaces looked for again that nobody is in any more, and that have no name: if there is no other way into one, those who listen
// in there leave it, and it ends.
func (n *naming) leave(now time.Time) {
	for _, p := range n.places {
		if p.found.NetNS != "" && !p.found.Lives() {
			p.look.hurry(now)
		}
	}
}
