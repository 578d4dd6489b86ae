package daemon

import (
	"cmp"
	"net/netip"
	"reflect"
	"slices"
	"time"

	"weir/flow"
	"weir/workload"
)

// ours
const (
	nameFirst = 20 * time.Millisecond // after a first look in vain; doubled with each further one
	nameMost  = time.Minute           // up to this
	nameSoon  = 2 * time.Second       // so long after it came a namespace is looked for without waiting longer each time
	nameEvery = time.Minute           // what is known is looked at again
	askEvery  = 10 * time.Minute      // what a runtime has named is asked for again

	pastKept = flow.IdleTCP // what is known of a workload that is gone is kept: its last flows are told so late
	pastMost = 1024         // and so much; more goes, the oldest first
	goneMost = 64           // addresses that a workload had and has no more; further ones are forgotten

	addressSoon   = 100 * time.Millisecond // between two looks at the addresses of one namespace
	addressShare  = 20                     // and so many times what the last look took
	addressMissed = time.Second            // the same where news were missed
	addressPolled = 5 * time.Second        // the same where none come
)

// place is one network namespace at the other end of veths.
type place struct {
	iface     workload.Interface // one of them
	since     time.Time          // when that came
	found     workload.Workload  // what /proc says
	said      *workload.Description
	former    bool                 // said is of the container that was there before
	who       *workload.Workload   // both together; it is published, so it does not change
	addresses []netip.Addr         // likewise
	cut       bool                 // it has more addresses
	gone      map[netip.Addr]int64 // addresses that it had, and until when, ns since the epoch
	changed   bool                 // since it was published
	absent    int                  // runtimes that are not there, of those that were asked last
	asked     int
	due       []*asker // of those, who has not answered since

	look     pace      // through /proc
	ask      pace      // the runtimes
	again    time.Time // they are asked once more; zero: no
	read     pace      // the addresses
	readAt   time.Time
	readTook time.Duration
}

// entries says what is known of the place's addresses, present and past; until is when the place went, 0 if it is there.
func (p *place) entries(until int64) []workload.Entry {
	from := int64(0)
	if !p.since.IsZero() {
		from = p.since.UnixNano()
	}
	list := []workload.Entry{{Workload: p.who, Addresses: p.addresses, From: from, Until: until}}
	for a, at := range p.gone {
		list = append(list, workload.Entry{Workload: p.who, Addresses: []netip.Addr{a}, From: from, Until: at})
	}
	return list
}

// have notes the addresses that the place has now.
func (p *place) have(now time.Time, addresses []netip.Addr) {
	for _, a := range p.addresses {
		if !slices.Contains(addresses, a) && len(p.gone) < goneMost {
			p.gone[a] = now.UnixNano()
		}
	}
	p.addresses = addresses
	for _, a := range addresses {
		delete(p.gone, a)
	}
}

// pace says when something is done again.
type pace struct {
	at   time.Time
	wait time.Duration
}

func (p *pace) due(now time.Time) bool { return !now.Before(p.at) }

// soon reports whether it may be done now, since something like it is done anyway.
func (p *pace) soon(now time.Time) bool { return !now.Before(p.at.Add(-p.wait / 2)) }

// hurry begins anew.
func (p *pace) hurry(at time.Time) { *p = pace{at: at} }

// settle has it done again after a while.
func (p *pace) settle(now time.Time, every time.Duration) { *p = pace{at: now.Add(every)} }

// retry has it done again, later than the last time.
func (p *pace) retry(now time.Time) {
	p.wait = min(max(2*p.wait, nameFirst), nameMost)
	p.at = now.Add(p.wait)
}

// look finds who is in the places where that is due, and reports whether the limits that the finder reached are others
// now. Where one has to be looked for, those that would be next are too: one look through /proc is for all.
func (n *naming) look(now time.Time) bool {
	due := false
	for _, p := range n.places {
		due = due || p.look.due(now)
	}
	if !due {
		return false
	}
	for _, p := range n.places {
		if !p.look.soon(now) {
			continue
		}
		found := n.finder.Find(p.iface)
		switch {
		case found.NetNS == "" && now.Sub(p.since) < nameSoon: // it may speak any time
			p.look.settle(now, nameFirst)
		case found.ID == "":
			p.look.retry(now)
		default:
			p.look.settle(now, nameEvery)
		}
		if found.ID == "" && found.Name == "" { // whoever was in there is until the namespace is gone: what its sockets say still is told as theirs
			found.ID, found.Mark, found.Labels = p.found.ID, p.found.Mark, p.found.Labels
		}
		if found.ID != p.found.ID {
			if said := n.recall(found.ID); said != nil || found.ID == "" {
				p.describe(said)
			} else if uid := found.Labels[workload.LabelPodUID]; uid == "" || uid != p.found.Labels[workload.LabelPodUID] {
				p.former = p.said != nil // it has the name that it had until the runtimes have answered: it may be the rest of the same pod
			}
			p.asked, p.absent, p.due = 0, 0, nil
			p.ask.hurry(now)
		}
		p.found = found
		n.rename(p)
	}
	left := n.left
	n.left = n.finder.Left()
	return n.left != left
}

