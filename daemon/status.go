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
	Gates        GatesStatus       `json:"gates"`
	Events       EventsStatus      `json:"events"`
	Lost         []LossStatus      `json:"lost"`
	NotWatched   []NotWatched      `json:"not_watched"`
	NotInspected []NotInspected    `json:"not_inspected"`
	Findings     FindingsStatus    `json:"findings"`
	Warnings     []string          `json:"warnings,omitempty"` // for people: what is wrong, and what to do
}

// InterfaceStatus is one tap.
type InterfaceStatus struct {
	Name     string         `json:"name"`
	Workload string         `json:"workload"` // "ns/pod", a container's or a namespace's name; "": not known
	Who      WorkloadStatus `json:"who"`      // the same in parts
	Packets  uint64         `json:"packets"`
	Drops    uint64         `json:"drops"`    // frames that the kernel had no room for
	Freezes  uint64         `json:"freezes"`  // times that the ring stood full
	LeftOut  uint64         `json:"left_out"` // frames of flows that are left out for a while: the interface brings more than can be inspected
	Cut      uint64         `json:"cut"`      // frames longer than a block of the ring: their ends are lost
	Rings    int            `json:"rings"`    // more than one of a busy interface
	Flows    int            `json:"flows"`    // now

	// Over the last 10 seconds.
	PacketsPerSecond float64 `json:"packets_per_second"`
	DropsPerSecond   float64 `json:"drops_per_second"`
	FreezesPerSecond float64 `json:"freezes_per_second"`

	RecentSince time.Time `json:"recent_since,omitzero"` // time of the oldest packet in memory; zero: there is none
}

// MemoryStatus is what memory is taken for, in bytes.
type MemoryStatus struct {
	Taken     int64    `json:"taken"` // of Budget: anonymous memory, and rings; the program's text is not in it
	Go        int64    `json:"go"`    // from the system, not all of it touched yet; what follows Hyperscan is part of it, and gates.memory is
	Rings     int64    `json:"rings"`
	Hyperscan int64    `json:"hyperscan"`
	Recent    int64    `json:"recent"`  // part of Go: recent packets
	Inspect   int64    `json:"inspect"` // part of Go: what is open at layer 7
	Held      int64    `json:"held"`    // part of Go: of streams and datagrams, out of order or unfinished
	Budget    int64    `json:"budget"`
	Shed      []string `json:"shed,omitempty"` // what is given up now because memory is short
}

// SlicesStatus is the pcap store.
type SlicesStatus struct {
	Dir     string `json:"dir"`
	Bytes   int64  `json:"bytes"`
	Quota   int64  `json:"quota"`
	Free    int64  `json:"free"` // bytes on the file system
	Warning string `json:"warning"`

	// Since the daemon started.
	Written   uint64 `json:"written"`
	Failed    uint64 `json:"failed"`     // given up: disk or quota
	Refused   uint64 `json:"refused"`    // not begun: too many at once, no space
	NotStored uint64 `json:"not_stored"` // packets that a limit kept out
	Removed   uint64 `json:"removed"`    // to stay below the quota, or for their age
}

// LossStatus is what was lost at one place.
type LossStatus struct {
	Reason    string  `json:"reason"` // as metrics have it
	What      string  `json:"what"`
	Count     uint64  `json:"count"`             // since the daemon started
	PerSecond float64 `json:"per_second"`        // over the last 10 seconds
	Percent   float64 `json:"percent,omitempty"` // of the frames, since the daemon started
}

// FindingsStatus is what became of findings that raised nothing, since the daemon started.
type FindingsStatus struct {
	Unsure    uint64            `json:"unsure"`    // less sure than their rule asks for
	Allowed   uint64            `json:"allowed"`   // dropped by allow-lists
	GivenWay  uint64            `json:"given_way"` // in bytes that another rule was surer of
	Elsewhere uint64            `json:"elsewhere"` // between ends that their rule does not ask for
	Lists     []AllowlistStatus `json:"allowlists"`
}

// AllowlistStatus is an allow-list that has dropped findings, or has expired, since the rules were loaded.
type AllowlistStatus struct {
	Rule    string `json:"rule"` // "": of several rules
	About   string `json:"about"`
	Owner   string `json:"owner"`
	Expires string `json:"expires"`
	Expired bool   `json:"expired"`
	Dropped uint64 `json:"dropped"` // findings
}

// NotWatched is an interface that should be watched and is not.
type NotWatched struct {
	Interface string `json:"interface"`
	Why       string `json:"why"`
}

// EventsStatus is what became of events.
type EventsStatus struct {
	Path     string `json:"path"` // of eve.json
	Alerts   uint64 `json:"alerts"`
	HeldBack uint64 `json:"alerts_held_back"` // by the rate limit of each rule and workload
	Dropped  uint64 `json:"dropped"`          // for want of room in the queue to the disk
	Failed   uint64 `json:"failed"`           // could not be written, and found no room to wait until they can
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
	if s.Lost == nil {
		s.Lost = []LossStatus{}
	}
	if s.NotWatched == nil {
		s.NotWatched = []NotWatched{}
	}
	if s.NotInspected == nil {
		s.NotInspected = []NotInspected{}
	}
	if s.Findings.Lists == nil {
		s.Findings.Lists = []AllowlistStatus{}
	}
	s.Slices.Warning = slicesWarning
}

