package engine

import (
	"bytes"

	"weir/dissect"
	"weir/flow"
	"weir/wire"
)

// chunks takes the chunks of the present flow.
func (l *Lane) chunks(list []flow.Chunk) {
	if len(list) == 0 {
		return
	}
	for l.left = list; len(l.left) > 0; {
		l.chunk(&l.left[0])
		if len(l.left) > 0 { // a panic drops them
			l.left = l.left[1:]
		}
	}
	if a := l.fl.S.app; a != nil && a.twin == nil { // else it is done with the lock held
		l.settle(a)
	}
}

// chunk dissects and inspects bytes that came in order.
func (l *Lane) chunk(c *flow.Chunk) {
	fl := l.fl
	if fl.S.app == nil {
		if len(c.Data) == 0 && c.Gap == 0 {
			return
		}
		l.begin(fl)
	}
	if tw := fl.S.app.twin; tw != nil {
		l.twinChunk(tw, c)
		return
	}
	l.a = fl.S.app
	l.take(c)
}

// take gives a chunk to layer 7.
func (l *Lane) take(c *flow.Chunk) {
	a := l.a
	if l.Trace != nil {
		l.Trace.Chunk(l.fl.ID, c)
	}
	if a.panicked {
		a.skip(len(c.Data), whyPanic)
		return
	}
	l.wake(a)
	if c.Refused {
		l.refusedBytes(c)
		return
	}
	if l.fl.Key.Proto != wire.ProtoTCP {
		l.datagram(a, c)
		l.judgeBytes(a, c.Dir, len(c.Data))
		return
	}
	if c.Gap > 0 {
		if l.fl.S.shed() {
			a.skip(c.Gap, whyShed)
		}
		l.gap(a, c.Dir, c.Gap)
	}
	if len(c.Data) > 0 {
		l.stream(a, c.Dir, c.Data)
		l.judgeBytes(a, c.Dir, len(c.Data))
	}
	if c.End {
		l.end(a, c.Dir)
	}
}

// stream feeds bytes of one direction to whatever understands them.
func (l *Lane) stream(a *app, dir wire.Dir, data []byte) {
	for n := 0; len(data) > 0; n++ {
		switch a.at[dir] {
		case parsed:
			data = l.feed(a, dir, data)
		case fresh:
			data = l.probe(a, dir, data)
		default:
			data = l.unknown(a, dir, data)
		}
		if n == maxUpgrades {
			l.raw(a, dir, data, true)
			return
		}
	}
}

const maxUpgrades = 16 // changes of protocol within one chunk

// probe asks what a direction's first bytes are. It returns what is to be dealt with anew, now that more is known.
func (l *Lane) probe(a *app, dir wire.Dir, data []byte) []byte {
	fl := l.fl
	if a.alive.empty() {
		a.alive = candidates(dissect.Stream)
		a.alive.without(&a.tried)
	}
	head := l.join(dir, data)
	if a.proto != nil && a.d != nil { // the other direction has told
		if a.proto.Probe(dir, head[:min(len(head), dissect.MaxProbe)]) == dissect.No {
			other, maybe := l.contradicts(a, dir, head)
			if other {
				a.at[dir], a.alive = unknown, protocols{}
				return l.notIt(a, dir, head, data)
			}
			if maybe && l.keep(dir, head) {
				l.peek(a, dir, head)
				return nil
			}
		}
		a.at[dir], a.alive = parsed, protocols{} // its parser knows best
		return head
	}
	if !l.partial() && !a.followed {
		a.alive.opened(dir, head)
	}
	p, maybe := l.announced(a, dissect.Stream, dir, head), false
	if p == nil {
		p, maybe = identify(&a.alive, dissect.Stream, dir, head, fl.Key.APort, fl.Key.BPort)
	}
	switch {
	case p != nil && p.New == nil:
		l.named(a, p)
		l.flush(a, dir.Other())
		return head
	case p != nil:
		l.start(a, p)
		other := dir.Other()
		a.at[dir] = parsed
		if a.at[other] != fresh {
			return head
		}
		if dir == wire.ToClient { // what the client said before comes first
			l.flush(a, other)
			return head
		}
		rest := l.feed(a, dir, head)
		if a.d != nil && a.at[other] == fresh {
			l.flush(a, other)
		}
		return rest
	case maybe && l.keep(dir, head):
		l.peek(a, dir, head)
		return nil
	}
	a.at[dir] = unknown
	if a.alive.empty() || a.at[dir.Other()] != fresh {
		a.at[dir.Other()] = unknown
		l.flush(a, dir.Other())
	}
	return l.notIt(a, dir, head, data)
}

