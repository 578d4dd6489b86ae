package daemon

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"weir/flow"
	"weir/pcapstore"
	"weir/rules"
)

// Size is a number of bytes, written as "256MiB".
type Size int64

// units of sizes, greatest first, so that String finds the greatest that fits.
var units = []struct {
	name  string
	bytes int64
}{
	{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
	{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3},
	{"B", 1},
}

var errSize = errors.New(`no size (a number with a unit, as "256MiB" or "10GiB"; known are B, KiB, MiB, GiB, TiB, kB, MB, GB, TB)`)

// UnmarshalText reads a number, which may have a decimal point, and a unit.
func (s *Size) UnmarshalText(text []byte) error {
	in := strings.TrimSpace(string(text))
	for _, u := range units {
		number, ok := strings.CutSuffix(in, u.name)
		if !ok {
			continue
		}
		v, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		if err != nil || v < 0 || math.IsNaN(v) || v*float64(u.bytes) >= 1<<62 {
			break
		}
		*s = Size(v * float64(u.bytes))
		return nil
	}
	if in == "0" {
		*s = 0
		return nil
	}
	return fmt.Errorf("%q is %w", in, errSize)
}

// String writes s with the greatest binary unit that leaves no remainder, or one decimal.
func (s Size) String() string {
	for _, u := range units[:4] {
		switch {
		case int64(s) < u.bytes:
		case int64(s)%u.bytes == 0:
			return fmt.Sprintf("%d%s", int64(s)/u.bytes, u.name)
		default:
			return fmt.Sprintf("%.1f%s", float64(s)/float64(u.bytes), u.name)
		}
	}
	return fmt.Sprintf("%dB", int64(s))
}

// Duration is a time.Duration that is written as "5s" and is not negative.
type Duration time.Duration

// Duration returns d as the standard library has it.
func (d Duration) Duration() time.Duration { return time.Duration(d) }

func (d Duration) String() string { return time.Duration(d).String() }

// UnmarshalText reads what time.ParseDuration reads, and days and weeks.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		v, err = pcapstore.ParseAge(string(text))
	}
	if err != nil || v < 0 {
		return fmt.Errorf(`%q is no duration (a number with a unit, as "5s", "10m" or "1h30m")`, text)
	}
	*d = Duration(v)
	return nil
}

// Attach says where taps are put.
type Attach uint8

const (
	AttachAuto  Attach = iota // host, and netns where the host's side does not see both directions
	AttachHost                // on the host's end of the veth
	AttachNetns               // inside the workload's network namespace
)

var attachNames = []string{"auto", "host", "netns"}

func (a Attach) String() string { return attachNames[a] }

// UnmarshalText reads one of the names.
func (a *Attach) UnmarshalText(text []byte) (err error) {
	*a, err = named[Attach](text, attachNames)
	return err
}

// Overlap is a flow.Overlap, written as its name.
type Overlap flow.Overlap

var overlapNames = []string{
	flow.Linux: "linux", flow.BSD: "bsd", flow.BSDRight: "bsd_right", flow.Windows: "windows", flow.Solaris: "solaris",
	flow.First: "first", flow.Last: "last",
}

func (o Overlap) String() string { return overlapNames[o] }

// UnmarshalText reads one of the names.
func (o *Overlap) UnmarshalText(text []byte) (err error) {
	*o, err = named[Overlap](text, overlapNames)
	return err
}

// Cards says what is shown of a card's number.
type Cards uint8

// What is shown of a card's number.
const (
	CardsBIN6  Cards = iota // the first six and the last four digits
	CardsLast4              // the last four
)

var cardsNames = []string{CardsBIN6: "bin6", CardsLast4: "last4"}

func (c Cards) String() string { return cardsNames[c] }

// UnmarshalText reads one of the names.
func (c *Cards) UnmarshalText(text []byte) (err error) {
	*c, err = named[Cards](text, cardsNames)
	return err
}

// named returns the index of text in names.
func named[T ~uint8](text []byte, names []string) (T, error) {
	if i := slices.Index(names, string(text)); i >= 0 {
		return T(i), nil
	}
	hint := "known are " + strings.Join(names, ", ")
	if n := rules.Nearest(string(text), names); n != "" {
		hint = fmt.Sprintf("did you mean %q?", n)
	}
	return 0, fmt.Errorf("%q is unknown (%s)", text, hint)
}
