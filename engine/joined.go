package engine

import (
	"weir/dissect"
	"weir/tunnel"
)

// joinedWhy is why an alert names a field that no packet has.
const joinedWhy = "put together from the names of several queries; those before were told when they came"

// joinNames looks at what the name of a query says with those before it. found says that the rules have found something in it already: what is
// looked for together begins anew.
func (l *Lane) joinNames(m *dissect.Message, found bool) {
	if l.scan == nil || l.rules.db == nil || !l.rules.asked.Has(m.Protocol, dissect.DNSLabels) {
		return
	}
	t := l.t
	if t.joined == nil {
		if !t.opens.bytes.Fits(tunnel.JoinedSize) {
			t.tellOnce("engine", "dlp.names_budget", "no memory to put the names of queries together")
			return
		}
		t.opens.bytes.Use(tunnel.JoinedSize)
		t.joined = tunnel.NewJoined()
	}
	texts, dropped := t.joined.Add(t.now, &l.fl.Key, m)
	if dropped {
		t.tellOnce("engine", "dlp.names_budget", "more domains are asked for names that may belong together than are remembered: the oldest was forgotten")
	}
	if found {
		t.joined.Found()
		return
	}
	for i, text := range texts {
		l.joinedParts[0] = dissect.Part{Field: dissect.DNSLabels, Value: joinedValue + uint32(i), Bytes: text}
		l.joinedMsg = dissect.Message{Protocol: m.Protocol, ID: m.ID, Tx: m.Tx, Dir: m.Dir, Parts: l.joinedParts[:], End: i == len(texts)-1}
		sure := l.sure
		l.match(&l.joinedMsg)
		found = found || l.sure > sure
	}
	if found {
		t.joined.Found()
		if r := l.a.find(m); r != nil {
			r.hideNames()
		}
	}
}

// joinedValue numbers the values of what names say together: beyond those of a message.
const joinedValue = 1 << 24

// hideNames leaves the names out that an exchange asks for.
func (r *record) hideNames() {
	for i := range r.items {
		if it := &r.items[i]; dissectName(r.proto, it.field) {
			it.hidden = true
		}
	}
}

func dissectName(p *dissect.Protocol, f dissect.Field) bool {
	name := p.Fields[f].Name
	return name == "dns.query" || name == "dns.question"
}
