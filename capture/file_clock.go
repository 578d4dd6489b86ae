package capture

import (
	"math"
	"math/bits"
)

// From the specification: draft-ietf-opsawg-pcapng section 4.2, if_tsresol.
const (
	resolutionBinary = 0x80 // the unit is 2^-n s, else 10^-n s
	resolutionNano   = 9    // 10^-9 s: as we count
	resolutionMax    = 28   // 10^-n: from here on even the greatest count is less than 1 ns
)

// clock turns a pcapng interface's count of time units into ns since the epoch: count * mult / div >> shift + offset.
type clock struct {
	mult   uint64
	div    uint64
	shift  uint8
	offset int64 // s
}

// resolution sets the unit from the value of if_tsresol.
func (c *clock) resolution(v byte) {
	if v&resolutionBinary != 0 {
		*c = clock{mult: nanosPerSecond, div: 1, shift: v &^ resolutionBinary, offset: c.offset}
		return
	}
	*c = clock{mult: 1, div: 1, offset: c.offset}
	for n := v; n < resolutionNano; n++ {
		c.mult *= 10
	}
	for n := min(v, resolutionMax); n > resolutionNano; n-- {
		c.div *= 10
	}
}

// nanos converts a count. What does not fit is held at the end of the range: absurd times stay absurd, and stay in
// order.
func (c *clock) nanos(count uint64) int64 {
	hi, lo := bits.Mul64(count, c.mult)
	if s := c.shift; s >= 64 {
		hi, lo = 0, hi>>(s-64)
	} else if s > 0 {
		hi, lo = hi>>s, hi<<(64-s)|lo>>s
	}
	if c.div > 1 { // then mult is 1 and hi is 0
		lo /= c.div
	}
	t := int64(min(lo, math.MaxInt64))
	if hi > 0 {
		t = math.MaxInt64
	}
	return addSeconds(t, c.offset)
}

// addSeconds returns t ns and s seconds, held at the ends of the range; t is not negative.
func addSeconds(t, s int64) int64 {
	switch {
	case s == 0:
		return t
	case s > math.MaxInt64/nanosPerSecond:
		return math.MaxInt64
	case s < math.MinInt64/nanosPerSecond:
		return math.MinInt64
	}
	if d := s * nanosPerSecond; d <= 0 || t <= math.MaxInt64-d {
		return t + d
	}
	return math.MaxInt64
}
