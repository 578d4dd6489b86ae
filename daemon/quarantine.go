package daemon

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"weir/enforce"
)

// Quarantine is a workload that is cut off from everybody but those whom it may still speak with.
type Quarantine struct {
	Name  string    `json:"name"`            // of the workload: NAMESPACE/POD, or its own
	Allow []string  `json:"allow,omitempty"` // see ParseAllow
	Since time.Time `json:"since,omitzero"`
	By    uint32    `json:"by"`             // user
	Rule  string    `json:"rule,omitempty"` // that did it, in the stead of a user
	Now   bool      `json:"now"`            // a workload of that name is there, and is cut off
	Why   string    `json:"why,omitempty"`  // what went wrong with one
	Lift  bool      `json:"lift,omitempty"` // of a request: end it

	Starting bool   `json:"starting,omitempty"` // one is there, and is being cut off; of an answer to a Lift: is being let in
	Unkept   string `json:"unkept,omitempty"`   // why it is not written down: it ends with the daemon

	inFile bool // one of its name is
}

// ours
const (
	maxQuarantines = 1024
	maxAllowed     = 256 // whom one workload in quarantine may speak with

	quarantineWait = time.Second // that whoever asks for a quarantine waits until it holds
)

// ParseAllow reads whom a workload in quarantine may still speak with: an address or network, then perhaps /tcp/PORT, as in 10.0.0.7, 10.0.0.0/8,
// 10.0.0.7/tcp/22 or fd00::/8/udp/53.
func ParseAllow(text string) (a enforce.Allow, err error) {
	const form = "10.0.0.7, 10.0.0.0/8, 10.0.0.7/tcp/22"
	parts := strings.Split(text, "/")
	if n := len(parts); n >= 3 && slices.Contains([]string{"tcp", "udp", "sctp"}, parts[n-2]) {
		port, err := strconv.ParseUint(parts[n-1], 10, 16)
		if err != nil || port == 0 {
			return a, fmt.Errorf("%q: this is no port: %q (%s)", text, parts[n-1], form)
		}
		a.Port, a.Proto = uint16(port), map[string]uint8{"tcp": 6, "udp": 17, "sctp": 132}[parts[n-2]]
		parts = parts[:n-2]
	}
	peer := strings.Join(parts, "/")
	if at, err := netip.ParseAddr(peer); err == nil {
		a.Peer = netip.PrefixFrom(at, at.BitLen())
		return a, nil
	}
	if a.Peer, err = netip.ParsePrefix(peer); err != nil {
		return a, fmt.Errorf("%q: this is no address: %q (%s)", text, peer, form)
	}
	return a, nil
}

func (q *Quarantine) allowed() (out []enforce.Allow, err error) {
	if len(q.Allow) > maxAllowed {
		return nil, fmt.Errorf("more than %d allowed (use networks)", maxAllowed)
	}
	for _, text := range q.Allow {
		a, err := ParseAllow(text)
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, nil
}

// quarantineFile is where quarantines are kept: they outlast the daemon, and hold for a workload that comes again under the same name.
func (p *PathsConfig) quarantineFile() string {
	return filepath.Join(p.State, "state", "quarantine.json")
}

func loadQuarantines(file string) (list []*Quarantine, err error) {
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &list)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w (mend it; without it everybody is let in who is in quarantine)", file, err)
	}
	for _, q := range list {
		q.inFile = true
	}
	return list, nil
}

func (g *gates) saveQuarantines() error {
	list := []Quarantine{}
	for _, q := range g.quarantines {
		list = append(list, *q)
		list[len(list)-1].Unkept = ""
	}
	data, err := json.MarshalIndent(list, "", "  ")
	if err == nil {
		err = replaceFile(g.d.conf.Paths.quarantineFile(), append(data, '\n'))
	}
	if err != nil {
		return err
	}
	for _, q := range g.quarantines {
		q.Unkept, q.inFile = "", true
	}
	return nil
}

// named reports whether a workload goes by a name.
func (w *wanted) named(name string) bool {
	return name != "" && (w.who.String() == name || w.who.Name == name || w.who.Pod != "" && w.who.Pod == name || w.who.ID != "" && len(name) >= 12 && strings.HasPrefix(w.who.ID, name))
}

// Quarantines lists the workloads that are cut off.
func (g *gates) Quarantines() (out []Quarantine) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, q := range g.quarantines {
		out = append(out, *q)
	}
	return out
}

