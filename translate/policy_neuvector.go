package translate

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"weir/policy"
	"weir/rules"
)

type nvSpec struct {
	Target  nvTarget `yaml:"target"`
	Ingress []nvRule `yaml:"ingress"`
	Egress  []nvRule `yaml:"egress"`
}

type nvTarget struct {
	Selector nvSelector `yaml:"selector"`
}

type nvSelector struct {
	Name     string        `yaml:"name"`
	Criteria []nvCriterion `yaml:"criteria,omitempty"`
}

type nvCriterion struct {
	Key   string `yaml:"key"`
	Op    string `yaml:"op"`
	Value string `yaml:"value"`
}

type nvRule struct {
	Name         string     `yaml:"name"`
	Selector     nvSelector `yaml:"selector"`
	Applications []string   `yaml:"applications,flow"`
	Ports        string     `yaml:"ports"`
	Action       string     `yaml:"action"`
	Priority     int        `yaml:"priority"`
}

// neuvectorObjects is what is remembered from rule to rule.
type neuvectorObjects struct {
	groups map[string]string // names of NeuVector's groups by what they say
	names  map[string]bool
	begun  bool
	last   policy.Action // of the rules of the present priority
	level  int           // which that is
}

const nvLevels = 100 // the highest priority: the first to be asked

// nvEnd is a group of NeuVector.
type nvEnd struct {
	nvSelector
	pods      bool
	namespace string // that of all its members
}

// The groups that are built in there. They are all that there is.
var (
	nvContainers = nvEnd{nvSelector{"containers", []nvCriterion{{"container", "=", "*"}}}, true, ""}
	nvNodes      = nvEnd{nvSelector{Name: "nodes"}, false, ""}
	nvExternal   = nvEnd{nvSelector{Name: "external"}, false, ""}
)

// nvApplications are what NeuVector calls protocols. What is HTTP here is more than there: it is not in this table.
var nvApplications = map[string]string{
	"tls": "SSL", "ssh": "SSH", "dns": "DNS", "dhcp": "DHCP", "ntp": "NTP", "tftp": "TFTP", "rtsp": "RTSP", "sip": "SIP", "mysql": "MySQL", "redis": "Redis", "zookeeper": "ZooKeeper",
	"cassandra": "Cassandra", "mongodb": "MongoDB", "postgresql": "PostgreSQL", "kafka": "Kafka", "couchbase": "Couchbase", "memcached": "Memcached", "radius": "Radius",
	"syslog": "Syslog", "oracle-tns": "Oracle", "tds": "MSSQL", "grpc": "GRPC",
}

// neuvector writes a rule as objects of neuvector.com/v1; why says why it cannot be. Rules are asked by priority there: those of one action that stand behind
// each other have the same, and what comes after them a lower one.
func (x *exporter) neuvector(r *policy.Rule) (why string) {
	if len(r.Where) > 0 {
		return "NeuVector knows no messages"
	}
	apps, why := nvApps(r)
	if why != "" {
		return why
	}
	ports, why := nvPorts(r)
	if why != "" {
		return why
	}
	from, why := x.nvEnds(r.From, r.Action, true)
	if why != "" {
		return why
	}
	to, why := x.nvEnds(r.To, r.Action, false)
	if why != "" {
		return why
	}
	isPods := func(e nvEnd) bool { return e.pods }
	switch {
	case slices.ContainsFunc(from, func(e nvEnd) bool { return !e.pods }) && slices.ContainsFunc(to, func(e nvEnd) bool { return !e.pods }) && len(r.From) > 0 && len(r.To) > 0:
		return "one of both ends must be workloads"
	case !slices.ContainsFunc(from, isPods) && !slices.ContainsFunc(to, isPods):
		return "one of both ends must be workloads"
	}
	level := x.nv.level
	if !x.nv.begun {
		level = nvLevels
	} else if x.nv.last != r.Action {
		level--
	}
	if level < 0 {
		return fmt.Sprintf("there are %d priorities only, and the rules before it need them", nvLevels+1)
	}
	x.nv.begun, x.nv.level, x.nv.last = true, level, r.Action
	n := 0
	detail := func(e nvEnd) nvRule {
		return nvRule{Selector: e.nvSelector, Applications: apps, Ports: ports, Action: r.Action.String(), Priority: level}
	}
	object := func(target nvEnd, in, out []nvRule) {
		n++
		o := object{"neuvector.com/v1", "NvClusterSecurityRule", x.meta(r, target.namespace, n), nvSpec{nvTarget{target.nvSelector}, in, out}}
		if target.namespace != "" {
			o.Kind = "NvSecurityRule"
		}
		for _, list := range [][]nvRule{in, out} {
			for i := range list {
				list[i].Name = fmt.Sprintf("%s-%d", o.Meta.Name, i)
			}
		}
		x.docs = append(x.docs, o)
	}
	for _, t := range to {
		if !t.pods {
			continue
		}
		var in []nvRule
		for _, f := range from {
			in = append(in, detail(f))
		}
		object(t, in, []nvRule{})
	}
	for _, f := range from {
		var out []nvRule
		for _, t := range to {
			if !t.pods && f.pods {
				out = append(out, detail(t))
			}
		}
		if out != nil {
			object(f, []nvRule{}, out)
		}
	}
	return ""
}

