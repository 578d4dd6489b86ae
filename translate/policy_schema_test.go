package translate

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"weir/policy"
)

// schema says what may stand somewhere: a mapping with keys, or any; a list of each; a number; else a text.
type schema struct {
	Needs   []string           `yaml:"needs"`
	Keys    map[string]*schema `yaml:"keys"`
	Any     *schema            `yaml:"any"`
	Each    *schema            `yaml:"each"`
	One     []string           `yaml:"one"`
	Pattern string             `yaml:"pattern"`
	Number  bool               `yaml:"number"`
	Min     int                `yaml:"min"`
	Max     int                `yaml:"max"`
}

// check says what is wrong with a node.
func (s *schema) check(path string, n *yaml.Node) error {
	switch {
	case s.Keys != nil || s.Any != nil:
		if n.Kind != yaml.MappingNode {
			return fmt.Errorf("%s: this is no object", path)
		}
		var have []string
		for i := 0; i < len(n.Content); i += 2 {
			key := n.Content[i].Value
			have = append(have, key)
			of := s.Any
			if s.Keys != nil {
				of = s.Keys[key]
			}
			if of == nil {
				return fmt.Errorf("%s.%s: there is no such key", path, key)
			}
			if err := of.check(path+"."+key, n.Content[i+1]); err != nil {
				return err
			}
		}
		for _, key := range s.Needs {
			if !slices.Contains(have, key) {
				return fmt.Errorf("%s: %s is missing", path, key)
			}
		}
		return nil
	case s.Each != nil:
		if n.Kind != yaml.SequenceNode || s.Max > 0 && len(n.Content) > s.Max {
			return fmt.Errorf("%s: this is no list, or too long", path)
		}
		for i, e := range n.Content {
			if err := s.Each.check(fmt.Sprintf("%s[%d]", path, i), e); err != nil {
				return err
			}
		}
		return nil
	case n.Kind != yaml.ScalarNode:
		return fmt.Errorf("%s: this is neither text nor number", path)
	case s.Number:
		if v, err := strconv.Atoi(n.Value); err != nil || n.Tag != "!!int" || v < s.Min || v > s.Max {
			return fmt.Errorf("%s: %q is none of the numbers", path, n.Value)
		}
		return nil
	case n.Tag != "!!str":
		return fmt.Errorf("%s: %q is no text but %s", path, n.Value, n.Tag)
	case s.One != nil && !slices.Contains(s.One, n.Value), s.Pattern != "" && !regexp.MustCompile(`^(?:`+s.Pattern+`)$`).MatchString(n.Value), s.Max > 0 && len(n.Value) > s.Max:
		return fmt.Errorf("%s: %q may not stand there", path, n.Value)
	}
	return nil
}

func schemas(t *testing.T) map[string]*schema {
	t.Helper()
	text, err := os.ReadFile("testdata/policy-schemas.yaml")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]*schema{}
	if err := yaml.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// TestWritePolicyFitsSchemas: what is written is what API servers accept.
func TestWritePolicyFitsSchemas(t *testing.T) {
	all := schemas(t)
	texts := []string{exported, "[[groups]]\nname='odd'\nmatch=[\"namespace=1,label:n=2,label:t=true\",\"namespace=null\"]\n[[policy]]\nid='1'\nto=['odd']\nports=['tcp/1-65535','udp/0','tcp']\naction='allow'\n" +
		"[[policy]]\nid='yes'\nfrom=['odd']\nto=['external']\nprotocol='grpc'\naction='allow'\n"}
	for seed := range 30 {
		texts = append(texts, randomPolicy(rand.New(rand.NewPCG(uint64(seed), 9))))
	}
	count := map[string]int{}
	for _, text := range texts {
		for _, format := range PolicySources {
			for d := yaml.NewDecoder(bytes.NewReader(writePolicy(t, mustParse(text), format))); ; {
				var doc yaml.Node
				if d.Decode(&doc) != nil {
					break
				}
				var o object
				if err := doc.Decode(&o); err != nil {
					t.Fatal(err)
				}
				s := all[o.Kind]
				if s == nil {
					t.Fatalf("there is no schema of %s", o.Kind)
				}
				count[o.Kind]++
				if err := s.check(o.Kind, doc.Content[0]); err != nil {
					t.Errorf("%s: %v\n%s", format, err, text)
				}
			}
		}
	}
	for _, kind := range []string{"NetworkPolicy", "CiliumNetworkPolicy", "NvSecurityRule", "NvClusterSecurityRule"} {
		if count[kind] < 10 {
			t.Errorf("%d objects of %s were written", count[kind], kind)
		}
	}
}

