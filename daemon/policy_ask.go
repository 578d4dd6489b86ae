package daemon

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"weir/engine"
	"weir/policy"
)

// PolicyStatus is the policy in force.
type PolicyStatus struct {
	Files       []string          `json:"files"`
	Loaded      time.Time         `json:"loaded,omitzero"` // zero: no daemon was asked
	Stale       string            `json:"stale,omitempty"` // why what is on disk now is not in force
	Groups      []PolicyGroup     `json:"groups"`
	Rules       []PolicyRule      `json:"rules"`
	DefaultHits uint64            `json:"default_hits"` // conversations and messages that no rule was for
	Modes       map[string]string `json:"modes"`
	Failure     map[string]string `json:"failure"`
	Learned     *PolicyLearned    `json:"learned,omitempty"`
}

// PolicyGroup is a group of it.
type PolicyGroup struct {
	Name    string   `json:"name"`
	Match   []string `json:"match"`
	Comment string   `json:"comment,omitempty"`
	Mode    string   `json:"mode"`
	Failure string   `json:"failure"`
}

// PolicyRule is a rule of it.
type PolicyRule struct {
	ID       string              `json:"id"`
	From     []string            `json:"from"`
	To       []string            `json:"to"`
	Ports    []string            `json:"ports"`
	Protocol string              `json:"protocol"`
	Where    map[string][]string `json:"where,omitempty"`
	Action   string              `json:"action"`
	Hits     *uint64             `json:"hits,omitempty"` // conversations and messages that it decided since it was loaded; nil: no daemon was asked
	Comment  string              `json:"comment,omitempty"`
	Owner    string              `json:"owner,omitempty"`
	Expires  string              `json:"expires,omitempty"`
	Expired  bool                `json:"expired,omitempty"`
	Place    string              `json:"place"` // FILE:LINE:COL
}

// PolicyLearned says how much was learned.
type PolicyLearned struct {
	Parties int       `json:"parties"`
	Edges   int       `json:"edges"`
	First   time.Time `json:"first,omitzero"`
	Last    time.Time `json:"last,omitzero"`
	Lost    uint64    `json:"lost"` // things that came too fast to be noted
	Problem string    `json:"problem,omitempty"`
}

// NewPolicyStatus describes a set; hits are by rule and last for where there is none, nil: not known.
func NewPolicyStatus(set *policy.Set, hits []uint64) *PolicyStatus {
	s := &PolicyStatus{Files: set.Files, Groups: []PolicyGroup{}, Rules: []PolicyRule{}, Modes: map[string]string{}, Failure: map[string]string{}}
	for g, m := range set.Modes {
		s.Modes[g] = m.String()
	}
	for g, f := range set.Failure {
		s.Failure[g] = f.String()
	}
	mode, failure := cmp.Or(s.Modes[policy.Default], policy.Discover.String()), cmp.Or(s.Failure[policy.Default], policy.Open.String())
	for _, g := range set.Groups {
		x := PolicyGroup{Name: g.Name, Comment: g.Comment, Mode: cmp.Or(s.Modes[g.Name], mode), Failure: cmp.Or(s.Failure[g.Name], failure)}
		for _, m := range g.Match {
			x.Match = append(x.Match, m.Text)
		}
		s.Groups = append(s.Groups, x)
	}
	now := time.Now()
	for i := range set.Rules {
		r := &set.Rules[i]
		x := PolicyRule{ID: r.ID, From: r.From, To: r.To, Ports: policy.PortNames(r.Ports), Protocol: r.Protocol, Action: r.Action.String(),
			Comment: r.Comment, Owner: r.Owner, Expires: r.Expires, Expired: r.OverAt(now), Place: r.Pos.String()}
		for _, c := range r.Where {
			if x.Where == nil {
				x.Where = map[string][]string{}
			}
			x.Where[c.Field] = c.Patterns
		}
		if i < len(hits) {
			x.Hits = &hits[i]
		}
		s.Rules = append(s.Rules, x)
	}
	if n := len(hits); n == len(set.Rules)+1 {
		s.DefaultHits = hits[n-1]
	}
	return s
}