// notIt deals with bytes that were held because they might have been the beginning of something: what came now may be
// one.
func (l *Lane) notIt(a *app, dir wire.Dir, head, data []byte) []byte {
	held := len(head) - len(data)
	if held > 0 {
		l.raw(a, dir, head[:held], true)
	}
	return head[held:]
}

// flush deals with what is held for dir.
func (l *Lane) flush(a *app, dir wire.Dir) {
	held := l.join(dir, nil)
	if len(held) == 0 {
		return
	}
	l.stream(a, dir, held)
}

// named makes p, which has no parser, the protocol of the flow: its bytes are inspected raw.
func (l *Lane) named(a *app, p *dissect.Protocol) {
	l.recognised(a, p)
	a.alive, a.reprobes = protocols{}, 0
	a.at = [2]place{unknown, unknown}
}

// start makes p the protocol of the flow.
func (l *Lane) start(a *app, p *dissect.Protocol) {
	l.recognised(a, p)
	env := l.env()
	a.d = p.New(p, env)
	env.Announced = ""
	a.idBase, a.txBase = a.lastID, a.lastTx
	a.need, a.alive = [2]int{}, protocols{}
}

// feed gives the dissector what it left over and data. It returns bytes that turned out to be another protocol's.
func (l *Lane) feed(a *app, dir wire.Dir, data []byte) (again []byte) {
	data = l.join(dir, data)
	if len(data) < a.need[dir] && l.keep(dir, data) {
		a.hold(dir, len(data))
		return nil
	}
	l.understood(a, dir)
	pr, err := a.d.Feed(dir, data, l.emit)
	rest := data[min(pr.Used, len(data)):]
	l.unread(a, dir, &pr)
	a.taken = a.taken || pr.Used > 0
	switch {
	case err != nil && pr.Used == 0 && !a.taken:
		l.mistaken(a)
		return rest
	case err != nil:
		l.anomaly("applayer", a.proto.Name+".malformed", "these bytes are not valid for the protocol: inspected as raw bytes from here on")
		l.t.count.malformed++
		a.broken()
		l.lose(a, dir)
		return rest
	case a.upgrade:
		l.upgraded(a)
		return rest
	}
	a.need[dir] = 0
	a.hold(dir, 0)
	switch {
	case len(rest) == 0:
		return nil
	case len(rest)+pr.Need > maxHeld || !l.keep(dir, rest):
		return l.overBudget(a, dir, rest)
	}
	a.need[dir] = len(rest) + pr.Need
	a.hold(dir, len(rest))
	return nil
}

// hold notes how much is held of a direction, for the policy.
func (a *app) hold(dir wire.Dir, n int) {
	if dir == wire.ToServer {
		a.held = n
	}
}

// keep holds bytes for the next chunk of dir. Of a flow that is ending the table keeps nothing any more: the lane does,
// until the last chunks have been dealt with.
func (l *Lane) keep(dir wire.Dir, rest []byte) bool {
	if tw := l.fl.S.twin(); tw != nil {
		return tw.keep(dir, rest)
	}
	if l.closing {
		l.tail[dir] = bytes.Clone(rest)
		return true
	}
	return l.t.table.Keep(l.fl, dir, rest)
}

// join returns what is held of dir, followed by data. Nothing is held any more then.
func (l *Lane) join(dir wire.Dir, data []byte) []byte {
	data = l.joined(dir, data)
	if l.Trace != nil {
		l.Trace.Joined(l.fl.ID, dir, data)
	}
	return data
}

func (l *Lane) joined(dir wire.Dir, data []byte) []byte {
	if tw := l.fl.S.twin(); tw != nil {
		return tw.joinKept(dir, data)
	}
	data = l.t.table.Join(l.fl, dir, data)
	if tail := l.tail[dir]; tail != nil {
		l.tail[dir] = nil
		return append(tail, data...)
	}
	return data
}

