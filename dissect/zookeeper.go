package dissect

import (
	"encoding/binary"

	"weir/wire"
)

// ZooKeeper is the client protocol of Apache ZooKeeper.
var ZooKeeper = Protocol{
	Name: "zookeeper",
	About: "Apache ZooKeeper's client protocol (zookeeper.jute): operations, paths, data, errors. A request and its answer are an exchange with an event; " +
		"what a watch tells is one of its own.",
	Carrier: Stream,
	Ports:   []uint16{2181, 2182},
	Probe:   probeZooKeeper,
	Fields: []FieldSpec{
		zooOperation: {Name: "zookeeper.operation", Doc: "what is asked for, as `create`, `getData`", EVE: "operation", Derived: true},
		zooPath:      {Name: "zookeeper.path", Doc: "path of the node", EVE: "path"},
		zooPassword:  {Name: "zookeeper.password", Doc: "what the client proves its identity with", Privacy: Credential},
		zooError:     {Name: "zookeeper.error", Doc: "number of an error, as `-101`", EVE: "error", Number: true, Derived: true},
		zooData:      {Name: "zookeeper.data", Doc: "data of nodes, and all else, as it came"},
	},
	New:    newEnveloped(&zooEnvelope),
	Resume: resumeEnveloped(&zooEnvelope),
}

// Fields of ZooKeeper, in the order of ZooKeeper.Fields.
const (
	zooOperation Field = iota
	zooPath
	zooPassword
	zooError
	zooData
)

// zooMax is more than jute.maxbuffer allows.
const zooMax = 64 << 20 // bytes of a message

var zooEnvelope = enveloping{head: 4, size: zooSize, tell: zooTell, data: zooData, pair: zooPair}

// zooOperations are the names of operations.
var zooOperations = map[int32]string{
	1: "create", 2: "delete", 3: "exists", 4: "getData", 5: "setData", 6: "getACL", 7: "setACL", 8: "getChildren", 9: "sync", 11: "ping", 12: "getChildren2",
	13: "check", 14: "multi", 15: "create2", 16: "reconfig", 17: "checkWatches", 18: "removeWatches", 19: "createContainer", 20: "deleteContainer",
	21: "createTTL", 22: "multiRead", 100: "auth", 101: "setWatches", 102: "sasl", 103: "getEphemerals", 104: "getAllChildrenNumber", 105: "setWatches2",
	106: "addWatch", 107: "whoAmI", -11: "close",
}

func zooSize(d *enveloped, dir wire.Dir, b []byte) int {
	if n := binary.BigEndian.Uint32(b); n >= 8 && n <= zooMax {
		return 4 + int(n)
	}
	return 0
}

// zooPair pairs a request with its answer by its number, which is negative for some kinds of requests; -1 is what a watch tells. What opens a session
// has none.
func zooPair(d *enveloped, dir wire.Dir, b []byte) (key uint64, asks, ok bool) {
	const connect = 1 << 32
	asks = dir == wire.ToServer
	if d.state>>dir&1 == 0 && zooConnects(b) {
		return connect, asks, true
	}
	xid := binary.BigEndian.Uint32(b[4:])
	return uint64(xid), asks, asks || int32(xid) != -1
}

// zooConnects reports whether the first message of a direction is one that opens a session: ConnectRequest, ConnectResponse.
func zooConnects(b []byte) bool {
	return len(b) >= 40 && len(b) <= 49 && binary.BigEndian.Uint32(b[4:]) == 0
}

// zooTell tells a message. Bit n of the state says that direction n has said its first one.
func zooTell(d *enveloped, t *teller, dir wire.Dir, b []byte) (n int, sealed bool) {
	first := d.state>>dir&1 == 0
	d.state |= 1 << dir
	if first && zooConnects(b) {
		if dir == wire.ToServer {
			t.addString(zooOperation, "connect")
		}
		t.add(zooPassword, b[4:])
		return len(b), false
	}
	c := wire.Cut(b[4:])
	xid, op := int32(c.U32()), int32(c.U32())
	if dir == wire.ToClient {
		c.Skip(4) // zxid
		if failed := int32(c.U32()); failed != 0 && !c.Short() {
			t.number(zooError, int64(failed))
		}
		return len(b) - c.Len(), false
	}
	t.addString(zooOperation, zooOperations[op])
	switch {
	case op == 100 || op == 102: // auth, sasl
		t.add(zooPassword, c.Rest())
		return len(b), false
	case xid >= 0 && op > 0 && op != 11 && op != 14 && op != 22:
		rest := c
		if path := c.Bytes(int(c.U32())); !c.Short() && len(path) > 0 && path[0] == '/' {
			t.add(zooPath, path)
		} else {
			c = rest
		}
	}
	return len(b) - c.Len(), false
}

// probeZooKeeper says Yes to what opens a session.
func probeZooKeeper(dir wire.Dir, head []byte) Guess {
	if g := starts(head, "\x00\x00\x00"); g != Yes {
		return g
	}
	if len(head) < 4 {
		return Maybe
	}
	least, most := byte(44), byte(45)
	at := 4 + 4 + 8 + 4 + 8
	if dir == wire.ToClient {
		least, most, at = 36, 37, 4+4+4+8
	}
	if head[3] < least || head[3] > most {
		return No
	}
	if g := starts(head[4:], "\x00\x00\x00\x00"); g != Yes { // version of the protocol
		return g
	}
	if len(head) < at+4 {
		return Maybe
	}
	if binary.BigEndian.Uint32(head[at:]) == 16 && binary.BigEndian.Uint32(head[at-12:]) <= 1<<24 { // length of the password, time-out
		return Yes
	}
	return No
}
