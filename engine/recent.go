package engine

import (
	"weir/pcapstore"
	"weir/wire"
	"weir/workload"
)

// Packets calls fn with each of t's recent packets for which q holds, in the order they came, and returns how many it looked at. An error of
// fn ends it and comes back. own are the names of the workload behind t's interface, whose packets all are. The frame is borrowed until fn
// returns; c is the scratch, and tells what was overwritten. It may be called from any goroutine: t waits for a step of the copy at the most.
func (t *Tap) Packets(q *pcapstore.Query, own []string, c *pcapstore.RecentCopy, fn func(*wire.Frame) error) (looked uint64, err error) {
	open := t.copyRecent(c)
	where := t.e.where.Load()
	names := map[*workload.Workload][]string{}
	named := func(list []string, addr [16]byte, at int64) []string {
		w := where.Lookup(addr, at)
		if w == nil {
			return list
		}
		if names[w] == nil {
			names[w] = told(w).Names()
		}
		return append(list, names[w]...)
	}
	var d wire.Decoder
	var p wire.Packet
	var i pcapstore.Info
	var who []string
	err = c.Frames(func(flow uint64, f *wire.Frame) error {
		looked++
		d.Decode(f, &p)
		if s := open[flow]; s != nil {
			i = *s
		} else {
			i = pcapstore.Info{}
		}
		if flow&unclaimed == 0 {
			i.Meta.FlowID = flow
		}
		if q.AsksCommunityID() && p.IP != 0 && !p.Fragmented {
			i.Meta.CommunityID = wire.CommunityID(&p.Key, 0)
		}
		who = append(append(who[:0], own...), i.Meta.Workloads...)
		who = named(named(who, p.Key.A, f.Time), p.Key.B, f.Time)
		i.Meta.Workloads = who
		if !q.Packet(&i, &p) {
			return nil
		}
		return fn(f)
	})
	return looked, err
}

// copyRecent copies the recent packets, and says which slices are being written, by flow.
func (t *Tap) copyRecent(c *pcapstore.RecentCopy) map[uint64]*pcapstore.Info {
	open := map[uint64]*pcapstore.Info{}
	t.mu.Lock()
	for _, s := range t.slices {
		open[s.fl.ID] = s.out.Info()
	}
	c.Begin(t.recent)
	t.mu.Unlock()
	for more := true; more; {
		t.mu.Lock()
		more = c.Step(t.recent)
		t.mu.Unlock()
	}
	return open
}
