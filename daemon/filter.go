package daemon

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"weir/alert"
	"weir/dissect"
	"weir/policy"
	"weir/rules"
)

// Filter is a condition on events: all that is set must hold. It is immutable once in use.
type Filter struct {
	Pod      string    // NAMESPACE/NAME, at either end
	FromPod  string    // at the initiator's
	ToPod    string    // at the other
	Workload string    // a name, at either end
	Protocol string    // as app_proto or proto have it, in lower case
	Verdict  string    // one of Verdicts
	Severity string    // of alerts: that one or above
	Rule     string    // of alerts
	Slice    string    // of alerts: the id of their slice
	Since    time.Time // of the event
}

// Verdicts are what may become of what an event tells of: blocked is what was stopped, denied what the policy denies, stopped or not, undecided what it cannot
// say yet, allowed all else.
var Verdicts = []string{"allowed", "blocked", "denied", "undecided"}

// filterValues are a Filter's conditions by the names that they have in a request.
func (f *Filter) conditions() []struct {
	name  string
	value *string
} {
	return []struct {
		name  string
		value *string
	}{
		{"pod", &f.Pod}, {"from-pod", &f.FromPod}, {"to-pod", &f.ToPod}, {"workload", &f.Workload}, {"protocol", &f.Protocol},
		{"verdict", &f.Verdict}, {"severity", &f.Severity}, {"rule", &f.Rule}, {"slice", &f.Slice},
	}
}

// String says the conditions as the flags of a command do, but for Since.
func (f *Filter) String() string {
	var out []string
	for _, c := range f.conditions() {
		if *c.value != "" {
			out = append(out, "--"+c.name+" "+*c.value)
		}
	}
	return strings.Join(out, " ")
}

// Check reads what people write, and says what is wrong with it: unknown words, with what was perhaps meant.
func (f *Filter) Check() error {
	f.Protocol, f.Severity, f.Verdict = strings.ToLower(f.Protocol), strings.ToLower(f.Severity), strings.ToLower(f.Verdict)
	for _, w := range []struct {
		flag, word string
		known      []string
	}{{"severity", f.Severity, rules.Severities}, {"verdict", f.Verdict, Verdicts}, {"protocol", f.Protocol, protocolWords()}} {
		if w.word == "" || slices.Contains(w.known, w.word) {
			continue
		}
		if near := rules.Nearest(w.word, w.known); near != "" {
			return fmt.Errorf("--%s: %q is unknown (did you mean %s?)", w.flag, clean(w.word), near)
		}
		return fmt.Errorf("--%s: %q is unknown (known: %s)", w.flag, clean(w.word), strings.Join(w.known, ", "))
	}
	for _, c := range f.conditions() {
		if name := *c.value; strings.HasSuffix(c.name, "pod") && name != "" {
			if namespace, pod, ok := strings.Cut(name, "/"); !ok || namespace == "" || pod == "" {
				return fmt.Errorf("--%s: %q is no pod (write NAMESPACE/NAME; --workload takes any name)", c.name, clean(name))
			}
		}
	}
	return nil
}

// protocolWords are the protocols that an event may have.
func protocolWords() []string {
	out := []string{"tcp", "udp", "icmp", "icmpv6", "sctp", "failed"}
	for _, p := range dissect.Protocols {
		for _, name := range []string{p.Name, p.EventType()} {
			if !slices.Contains(out, name) {
				out = append(out, name)
			}
		}
	}
	return out
}

// Match reports whether an event meets f. A nil Filter is met by all.
func (f *Filter) Match(ev *alert.Event) bool {
	switch {
	case f == nil:
		return true
	case !f.Since.IsZero() && ev.Time < f.Since.UnixNano(),
		f.Verdict != "" && !judged(ev, f.Verdict),
		f.Rule != "" && ev.Weir.Rule != f.Rule,
		f.Slice != "" && ev.Weir.Slice != f.Slice,
		f.Severity != "" && rank(ev.Weir.Severity) < rank(f.Severity),
		f.Protocol != "" && !f.speaks(ev):
		return false
	}
	src, dst := ev.Weir.Src, ev.Weir.Dst
	return (f.Workload == "" || called(src, f.Workload) || called(dst, f.Workload)) &&
		(f.Pod == "" || called(src, f.Pod) || called(dst, f.Pod)) &&
		(f.FromPod == "" || called(src, f.FromPod)) && (f.ToPod == "" || called(dst, f.ToPod))
}

func (f *Filter) speaks(ev *alert.Event) bool {
	if f.Protocol == ev.AppProto || f.Protocol == ev.Type {
		return true
	}
	switch name := strings.ToLower(protocolName(ev.Proto)); name {
	case "ipv6-icmp":
		return f.Protocol == "icmp" || f.Protocol == "icmpv6"
	default:
		return ev.Proto != 0 && f.Protocol == name
	}
}

// judged reports whether a verdict is that on what an event tells of.
func judged(ev *alert.Event, verdict string) bool {
	blocked := ev.Type == "drop" || ev.Alert != nil && ev.Alert.Action == "blocked"
	action := policy.Allow.String()
	if v := ev.Weir.Verdict; v != nil {
		action = v.Action
	}
	switch verdict {
	case "blocked":
		return blocked
	case "denied":
		return action == policy.Deny.String()
	case "undecided":
		return action == policy.Undecided.String()
	}
	return !blocked && action == policy.Allow.String()
}

// rank orders severities; what is none is below all.
func rank(severity string) int { return slices.Index(rules.Severities, severity) }

// called reports whether a workload has that name: its own, or NAMESPACE/POD, or POD where there are no namespaces.
func called(w *alert.Workload, name string) bool {
	if w == nil || w.Name == name {
		return w != nil
	}
	if w.Pod == "" {
		return false
	}
	namespace, pod, ok := strings.Cut(name, "/")
	return ok && namespace == w.Namespace && pod == w.Pod || !ok && w.Namespace == "" && name == w.Pod
}

// values writes f as a request has it.
func (f *Filter) values() url.Values {
	v := url.Values{}
	for _, c := range f.conditions() {
		if *c.value != "" {
			v.Set(c.name, *c.value)
		}
	}
	if !f.Since.IsZero() {
		v.Set("since", strconv.FormatInt(f.Since.UnixNano(), 10))
	}
	return v
}

// parseFilter reads what values wrote.
func parseFilter(v url.Values) (*Filter, error) {
	f := &Filter{}
	for _, c := range f.conditions() {
		*c.value = v.Get(c.name)
	}
	if text := v.Get("since"); text != "" {
		ns, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, errors.New("since is a number of ns since the epoch")
		}
		f.Since = time.Unix(0, ns)
	}
	return f, f.Check()
}
