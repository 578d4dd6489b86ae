package translate

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"weir/policy"
	"weir/rules"
)

// nvMade is a rule of NeuVector as rules of Weir, with what is needed to put it in its place.
type nvMade struct {
	rules     []policy.Rule
	peers     party
	target    party
	ingress   bool
	addressed bool
	priority  uint64
	at        string
}

// neuvector takes in one object of neuvector.com/v1.
func (im *importer) neuvector(t *tree, n *yaml.Node) {
	m, kind, namespace, name, ok := im.head(t, n, "neuvector.com/v1", "NvSecurityRule", "NvClusterSecurityRule")
	if !ok {
		return
	}
	if kind == "NvClusterSecurityRule" {
		namespace = ""
	} else if namespace == "" {
		t.wrong(n, "the object has no namespace", "kubectl get -o yaml writes it")
		return
	}
	id := strings.TrimPrefix(namespace+"/"+name, "/")
	spec := t.mapping(m["spec"])
	target := t.mapping(spec["target"])
	whom, why := nvParty(t, target["selector"], false)
	if len(whom.others) > 0 && why == "" {
		why = "it is about addresses"
	}
	if s := strange(spec, "target", "ingress", "egress", "process", "process_profile", "file", "dlp", "waf", "response"); s != "" {
		t.told(n, rules.Warning, fmt.Sprintf("%s: %s is not known", id, s), "it is not read")
	}
	lost := why
	if why != "" {
		whom = party{anybody: true}
		if namespace != "" {
			whom = party{pods: []string{"namespace=" + namespace}}
		}
		t.told(spec["target"], rules.Warning, id+": "+why, "nothing of it is allowed, and its denials are for all of its namespace")
	} else if mode := t.text(target["policymode"]); mode != "" && mode != "N/A" {
		i := slices.Index(policy.Modes, strings.ToLower(mode))
		if i < 0 {
			t.wrong(target["policymode"], fmt.Sprintf("this is no mode: %q", short(mode)), "Discover, Monitor, Protect")
			return
		}
		for _, line := range whom.pods {
			im.modes[im.group(line)] = max(im.modes[im.group(line)], policy.Mode(i))
		}
	}
	for side, key := range []string{"ingress", "egress"} {
		for i, r := range t.list(spec[key]) {
			im.nvRule(t, r, fmt.Sprintf("%s/%s-%d", id, key, i+1), whom, side == ingress, lost)
		}
	}
	im.nv = append(im.nv, nvMade{}) // it was one, if it has no rules either
}

// nvRule takes in one entry of ingress or egress; lost says why whom it is about cannot be said.
func (im *importer) nvRule(t *tree, n *yaml.Node, id string, whom party, in bool, lost string) {
	m := t.mapping(n)
	action := t.text(m["action"])
	if action != "allow" && action != "deny" {
		t.wrong(n, fmt.Sprintf("action %q is none", short(action)), "allow, deny")
		return
	}
	deny := action == "deny"
	if lost != "" && !deny {
		t.lost(n, id, lost)
		return
	}
	made := nvMade{target: whom, ingress: in, at: place(t, n)}
	var err error
	if text := t.text(m["priority"]); text != "" {
		if made.priority, err = strconv.ParseUint(text, 10, 8); err != nil || made.priority > nvLevels {
			t.wrong(m["priority"], fmt.Sprintf("priority %q is none", short(text)), "0 to 100")
			return
		}
	}
	peers, why := nvParty(t, m["selector"], deny)
	ports, lack := nvPortsOf(t.text(m["ports"]))
	if lack != "" {
		why = lack
	}
	said, lack := nvSaid(t.texts(m["applications"]), deny)
	if lack != "" && (deny || len(said) == 0) {
		why = lack
	} else if lack != "" {
		t.lost(n, id, lack)
	}
	if s := strange(m, "name", "selector", "applications", "ports", "action", "priority"); s != "" {
		why = s + " of a rule is not known"
	}
	switch {
	case why != "" && !deny:
		if peers.nobody() || len(said) == 0 || !strings.HasPrefix(why, narrowed) {
			t.lost(n, id, why)
			return
		}
		t.lost(n, id, why)
	case why != "":
		t.widened(n, id, why+"; all is denied in this place")
		peers, ports, said = party{anybody: true}, nil, []policy.Rule{{}}
	}
	made.peers, made.addressed = peers, len(peers.others) > 0 && !deny
	for _, r := range said {
		r.ID, r.Ports, r.Action = id, ports, policy.Allow
		if deny {
			r.Action = policy.Deny
		}
		made.rules = append(made.rules, r)
	}
	im.nv = append(im.nv, made)
}

