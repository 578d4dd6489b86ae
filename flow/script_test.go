package flow

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"weir/wire"
)

// A script is a conversation, one packet a line, and what is told of it:
//
//	> SA 0 1 data w=100 ts=5 ws=7 +50ms bad
//
// is a packet to the server with flags SYN and ACK, sequence number 0 and acknowledgement 1, each relative to its sender's ISN, then its
// payload (- for none), its window, timestamp and window scale, the time after the packet before, a wrong checksum. What is told is written as
// >data, >(5)data after a gap of 5 bytes, >data. with an End, ~>data if it was refused; a flow's end as "end" and its reason.
type player struct {
	t     *testing.T
	table *Table[int]
	frame wire.Frame
	isn   [2]wire.Seq
	swap  bool // the client is Key.B
	now   time.Duration
	told  []string
	flow  *Flow[int]
}

var isns = [][2]wire.Seq{{1000, 5000}, {1<<32 - 4, 1<<31 - 6}, {1<<31 - 3, 1<<32 - 2}}

func newPlayer(t *testing.T, limits Limits, o Overlap, variant int) *player {
	p := &player{t: t, table: New[int](limits, o, ChecksumAuto), isn: isns[variant%len(isns)], swap: variant/len(isns)%2 == 1}
	p.table.OnEnd(func(f *Flow[int], last []Chunk, why Reason) {
		p.tell(last)
		p.told = append(p.told, "end"+[...]string{"", ":idle", ":evicted", ":drained"}[why])
	})
	return p
}

func (p *player) tell(chunks []Chunk) {
	for _, c := range chunks {
		s := string("><"[c.Dir])
		if c.Refused {
			s = "~" + s
		}
		if c.Gap > 0 {
			s += fmt.Sprintf("(%d)", c.Gap)
		}
		s += string(c.Data)
		if c.End {
			s += "."
		}
		p.told = append(p.told, s)
	}
}

var flagLetters = map[byte]wire.TCPFlags{'S': wire.SYN, 'A': wire.ACK, 'F': wire.FIN, 'R': wire.RST, 'P': wire.PSH, 'U': wire.URG, '0': 0}

func (p *player) line(line string) {
	w := strings.Fields(line)
	if len(w) == 0 {
		return
	}
	if w[0] == "tick" {
		d, _ := time.ParseDuration(w[1])
		p.now += d
		p.table.Tick(int64(p.now))
		return
	}
	dir := wire.Dir(strings.Index("><", w[0]))
	pkt := wire.Packet{IP: 4, FromA: (dir == wire.ToServer) != p.swap}
	pkt.Key = wire.Key{APort: 40000, BPort: 80, Proto: wire.ProtoTCP}
	pkt.Key.A[15], pkt.Key.B[15] = 1, 2
	if p.swap {
		pkt.Key.APort, pkt.Key.BPort = 80, 40000
	}
	for _, l := range []byte(w[1]) {
		pkt.TCP.Flags |= flagLetters[l]
	}
	seq, _ := strconv.Atoi(w[2])
	ack, _ := strconv.Atoi(w[3])
	pkt.TCP.Seq, pkt.TCP.Ack = p.isn[dir].Add(seq), p.isn[dir.Other()].Add(ack)
	pkt.TCP.Window = 10000
	step, csum := time.Millisecond, wire.CsumValid
	if len(w) > 4 && w[4] != "-" {
		pkt.Payload = []byte(w[4])
	}
	for _, o := range w[min(5, len(w)):] {
		k, v, _ := strings.Cut(o, "=")
		n, _ := strconv.Atoi(v)
		switch k {
		case "w":
			pkt.TCP.Window = uint16(n)
		case "ts":
			pkt.TCP.HasTS, pkt.TCP.TSVal = true, uint32(n)
		case "ws":
			pkt.TCP.HasWScale, pkt.TCP.WScale = true, uint8(n)
		case "bad":
			csum = wire.CsumBad
		case "isn":
			pkt.TCP.Seq = pkt.TCP.Seq.Add(n)
		case "x":
			pkt.Payload = []byte(strings.Repeat(string(pkt.Payload), n))
		default:
			step, _ = time.ParseDuration(o)
		}
	}
	p.now += step
	p.frame = wire.Frame{Time: int64(p.now), Len: 54 + uint32(len(pkt.Payload))}
	pkt.Frame = &p.frame
	p.push(&pkt, csum)
}

// push stands in for the checksum, which a packet that was not decoded has none of.
func (p *player) push(pkt *wire.Packet, csum wire.Csum) {
	mode := p.table.c.mode
	if csum == wire.CsumBad {
		pkt = badChecksum(p.t, pkt)
	} else if f := p.table.Find(&pkt.Key); f != nil {
		f.side[f.Dir(pkt)].bits |= validCsum
	}
	f, chunks := p.table.Push(pkt)
	p.table.c.mode = mode
	p.flow = f
	if csum == wire.CsumValid {
		f.side[f.Dir(pkt)].bits |= validCsum
	}
	p.tell(chunks)
	check(p.t, p.table)
}

