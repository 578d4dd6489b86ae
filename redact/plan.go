package redact

import (
	"bytes"
	"context"
	"strings"

	"weir/dissect"
	"weir/dlp"
	"weir/engine"
	"weir/flow"
	"weir/pcapstore"
	"weir/rules"
	"weir/wire"
)

// plan is what is known of a capture, and what will be done to it. One goroutine uses it.
type plan struct {
	o       *Options
	rules   map[string]*rules.Rule
	derived map[string]bool // fields that show again what another one has
	list    []*conversation
	at      map[flowID]int32
	of      []int32 // by packet: 2 × the number of its conversation + its direction; -1: none
	groups  map[groupID]*group
	named   map[[2][16]byte]bool // hosts in whose queries' names something was found together
	masker  dlp.Masker
	needles needles
	dec     wire.Decoder
	count   Counters

	packet  int    // that is being looked at
	comment string // its
}

type flowID struct {
	iface uint16
	id    uint64
}

type groupID struct {
	conversation int32
	dir          wire.Dir
	message      uint64
	text         string
}

// Why conversations are overwritten whole.
const (
	whyBlind   = "not all of it could be looked at"
	whyClaimed = "what was found in it once is not found any more"
	whyMany    = "too much was found in it"
	whyStill   = "something is found in it still"
	whyNames   = "names that it asks for are parts of what was found"
)

// namesField is the field of what stands in no packet alone.
var namesField = dissect.DNS.Fields[dissect.DNSLabels].Name

func newPlan(o *Options) *plan {
	p := &plan{o: o, rules: map[string]*rules.Rule{}, derived: map[string]bool{}, at: map[flowID]int32{}, groups: map[groupID]*group{}, named: map[[2][16]byte]bool{}}
	for _, r := range o.Set.Rules {
		p.rules[r.ID] = r
	}
	for _, pr := range dissect.Protocols {
		for _, f := range pr.Fields {
			p.derived[f.Name] = f.Derived
		}
	}
	return p
}

// look finds what is to be overwritten.
func (p *plan) look(ctx context.Context, in *pcapstore.Capture) error {
	if err := p.pass(ctx, in, p.o.DB, p.lookTrace); err != nil {
		return err
	}
	for i, c := range p.list {
		p.judge(int32(i), c)
	}
	return nil
}

func (p *plan) lookTrace(iface uint16) *engine.Trace {
	conv := func(id uint64) (*conversation, int32) {
		if i, ok := p.at[flowID{iface, id}]; ok {
			return p.list[i], i
		}
		return &conversation{}, -1 // none that a packet belongs to: nothing can be written of it
	}
	return &engine.Trace{
		Packet: func(pk *wire.Packet, fl *flow.Info) { p.meet(iface, pk, fl) },
		Chunk: func(id uint64, ch *flow.Chunk) {
			c, _ := conv(id)
			c.chunk(ch, p.packet)
		},
		Joined: func(id uint64, dir wire.Dir, data []byte) {
			if c, _ := conv(id); c.tcp {
				c.dirs[dir].see(data)
			}
		},
		Passed: func(id uint64, dir wire.Dir) {
			c, _ := conv(id)
			c.dirs[dir].overwrite(c.dirs[dir].now)
		},
		Message: func(id uint64, m *dissect.Message) {
			c, i := conv(id)
			p.message(i, c, m)
		},
		Inside: func(uint64, *dissect.Message) {},
		Found: func(id uint64, h *dlp.Hit, f engine.Finding) {
			if shows(h.Rule) {
				return
			}
			c, i := conv(id)
			if c.found == nil {
				c.found = map[string]bool{}
			}
			c.found[h.Rule.ID] = true
			if h.Field == namesField { // other conversations carried parts of it
				p.named[c.hosts] = true
			}
			p.finding(i, c, h, f)
		},
		Ended: func(fl *flow.Info, blind bool) {
			if i, ok := p.at[flowID{iface, fl.ID}]; ok {
				p.list[i].ended(fl, blind)
			}
		},
	}
}

// shows reports whether what a rule finds may be shown.
func shows(r *rules.Rule) bool { return r.Engine != rules.DLP || r.Mask == "text" }

