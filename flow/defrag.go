package flow

import (
	"weir/budget"
	"weir/wire"
)

// FragAnomaly is a set of oddities of IP fragments.
type FragAnomaly uint16

const (
	FragOverlap     FragAnomaly = 1 << iota // fragments overlap, other than as exact duplicates
	FragDiffers                             // overlapping fragments carry different bytes
	FragTeardrop                            // a fragment lies strictly inside an earlier one
	FragTiny                                // a first fragment too short for its transport header (RFC 1858)
	FragTooBig                              // reaches past the greatest datagram: ping of death
	FragConflict                            // ends where it cannot: empty, past the last one, or two different ends
	FragBadLength                           // an IPv6 one, not the last, that is no multiple of 8 bytes long
	FragBadChecksum                         // dropped for its IP header's checksum
	FragCut                                 // dropped since the capture or the sender cut it
	FragBudget                              // a datagram was given up because a limit was reached
)

// From the specification.
const (
	maxPayload4 = 65535 - 20 // bytes of an IPv4 datagram after the header, RFC 791
	maxPayload6 = 65535      // bytes, RFC 8200 section 4.5
)

// Ours.
const (
	// maxFragments bounds the fragments of one datagram: 64 KiB in pieces of 32 bytes. Beyond, the datagram is dropped.
	maxFragments = 2048
	// datagramCost is what an incomplete datagram is charged beside its bytes, for its map entry and fields.
	datagramCost = 512 // bytes
	// maxSpare and maxSpareBytes bound what is kept for reuse.
	maxSpare      = 8
	maxSpareBytes = 64 << 10
)

// DefragCounters count what a Defrag did; read by its owner.
type DefragCounters struct {
	Fragments uint64 // pushed
	Datagrams uint64 // put together
	Refused   uint64 // fragments not looked at: cut, bad header checksum, bad length
	Overlaps  uint64 // fragments that overlapped, exact duplicates left out
	Discarded uint64 // datagrams dropped for what they are: conflicting ends, IPv6 overlaps, too big
	Dropped   uint64 // datagrams dropped because a limit was reached
	Expired   uint64 // datagrams dropped for their age
}

// Defrag puts IP fragments back together (RFC 791, RFC 8200 section 4.5). It is owned by one goroutine and its clock is
// the frames' time. Bytes held are bounded: at the limit the oldest datagram is dropped and counted.
//
// Overlaps: for policy Linux, a datagram that today's kernels complete is what they make of it: a fragment that lies
// within what is there is ignored, any other overlap restarts the datagram (RFC 5722, applied to IPv4 since Linux
// 4.19). If restarted fragments still make a whole, it is delivered as older kernels, and Novak and Sturges, have it.
// The other policies are theirs throughout. IPv6 with an overlap is discarded under every policy, as RFC 5722 demands.
type Defrag struct {
	Counters DefragCounters

	limit     int           // bytes
	share     *budget.Share // of bytes, beside limit
	policy    Overlap
	held      int // bytes
	datagrams map[fragKey]*datagram
	oldest    *datagram // in order of their first fragments
	newest    *datagram
	spare     []*datagram
	out       []byte   // the datagram handed out last
	owner     []uint16 // scratch of paint
	judge     bool     // a valid IPv4 header checksum was seen: wrong ones are no fault of the capture
}

// fragKey tells datagrams apart. IPv6 has no protocol in it (RFC 8200 section 4.5): that of the first fragment counts.
type fragKey struct {
	src, dst [16]byte
	id       uint32
	scope    uint32
	ip       uint8
	proto    uint8
	_        [2]byte
}

// NewDefrag returns a Defrag that holds limitBytes at most, but always one datagram's worth while it works on it.
func NewDefrag(limitBytes int, overlap Overlap) *Defrag {
	return &Defrag{limit: limitBytes, share: budget.Alone(int64(limitBytes)), policy: overlap, datagrams: map[fragKey]*datagram{}}
}

// Within makes d share a budget of bytes with others, beside its own limit. It is called before the first Push; the share remains its
// owner's to close.
func (d *Defrag) Within(share *budget.Share) { d.share = share }

// Held returns the bytes held now for incomplete datagrams.
func (d *Defrag) Held() int { return d.held }

// Push takes a fragment, a packet with Fragmented set. When it completes its datagram, Push returns the whole payload,
// borrowed until the next Push, and sets p.Key.Proto to the first fragment's; go on with wire.Decoder's Resume, and
// push again if that finds a fragment inside. Else it returns nil. p is not kept. The anomalies are those that this
// fragment showed.
func (d *Defrag) Push(p *wire.Packet) (whole []byte, told FragAnomaly) {
	d.Counters.Fragments++
	d.Tick(p.Frame.Time)
	if told = d.refuse(p); told != 0 {
		d.Counters.Refused++
		return nil, told
	}
	f := fragment{off: p.Frag.Off, last: !p.Frag.More, data: p.Payload}
	if !f.last {
		f.data = f.data[:len(f.data)&^7] // IPv4: as Linux takes it
	}
	told = oddities(p, &f)
	g := d.find(p)
	told |= g.add(&f, p.Key.Proto)
	if told&FragOverlap != 0 {
		d.Counters.Overlaps++
	}
	if g.empty() {
		d.Counters.Discarded++
	}
	proto := g.proto
	if whole = d.complete(g); whole != nil {
		if len(whole) > maxPayload(p.IP) {
			d.Counters.Discarded++
			return nil, told | FragTooBig
		}
		d.Counters.Datagrams++
		p.Key.Proto = proto
		return whole, told
	}
	return nil, told | d.settle(g)
}

