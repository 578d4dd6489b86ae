package dissect

// Redis is RESP, the protocol of Redis, Valkey, KeyDB and Dragonfly.
var Redis = Protocol{
	Name:    "redis",
	About:   "RESP 2 and 3.",
	Carrier: Stream,
	Ports:   []uint16{6379, 6380, 26379},
	Probe:   probeRedis,
}

// ours
const (
	redisMaxElements = 1 << 30 // elements of an aggregate that a probe believes in
	redisMaxName     = 64      // bytes of a command's name that a probe believes in
)
