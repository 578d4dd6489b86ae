package flow

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"weir/wire"
)

// plainDefrag is Defrag for one datagram, written for plainness: bytes in maps, lists searched from end to end.
type plainDefrag struct {
	policy Overlap
	ip     uint8

	all     []plainFragment // in the order they came
	start   int             // those from here on are the kernel's
	kernel  map[int]byte
	runs    [][2]int // bytes that the kernel has, by offset
	end     int      // of the kernel's
	last    bool
	restart bool // since the last delivery
	mixed   bool
}

type plainFragment struct {
	off, end int
	last     bool
	ignored  bool
	data     []byte
}

func (m *plainDefrag) clear() { *m = plainDefrag{policy: m.policy, ip: m.ip, kernel: map[int]byte{}} }

// push returns the datagram if f completes it.
func (m *plainDefrag) push(f plainFragment) []byte {
	if m.policy != Linux && m.ip == 4 {
		return m.byPolicy(f)
	}
	switch m.verdict(f) {
	case fragFits:
		for i, c := range f.data {
			m.kernel[f.off+i] = c
		}
		m.keep(f)
	case fragInside:
		if m.ip == 4 && (m.mixed || !m.again(m.all[m.start:], f)) {
			m.mixed = true
			f.ignored = true
			m.keep(f)
		}
	case fragOverlaps:
		if m.ip == 6 {
			m.clear()
			return nil
		}
		m.begin()
		if plainFits(m.all, f) {
			f.ignored = true
			m.all = append(m.all, f)
			m.start = len(m.all)
		}
	case fragConflicts:
		if m.ip == 6 {
			m.clear()
			return nil
		}
		m.begin()
	}
	if m.last && len(m.kernel) == m.end {
		out := make([]byte, m.end)
		for i, c := range m.kernel {
			out[i] = c
		}
		m.clear()
		return out
	}
	if !m.restart {
		return nil
	}
	out := m.paint(Linux)
	if out != nil {
		m.forget()
	}
	return out
}

// begin is what the kernel does when fragments do not fit together.
func (m *plainDefrag) begin() {
	m.kernel, m.runs, m.end, m.last = map[int]byte{}, nil, 0, false
	m.start, m.restart, m.mixed = len(m.all), true, true
}

func (m *plainDefrag) forget() {
	m.all, m.start, m.restart, m.mixed = m.all[m.start:], 0, false, false
	for _, f := range m.all {
		m.mixed = m.mixed || f.ignored
	}
}

func (m *plainDefrag) keep(f plainFragment) {
	if m.restart && !plainFits(m.all, f) {
		m.forget()
	}
	m.all = append(m.all, f)
}

// verdict is inet_frag_queue_insert on plain lists.
func (m *plainDefrag) verdict(f plainFragment) fragVerdict {
	if f.off == f.end || f.last && (f.end < m.end || m.last && f.end != m.end) || !f.last && m.last && f.end > m.end {
		return fragConflicts
	}
	m.last, m.end = m.last || f.last, max(m.end, f.end)
	if n := len(m.runs); n > 0 && m.runs[n-1][1] == f.off {
		m.runs[n-1][1] = f.end
		return fragFits
	}
	at := 0
	for i, r := range m.runs {
		switch {
		case f.off >= r[1]:
			at = i + 1
		case f.off >= r[0] && f.end <= r[1]:
			return fragInside
		case f.end > r[0]:
			return fragOverlaps
		}
	}
	m.runs = append(m.runs[:at:at], append([][2]int{{f.off, f.end}}, m.runs[at:]...)...)
	return fragFits
}

func (m *plainDefrag) again(all []plainFragment, f plainFragment) bool {
	for _, g := range all {
		if g.off == f.off && g.end == f.end && bytes.Equal(g.data, f.data) {
			return true
		}
	}
	return false
}

func plainFits(all []plainFragment, f plainFragment) bool {
	for _, g := range all {
		if g.last && (f.end > g.end || f.last && f.end != g.end) || f.last && f.end < g.end {
			return false
		}
	}
	return f.end > f.off
}

func (m *plainDefrag) byPolicy(f plainFragment) []byte {
	if !plainFits(m.all, f) {
		return nil
	}
	over := false
	for _, g := range m.all {
		over = over || f.off < g.end && g.off < f.end
	}
	if over {
		if !m.mixed && m.again(m.all, f) {
			return nil
		}
		m.mixed = true
	}
	m.all = append(m.all, f)
	out := m.paint(m.policy)
	if out != nil {
		m.clear()
	}
	return out
}

