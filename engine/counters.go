package engine

import (
	"sync/atomic"

	"weir/flow"
)

// tapCounters are counted on the packet path by the goroutine that serves the tap.
type tapCounters struct {
	frames, bytes                     uint64
	noIP, undecoded                   uint64
	messages, notes, malformed        uint64
	hits, alerts, anomalies, heldBack uint64
	unsure, allowed, given, elsewhere uint64
	panics, givenUp, givenUpBytes     uint64
	twinBytes, twinsApart             uint64
	shedFlows                         uint64
	oneSided, bothSided               uint64
	dropsHeldBack                     uint64
}

// Counters is a copy of what a tap counted; all of it, or the sum of several taps'.
type Counters struct {
	Frames, Bytes                     uint64 // bytes as on the wire
	Drops, Freezes, Cut, LeftOut      uint64 // frames that the source lost, times it stood full, frames it cut, frames it was told to leave out: for who reads the source to fill in
	NoIP                              uint64 // frames without IP: ARP, spanning tree ...
	Undecoded                         uint64 // frames that could not be decoded
	Messages, Notes, Malformed        uint64
	Hits, Alerts, Anomalies, HeldBack uint64
	DropsHeldBack                     uint64 // conversations that were cut, and whose event the rate limit held back
	Unsure                            uint64 // findings that were less sure than their rule asks for
	Allowed                           uint64 // findings that allow-lists dropped
	Given                             uint64 // findings in bytes that another rule was surer of
	Elsewhere                         uint64 // findings between ends that their rule does not ask for
	Panics                            uint64
	ShedFlows                         uint64 // times that a flow was left out because its tap could not keep up
	TwinBytes                         uint64 // of local conversations, that the other end's tap had inspected already
	TwinsApart                        uint64 // local conversations of which both ends' taps did not show the same
	Undecided                         int    // conversations whose packets are held and of which the policy cannot say yet what becomes of them: now
	OneSided, BothSided               uint64 // TCP connections of which one direction alone was seen, and those of which both were
	GivenUp                           uint64 // flows whose inspection was given up for want of memory
	GivenUpBytes                      uint64 // that came after it and were not understood
	Undecodable                       uint64 // values with a coding that could not be undone
	Shed                              uint64 // bytes that detection gave up on, for its budget
	TooBig                            uint64 // frames too big to be kept among the recent ones: slices lack them
	Flow                              flow.Counters
	Defrag                            flow.DefragCounters
	Last                              int64 // time of the last frame, ns since the epoch
	Oldest                            int64 // time of the oldest recent packet, ns since the epoch; 0: none is kept
}

// snapshot is what publish leaves for readers in other goroutines.
type snapshot = atomic.Pointer[Counters]

// publish makes the counters readable by others: once per block, not per packet.
func (t *Tap) publish() {
	if age := t.now - t.publishedAt; t.frames-t.published < publishEvery && age < publishAge && age >= 0 {
		return
	}
	t.published, t.publishedAt = t.frames, t.now
	t.shown.Store(t.read())
}

const (
	publishEvery = 4096          // frames
	publishAge   = 1_000_000_000 // ns
)

func (t *Tap) read() *Counters {
	c := &t.count
	return &Counters{
		Frames: c.frames, Bytes: c.bytes, NoIP: c.noIP, Undecoded: c.undecoded,
		Messages: c.messages, Notes: c.notes, Malformed: c.malformed,
		Hits: c.hits, Alerts: c.alerts, Anomalies: c.anomalies, HeldBack: c.heldBack, DropsHeldBack: c.dropsHeldBack, Panics: c.panics, GivenUp: c.givenUp, GivenUpBytes: c.givenUpBytes,
		Unsure: c.unsure, Allowed: c.allowed, Given: c.given, Elsewhere: c.elsewhere, ShedFlows: c.shedFlows, OneSided: c.oneSided, BothSided: c.bothSided, TwinBytes: c.twinBytes, TwinsApart: c.twinsApart,
		Undecodable: t.env.Count.Undecodable + t.undecodable, Shed: t.shed, TooBig: t.recent.TooBig(), Flow: *t.table.Counters(), Defrag: t.fragments(), Last: t.now,
		Oldest: t.recent.Oldest(), Undecided: len(t.waiting),
	}
}

