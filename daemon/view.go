package daemon

import (
	"fmt"
	"runtime/metrics"
	"slices"
	"strings"
	"time"

	"weir/dlp"
	"weir/engine"
)

// Status says how the daemon is. It may be called from any goroutine.
func (d *Daemon) Status() Status {
	now := time.Now()
	var gates GatesStatus
	if g := d.gates.Load(); g != nil {
		_, gates = g.states()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	s := Status{
		Gates:   gates,
		Version: Version(), Started: d.started, Ready: d.up.Load(), Config: d.conf.File,
		Rules: d.rules, RulesLoaded: d.loaded,
	}
	for _, t := range d.taps {
		s.Interfaces = append(s.Interfaces, d.tapStatus(t, now))
		s.Memory.Rings += int64(t.bytes + t.extra)
	}
	slices.SortFunc(s.Interfaces, func(a, b InterfaceStatus) int { return strings.Compare(a.Name, b.Name) })
	s.Memory.Go, s.Memory.Hyperscan, s.Memory.Budget = goMemory(), dlp.NativeBytes(), int64(d.conf.Budget.Memory)
	s.Memory.Taken, s.Memory.Shed = d.memory.taken.Load(), d.memory.inForce()
	s.Memory.Recent, s.Memory.Inspect = d.memory.budgets.Recent.Taken(), d.memory.budgets.Inspect.Taken()
	s.Memory.Held = d.memory.budgets.Held.Taken() + d.memory.budgets.Fragments.Taken()
	if n := len(s.Memory.Shed); n > 0 {
		s.Warnings = append(s.Warnings, "memory is short (raise [budget] memory): "+shedTable[n].what)
	}
	for name, why := range d.blind {
		s.NotWatched = append(s.NotWatched, NotWatched{name, why})
	}
	slices.SortFunc(s.NotWatched, func(a, b NotWatched) int { return strings.Compare(a.Interface, b.Interface) })
	s.Warnings = append(s.Warnings, d.naming.problems()...)
	if d.outside != "" {
		s.Warnings = append(s.Warnings, "what workloads say inside their network namespaces is not seen: "+d.outside)
	}
	if d.pending != "" {
		s.Warnings = append(s.Warnings, d.pending)
	}
	if d.stale != "" {
		s.Warnings = append(s.Warnings, "the last reload failed, the old rules are in force: "+d.stale)
	}
	if busy := d.queue.Busy(); busy > stuckAfter {
		s.Warnings = append(s.Warnings, fmt.Sprintf("events to %s: %s", d.conf.Paths.EVE(), why(busy, nil)))
	}
	if busy := d.store.Busy(); busy > stuckAfter {
		s.Warnings = append(s.Warnings, fmt.Sprintf("slices to %s: %s", d.conf.Paths.Pcap(), why(busy, nil)))
	}
	c := d.total()
	d.storeStatus(&s)
	s.Events = EventsStatus{Path: d.conf.Paths.EVE(), Alerts: d.told.total(), HeldBack: c.HeldBack, Dropped: d.queue.Dropped()}
	var failing error
	if s.Events.Failed, failing = d.eve.Lost(); failing != nil {
		s.Warnings = append(s.Warnings, fmt.Sprintf("%s cannot be written to, events wait in memory: %v", s.Events.Path, failing))
	}
	if n := s.Events.Failed; n > 0 {
		s.Warnings = append(s.Warnings, fmt.Sprintf("%d events are lost: they could not be written to %s, and found no room to wait (make room on the disk)", n, s.Events.Path))
	}
	if n := s.Events.Dropped; n > 0 {
		among := ""
		if alerts := d.queue.DroppedAlerts(); alerts > 0 {
			among = fmt.Sprintf(", %d of them alerts or drops,", alerts)
		}
		s.Warnings = append(s.Warnings, fmt.Sprintf("%d events%s found no room in the queue to %s (is the disk slow?)", n, among, s.Events.Path))
	}
	before, seconds := d.lost.since(now)
	for i, n := range d.losses(&c) {
		k := lossKinds[i]
		l := LossStatus{Reason: k.reason, What: k.what, Count: n, PerSecond: perSecond(n, before[i], seconds)}
		if k.reason == "ring" && n > 0 {
			l.Percent = 100 * float64(n) / float64(n+c.Frames)
		}
		s.Lost = append(s.Lost, l)
	}
	for _, x := range []NotInspected{
		{Reason: "frames that could not be decoded", Count: c.Undecoded},
		{Reason: "bytes of streams that were never seen", Bytes: c.Flow.GapBytes},
		{Reason: "bytes that detection gave up on", Bytes: c.Shed},
		{Reason: "flows left out because an interface brought too much", Count: c.ShedFlows},
		{Reason: "values with a coding that could not be undone", Count: c.Undecodable},
		{Reason: "flows evicted because there was no room for more (raise budget.flows or budget.memory)", Count: c.Flow.Evicted},
		{Reason: "flows whose inspection was given up for want of memory (raise budget.memory)", Count: c.GivenUp, Bytes: c.GivenUpBytes},
		{Reason: "fragmented datagrams given up for want of memory", Count: c.Defrag.Dropped},
	} {
		if x.Count+x.Bytes > 0 {
			s.NotInspected = append(s.NotInspected, x)
		}
	}
	s.Findings = d.findingsStatus(&c)
	for i := range s.Findings.Lists {
		if w := s.Findings.Lists[i].warning(); w != "" {
			s.Warnings = append(s.Warnings, w)
		}
	}
	return s
}

// tapStatus says how a tap is. d.mu is held.
func (d *Daemon) tapStatus(t *tap, now time.Time) InterfaceStatus {
	c, who := t.counters(), d.naming.of(t.iface.Index)
	before, seconds := t.watch.since(now)
	i := InterfaceStatus{
		Name: t.iface.Name, Workload: who.String(), Who: newWorkloadStatus(who), Packets: c.Frames, Drops: c.Drops, LeftOut: c.LeftOut, Freezes: c.Freezes, Cut: c.Cut, Rings: t.reading, Flows: c.Flow.Active,
		PacketsPerSecond: perSecond(c.Frames, before.packets, seconds), DropsPerSecond: perSecond(c.Drops, before.drops, seconds),
		FreezesPerSecond: perSecond(c.Freezes, before.freezes, seconds),
	}
	if c.Oldest != 0 {
		i.RecentSince = time.Unix(0, c.Oldest).UTC()
	}
	return i
}

func (d *Daemon) storeStatus(s *Status) {
	c := d.store.Counters()
	s.Slices = SlicesStatus{Dir: d.conf.Paths.Pcap(), Bytes: d.store.Usage(), Quota: int64(d.conf.Pcap.Quota),
		Written: c.Written, Failed: c.Failed, Refused: c.Refused, NotStored: c.NotStored, Removed: c.Removed}
	free, err := d.store.Free()
	if err != nil {
		s.Warnings = append(s.Warnings, fmt.Sprintf("free space of %s: %v", s.Slices.Dir, err))
	}
	s.Slices.Free = free
	if n := c.Failed + c.Refused; n > 0 {
		s.Warnings = append(s.Warnings, fmt.Sprintf("%d slices were given up: disk, quota or too many at once (events evidence.refused and evidence.lost say why)", n))
	}
}

// total sums the counters of all taps, those that have ended too. d.mu is held.
func (d *Daemon) total() engine.Counters {
	sum := d.gone
	for _, t := range d.taps {
		sum.Add(t.counters())
	}
	for t := range d.ending {
		sum.Add(t.counters())
	}
	return sum
}

// Snapshot returns what is counted, for metrics and stats events. It may be called from any goroutine.
func (d *Daemon) Snapshot() Snapshot {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := d.total()
	native := map[string]int64{"hyperscan": dlp.NativeBytes(), "ring": 0}
	for _, t := range d.taps {
		native["ring"] += int64(t.bytes + t.extra)
	}
	for t := range d.ending {
		native["ring"] += int64(t.bytes + t.extra)
	}
	st := d.store.Counters()
	failed, _ := d.eve.Lost()
	lost := d.losses(&c)
	drops := map[string]uint64{}
	for i, k := range lossKinds {
		drops[k.reason] = lost[i]
	}
	failures := map[string]uint64{"other": d.failures["other"]}
	for _, r := range attachReasons {
		failures[r.name] = d.failures[r.name]
	}
	return Snapshot{
		Packets: map[string]uint64{"veth": c.Frames},
		Drops:   drops,
		Freezes: c.Freezes, Interfaces: d.watched(),
		AttachFailures: failures,
		Flows:          c.Flow.Active, Held: int64(c.Flow.Held), Gaps: c.Flow.Gaps,
		Uninspected: map[string]uint64{"gap": c.Flow.GapBytes, "shed": c.Shed, "budget": c.GivenUpBytes},
		Native:      native, Recent: d.memory.budgets.Recent.Taken(),
		Memory: d.memory.taken.Load(), MemoryBudget: int64(d.conf.Budget.Memory), Shed: d.memory.counts(),
		Evicted: c.Flow.Evicted, GivenUp: c.GivenUp,
		Alerts: d.told.read(), Suppressed: c.HeldBack, NotRaised: notRaised(&c), EventsDropped: d.queue.Dropped(), EventsFailed: failed, Latency: d.latency.read(),
		Slices: st.Written, SlicesFailed: st.Failed + st.Refused, SliceBytes: d.store.Usage(), SliceQuota: int64(d.conf.Pcap.Quota),
		Rules: d.rules, RulesLoaded: d.loaded, Panics: c.Panics, Counters: c, Uptime: time.Since(d.started),
	}
}

func goMemory() int64 {
	s := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(s)
	return int64(s[0].Value.Uint64() - s[1].Value.Uint64())
}
