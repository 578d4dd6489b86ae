package translate

import (
	"fmt"
	"strings"
	"testing"

	"weir/policy"
)

const npHead = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: a, namespace: shop}\n"
const cnpHead = "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: a, namespace: shop}\n"
const nvHead = "apiVersion: neuvector.com/v1\nkind: NvSecurityRule\nmetadata: {name: a, namespace: shop}\n"

// TestReadPolicyWrong: what is wrong has its place, and nothing is made.
func TestReadPolicyWrong(t *testing.T) {
	bomb := "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\n"
	for _, c := range []struct{ name, format, text, want string }{
		{"nothing", "networkpolicy", "", "there is no object of networkpolicy"},
		{"no YAML", "networkpolicy", "a: b\n\tc: [", "x.yaml:2: found a tab character"},
		{"a text", "networkpolicy", "hello", "x.yaml:1:1: this is no mapping"},
		{"a list", "cilium", "[1, 2]", "x.yaml:1:1: this is no mapping"},
		{"another kind", "networkpolicy", cnpHead, "x.yaml:2:7: a CiliumNetworkPolicy may forbid what others allow"},
		{"another policy", "cilium", "kind: AdminNetworkPolicy", "x.yaml:1:7: a AdminNetworkPolicy may forbid"},
		{"others", "networkpolicy", "kind: Pod\n---\nkind: Service\n", "there is no object of networkpolicy"},
		{"version", "cilium", strings.Replace(cnpHead, "v2", "v3", 1), `apiVersion "cilium.io/v3" is not known`},
		{"no namespace", "networkpolicy", strings.Replace(npHead, ", namespace: shop", "", 1), "x.yaml:1:1: the object has no namespace"},
		{"name", "networkpolicy", strings.Replace(npHead, "name: a,", "name: \"a\\n[modes]\",", 1), "has no name that is one"},
		{"a bomb", "networkpolicy", npHead + "spec: {podSelector: *d}\n" + bomb, "x.yaml: unknown anchor"},
		{"a bomb before", "networkpolicy", bomb + npHead + "spec: {podSelector: *d}\n", "x.yaml:8:21: aliases are not read"},
		{"twice", "networkpolicy", npHead + "spec: {}\nspec: {}\n", `x.yaml:5:1: the key "spec" is there twice`},
		{"a second one", "networkpolicy", npHead + "---\n" + npHead + "spec: 3\n", "x.yaml:8:7: this is no mapping"},
		{"ingress", "networkpolicy", npHead + "spec: {ingress: {from: x}}\n", "x.yaml:4:17: this is no list"},
		{"deep", "networkpolicy", npHead + "spec: {ingress: " + strings.Repeat("[", 20000) + "\n", "x.yaml"},
		{"deep list", "networkpolicy", strings.Repeat("- ", 20000) + "x\n", "x.yaml"},
		{"action", "neuvector", nvHead + "spec: {target: {selector: {name: g, criteria: [{key: domain, op: =, value: shop}]}}, ingress: [{action: maybe}]}\n", `x.yaml:4:96: action "maybe" is none`},
		{"priority", "neuvector", nvHead + "spec: {target: {selector: {name: g, criteria: [{key: domain, op: =, value: shop}]}}, ingress: [{action: deny, priority: 101}]}\n", `priority "101" is none`},
		{"mode", "neuvector", nvHead + "spec: {target: {policymode: Loose, selector: {name: g, criteria: [{key: domain, op: =, value: shop}]}}}\n", `x.yaml:4:29: this is no mode: "Loose"`},
		{"lists", "cilium", "a: [" + strings.Repeat("[],", 1<<19) + "]", "lines and members, more than 262144 (split it)"},
		{"lines", "cilium", strings.Repeat("-\n", 1<<19), "lines and members, more than 262144 (split it)"},
		{"large", "cilium", strings.Repeat("#", MaxPolicySource+1), "more than 4194304 (split it)"},
	} {
		toml, made, problems := ReadPolicy(c.format, []Source{{"x.yaml", []byte(c.text)}})
		if err := problems.Err(); toml != nil || made != 0 || err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", c.name, problems, c.want)
		}
	}
}

// TestReadPolicyMany: more rules than a policy may have are an error, and soon.
func TestReadPolicyMany(t *testing.T) {
	var b strings.Builder
	for i := range 400 {
		fmt.Fprintf(&b, "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p%d, namespace: n}\nspec: {podSelector: {matchLabels: {l%d: a}}, policyTypes: [Ingress, Egress], ingress: [{}], egress: [{}]}\n", i, i)
	}
	_, _, problems := ReadPolicy("networkpolicy", []Source{{"x.yaml", []byte(b.String())}})
	if err := problems.Err(); err == nil || !strings.Contains(err.Error(), "more than 50000 rules (give fewer objects at once)") {
		t.Errorf("got %v", err)
	}
}