// nvApps returns the applications of a rule.
func nvApps(r *policy.Rule) (apps []string, why string) {
	app, ok := nvApplications[r.Protocol]
	switch {
	case r.Protocol == "":
		return []string{"any"}, ""
	case ok:
		return []string{app}, ""
	case r.Protocol == "http" && r.Action == policy.Allow:
		return []string{"HTTP", "GRPC"}, ""
	case r.Protocol == "http":
		return nil, "HTTP/2 is HTTP here, and unknown there: the denial would let it pass"
	}
	return nil, fmt.Sprintf("NeuVector does not know the protocol %s", r.Protocol)
}

func nvPorts(r *policy.Rule) (text, why string) {
	var out []string
	for _, p := range policy.PortNames(r.Ports) {
		word, rest, ranged := strings.Cut(p, "/")
		switch {
		case word != "tcp" && word != "udp":
			return "", fmt.Sprintf("NeuVector has no ports %s", p)
		case !ranged:
			rest = "any"
		}
		out = append(out, word+"/"+rest)
	}
	if out == nil {
		return "any", ""
	}
	return strings.Join(out, ","), ""
}

// nvEnds returns the groups for those of a rule; without any, all there are.
func (x *exporter) nvEnds(groups []string, a policy.Action, from bool) (out []nvEnd, why string) {
	if len(groups) == 0 {
		return []nvEnd{nvContainers, nvNodes, nvExternal}, ""
	}
	for _, name := range groups {
		switch g := x.groups[name]; {
		case name == policy.External:
			out = append(out, x.nvOutside(a))
		case name == policy.Host && a == policy.Deny:
			out = append(out, nvNodes)
		case g == nil:
			return nil, fmt.Sprintf("group %q is nothing that the format knows", name)
		default:
			for i, line := range g.Match {
				e, why := x.nvEnd(fmt.Sprintf("%s-%d", name, i+1), line, a, from)
				if why != "" {
					return nil, fmt.Sprintf("group %q: %s: %s", name, line.Text, why)
				}
				out = append(out, e)
			}
		}
	}
	if out == nil {
		return nil, "its groups have no members"
	}
	return out, ""
}

// nvOutside is what `external` is: their group of that name has private networks in it too, so that it can only deny.
func (x *exporter) nvOutside(a policy.Action) nvEnd {
	if a == policy.Deny {
		return nvExternal
	}
	e := nvEnd{}
	for _, p := range without(netip.MustParsePrefix("0.0.0.0/0"), private4) {
		e.Criteria = append(e.Criteria, nvCriterion{"address", "=", p.String()})
	}
	return x.nvNamed(e, policy.External)
}