// Tick drops what is older than FragmentAge at now, in ns since the epoch. Push does so itself.
func (d *Defrag) Tick(now int64) {
	for d.oldest != nil && d.share.Over() {
		d.drop(d.oldest)
		d.Counters.Dropped++
	}
	for d.oldest != nil && now-d.oldest.born > int64(FragmentAge) || d.oldest != nil && d.oldest.born-now > int64(FragmentAge) {
		d.drop(d.oldest)
		d.Counters.Expired++
	}
}

// refuse says why a fragment is of no use, 0 if it is.
func (d *Defrag) refuse(p *wire.Packet) FragAnomaly {
	if p.Cut {
		return FragCut
	}
	bad := p.Checksum() == wire.CsumBad
	if p.IP == 4 && !bad {
		d.judge = true
	}
	switch {
	case bad && d.judge:
		return FragBadChecksum
	case p.IP == 6 && p.Frag.More && len(p.Payload)&7 != 0:
		return FragBadLength
	case p.IP == 6 && p.Frag.Off+len(p.Payload) > maxPayload6:
		return FragTooBig
	}
	return 0
}

// oddities are what a fragment shows by itself.
func oddities(p *wire.Packet, f *fragment) FragAnomaly {
	var a FragAnomaly
	if f.end() > maxPayload(p.IP) {
		a |= FragTooBig
	}
	least := 8 // bytes of the shortest transport header
	if p.Key.Proto == wire.ProtoTCP {
		least = 20
	}
	if len(f.data) < least && f.off == 0 {
		a |= FragTiny
	}
	return a
}

func maxPayload(ip uint8) int {
	if ip == 6 {
		return maxPayload6
	}
	return maxPayload4
}

// find returns the fragment's datagram, a new one if there is none.
func (d *Defrag) find(p *wire.Packet) *datagram {
	k := fragKey{src: p.Key.A, dst: p.Key.B, id: p.Frag.ID, scope: p.Key.Scope, ip: p.IP}
	if !p.FromA {
		k.src, k.dst = k.dst, k.src
	}
	if p.IP != 6 {
		k.proto = p.Key.Proto
	}
	if g := d.datagrams[k]; g != nil {
		return g
	}
	var g *datagram
	if n := len(d.spare); n > 0 {
		g, d.spare = d.spare[n-1], d.spare[:n-1]
	} else {
		g = new(datagram)
	}
	g.key, g.born, g.proto = k, p.Frame.Time, p.Key.Proto
	g.policy, g.strict = d.policy, p.IP == 6 || d.policy == Linux
	g.clear()
	g.older, g.newer = d.newest, nil
	if d.newest != nil {
		d.newest.newer = g
	} else {
		d.oldest = g
	}
	d.newest = g
	d.datagrams[k] = g
	return g
}

// complete returns g's bytes in d.out if there are all of them, and drops what they were made of.
func (d *Defrag) complete(g *datagram) []byte {
	switch {
	case g.strict && g.queue.complete():
		d.out = g.join(d.out[:0])
	case g.loose && g.whole.complete():
		d.out, d.owner = g.paint(d.out[:0], d.owner)
		if g.strict {
			g.forget()
		}
		if g.strict && !g.empty() { // the kernel has these, and goes on
			d.charge(g)
			return d.out
		}
	default:
		return nil
	}
	d.drop(g)
	return d.out
}

// settle charges g for its bytes and keeps to the limits.
func (d *Defrag) settle(g *datagram) FragAnomaly {
	if g.empty() {
		d.drop(g)
		return 0
	}
	d.charge(g)
	var told FragAnomaly
	if len(g.pieces) >= maxFragments {
		d.drop(g)
		d.Counters.Dropped++
		told = FragBudget
	}
	for d.oldest != nil && (d.held > d.limit || d.share.Over()) {
		d.drop(d.oldest)
		d.Counters.Dropped++
		told = FragBudget
	}
	return told
}

func (d *Defrag) charge(g *datagram) {
	cost := g.size() + datagramCost
	d.held += cost - g.cost
	d.share.Use(int64(cost - g.cost))
	g.cost = cost
}

// drop takes g out and keeps a few small ones for reuse.
func (d *Defrag) drop(g *datagram) {
	delete(d.datagrams, g.key)
	if g.older != nil {
		g.older.newer = g.newer
	} else {
		d.oldest = g.newer
	}
	if g.newer != nil {
		g.newer.older = g.older
	} else {
		d.newest = g.older
	}
	d.held -= g.cost
	d.share.Use(int64(-g.cost))
	g.older, g.newer = nil, nil
	if len(d.spare) < maxSpare && g.size() <= maxSpareBytes {
		g.reset()
		d.spare = append(d.spare, g)
	}
}
