package redact

import (
	"bytes"
	"cmp"
	"slices"
	"sort"
	"strings"

	"weir/dissect"
	"weir/wire"
)

// conversation is what is known of a flow.
type conversation struct {
	hosts   [2][16]byte
	dns     bool
	tcp     bool
	blank   string // why all its payload is overwritten; "": it is not
	partial bool   // it was not seen from its beginning, or not whole
	dirs    [2]stream
	found   map[string]bool  // rules
	pieces  map[piece][]byte // the ends of values that go on
	claims  []string         // rules that found something in it when its packets were kept
}

// piece tells values in messages apart.
type piece struct {
	dir     wire.Dir
	message uint64
	value   uint32
	field   dissect.Field
	view    uint8
}

// stream is one direction. Places are sequence numbers of TCP; of what comes in datagrams, packets of the capture.
type stream struct {
	begun      bool
	first, end uint32 // where it began, and how far it has come
	now        span   // what is being looked at
	last       uint32 // where that began when it said something last
	starts     map[uint64]uint32
	bodies     map[uint64]uint32   // of messages of HTTP: where what follows the head begins
	head       uint32              // of what is being looked at: bytes of a head of HTTP that it begins with; 0: it does not
	over       []uint64            // messages that have ended
	open       bool                // its last message has not ended
	raw        []span              // what nobody understood
	spans      []span              // what is overwritten
	whole      bool                // all of it
	groups     []*group            // what was found in it
	by         map[string][]*group // by their text
	short      []string            // texts that are too short for needles
	tail       []byte              // the last bytes, for values that are cut
	order      []reach             // of spans, in order and merged; made when they are asked for
}

// span is [from, to), modulo 2^32.
type span struct{ from, to uint32 }

func (s span) size() uint32 { return s.to - s.from }

// has reports whether o lies in s.
func (s span) has(o span) bool { return o.from-s.from <= s.size() && o.to-s.from <= s.size() }

// group is a value found in a message. It is told apart if it stands there as often as it was found.
type group struct {
	text   string
	span   span
	places map[spot]bool
	seen   int // times that it stands there as it is
}

// spot tells places of a value apart.
type spot struct {
	value uint32
	off   int64
}

// ours
const (
	edge    = 4096 // bytes beside a gap, and before an end that is none, in which a value may be cut
	maxRaw  = 256  // spans that are told apart
	shortly = 8    // bytes of a value that is only looked for where it was found: it stands everywhere
)

// start notes where a message begins.
func (st *stream) start(m *dissect.Message) {
	for _, id := range st.over {
		delete(st.starts, id)
		delete(st.bodies, id)
	}
	st.over = st.over[:0]
	if st.starts == nil {
		st.starts, st.bodies = map[uint64]uint32{}, map[uint64]uint32{}
	}
	from, known := st.starts[m.ID]
	if !known {
		from = st.now.from
		// A parser may have kept bytes since it said something last; HTTP's and DNS' keep none.
		if before := st.last; m.Protocol != &dissect.HTTP && m.Protocol != &dissect.DNS && int32(before-from) < 0 {
			from = before
		}
		st.starts[m.ID] = from
		if m.Protocol == &dissect.HTTP && st.head > 0 && !st.open { // else it may be a later one's
			st.bodies[m.ID] = from + st.head
		}
		st.head = 0
	}
	st.last, st.open = st.now.from, !m.End
	if m.End {
		st.over = append(st.over, m.ID)
	}
}

// see takes what is looked at next, up to the end of what has come.
func (st *stream) see(data []byte) {
	st.now, st.head = span{st.end - uint32(len(data)), st.end}, 0
	if len(data) > 4 && data[0] >= 'A' && data[0] <= 'Z' {
		if n := bytes.Index(data, []byte("\r\n\r\n")); n > 0 {
			st.head = uint32(n + 4)
		}
	}
}

// since returns all from where a message began, or its body, if the field is one, to what is being looked at.
func (st *stream) since(id uint64, field string) span {
	from, known := st.starts[id]
	if body, ok := st.bodies[id]; ok && strings.HasSuffix(field, ".body") {
		from = body
	} else if !known {
		from = st.first
	}
	return span{from, st.end}
}

func (st *stream) add(g *group) {
	st.groups = append(st.groups, g)
	if st.by == nil {
		st.by = map[string][]*group{}
	}
	if len(g.text) < head && st.by[g.text] == nil {
		st.short = append(st.short, g.text)
	}
	st.by[g.text] = append(st.by[g.text], g)
}

func (st *stream) addRaw(s span) {
	if n := len(st.raw); n > 0 && (n == maxRaw || st.raw[n-1].to-s.from < 1<<31) {
		if int32(s.to-st.raw[n-1].to) > 0 {
			st.raw[n-1].to = s.to
		}
		return
	}
	st.raw = append(st.raw, s)
}

func (st *stream) overwrite(s span) {
	if s.size() >= 1<<31 {
		st.whole = true
		return
	}
	st.spans = append(st.spans, s)
	st.order = nil
}

// cover calls each with the parts of [from, from+n) that are overwritten, as offsets from from.
func (st *stream) cover(from uint32, n int, each func(a, b int)) {
	if st.whole {
		each(0, n)
		return
	}
	if len(st.spans) == 0 || n == 0 {
		return
	}
	if st.order == nil {
		st.arrange()
	}
	// Places count from first; what wraps stands there twice.
	at := uint64(from - st.first)
	for _, lo := range [2]uint64{at, at + 1<<32} {
		hi := lo + uint64(n)
		i := sort.Search(len(st.order), func(i int) bool { return st.order[i].to > lo })
		for ; i < len(st.order) && st.order[i].from < hi; i++ {
			s := st.order[i]
			each(int(max(s.from, lo)-lo), int(min(s.to, hi)-lo))
		}
	}
}

// reach is a span that counts from where its stream began.
type reach struct{ from, to uint64 }

// arrange sorts and merges the spans.
func (st *stream) arrange() {
	list := make([]reach, 0, len(st.spans))
	for _, s := range st.spans {
		from := uint64(s.from - st.first)
		list = append(list, reach{from, from + uint64(s.size())})
	}
	slices.SortFunc(list, func(a, b reach) int { return cmp.Compare(a.from, b.from) })
	out := list[:1]
	for _, s := range list[1:] {
		if last := &out[len(out)-1]; s.from <= last.to {
			last.to = max(last.to, s.to)
		} else {
			out = append(out, s)
		}
	}
	st.order = out
}

// position returns where the payload of a packet stands in its direction.
func position(c *conversation, p *wire.Packet, packet int) uint32 {
	if !c.tcp {
		return uint32(packet)
	}
	at := uint32(p.TCP.Seq)
	if p.TCP.Flags&wire.SYN != 0 {
		at++
	}
	return at
}
