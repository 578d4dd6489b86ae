package translate

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"weir/policy"
)

// clusterPolicy is an object of Kubernetes, for a model that decides as Kubernetes documents it.
type clusterPolicy struct {
	namespace, app string // whom it is about; "": whatever app
	about          [2]bool
	allows, denies [2][]clusterRule
}

type clusterRule struct {
	peers []clusterPeer // none: anybody
	port  uint16        // 0: any
}

// clusterPeer is pods of a namespace ("": of any) and an app ("": any), or an address block.
type clusterPeer struct {
	namespace, app, block string
}

func (p *clusterPeer) is(s *policy.Subject) bool {
	if p.block != "" {
		return !s.Workload && !s.Host && netip.MustParsePrefix(p.block).Contains(s.Addr)
	}
	return s.Workload && s.Namespace != "" && (p.namespace == "" || p.namespace == s.Namespace) && (p.app == "" || p.app == s.Labels["app"])
}

func (c *clusterPolicy) isAbout(s *policy.Subject) bool {
	return s.Workload && s.Namespace == c.namespace && (c.app == "" || c.app == s.Labels["app"])
}

func (r *clusterRule) is(s *policy.Subject, port uint16) bool {
	found := len(r.peers) == 0
	for i := range r.peers {
		found = found || r.peers[i].is(s)
	}
	return found && (r.port == 0 || r.port == port)
}

// decide says whether a cluster lets a conversation pass, and whether an object is about it at all.
func decide(all []clusterPolicy, ends [2]*policy.Subject, port uint16) (passes, restricted bool) {
	passes = true
	for side, of := range [2]*policy.Subject{ends[1], ends[0]} {
		other, about, allowed := ends[side], false, false
		for i := range all {
			c := &all[i]
			if !c.about[side] || !c.isAbout(of) {
				continue
			}
			about = true
			for j := range c.denies[side] {
				if c.denies[side][j].is(other, port) {
					return false, true
				}
			}
			for j := range c.allows[side] {
				allowed = allowed || c.allows[side][j].is(other, port)
			}
		}
		restricted = restricted || about
		passes = passes && (!about || allowed)
	}
	return passes, restricted
}

func randomCluster(r *rand.Rand, denials bool) (all []clusterPolicy) {
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	some := func() (out []clusterRule) {
		for range 1 + r.IntN(2) {
			rule := clusterRule{port: []uint16{0, 80, 443}[r.IntN(3)]}
			for range r.IntN(3) {
				p := clusterPeer{namespace: pick("", "shop", "ops"), app: pick("", "web", "db")}
				if r.IntN(4) == 0 {
					p = clusterPeer{block: pick("10.0.0.0/8", "192.0.2.0/24", "0.0.0.0/0", "2001:db8::/32")}
				}
				rule.peers = append(rule.peers, p)
			}
			out = append(out, rule)
		}
		return out
	}
	for range 1 + r.IntN(4) {
		c := clusterPolicy{namespace: pick("shop", "stage", "ops"), app: pick("", "web", "db"), about: [2]bool{r.IntN(3) > 0, r.IntN(2) > 0}}
		for side := range c.about {
			if !c.about[side] {
				continue
			}
			c.allows[side] = some()
			if denials && r.IntN(3) == 0 {
				c.denies[side] = some()
			}
		}
		all = append(all, c)
	}
	return all
}

// clusterText writes a cluster's objects.
func clusterText(all []clusterPolicy, cilium bool) string {
	var b strings.Builder
	for i := range all {
		c := &all[i]
		head, selector := npHead, "podSelector"
		if cilium {
			head, selector = cnpHead, "endpointSelector"
		}
		b.WriteString("---\n" + strings.Replace(head, "name: a, namespace: shop", fmt.Sprintf("name: p%d, namespace: %s", i, c.namespace), 1) + "spec:\n  " + selector + ": " + labelsText("", c.app) + "\n")
		if !cilium {
			var types []string
			for side, word := range []string{"Ingress", "Egress"} {
				if c.about[side] {
					types = append(types, word)
				}
			}
			if b.WriteString("  policyTypes: [" + strings.Join(types, ", ") + "]\n"); types == nil {
				all[i].about[ingress] = true // what is not given is Ingress
			}
		}
		for side, key := range []string{"ingress", "egress"} {
			for deny, rules := range [][]clusterRule{c.allows[side], c.denies[side]} {
				if len(rules) == 0 {
					continue
				}
				b.WriteString("  " + key + [2]string{"", "Deny"}[deny] + ":\n")
				for _, r := range rules {
					b.WriteString("  - " + ruleText(&r, [2]string{"from", "to"}[side], cilium))
				}
			}
		}
	}
	return b.String()
}

