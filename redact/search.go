package redact

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"

	"weir/dissect"
	"weir/dlp"
	"weir/engine"
	"weir/flow"
	"weir/pcapstore"
	"weir/wire"
)

// needles are the values that are looked for in every byte, as they are and in encodings.
type needles struct {
	known map[string]bool
	at    map[uint32][]needle // by the first four bytes
	seen  [1 << 10]uint64     // which of these there are, by a hash
	most  int                 // bytes of the longest
}

// needle is a value as it may be written.
type needle struct {
	text   []byte
	beside int  // bytes on each side that hold some of it, too
	plain  bool // as it was found
}

const (
	head    = 4        // bytes of a needle that are looked at first; shorter values are looked for where they were found
	longest = 64 << 10 // bytes of a value that is looked for; all of the message that has a longer one is overwritten
	encoded = 256      // bytes of a value that is looked for in encodings
)

// add adds a value.
func (n *needles) add(b []byte) {
	if len(b) < head || n.known[string(b)] {
		return
	}
	if n.known == nil {
		n.known, n.at = map[string]bool{}, map[uint32][]needle{}
	}
	b = bytes.Clone(b)
	n.known[string(b)] = true
	n.put(needle{text: b, plain: true})
	if len(b) < shortly || len(b) > encoded {
		return
	}
	n.put(needle{text: []byte(hex.EncodeToString(b))})
	n.put(needle{text: bytes.ToUpper([]byte(hex.EncodeToString(b)))})
	wide := make([]byte, 0, 2*len(b))
	for _, c := range b {
		wide = append(wide, c, 0)
	}
	n.put(needle{text: wide[:len(wide)-1]}) // either order of bytes
	for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for lead := range 3 {
			text := enc.EncodeToString(append(make([]byte, lead), b...))
			first, rest := (lead*8+5)/6, (lead+len(b))%3
			last := len(text)
			if rest != 0 {
				last--
			}
			n.put(needle{text: []byte(text[first:last]), beside: 1})
		}
	}
	if digits := onlyDigits(b); digits != nil {
		n.add(digits)
	}
}

// onlyDigits returns a number without what separates its digits; nil if it is none, or has no such thing.
func onlyDigits(b []byte) []byte {
	out := make([]byte, 0, len(b))
	for _, c := range b {
		switch {
		case c >= '0' && c <= '9':
			out = append(out, c)
		case c != ' ' && c != '-' && c != '.':
			return nil
		}
	}
	if len(out) == len(b) || len(out) < shortly {
		return nil
	}
	return out
}

func (n *needles) put(v needle) {
	key := binary.LittleEndian.Uint32(v.text)
	for _, o := range n.at[key] {
		if bytes.Equal(o.text, v.text) {
			return
		}
	}
	n.at[key] = append(n.at[key], v)
	h := hash(key)
	n.seen[h>>6] |= 1 << (h & 63)
	n.most = max(n.most, len(v.text))
}

func hash(v uint32) uint32 { return v * 0x9e3779b1 >> 16 }

// each calls found with every place of a needle in b that ends behind done.
func (n *needles) each(b []byte, done int, found func(v *needle, from, to int)) {
	for i := 0; i+head <= len(b); i++ {
		key := binary.LittleEndian.Uint32(b[i:])
		if h := hash(key); n.seen[h>>6]&(1<<(h&63)) == 0 {
			continue
		}
		list := n.at[key]
		for k := range list {
			if v := &list[k]; i+len(v.text) > done && bytes.HasPrefix(b[i:], v.text) {
				found(v, i, i+len(v.text))
			}
		}
	}
}

// search finds the places of values, and whether all that was found is told apart by them.
func (p *plan) search(ctx context.Context, in *pcapstore.Capture) error {
	if err := p.pass(ctx, in, nil, func(iface uint16) *engine.Trace {
		return &engine.Trace{
			Packet: func(*wire.Packet, *flow.Info) {}, Inside: func(uint64, *dissect.Message) {}, Joined: func(uint64, wire.Dir, []byte) {}, Passed: func(uint64, wire.Dir) {}, Message: func(uint64, *dissect.Message) {},
			Found: func(uint64, *dlp.Hit, engine.Finding) {}, Ended: func(*flow.Info, bool) {},
			Chunk: func(id uint64, ch *flow.Chunk) {
				if i, ok := p.at[flowID{iface, id}]; ok {
					p.searchChunk(p.list[i], ch)
				}
			},
		}
	}); err != nil {
		return err
	}
	for _, c := range p.list {
		for d := range c.dirs {
			st := &c.dirs[d]
			st.tail = nil
			for _, g := range st.groups {
				if g.seen < g.need() {
					st.overwrite(g.span)
				}
			}
		}
	}
	return nil
}

// searchChunk looks for values in the bytes of a chunk, and in what they make with those before.
func (p *plan) searchChunk(c *conversation, ch *flow.Chunk) {
	st := &c.dirs[ch.Dir]
	if len(ch.Data) == 0 {
		return
	}
	if !c.tcp || ch.Refused {
		from := uint32(ch.Seq)
		if !c.tcp {
			from = uint32(p.packet)
		}
		p.searchBytes(c, st, ch.Data, 0, from, !ch.Refused)
		return
	}
	if ch.Gap > 0 {
		st.tail = st.tail[:0]
	}
	n := len(st.tail)
	st.tail = append(st.tail, ch.Data...)
	p.searchBytes(c, st, st.tail, n, uint32(ch.Seq)-uint32(n), true)
	if keep := max(p.needles.most, shortly); len(st.tail) > keep {
		st.tail = append(st.tail[:0], st.tail[len(st.tail)-keep:]...)
	}
}

// searchBytes looks for values in b, whose first byte stands at from; what ends in its first bytes, done of them, has been found. whole says that it counts.
func (p *plan) searchBytes(c *conversation, st *stream, b []byte, done int, from uint32, counts bool) {
	hit := func(text []byte, a, z, beside int, plain bool) {
		s := span{from + uint32(a), from + uint32(z)}
		if !c.tcp {
			s = span{from, from + 1}
		}
		if plain {
			here := false
			for _, g := range st.by[string(text)] {
				if g.span.has(s) {
					here = true
					if counts {
						g.seen++
					}
				}
			}
			if !here && len(text) < shortly {
				return
			}
		}
		if c.tcp {
			st.overwrite(span{s.from - uint32(beside), s.to + uint32(beside)})
		}
	}
	if p.needles.at != nil {
		p.needles.each(b, done, func(v *needle, a, z int) { hit(v.text, a, z, v.beside, v.plain) })
	}
	for _, text := range st.short {
		for i := 0; ; i++ {
			n := bytes.Index(b[i:], []byte(text))
			if n < 0 {
				break
			}
			if i += n; i+len(text) > done {
				hit([]byte(text), i, i+len(text), 0, true)
			}
		}
	}
}
