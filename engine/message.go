package engine

import (
	"cmp"

	"weir/alert"
	"weir/content"
	"weir/dissect"
	"weir/dlp"
)

// onMessage is what dissectors emit to.
func (l *Lane) onMessage(m *dissect.Message) {
	a := l.a
	a.unsure = false // a dissector that tells something has found out
	m.ID += a.idBase // restored below: the message is the dissector's
	m.Tx += a.txBase
	if m.With != 0 {
		m.With += a.idBase
	}
	a.lastID, a.lastTx = max(a.lastID, m.ID), max(a.lastTx, m.Tx)
	l.t.count.messages++
	l.record(m)
	sure := l.sure
	l.inspect(m)
	if m.Protocol == &dissect.DNS || m.Protocol == &dissect.DNSTCP {
		l.joinNames(m, l.sure > sure)
	}
	l.seekTunnels(m)
	l.judgeMessage(m)
	if w := l.rules.law; w != nil && w.names {
		l.learnNames(m)
	}
	l.noteMessage(m)
	if len(m.Notes) > 0 {
		l.notes(m)
	}
	if m.End && (a.sure == probable || a.turning) {
		l.heard(a, m)
	}
	if len(m.Expect) > 0 {
		l.expect(m)
	}
	if m.Upgrade {
		a.upgrade, a.next, a.nextState = true, m.Next, m.NextState
	}
	if m.TxEnd {
		a.txs++
	}
	if m.TxEnd || m.End && m.Protocol.PerMessage {
		l.endRecord(m)
	}
	m.ID -= a.idBase
	m.Tx -= a.txBase
	if m.With != 0 {
		m.With -= a.idBase
	}
}

// endRecord tells what was written down of an exchange, all of which has been seen.
func (l *Lane) endRecord(m *dissect.Message) {
	if i := l.a.indexOf(m); i >= 0 {
		l.tellRecord(l.a.records[i])
		l.dropRecord(i)
	}
}

// inspect runs the rules over a message and over what its values carry inside, and tells what they found.
func (l *Lane) inspect(m *dissect.Message) {
	if l.scan == nil || l.rules.db == nil {
		return
	}
	if l.Trace != nil {
		l.Trace.Message(l.fl.ID, m)
	}
	end, parts := m.End, m.Parts
	m.End = false // what is inside belongs to it
	l.match(m)
	l.plain = m
	l.opener.Open(&l.a.content, m, l.rules.asked, l.matchInside)
	l.plain = nil
	l.refused()
	l.keepMembers(m)
	if end {
		m.End = true
		if !l.a.dlp.Empty() {
			m.Parts = nil // they have been matched
			l.match(m)
			m.Parts = parts
		}
	}
}

// match runs the rules over a message, or over a view of what the present message's values carry inside.
func (l *Lane) match(m *dissect.Message) {
	if l.Trace != nil && l.plain != nil {
		l.Trace.Inside(l.fl.ID, m)
	}
	l.hits = l.scan.Inspect(&l.a.dlp, m, l.hits[:0])
	l.judged()
	if len(l.hits) > 0 {
		l.found(m, l.hits)
	}
	l.gaveUp()
}

// refused tells what values carry inside that was not opened.
func (l *Lane) refused() {
	for i := range l.opener.Refused() {
		r := &l.opener.Refused()[i]
		l.t.undecodable++
		l.a.skip(r.Bytes, r.Code)
		if l.a.tell(r.Code) {
			l.unopened(r)
		}
	}
}

// unopened tells of one thing that was not opened.
func (l *Lane) unopened(r *content.Refusal) {
	l.t.count.anomalies++
	if !l.e.listens("anomaly") || l.e.full() {
		return
	}
	ev := l.event("anomaly")
	ev.Anomaly = &alert.Anomaly{Type: "applayer", Event: r.Code, Layer: layerOf["applayer"], AppProto: ev.AppProto, Detail: r.Detail}
	ev.Weir.Why = r.Detail
	if r.Form != "" {
		ev.Weir.Why = r.Form + ": " + r.Detail
	}
	ev.Weir.Uninspected = &alert.Uninspected{Reason: r.Code, Bytes: uint64(r.Bytes)}
	l.send(ev)
}

// gaveUp tells what detection did not look at for want of budget.
func (l *Lane) gaveUp() {
	n, why := l.scan.GaveUp()
	if n == 0 && why == "" {
		return
	}
	l.t.shed += uint64(n)
	l.a.skip(int(n), why)
	if l.a.tell(why) {
		l.anomaly("engine", why, "detection reached a budget in this flow: not all of it was matched against all rules")
	}
}

// scanEnd ends all that detection has open for the flow.
func (l *Lane) scanEnd(a *app) {
	if l.scan == nil {
		return
	}
	l.opener.Close(&a.content, l.matchInside)
	l.refused()
	l.hits = l.scan.Close(&a.dlp, l.hits[:0])
	l.judged()
	if len(l.hits) > 0 {
		l.found(nil, l.hits)
	}
	l.gaveUp()
}

func (l *Lane) found(m *dissect.Message, hits []dlp.Hit) {
	a := l.a
	for i := range hits {
		h := &hits[i]
		l.t.count.hits++
		if !h.Unsure && !h.Given {
			l.sure++
		}
		if l.Trace != nil {
			l.traceFound(m, h)
		}
		if !h.Grown && !h.Given {
			a.found(h.Rule.ID, h.Unsure)
		}
		if m == nil { // found at the end of all: nothing of the value is shown
			for _, r := range a.records {
				r.hide(h)
			}
		} else if r := a.find(m); r != nil {
			had := len(r.found)
			r.mask(h, foundBytes(cmp.Or(l.plain, m), h), l.scan.Found(h))
			a.know(r.found[had:]) // what is told beside it, before it is over, may show it too
		}
	}
	for i := range hits {
		h := &hits[i]
		if !l.raises(h) {
			continue
		}
		for j := i + 1; j < len(hits); j++ { // all that is known by now: a column of cards is told with its count
			if o := &hits[j]; o.Rule == h.Rule && o.Message == h.Message && o.Dir == h.Dir && !o.Test {
				h.Count, h.Distinct = max(h.Count, o.Count), max(h.Distinct, o.Distinct)
			}
		}
		l.alertHit(m, h)
	}
}