// arrangeNeuVector puts rules in the order in which they are asked there: by priority. Of one priority, those that deny go first. What is allowed to
// addresses goes last, behind what keeps workloads out of it: there an address is no workload's.
func (im *importer) arrangeNeuVector() {
	slices.SortStableFunc(im.nv, func(a, b nvMade) int {
		rank := func(m *nvMade) int {
			n := 2 * int(nvLevels-m.priority)
			if len(m.rules) > 0 && m.rules[0].Action == policy.Allow {
				n++
			}
			if m.addressed {
				n += 1000
			}
			return n
		}
		return rank(&a) - rank(&b)
	})
	guarded := false
	for i := range im.nv {
		m := &im.nv[i]
		if m.addressed && !guarded {
			guarded = true
			im.nvGuards()
		}
		for _, r := range m.rules {
			if r.From, r.To = im.named(&m.peers), im.named(&m.target); !m.ingress {
				r.From, r.To = r.To, r.From
			}
			im.add(r, m.at)
		}
	}
}

// nvGuards denies to workloads, and the host, what follows for addresses.
func (im *importer) nvGuards() {
	workloads := party{pods: []string{"name=*"}, builtin: []string{policy.Host}}
	for _, in := range []bool{true, false} {
		var whom party
		for i := range im.nv {
			if m := &im.nv[i]; m.addressed && m.ingress == in {
				whom.anybody = whom.anybody || m.target.anybody
				whom.pods = append(whom.pods, m.target.pods...)
			}
		}
		if whom.anybody {
			whom.pods = nil
		}
		switch {
		case whom.nobody():
		case in:
			im.deny("denied/by-address/to", &workloads, &whom, "an address is no workload's in what follows")
		default:
			im.deny("denied/by-address/from", &whom, &workloads, "an address is no workload's in what follows")
		}
	}
}

// narrowed begins what is said of something that is less than it was.
const narrowed = "less is allowed: "

// nvParty reads a selector.
func nvParty(t *tree, n *yaml.Node, deny bool) (p party, why string) {
	m := t.mapping(n)
	name := t.text(m["name"])
	criteria := t.list(m["criteria"])
	switch {
	case strings.HasPrefix(name, "fed."):
		return p, "federal groups are known to NeuVector only"
	case name == "external" && !deny && len(criteria) == 0:
		return party{builtin: []string{policy.External}}, narrowed + "of the group external what is beyond private networks"
	case name == "nodes" && !deny && len(criteria) == 0:
		return party{builtin: []string{policy.Host}}, narrowed + "of the nodes this host is known"
	case (name == "external" || name == "nodes") && len(criteria) == 0:
		return p, fmt.Sprintf("the group %s is more there than what has a name here", name)
	case len(criteria) == 0:
		return p, fmt.Sprintf("the group %q has no members that are known here", short(name))
	}
	var keys []string
	said := map[string][][]string{}
	negative, negated := map[string]bool{}, false
	for _, c := range criteria {
		f := t.mapping(c)
		key, op, value := t.text(f["key"]), t.text(f["op"]), t.text(f["value"])
		class, term, not, why := nvCriterionOf(key, op, value, deny)
		if s := strange(f, "key", "op", "value"); s != "" {
			why = s + " of a criterion is not known"
		}
		if why != "" {
			return p, why
		}
		before, twice := said[class]
		if twice && deny && class == "label" && (not || negated) {
			return p, "who lacks one of several labels may be meant there"
		}
		negated = negated || not && class == "label"
		switch {
		case !twice:
			keys = append(keys, class)
			said[class], negative[class] = [][]string{term}, not
		case not && negative[class]: // all must hold
			before[0] = append(before[0], term...)
		default: // one must
			said[class], negative[class] = append(before, term), false
		}
	}
	if _, ok := said["address"]; ok {
		if len(keys) > 1 {
			return p, "an address does not stand with other criteria"
		}
		for _, line := range said["address"] {
			p.others = append(p.others, line...)
		}
		return p, ""
	}
	lines := [][]string{nil}
	for _, k := range keys {
		var longer [][]string
		for _, a := range lines {
			for _, b := range said[k] {
				longer = append(longer, slices.Concat(a, b))
			}
		}
		if lines = longer; len(lines) > 200 {
			return p, "its criteria are more than 200 alternatives"
		}
	}
	for _, terms := range lines {
		if line := lineOf(terms...); !slices.Contains(p.pods, line) {
			p.pods = append(p.pods, line)
		}
	}
	return p, ""
}

var (
	nvPlain = regexp.MustCompile(`^[A-Za-z0-9._/*-]+$`)
	nvLabel = regexp.MustCompile(`^[A-Za-z0-9._/-]+$`)
)

