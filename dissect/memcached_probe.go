package dissect

import (
	"bytes"
	"encoding/binary"

	"weir/wire"
)

// memcachedArgs are the commands of the text protocol that a probe believes in, and the arguments that each has at least.
var memcachedArgs = map[string]int{
	"get": 1, "gets": 1, "gat": 2, "gats": 2, "set": 4, "add": 4, "replace": 4, "append": 4, "prepend": 4, "cas": 5, "delete": 1, "incr": 2, "decr": 2,
	"touch": 2, "stats": 0, "version": 0, "verbosity": 1, "flush_all": 0, "mg": 1, "ms": 2, "md": 1, "ma": 1, "me": 1, "mn": 0,
}

// memcachedReplies are answers that only such a server says.
var memcachedReplies = []string{"STORED\r\n", "NOT_STORED\r\n", "DELETED\r\n", "TOUCHED\r\n", "STAT pid ", "SERVER_ERROR ", "CLIENT_ERROR ", "EN\r\n", "HD\r\n"}

// probeMemcached says Yes to a whole line of the text protocol, and to a header of the binary one.
func probeMemcached(dir wire.Dir, head []byte) Guess {
	if head[0] == memcachedRequest || head[0] == memcachedResponse {
		if g, odd := probeMemcachedBinary(dir, head); g != Yes || !odd {
			return g
		}
		return No
	}
	if dir == wire.ToClient {
		best := No
		for _, s := range memcachedReplies {
			best = max(best, starts(head, s))
		}
		if best == No {
			best = probeMemcachedValue(head)
		}
		return best
	}
	line := head
	end := bytes.IndexByte(head, '\n')
	if end >= 0 {
		line = bytes.TrimSuffix(head[:end], []byte("\r"))
	}
	if !isText(line) || len(line) > 1<<10 {
		return No
	}
	verb, rest, found := bytes.Cut(line, []byte(" "))
	if !found && end < 0 {
		if len(verb) > 9 || len(verb) > 0 && (verb[0] < 'a' || verb[0] > 'z') {
			return No
		}
		return Maybe
	}
	least, ok := memcachedArgs[string(verb)]
	switch {
	case !ok:
		return No
	case end < 0:
		return Maybe
	case len(bytes.Fields(rest)) < least || least >= 4 && !memcachedNumbers(rest):
		return No
	}
	return Yes
}

// memcachedNumbers reports whether flags, time and length of a value are numbers.
func memcachedNumbers(b []byte) bool {
	for i, w := range bytes.Fields(b) {
		for _, c := range w {
			if i > 0 && i < 4 && !isDigit(c) && c != '-' {
				return false
			}
		}
	}
	return true
}

// probeMemcachedValue knows the line in front of a value.
func probeMemcachedValue(head []byte) Guess {
	for _, s := range [...]string{"VALUE ", "VA "} {
		switch g := starts(head, s); g {
		case Maybe:
			return Maybe
		case Yes:
			end := bytes.IndexByte(head, '\n')
			if end < 0 {
				return Maybe
			}
			w := bytes.Fields(head[len(s):end])
			if s == "VALUE " && len(w) >= 3 && memcachedNumbers(head[len(s):end]) || s == "VA " && len(w) >= 1 && isDigit(w[0][0]) {
				return Yes
			}
			return No
		}
	}
	return No
}

// probeMemcachedBinary knows a header of the binary protocol. odd says that it is one of Couchbase's alone.
func probeMemcachedBinary(dir wire.Dir, head []byte) (g Guess, odd bool) {
	want := byte(memcachedRequest)
	if dir == wire.ToClient {
		want = memcachedResponse
	}
	if head[0] != want {
		return No, false
	}
	if len(head) < memcachedHeader {
		return Maybe, false
	}
	op, key, extras := head[1], int64(binary.BigEndian.Uint16(head[2:])), int64(head[4])
	total := int64(binary.BigEndian.Uint32(head[8:]))
	if key > 250 || extras > 64 || total < key+extras || total > 32<<20 || head[5] > 7 {
		return No, false
	}
	odd = head[5] != 0 || op > 0x4d || op == 0x1f || dir == wire.ToServer && (head[6] != 0 || head[7] != 0)
	switch {
	case odd:
	case dir == wire.ToServer:
		if memcachedExtras(op) != extras || memcachedKeyed(op) != (key > 0) && op != 0x10 || !memcachedValued(op) && total != key+extras {
			return No, false
		}
	default:
		if status := binary.BigEndian.Uint16(head[6:]); status > 6 && status&^0x21 != 0 && status&^7 != 0x80 || extras > 4 {
			return No, false
		}
	}
	if odd && !couchbaseOp(op) {
		return No, false
	}
	return Yes, odd
}

// memcachedExtras returns the bytes of extras in a request.
func memcachedExtras(op uint8) int64 {
	switch op {
	case 0x01, 0x02, 0x03, 0x11, 0x12, 0x13: // set, add, replace
		return 8
	case 0x05, 0x06, 0x15, 0x16: // incr, decr
		return 20
	case 0x08, 0x18: // flush: may be left out
		return 0
	case 0x1b, 0x1c, 0x1d, 0x1e, 0x23, 0x24: // verbosity, touch, get and touch
		return 4
	}
	return 0
}

// memcachedKeyed reports whether a request has a key.
func memcachedKeyed(op uint8) bool {
	switch op {
	case 0x07, 0x08, 0x0a, 0x0b, 0x10, 0x17, 0x18, 0x1b, 0x20: // quit, flush, noop, version, stat, quietly so, verbosity, SASL's list
		return false
	}
	return true
}

// memcachedValued reports whether a request may have a value.
func memcachedValued(op uint8) bool {
	switch op {
	case 0x01, 0x02, 0x03, 0x0e, 0x0f, 0x11, 0x12, 0x13, 0x19, 0x1a, 0x21, 0x22: // set, add, replace, append, prepend, quietly so, SASL
		return true
	}
	return false
}

// couchbaseOp reports whether an operation is one that Couchbase has.
func couchbaseOp(op uint8) bool {
	switch op {
	case 0x1f, 0x20, 0x21, 0x22, 0x89, 0xb5, 0xb6, 0x91, 0x92, 0xa0, 0xa2, 0xa3, 0xa4, 0xa8, 0xb0, 0xb1, 0xc5, 0xd0, 0xd1, 0xfe:
		return true
	}
	return op <= 0x26 || op >= 0x50 && op <= 0x65
}

// probeMemcachedUDP knows the frame header of a datagram, and what is behind it.
func probeMemcachedUDP(dir wire.Dir, head []byte) Guess {
	c := wire.Cut(head)
	c.Skip(2)
	seq, total, reserved := c.U16(), c.U16(), c.U16()
	if c.Len() == 0 || reserved != 0 || total == 0 || seq >= total {
		return No
	}
	if seq > 0 && dir == wire.ToClient { // what goes on has no shape of its own
		return No
	}
	if probeMemcached(dir, c.Rest()) == Yes {
		return Yes
	}
	return No
}

// probeCouchbase says Yes to headers of the binary protocol that Couchbase alone has.
func probeCouchbase(dir wire.Dir, head []byte) Guess {
	g, odd := probeMemcachedBinary(dir, head)
	if g == Yes && !odd {
		return No
	}
	return g
}
