package tunnel

import (
	"encoding/binary"
	"hash/maphash"
	"math"
	"math/bits"

	"weir/wire"
)

// Ours.
const (
	echoPairs = 24        // pairs of hosts
	echoSize  = 400       // bytes of one
	echoRing  = 32        // requests that a reply is compared with
	echoHead  = 24        // bytes at the front of a ping's payload in which programs count, time and name themselves
	echoTail  = 32        // bytes behind them that are the same in every ping
	echoAgain = 10 * 60e9 // ns until a pair is told of again
	echoDense = 128       // bytes of which entropy is measured at least
)

// from the specification: RFC 792, RFC 4443
const (
	echoHeader               = 8 // bytes
	echoRequest, echoReply   = 8, 0
	echoRequest6, echoReply6 = 128, 129
)

// IsEcho reports whether a message of ICMP or ICMPv6 is an echo request or reply with data in it.
func IsEcho(message []byte) bool {
	if len(message) <= echoHeader {
		return false
	}
	switch message[0] {
	case echoRequest, echoReply, echoRequest6, echoReply6:
		return true
	}
	return false
}

// Echo looks at a message of ICMP or ICMPv6, if it is an echo request or reply. now is the frame's time, ns since the epoch.
func (w *Watch) Echo(now int64, key *wire.Key, message []byte) (Verdict, bool) {
	if !IsEcho(message) {
		return Verdict{}, false
	}
	payload, reply := message[echoHeader:], message[0] == echoReply || message[0] == echoReply6
	e := w.pair(now, key)
	e.last = now
	side := 0
	if reply {
		side = 1
	}
	e.seen[side]++
	e.bytes[side] += uint32(len(payload))
	if IsIP(payload) {
		e.packets++
	}
	if len(payload) >= 4 {
		switch binary.BigEndian.Uint32(payload) {
		case 0xd5200880: // ptunnel, ptunnel-ng
			e.marks++
		case 0x68616e63, 0x68616e73: // hans: "hanc", "hans"
			e.marks++
		}
	}
	if reply {
		e.reply(w.seed, payload)
	} else {
		e.request(w.seed, payload)
	}
	return e.judge(now)
}

func tailOf(payload []byte) []byte {
	if len(payload) <= echoHead {
		return nil
	}
	return payload[echoHead:min(len(payload), echoHead+echoTail)]
}

func (e *echo) request(seed maphash.Seed, payload []byte) {
	e.ring[e.turn%echoRing] = maphash.Bytes(seed, payload)
	e.turn++
	e.size |= 1 << (len(payload) / 4 % 64)
	tail := tailOf(payload)
	if len(tail) < 8 {
		return
	}
	h := maphash.Bytes(seed, tail)
	if e.seen[0] > 1 && h != e.tail {
		count(&e.changes)
		if len(payload) >= echoDense && dense(payload[echoHead:]) {
			count(&e.dense)
		}
	}
	e.tail = h
}

func (e *echo) reply(seed maphash.Seed, payload []byte) {
	if e.seen[0] == 0 { // the requests were not seen
		return
	}
	h := maphash.Bytes(seed, payload)
	for _, r := range e.ring {
		if r == h {
			return
		}
	}
	if tail := tailOf(payload); len(tail) < 8 || maphash.Bytes(seed, tail) != e.tail {
		count(&e.differs)
	}
}

// judge weighs what is known of a pair of hosts.
func (e *echo) judge(now int64) (Verdict, bool) {
	if e.told != 0 && now-e.told < echoAgain {
		return Verdict{Kind: KindICMP, Again: true}, true
	}
	var p points
	if e.marks >= 2 {
		p.add(80, "the mark of a tunnel's packets (ptunnel, hans)")
	}
	if e.packets >= 2 {
		p.add(80, "payloads that are IP packets")
	}
	if e.differs >= 3 {
		p.add(50, "replies that are not what was asked to be echoed")
		if e.bytes[0]+e.bytes[1] >= 512 {
			p.add(15, "with data in them")
		}
	}
	switch {
	case e.changes >= 30:
		p.add(60, "payloads that change from request to request, where pings have the same")
	case e.changes >= 10:
		p.add(40, "payloads that change from request to request, where pings have the same")
	}
	if e.changes >= 10 && bits.OnesCount64(e.size) >= 5 {
		p.add(15, "of many lengths")
	}
	if e.dense >= 8 {
		p.add(15, "of high entropy")
	}
	v, ok := p.verdict(KindICMP)
	if ok {
		e.told = now
	}
	return v, ok
}

// pair returns what is remembered of a pair of hosts; the one without a ping for longest makes room for a new one.
func (w *Watch) pair(now int64, key *wire.Key) *echo {
	oldest := 0
	for i := range w.pairs {
		if w.pairs[i].key == *key && w.pairs[i].last != 0 {
			return &w.pairs[i]
		}
		if w.pairs[i].rank() < w.pairs[oldest].rank() {
			oldest = i
		}
	}
	w.pairs[oldest] = echo{key: *key}
	return &w.pairs[oldest]
}

// rank orders pairs: those without anything odd first, the one without a ping for longest before.
func (e *echo) rank() int64 {
	odd := int64(e.changes) + int64(e.differs) + int64(e.packets) + int64(e.marks)
	return e.last + min(odd, 100)*60e9
}

// dense reports whether b looks encrypted or compressed.
func dense(b []byte) bool {
	var seen [256]uint16
	b = b[:min(len(b), 1500)]
	for _, c := range b {
		seen[c]++
	}
	sum := 0.0
	for _, c := range seen {
		if c > 0 {
			p := float64(c) / float64(len(b))
			sum -= p * math.Log2(p)
		}
	}
	return sum >= 0.85*math.Min(8, math.Log2(float64(len(b))))
}
