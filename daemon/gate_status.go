package daemon

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"weir/engine"
	"weir/policy"
)

// GateStatus says how a workload's packets are held until they are judged.
type GateStatus struct {
	Since      time.Time `json:"since,omitzero"`  // it is protected; zero: it is not
	Failure    string    `json:"failure"`         // what becomes of packets that nobody judges: open, closed
	Why        string    `json:"why,omitempty"`   // it is not protected, though a group of its asks for that
	Starting   bool      `json:"starting"`        // it is about to be protected
	Quarantine bool      `json:"quarantine"`      // it is cut off
	Packets    uint64    `json:"packets"`         // that came to be judged
	Waiting    uint64    `json:"waiting"`         // for their verdict, within the last second
	Dropped    uint64    `json:"dropped"`         // packets
	Missed     uint64    `json:"missed"`          // that could not be judged: they passed or were lost, as Failure says
	Undecided  int       `json:"undecided"`       // conversations of which it is not known yet what becomes of them
	Denied     uint64    `json:"denied"`          // conversations that were cut
	HeldBack   uint64    `json:"drops_held_back"` // of those, whose event the rate limit held back
	Hangs      uint64    `json:"hangs"`           // times that no verdict came in time, and packets passed or stopped meanwhile
}

// GatesStatus is that of all workloads.
type GatesStatus struct {
	Protected    int   `json:"protected"`     // workloads
	NotProtected int   `json:"not_protected"` // that should be
	Starting     int   `json:"starting"`      // that are about to be
	Quarantined  int   `json:"quarantined"`
	Rules        int   `json:"rules"`  // of detection that block
	Memory       int64 `json:"memory"` // bytes of what is under judgement
	GateStatus         // sums, since the daemon started; of those that are gone, too
}

func (s *GateStatus) add(x *GateStatus) {
	s.Packets += x.Packets
	s.Waiting += x.Waiting
	s.Dropped += x.Dropped
	s.Missed += x.Missed
	s.Undecided += x.Undecided
	s.Denied += x.Denied
	s.HeldBack += x.HeldBack
	s.Hangs += x.Hangs
}

// status says how a gate is.
func (x *gate) status() GateStatus {
	n, c := x.guard.Stats(), x.tap.Counters()
	return GateStatus{Since: x.since, Failure: x.failure.String(), Packets: n.Packets, Waiting: n.Waiting, Dropped: n.Dropped, Missed: n.Missed, Undecided: c.Undecided,
		Denied: n.Denied, HeldBack: c.DropsHeldBack, Hangs: n.Hangs}
}

// states says how the gates are, by network namespace, and sums it up. It may be called from any goroutine that holds no lock of the daemon's.
func (g *gates) states() (map[uint64]*GateStatus, GatesStatus) {
	out := map[uint64]*GateStatus{}
	g.mu.Lock()
	defer g.mu.Unlock()
	all := GatesStatus{GateStatus: g.gone, Protected: len(g.at), NotProtected: len(g.fails)}
	for inode, x := range g.at {
		s := x.status()
		all.add(&s)
		out[inode] = &s
	}
	for inode, why := range g.fails {
		out[inode] = &GateStatus{Why: why}
	}
	for inode, known := range g.starts {
		if known {
			all.Starting++
			out[inode] = &GateStatus{Starting: true}
		}
	}
	for inode, is := range g.cut {
		if !is {
			continue
		}
		all.Quarantined++
		if out[inode] == nil {
			out[inode] = &GateStatus{}
		}
		out[inode].Quarantine = true
	}
	if set := g.blocks.Load(); set != nil {
		all.Rules = len(set.Rules) + len(set.Own)
	}
	all.Memory = g.memory.taken()
	return out, all
}

// standing says in which groups a workload is, and in which mode; "": there is no policy.
func standing(p *policy.Policy, k *known) (groups []string, mode string) {
	groups = []string{}
	if p == nil {
		return groups, ""
	}
	strictest := policy.Discover
	for _, a := range append(slices.Clone(k.addresses), netip.Addr{}) {
		id := p.Identify(engine.SubjectOf(k.who, a))
		strictest = max(strictest, p.Mode(id, id))
		for _, name := range p.Groups(id) {
			if !slices.Contains(groups, name) && name != policy.External && name != policy.Unknown {
				groups = append(groups, name)
			}
		}
	}
	slices.Sort(groups)
	return groups, strictest.String()
}

// shown says in a word how a workload's packets are held.
func (s *GateStatus) shown() string {
	var out []string
	switch {
	case s == nil:
		return "-"
	case s.Why != "":
		out = append(out, "NOT PROTECTED")
	case s.Starting:
		out = append(out, "starting")
	case !s.Since.IsZero():
		out = append(out, "fails "+s.Failure)
	}
	if s.Quarantine {
		out = append(out, "quarantine")
	}
	return strings.Join(out, ", ")
}

func (s *Status) writeGates(b *bytes.Buffer) {
	x := &s.Gates
	if x.Protected+x.NotProtected+x.Starting+x.Quarantined == 0 && x.Packets == 0 {
		return
	}
	t := table(b)
	defer t.Flush()
	fmt.Fprintln(t, "\nPROTECTED\tSTARTING\tNOT\tQUARANTINE\tPACKETS\tWAITING\tDROPPED\tNOT JUDGED\tUNDECIDED\tDENIED\tHANGS\tBLOCKING RULES\tMEMORY")
	fmt.Fprintf(t, "%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%s\n", x.Protected, x.Starting, x.NotProtected, x.Quarantined, x.Packets, x.Waiting, x.Dropped, x.Missed, x.Undecided, x.Denied, x.Hangs,
		x.Rules, Size(x.Memory))
}
