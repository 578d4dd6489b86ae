package enforce

import (
	"weir/engine"
	"weir/wire"
)

// From the specification: linux/netfilter/nfnetlink_queue.h.
const (
	queuePacket       = 0 // message types
	queueVerdict      = 1
	queueConfig       = 2
	queueVerdictBatch = 3

	packetHeader   = 1 // attributes of a packet: struct nfqnl_msg_packet_hdr
	verdictHeader  = 2 // struct nfqnl_msg_verdict_hdr
	packetMark     = 3
	packetPayload  = 10
	packetLen      = 13 // of the whole packet, where it was cut
	packetSkbFlags = 14

	skbChecksumMissing    = 1 // the kernel has yet to fill it in
	skbChecksumUnverified = 4

	hookOutput = 3

	verdictDrop   = 0
	verdictAccept = 1
	verdictRepeat = 4 // go through the hook again
)

// Ours.
const (
	maxPayload = 0xffff - attributeLen    // bytes of a packet that fit into an attribute
	maxMessage = maxPayload + 1<<10       // bytes of a message from a queue
	batchBytes = 1 << 20                  // of packets that are judged in one go
	batchMost  = 256                      // packets, likewise
	answerMost = batchMost*(48+8) + 1<<16 // bytes of the verdicts on them, and of a reset in a packet's stead
)

// packet is what a queue tells of a packet beside its bytes.
type packet struct {
	id   uint32
	mark uint32
	hook uint8
	long length
}

// length is what was made of a packet for its length.
type length uint8

const (
	whole     length = iota // nothing
	shortened               // its end was cut off
	unfit                   // that cannot be done: it is lost, and comes again shorter
)

// batch is the scratch that one queue's work needs for what it holds at a time. There are as many as may work at once, not as queues.
type batch struct {
	lane     *engine.Lane
	buf      []byte
	used     int
	packets  []packet
	frames   []wire.Frame
	rulings  []engine.Ruling
	cuts     []engine.Cut
	clears   uint64 // what q.clears was when it was begun to judge them
	verdicts messages
}

func newBatch(lane *engine.Lane) *batch {
	return &batch{
		lane:     lane,
		buf:      make([]byte, batchBytes+maxMessage),
		packets:  make([]packet, 0, batchMost),
		frames:   make([]wire.Frame, 0, batchMost),
		rulings:  make([]engine.Ruling, batchMost),
		cuts:     make([]engine.Cut, 0, batchMost),
		verdicts: messages{b: make([]byte, 0, answerMost)},
	}
}

func (b *batch) reset() {
	b.used, b.packets, b.frames, b.cuts = 0, b.packets[:0], b.frames[:0], b.cuts[:0]
	clear(b.rulings)
	b.verdicts.b = b.verdicts.b[:0]
}

// room reports whether there is room for one message more.
func (b *batch) room() bool { return b.used < batchBytes && len(b.packets) < batchMost }

// space is where the next message goes.
func (b *batch) space() []byte { return b.buf[b.used:][:maxMessage] }

// keep takes the packet that the body of a message holds, of those in space, n bytes. bare says that it came without its bytes.
func (b *batch) keep(body []byte, n int) (p packet, bare, ok bool) {
	if len(body) < familyLen {
		return p, false, false
	}
	var f wire.Frame
	for rest := body[familyLen:]; ; {
		typ, data, next, more := attribute(rest)
		if !more {
			break
		}
		rest = next
		switch {
		case typ == packetHeader && len(data) >= 7:
			p.id, p.hook, ok = network.Uint32(data), data[6], true
		case typ == packetMark && len(data) >= 4:
			p.mark = network.Uint32(data)
		case typ == packetPayload:
			f.Data = data
		case typ == packetLen && len(data) >= 4:
			f.Len = network.Uint32(data)
		case typ == packetSkbFlags && len(data) >= 4:
			switch v := network.Uint32(data); {
			case v&skbChecksumMissing != 0:
				f.Flag |= wire.FlagCsumPartial
			case v&skbChecksumUnverified == 0:
				f.Flag |= wire.FlagCsumValid
			}
		}
	}
	if !ok || len(f.Data) == 0 {
		return p, ok, ok
	}
	f.Len = max(f.Len, uint32(len(f.Data)))
	f.Link = wire.LinkRaw
	if p.hook == hookOutput {
		f.Flag |= wire.FlagOutgoing
	}
	b.packets, b.frames = append(b.packets, p), append(b.frames, f)
	b.used += (n + 7) &^ 7
	return p, false, true
}

// verdict adds a verdict on one packet.
func (b *batch) verdict(queue uint16, id, verdict uint32) {
	b.verdictOpen(queue, queueVerdict, id, verdict)
	b.verdicts.end()
}

// acceptUpTo adds an acceptance of every packet up to id that has no verdict yet.
func (b *batch) acceptUpTo(queue uint16, id uint32) {
	b.verdictOpen(queue, queueVerdictBatch, id, verdictAccept)
	b.verdicts.end()
}

// marked adds the acceptance of a packet with a mark for the rules after the queue.
func (b *batch) marked(queue uint16, id, mark uint32) {
	b.verdictOpen(queue, queueVerdict, id, verdictAccept)
	b.verdicts.u32(packetMark, mark)
	b.verdicts.end()
}

// replaced adds the acceptance of a packet with other bytes.
func (b *batch) replaced(queue uint16, id uint32, data []byte) {
	b.verdictOpen(queue, queueVerdict, id, verdictAccept)
	b.verdicts.attr(packetPayload, data...)
	b.verdicts.end()
}

func (b *batch) verdictOpen(queue uint16, typ uint8, id, verdict uint32) {
	m := &b.verdicts
	m.netfilter(subsysQueue, typ, 0, 0, queue)
	at := m.open(verdictHeader)
	m.b = network.AppendUint32(m.b, verdict)
	m.b = network.AppendUint32(m.b, id)
	m.close(at)
}