// meet notes which conversation a packet belongs to.
func (p *plan) meet(iface uint16, pk *wire.Packet, fl *flow.Info) {
	key := flowID{iface, fl.ID}
	i, ok := p.at[key]
	if !ok {
		i = int32(len(p.list))
		p.at[key] = i
		p.list = append(p.list, &conversation{tcp: fl.Key.Proto == wire.ProtoTCP, hosts: [2][16]byte{fl.Key.A, fl.Key.B}})
	}
	c, dir := p.list[i], fl.Dir(pk)
	p.mark(p.packet, i, dir)
	st, at := &c.dirs[dir], position(p.list[i], pk, p.packet)
	if !st.begun {
		st.begun, st.first, st.end, st.last = true, at, at, at
	}
	if !c.tcp {
		st.end = at + 1
		st.now = span{at, at + 1}
	}
	for _, line := range strings.Split(p.comment, "\n") {
		if id, _, found := strings.Cut(line, ": "); found {
			c.claims = append(c.claims, id)
		}
	}
}

func (p *plan) mark(packet int, conversation int32, dir wire.Dir) {
	for len(p.of) <= packet {
		p.of = append(p.of, -1)
	}
	p.of[packet] = conversation<<1 | int32(dir)
}

// chunk takes bytes that come next.
func (c *conversation) chunk(ch *flow.Chunk, packet int) {
	st := &c.dirs[ch.Dir]
	if !c.tcp {
		return
	}
	from := uint32(ch.Seq)
	to := from + uint32(len(ch.Data))
	if ch.Refused {
		st.now = span{from, to}
		return
	}
	if ch.Gap > 0 {
		if n := uint64(ch.Gap) + 2*edge; n < 1<<31 {
			st.overwrite(span{from - uint32(ch.Gap) - edge, from + edge})
		} else {
			st.whole = true
		}
		c.partial = true
	}
	st.end = to
}

// message notes where a message stands, and the credentials in it.
func (p *plan) message(i int32, c *conversation, m *dissect.Message) {
	st := &c.dirs[m.Dir]
	st.start(m)
	if m.Protocol == &dissect.Raw && c.tcp {
		st.addRaw(st.now)
	}
	c.dns = c.dns || m.Protocol == &dissect.DNS || m.Protocol == &dissect.DNSTCP
	for k := range m.Parts {
		part := &m.Parts[k]
		spec := &m.Protocol.Fields[part.Field]
		if part.View != dissect.ViewPlain || spec.Derived && spec.Privacy == dissect.Text || spec.Number || spec.Bool || len(part.Bytes) == 0 {
			continue
		}
		where := st.since(m.ID, spec.Name)
		add := func(v []byte, _ string) { // v stands in the part
			at := part.Off + int64(cap(part.Bytes)-cap(v))
			p.value(i, c, m.Dir, m.ID, where, spot{part.Value, at}, v)
		}
		switch {
		case spec.Privacy == dissect.Sealed || spec.Privacy == dissect.Credential:
			add(part.Bytes, "")
		case len(part.Bytes) > edge && spec.Privacy == dissect.Text: // a body: rules know better
			continue
		}
		p.masker.Credentials(part.Bytes, spec.Privacy, add)
	}
}

// finding notes what was found.
func (p *plan) finding(i int32, c *conversation, h *dlp.Hit, f engine.Finding) {
	st := &c.dirs[h.Dir]
	where := st.since(h.Message, h.Field)
	text := f.Source
	if text == nil {
		text = f.Text
	}
	if len(text) == 0 {
		st.overwrite(where)
		return
	}
	if f.Text != nil {
		p.needles.add(f.Text)
	}
	at := spot{h.Value, h.Off}
	if p.derived[h.Field] { // it stands in another field, too
		at = spot{^uint32(0), 0}
	}
	p.value(i, c, h.Dir, h.Message, where, at, text)
}

// value notes a value of a message.
func (p *plan) value(i int32, c *conversation, dir wire.Dir, message uint64, where span, at spot, text []byte) {
	st := &c.dirs[dir]
	if len(text) > longest {
		st.overwrite(where)
		return
	}
	key := groupID{i, dir, message, string(text)}
	g := p.groups[key]
	if g == nil {
		if len(p.groups) >= maxGroups {
			c.blank = whyMany
			return
		}
		g = &group{text: key.text, span: where, places: map[spot]bool{}}
		p.groups[key] = g
		st.add(g)
		p.needles.add(text)
	}
	if int32(where.to-g.span.to) > 0 {
		g.span.to = where.to
	}
	if int32(where.from-g.span.from) < 0 {
		g.span.from = where.from
	}
	if len(g.places) < maxRaw || g.places[at] {
		g.places[at] = true
		return
	}
	c.blank = whyMany
}

