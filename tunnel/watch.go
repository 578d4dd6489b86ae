package tunnel

import (
	"hash/maphash"

	"weir/wire"
)

// Watch is what is remembered of an interface's traffic. It belongs to one goroutine at a time.
type Watch struct {
	registrar
	keys    [dnsDomains]uint64 // of domains; 0: free
	domains [dnsDomains]domain
	pairs   [echoPairs]echo
}

// WatchSize is what a Watch takes, in bytes.
const WatchSize = dnsDomains*(8+136) + echoPairs*echoSize + suffixMany*16

// NewWatch returns a Watch that knows nothing.
func NewWatch() *Watch { return &Watch{registrar: registrar{seed: maphash.MakeSeed()}} }

// echo is what is remembered of the pings between two hosts.
type echo struct {
	key     wire.Key
	last    int64  // ns
	told    int64  // ns
	tail    uint64 // hash of a request's bytes behind those that pings count and time with
	size    uint64 // of different lengths, a bit each
	ring    [echoRing]uint64
	turn    uint8
	seen    [2]uint32 // requests, replies
	bytes   [2]uint32
	changes uint16 // requests whose tail is not the one before's
	differs uint16 // replies that are no request's
	packets uint16 // IP packets inside
	dense   uint16 // payloads of high entropy among those that change
	marks   uint16 // of a tool
}