// nvCriterionOf reads a criterion: the class of those that are alternatives of each other, and what stands in a line for it.
func nvCriterionOf(key, op, value string, deny bool) (class string, terms []string, not bool, why string) {
	switch {
	case key == "address" && op == "=":
		if p, err := netip.ParsePrefix(value); err == nil && p.Addr().Zone() == "" {
			return key, []string{"address=" + p.Masked().String()}, false, ""
		}
		if a, err := netip.ParseAddr(value); err == nil && a.Zone() == "" {
			return key, []string{"address=" + a.String()}, false, ""
		}
		name := strings.TrimSuffix(strings.ToLower(value), ".")
		if kubeName.MatchString(name) && !deny && strings.ContainsAny(name, "abcdefghijklmnopqrstuvwxyz") {
			return key, []string{"dns=" + name}, false, ""
		}
		return "", nil, false, fmt.Sprintf("the address %q has no words here", short(value))
	case key == "container" && op == "=" && value == "*":
		return key, []string{"name=*"}, false, ""
	case key == "service":
		return "", nil, false, fmt.Sprintf("the service %q is NeuVector's word for a deployment: give its pods a label, and name that", short(value))
	case key == "image" || key == "node" || key == "container" || key == "address":
		return "", nil, false, fmt.Sprintf("the criterion %s has no words here", key)
	case strings.HasPrefix(key, "ns:"):
		return "", nil, false, "labels of namespaces are not known"
	case !nvLabel.MatchString(key):
		return "", nil, false, fmt.Sprintf("the criterion %q is not known", short(key))
	}
	class, field := "label", "label:"+key
	if key == "domain" || key == "namespace" {
		class, field = key, "namespace"
	}
	not = op == "!=" || op == "!regex"
	switch {
	case (op == "=" || op == "!=") && value == "any":
		return "", nil, false, "the value any is for all, and for none, there"
	case (op == "=" || op == "!=") && nvPlain.MatchString(value):
		terms = []string{field + map[bool]string{false: "=", true: "!="}[not] + value}
	case (op == "contains" || op == "prefix") && nvLabel.MatchString(value):
		terms = []string{field + "=" + map[bool]string{true: "*"}[op == "contains"] + value + "*"}
	case (op == "regex" || op == "!regex") && value != "" && len(value) <= 1000 && !strings.ContainsAny(value, "'\n\r\x00"):
		if _, err := regexp.Compile(value); err != nil {
			return "", nil, false, "its expression is none of RE2"
		}
		terms = []string{field + map[bool]string{false: "~'", true: "!~'"}[not] + value + "'"}
	default:
		return "", nil, false, fmt.Sprintf("%s %s %q has no words here", short(key), short(op), short(value))
	}
	if not && class == "label" { // who lacks the label is not meant there
		terms = append(terms, field+"=*")
	}
	return class, terms, not, ""
}

// nvPortsOf reads ports: without a protocol they are those of TCP.
func nvPortsOf(text string) (out []policy.Port, why string) {
	words := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return r == ',' || r == ' ' })
	if len(words) == 0 || slices.Equal(words, []string{"any"}) {
		return nil, ""
	}
	if len(words) > 1000 {
		return nil, "it has more than 1000 ports"
	}
	for _, w := range words {
		proto, rest, given := strings.Cut(w, "/")
		switch {
		case w == "any":
			out = append(out, policy.Port{Proto: 6, Top: 0xffff}, policy.Port{Proto: 17, Top: 0xffff})
			continue
		case w == "icmp":
			out = append(out, policy.Port{Proto: 1, Top: 0xffff}, policy.Port{Proto: 58, Top: 0xffff})
			continue
		case !given:
			proto, rest = "tcp", w
		case proto != "tcp" && proto != "udp":
			return nil, fmt.Sprintf("%q is no port", short(w))
		case rest == "any":
			rest = "0-65535"
		}
		p, what, _ := policy.ParsePort(proto + "/" + rest)
		if what != "" {
			return nil, what
		}
		out = append(out, p...)
	}
	return out, ""
}

// nvSaid makes a rule of each application. why names those that have no words here.
func nvSaid(apps []string, deny bool) (out []policy.Rule, why string) {
	if len(apps) == 0 || slices.ContainsFunc(apps, func(a string) bool { return strings.EqualFold(a, "any") }) {
		return []policy.Rule{{}}, ""
	}
	for _, a := range apps {
		found := ""
		for protocol, app := range nvApplications {
			if strings.EqualFold(app, a) {
				found = protocol
			}
		}
		switch {
		case found != "":
			out = append(out, policy.Rule{Protocol: found})
		case strings.EqualFold(a, "HTTP") && deny:
			out = append(out, policy.Rule{Protocol: "http"})
		case strings.EqualFold(a, "HTTP"): // HTTP/2 is something else there
			out = append(out, policy.Rule{Protocol: "http", Where: []policy.Condition{{Field: "http.version", Patterns: []string{"HTTP/1.*"}}}})
		default:
			why = fmt.Sprintf("the application %q has no words here", short(a))
		}
	}
	return out, why
}