// need is how often the value must stand in its message, so that all of it is told apart.
func (g *group) need() int {
	n := len(g.places)
	if derived := (spot{^uint32(0), 0}); g.places[derived] && n > 1 {
		n--
	}
	return n
}

func (c *conversation) ended(fl *flow.Info, blind bool) {
	if blind && c.blank == "" {
		c.blank = whyBlind
	}
	c.partial = c.partial || fl.Anomalies&(flow.Midstream|flow.GapTold|flow.BudgetReached) != 0
	for d := range c.dirs {
		if st := &c.dirs[d]; c.tcp && st.open && fl.State < flow.StateClosing {
			st.overwrite(span{st.end - edge, st.end}) // what comes next was not seen
		}
	}
}

// judge decides, now that all of a conversation is known, what of it is overwritten beside values.
func (p *plan) judge(i int32, c *conversation) {
	for _, id := range c.claims {
		if r := p.rules[id]; !c.found[id] && (r == nil || !shows(r)) && c.blank == "" {
			c.blank = whyClaimed
		}
	}
	if c.dns && p.named[c.hosts] && c.blank == "" {
		c.blank = whyNames
	}
	for d := range c.dirs {
		st := &c.dirs[d]
		if c.partial {
			for _, s := range st.raw {
				st.overwrite(s)
			}
		}
		st.starts, st.over, st.raw = nil, nil, nil
	}
}

// blanked counts the conversations that are overwritten whole.
func (p *plan) blanked() map[string]int {
	n := map[string]int{}
	for _, c := range p.list {
		if c.blank != "" {
			n[c.blank]++
		}
	}
	return n
}

// check looks for what is found in a capture that was redacted.
func (p *plan) check(ctx context.Context, in *pcapstore.Capture) error {
	return p.pass(ctx, in, p.o.DB, func(uint16) *engine.Trace {
		of := map[uint64]*conversation{} // flows have other ids than before
		return &engine.Trace{
			Packet: func(_ *wire.Packet, fl *flow.Info) {
				if p.packet < len(p.of) && p.of[p.packet] >= 0 {
					of[fl.ID] = p.list[p.of[p.packet]>>1]
				}
			},
			Chunk: func(uint64, *flow.Chunk) {}, Joined: func(uint64, wire.Dir, []byte) {}, Passed: func(uint64, wire.Dir) {},
			Message: func(id uint64, m *dissect.Message) { p.read(of[id], m) },
			Inside:  func(id uint64, m *dissect.Message) { p.read(of[id], m) },
			Found: func(id uint64, h *dlp.Hit, f engine.Finding) {
				if c := of[id]; c != nil && c.blank == "" && !shows(h.Rule) && !filled(f.Text) {
					c.blank = whyStill
				}
			},
			Ended: func(fl *flow.Info, _ bool) { delete(of, fl.ID) },
		}
	})
}

// read looks for values that were found elsewhere in what a message says: no rule may have asked for them there.
func (p *plan) read(c *conversation, m *dissect.Message) {
	if c == nil || c.blank != "" || p.needles.at == nil {
		return
	}
	for i := range m.Parts {
		part := &m.Parts[i]
		id := piece{m.Dir, m.ID, part.Value, part.Field, part.View}
		b := append(c.pieces[id], part.Bytes...)
		p.needles.each(b, 0, func(v *needle, from, to int) {
			if len(v.text) >= shortly {
				c.blank = whyStill
			}
		})
		if !part.More {
			delete(c.pieces, id)
			continue
		}
		if c.pieces == nil {
			c.pieces = map[piece][]byte{}
		}
		c.pieces[id] = bytes.Clone(b[max(0, len(b)-p.needles.most):])
	}
}

// filled reports whether hardly anything but what was overwritten stands in b.
func filled(b []byte) bool {
	n := 0
	for _, c := range b {
		if c == fill {
			n++
		}
	}
	return n > 0 && len(b)-n < 4
}