const maxHeld = 1 << 20 // bytes of one unfinished message that are held for a dissector

// mistaken begins anew with a flow whose dissector took none of its bytes: the probe was wrong.
func (l *Lane) mistaken(a *app) {
	for dir := range wire.Dir(2) {
		a.d.Close(dir, func(*dissect.Message) {})
	}
	a.tried.add(index(a.proto))
	a.d, a.proto, a.need, a.unsure = nil, nil, [2]int{}, false
	a.at = [2]place{fresh, fresh}
	a.unrecognise()
}

// overBudget gives up understanding a direction whose unfinished message cannot be held; its bytes are inspected raw.
func (l *Lane) overBudget(a *app, dir wire.Dir, rest []byte) []byte {
	l.anomaly("applayer", a.proto.Name+".over_budget", "an unfinished message is larger than what may be held: inspected as raw bytes from here on")
	l.lose(a, dir)
	return rest
}

// lose drops the dissector: both directions are raw until a probe recognises a beginning again.
func (l *Lane) lose(a *app, dir wire.Dir) {
	a.d.Close(wire.ToServer, l.emit)
	a.d.Close(wire.ToClient, l.emit)
	l.scanEnd(a)
	a.d = nil
	a.at = [2]place{unknown, unknown}
	l.flush(a, dir.Other())
}

// upgraded begins anew: the flow carries another protocol from here on.
func (l *Lane) upgraded(a *app) {
	a.upgrade, a.followed = false, true
	a.d.Close(wire.ToServer, l.emit)
	a.d.Close(wire.ToClient, l.emit)
	l.scanEnd(a)
	a.d, a.alive, a.tried, a.taken, a.reprobes = nil, protocols{}, protocols{}, false, 0
	a.at, a.need = [2]place{fresh, fresh}, [2]int{}
	if a.sure < violated {
		a.unrecognise()
	}
	if p := a.next; p != nil {
		l.recognised(a, p)
		a.d = p.Resume(p, l.env(), dissect.Rest{State: a.nextState})
		a.idBase, a.txBase = a.lastID, a.lastTx
		a.at, a.next = [2]place{parsed, parsed}, nil
	}
}

// unknown inspects bytes that nobody understands. After a loss, an error or a mid-stream start the beginning of a
// chunk may be a beginning that a probe knows; while it may be, it is held.
func (l *Lane) unknown(a *app, dir wire.Dir, data []byte) []byte {
	head := l.join(dir, data)
	a.need[dir] = 0
	for a.reprobes < maxReprobes || a.d != nil && a.reprobes < maxRejoins {
		p, maybe := l.again(a, dir, head)
		if p != nil {
			if p.New == nil {
				l.named(a, p)
				break
			}
			if a.d == nil {
				l.start(a, p)
			}
			a.at[dir] = parsed
			l.rawEnd(a, dir)
			return head
		}
		if maybe && l.keep(dir, head) {
			a.need[dir] = 1
			l.peek(a, dir, head)
			return nil
		}
		a.reprobes++
		if len(head) == len(data) {
			break
		}
		head = l.notIt(a, dir, head, data)
	}
	l.raw(a, dir, head, true)
	return nil
}

// again probes whether data is the beginning of something: of the flow's protocol, if one direction has told.
func (l *Lane) again(a *app, dir wire.Dir, data []byte) (p *dissect.Protocol, maybe bool) {
	if a.d == nil {
		alive := candidates(dissect.Stream)
		if a.proto != nil && a.proto.New == nil { // only named: it may still begin TLS, as by STARTTLS
			alive = protocols{}
			alive.add(index(&dissect.TLS))
		}
		alive.without(&a.tried)
		return identify(&alive, dissect.Stream, dir, data, l.fl.Key.APort, l.fl.Key.BPort)
	}
	switch a.proto.Probe(dir, data[:min(len(data), dissect.MaxProbe)]) {
	case dissect.Yes:
		return a.proto, false
	case dissect.Maybe:
		return nil, len(data) < dissect.MaxProbe
	}
	return nil, false
}

