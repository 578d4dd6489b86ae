package daemon

import (
	"fmt"
	"runtime/metrics"
	"slices"
	"strings"

	"weir/dlp"
	"weir/engine"
)

// Status says how the daemon is. It may be called from any goroutine.
func (d *Daemon) Status() Status {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := Status{
		Version: Version(), Started: d.started, Ready: d.up.Load(), Config: d.conf.File,
		Rules: d.rules, RulesLoaded: d.loaded,
		Slices: SlicesStatus{Dir: d.conf.Paths.Pcap(), Bytes: d.store.Usage(), Quota: int64(d.conf.Pcap.Quota)},
	}
	for _, t := range d.taps {
		c, r := t.tap.Counters(), t.readStats()
		who := d.naming.of(t.iface.Index)
		s.Interfaces = append(s.Interfaces, InterfaceStatus{Name: t.iface.Name, Workload: who.String(), Who: newWorkloadStatus(who),
			Packets: c.Frames, Drops: r.Drops, Freezes: r.Freezes, Flows: c.Flow.Active})
		s.Memory.Rings += int64(t.share.ring)
		s.Memory.Recent += int64(t.share.pre)
	}
	slices.SortFunc(s.Interfaces, func(a, b InterfaceStatus) int { return strings.Compare(a.Name, b.Name) })
	s.Memory.Go, s.Memory.Hyperscan, s.Memory.Budget = goMemory(), dlp.NativeBytes(), int64(d.conf.Budget.Memory)
	for name, why := range d.blind {
		s.Warnings = append(s.Warnings, name+" is not watched: "+why)
	}
	s.Warnings = append(s.Warnings, d.naming.problems()...)
	if d.stale != "" {
		s.Warnings = append(s.Warnings, "the last reload failed, the old rules are in force: "+d.stale)
	}
	if busy := d.queue.Busy(); busy > stuckAfter {
		s.Warnings = append(s.Warnings, fmt.Sprintf("events to %s: %s", d.conf.Paths.EVE(), why(busy)))
	}
	if busy := d.store.Busy(); busy > stuckAfter {
		s.Warnings = append(s.Warnings, fmt.Sprintf("slices to %s: %s", d.conf.Paths.Pcap(), why(busy)))
	}
	if n := d.queue.Failed(); n > 0 {
		s.Warnings = append(s.Warnings, fmt.Sprintf("%d events could not be written to %s (is the disk full?)", n, d.conf.Paths.EVE()))
	}
	if n := d.queue.Dropped(); n > 0 {
		s.Warnings = append(s.Warnings, fmt.Sprintf("%d events found no room in the queue to %s (is the disk slow?)", n, d.conf.Paths.EVE()))
	}
	slices.Sort(s.Warnings)
	c := d.total()
	for _, x := range []NotInspected{
		{Reason: "frames that could not be decoded", Count: c.Undecoded},
		{Reason: "bytes of streams that were never seen", Bytes: c.Flow.GapBytes},
		{Reason: "bytes that detection gave up on", Bytes: c.Shed},
		{Reason: "values with a coding that could not be undone", Count: c.Undecodable},
		{Reason: "flows evicted because the table was full", Count: c.Flow.Evicted},
	} {
		if x.Count+x.Bytes > 0 {
			s.NotInspected = append(s.NotInspected, x)
		}
	}
	return s
}

// total sums the counters of all taps, those that have ended too. d.mu is held.
func (d *Daemon) total() engine.Counters {
	sum := d.gone
	for _, t := range d.taps {
		sum.Add(t.tap.Counters())
	}
	return sum
}

// Snapshot returns what is counted, for metrics. It may be called from any goroutine.
func (d *Daemon) Snapshot() Snapshot {
	d.mu.Lock()
	defer d.mu.Unlock()
	c, ring := d.total(), d.goneRing
	native := map[string]int64{"hyperscan": dlp.NativeBytes(), "ring": 0}
	recent := int64(0)
	for _, t := range d.taps {
		r := t.readStats()
		ring.Drops += r.Drops
		ring.Freezes += r.Freezes
		native["ring"] += int64(t.share.ring)
		recent += int64(t.share.pre)
	}
	st := d.store.Counters()
	return Snapshot{
		Packets: map[string]uint64{"veth": c.Frames},
		Drops:   map[string]uint64{"ring": ring.Drops, "queue": d.queue.Dropped(), "budget": c.Flow.BudgetGaps, "disk": st.NotStored},
		Freezes: ring.Freezes, Interfaces: len(d.taps),
		AttachFailures: map[string]uint64{"attach": uint64(len(d.blind))},
		Flows:          c.Flow.Active, Held: int64(c.Flow.Held), Gaps: c.Flow.Gaps,
		Uninspected: map[string]uint64{"gap": c.Flow.GapBytes, "shed": c.Shed},
		Native:      native, Recent: recent,
		Alerts:     map[AlertLabels]uint64{{Engine: "all", Action: "allowed"}: c.Alerts},
		Suppressed: c.HeldBack, EventsDropped: d.queue.Dropped(), EventsFailed: d.queue.Failed(), Latency: d.latency.read(),
		Slices: st.Written, SlicesFailed: st.Failed + st.Refused, SliceBytes: d.store.Usage(), SliceQuota: int64(d.conf.Pcap.Quota),
		Rules: d.rules, RulesLoaded: d.loaded, Panics: c.Panics,
	}
}

func goMemory() int64 {
	s := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(s)
	return int64(s[0].Value.Uint64() - s[1].Value.Uint64())
}
