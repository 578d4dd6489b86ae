package dissect

// Cassandra is the CQL binary protocol.
var Cassandra = Protocol{
	Name:    "cassandra",
	About:   "CQL binary protocol v3 to v5.",
	Carrier: Stream,
	Ports:   []uint16{9042, 9142},
	Probe:   probeCassandra,
}

// CassandraNode is what nodes of a cluster say to each other.
var CassandraNode = Protocol{Name: "cassandra", Carrier: Stream, Ports: []uint16{7000}, Probe: probeCassandraNode}

// from the specification
const (
	cqlHeader         = 9       // bytes
	cqlMaxFrame       = 1 << 28 // bytes of a frame's body
	cqlResponse       = 0x80    // in a frame's version
	cqlFlagCompressed = 1
	cqlFlagTracing    = 2
	cqlFlagPayload    = 4
	cqlFlagWarning    = 8

	cqlError         = 0x00
	cqlStartup       = 0x01
	cqlReady         = 0x02
	cqlAuthenticate  = 0x03
	cqlOptions       = 0x05
	cqlSupported     = 0x06
	cqlQuery         = 0x07
	cqlResult        = 0x08
	cqlPrepare       = 0x09
	cqlExecute       = 0x0a
	cqlRegister      = 0x0b
	cqlEvent         = 0x0c
	cqlBatch         = 0x0d
	cqlAuthChallenge = 0x0e
	cqlAuthResponse  = 0x0f
	cqlAuthSuccess   = 0x10
	cqlOpLast        = cqlAuthSuccess
)
