package pcapstore

import (
	"bytes"
	"fmt"
	"hash/maphash"
	"strings"

	"weir/wire"
)

// ours
const (
	maxSameTime  = 64 << 20 // bytes of packets with equal time held for comparison; of more, copies may be written twice
	askEvery     = 1024     // packets after which is asked whether anyone still waits for the answer
	heldOverhead = 128      // bytes that one held packet takes beside its data, about
)

// readers is a heap: the earliest packet first, among equals the slice of the earlier alert.
type readers []*reader

func (h readers) Len() int { return len(h) }
func (h readers) Less(i, j int) bool {
	if a, b := h[i].time(), h[j].time(); a != b {
		return a < b
	}
	return h[i].order < h[j].order
}
func (h readers) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *readers) Push(x any)   { *h = append(*h, x.(*reader)) }
func (h *readers) Pop() any {
	old := *h
	r := old[len(old)-1]
	*h = old[:len(old)-1]
	return r
}

// copy writes the packets that one slice has at time t.
func (m *merge) copy(r *reader, t int64) error {
	var p stored
	for len(r.index) > 0 && r.time() == t {
		if err := r.next(&p); err != nil {
			return err
		}
		if err := m.write(r, &p); err != nil {
			return err
		}
	}
	return nil
}

// same is what packets of equal time must have in common, in different slices, to be the same packet. The hash is as
// good as the bytes.
type same struct {
	iface         string
	length, bytes uint32
	hash          uint64
}

// held is a packet that may yet turn up in another slice, with a comment there.
type held struct {
	r *reader
	p stored
}

// compare writes the packets that several slices have at time t, once each. What a slice has several times stays so.
func (m *merge) compare(rs []*reader, t int64) error {
	var list []held
	places := map[same][]int{} // in list
	size := 0
	for _, r := range rs {
		count := map[same]int{}
		for len(r.index) > 0 && r.time() == t {
			var p stored
			if err := r.next(&p); err != nil {
				return err
			}
			f := &p.frame
			k := same{r.ifaces[f.Iface].Name, f.Len, uint32(len(f.Data)), maphash.Bytes(m.seed, f.Data)}
			n := count[k]
			count[k]++
			if n < len(places[k]) {
				list[places[k][n]].p.join(&p)
				m.c.Twice++
				continue
			}
			if size += len(f.Data) + heldOverhead; size > maxSameTime {
				if err := m.writeHeld(list); err != nil {
					return err
				}
				list, size = nil, 0
				clear(places)
				clear(count)
			}
			f.Data = bytes.Clone(f.Data)
			places[k] = append(places[k], len(list))
			list = append(list, held{r, p})
		}
	}
	return m.writeHeld(list)
}

// join adds what another slice says of the same packet.
func (p *stored) join(q *stored) {
	p.frame.Flag |= q.frame.Flag
	p.note.Dropped = max(p.note.Dropped, q.note.Dropped)
	switch c := q.note.Comment; {
	case p.note.Comment == "":
		p.note.Comment = c
	case !strings.Contains(p.note.Comment, c):
		p.note.Comment += "\n" + c
	}
}

func (m *merge) writeHeld(list []held) error {
	for k := range list {
		if err := m.write(list[k].r, &list[k].p); err != nil {
			return err
		}
	}
	return nil
}

// write writes a packet, and its interface before its first one.
func (m *merge) write(r *reader, p *stored) error {
	i := &r.ifaces[p.frame.Iface]
	if i.out < 0 {
		out, err := m.w.Interface(i.Interface)
		if err != nil {
			return err
		}
		for len(m.sums) <= out {
			m.sums = append(m.sums, sum{})
		}
		i.out = out
	}
	if r.order == m.recent {
		m.c.Recent++
	}
	if m.c.Packets++; m.c.Packets%askEvery == 0 && m.ctx.Err() != nil {
		return m.ctx.Err()
	}
	if p.note.Dropped != 0 {
		p.frame.Flag &^= wire.FlagLoss
	}
	m.bytes += uint64(len(p.frame.Data))
	m.first, m.last = min(m.first, p.frame.Time), max(m.last, p.frame.Time)
	return m.w.Packet(i.out, &p.frame, p.note)
}

// end sets what the file's end says: the counts of the interfaces.
func (m *merge) end() {
	for out, s := range m.sums {
		m.w.Count(out, s.received, s.dropped)
	}
	if m.c.NotStored > 0 {
		m.w.stats[len(m.w.stats)-1].Comment = fmt.Sprintf("weir: a limit of the store kept %d packets out of these slices", m.c.NotStored)
	}
}

// endSlice is end for what is a slice again: its closing, with what was written of it.
func (m *merge) endSlice(i *Info) {
	m.end()
	c := i.Closing
	if i.Open {
		c.Why = "it was still being written"
	}
	c.Packets, c.Bytes, c.First, c.Last = m.c.Packets, m.bytes, m.first, m.last
	m.w.stats[len(m.w.stats)-1].Comment = c.line()
}
