package translate

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"weir/policy"
	"weir/rules"
)

// PolicyFormats are the names of what a policy can be written as.
var PolicyFormats = []string{"networkpolicy", "cilium", "neuvector", "toml"}

// exporter writes a policy as objects of Kubernetes. What they cannot say is left out whole, and said in comments: an object that allows more than its
// rule would be a hole, one that denies more an outage.
type exporter struct {
	groups map[string]*policy.Group
	denied map[string]bool // ids of denials that were written
	over   map[string]bool // ids of rules that expired
	names  map[string]bool // of objects, with their namespaces
	docs   []any
	left   []Left
	nv     neuvectorObjects
}

// WritePolicy writes the rules of a policy that apply at a time in a format: YAML, with what was left out in comments before it.
// As "toml" it is the policy itself, in one file.
func WritePolicy(set *policy.Set, format string, now time.Time) (text []byte, left []Left, err error) {
	if format == "toml" {
		return set.AppendTOML(nil), nil, nil
	}
	x := exporter{groups: map[string]*policy.Group{}, denied: map[string]bool{}, over: map[string]bool{}, names: map[string]bool{}}
	for i := range set.Groups {
		x.groups[set.Groups[i].Name] = &set.Groups[i]
	}
	for i := range set.Rules {
		r := &set.Rules[i]
		if r.OverAt(now) {
			x.over[r.ID] = true
			x.left = append(x.left, Left{r.Pos.Line, r.ID, "it expired on " + r.Expires})
			continue
		}
		why := x.unordered(set.Rules[:i], r, format)
		switch {
		case why != "":
		case format == "cilium":
			why = x.cilium(r)
		case format == "neuvector":
			why = x.neuvector(r)
		default:
			why = x.networkPolicy(r)
		}
		if why != "" {
			x.left = append(x.left, Left{r.Pos.Line, r.ID, why})
			continue
		}
		x.denied[r.ID] = r.Action == policy.Deny
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "# %s, made of a policy of Weir.\n", map[string]string{"networkpolicy": "NetworkPolicy", "cilium": "CiliumNetworkPolicy", "neuvector": "NvSecurityRule and NvClusterSecurityRule"}[format])
	b.WriteString("# They allow: what they are about and do not allow is denied. Modes, failure, owners and days of expiry are not in them.\n")
	for _, l := range x.left {
		fmt.Fprintf(&b, "# left out: %s: %s\n", oneLine(l.Rule), oneLine(l.Why))
	}
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	for _, d := range x.docs {
		if err := e.Encode(d); err != nil {
			return nil, nil, err
		}
	}
	if len(x.docs) > 0 {
		err = e.Close()
	}
	return b.Bytes(), x.left, err
}

// unordered says why a rule cannot stand without those before it: the first that matches decides in Weir, in Kubernetes nothing has an order. Who is
// in several groups is not known here: any two rules may be about the same ends.
func (x *exporter) unordered(before []policy.Rule, r *policy.Rule, format string) string {
	if r.Action == policy.Deny && format == "networkpolicy" {
		return "NetworkPolicy cannot deny; what it does not allow is denied"
	}
	for i := range before {
		if b := &before[i]; !x.over[b.ID] && b.Action != r.Action && sharePort(b.Ports, r.Ports) {
			if x.denied[b.ID] || format == "neuvector" && r.Action == policy.Deny { // denials go before whatever allows; NeuVector has an order
				continue
			}
			if format == "neuvector" {
				return fmt.Sprintf("rule %q before it may be about the same, and was left out", b.ID)
			}
			return fmt.Sprintf("rule %q before it may be about the same, and the format has no order", b.ID)
		}
	}
	return ""
}

func sharePort(a, b []policy.Port) bool {
	return len(a) == 0 || len(b) == 0 || slices.ContainsFunc(a, func(p policy.Port) bool {
		return slices.ContainsFunc(b, func(q policy.Port) bool { return p.Proto == q.Proto && p.Low <= q.Top && q.Low <= p.Top })
	})
}

// end is one line of a group, as Kubernetes selects it.
type end struct {
	namespace string
	labels    []rules.End
	prefix    string // an address block
	external  bool
	dns       string
}

// ends returns what Kubernetes knows the members of groups by; why says that it does not.
func (x *exporter) ends(groups []string) (out []end, why string) {
	for _, name := range groups {
		if name == policy.External {
			out = append(out, end{external: true})
			continue
		}
		g := x.groups[name]
		if g == nil {
			return nil, fmt.Sprintf("group %q is nothing that the format knows", name)
		}
		for _, line := range g.Match {
			e, why := endOf(line)
			if why != "" {
				return nil, fmt.Sprintf("group %q: %s: %s", name, line.Text, why)
			}
			out = append(out, e)
		}
	}
	return out, ""
}

