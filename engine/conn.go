package engine

import (
	"slices"

	"weir/content"
	"weir/dissect"
	"weir/dlp"
	"weir/policy"
	"weir/tunnel"
	"weir/wire"
)

// conn is what the engine keeps with each flow. It is small: most flows of a scan never carry a byte.
type conn struct {
	app *app
	own *own // nil for most flows
}

// place is how far a direction's bytes are understood.
type place uint8

const (
	fresh   place = iota // nothing fed yet; what came is held until a probe decides
	parsed               // fed to the dissector
	unknown              // inspected as raw bytes
	dropped              // likewise, though it was understood: inspection was given up
)

const (
	maxReprobes  = 64      // chunks of raw bytes whose beginning is probed again, after a gap, an error or a mid-stream start
	maxRejoins   = 4096    // likewise where the other direction is understood, so that one probe is asked
	maxTold      = 64      // different notes told of a flow
	maxCounted   = 64      // different rules whose findings are counted for a flow
	maxDatagrams = 8       // datagrams of a flow that are probed before it is taken for unknown
	rawID        = 1 << 48 // message IDs of raw bytes: beyond what a dissector counts up to
)

// app is what is remembered of the layer-7 side of a flow that carried bytes. A million flows that wait for their next message fit, if what
// is needed only while something is under way is not kept here: see work. Lanes keep a free list of both.
type app struct {
	*work     // nil between messages
	proto     *dissect.Protocol
	law       *law   // that judge is of
	judge     *judge // nil: the policy has said all that it will ever say
	twin      *twin  // whose app it is; nil: one flow's alone
	rare      *rare  // nil for most flows
	lastID    uint64
	lastTx    uint64
	rest      uint64    // what the dissector remembers between messages: dissect.Rest.State
	raw       [2]uint64 // bytes of each direction that nobody understood; of what is no stream, datagrams
	txs       uint64
	skipped   uint64 // bytes that were not looked at
	debt      int32  // what detection has overspent on the flow
	told      [3]code
	why       code // the first reason for skipped
	at        [2]place
	ended     [2]bool
	reprobes  uint16
	datagrams uint8
	panicked  bool
	alerted   bool
	sure      certainty
	spoke     [2]uint8 // messages of each direction, up to enoughMessages
	followed  bool     // an upgrade was agreed on, and nothing was recognised since
	turning   bool     // it seems to have become another protocol without that
	unknown   uint8    // unknownTold, unknownNoted, tunnelNoted
	blind     bool     // of skipped, some is neither ciphertext nor padding
	unsure    bool     // the dissector has taken none of the datagrams yet: proto is a guess that is not told
}

// What was done about a conversation in no known protocol.
const (
	unknownTold  = 1 << iota // it was told
	unknownNoted             // and noted for who learns
	tunnelNoted              // likewise that it carries packets
)

// rare is what is remembered of a flow of which there is something to tell.
type rare struct {
	orig     *dissect.Protocol // what it was before it carried another protocol; nil: nothing else
	told     []code            // that found no room in app
	counts   []count           // findings per rule
	other    *dissect.Protocol // what one direction speaks that is not proto
	otherDir wire.Dir          // which
	inside   *tunnel.Stream    // what is remembered for tunnels
	known    []dlp.Value       // what was found in it last: hidden in what comes after it
	senders  []sender          // of what was found last by rules that cut off whoever sends it
}

// count is how often a rule found something.
type count struct {
	rule   string
	n      int
	unsure int // findings beyond n that are less sure than the rule asks for
}

// work is the part of an app that is there while a message is under way, a protocol is not known yet, or a match is open.
type work struct {
	d         dissect.Dissector
	alive     protocols // candidates; empty: not asked yet, or decided
	tried     protocols // that it turned out not to be
	taken     bool      // the dissector has used bytes
	need      [2]int    // bytes that the dissector waits for
	held      int       // bytes of the initiator that are held for it
	peeked    [2]int    // bytes that are kept and were inspected as raw ones
	upgrade   bool
	next      *dissect.Protocol // that it becomes, if the upgrade says which; and what is known of it
	nextState uint64
	noted     uint64      // ID of the last message that was noted for who learns
	mark      policy.Mark // and where; 0: nowhere, or it was refused
	markTx    uint64      // its exchange
	idBase    uint64      // added to the message IDs of the present dissector
	txBase    uint64      // and to its exchanges
	dlp       dlp.State
	content   content.State
	records   []*record
	shell     *tunnel.Shell // nil: the flow is no text, or is understood
	open      open
}

func (a *app) reset() { *a = app{} }

// be makes p the protocol of the flow. What it was first is remembered.
func (a *app) be(p *dissect.Protocol) {
	if a.proto != nil && a.proto.Name != p.Name && a.more().orig == nil {
		a.rare.orig = a.proto
	}
	a.proto = p
}

func (a *app) more() *rare {
	if a.rare == nil {
		a.rare = &rare{}
	}
	return a.rare
}

// own is what only some flows have.
type own struct {
	slice    *slice    // open slice of an alert of this flow
	smuggled bool      // its odd options of IPv6 were told
	ruled    ruled     // of an inline tap
	tunnel   tunnelled // of a flow that carries packets
	shed     bool      // it was left out for want of time: what was lost of it was not inspected for that
}

func (c *conn) more() *own {
	if c.own == nil {
		c.own = &own{}
	}
	return c.own
}

// slice returns the open slice of an alert of the flow, nil if there is none.
func (c *conn) slice() *slice {
	if c.own == nil {
		return nil
	}
	return c.own.slice
}

// shed reports whether the flow was left out for want of time.
func (c *conn) shed() bool { return c.own != nil && c.own.shed }

// twin returns what the flow shares with another tap's, its app among it; nil: nothing.
func (c *conn) twin() *twin {
	if c.app == nil {
		return nil
	}
	return c.app.twin
}

// Reasons of what a dissector does not look at.
const (
	whyEncrypted = "encrypted"
	whyPassed    = "passed_over"
)

// skip notes that n bytes were not looked at, and why.
func (a *app) skip(n int, why string) {
	if a.why == 0 {
		a.why = codeOf(why)
	}
	a.skipped += uint64(n)
	a.blind = a.blind || why != whyEncrypted && why != whyPassed
}

// tell reports whether something is told for the first time in this flow.
func (a *app) tell(name string) bool {
	c := codeOf(name)
	for i, have := range a.told {
		switch have {
		case c:
			return false
		case 0:
			a.told[i] = c
			return true
		}
	}
	r := a.more()
	if len(r.told) >= maxTold || slices.Contains(r.told, c) {
		return false
	}
	r.told = append(r.told, c)
	return true
}

// found counts a finding of a rule.
func (a *app) found(rule string, unsure bool) {
	r := a.more()
	i := slices.IndexFunc(r.counts, func(c count) bool { return c.rule == rule })
	if i < 0 {
		if i = len(r.counts); i == maxCounted {
			return
		}
		r.counts = append(r.counts, count{rule: rule})
	}
	if unsure {
		r.counts[i].unsure++
	} else {
		r.counts[i].n++
	}
}

// tellCounts returns what was found in a flow by rule, and what was not sure enough.
func (r *rare) tellCounts() (found, unsure map[string]int) {
	for _, c := range r.counts {
		if c.n > 0 {
			found = put(found, c.rule, c.n)
		}
		if c.unsure > 0 {
			unsure = put(unsure, c.rule, c.unsure)
		}
	}
	return found, unsure
}

func put(m map[string]int, key string, n int) map[string]int {
	if m == nil {
		m = map[string]int{}
	}
	m[key] = n
	return m
}
