package translate

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"weir/policy"
)

const namespaceKey = "io.kubernetes.pod.namespace"

// ciliumLabel is the condition for what Cilium calls a label.
func ciliumLabel(key string) (string, string) {
	source, plain, prefixed := strings.Cut(key, ":")
	if !prefixed {
		plain = key
	}
	switch {
	case prefixed && source != "k8s" && source != "any":
		return "", fmt.Sprintf("%s is no label of a pod", short(key))
	case plain == namespaceKey || plain == "io.cilium.k8s.namespace.labels.kubernetes.io/metadata.name":
		return "namespace", ""
	case strings.HasPrefix(plain, "io.cilium.") || strings.HasPrefix(plain, "io.kubernetes."):
		return "", fmt.Sprintf("%s is known to Cilium only", short(key))
	}
	return podLabel(plain)
}

// ciliumEnds reads a selector of endpoints. Without a word of it they are of one namespace; "" is any.
func ciliumEnds(t *tree, n *yaml.Node, namespace string) (line, why string) {
	terms, why := selected(t, n, ciliumLabel)
	if why != "" {
		return "", why
	}
	if !slices.ContainsFunc(terms, func(c string) bool { return strings.HasPrefix(c, "namespace") }) && namespace != "" {
		terms = append(terms, "namespace="+namespace)
	}
	return lineOf(append(terms, "namespace=*")...), ""
}

// cilium takes in one object of cilium.io/v2.
func (im *importer) cilium(t *tree, n *yaml.Node) {
	m, kind, namespace, name, ok := im.head(t, n, "cilium.io/v2", "CiliumNetworkPolicy", "CiliumClusterwideNetworkPolicy")
	if !ok {
		return
	}
	switch {
	case kind == "CiliumClusterwideNetworkPolicy":
		namespace = ""
	case namespace == "":
		t.wrong(n, "the object has no namespace", "kubectl get -o yaml writes it")
		return
	}
	id := strings.TrimPrefix(namespace+"/"+name, "/")
	specs := t.list(m["specs"])
	if m["spec"] != nil {
		specs = append([]*yaml.Node{m["spec"]}, specs...)
	}
	if len(specs) == 0 {
		t.wrong(n, "the object has no spec", "")
	}
	for i, s := range specs {
		if i > 0 {
			id = unique(id, map[string]bool{id: true})
		}
		im.ciliumSpec(t, s, namespace, id)
	}
}

func (im *importer) ciliumSpec(t *tree, n *yaml.Node, namespace, id string) {
	m := t.mapping(n)
	line, why := ciliumEnds(t, m["endpointSelector"], namespace)
	o := kubeObject{id: id, at: place(t, n), subject: []string{line}}
	for side, keys := range [][]string{{"ingress", "ingressDeny"}, {"egress", "egressDeny"}} {
		o.about[side] = m[keys[0]] != nil || m[keys[1]] != nil
	}
	switch s := strange(m, "endpointSelector", "ingress", "ingressDeny", "egress", "egressDeny", "description", "labels", "enableDefaultDeny"); {
	case m["nodeSelector"] != nil:
		o.subject, o.host = nil, true
		t.widened(n, id, "it is about nodes; it is taken for one about this host that allows nothing")
		im.objects = append(im.objects, o)
		return
	case why == "" && s != "":
		why = s + " is not known"
	case why == "" && m["endpointSelector"] == nil:
		why = "it has no endpointSelector"
	}
	if why != "" {
		o.subject, o.about = []string{"namespace=" + namespace}, [2]bool{true, true}
		if namespace == "" {
			o.subject[0] = "namespace=*"
		}
		t.widened(n, id, why+"; it is taken for one about the whole namespace that allows nothing")
		for side := range o.denies { // nothing that others allow either: it may deny it
			o.denies[side] = []kubeRule{{id: id + "/denied", at: o.at, peers: party{anybody: true}}}
		}
		im.objects = append(im.objects, o)
		return
	}
	if m["enableDefaultDeny"] != nil {
		t.widened(m["enableDefaultDeny"], id, "enableDefaultDeny has no words here: what no rule allows is denied")
	}
	for side, keys := range [][]string{{"ingress", "ingressDeny"}, {"egress", "egressDeny"}} {
		for deny, key := range keys {
			for i, r := range t.list(m[key]) {
				id := fmt.Sprintf("%s/%s-%d", o.id, key, i+1)
				list, why := ciliumRules(t, r, namespace, [2]string{"from", "to"}[side], deny == 1)
				switch {
				case why != "" && deny == 1:
					t.widened(r, id, why+"; all is denied "+[2]string{"to", "from"}[side]+" whom it is about")
					list = []kubeRule{{peers: party{anybody: true}}}
				case why != "":
					t.lost(r, id, why)
				}
				for _, k := range list {
					k.id, k.at = id, place(t, r)
					if deny == 1 {
						o.denies[side] = append(o.denies[side], k)
					} else {
						o.allows[side] = append(o.allows[side], k)
					}
				}
			}
		}
	}
	im.objects = append(im.objects, o)
}

