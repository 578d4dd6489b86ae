package translate

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"weir/policy"
	"weir/rules"
)

// head reads what every object has. ok is false if it is none of kinds: then it was told.
func (im *importer) head(t *tree, n *yaml.Node, version string, kinds ...string) (m map[string]*yaml.Node, kind, namespace, name string, ok bool) {
	m = t.mapping(n)
	meta := t.mapping(m["metadata"])
	kind, namespace, name = t.text(m["kind"]), t.text(meta["namespace"]), t.text(meta["name"])
	known := slices.Contains(kinds, kind)
	switch {
	case kind == "":
		t.wrong(n, "this is no object: it has no kind", "")
	case !known && (strings.Contains(kind, "NetworkPolicy") || strings.HasSuffix(kind, "SecurityRule") && !strings.Contains(kind, "Dlp") && !strings.Contains(kind, "Waf")):
		t.wrong(m["kind"], fmt.Sprintf("a %s may forbid what others allow, and is not read here", short(kind)), "give "+strings.Join(kinds, ", "))
	case !known:
		t.told(m["kind"], rules.Warning, fmt.Sprintf("a %s is no policy: it is not read", short(kind)), "")
	case t.text(m["apiVersion"]) != version:
		t.wrong(n, fmt.Sprintf("apiVersion %q is not known", short(t.text(m["apiVersion"]))), version)
	case !kubeName.MatchString(name):
		t.wrong(n, fmt.Sprintf("the object has no name that is one: %q", short(name)), "")
	case namespace != "" && !kubeName.MatchString(namespace):
		t.wrong(meta["namespace"], fmt.Sprintf("this is no namespace: %q", short(namespace)), "")
	default:
		return m, kind, namespace, name, true
	}
	return nil, "", "", "", false
}

// lost tells what cannot be said.
func (t *tree) lost(n *yaml.Node, id, why string) {
	t.told(n, rules.Warning, id+": "+why, "it is left out: what it allows is denied")
}

// widened tells what denies more than it says.
func (t *tree) widened(n *yaml.Node, id, why string) {
	t.told(n, rules.Warning, id+": "+why, "more is denied in its place")
}

func place(t *tree, n *yaml.Node) string { return t.file + ":" + strconv.Itoa(n.Line) }

// podLabel is the condition for a pod's label.
func podLabel(key string) (string, string) {
	if !kubeKey.MatchString(key) {
		return "", fmt.Sprintf("%q is no label", short(key))
	}
	return "label:" + key, ""
}

// namespaceLabel is the condition for a namespace's: only its name is known.
func namespaceLabel(key string) (string, string) {
	if key != "kubernetes.io/metadata.name" {
		return "", fmt.Sprintf("of namespaces only their names are known, not the label %s", short(key))
	}
	return "namespace", ""
}

// networkPolicy takes in one object of networking.k8s.io/v1.
func (im *importer) networkPolicy(t *tree, n *yaml.Node) {
	m, _, namespace, name, ok := im.head(t, n, "networking.k8s.io/v1", "NetworkPolicy")
	if !ok {
		return
	}
	if namespace == "" {
		t.wrong(n, "the object has no namespace", "kubectl get -o yaml writes it")
		return
	}
	spec := t.mapping(m["spec"])
	o := kubeObject{id: namespace + "/" + name, at: place(t, n), subject: []string{"namespace=" + namespace}}
	terms, why := selected(t, spec["podSelector"], podLabel)
	if s := strange(spec, "podSelector", "policyTypes", "ingress", "egress"); why == "" && s != "" {
		why = s + " is not known"
	}
	types := t.texts(spec["policyTypes"])
	o.about = [2]bool{slices.Contains(types, "Ingress"), slices.Contains(types, "Egress")}
	if len(types) == 0 {
		o.about = [2]bool{true, spec["egress"] != nil}
	}
	if why != "" {
		t.widened(n, o.id, why+"; it is taken for one about the whole namespace that allows nothing")
		im.objects = append(im.objects, o)
		return
	}
	o.subject = []string{lineOf(append(terms, o.subject...)...)}
	for side, key := range []string{"ingress", "egress"} {
		for i, r := range t.list(spec[key]) {
			id := fmt.Sprintf("%s/%s-%d", o.id, key, i+1)
			list, why := netAllows(t, r, namespace, [2]string{"from", "to"}[side])
			if why != "" {
				t.lost(r, id, why)
			}
			if !o.about[side] {
				continue
			}
			for _, k := range list {
				k.id, k.at = id, place(t, r)
				o.allows[side] = append(o.allows[side], k)
			}
		}
	}
	im.objects = append(im.objects, o)
}

