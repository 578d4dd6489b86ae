package dissect

import "weir/wire"

// roles tells which end of a flow is the client. Where the flow's beginning was not seen its ports may mislead: what is said first tells.
type roles struct{ known, swapped bool }

// of returns the role of dir. It reports wait if more bytes are needed to know: at the first ones of a flow only. probe says what an end in a
// role would say first.
func (r *roles) of(probe func(wire.Dir, []byte) Guess, dir wire.Dir, data []byte) (role wire.Dir, wait bool) {
	if !r.known && len(data) > 0 {
		head := data[:min(len(data), MaxProbe)]
		as, other := probe(dir, head), probe(dir.Other(), head)
		if as != Yes && (as == Maybe || other == Maybe) && len(data) < MaxProbe {
			return dir, true
		}
		r.known, r.swapped = true, as != Yes && other == Yes
	}
	return r.is(dir), false
}

// is returns the role of dir, as far as it is known.
func (r *roles) is(dir wire.Dir) wire.Dir {
	if r.swapped {
		return dir.Other()
	}
	return dir
}

// either makes a probe of one that asks for a role: it may be any.
func either(probe func(wire.Dir, []byte) Guess, dir wire.Dir, head []byte) Guess {
	return max(probe(dir, head), probe(dir.Other(), head))
}