// unheld waits no longer for what a direction says whose other one has told: its parser gets it.
func (l *Lane) unheld(a *app, dir wire.Dir) {
	if a.at[dir] == fresh && a.d != nil {
		a.at[dir], a.alive = parsed, protocols{}
		l.flush(a, dir)
	}
}

// gap tells everything of dir that n bytes were lost.
func (l *Lane) gap(a *app, dir wire.Dir, n int) {
	l.unheld(a, dir)
	switch a.at[dir] {
	case parsed:
		rest := l.join(dir, nil) // an unfinished head, say: inspected as it is, then dropped
		if len(rest) > 0 {
			l.raw(a, dir, rest, false)
		}
		a.need[dir] = 0
		if !a.d.Gap(dir, n, l.emit) {
			l.anomaly("applayer", a.proto.Name+".gap", "lost bytes: inspected as raw bytes until a beginning is recognised again")
			l.lose(a, dir)
		}
	default:
		if rest := l.join(dir, nil); len(rest) > 0 {
			l.raw(a, dir, rest, true)
		}
		if a.at[dir] == fresh {
			a.alive = protocols{}
		}
		a.raw[dir] += uint64(n)
	}
}

// end tells that dir will bring no more bytes.
func (l *Lane) end(a *app, dir wire.Dir) {
	if a.ended[dir] {
		return
	}
	a.ended[dir] = true
	l.unheld(a, dir)
	if a.at[dir] != parsed {
		a.at[dir] = unknown
		a.reprobes = maxRejoins
		l.flush(a, dir)
	} else if a.d != nil {
		l.endParsed(a, dir)
	}
	l.rawEnd(a, dir)
}

// endParsed ends a direction that the dissector was fed: it takes what it left over, or nobody does.
func (l *Lane) endParsed(a *app, dir wire.Dir) {
	rest := l.join(dir, nil)
	a.d.Close(dir, l.emit)
	if len(rest) == 0 {
		return
	}
	pr, err := a.d.Feed(dir, rest, l.emit)
	l.unread(a, dir, &pr)
	if err != nil {
		l.t.count.malformed++
	}
	if rest = rest[min(pr.Used, len(rest)):]; len(rest) > 0 {
		l.raw(a, dir, rest, false)
	}
}

// raw inspects bytes of a direction's endless raw message. more is false if no byte can follow directly.
func (l *Lane) raw(a *app, dir wire.Dir, data []byte, more bool) {
	if a.at[dir] == dropped {
		a.skip(len(data), whyBudget)
		l.t.count.givenUpBytes += uint64(len(data))
	}
	if data = a.unpeeked(dir, data); len(data) == 0 && more {
		return
	}
	l.rawMessage(dir, rawID|uint64(dir), int64(a.raw[dir]), data, !more)
	a.raw[dir] += uint64(len(data))
	l.seekInRaw(a, dir, data, false)
	if a.sure == unrecognised {
		l.stillUnknown(a)
		l.noteUnknown(a)
	}
}

// rawEnd ends the raw message of a direction.
func (l *Lane) rawEnd(a *app, dir wire.Dir) {
	if n := a.raw[dir]; n > 0 {
		l.rawMessage(dir, rawID|uint64(dir), int64(n), nil, true)
	}
}

// refusedBytes inspects bytes that their receiver did not take: by themselves, for they are no part of what the flow says.
func (l *Lane) refusedBytes(c *flow.Chunk) {
	id := rawID | 2 | uint64(c.Dir) // those of the stream have 0 and 1 in place of 2
	l.parts[0] = dissect.Part{Field: dissect.RefusedBytes, Bytes: c.Data}
	l.msg = dissect.Message{Protocol: &dissect.Raw, ID: id, Tx: id, Dir: c.Dir, Parts: l.parts[:], End: true}
	l.inspect(&l.msg)
}

func (l *Lane) rawMessage(dir wire.Dir, id uint64, off int64, data []byte, end bool) {
	l.parts[0] = dissect.Part{Field: dissect.RawBytes, Off: off, Bytes: data, More: !end}
	l.msg = dissect.Message{Protocol: &dissect.Raw, ID: id, Tx: id, Dir: dir, Parts: l.parts[:], End: end}
	l.inspect(&l.msg)
}
