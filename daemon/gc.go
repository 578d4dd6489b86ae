package daemon

import "runtime/debug"

// gcPercent lets the heap grow to five times what lives before it is collected: what lives is some tens of megabytes, and collecting it
// at every doubling cost a tenth of all CPU time. The limit keeps it from mattering where much lives.
const gcPercent = 400

// tuneGC sets how often Go's memory is collected, and the bytes at which it is collected as often as need be.
func tuneGC(limit int64) {
	debug.SetGCPercent(gcPercent)
	debug.SetMemoryLimit(limit)
}
