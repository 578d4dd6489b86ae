package dissect

// Memcached is the protocol of memcached, text and binary, over TCP.
var Memcached = Protocol{
	Name:    "memcached",
	About:   "Memcached's protocols.",
	Carrier: Stream,
	Ports:   []uint16{11211},
	Probe:   probeMemcached,
}

// MemcachedUDP is the same over UDP.
var MemcachedUDP = Protocol{Name: "memcached", Carrier: Datagram, Ports: []uint16{11211}, Probe: probeMemcachedUDP}

// Couchbase is the protocol of Couchbase's data service.
var Couchbase = Protocol{Name: "couchbase", About: "Couchbase's data service.", Carrier: Stream, Ports: []uint16{11210, 11207}, Probe: probeCouchbase}

// from the specification
const (
	memcachedRequest  = 0x80
	memcachedResponse = 0x81
	memcachedHeader   = 24 // bytes
)