// TestSchemas: the schemas find what is wrong.
func TestSchemas(t *testing.T) {
	all := schemas(t)
	for _, c := range []struct{ kind, text, want string }{
		{"NetworkPolicy", npHead, "spec is missing"},
		{"NetworkPolicy", npHead + "spec: {podSelector: {}, ingres: []}", "no such key"},
		{"NetworkPolicy", npHead + "spec: {podSelector: {matchLabels: {a: 1}}}", "no text but !!int"},
		{"NetworkPolicy", npHead + "spec: {podSelector: {}, ingress: [{ports: [{port: 70000}]}]}", "none of the numbers"},
		{"CiliumNetworkPolicy", cnpHead + "spec: {endpointSelector: {}, ingress: [{toPorts: [{ports: [{port: 80}]}]}]}", "no text but !!int"},
		{"NvSecurityRule", nvHead + "spec: {target: {selector: {name: a}}, ingress: [{action: allow, selector: {name: b}}]}", "name is missing"},
		{"NvSecurityRule", nvHead + "spec: {target: {selector: {name: a}}, ingress: [{action: allow, name: x, priority: 101, selector: {name: b}}]}", "none of the numbers"},
	} {
		var doc yaml.Node
		if err := yaml.Unmarshal([]byte(c.text), &doc); err != nil {
			t.Fatal(err)
		}
		if err := all[c.kind].check(c.kind, doc.Content[0]); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", c.text, err, c.want)
		}
	}
}

// TestPatternsOf: expressions become patterns that stand for no more.
func TestPatternsOf(t *testing.T) {
	for _, c := range []struct{ expression, want string }{
		{"/ok", "/ok"}, {"^/ok$", "/ok"}, {"GET|POST", "GET POST"}, {"/api/.*", "/api/*"}, {"/orders/[^/]+", "/orders/{x}"}, {`/a\.b`, "/a.b"}, {"/a.b", "/a.b"}, {"/v[12]/x?", "/v1/ /v1/x /v2/ /v2/x"},
		{"(GET|HEAD)", "GET HEAD"}, {"", "!"}, {"a?", "!"},
		{"[0-9]+", "!"}, {"(?i)get", "!"}, {`\d`, "0 1 2 3 4 5 6 7 8 9"}, {"a+", "!"}, {".+", "!"}, {"a{2,3}", "!"}, {`/\{id\}`, "!"}, {`a\*`, "!"}, {"[", "!"}, {"[^a]", "!"}, {"a$b", "!"}, {"(a|b|c|d|e|f|g|h){9}", "!"},
		{strings.Repeat("(a?b?)", 60), "!"}, {strings.Repeat(".*", 40), "!"},
	} {
		list, why := patternsOf(c.expression)
		got := strings.Join(list, " ")
		if why != "" {
			got = "!"
		}
		if got != c.want {
			t.Errorf("%s: got %q (%s), want %q", c.expression, got, why, c.want)
		}
	}
}

