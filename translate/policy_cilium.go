package translate

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"weir/policy"
)

type ciliumSpec struct {
	Endpoints   *selector    `yaml:"endpointSelector"`
	Ingress     []ciliumRule `yaml:"ingress,omitempty"`
	IngressDeny []ciliumRule `yaml:"ingressDeny,omitempty"`
	Egress      []ciliumRule `yaml:"egress,omitempty"`
	EgressDeny  []ciliumRule `yaml:"egressDeny,omitempty"`
}

type ciliumRule struct {
	FromEndpoints []*selector   `yaml:"fromEndpoints,omitempty"`
	FromBlocks    []ciliumBlock `yaml:"fromCIDRSet,omitempty"`
	FromEntities  []string      `yaml:"fromEntities,omitempty,flow"`
	ToEndpoints   []*selector   `yaml:"toEndpoints,omitempty"`
	ToBlocks      []ciliumBlock `yaml:"toCIDRSet,omitempty"`
	ToEntities    []string      `yaml:"toEntities,omitempty,flow"`
	ToNames       []ciliumName  `yaml:"toFQDNs,omitempty"`
	Ports         []ciliumPorts `yaml:"toPorts,omitempty"`
	ICMP          []ciliumICMPs `yaml:"icmps,omitempty"`
}

type ciliumBlock struct {
	CIDR   string   `yaml:"cidr"`
	Except []string `yaml:"except,omitempty,flow"`
}

type ciliumName struct {
	Name    string `yaml:"matchName,omitempty"`
	Pattern string `yaml:"matchPattern,omitempty"`
}

type ciliumPorts struct {
	Ports []ciliumPort `yaml:"ports,omitempty"`
	Rules *ciliumWords `yaml:"rules,omitempty"`
}

type ciliumPort struct {
	Port     string `yaml:"port"`
	End      int    `yaml:"endPort,omitempty"`
	Protocol string `yaml:"protocol"`
}

type ciliumWords struct {
	HTTP []ciliumHTTP `yaml:"http,omitempty"`
	DNS  []ciliumName `yaml:"dns,omitempty"`
}

type ciliumHTTP struct {
	Method string `yaml:"method,omitempty"`
	Path   string `yaml:"path,omitempty"`
	Host   string `yaml:"host,omitempty"`
}

type ciliumICMPs struct {
	Fields []ciliumICMP `yaml:"fields"`
}

type ciliumICMP struct {
	Family string `yaml:"family"`
	Type   int    `yaml:"type"`
}

const maxCiliumPorts, maxCiliumWords = 40, 1000 // ports of an entry, of its schema; words of one, ours

// cilium writes a rule as objects of cilium.io/v2; why says why it cannot be.
func (x *exporter) cilium(r *policy.Rule) (why string) {
	subjects, peers, ingress, why := x.sides(r)
	if why != "" {
		return why
	}
	if r.Action == policy.Deny && slices.ContainsFunc(peers, func(e end) bool { return e.prefix != "" || e.dns != "" }) {
		return "an address is no pod's there, and would not be denied to one"
	}
	rule, why := ciliumPeers(peers, ingress)
	if why == "" {
		why = rule.toPorts(r, ingress)
	}
	if why != "" {
		return why
	}
	for i := range subjects {
		s := subjects[i].selector("k8s:")
		spec := ciliumSpec{Endpoints: s}
		list := []ciliumRule{rule}
		switch {
		case ingress && r.Action == policy.Allow:
			spec.Ingress = list
		case ingress:
			spec.IngressDeny = list
		case r.Action == policy.Allow:
			spec.Egress = list
		default:
			spec.EgressDeny = list
		}
		x.docs = append(x.docs, object{"cilium.io/v2", "CiliumNetworkPolicy", x.meta(r, subjects[i].namespace, i+1), spec})
	}
	return ""
}

func ciliumPeers(peers []end, ingress bool) (rule ciliumRule, why string) {
	var pods []*selector
	var blocks []ciliumBlock
	for i := range peers {
		e := &peers[i]
		switch {
		case e.dns != "" && ingress:
			return rule, "names are known of who is talked to, not of who talks"
		case e.dns != "":
			rule.ToNames = append(rule.ToNames, ciliumName{Name: e.dns})
		case e.external:
			blocks = append(blocks, ciliumBlock{"0.0.0.0/0", private4}, ciliumBlock{"::/0", private6})
		case e.prefix != "":
			blocks = append(blocks, ciliumBlock{CIDR: e.prefix})
		default:
			s := e.selector("k8s:")
			if e.namespace != "" {
				s.Labels["k8s:io.kubernetes.pod.namespace"] = e.namespace
			} else { // without it only those of the object's own namespace
				s.Exprs = append(s.Exprs, expression{Key: "k8s:io.kubernetes.pod.namespace", Operator: "Exists"})
			}
			pods = append(pods, s)
		}
	}
	kinds := 0
	for _, some := range []bool{len(pods) > 0, len(blocks) > 0, len(rule.ToNames) > 0} {
		if some {
			kinds++
		}
	}
	switch {
	case kinds > 1:
		return rule, "pods, addresses and names do not stand in one rule there: make a rule of each"
	case ingress && kinds == 0:
		rule.FromEntities = []string{"all"}
	case kinds == 0:
		rule.ToEntities = []string{"all"}
	case ingress:
		rule.FromEndpoints, rule.FromBlocks = pods, blocks
	default:
		rule.ToEndpoints, rule.ToBlocks = pods, blocks
	}
	return rule, ""
}