// TestReadPolicyTellsNotAll: of very many problems the first are told, and that there are more.
func TestReadPolicyTellsNotAll(t *testing.T) {
	toml, _, problems := ReadPolicy("networkpolicy", []Source{{"x.yaml", []byte(npHead + "spec: {podSelector: {}, ingress: [" + strings.Repeat("{x: 1},", 5000) + "]}\n")}})
	if len(problems) != maxTold+1 || !strings.Contains(problems[maxTold].What, "not listed") || toml == nil {
		t.Errorf("got %d problems", len(problems))
	}
}

// TestReadPolicyLost: what cannot be said is told with its place, and is no rule that allows.
func TestReadPolicyLost(t *testing.T) {
	const nvTarget = "spec:\n  target: {selector: {name: g, criteria: [{key: domain, op: =, value: shop}]}}\n"
	for _, c := range []struct{ name, format, text, want string }{
		{"named port", "networkpolicy", npHead + "spec:\n  podSelector: {}\n  ingress:\n  - ports: [{port: http}]\n", "x.yaml:7:5: warning: shop/a/ingress-1: the port \"http\" has a name"},
		{"labels of a namespace", "networkpolicy", npHead + "spec:\n  podSelector: {}\n  ingress:\n  - from: [{namespaceSelector: {matchLabels: {team: a}}}]\n", "not the label team"},
		{"an operator", "networkpolicy", npHead + "spec:\n  podSelector: {}\n  ingress:\n  - from: [{podSelector: {matchExpressions: [{key: a, operator: Gt, values: [1]}]}}]\n", `the operator "Gt"`},
		{"a value", "networkpolicy", npHead + "spec:\n  podSelector: {}\n  ingress:\n  - from: [{podSelector: {matchLabels: {a: 'x*'}}}]\n", `"x*" is no value of a label`},
		{"a key", "networkpolicy", npHead + "spec:\n  podSelector: {}\n  ingress:\n  - from: [{podSelector: {}, serviceAccount: x}]\n", "serviceAccount is not known"},
		{"a block", "networkpolicy", npHead + "spec:\n  podSelector: {}\n  ingress:\n  - from: [{ipBlock: {cidr: 10.0.0.0}}]\n", "no address block"},
		{"whom", "networkpolicy", npHead + "spec:\n  podSelector: {matchLabels: {'a b': c}}\n  ingress:\n  - {}\n", "the whole namespace that allows nothing"},
		{"service", "cilium", cnpHead + "spec:\n  endpointSelector: {}\n  egress:\n  - toServices: [{k8sService: {serviceName: x}}]\n", "toServices has no words here"},
		{"required", "cilium", cnpHead + "spec:\n  endpointSelector: {}\n  ingress:\n  - fromRequires: [{}]\n", "fromRequires has no words here"},
		{"a digit", "cilium", cnpHead + "spec:\n  endpointSelector: {}\n  ingress:\n  - toPorts: [{ports: [{port: '80', protocol: TCP}], rules: {http: [{path: '/o/[0-9]+'}]}}]\n", "this expression is no pattern"},
		{"nothing or something", "cilium", cnpHead + "spec:\n  endpointSelector: {}\n  ingress:\n  - toPorts: [{ports: [{port: '80', protocol: TCP}], rules: {http: [{host: '(shop)?'}]}}]\n", "this expression is for nothing, too"},
		{"headers", "cilium", cnpHead + "spec:\n  endpointSelector: {}\n  ingress:\n  - toPorts: [{ports: [{port: '80', protocol: TCP}], rules: {http: [{path: /, headers: [a]}]}}]\n", "headers of HTTP has no words here"},
		{"kafka", "cilium", cnpHead + "spec:\n  endpointSelector: {}\n  ingress:\n  - toPorts: [{ports: [{port: '80'}], rules: {kafka: [{topic: a}]}}]\n", "only those of HTTP"},
		{"nobody", "cilium", cnpHead + "spec:\n  endpointSelector: {}\n  ingress:\n  - fromEndpoints: []\n", ""},
		{"to restrict", "cilium", cnpHead + "spec:\n  endpointSelector: {}\n  ingress:\n  - {}\n", ""},
		{"a wildcard", "cilium", cnpHead + "spec:\n  endpointSelector: {}\n  egress:\n  - toFQDNs: [{matchPattern: '*.example.com'}]\n", "is one label there"},
		{"nodes", "cilium", cnpHead + "spec:\n  nodeSelector: {}\n  ingress:\n  - fromEntities: [all]\n", "it is about nodes"},
		{"a denial", "cilium", cnpHead + "spec:\n  endpointSelector: {}\n  ingress:\n  - fromEntities: [all]\n  ingressDeny:\n  - fromEntities: [world]\n", "all is denied to whom it is about"},
		{"a denial of whom", "cilium", cnpHead + "spec:\n  endpointSelector: {matchLabels: {'reserved:init': ''}}\n  ingressDeny:\n  - fromEntities: [world]\n---\n" +
			strings.Replace(cnpHead, "name: a", "name: b", 1) + "spec:\n  endpointSelector: {}\n  ingress:\n  - fromEntities: [all]\n", "the whole namespace that allows nothing"},
		{"a service", "neuvector", nvHead + nvTarget + "  ingress:\n  - {action: allow, name: x, ports: any, selector: {name: s, criteria: [{key: service, op: =, value: a.b}]}}\n", `x.yaml:7:5: warning: shop/a/ingress-1: the service "a.b" is NeuVector's word`},
		{"an application", "neuvector", nvHead + nvTarget + "  ingress:\n  - {action: allow, name: x, applications: [Wordpress], selector: {name: containers, criteria: [{key: container, op: =, value: '*'}]}}\n", `the application "Wordpress"`},
		{"a denial there", "neuvector", nvHead + nvTarget + "  ingress:\n  - {action: deny, name: x, selector: {name: s, criteria: [{key: image, op: =, value: a}]}}\n  - {action: allow, name: y, selector: {name: containers, criteria: [{key: container, op: =, value: '*'}]}}\n", "all is denied in this place"},
		{"a federal one", "neuvector", nvHead + nvTarget + "  ingress:\n  - {action: allow, name: x, selector: {name: fed.a, criteria: [{key: domain, op: =, value: a}]}}\n", "federal groups"},
		{"a quote", "neuvector", nvHead + nvTarget + "  ingress:\n  - {action: allow, name: x, selector: {name: s, criteria: [{key: a, op: regex, value: \"x',external\"}]}}\n", "has no words here"},
	} {
		toml, _, problems := ReadPolicy(c.format, []Source{{"x.yaml", []byte(c.text)}})
		if problems.Failed() {
			t.Errorf("%s: %v", c.name, problems.Err())
			continue
		}
		told := ""
		for _, p := range problems {
			told += p.String() + "\n"
		}
		if (told == "") != (c.want == "") || !strings.Contains(told, c.want) {
			t.Errorf("%s: told %q, want %q", c.name, told, c.want)
		}
		if c.want != "" && !strings.Contains(string(toml), "# not translated: x.yaml:") {
			t.Errorf("%s: the comment is missing:\n%s", c.name, toml)
		}
		p := made(t, parseMade(t, toml))
		shop := policy.Subject{Workload: true, Name: "a", Namespace: "shop", Labels: map[string]string{"a": "b"}}
		for _, s := range subjects() {
			for _, k := range talks(t) {
				v := p.Decide(&policy.Context{From: p.Identify(&s), To: p.Identify(&shop), Proto: k.proto, Port: k.port, App: k.app})
				if v.Action != policy.Deny {
					t.Errorf("%s: %+v is %v\n%s", c.name, s, v, toml)
					return
				}
			}
		}
	}
}

