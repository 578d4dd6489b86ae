package daemon

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"weir/alert"
	"weir/pcapstore"
	"weir/rules"
)

// Puller reads packets: those of slices, and those that a running daemon has in memory.
type Puller struct {
	Store   *pcapstore.Store
	Daemon  *Client // nil: the slices alone
	Options pcapstore.PullOptions
	Redact  *Redactor // nil: packets are written as they were

	// What Pull found out. NoDaemon is why no packets in memory were looked at, nil if they were or need not be.
	Recent   RecentAnswer
	NoDaemon error
}

// Pull is pcapstore's Pull over slices and memory. If nothing meets the query the error says why, and what was perhaps meant.
func (p *Puller) Pull(ctx context.Context, w io.Writer, q *pcapstore.Query) (pcapstore.PullCounters, error) {
	if p.Daemon != nil && !p.finished(q) {
		memory, size, err := p.fetch(ctx, q)
		if ctx.Err() != nil {
			return pcapstore.PullCounters{}, ctx.Err()
		}
		if err == nil {
			defer memory.Close()
			p.Options.Recent, p.Options.RecentSize = memory, size
		}
		p.NoDaemon = err
	}
	c, err := p.pull(ctx, w, q)
	if p.Daemon != nil && p.NoDaemon == nil && c.Read > 0 {
		p.Daemon.pulled(pulledSlices{Query: q.String(), Packets: c.Packets - c.Recent, Looked: c.Looked})
	}
	var e *pcapstore.Empty
	if errors.As(err, &e) {
		if why := p.lost(ctx, q); why != nil {
			return c, why
		}
		return c, p.why(e, q, &c)
	}
	return c, err
}

// pull writes what is found; a table shows nothing that could be redacted.
func (p *Puller) pull(ctx context.Context, w io.Writer, q *pcapstore.Query) (c pcapstore.PullCounters, err error) {
	if p.Redact == nil || p.Options.Format == pcapstore.Table {
		return p.Store.Pull(ctx, w, q, p.Options)
	}
	o := p.Options
	o.Format = pcapstore.PcapNG
	err = p.Redact.write(ctx, w, p.Options, func(w io.Writer) (err error) {
		c, err = p.Store.Pull(ctx, w, q, o)
		return err
	})
	return c, err
}

// Lacks says, for people, what a Pull that counted c does not have.
func (p *Puller) Lacks(c *pcapstore.PullCounters) (out []string) {
	for _, d := range c.Damaged {
		out = append(out, fmt.Sprintf("%v (what stands before that is in the answer)", d))
	}
	say := func(n uint64, thing, format string) {
		if n > 0 {
			out = append(out, fmt.Sprintf(format, countOf(int(n), thing)))
		}
	}
	say(uint64(c.Open), "slice", "still being written: %s; the answer has what there is so far")
	say(uint64(c.Gone), "slice", "removed before they could be read: %s (raise [pcap] quota, or pin what must stay)")
	say(c.NotStored, "packet", "a limit of the store kept %s of these flows out of it")
	say(c.Lost, "frame", "the capture lost %s while these slices were written")
	say(p.Recent.Overwritten, "byte", "%s of recent packets were overwritten before they could be read (raise [pcap] pre)")
	if p.NoDaemon != nil && !IsNotRunning(p.NoDaemon) {
		out = append(out, fmt.Sprintf("packets in memory were not looked at: %v", p.NoDaemon))
	}
	return out
}

// finished reports whether all that q can hold for is in slices that are complete.
func (p *Puller) finished(q *pcapstore.Query) bool {
	id := q.Alert()
	if id == "" {
		return false
	}
	found, err := p.Store.Find(id)
	return err == nil && !slices.ContainsFunc(found, func(i pcapstore.Info) bool { return !i.Complete })
}

