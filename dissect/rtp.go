package dissect

import (
	"encoding/binary"

	"weir/wire"
)

// RTP is the Real-time Transport Protocol, and RTCP between the same ends: RFC 3550. Its header says little: a flow that nobody announced is
// taken for it only after several packets that follow each other.
var RTP = Protocol{
	Name: "rtp",
	About: "RTP (RFC 3550), where SDP or RTSP announce it, or several packets in a row have the same source and numbers that follow each other. What it " +
		"carries is inspected as it is.",
	Carrier: Datagram, Probe: probeRTP, PerMessage: true, New: newRTP, Fields: rtpFields,
}

// RTPAnnounced is RTP in flows that another one has announced.
var RTPAnnounced = Protocol{Name: "rtp", Carrier: Datagram, Probe: probeNone, Expected: probeRTP, PerMessage: true, New: newRTPAnnounced, Fields: rtpFields}

// probeNone is the probe of what is never found by looking.
func probeNone(wire.Dir, []byte) Guess { return No }

var rtpFields = []FieldSpec{
	rtpType:    {Name: "rtp.payload_type", Doc: "payload type of the media, digits", Derived: true},
	rtpSource:  {Name: "rtp.ssrc", Doc: "source of the media, hex", Derived: true},
	rtpPayload: {Name: "rtp.payload", Doc: "what a packet carries; also extension headers and RTCP in the same flow"},
}

// RTCP is RTP's control protocol in flows of its own.
var RTCP = Protocol{
	Name:    "rtcp",
	About:   "RTCP (RFC 3550) in flows of its own, by compound packets whose lengths add up. It is only named: its bytes are inspected raw.",
	Carrier: Datagram, Probe: probeRTCP,
}

// Fields of RTP.
const (
	rtpType Field = iota
	rtpSource
	rtpPayload
)

// from the specification
const (
	rtpHeader  = 12  // bytes
	rtcpFirst  = 192 // packet types of RTCP: RFC 5761 section 4
	rtcpLast   = 223
	rtcpSender = 200
	rtcpBye    = 203
)

// ours
const (
	rtpEnough = 4       // packets in a row that make a flow RTP which nobody announced
	rtpAhead  = 16      // numbers that one may be ahead of the one before it
	rtpLeap   = 1 << 20 // units that its time may be ahead
	rtpGiveUp = 16      // datagrams that do not follow, after which it is no RTP
)

func probeRTP(_ wire.Dir, head []byte) Guess { return yes(isRTP(head) || isRTCP(head)) }

// isRTP reports whether b may be a packet: version 2, no type of RTCP, and room for what the header announces.
func isRTP(b []byte) bool {
	if len(b) < rtpHeader+1 || b[0]>>6 != 2 || b[1] >= rtcpFirst && b[1] <= rtcpLast {
		return false
	}
	typ := b[1] & 0x7f
	at := rtpHeader + 4*int(b[0]&15)
	if typ > 34 && typ < 77 || binary.BigEndian.Uint32(b[8:]) == 0 {
		return false
	}
	if b[0]&0x10 != 0 {
		if len(b) < at+4 {
			return false
		}
		at += 4 + 4*int(binary.BigEndian.Uint16(b[at+2:]))
	}
	return at <= len(b) && (b[0]&0x20 == 0 || len(b) == MaxProbe || int(b[len(b)-1]) <= len(b)-at && b[len(b)-1] > 0)
}

func probeRTCP(_ wire.Dir, head []byte) Guess { return yes(isRTCP(head)) }

// isRTCP reports whether b is a compound packet: reports first, with lengths that fill it.
func isRTCP(b []byte) bool {
	if len(b) < 8 || b[1] < rtcpSender || b[1] > rtcpSender+7 {
		return false
	}
	n := 0
	for c := wire.Cut(b); c.Len() > 0; n++ {
		first, typ, size := c.U8(), c.U8(), int(c.U16())
		if first>>6 != 2 || typ < rtcpSender || typ > rtcpSender+7 || n > 0 && first&0x20 != 0 && c.Len() > 4*size {
			return false
		}
		c.Skip(4 * size)
		if c.Short() {
			return false
		}
		switch typ {
		case rtcpSender:
			if size < 6+6*int(first&31) {
				return false
			}
		case rtcpSender + 1:
			if size < 1+6*int(first&31) {
				return false
			}
		}
	}
	return b[1] <= rtcpSender+1 && (n > 1 || len(b) >= 8 && b[0]&31 > 0 || b[1] == rtcpSender) || n > 1
}

// rtp parses one flow.
type rtp struct {
	p    *Protocol
	env  *Env
	last uint64
	bad  uint8
	sure bool
	told bool // type and source were
	side [2]rtpSide
}

// rtpSide is the last packet of a direction.
type rtpSide struct {
	source uint32
	time   uint32
	seq    uint16
	count  uint8
}

func newRTP(p *Protocol, env *Env) Dissector { return &rtp{p: p, env: env} }

func newRTPAnnounced(p *Protocol, env *Env) Dissector { return &rtp{p: p, env: env, sure: true} }

// Feed implements Dissector.
func (d *rtp) Feed(dir wire.Dir, b []byte, emit func(*Message)) (Progress, error) {
	media := isRTP(b)
	switch {
	case d.sure:
	case !media:
		if d.bad++; d.bad > rtpGiveUp {
			return Progress{}, errDatagram
		}
		return Progress{}, nil
	case !d.follows(&d.side[dir], b):
		return Progress{}, nil
	}
	if !media && !isRTCP(b) { // DTLS, STUN, keep alive
		return Progress{}, nil
	}
	d.last++
	u := unit{id: d.last, tx: d.last}
	t := d.env.teller(d.p, dir, &u, emit)
	if !media {
		t.add(rtpPayload, b)
	} else {
		if !d.told {
			d.told = true
			t.number(rtpType, int64(b[1]&0x7f))
			t.hexed(rtpSource, b[8:12])
		}
		t.add(rtpPayload, b[rtpHeader:])
	}
	t.flush(true, true)
	return Progress{Used: len(b)}, nil
}

// follows looks at a packet while it is not sure what this is, and reports whether it is now.
func (d *rtp) follows(s *rtpSide, b []byte) bool {
	seq, at, source := binary.BigEndian.Uint16(b[2:]), binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint32(b[8:])
	ahead, leap := seq-s.seq, int32(at-s.time)
	if s.count > 0 && source == s.source && ahead >= 1 && ahead <= rtpAhead && leap >= 0 && leap < rtpLeap {
		s.count++
	} else {
		if s.count > 0 {
			d.bad++
		}
		s.count = 1
	}
	s.source, s.time, s.seq = source, at, seq
	d.sure = s.count >= rtpEnough
	return d.sure
}

// Gap implements Dissector.
func (d *rtp) Gap(wire.Dir, int, func(*Message)) bool { return true }

// Close implements Dissector.
func (d *rtp) Close(wire.Dir, func(*Message)) {}

// Rest implements Dissector.
func (d *rtp) Rest() (Rest, bool) { return Rest{}, false }

// Size implements Dissector.
func (d *rtp) Size() int { return 96 }