// netAllows reads an entry of ingress or egress. why says what of it is missing in what it returns.
func netAllows(t *tree, n *yaml.Node, namespace, ends string) (out []kubeRule, why string) {
	m := t.mapping(n)
	if s := strange(m, ends, "ports"); s != "" {
		return nil, s + " is not known"
	}
	var k kubeRule
	for _, p := range t.list(m["ports"]) {
		port, lack := netPortOf(t, p)
		if lack != "" {
			why = lack
			continue
		}
		k.ports = append(k.ports, port...)
	}
	if len(k.ports) == 0 && why != "" {
		return nil, why
	}
	peers := t.list(m[ends])
	if len(peers) == 0 {
		k.peers.anybody = true
		return []kubeRule{k}, why
	}
	var pods, others party
	for _, p := range peers {
		line, addressed, lack := netPeerOf(t, p, namespace)
		switch {
		case lack != "":
			why = lack
		case addressed:
			others.others = append(others.others, line)
		default:
			pods.pods = append(pods.pods, line)
		}
	}
	for _, p := range []party{pods, others} {
		if k.peers = p; !p.nobody() {
			out = append(out, k)
		}
	}
	return out, why
}

func netPortOf(t *tree, n *yaml.Node) (out []policy.Port, why string) {
	m := t.mapping(n)
	if s := strange(m, "protocol", "port", "endPort"); s != "" {
		return nil, s + " is not known"
	}
	return kubePort(t, m, "TCP")
}

// kubePort reads port, endPort and protocol, which is usual if it is not given; "ANY": all that have ports.
func kubePort(t *tree, m map[string]*yaml.Node, usual string) (out []policy.Port, why string) {
	word := t.text(m["protocol"])
	if word == "" {
		word = usual
	}
	low, top := uint64(0), uint64(0xffff)
	if m["port"] != nil && (t.text(m["port"]) != "0" || usual != "ANY") {
		var err error
		if low, err = strconv.ParseUint(t.text(m["port"]), 10, 16); err != nil || low == 0 {
			return nil, fmt.Sprintf("the port %q has a name, which is known to its pod only, or is none", short(t.text(m["port"])))
		}
		top = low
		if end := t.text(m["endPort"]); end != "" && end != "0" {
			if top, err = strconv.ParseUint(end, 10, 16); err != nil || top < low {
				return nil, fmt.Sprintf("endPort %q is no port behind the first", short(end))
			}
		}
	} else if m["endPort"] != nil {
		return nil, "there is an endPort without a port"
	}
	for proto, name := range protocols {
		if name == word || usual == "ANY" && word == "ANY" {
			out = append(out, policy.Port{Proto: proto, Low: uint16(low), Top: uint16(top)})
		}
	}
	slices.SortFunc(out, func(a, b policy.Port) int { return int(a.Proto) - int(b.Proto) })
	if out == nil {
		return nil, fmt.Sprintf("the protocol %q is not known", short(word))
	}
	return out, ""
}

// netPeerOf reads one end as a line.
func netPeerOf(t *tree, n *yaml.Node, namespace string) (line string, addressed bool, why string) {
	m := t.mapping(n)
	if s := strange(m, "ipBlock", "namespaceSelector", "podSelector"); s != "" {
		return "", false, s + " is not known"
	}
	if b := m["ipBlock"]; b != nil {
		f := t.mapping(b)
		if s := strange(f, "cidr", "except"); s != "" || len(m) > 1 {
			return "", true, "what stands with an ipBlock is not known"
		}
		line, why = block(t.text(f["cidr"]), t.texts(f["except"]))
		return line, true, why
	}
	if m["namespaceSelector"] == nil && m["podSelector"] == nil {
		return "", false, "it says nothing of its ends"
	}
	terms, why := selected(t, m["podSelector"], podLabel)
	if why != "" {
		return "", false, why
	}
	in := []string{"namespace=" + namespace}
	if m["namespaceSelector"] != nil {
		if in, why = selected(t, m["namespaceSelector"], namespaceLabel); why != "" {
			return "", false, why
		}
		in = append(in, "namespace=*")
	}
	return lineOf(append(terms, in...)...), false, ""
}
