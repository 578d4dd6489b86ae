package daemon

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// slicesWarning stands in every status, so that nobody takes slices for something they may pass on.
const slicesWarning = "slices hold unmasked packet data; readable by root only"

// Status is what a daemon says of itself.
type Status struct {
	Version      string            `json:"version"`
	Started      time.Time         `json:"started"`
	Ready        bool              `json:"ready"`
	Config       string            `json:"config"` // path; "": all defaults
	Rules        int               `json:"rules"`
	RulesLoaded  time.Time         `json:"rules_loaded"`
	Interfaces   []InterfaceStatus `json:"interfaces"`
	Memory       MemoryStatus      `json:"memory"`
	Slices       SlicesStatus      `json:"slices"`
	NotInspected []NotInspected    `json:"not_inspected"`
	Warnings     []string          `json:"warnings,omitempty"` // for people: what is wrong, and what to do
}

// InterfaceStatus is one tap.
type InterfaceStatus struct {
	Name     string         `json:"name"`
	Workload string         `json:"workload"` // "ns/pod", a container's or a namespace's name; "": not known
	Who      WorkloadStatus `json:"who"`      // the same in parts
	Packets  uint64         `json:"packets"`
	Drops    uint64         `json:"drops"`   // frames that the kernel had no room for
	Freezes  uint64         `json:"freezes"` // times that the ring stood full
	Flows    int            `json:"flows"`   // now
}

// MemoryStatus is what memory is taken for, in bytes.
type MemoryStatus struct {
	Go        int64 `json:"go"` // from the system, Recent within it
	Rings     int64 `json:"rings"`
	Hyperscan int64 `json:"hyperscan"`
	Recent    int64 `json:"recent"`
	Budget    int64 `json:"budget"`
}

// SlicesStatus is the pcap store.
type SlicesStatus struct {
	Dir     string `json:"dir"`
	Bytes   int64  `json:"bytes"`
	Quota   int64  `json:"quota"`
	Warning string `json:"warning"`
}

// NotInspected is traffic that was seen but not looked at.
type NotInspected struct {
	Reason string `json:"reason"`
	Count  uint64 `json:"count"` // frames, values or flows, as Reason says; 0: only bytes are known
	Bytes  uint64 `json:"bytes"`
}

// normalise fills what every status has: lists that are lists in JSON even if empty, and the warning.
func (s *Status) normalise() {
	if s.Interfaces == nil {
		s.Interfaces = []InterfaceStatus{}
	}
	if s.NotInspected == nil {
		s.NotInspected = []NotInspected{}
	}
	s.Slices.Warning = slicesWarning
}

// WriteTable writes s for people, times as ages before now.
func (s *Status) WriteTable(w io.Writer, now time.Time) error {
	var b bytes.Buffer
	s.writeHead(&b, now)
	s.writeInterfaces(&b)
	s.writeNotInspected(&b)
	_, err := w.Write(b.Bytes())
	return err
}

func (s *Status) writeHead(b *bytes.Buffer, now time.Time) {
	t := table(b)
	defer t.Flush()
	state := "starting"
	if s.Ready {
		state = "ready"
	}
	fmt.Fprintf(t, "Weir\t%s, %s, up %s\n", s.Version, state, age(now, s.Started))
	fmt.Fprintf(t, "Config\t%s\n", cmp.Or(s.Config, "defaults"))
	rules := fmt.Sprint(s.Rules)
	if !s.RulesLoaded.IsZero() {
		rules += ", loaded " + age(now, s.RulesLoaded) + " ago"
	}
	fmt.Fprintf(t, "Rules\t%s\n", rules)
	m := &s.Memory
	fmt.Fprintf(t, "Memory\t%s of %s: Go %s (recent packets %s), rings %s, Hyperscan %s\n", Size(m.Go+m.Rings+m.Hyperscan), Size(m.Budget),
		Size(m.Go), Size(m.Recent), Size(m.Rings), Size(m.Hyperscan))
	if s.Slices.Dir == "" {
		fmt.Fprintf(t, "Slices\tnone are kept\n")
	} else {
		fmt.Fprintf(t, "Slices\t%s, %s of %s\n", s.Slices.Dir, Size(s.Slices.Bytes), Size(s.Slices.Quota))
		fmt.Fprintf(t, "\t%s\n", s.Slices.Warning)
	}
	for _, x := range s.warnings() {
		fmt.Fprintf(t, "Warning\t%s\n", clean(x))
	}
}

func table(b *bytes.Buffer) *tabwriter.Writer { return tabwriter.NewWriter(b, 0, 8, 2, ' ', 0) }

func (s *Status) warnings() []string {
	out := s.Warnings
	if len(s.Interfaces) == 0 && s.Ready {
		out = append([]string{"no interface is watched (see [capture] include)"}, out...)
	}
	return out
}

func (s *Status) writeInterfaces(b *bytes.Buffer) {
	if len(s.Interfaces) == 0 {
		return
	}
	t := table(b)
	defer t.Flush()
	fmt.Fprintln(t, "\nINTERFACE\tWORKLOAD\tCONTAINER\tIMAGE\tPACKETS\tDROPS\tFREEZES\tFLOWS")
	for _, i := range s.Interfaces {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%d\t%s\t%d\t%d\n", clean(i.Name), shown(i.Workload), shown(shortID(i.Who.ID)), shown(i.Who.Image),
			i.Packets, drops(i.Drops, i.Packets), i.Freezes, i.Flows)
	}
}

func (s *Status) writeNotInspected(b *bytes.Buffer) {
	if len(s.NotInspected) == 0 {
		return
	}
	t := table(b)
	defer t.Flush()
	fmt.Fprintln(t, "\nNOT INSPECTED\tCOUNT\tBYTES")
	for _, n := range s.NotInspected {
		fmt.Fprintf(t, "%s\t%d\t%s\n", clean(n.Reason), n.Count, Size(n.Bytes))
	}
}

// drops writes a count with its share, since a number alone says nothing.
func drops(n, packets uint64) string {
	if n == 0 {
		return "0"
	}
	return fmt.Sprintf("%d (%.2f%%)", n, 100*float64(n)/float64(n+packets))
}

// age writes how long ago t was, with as much precision as people want.
func age(now, t time.Time) string {
	d := now.Sub(t)
	switch {
	case d < time.Minute:
		return d.Truncate(time.Second).String()
	case d < time.Hour:
		return d.Truncate(time.Minute).String()[:len(d.Truncate(time.Minute).String())-2]
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}

// clean keeps names from outside, as of containers, from steering the terminal.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return '?'
		}
		return r
	}, s)
}
