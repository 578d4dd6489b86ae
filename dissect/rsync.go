package dissect

import "weir/wire"

// Rsync is the protocol of an rsync daemon.
var Rsync = Protocol{
	Name:    "rsync",
	About:   "rsync as its daemon speaks it. Flows are named by the greeting.",
	Carrier: Stream,
	Ports:   []uint16{873},
	Probe:   func(_ wire.Dir, head []byte) Guess { return startsFold(head, "@rsyncd: ") },
}
