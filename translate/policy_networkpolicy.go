package translate

import (
	"fmt"

	"weir/policy"
)

type netSpec struct {
	Pods    *selector `yaml:"podSelector"`
	Types   []string  `yaml:"policyTypes,flow"`
	Ingress []netRule `yaml:"ingress,omitempty"`
	Egress  []netRule `yaml:"egress,omitempty"`
}

type netRule struct {
	From  []netPeer `yaml:"from,omitempty"`
	To    []netPeer `yaml:"to,omitempty"`
	Ports []netPort `yaml:"ports,omitempty"`
}

type netPeer struct {
	Block      *ipBlock  `yaml:"ipBlock,omitempty"`
	Namespaces *selector `yaml:"namespaceSelector,omitempty"`
	Pods       *selector `yaml:"podSelector,omitempty"`
}

type ipBlock struct {
	CIDR   string   `yaml:"cidr"`
	Except []string `yaml:"except,omitempty,flow"`
}

type netPort struct {
	Protocol string `yaml:"protocol"`
	Port     *int   `yaml:"port,omitempty"`
	End      *int   `yaml:"endPort,omitempty"`
}

// networkPolicy writes a rule as objects of networking.k8s.io/v1; why says why it cannot be.
func (x *exporter) networkPolicy(r *policy.Rule) (why string) {
	if r.Protocol != "" || len(r.Where) > 0 {
		return "NetworkPolicy knows no protocols and no messages"
	}
	subjects, peers, ingress, why := x.sides(r)
	if why != "" {
		return why
	}
	rule := netRule{}
	for _, p := range r.Ports {
		n, ok := protocols[p.Proto]
		if !ok || p.Top == 0 {
			return fmt.Sprintf("NetworkPolicy has no ports %s", p)
		}
		port := netPort{Protocol: n}
		if p.Low != 0 || p.Top != 0xffff {
			low := max(1, int(p.Low))
			port.Port = &low
			if top := int(p.Top); top > low {
				port.End = &top
			}
		}
		rule.Ports = append(rule.Ports, port)
	}
	var list []netPeer
	for i := range peers {
		e := &peers[i]
		switch {
		case e.dns != "":
			return "NetworkPolicy knows no DNS names"
		case e.external:
			list = append(list, netPeer{Block: &ipBlock{"0.0.0.0/0", private4}}, netPeer{Block: &ipBlock{"::/0", private6}})
		case e.prefix != "":
			list = append(list, netPeer{Block: &ipBlock{CIDR: e.prefix}})
		default:
			peer := netPeer{Namespaces: &selector{}, Pods: e.selector("")}
			if e.namespace != "" {
				peer.Namespaces.Labels = map[string]string{"kubernetes.io/metadata.name": e.namespace}
			}
			list = append(list, peer)
		}
	}
	for i := range subjects {
		spec := netSpec{Pods: subjects[i].selector("")}
		if rule.From, rule.To = list, nil; ingress {
			spec.Types, spec.Ingress = []string{"Ingress"}, []netRule{rule}
		} else {
			rule.From, rule.To = nil, list
			spec.Types, spec.Egress = []string{"Egress"}, []netRule{rule}
		}
		x.docs = append(x.docs, object{"networking.k8s.io/v1", "NetworkPolicy", x.meta(r, subjects[i].namespace, i+1), spec})
	}
	return ""
}
