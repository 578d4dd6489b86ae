package dissect

import "weir/wire"

// ClickHouse is ClickHouse's native protocol.
var ClickHouse = Protocol{Name: "clickhouse", About: "ClickHouse's native protocol.", Carrier: Stream, Ports: []uint16{9000, 9440}, Probe: probeClickHouse}

// ours
const clickhouseMaxName = 64 // bytes of what a client or server calls itself

// probeClickHouse says Yes to a Hello of either end.
func probeClickHouse(_ wire.Dir, head []byte) Guess {
	if head[0] != 0 {
		return No
	}
	if len(head) < 2 {
		return Maybe
	}
	n := int(head[1])
	if n < 4 || n > clickhouseMaxName {
		return No
	}
	name := head[2:min(len(head), 2+n)]
	for _, c := range name {
		if c < ' ' || c > '~' {
			return No
		}
	}
	if len(head) < 2+n+5 {
		return Maybe
	}
	rest := head[2+n:]
	if rest[0] == 0 || rest[0] >= 100 || rest[1] >= 100 || rest[2] < 0x80 || rest[3] < 0x80 || rest[4] == 0 || rest[4] > 4 { // version 20.3, revision 54467
		return No
	}
	return Yes
}