func (rule *ciliumRule) toPorts(r *policy.Rule, ingress bool) (why string) {
	words, why := ciliumL7(r, ingress)
	if why != "" {
		return why
	}
	var ports []ciliumPort
	for _, p := range r.Ports {
		family := map[uint8]string{1: "IPv4", 58: "IPv6"}[p.Proto]
		name, ok := protocols[p.Proto]
		switch {
		case family != "" && p.Low&0xff == 0 && p.Top == p.Low|0xff:
			if rule.ICMP == nil {
				rule.ICMP = []ciliumICMPs{{}}
			}
			rule.ICMP[0].Fields = append(rule.ICMP[0].Fields, ciliumICMP{family, int(p.Low >> 8)})
		case !ok || p.Top == 0:
			return fmt.Sprintf("ports %s are none there (tcp, udp, sctp; icmp with a type)", p)
		default:
			port := ciliumPort{Port: strconv.Itoa(int(p.Low)), Protocol: name}
			if p.Low == 0 && p.Top == 0xffff {
				port.Port = "0" // all of them
			} else if p.Top > p.Low {
				port.Port, port.End = strconv.Itoa(max(1, int(p.Low))), int(p.Top)
			}
			ports = append(ports, port)
		}
	}
	switch {
	case rule.ICMP != nil && (len(ports) > 0 || words != nil):
		return "ICMP does not stand with ports in one rule there: make a rule of each"
	case words != nil && len(ports) == 0:
		return "words need ports there"
	case len(ports) > maxCiliumPorts:
		return fmt.Sprintf("more than %d ports", maxCiliumPorts)
	case len(ports) > 0:
		rule.Ports = []ciliumPorts{{ports, words}}
	}
	return ""
}

// ciliumL7 returns what a rule says of messages; nil: nothing.
func ciliumL7(r *policy.Rule, ingress bool) (w *ciliumWords, why string) {
	if r.Protocol == "" && len(r.Where) == 0 {
		return nil, ""
	}
	if r.Action == policy.Deny {
		return nil, "a denial there knows no protocols and no messages"
	}
	of := map[string][]string{}
	for _, c := range r.Where {
		of[c.Field] = c.Patterns
	}
	if slices.ContainsFunc(r.Where, func(c policy.Condition) bool { return slices.Contains(c.Patterns, "") }) {
		return nil, "messages without a field have no words there"
	}
	known := func(fields ...string) bool {
		return !slices.ContainsFunc(r.Where, func(c policy.Condition) bool { return !slices.Contains(fields, c.Field) })
	}
	switch {
	case (r.Protocol == "http" || r.Protocol == "") && known("http.method", "http.path", "http.host"):
		w = &ciliumWords{}
		for _, m := range expressions(of["http.method"]) {
			for _, p := range expressions(of["http.path"]) {
				for _, h := range expressions(of["http.host"]) {
					if w.HTTP = append(w.HTTP, ciliumHTTP{m, p, h}); len(w.HTTP) > maxCiliumWords {
						return nil, fmt.Sprintf("more than %d kinds of requests", maxCiliumWords)
					}
				}
			}
		}
		return w, ""
	case (r.Protocol == "dns" || r.Protocol == "") && known("dns.query") && !ingress:
		w = &ciliumWords{}
		names := of["dns.query"]
		if names == nil {
			names = []string{"*"}
		}
		for _, n := range names {
			if n != "*" && strings.ContainsAny(n, "{*") {
				return nil, fmt.Sprintf("the pattern %q is none there: a * in names is one label", n)
			}
			if n == "*" {
				w.DNS = append(w.DNS, ciliumName{Pattern: n})
			} else {
				w.DNS = append(w.DNS, ciliumName{Name: n})
			}
		}
		return w, ""
	}
	return nil, "of messages Cilium knows http.method, http.path and http.host, and dns.query of who asks"
}

var wildcards = regexp.MustCompile(`\\\*|\\\{[^}]*\\\}`)

// expressions makes regular expressions of patterns, which Cilium takes for the whole value; without any it is "", anything.
func expressions(patterns []string) []string {
	if len(patterns) == 0 {
		return []string{""}
	}
	out := make([]string, len(patterns))
	for i, p := range patterns {
		out[i] = wildcards.ReplaceAllStringFunc(regexp.QuoteMeta(p), func(w string) string {
			if w == `\*` {
				return ".*"
			}
			return "[^/]+"
		})
	}
	return out
}