// paint decides every byte by itself; nil if one is missing.
func (m *plainDefrag) paint(o Overlap) []byte {
	end, last := 0, false
	for _, f := range m.all {
		end, last = max(end, f.end), last || f.last
	}
	if !last {
		return nil
	}
	out := make([]byte, end)
	for i := range out {
		var owner *plainFragment
		for j := range m.all {
			f := &m.all[j]
			if i < f.off || i >= f.end {
				continue
			}
			wins := owner == nil
			if !wins {
				switch o {
				case Linux:
					wins = f.off <= owner.off
				case BSD:
					wins = f.off < owner.off
				case BSDRight:
					wins = f.off >= owner.off
				case Windows:
					wins = f.off < owner.off && f.end > owner.end
				case Solaris:
					wins = f.off < owner.off && f.end >= owner.end
				case Last:
					wins = true
				}
			}
			if wins {
				owner = f
				out[i] = f.data[i-f.off]
			}
		}
		if owner == nil {
			return nil
		}
	}
	return out
}

// comparePlain plays ops, three bytes a fragment, to a Defrag and to the model.
func comparePlain(t *testing.T, policy Overlap, ip uint8, ops []byte) {
	t.Helper()
	const most = 64 // ops
	d := NewDefrag(1<<20, policy)
	m := &plainDefrag{policy: policy, ip: ip}
	m.clear()
	for n := 0; len(ops) >= 3 && n < most; n, ops = n+1, ops[3:] {
		off, size, last := int(ops[0]&15)*8, int(ops[1]&7)*8, ops[0]&0x80 != 0
		if last {
			size += int(ops[0] >> 4 & 7)
		}
		data := bytes.Repeat(ops[2:3], size)
		got, _ := d.Push(fragmentPacket(ip, 7, off, !last, data))
		want := m.push(plainFragment{off: off, end: off + size, last: last, data: data})
		if !bytes.Equal(got, want) {
			t.Fatalf("policy %d, IPv%d, fragment %d (%d+%d last %v): got %q, want %q", policy, ip, n, off, size, last, got, want)
		}
		if got != nil && len(m.all) != len(heldFragments(d)) || d.Held() < 0 {
			t.Fatalf("%d fragments held, want %d", len(heldFragments(d)), len(m.all))
		}
	}
}

// heldFragments returns the fragments of the only datagram.
func heldFragments(d *Defrag) []fragPiece {
	if d.oldest == nil {
		return nil
	}
	return d.oldest.pieces
}

func fragmentPacket(ip uint8, id uint32, off int, more bool, data []byte) *wire.Packet {
	p := &wire.Packet{Frame: &wire.Frame{}, IP: ip, FromA: true, Fragmented: true, Payload: data}
	p.Key.A[15], p.Key.B[15], p.Key.Proto = 1, 2, wire.ProtoUDP
	p.Frag = wire.Fragment{ID: id, Off: off, More: more}
	return p
}

func TestDefragModel(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	for range 20000 {
		ops := make([]byte, 3*(2+rnd.IntN(14)))
		for i := 0; i < len(ops); i += 3 {
			ops[i], ops[i+1], ops[i+2] = byte(rnd.IntN(12)), byte(rnd.IntN(6)), 'a'+byte(i/3)
			if rnd.IntN(5) == 0 {
				ops[i] = 0x88 | byte(rnd.IntN(3))
			}
			if rnd.IntN(3) == 0 {
				ops[i+2] = 'z'
			}
		}
		for _, policy := range []Overlap{Linux, BSD, BSDRight, Windows, Solaris, First, Last} {
			comparePlain(t, policy, 4, ops)
		}
		comparePlain(t, Linux, 6, ops)
		comparePlain(t, Last, 6, ops)
	}
}

// FuzzDefrag: the result is the plain model's, whatever comes.
func FuzzDefrag(f *testing.F) {
	f.Add([]byte("\x00\x03A\x04\x02B\x06\x03C\x0a\x01D\x01\x04J\x06\x03K\x80\x02L"), uint8(0), false)
	f.Add([]byte("\x00\x02A\x82\x01B"), uint8(6), true)
	f.Add([]byte("010000\x93C0\x93C0C10120"), uint8(0), false) // repeated after a fragment of no bytes
	f.Fuzz(func(t *testing.T, ops []byte, policy uint8, six bool) {
		ip := uint8(4)
		if six {
			ip = 6
		}
		comparePlain(t, Overlap(policy%7), ip, ops)
	})
}