// WriteTable writes s for people, times as ages before now.
func (s *Status) WriteTable(w io.Writer, now time.Time) error {
	var b bytes.Buffer
	s.writeHead(&b, now)
	s.writeInterfaces(&b, now)
	s.writeGates(&b)
	s.writeLost(&b)
	s.writeNotWatched(&b)
	s.writeNotInspected(&b)
	s.writeFindings(&b)
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
	fmt.Fprintf(t, "Memory\t%s of %s: %s\n", Size(m.Taken), Size(m.Budget), m.parts())
	fmt.Fprintf(t, "\tof Go's: recent packets %s, open at layer 7 %s, held %s, under judgement %s\n", Size(m.Recent), Size(m.Inspect), Size(m.Held), Size(s.Gates.Memory))
	if s.Slices.Dir == "" {
		fmt.Fprintf(t, "Slices\tnone are kept\n")
	} else {
		d := &s.Slices
		fmt.Fprintf(t, "Slices\t%s, %s of %s, %s free on the disk\n", d.Dir, Size(d.Bytes), Size(d.Quota), Size(d.Free))
		fmt.Fprintf(t, "\t%d written, %d failed, %d refused, %d removed for quota or age\n", d.Written, d.Failed, d.Refused, d.Removed)
		fmt.Fprintf(t, "\t%s\n", d.Warning)
	}
	e := &s.Events
	fmt.Fprintf(t, "Events\t%s, %d alerts (%d more held back by their rate limit), %d dropped, %d not written\n",
		cmp.Or(e.Path, "-"), e.Alerts, e.HeldBack, e.Dropped, e.Failed)
	for _, x := range s.warnings() {
		fmt.Fprintf(t, "Warning\t%s\n", clean(x))
	}
}

// parts says what memory is taken for; it adds up to what is taken.
func (m *MemoryStatus) parts() string {
	rest := m.Taken - m.Go - m.Rings - m.Hyperscan
	if rest < 0 { // what Go has from the system is not taken before it is touched
		return fmt.Sprintf("Go %s (it may take %s), rings %s, Hyperscan %s", Size(max(0, m.Go+rest)), Size(m.Go), Size(m.Rings), Size(m.Hyperscan))
	}
	return fmt.Sprintf("Go %s, rings %s, Hyperscan %s, other %s", Size(m.Go), Size(m.Rings), Size(m.Hyperscan), Size(rest))
}

func table(b *bytes.Buffer) *tabwriter.Writer { return tabwriter.NewWriter(b, 0, 8, 2, ' ', 0) }

func (s *Status) warnings() []string {
	out := s.Warnings
	if len(s.Interfaces) == 0 && s.Ready {
		out = append([]string{"no interface is watched (see [capture] include)"}, out...)
	}
	return out
}

func (s *Status) writeInterfaces(b *bytes.Buffer, now time.Time) {
	if len(s.Interfaces) == 0 {
		return
	}
	t := table(b)
	defer t.Flush()
	fmt.Fprintln(t, "\nINTERFACE\tWORKLOAD\tCONTAINER\tIMAGE\tPACKETS\tPER S\tDROPS\tPER S\tFREEZES\tPER S\tFLOWS\tIN MEMORY")
	var all InterfaceStatus
	for _, i := range s.Interfaces {
		reach := "-"
		if !i.RecentSince.IsZero() {
			reach = age(now, i.RecentSince)
		}
		writeInterface(t, &i, reach)
		all.add(&i)
	}
	if all.Name = "total"; len(s.Interfaces) > 1 {
		writeInterface(t, &all, "-")
	}
}

func (i *InterfaceStatus) add(j *InterfaceStatus) {
	i.Packets += j.Packets
	i.Drops += j.Drops
	i.LeftOut += j.LeftOut
	i.Freezes += j.Freezes
	i.Flows += j.Flows
	i.PacketsPerSecond += j.PacketsPerSecond
	i.DropsPerSecond += j.DropsPerSecond
	i.FreezesPerSecond += j.FreezesPerSecond
}

func writeInterface(t io.Writer, i *InterfaceStatus, reach string) {
	fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%d\t%s\t%s\t%s\t%d\t%s\t%d\t%s\n", clean(i.Name), shown(i.Workload), shown(shortID(i.Who.ID)), shown(i.Who.Image), i.Packets, rate(i.PacketsPerSecond),
		drops(i.Drops, i.Packets), rate(i.DropsPerSecond), i.Freezes, rate(i.FreezesPerSecond), i.Flows, reach)
}

// rate writes a number of things per second.
func rate(r float64) string {
	if r > 0 && r < 10 {
		return fmt.Sprintf("%.1f", r)
	}
	return fmt.Sprintf("%.0f", r)
}

func (s *Status) writeLost(b *bytes.Buffer) {
	if len(s.Lost) == 0 {
		return
	}
	t := table(b)
	defer t.Flush()
	fmt.Fprintln(t, "\nLOST\tCOUNT\tPER S\tWHAT")
	for _, l := range s.Lost {
		count := fmt.Sprint(l.Count)
		if l.Percent > 0 {
			count += fmt.Sprintf(" (%.2f%%)", l.Percent)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", l.Reason, count, rate(l.PerSecond), l.What)
	}
}

func (s *Status) writeNotWatched(b *bytes.Buffer) {
	if len(s.NotWatched) == 0 {
		return
	}
	t := table(b)
	defer t.Flush()
	fmt.Fprintln(t, "\nNOT WATCHED\tWHY")
	for _, n := range s.NotWatched {
		fmt.Fprintf(t, "%s\t%s\n", clean(n.Interface), clean(n.Why))
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
