package weir_test

import (
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// player turns a dialogue into frames.
type player struct {
	t      testing.TB
	d      *dialogue
	w      way
	wrap   wrapping
	seq    [2]uint32 // next of client, server
	id     uint16
	ahead  [2]struct{ from, n uint32 } // bytes of client, server that were sent before those that they follow
	frames [][]byte
}

const (
	window = 64000 // as both ends advertise it, to be scaled
	wscale = 7     // shift
)

func play(t testing.TB, d *dialogue, w way, wrap wrapping) [][]byte {
	p := &player{t: t, d: d, w: w, wrap: wrap, seq: [2]uint32{w.isn, w.isn + 77777}}
	if d.udp {
		for _, a := range d.actions {
			p.udp(a)
		}
		return p.frames
	}
	p.handshake()
	for i := 0; i < len(d.actions); {
		n := i
		for n < len(d.actions) && d.actions[n].kind == "data" && d.actions[n].client == d.actions[i].client {
			n++
		}
		if n == i {
			p.do(d.actions[i])
			i++
			continue
		}
		p.turn(d.actions[i:n])
		i = n
	}
	p.close()
	return p.frames
}

func (p *player) emit(toServer bool, ls ...gopacket.SerializableLayer) {
	p.id++
	p.frames = append(p.frames, p.wrap.put(p.t, ipPacket{v6: p.wrap.v6, toServer: toServer, transport: ls, id: p.id})...)
}

func (p *player) udp(a action) {
	udp := &layers.UDP{SrcPort: layers.UDPPort(p.d.client), DstPort: layers.UDPPort(p.d.srv)}
	if !a.client {
		udp.SrcPort, udp.DstPort = udp.DstPort, udp.SrcPort
	}
	p.emit(a.client, udp, gopacket.Payload(a.data))
}

func side(client bool) int {
	if client {
		return 0
	}
	return 1
}

// segment is a TCP segment of one side at seq.
func (p *player) segment(client bool, seq uint32, data string, set func(*layers.TCP)) {
	tcp := &layers.TCP{SrcPort: layers.TCPPort(p.d.client), DstPort: layers.TCPPort(p.d.srv), Seq: seq,
		Ack: p.seq[side(!client)], ACK: true, Window: window}
	if !client {
		tcp.SrcPort, tcp.DstPort = tcp.DstPort, tcp.SrcPort
	}
	if set != nil {
		set(tcp)
	}
	p.emit(client, tcp, gopacket.Payload(data))
}

var scaled = []layers.TCPOption{{OptionType: layers.TCPOptionKindWindowScale, OptionLength: 3, OptionData: []byte{wscale}}}

func (p *player) handshake() {
	if p.d.noHandshake {
		return
	}
	p.segment(true, p.seq[0], p.d.synData, func(t *layers.TCP) { t.SYN, t.ACK, t.Ack, t.Options = true, false, 0, scaled })
	p.seq[0] += 1 + uint32(len(p.d.synData))
	p.segment(false, p.seq[1], "", func(t *layers.TCP) { t.SYN, t.Options = true, scaled })
	p.seq[1]++
	p.segment(true, p.seq[0], "", nil)
}

// turn sends what one side says, cut as the way asks, and acknowledges it.
func (p *player) turn(as []action) {
	client := as[0].client
	var cuts []string
	for _, a := range as {
		cuts = append(cuts, p.cut(a.data)...)
	}
	type seg struct {
		seq  uint32
		data string
	}
	var segs []seg
	for _, c := range cuts {
		segs = append(segs, seg{p.seq[side(client)], c})
		p.seq[side(client)] += uint32(len(c))
		if a := &p.ahead[side(client)]; a.n > 0 && a.from == p.seq[side(client)] {
			p.seq[side(client)] += a.n
			a.n = 0
		}
	}
	for i := range segs {
		s := segs[i]
		if p.w.reversed && !p.d.onlyWhole {
			// backwards in runs that fit a window
			const run = 2000
			base := i / run * run
			end := min(base+run, len(segs))
			s = segs[base+end-1-i]
		}
		n := 1
		if p.w.twice {
			n = 2
		}
		for range n {
			p.segment(client, s.seq, s.data, func(t *layers.TCP) { t.PSH = true })
		}
		if i%32 == 31 && !p.w.reversed {
			p.ackUpTo(!client, s.seq+uint32(len(s.data)))
		}
	}
	p.segment(!client, p.seq[side(!client)], "", nil)
}

func (p *player) ackUpTo(client bool, ack uint32) {
	p.segment(client, p.seq[side(client)], "", func(t *layers.TCP) { t.Ack = ack })
}

const maxSegment = 1400 // bytes

func (p *player) cut(data string) (out []string) {
	size := p.w.size
	switch {
	case p.d.onlyWhole || size == 0:
		size = maxSegment
	case size == -2:
		size = (len(data) + 1) / 2
	case len(data) > 20000:
		size = maxSegment // a large filler stays in large pieces
	}
	size = max(1, min(size, maxSegment))
	for len(data) > size {
		out, data = append(out, data[:size]), data[size:]
	}
	return append(out, data)
}

// do plays one thing that is not plain data.
func (p *player) do(a action) {
	me := side(a.client)
	next := p.seq[me]
	at := next + uint32(a.n)
	switch a.kind {
	case "gap":
		p.seq[me] += uint32(a.n)
	case "ack":
		p.segment(a.client, next, "", func(t *layers.TCP) { t.Ack += uint32(a.n) })
	case "rst":
		p.segment(a.client, at, "", func(t *layers.TCP) { t.RST = true })
	case "fin":
		p.segment(a.client, at, "", func(t *layers.TCP) { t.FIN = true })
	case "syn":
		p.segment(a.client, at, "", func(t *layers.TCP) { t.SYN, t.ACK, t.Ack = true, false, 0 })
	case "badsum":
		p.segment(a.client, next, a.data, func(t *layers.TCP) { t.Checksum = 1 })
	case "old":
		p.segment(a.client, next-uint32(len(a.data)), a.data, nil)
	case "decoy": // the same place again, with other bytes, before what comes next and behind a hole of one byte
		p.segment(a.client, next+1, a.data, nil)
	case "ahead":
		p.ahead[me].from, p.ahead[me].n = at, uint32(len(a.data))
		for data := a.data; len(data) > 0; {
			n := min(len(data), maxSegment)
			p.segment(a.client, at, data[:n], nil)
			data, at = data[n:], at+uint32(n)
		}
	case "urg":
		p.segment(a.client, next, a.data, func(t *layers.TCP) { t.URG, t.Urgent = true, uint16(len(a.data)) })
		p.seq[me] += uint32(len(a.data))
	case "close":
		p.segment(a.client, next, "", func(t *layers.TCP) { t.FIN = true })
		p.seq[me]++
	}
}

func (p *player) close() {
	p.segment(true, p.seq[0], "", func(t *layers.TCP) { t.FIN = true })
	p.seq[0]++
	p.segment(false, p.seq[1], "", func(t *layers.TCP) { t.FIN = true })
	p.seq[1]++
	p.segment(true, p.seq[0], "", nil)
}
