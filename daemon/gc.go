package daemon

import "runtime/debug"

// ours
const (
	// gcMost lets the heap grow to five times what lives before it is collected: where what lives is some tens of megabytes, collecting it
	// at every doubling cost a tenth of all CPU time.
	gcMost  = 400 // percent
	gcLeast = 10
	gcAim   = 75      // percent of the garbage that may be: it is more while what lives grows less, until the collector is told
	gcStep  = 4 << 20 // bytes by which the limit must change to be set anew, since that stops the world
)

// pacer sets how often Go's memory is collected.
type pacer struct {
	percent int
	limit   int64
}

// tune allows so many bytes of garbage beside what lives, or up to a third less, and collects as often as need be once Go's memory reaches limit.
func (c *pacer) tune(live, garbage, limit int64) {
	percent := int(min(max(garbage*gcAim/max(live, 1), gcLeast), gcMost))
	if c.percent == 0 || percent < c.percent*7/8 || percent > c.percent*4/3 {
		c.percent = percent
		debug.SetGCPercent(percent)
	}
	if d := limit - c.limit; d > gcStep || d < -gcStep {
		c.limit = limit
		debug.SetMemoryLimit(limit)
	}
}