// badChecksum returns pkt as Decode makes it of a frame with a wrong checksum.
func badChecksum(t *testing.T, pkt *wire.Packet) *wire.Packet {
	t.Helper()
	k, q := &pkt.Key, pkt.TCP
	src, dst, sp, dp := k.A, k.B, k.APort, k.BPort
	if !pkt.FromA {
		src, dst, sp, dp = dst, src, dp, sp
	}
	b := make([]byte, 40, 40+len(pkt.Payload))
	copy(b, []byte{0x45, 0, 0, byte(40 + len(pkt.Payload)), 0, 0, 0, 0, 64, 6, 0, 0})
	copy(b[12:], src[12:])
	copy(b[16:], dst[12:])
	h := b[20:]
	h[0], h[1], h[2], h[3] = byte(sp>>8), byte(sp), byte(dp>>8), byte(dp)
	for i := range 4 {
		h[4+i], h[8+i] = byte(q.Seq>>(24-8*i)), byte(q.Ack>>(24-8*i))
	}
	h[12], h[13], h[14], h[15] = 5<<4, byte(q.Flags), byte(q.Window>>8), byte(q.Window)
	f := &wire.Frame{Data: append(b, pkt.Payload...), Time: pkt.Frame.Time, Link: wire.LinkRaw}
	f.Len = uint32(len(f.Data))
	var d wire.Decoder
	out := new(wire.Packet)
	if r := d.Decode(f, out); r != wire.OK || out.Checksum() != wire.CsumBad {
		t.Fatalf("no bad checksum: %v, %v", r, out.Checksum())
	}
	out.Key, out.FromA = pkt.Key, pkt.FromA // the test's addresses are not mapped
	return out
}

// check compares a table's books with what it holds.
func check[S any](t *testing.T, table *Table[S]) {
	t.Helper()
	held := 0
	table.Range(func(f *Flow[S]) bool {
		x := f.x
		if x == nil {
			return true
		}
		sum := extraCost
		for i := range x.alts {
			if x.alts[i].data != nil {
				sum += len(x.alts[i].data) + pieceCost
			}
		}
		for d := range x.hold {
			h := &x.hold[d]
			n, doubt, at := 0, 0, f.side[d].next
			for i := h.head; i < len(h.pieces); i++ {
				p := &h.pieces[i]
				if p.seq.Before(at) || p.n == 0 || int(p.off+p.n) > len(p.block) {
					t.Fatalf("piece %d at %d of %d bytes, the one before ends at %d", i, p.seq, p.n, at)
				}
				at = p.end()
				n += p.len()
				sum += len(p.block) + pieceCost
				if p.doubt {
					doubt += p.len()
				}
			}
			sum += len(h.kept)
			if holes := h.count(h.head, len(h.pieces)); n != h.bytes || doubt != h.doubt || holes != h.holes {
				t.Fatalf("books: %d bytes, %d in doubt, %d holes; are %d, %d, %d", h.bytes, h.doubt, h.holes, n, doubt, holes)
			}
		}
		if sum != x.held {
			t.Fatalf("flow is charged %d bytes for %d", x.held, sum)
		}
		held += sum
		return true
	})
	if held != table.Counters().Held {
		t.Fatalf("table is charged %d bytes for %d", table.Counters().Held, held)
	}
}

// heldText prints what is held of a direction: [ (5) 10 ] is a hole of 5 bytes before 10 bytes; ? marks doubt.
func heldText(f *Info, d wire.Dir) string {
	var b strings.Builder
	b.WriteString("[ ")
	if f.x != nil {
		h, at := &f.x.hold[d], f.side[d].next
		for _, p := range h.pieces[h.head:] {
			if n := p.seq.Sub(at); n > 0 {
				fmt.Fprintf(&b, "(%d) ", n)
			}
			fmt.Fprintf(&b, "%d", p.n)
			if p.doubt {
				b.WriteByte('?')
			}
			b.WriteByte(' ')
			at = p.end()
		}
	}
	return b.String() + "]"
}

var anomalyNames = []string{"OverlapDiffers", "BadChecksum", "ForgedACK", "ForgedRST", "ForgedSYN", "OutOfWindow", "OldTimestamp", "Midstream",
	"SYNData", "GapTold", "BudgetReached", "UrgentData", "DataAfterClose", "BadFlags", "Unaccepted"}

func (a Anomaly) names() string {
	var s []string
	for i, n := range anomalyNames {
		if a&(1<<i) != 0 {
			s = append(s, n)
		}
	}
	return strings.Join(s, " ")
}

type scriptCase struct {
	name, script string
	want         string // told, and the anomalies of the last packet's flow after |
	held         string // of the direction to the server, before Close; not compared if empty
}

func playAll(t *testing.T, limits Limits, o Overlap, cases []scriptCase) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			for v := range 2 * len(isns) {
				p := newPlayer(t, limits, o, v)
				for _, l := range strings.Split(c.script, "\n") {
					p.line(l)
				}
				anomalies := ""
				if p.flow.Key.Proto != 0 {
					anomalies = p.flow.Anomalies.names()
					if got := heldText(&p.flow.Info, wire.ToServer); c.held != "" && got != c.held {
						t.Errorf("variant %d: held %s, want %s", v, got, c.held)
					}
				}
				p.table.Close()
				if n := p.table.Counters().Held; n != 0 {
					t.Errorf("variant %d: %d bytes are held after Close", v, n)
				}
				if got := strings.TrimSpace(strings.Join(p.told, " ") + " | " + anomalies); got != c.want {
					t.Errorf("variant %d:\n got %s\nwant %s", v, got, c.want)
				}
			}
		})
	}
}