// ciliumRules reads an entry of ingress, egress or their denials. why says what of it is missing in what it returns.
func ciliumRules(t *tree, n *yaml.Node, namespace, ends string, deny bool) (out []kubeRule, why string) {
	m := t.mapping(n)
	known := []string{ends + "Endpoints", ends + "CIDR", ends + "CIDRSet", ends + "Entities", "toPorts", "icmps"}
	if ends == "to" && !deny {
		known = append(known, "toFQDNs")
	}
	if s := strange(m, known...); s != "" {
		return nil, s + " has no words here"
	}
	if len(m) == 0 { // it is there to restrict
		return nil, ""
	}
	peers, why := ciliumParties(t, m, namespace, ends, deny)
	var said []kubeRule
	for _, p := range t.list(m["toPorts"]) {
		list, lack := ciliumPortsOf(t, p, ends == "to", deny)
		if lack != "" {
			why = lack
		}
		said = append(said, list...)
	}
	var types []policy.Port
	for _, i := range t.list(m["icmps"]) {
		list, lack := ciliumTypes(t, i)
		if lack != "" {
			why = lack
		}
		types = append(types, list...)
	}
	if len(types) > 0 {
		said = append(said, kubeRule{ports: types})
	}
	if m["toPorts"] == nil && m["icmps"] == nil {
		said = []kubeRule{{}}
	}
	for _, k := range said {
		for _, p := range peers {
			k.peers = p
			out = append(out, k)
		}
	}
	return out, why
}

// ciliumParties reads the ends: what is of several kinds is several parties.
func ciliumParties(t *tree, m map[string]*yaml.Node, namespace, ends string, deny bool) (out []party, why string) {
	var pods, others, builtin party
	given := false
	for _, e := range t.list(m[ends+"Endpoints"]) {
		line, lack := ciliumEnds(t, e, namespace)
		if lack != "" {
			why = lack
			continue
		}
		pods.pods = append(pods.pods, line)
	}
	for _, c := range t.list(m[ends+"CIDR"]) {
		line, lack := block(t.text(c), nil)
		if lack != "" {
			why = lack
			continue
		}
		others.others = append(others.others, line)
	}
	for _, c := range t.list(m[ends+"CIDRSet"]) {
		f := t.mapping(c)
		line, lack := block(t.text(f["cidr"]), t.texts(f["except"]))
		if s := strange(f, "cidr", "except"); s != "" {
			lack = s + " of a CIDR has no words here"
		}
		if lack != "" {
			why = lack
			continue
		}
		others.others = append(others.others, line)
	}
	for _, c := range t.list(m["toFQDNs"]) {
		f := t.mapping(c)
		name := strings.TrimSuffix(strings.ToLower(t.text(f["matchName"])), ".")
		if strange(f, "matchName") != "" || !kubeName.MatchString(name) {
			why = "a * in names is one label there: only a matchName has words here"
			continue
		}
		others.others = append(others.others, "dns="+name)
	}
	for _, key := range []string{"Endpoints", "CIDR", "CIDRSet", "Entities"} {
		given = given || m[ends+key] != nil
	}
	given = given || m["toFQDNs"] != nil
	for _, e := range t.list(m[ends+"Entities"]) {
		switch word := t.text(e); {
		case word == "all":
			return []party{{anybody: true}}, why
		case word == "host":
			builtin.builtin = append(builtin.builtin, policy.Host)
		case word == "world" && !deny:
			why = "of the entity world only what is beyond private networks has a name here"
			builtin.builtin = append(builtin.builtin, policy.External)
		default:
			why = fmt.Sprintf("the entity %q has no words here", short(word))
		}
	}
	if !given {
		return []party{{anybody: true}}, why
	}
	for _, p := range []party{pods, builtin, others} {
		if !p.nobody() {
			out = append(out, p)
		}
	}
	return out, why
}

