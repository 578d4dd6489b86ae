package engine

import (
	"cmp"

	"weir/dissect"
	"weir/dlp"
	"weir/flow"
	"weir/wire"
)

// Trace is told where in the packets stands what a Lane looks at, for who writes a capture anew. All of it is called while a frame is being worked on, or
// when its flow ends; what it is given is borrowed. None of the functions may be nil.
type Trace struct {
	Packet func(p *wire.Packet, fl *flow.Info) // a frame belongs to a flow; what it brings is looked at next
	Chunk  func(fl uint64, c *flow.Chunk)      // bytes of a flow, in order; a datagram
	// Joined: data, that which was kept before and what is new up to the end of the direction's last chunk, is looked at now.
	Joined  func(fl uint64, dir wire.Dir, data []byte)
	Passed  func(fl uint64, dir wire.Dir)          // of these, some were passed over
	Message func(fl uint64, m *dissect.Message)    // what they say; raw bytes too
	Inside  func(fl uint64, m *dissect.Message)    // what values of it carry inside
	Found   func(fl uint64, h *dlp.Hit, f Finding) // what was found in it
	Ended   func(fl *flow.Info, blind bool)        // blind: some of it was not looked at, and is no ciphertext
}

// Finding is how what was found is written.
type Finding struct {
	Text   []byte // in the view that showed it; nil: not known whole
	Source []byte // in the value as it came, if all of it is at hand
}

// unread notes what a dissector has used without looking at it.
func (l *Lane) unread(a *app, dir wire.Dir, pr *dissect.Progress) {
	if pr.Opaque > 0 {
		a.skip(pr.Opaque, whyEncrypted)
	}
	if pr.Passed > 0 {
		a.skip(pr.Passed, whyPassed)
		if l.Trace != nil {
			l.Trace.Passed(l.fl.ID, dir)
		}
	}
}

// traceFound tells the trace of what was found in m, nil at the end of all.
func (l *Lane) traceFound(m *dissect.Message, h *dlp.Hit) {
	f := Finding{Text: l.scan.Found(h)}
	if m != nil {
		f.Source = foundBytes(cmp.Or(l.plain, m), h)
	}
	l.Trace.Found(l.fl.ID, h, f)
}