// Policy says what is in force. It may be called from any goroutine.
func (d *Daemon) Policy() PolicyStatus {
	d.mu.Lock()
	set, loaded, stale := d.law, d.loaded, d.stale
	d.mu.Unlock()
	s := NewPolicyStatus(set, d.hits(set))
	s.Loaded, s.Stale = loaded, stale
	x := d.learn.learner.Extent()
	s.Learned = &PolicyLearned{Parties: x.Parties, Edges: x.Edges, Lost: x.Lost + d.learn.lost.Load()}
	if x.First > 0 {
		s.Learned.First, s.Learned.Last = time.Unix(0, x.First).UTC(), time.Unix(0, x.Last).UTC()
	}
	if p := d.learn.problem.Load(); p != nil {
		s.Learned.Problem = *p
	}
	return *s
}

func (c *Control) policy(w http.ResponseWriter, r *http.Request) {
	s := c.h.Policy()
	writeJSON(w, http.StatusOK, &s)
}

// learned answers with what was learned, as policy.Learner.Restore reads it.
func (c *Control) learned(w http.ResponseWriter, r *http.Request) {
	data, err := c.h.Learned()
	if err != nil {
		writeError(w, http.StatusInternalServerError, err.Error())
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(data)
}

// Policy asks for the policy in force.
func (c *Client) Policy() (*PolicyStatus, error) {
	var s PolicyStatus
	err := c.ask(http.MethodGet, "/policy", nil, &s)
	if err != nil {
		return nil, err
	}
	return &s, nil
}

// Learned asks for what was learned.
func (c *Client) Learned() (*policy.Learner, error) {
	var data []byte
	if err := c.ask(http.MethodGet, "/policy/learned", nil, (*rawAnswer)(&data)); err != nil {
		return nil, err
	}
	l := policy.NewLearner(engine.Terms)
	if err := l.Restore(data); err != nil {
		return nil, fmt.Errorf("control socket %s: %w", c.socket, err)
	}
	return l, nil
}

// rawAnswer is an answer as it came.
type rawAnswer []byte

// UnmarshalJSON is json.Unmarshaler's.
func (r *rawAnswer) UnmarshalJSON(b []byte) error {
	*r = bytes.Clone(b)
	return nil
}

// WriteTable writes the policy for people.
func (s *PolicyStatus) WriteTable(w io.Writer) error {
	var b bytes.Buffer
	t := table(&b)
	fmt.Fprintln(t, "GROUP\tMODE\tFAILURE\tMEMBERS")
	for _, g := range s.Groups {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", clean(g.Name), g.Mode, g.Failure, clean(strings.Join(g.Match, " | ")))
	}
	fmt.Fprintf(t, "default\t%s\t%s\t%s\n", cmp.Or(s.Modes[policy.Default], policy.Discover.String()), cmp.Or(s.Failure[policy.Default], policy.Open.String()), "who is in no group that has a word of its own")
	for _, name := range policy.Builtin {
		if m := s.Modes[name]; m != "" {
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", name, m, cmp.Or(s.Failure[name], "-"), "built in")
		}
	}
	fmt.Fprintln(t)
	fmt.Fprintln(t, "ID\tACTION\tHITS\tFROM\tTO\tPORTS\tPROTOCOL\tWORDS")
	for i := range s.Rules {
		r := &s.Rules[i]
		hits := "-"
		if r.Hits != nil {
			hits = fmt.Sprint(*r.Hits)
		}
		if r.Expired {
			hits = "expired"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", clean(r.ID), r.Action, hits, anybody(r.From), anybody(r.To), anyOf(r.Ports), cmp.Or(r.Protocol, "any"), clean(r.words()))
	}
	if !s.Loaded.IsZero() {
		fmt.Fprintf(t, "(no rule)\t%s\t%d\t\t\t\t\t\n", "by mode", s.DefaultHits)
	}
	t.Flush()
	if s.Stale != "" {
		fmt.Fprintf(&b, "\nWhat is on disk now is not in force: %s\n", clean(s.Stale))
	}
	if l := s.Learned; l != nil && !l.First.IsZero() {
		fmt.Fprintf(&b, "\nLearned from %s to %s: groups: %d, sorts of conversations: %d (weir policy learn)\n", utcTime(l.First), utcTime(l.Last), l.Parties, l.Edges)
	}
	_, err := w.Write(b.Bytes())
	return err
}

// words are the conditions of a rule for people.
func (r *PolicyRule) words() string {
	var out []string
	for _, f := range sortedNames(r.Where) {
		out = append(out, f+"="+strings.Join(r.Where[f], ","))
	}
	return cmp.Or(strings.Join(out, " "), "any")
}

func anybody(groups []string) string { return cmp.Or(clean(strings.Join(groups, ",")), "anybody") }

func anyOf(list []string) string { return cmp.Or(clean(strings.Join(list, ",")), "any") }