func ciliumTypes(t *tree, n *yaml.Node) (out []policy.Port, why string) {
	for _, f := range t.list(t.mapping(n)["fields"]) {
		m := t.mapping(f)
		proto := map[string]uint8{"": 1, "IPv4": 1, "IPv6": 58}[t.text(m["family"])]
		n, err := strconv.ParseUint(t.text(m["type"]), 10, 8)
		if proto == 0 || err != nil || strange(m, "family", "type") != "" {
			why = "a type of ICMP is a number here"
			continue
		}
		out = append(out, policy.Port{Proto: proto, Low: uint16(n) << 8, Top: uint16(n)<<8 | 0xff})
	}
	return out, why
}

// ciliumPortsOf reads an entry of toPorts.
func ciliumPortsOf(t *tree, n *yaml.Node, out, deny bool) (list []kubeRule, why string) {
	m := t.mapping(n)
	if s := strange(m, "ports", "rules"); s != "" {
		return nil, s + " of ports has no words here"
	}
	var k kubeRule
	for _, p := range t.list(m["ports"]) {
		f := t.mapping(p)
		port, lack := kubePort(t, f, "ANY")
		if s := strange(f, "port", "endPort", "protocol"); s != "" {
			lack = s + " of a port is not known"
		}
		if lack != "" {
			why = lack
			continue
		}
		k.ports = append(k.ports, port...)
	}
	if len(k.ports) == 0 {
		return nil, cmp.Or(why, "there are no ports in it")
	}
	if m["rules"] == nil {
		return []kubeRule{k}, why
	}
	words := t.mapping(m["rules"])
	if s := strange(words, "http", "dns"); s != "" || len(words) != 1 || deny || words["dns"] != nil && !out {
		return nil, "of messages only those of HTTP, and of DNS that are asked, have words here"
	}
	for _, w := range slices.Concat(t.list(words["http"]), t.list(words["dns"])) {
		said, lack := ciliumSaid(t, w, words["http"] != nil)
		if lack != "" {
			why = lack
			continue
		}
		said.ports = k.ports
		list = append(list, said)
	}
	return list, why
}

// ciliumSaid reads what is allowed to be said.
func ciliumSaid(t *tree, n *yaml.Node, http bool) (k kubeRule, why string) {
	m := t.mapping(n)
	if !http {
		name, pattern := strings.TrimSuffix(strings.ToLower(t.text(m["matchName"])), "."), t.text(m["matchPattern"])
		k.protocol = "dns"
		switch {
		case strange(m, "matchName", "matchPattern") == "" && name == "" && pattern == "*":
		case pattern == "" && strange(m, "matchName") == "" && kubeName.MatchString(name):
			k.where = []policy.Condition{{Field: "dns.query", Patterns: []string{name}}}
		default:
			return k, "a * in names is one label there: only a matchName, or * alone, has words here"
		}
		return k, ""
	}
	if s := strange(m, "method", "path", "host"); s != "" {
		return k, s + " of HTTP has no words here"
	}
	k.protocol = "http"
	// There a path is what was asked for with its query: that is http.uri here.
	for _, f := range [][2]string{{"host", "http.host"}, {"method", "http.method"}, {"path", "http.uri"}} {
		if m[f[0]] == nil || t.text(m[f[0]]) == "" {
			continue
		}
		list, why := patternsOf(t.text(m[f[0]]))
		if why != "" {
			return k, fmt.Sprintf("%s %q: %s", f[0], short(t.text(m[f[0]])), why)
		}
		k.where = append(k.where, policy.Condition{Field: f[1], Patterns: list})
	}
	return k, ""
}