// without returns a network without those in it that are left out.
func without(p netip.Prefix, out []string) (rest []netip.Prefix) {
	inside := false
	for _, text := range out {
		o := netip.MustParsePrefix(text)
		if o.Bits() <= p.Bits() && o.Contains(p.Addr()) {
			return nil
		}
		inside = inside || p.Overlaps(o)
	}
	if !inside {
		return []netip.Prefix{p}
	}
	low := netip.PrefixFrom(p.Addr(), p.Bits()+1)
	b := p.Addr().As4()
	b[p.Bits()/8] |= 0x80 >> (p.Bits() % 8)
	high := netip.PrefixFrom(netip.AddrFrom4(b), p.Bits()+1)
	return append(without(low, out), without(high, out)...)
}

// nvNamed gives a group a name: the same to what says the same.
func (x *exporter) nvNamed(e nvEnd, name string) nvEnd {
	if x.nv.groups == nil {
		x.nv.groups, x.nv.names = map[string]string{}, map[string]bool{}
	}
	says := fmt.Sprint(e.Criteria)
	if x.nv.groups[says] == "" {
		x.nv.groups[says] = unique("weir-"+slug(name), x.nv.names)
	}
	e.Name = x.nv.groups[says]
	return e
}

var nvValue = regexp.MustCompile(`^[A-Za-z0-9._/*-]+$`)

// nvReserved are keys that are no labels.
var nvReserved = []string{"image", "node", "container", "service", "address", "domain", "namespace"}

// nvEnd makes a group of a line. There, criteria of one key, and those of all labels, are alternatives, unless all of them are negative.
func (x *exporter) nvEnd(name string, line rules.Ends, a policy.Action, from bool) (e nvEnd, why string) {
	count := map[string]int{}
	positive := map[string]bool{}
	for _, c := range line.All {
		if c.Key == "address" || c.Key == "external" || c.Key == "dns" {
			if len(line.All) > 1 || c.Not {
				return e, "there an address stands alone, and is not negated"
			}
			return x.nvAddress(name, &c, a, from)
		}
		key := c.Key
		switch {
		case key == "namespace":
			key = "domain"
		case key != "label":
			return e, "names and images are others there: give it a label"
		case slices.Contains(nvReserved, c.Label) || strings.HasPrefix(c.Label, "ns:"):
			return e, "the label has a meaning of its own there"
		case c.Not && a == policy.Deny:
			return e, "who lacks the label is not meant there, and would not be denied"
		default:
			key = c.Label
		}
		op := "="
		switch {
		case c.Regex == nil && (!nvValue.MatchString(c.Pattern) || c.Pattern == "any"):
			return e, "the value has a meaning of its own there"
		case c.Regex != nil && c.Not:
			op = "!regex"
		case c.Regex != nil:
			op = "regex"
		case c.Not:
			op = "!="
		}
		if c.Key == "namespace" && op == "=" && !strings.Contains(c.Pattern, "*") {
			e.namespace = c.Pattern
		}
		count[c.Key]++
		positive[c.Key] = positive[c.Key] || !c.Not
		if count[c.Key] > 1 && positive[c.Key] {
			return e, "several conditions on labels, or on namespaces, are alternatives there"
		}
		e.Criteria = append(e.Criteria, nvCriterion{key, op, c.Pattern})
	}
	e.pods = true
	return x.nvNamed(e, name), ""
}

func (x *exporter) nvAddress(name string, c *rules.End, a policy.Action, from bool) (e nvEnd, why string) {
	switch {
	case c.Key == "external":
		return x.nvOutside(a), ""
	case a == policy.Deny:
		return e, "an address is no workload's there, and would not be denied to one"
	case c.Key == "dns" && (from || c.Regex != nil || strings.Contains(c.Pattern, "*")):
		return e, "only who is talked to has a name there, and one without *"
	case c.Key == "dns":
		e.Criteria = []nvCriterion{{"address", "=", c.Pattern}}
	case !c.Prefix.Addr().Is4():
		return e, "addresses are those of IPv4 there"
	default:
		e.Criteria = []nvCriterion{{"address", "=", c.Prefix.Masked().String()}}
	}
	return x.nvNamed(e, name), ""
}