// fetch has the daemon write its recent packets, at once and into memory, since they are overwritten while they are read. Nothing of them is
// left behind whatever becomes of this process.
func (p *Puller) fetch(ctx context.Context, q *pcapstore.Query) (_ *os.File, size int64, err error) {
	fd, err := unix.MemfdCreate("weir-recent", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, 0, fmt.Errorf("recent packets: %w", err)
	}
	f := os.NewFile(uintptr(fd), "recent packets")
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	r, err := p.Daemon.send(ctx, http.MethodGet, "/packets?query="+url.QueryEscape(q.String()), nil)
	if err != nil {
		return nil, 0, err
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusOK {
		return nil, 0, p.Daemon.refused(r)
	}
	if size, err = io.Copy(f, r.Body); err == nil {
		err = json.Unmarshal([]byte(r.Trailer.Get(packetsTrailer)), &p.Recent)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("control socket %s: the answer was cut short: %w (journalctl -u weir)", p.Daemon.socket, err)
	}
	return f, size, nil
}

// pulled tells the daemon what was read, for its log; that it cannot be told changes nothing.
func (c *Client) pulled(p pulledSlices) {
	var answer struct{}
	c.ask(http.MethodPost, "/pulled", p, &answer)
}

// lost says that the alert which is asked for was raised, and what can be had of it though its slice is not there; nil if nothing is known of it.
func (p *Puller) lost(ctx context.Context, q *pcapstore.Query) error {
	id := q.Alert()
	if id == "" || p.Daemon == nil || p.NoDaemon != nil {
		return nil
	}
	if _, err := p.Store.Find(id); !errors.Is(err, pcapstore.ErrNotFound) {
		return nil
	}
	var ev *alert.Event
	r := AlertReader{Daemon: p.Daemon, Ask: Ask{Last: 1, Filter: Filter{Slice: id}}}
	r.Run(ctx, func(line []byte) (err error) { // what goes wrong here is no answer to what was asked
		ev, err = alert.ParseEVE(line)
		return err
	})
	if ev == nil {
		return nil
	}
	return fmt.Errorf("the slice of this alert (%s, %s) is not there: it could not be written, or was removed since (weir status says how many were); memory may have its packets still: weir pcap pull 'flow %d'",
		clean(ev.Weir.Rule), time.Unix(0, ev.Time).UTC().Format(time.RFC3339), ev.FlowID)
}

// why says why nothing meets a query, neither in slices nor in memory.
func (p *Puller) why(e *pcapstore.Empty, q *pcapstore.Query, c *pcapstore.PullCounters) error {
	text := e.Error()
	var s *Status
	if p.Daemon != nil && p.NoDaemon == nil {
		s, _ = p.Daemon.Status()
	}
	who := q.Workload()
	word, known, watched := e.Word, e.Known, watchedWorkloads(s)
	if who != "" {
		word, known = who, append(slices.Clone(known), watched...)
	}
	near := ""
	if !slices.Contains(watched, who) {
		near = rules.Nearest(word, known)
	}
	switch {
	case near != "":
		text = fmt.Sprintf("%s (did you mean %s?)", e.Why, near)
	case p.Daemon == nil || p.finished(q):
	case p.NoDaemon != nil:
		text += fmt.Sprintf("; packets in memory were not looked at: %v", p.NoDaemon)
	case s == nil:
	case len(s.Interfaces) == 0:
		text += "; no interface is watched (weir status says why)"
	case who != "" && !slices.Contains(watched, who):
		text = fmt.Sprintf("%s, and no interface of it is watched (watched are: %s)", e.Why, listed(interfaceNames(s)))
	default:
		text += fmt.Sprintf("; in memory %s of %s were looked at, back to: %s", countOf(int(p.Recent.Looked), "packet"), countOf(p.Recent.Interfaces, "interface"),
			reaches(s, time.Now()))
	}
	return errors.New(clean(text))
}

// ours
const maxListed = 8 // names that a list in an answer has

// watchedWorkloads returns the names of the workloads that are watched.
func watchedWorkloads(s *Status) (out []string) {
	if s == nil {
		return nil
	}
	for _, i := range s.Interfaces {
		if i.Workload != "" {
			out = append(out, i.Workload)
		}
	}
	return out
}

// interfaceNames returns what is watched, by the workload's name where it is known.
func interfaceNames(s *Status) (out []string) {
	for _, i := range s.Interfaces {
		if name := cmp.Or(i.Workload, i.Name); !slices.Contains(out, name) { // one has two with its loopback
			out = append(out, name)
		}
	}
	return out
}

// listed writes some of a list.
func listed(list []string) string {
	if len(list) <= maxListed {
		return strings.Join(list, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(list[:maxListed], ", "), len(list)-maxListed)
}

// reaches writes how far back memory goes, for each interface, the shortest first.
func reaches(s *Status, now time.Time) string {
	list := slices.Clone(s.Interfaces)
	slices.SortStableFunc(list, func(a, b InterfaceStatus) int { return b.RecentSince.Compare(a.RecentSince) })
	var out []string
	for _, i := range list {
		reach := "nothing yet"
		if !i.RecentSince.IsZero() {
			reach = age(now, i.RecentSince) + " ago"
		}
		out = append(out, i.Name+" "+reach)
	}
	return listed(out)
}