func FuzzReadPolicy(f *testing.F) {
	for _, format := range PolicySources {
		text, _, err := WritePolicy(mustParse(exported), format, day)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(format, text)
	}
	f.Add("cilium", []byte(cnpHead+"spec:\n  endpointSelector: {}\n  ingress:\n  - toPorts: [{ports: [{port: '80', endPort: 90, protocol: ANY}], rules: {http: [{path: '/o/(a|b)?[cd].*', method: 'GET|PUT'}]}}]\n    fromCIDRSet: [{cidr: ::/0, except: [fe80::/10]}]\n"))
	f.Add("networkpolicy", []byte(npHead+"spec:\n  podSelector: {matchExpressions: [{key: a, operator: NotIn, values: [b, '']}]}\n  policyTypes: [Egress]\n  egress:\n  - to: [{ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0/8]}}]\n"))
	f.Fuzz(func(t *testing.T, format string, text []byte) {
		known := false
		for _, s := range PolicySources {
			known = known || s == format
		}
		if !known || len(text) > 1<<16 {
			return
		}
		toml, _, problems := ReadPolicy(format, []Source{{"x", text}})
		if (toml == nil) != problems.Failed() {
			t.Fatalf("got %q, %v", toml, problems)
		}
		for _, p := range problems {
			if strings.ContainsAny(p.String(), "\n\r\x1b") {
				t.Fatalf("got %q", p.String())
			}
		}
		if toml != nil {
			parseMade(t, toml)
		}
	})
}

func mustParse(text string) *policy.Set {
	set, problems := policy.Parse("p.toml", []byte(text), policy.Options{})
	if problems.Failed() {
		panic(problems.Err())
	}
	return set
}