// describe takes what a runtime said of a place; nil: nothing.
func (p *place) describe(said *workload.Description) {
	if said != nil && p.said != nil {
		kept := *said
		kept.After(p.said)
		said = &kept
	}
	p.said, p.former = said, false
}

// rename makes what is published of a place.
func (n *naming) rename(p *place) {
	who := p.found.With(p.said)
	if reflect.DeepEqual(who, *p.who) {
		return
	}
	if name := display(&who); name != "" && name != display(p.who) {
		n.log.Info("named", "interface", p.iface.Name, "workload", name)
	}
	p.who = &who
	p.changed = true
}

// display is what people call a workload, its id if it has no name.
func display(w *workload.Workload) string { return cmp.Or(w.String(), w.ShortID()) }

// hear has the addresses read of a namespace where they have changed.
func (n *naming) hear(now time.Time, nsid int) {
	if nsid == workload.Everywhere {
		for _, p := range n.places {
			p.read.bring(p.readable(now, addressMissed))
		}
	} else if p := n.places[nsid]; p != nil {
		p.read.bring(p.readable(now, addressSoon))
	}
}

// readable returns when the addresses may be read again, not before now: whoever changes them without end, or has very
// many, does not keep anybody busy.
func (p *place) readable(now time.Time, after time.Duration) time.Time {
	if at := p.readAt.Add(max(after, addressShare*p.readTook)); at.After(now) {
		return at
	}
	return now
}

// bring has it done no later than at.
func (p *pace) bring(at time.Time) {
	if at.Before(p.at) {
		p.at = at
	}
}

// read reads the addresses of a place.
func (n *naming) read(now time.Time, p *place) {
	start := time.Now()
	addresses, cut, err := n.finder.Addresses(p.iface)
	p.readAt, p.readTook = start, time.Since(start)
	every := nameEvery
	if n.polled {
		every = addressPolled
	}
	switch {
	case err != nil:
		n.log.Debug("addresses", "interface", p.iface.Name, "problem", err)
		p.read.retry(now)
		return
	case len(addresses) == 0:
		p.read.retry(now)
	default:
		p.read.settle(now, every)
	}
	slices.SortFunc(addresses, netip.Addr.Compare)
	if addresses = slices.Compact(addresses); !slices.Equal(addresses, p.addresses) || cut != p.cut {
		p.have(now, addresses)
		p.cut, p.changed = cut, true
	}
}

// settled reports whether nothing more is to be expected of who is in a place: what was there before anybody looked, what has a name, and a container of
// which there is no runtime to be asked.
func (p *place) settled() bool {
	return p.since.IsZero() || p.who.Name != "" || p.asked > 0 && p.absent >= p.asked
}

// tellAnswered lets those go on who wait for the names of who was there at the start, once no answer is due.
func (n *naming) tellAnswered() {
	for _, p := range n.places {
		if p.since.IsZero() && p.who.Name == "" && len(p.due) > 0 {
			return
		}
	}
	n.mu.Lock()
	asking := n.asking
	n.asking = nil
	n.mu.Unlock()
	for _, w := range asking {
		close(w)
	}
}

// ask asks the runtimes that may know a place's container. Their answers come later.
func (n *naming) ask(now time.Time, p *place) {
	if !p.again.IsZero() && !now.Before(p.again) {
		p.again = time.Time{}
	}
	p.asked, p.absent, p.due = 0, 0, nil
	for _, a := range n.askers {
		if a.runtime.MayKnow(p.found.Mark) {
			p.asked++
			p.due = append(p.due, a)
			a.want(p.found.ID)
		}
	}
	if p.said != nil && p.said.Name != "" && !p.former {
		p.ask.settle(now, askEvery)
	} else {
		p.ask.retry(now)
	}
	n.unknown(p)
}

// unknown takes the name of the container before from one that no runtime knows.
func (n *naming) unknown(p *place) {
	if p.former && len(p.due) == 0 {
		p.describe(nil)
		n.rename(p)
	}
}

// take deals with a runtime's answer. What it does not know another one may. What was known of a container or its pod stays if the runtime is not there
// any more, or does not know its containers yet.
func (n *naming) take(now time.Time, a answer) {
	for _, p := range n.places {
		if p.found.ID == a.id {
			p.due = slices.DeleteFunc(p.due, func(x *asker) bool { return x == a.from })
		}
		if p.found.ID == a.id && a.absent && !a.news {
			was := p.settled()
			p.absent++
			p.changed = p.changed || p.settled() != was
		}
		if p.found.ID != a.id {
			continue
		}
		if a.said == nil {
			n.unknown(p)
			continue
		}
		if a.said.Name == "" && p.said != nil && p.said.Name != "" && !p.former {
			continue
		}
		p.describe(a.said)
		if p.said.Name != "" {
			p.ask.settle(now, askEvery)
		}
		n.rename(p)
	}
}
