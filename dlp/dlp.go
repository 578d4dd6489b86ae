// Package dlp finds what rules describe in messages: Hyperscan over every part, streaming, so that
// a match cut anywhere is one match; then a confirming expression on a kept window, validators,
// context and allow-lists; then a mask. What it found leaves it masked only.
package dlp

import (
	"weir/rules"
	"weir/wire"
)

// Hit is one finding: leftmost-longest, once for its source bytes, however many views, fields or match ends showed it.
// Everything in it is masked or a number; it shares no packet memory.
type Hit struct {
	Rule        *rules.Rule
	Message     uint64 // dissect.Message.ID
	Dir         wire.Dir
	Field       string // as rules name it
	Value       uint32 // dissect.Part.Value
	Off, End    int64  // in view 0 of the value: [Off, End) stand for what was found
	Exact       bool   // Off and End are exact; otherwise the whole value must be taken for it
	Masked      string // the mask of what was found, as it stands in Excerpt and must stand wherever else the value is written
	Excerpt     string // masked, with some of what stands around it; "" where Raise cannot be told with it
	Fingerprint string // keyed hash of the value: equal for equal values of one installation
	Sum         uint64 // Fingerprint as a number
	Confidence  uint8  // percent
	Count       int    // findings of this rule in this message so far
	Distinct    int    // of these, different values
	Raise       bool   // with this one the rule's conditions hold for the first time in this message
	Grown       bool   // it replaces one told before with the same Rule, Value and Off, which has turned out longer, or of which more is known; not counted again
	Unsure      bool   // its confidence is less than its rule asks for: not counted, and raises nothing
	Given       bool   // another rule is surer of the same bytes: likewise
	Test        bool   // a published test value: worth an info event, no alert

	text textSpan
}