func labelsText(namespace, app string) string {
	var out []string
	if app != "" {
		out = append(out, "app: "+app)
	}
	if namespace != "" {
		out = append(out, "'k8s:io.kubernetes.pod.namespace': "+namespace)
	}
	return "{matchLabels: {" + strings.Join(out, ", ") + "}}"
}

func ruleText(r *clusterRule, ends string, cilium bool) string {
	var peers, pods, blocks []string
	for _, p := range r.peers {
		namespaces := "{}"
		if p.namespace != "" {
			namespaces = "{matchLabels: {kubernetes.io/metadata.name: " + p.namespace + "}}"
		}
		switch {
		case p.block != "":
			peers = append(peers, "{ipBlock: {cidr: '"+p.block+"'}}")
			blocks = append(blocks, "'"+p.block+"'")
		case p.namespace == "":
			peers = append(peers, "{namespaceSelector: {}, podSelector: "+labelsText("", p.app)+"}")
			pods = append(pods, strings.TrimSuffix(labelsText("", p.app), "}")+", matchExpressions: [{key: 'k8s:io.kubernetes.pod.namespace', operator: Exists}]}")
		default:
			peers = append(peers, "{namespaceSelector: "+namespaces+", podSelector: "+labelsText("", p.app)+"}")
			pods = append(pods, labelsText(p.namespace, p.app))
		}
	}
	port := ""
	if r.port != 0 {
		port = fmt.Sprintf("ports: [{port: '%d', protocol: TCP}]", r.port)
	}
	if !cilium {
		port = strings.ReplaceAll(port, "'", "")
		return "{" + strings.Join(nonEmpty(listText(ends, peers), port), ", ") + "}\n"
	}
	all := ""
	if len(r.peers) == 0 {
		all = ends + "Entities: [all]"
	}
	if port != "" {
		port = "toPorts: [{" + port + "}]"
	}
	return "{" + strings.Join(nonEmpty(listText(ends+"Endpoints", pods), listText(ends+"CIDR", blocks), all, port), ", ") + "}\n"
}

func listText(key string, list []string) string {
	if len(list) == 0 {
		return ""
	}
	return key + ": [" + strings.Join(list, ", ") + "]"
}

func nonEmpty(list ...string) (out []string) {
	for _, s := range list {
		if s != "" {
			out = append(out, s)
		}
	}
	return out
}

// TestImportIsTheCluster: what a cluster's objects say is decided as the model does, wherever an object is about one of the ends. What no object is
// about is denied; a denial of addresses is one of pods with such addresses too.
func TestImportIsTheCluster(t *testing.T) {
	rounds := 120
	if testing.Short() {
		rounds = 20
	}
	ends := subjects()
	passed, same, of := 0, 0, 0
	for seed := range rounds {
		cilium := seed%2 == 0
		all := randomCluster(rand.New(rand.NewPCG(uint64(seed), 11)), cilium)
		text := clusterText(all, cilium)
		toml, _, problems := ReadPolicy(map[bool]string{true: "cilium", false: "networkpolicy"}[cilium], []Source{{"x.yaml", []byte(text)}})
		if len(problems) > 0 {
			t.Fatalf("seed %d: %v\n%s", seed, problems, text)
		}
		blocked := false // a denial of addresses
		for i := range all {
			for _, list := range all[i].denies {
				for _, r := range list {
					for _, p := range r.peers {
						blocked = blocked || p.block != ""
					}
				}
			}
		}
		p := made(t, parseMade(t, toml))
		ids := make([]policy.Identity, len(ends))
		for i := range ends {
			ids[i] = p.Identify(&ends[i])
		}
		for i := range ends {
			for j := range ends {
				for _, port := range []uint16{80, 443, 9} {
					passes, restricted := decide(all, [2]*policy.Subject{&ends[i], &ends[j]}, port)
					want := passes && restricted
					got := p.Decide(&policy.Context{From: ids[i], To: ids[j], Proto: 6, Port: port, App: policy.AppUnknown}).Action == policy.Allow
					of++
					if got == want {
						same++
					} else if got || !blocked {
						t.Fatalf("seed %d, %+v > %+v, %d: got %v, want %v\n%s\n%s", seed, ends[i], ends[j], port, got, want, text, toml)
					}
					if got {
						passed++
					}
				}
			}
		}
	}
	t.Logf("of %d conversations %d are decided the same, %d pass", of, same, passed)
	if passed < of/100 {
		t.Errorf("of %d conversations %d pass", of, passed)
	}
}