func endOf(line rules.Ends) (e end, why string) {
	for _, c := range line.All {
		plain := !strings.Contains(c.Pattern, "*") && c.Regex == nil
		switch {
		case c.Key == "namespace" && plain && !c.Not && e.namespace == "":
			e.namespace = c.Pattern
		case c.Key == "label" && (plain || c.Pattern == "*" && c.Regex == nil):
			e.labels = append(e.labels, c)
		case len(line.All) == 1 && !c.Not && c.Key == "address":
			e.prefix = c.Prefix.Masked().String()
		case len(line.All) == 1 && !c.Not && c.Key == "external":
			e.external = true
		case c.Key == "dns" && strings.Contains(c.Pattern, "*"):
			return e, "a * in names is one label there"
		case len(line.All) == 1 && !c.Not && c.Key == "dns" && c.Regex == nil:
			e.dns = c.Pattern
		default:
			return e, "only namespaces and labels, or an address, are known there"
		}
	}
	return e, ""
}

// pods reports whether it is pods that an end is.
func (e *end) pods() bool { return e.prefix == "" && !e.external && e.dns == "" }

// selector is a LabelSelector.
type selector struct {
	Labels map[string]string `yaml:"matchLabels,omitempty"`
	Exprs  []expression      `yaml:"matchExpressions,omitempty"`
}

type expression struct {
	Key      string   `yaml:"key"`
	Operator string   `yaml:"operator"`
	Values   []string `yaml:"values,omitempty,flow"`
}

// selector selects by labels, whose keys have a prefix.
func (e *end) selector(prefix string) *selector {
	s := &selector{Labels: map[string]string{}}
	for _, c := range e.labels {
		key := prefix + c.Label
		switch {
		case c.Pattern == "*" && c.Not:
			s.Exprs = append(s.Exprs, expression{Key: key, Operator: "DoesNotExist"})
		case c.Pattern == "*":
			s.Exprs = append(s.Exprs, expression{Key: key, Operator: "Exists"})
		case c.Not:
			s.Exprs = append(s.Exprs, expression{key, "NotIn", []string{c.Pattern}})
		default:
			s.Exprs = append(s.Exprs, expression{key, "In", []string{c.Pattern}})
		}
	}
	return s
}

// object is what NetworkPolicy and CiliumNetworkPolicy have in common.
type object struct {
	Version string   `yaml:"apiVersion"`
	Kind    string   `yaml:"kind"`
	Meta    metadata `yaml:"metadata"`
	Spec    any      `yaml:"spec"`
}

type metadata struct {
	Name        string            `yaml:"name"`
	Namespace   string            `yaml:"namespace,omitempty"`
	Annotations map[string]string `yaml:"annotations,omitempty"`
}

var noName = regexp.MustCompile(`[^a-z0-9]+`)

// meta names an object for the n-th line of a rule's group.
func (x *exporter) meta(r *policy.Rule, namespace string, n int) metadata {
	name := strings.Trim(noName.ReplaceAllString(strings.ToLower(r.ID), "-"), "-")
	name = strings.TrimRight(name[:min(len(name), 50)], "-") // of 63 that a name may have
	if name == "" {
		name = "rule"
	}
	name = fmt.Sprintf("%s-%d", name, n)
	for again := 2; x.names[namespace+"/"+name]; again++ { // ids that differ only in what a name cannot hold
		name = fmt.Sprintf("%s-again-%d", strings.SplitN(name, "-again-", 2)[0], again)
	}
	x.names[namespace+"/"+name] = true
	m := metadata{Name: name, Namespace: namespace, Annotations: map[string]string{"weir/policy": r.ID}}
	if r.Comment != "" {
		m.Annotations["weir/comment"] = r.Comment
	}
	return m
}

// sides returns the ends of a rule, and whether its objects are about who gets (ingress) or who begins: pods of which the namespace is known.
func (x *exporter) sides(r *policy.Rule) (subjects, peers []end, ingress bool, why string) {
	from, why := x.ends(r.From)
	if why != "" {
		return nil, nil, false, why
	}
	to, why := x.ends(r.To)
	switch placed := func(e end) bool { return e.pods() && e.namespace != "" }; {
	case why != "":
		return nil, nil, false, why
	case len(to) > 0 && !slices.ContainsFunc(to, func(e end) bool { return !placed(e) }):
		if len(r.From) > 0 && len(from) == 0 {
			return nil, nil, false, "its groups have no members"
		}
		return to, from, true, ""
	case len(from) > 0 && !slices.ContainsFunc(from, func(e end) bool { return !placed(e) }) && !slices.ContainsFunc(to, func(e end) bool { return e.pods() }):
		if len(r.To) > 0 && len(to) == 0 {
			return nil, nil, false, "its groups have no members"
		}
		return from, to, false, ""
	}
	return nil, nil, false, "an object is about the pods of one namespace: each line of the group that it is to, or that it is from if it leads out of the cluster, needs namespace=NAME"
}

// protocols are the IP protocols whose ports Kubernetes knows.
var protocols = map[uint8]string{6: "TCP", 17: "UDP", 132: "SCTP"}

// The networks that `external` is not.
var (
	private4 = []string{"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16", "224.0.0.0/4", "255.255.255.255/32"}
	private6 = []string{"::/127", "fc00::/7", "fe80::/10", "ff00::/8"}
)