// fragments returns what was counted of fragments, by the first of an interface's taps for all of them.
func (t *Tap) fragments() flow.DefragCounters {
	if t.kin == nil {
		return t.defrag.Counters
	}
	if t.younger {
		return flow.DefragCounters{}
	}
	t.kin.mu.Lock()
	defer t.kin.mu.Unlock()
	return t.defrag.Counters
}

// Counters returns what was counted, at most a block or a second old. It may be called from any goroutine.
func (t *Tap) Counters() *Counters {
	if c := t.shown.Load(); c != nil {
		return c
	}
	return &Counters{}
}

// Add adds d to c.
func (c *Counters) Add(d *Counters) {
	c.Frames += d.Frames
	c.Bytes += d.Bytes
	c.Drops += d.Drops
	c.Freezes += d.Freezes
	c.Cut += d.Cut
	c.LeftOut += d.LeftOut
	c.NoIP += d.NoIP
	c.Undecoded += d.Undecoded
	c.Messages += d.Messages
	c.Notes += d.Notes
	c.Malformed += d.Malformed
	c.Hits += d.Hits
	c.Alerts += d.Alerts
	c.Anomalies += d.Anomalies
	c.HeldBack += d.HeldBack
	c.DropsHeldBack += d.DropsHeldBack
	c.Unsure += d.Unsure
	c.Allowed += d.Allowed
	c.Given += d.Given
	c.Elsewhere += d.Elsewhere
	c.Panics += d.Panics
	c.ShedFlows += d.ShedFlows
	c.TwinBytes += d.TwinBytes
	c.TwinsApart += d.TwinsApart
	c.Undecided += d.Undecided
	c.OneSided += d.OneSided
	c.BothSided += d.BothSided
	c.GivenUp += d.GivenUp
	c.GivenUpBytes += d.GivenUpBytes
	c.Undecodable += d.Undecodable
	c.Shed += d.Shed
	c.TooBig += d.TooBig
	c.Last = max(c.Last, d.Last)
	if c.Oldest == 0 || d.Oldest != 0 && d.Oldest < c.Oldest {
		c.Oldest = d.Oldest
	}
	c.Flow.Add(&d.Flow)
	c.Defrag.Add(&d.Defrag)
}

// Stats returns the counters under the names that Suricata's stats event has for them, and Weir's own under "weir".
func (c *Counters) Stats() map[string]any {
	return map[string]any{
		"capture": map[string]any{"kernel_packets": c.Frames, "kernel_drops": c.Drops},
		"decoder": map[string]any{"pkts": c.Frames, "bytes": c.Bytes, "invalid": c.Undecoded},
		"flow":    map[string]any{"total": c.Flow.Flows, "active": c.Flow.Active, "evicted": c.Flow.Evicted},
		"defrag": map[string]any{
			"fragments": c.Defrag.Fragments, "reassembled": c.Defrag.Datagrams, "refused": c.Defrag.Refused, "overlap": c.Defrag.Overlaps,
			"dropped": c.Defrag.Dropped + c.Defrag.Expired + c.Defrag.Discarded,
		},
		"tcp": map[string]any{
			"reassembly_gap": c.Flow.Gaps, "midstream_pickups": c.Flow.Midstream, "invalid_checksum": c.Flow.BadChecksums,
			"overlap": c.Flow.Overlaps, "overlap_diff_data": c.Flow.OverlapsDiffer, "segment_memcap_drop": c.Flow.BudgetGaps,
			"rejected": c.Flow.Rejected,
		},
		"detect": map[string]any{"alert": c.Alerts, "alerts_suppressed": c.HeldBack},
		"weir": map[string]any{
			"no_ip": c.NoIP, "messages": c.Messages, "notes": c.Notes, "malformed": c.Malformed, "hits": c.Hits,
			"unsure": c.Unsure, "allowed": c.Allowed, "given_way": c.Given, "elsewhere": c.Elsewhere, "anomalies": c.Anomalies, "panics": c.Panics, "undecodable": c.Undecodable, "shed_bytes": c.Shed,
			"shed_flows": c.ShedFlows, "twin_bytes": c.TwinBytes, "twins_apart": c.TwinsApart,
			"gap_bytes": c.Flow.GapBytes, "late_bytes": c.Flow.Late, "doubted": c.Flow.Doubted, "refused_bytes": c.Flow.RefusedBytes, "too_big_to_keep": c.TooBig, "unjudged_checksums": c.Flow.UnjudgedChecksums,
			"freezes": c.Freezes, "cut_frames": c.Cut, "left_out_frames": c.LeftOut,
		},
	}
}
