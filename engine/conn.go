package engine

import (
	"slices"

	"weir/dissect"
	"weir/dlp"
	"weir/wire"
)

// conn is what the engine keeps with each flow. It is small: most flows of a scan never carry a byte.
type conn struct {
	app   *app
	twin  *twin  // what it shares with another tap's flow, app among it; nil: nothing
	slice *slice // open slice of an alert of this flow
	shed  bool   // it was left out for want of time: what was lost of it was not inspected for that
}

// place is how far a direction's bytes are understood.
type place uint8

const (
	fresh   place = iota // nothing fed yet; what came is held until a probe decides
	parsed               // fed to the dissector
	unknown              // inspected as raw bytes
)

const (
	maxReprobes  = 64      // chunks of raw bytes whose beginning is probed again, after a gap, an error or a mid-stream start
	maxTold      = 64      // different notes told of a flow
	maxCounted   = 64      // different rules whose findings are counted for a flow
	maxDatagrams = 8       // datagrams of a flow that are probed before it is taken for unknown
	rawID        = 1 << 48 // message IDs of raw bytes: beyond what a dissector counts up to
)

// app is the layer-7 side of a flow that carried bytes. Lanes keep a free list of them.
type app struct {
	proto     *dissect.Protocol
	d         dissect.Dissector
	at        [2]place
	alive     uint64 // candidates: bit i stands for dissect.Protocols[i]
	need      [2]int // bytes that the dissector waits for
	reprobes  uint8
	datagrams uint8
	ended     [2]bool
	upgrade   bool
	panicked  bool
	idBase    uint64 // added to the message IDs of the present dissector
	lastID    uint64
	raw       [2]rawState
	dlp       dlp.State
	records   []*record
	counts    map[string]int // findings per rule
	told      []string       // codes of notes and losses already told
	txs       uint64
	alerted   bool
	skipped   uint64 // bytes that were not looked at
	why       string // the first reason for it
}

// rawState is the endless message of a direction that nobody understands.
type rawState struct {
	id  uint64
	off int64
}

func (a *app) reset() {
	clear(a.counts)
	*a = app{records: a.records[:0], counts: a.counts, told: a.told[:0]}
}

// skip notes that n bytes were not looked at, and why.
func (a *app) skip(n int, why string) {
	if a.why == "" {
		a.why = why
	}
	a.skipped += uint64(n)
}

// tell reports whether code is told for the first time in this flow.
func (a *app) tell(code string) bool {
	if len(a.told) >= maxTold || slices.Contains(a.told, code) {
		return false
	}
	a.told = append(a.told, code)
	return true
}

// candidates are the protocols that a flow over carrier may be, as a bit set.
func candidates(c dissect.Carrier) uint64 {
	if c == dissect.Stream {
		return streamCandidates
	}
	return datagramCandidates
}

var (
	streamCandidates   = carried(dissect.Stream)
	datagramCandidates = carried(dissect.Datagram)
)

func carried(c dissect.Carrier) (set uint64) {
	for i, p := range dissect.Protocols {
		if p.Carrier&c != 0 {
			set |= 1 << i
		}
	}
	return set
}

// identify asks the probes of the protocols still alive what head is, those first that use one of the ports. It returns
// the protocol whose probe says Yes, or nil and whether any still may.
func identify(alive *uint64, dir wire.Dir, head []byte, a, b uint16) (found *dissect.Protocol, maybe bool) {
	if len(head) > dissect.MaxProbe {
		head = head[:dissect.MaxProbe]
	}
	var asked uint64
	for _, hinted := range [2]bool{true, false} {
		for i, p := range dissect.Protocols {
			bit := uint64(1) << i
			if *alive&bit == 0 || asked&bit != 0 || hinted && !uses(p, a, b) {
				continue
			}
			asked |= bit
			switch p.Probe(dir, head) {
			case dissect.Yes:
				return p, false
			case dissect.No:
				*alive &^= bit
			case dissect.Maybe:
				maybe = true
			}
		}
	}
	return nil, maybe && len(head) < dissect.MaxProbe
}

func uses(p *dissect.Protocol, a, b uint16) bool {
	return slices.Contains(p.Ports, a) || slices.Contains(p.Ports, b)
}