// Quarantine cuts a workload off, or lets it in again. It returns once that is so where a workload of the name is there, and after quarantineWait at the most: then it says that it is still starting.
func (g *gates) Quarantine(q Quarantine) (Quarantine, error) {
	wants := g.wants()
	if err := g.wish(q, wants); err != nil {
		return q, err
	}
	done := make(chan bool)
	go func() { // what it does outlasts the daemon, so nobody waits for it at the end
		defer close(done)
		g.requarantine(q.Name, wants)
	}()
	q.Starting, q.Why = false, ""
	select {
	case <-done:
	case <-time.After(quarantineWait):
		q.Starting = true
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if q.Lift {
		for inode, w := range wants {
			if why := g.uncut[inode]; why != "" && w.named(q.Name) {
				q.Why = "whether it is let in again is not known, and it is tried again: " + why
			}
		}
	} else if i := slices.IndexFunc(g.quarantines, func(x *Quarantine) bool { return x.Name == q.Name }); i >= 0 {
		q = *g.quarantines[i]
	}
	if q.Why != "" {
		return q, errors.New(q.Why)
	}
	return q, nil
}

// wish has the list of quarantines say what somebody wants.
func (g *gates) wish(q Quarantine, wants map[uint64]*wanted) error {
	if _, err := q.allowed(); err != nil {
		return err
	}
	there, host := false, false
	for _, w := range wants {
		if w.named(q.Name) {
			there, host = true, host || hostSpace(w.way.inode)
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	i := slices.IndexFunc(g.quarantines, func(x *Quarantine) bool { return x.Name == q.Name })
	switch {
	case q.Lift && i < 0:
		return fmt.Errorf("%s is not in quarantine (weir quarantine lists who is)", q.Name)
	case !q.Lift && !there && i < 0:
		return fmt.Errorf("there is no workload %s (weir workloads has their names)", q.Name)
	case !q.Lift && host:
		return fmt.Errorf("%s is the host itself, which is never cut off", q.Name)
	case !q.Lift && g.d.spaces == nil:
		return errNoWay
	case !q.Lift && i < 0 && len(g.quarantines) == maxQuarantines:
		return fmt.Errorf("%d workloads are in quarantine: no room for more", maxQuarantines)
	}
	before := slices.Clone(g.quarantines)
	q.inFile = i >= 0 && before[i].inFile
	if i >= 0 {
		g.quarantines = slices.Delete(g.quarantines, i, i+1)
	}
	if !q.Lift {
		q.Since, q.Now, q.Starting, q.Unkept = time.Now().UTC(), false, there, ""
		g.quarantines = append(g.quarantines, &q)
	}
	if err := g.saveQuarantines(); err != nil && q.Lift && q.inFile {
		g.quarantines = before
		return fmt.Errorf("%s stays in quarantine, since that it does not cannot be written down: %w", q.Name, err)
	} else if err != nil && !q.Lift { // a disk that somebody has filled is no reason not to cut him off
		q.Unkept = err.Error()
		g.d.log.Error("a quarantine is not written down: it ends with the daemon", "workload", q.Name, "problem", err)
	}
	g.d.log.Warn("quarantine", "workload", q.Name, "lifted", q.Lift, "by", q.by())
	what := fmt.Sprintf("%s: cut off from everybody but %s, by %s", q.Name, cmp.Or(strings.Join(q.Allow, ", "), "nobody"), q.by())
	if q.Lift {
		what = fmt.Sprintf("%s: let in again, by %s", q.Name, q.by())
	}
	g.d.tell(q.Name, "enforce.quarantine", what)
	return nil
}

// requarantine does in the namespaces of a name what the list says.
func (g *gates) requarantine(name string, wants map[uint64]*wanted) {
	named := func(w *wanted) bool { return w.named(name) }
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.busy(wants, named) {
		g.cuts.Wait()
	}
	for inode, w := range wants {
		if named(w) {
			delete(g.cut, inode)
			delete(g.uncut, inode)
		}
	}
	g.quarantine(wants, named)
}

// by says who asked for it.
func (q *Quarantine) by() string {
	if q.Rule != "" {
		return "rule " + q.Rule
	}
	return fmt.Sprintf("user %d", q.By)
}

// cut is what is to be done in a namespace: its workload is cut off, or let in again.
type cut struct {
	w    *wanted
	q    *Quarantine // nil: it is let in
	list []enforce.Allow
	err  error
}

// quarantine cuts off who is to be, and lets in who is not any more: of all workloads, or of those of which only is true. g.mu is held, but not while the kernel works.
func (g *gates) quarantine(wants map[uint64]*wanted, only func(*wanted) bool) {
	var cuts []*cut
	for inode, w := range wants {
		if only != nil && !only(w) {
			continue
		}
		q := g.quarantineOf(w)
		was, known := g.cut[inode]
		_, busy := g.cutting[inode]
		switch {
		case g.d.spaces == nil, q != nil && hostSpace(inode), known && was == (q != nil):
		case busy:
			g.cutting[inode] = true
		default:
			c := &cut{w: w, q: q}
			if q != nil {
				c.list, c.err = q.allowed()
			}
			g.cutting[inode] = false
			cuts = append(cuts, c)
		}
	}
	g.mu.Unlock()
	together(cuts, func(c *cut) {
		switch {
		case c.err != nil:
		case c.q != nil:
			c.err = enforce.Quarantine(g.opener(c.w.way), c.list)
		default:
			c.err = enforce.Lift(g.opener(c.w.way))
		}
	})
	g.mu.Lock()
	for _, c := range cuts {
		inode := c.w.way.inode
		if g.cutting[inode] {
			g.stir()
		}
		delete(g.cutting, inode)
		switch {
		case c.err == nil:
			delete(g.uncut, inode)
			g.cut[inode] = c.q != nil
		case c.q == nil && errors.Is(c.err, errMoved): // it is gone
			delete(g.uncut, inode)
		case g.uncut[inode] != c.err.Error(): // else that has been told
			g.uncut[inode] = c.err.Error()
			g.uncertain(c)
		}
		if now := g.quarantineOf(c.w); now != c.q { // somebody changed his mind meanwhile
			delete(g.cut, inode)
			g.stir()
		}
	}
	if len(cuts) > 0 {
		g.cuts.Broadcast()
	}
	g.judgeQuarantines(wants)
}

// uncertain tells that somebody could not be cut off, or let in. It is tried again.
func (g *gates) uncertain(c *cut) {
	if c.q == nil {
		g.d.log.Warn("whether a workload is in quarantine is not known", "namespace", c.w.way.path, "problem", c.err)
		return
	}
	g.d.log.Error("a workload is not in quarantine", "workload", c.q.Name, "problem", c.err)
	g.d.tell(c.q.Name, "enforce.not_protected", "quarantine: "+c.err.Error())
}

// busy reports whether one of these workloads is just being cut off or let in. g.mu is held.
func (g *gates) busy(wants map[uint64]*wanted, is func(*wanted) bool) bool {
	for inode, w := range wants {
		if _, busy := g.cutting[inode]; busy && is(w) {
			return true
		}
	}
	return false
}

// quarantineOf returns the quarantine that a workload is to be in; nil: none. g.mu is held.
func (g *gates) quarantineOf(w *wanted) *Quarantine {
	if i := slices.IndexFunc(g.quarantines, func(q *Quarantine) bool { return w.named(q.Name) }); i >= 0 {
		return g.quarantines[i]
	}
	return nil
}

// judgeQuarantines says of each quarantine whether it holds. g.mu is held.
func (g *gates) judgeQuarantines(wants map[uint64]*wanted) {
	for _, q := range g.quarantines {
		q.Now, q.Why, q.Starting = false, "", false
	}
	for inode, w := range wants {
		q := g.quarantineOf(w)
		switch {
		case q == nil:
		case g.d.spaces == nil:
			q.Why = errNoWay.Error()
		case hostSpace(inode):
			q.Why = "it is the host itself, which is never cut off"
		case g.uncut[inode] != "":
			q.Why = g.uncut[inode]
		case g.cut[inode]:
			q.Now = true
		default:
			q.Starting = true
		}
	}
}

func (c *Control) quarantines(w http.ResponseWriter, r *http.Request) {
	list := c.h.Quarantines()
	if list == nil {
		list = []Quarantine{}
	}
	writeJSON(w, http.StatusOK, list)
}

func (c *Control) quarantine(w http.ResponseWriter, r *http.Request) {
	var q Quarantine
	if err := json.NewDecoder(io.LimitReader(r.Body, 64<<10)).Decode(&q); err != nil || q.Name == "" {
		writeError(w, http.StatusBadRequest, "this is no request for a quarantine")
		return
	}
	q.By, _ = peer(r.Context())
	q.Rule = ""
	q, err := c.h.Quarantine(q)
	if err != nil {
		writeError(w, http.StatusConflict, err.Error())
		return
	}
	writeJSON(w, http.StatusOK, q)
}

// Quarantines asks who is in quarantine.
func (c *Client) Quarantines() (list []Quarantine, err error) {
	err = c.ask(http.MethodGet, "/quarantine", nil, &list)
	return list, err
}

// Quarantine asks for a quarantine, or for its end. Starting of the answer says that it does not hold yet.
func (c *Client) Quarantine(q *Quarantine) (answer Quarantine, err error) {
	err = c.ask(http.MethodPost, "/quarantine", q, &answer)
	return answer, err
}

// WriteQuarantines writes quarantines for people.
func WriteQuarantines(w io.Writer, list []Quarantine) error {
	var b bytes.Buffer
	t := table(&b)
	fmt.Fprintln(t, "WORKLOAD\tSINCE\tBY\tSTATE\tMAY SPEAK WITH")
	for _, q := range list {
		state := "no such workload now"
		switch {
		case q.Why != "":
			state = "NOT cut off: " + q.Why
		case q.Now:
			state = "cut off"
		case q.Starting:
			state = "starting"
		}
		if q.Unkept != "" {
			state += ", until the daemon ends: " + q.Unkept
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", clean(q.Name), q.Since.Format(time.DateTime), clean(q.by()), clean(state), cmp.Or(clean(strings.Join(q.Allow, " ")), "nobody"))
	}
	t.Flush()
	_, err := w.Write(b.Bytes())
	return err
}