// TestNeuVectorCriteria: criteria of one key are alternatives, unless all are negated; those of all labels are of one key.
func TestNeuVectorCriteria(t *testing.T) {
	for _, c := range []struct{ criteria, want string }{
		{"{key: domain, op: =, value: a}", "namespace=a"},
		{"{key: domain, op: =, value: a}, {key: domain, op: =, value: b}", "namespace=a|namespace=b"},
		{"{key: domain, op: '!=', value: a}, {key: domain, op: '!=', value: b}", "namespace!=a,namespace!=b"},
		{"{key: app, op: =, value: a}, {key: tier, op: =, value: b}, {key: domain, op: =, value: n}", "label:app=a,namespace=n|label:tier=b,namespace=n"},
		{"{key: app, op: '!=', value: a}, {key: tier, op: '!=', value: b}, {key: x, op: =, value: c}", "label:app!=a,label:app=*,label:tier!=b,label:tier=*|label:x=c"},
		{"{key: app, op: contains, value: a}", "label:app=*a*"},
		{"{key: app, op: prefix, value: a}", "label:app=a*"},
		{"{key: app, op: regex, value: '^a$'}", "label:app~'^a$'"},
		{"{key: address, op: =, value: 10.0.0.0/8}, {key: address, op: =, value: a.example}", "address=10.0.0.0/8|dns=a.example"},
		{"{key: address, op: =, value: 10.0.0.1-10.0.0.9}", "!"}, {"{key: address, op: =, value: '*.example.com'}", "!"}, {"{key: app, op: =, value: 'a?'}", "!"}, {"{key: app, op: =, value: any}", "!"},
		{"{key: address, op: =, value: 10.0.0.0/8}, {key: domain, op: =, value: a}", "!"}, {"{key: 'ns:x', op: =, value: a}", "!"}, {"{key: app, op: exist, value: a}", "!"},
	} {
		var doc yaml.Node
		if err := yaml.Unmarshal([]byte("{name: g, criteria: ["+c.criteria+"]}"), &doc); err != nil {
			t.Fatal(err)
		}
		im := importer{}
		p, why := nvParty(&tree{"x", &im.problems}, doc.Content[0], false)
		got := strings.Join(append(p.pods, p.others...), "|")
		if why != "" {
			got = "!"
		}
		if got != c.want {
			t.Errorf("%s: got %q (%s), want %q", c.criteria, got, why, c.want)
		}
	}
}

// TestBothSides: between two pods that are both restricted, both objects must allow; what only one is about, only that one.
func TestBothSides(t *testing.T) {
	const file = `apiVersion: v1
kind: List
items:
- apiVersion: networking.k8s.io/v1
  kind: NetworkPolicy
  metadata: {name: web, namespace: shop}
  spec:
    podSelector: {matchLabels: {app: web}}
    policyTypes: [Ingress]
    ingress:
    - from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: ops}}}, {ipBlock: {cidr: 10.0.0.0/8, except: [10.9.0.0/16]}}]
      ports: [{port: 80}, {port: 8000, endPort: 8010}]
- apiVersion: networking.k8s.io/v1
  kind: NetworkPolicy
  metadata: {name: ops, namespace: ops}
  spec:
    podSelector: {matchExpressions: [{key: tier, operator: In, values: [front, test]}]}
    policyTypes: [Egress]
    egress:
    - to: [{namespaceSelector: {}, podSelector: {matchLabels: {app: web}}}]
      ports: [{port: 80}]
`
	toml, n, problems := ReadPolicy("networkpolicy", []Source{{"x.yaml", []byte(file)}})
	if n == 0 || len(problems) > 0 {
		t.Fatal(problems)
	}
	p := made(t, parseMade(t, toml))
	pod := func(namespace string, labels ...string) *policy.Subject {
		s := workload(namespace)
		for i := 0; i < len(labels); i += 2 {
			s.Labels[labels[i]] = labels[i+1]
		}
		return s
	}
	web := pod("shop", "app", "web")
	for _, c := range []struct {
		name     string
		from, to *policy.Subject
		port     uint16
		want     policy.Action
	}{
		{"both allow", pod("ops", "tier", "front"), web, 80, policy.Allow},
		{"one of both allows", pod("ops", "tier", "test"), web, 8000, policy.Deny},
		{"who gets allows, who begins is not restricted", pod("ops"), web, 8010, policy.Allow},
		{"who begins allows, who gets is not restricted", pod("ops", "tier", "front"), pod("stage", "app", "web"), 80, policy.Allow},
		{"no one allows", pod("ops", "tier", "front"), pod("shop"), 80, policy.Deny},
		{"another namespace", pod("shop"), web, 80, policy.Deny},
		{"an address", &policy.Subject{Addr: addr("10.2.0.1")}, web, 80, policy.Allow},
		{"an address that is left out", &policy.Subject{Addr: addr("10.9.0.1")}, web, 80, policy.Deny},
		{"a pod by its address", pod("stage"), web, 80, policy.Deny},
	} {
		v := p.Decide(&policy.Context{From: p.Identify(c.from), To: p.Identify(c.to), Proto: 6, Port: c.port, App: policy.AppUnknown})
		if v.Action != c.want || v.Mode != policy.Monitor {
			t.Errorf("%s: got %+v, want %v\n%s", c.name, v, c.want, toml)
		}
	}
}
