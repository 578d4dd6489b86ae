package pcapstore

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Empty says why no packet answers a query.
type Empty struct {
	Why   string
	Hint  string   // what to do next; may be ""
	Word  string   // a value in the query that no slice has, "" if that is not why
	Known []string // the values that slices have instead, for a proposal
}

func (e *Empty) Error() string {
	if e.Hint == "" {
		return e.Why
	}
	return e.Why + " (" + e.Hint + ")"
}

// ours
const maxNamed = 8 // values that a hint names

// empty returns why nothing answers q, after c was looked at.
func (s *Store) empty(q *Query, c *PullCounters) error {
	all, err := s.List()
	if err != nil {
		return err
	}
	parts, err := s.parts()
	if err != nil {
		return err
	}
	all = append(all, parts...)
	if len(all) == 0 {
		return &Empty{Why: "the store " + s.dir + " is empty",
			Hint: "a slice is written when an alert is raised: weir status shows what is watched"}
	}
	oldest, _ := span(all)
	for _, n := range q.conjuncts() {
		if !(n.kind == kindBefore && n.time <= oldest) && slices.ContainsFunc(all, func(i Info) bool { return n.answer(&i, nil) != No }) {
			continue
		}
		if e := n.outside(all); e != nil {
			return e
		}
	}
	e := &Empty{Hint: "weir pcap ls shows what there is"}
	if c.Read == 0 {
		e.Why = fmt.Sprintf("none of the %s meets all of the query", count(len(all), "slice"))
	} else {
		e.Why = fmt.Sprintf("no packet meets the query: %s of %d and %s were looked at",
			count(c.Read, "slice"), len(all), count(int(c.Looked), "packet"))
	}
	return e
}

// outside says why a condition holds for no slice at all, nil if that is not to be told in a word.
func (n *node) outside(all []Info) *Empty {
	oldest, newest := span(all)
	switch n.kind {
	case kindBefore:
		return &Empty{
			Why:  fmt.Sprintf("%s is outside the retention: the oldest packet of a slice is from %s", utc(n.time), utc(oldest)),
			Hint: "the oldest slices are removed at [pcap] quota; pin what must stay",
		}
	case kindAfter:
		return &Empty{
			Why: fmt.Sprintf("there is nothing after %s: the newest packet of a slice is from %s", utc(n.time), utc(newest)),
		}
	}
	known := n.known(all)
	if known == nil {
		return nil
	}
	e := &Empty{Why: fmt.Sprintf("no slice has %s %s", words[n.kind].word, n.value()), Word: n.value(), Known: known}
	switch {
	case n.kind == kindAlert || n.kind == kindFlow || n.kind == kindCommunityID:
		e.Hint = fmt.Sprintf("there are %s from %s to %s: weir pcap ls shows them",
			count(len(all), "slice"), utc(oldest), utc(newest))
	case len(known) == 0:
		e.Hint = "no slice names any"
	case len(known) <= maxNamed:
		e.Hint = "there are: " + strings.Join(known, ", ")
	default:
		e.Hint = fmt.Sprintf("there are: %s and %d more", strings.Join(known[:maxNamed], ", "), len(known)-maxNamed)
	}
	return e
}

// known returns the values that slices have for a condition, sorted; nil if it is none that slices answer.
func (n *node) known(all []Info) []string {
	out := []string{}
	for k := range all {
		i := &all[k]
		switch n.kind {
		case kindAlert:
			out = append(append(out, i.ID, i.Meta.Alert), i.Closing.Alerts...)
		case kindFlow:
			out = append(out, strconv.FormatUint(i.Meta.FlowID, 10))
		case kindCommunityID:
			out = append(out, i.Meta.CommunityID)
		case kindRule:
			out = append(append(out, i.Meta.Rule), i.Closing.Rules...)
		case kindWorkload, kindPod:
			out = append(out, i.Meta.Workloads...)
		default:
			return nil
		}
	}
	slices.Sort(out)
	out = slices.Compact(out)
	return slices.DeleteFunc(out, func(s string) bool { return s == "" })
}

// span returns the times of the oldest and the newest packet, as far as the slices' ends tell, else of their alerts.
func span(all []Info) (oldest, newest int64) {
	oldest, newest = math.MaxInt64, math.MinInt64
	for k := range all {
		i := &all[k]
		first, last := cmp.Or(i.Meta.Reach, i.Meta.Time), i.Meta.Time
		if i.Complete {
			first, last = cmp.Or(i.Closing.First, first), cmp.Or(i.Closing.Last, last)
		}
		oldest, newest = min(oldest, first), max(newest, last)
	}
	return oldest, newest
}

func utc(ns int64) string { return time.Unix(0, ns).UTC().Format(time.RFC3339) }

// count returns a number of things.
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
