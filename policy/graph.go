package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Graph is who talks to whom.
type Graph struct {
	Nodes []Node
	Links []Link
}

// Node is a group, as it is or would be proposed.
type Node struct {
	Name    string   `json:"name"`
	Members []string `json:"members,omitempty"`
	Outside bool     `json:"outside,omitempty"` // no workload of this host
}

// Link is what one says to another in one protocol.
type Link struct {
	From     string   `json:"from"`
	To       string   `json:"to"`
	Protocol string   `json:"protocol,omitempty"`
	Ports    []string `json:"ports"`
	Tally
}

// Graph draws what was seen since a time (ns since the epoch; 0: ever).
func (l *Learner) Graph(since int64) *Graph {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.meet()
	g := &Graph{}
	at := map[edgeKey]int{}
	used := map[Party]bool{}
	for _, k := range l.sortedEdges() {
		e := l.edges[k]
		if e.Last < since {
			continue
		}
		used[k.from], used[k.to] = true, true
		port := Port{k.proto, k.port, k.port}.String()
		k.port = 0
		i, ok := at[k]
		if !ok {
			i = len(g.Links)
			at[k] = i
			g.Links = append(g.Links, Link{From: l.parties.list[k.from].name, To: l.parties.list[k.to].name, Protocol: k.app})
		}
		x := &g.Links[i]
		x.Tally.add(e.Tally)
		x.Ports = append(x.Ports, port)
	}
	for i := range l.parties.list {
		if p := &l.parties.list[i]; used[Party(i)] {
			g.Nodes = append(g.Nodes, Node{p.name, p.members, p.builtin != "" || slices.Contains(Builtin, p.name)})
		}
	}
	slices.SortFunc(g.Nodes, func(a, b Node) int { return cmp.Compare(a.Name, b.Name) })
	return g
}

// label says what a link is: "http tcp/80".
func (k *Link) label() string {
	ports := strings.Join(k.Ports, " ")
	if len(k.Ports) > nearShown {
		ports = fmt.Sprintf("%s ... (%d ports)", k.Ports[0], len(k.Ports))
	}
	return strings.TrimSpace(k.Protocol + " " + ports)
}

// DOT writes g for Graphviz.
func (g *Graph) DOT() string {
	var b strings.Builder
	b.WriteString("digraph weir {\n\trankdir=LR;\n\tnode [shape=box];\n")
	for _, n := range g.Nodes {
		style := ""
		if n.Outside {
			style = " [style=dashed]"
		}
		fmt.Fprintf(&b, "\t%s%s;\n", dotQuote(n.Name), style)
	}
	for i := range g.Links {
		k := &g.Links[i]
		fmt.Fprintf(&b, "\t%s -> %s [label=%s];\n", dotQuote(k.From), dotQuote(k.To), dotQuote(k.label()))
	}
	b.WriteString("}\n")
	return b.String()
}

func dotQuote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(printable(s)) + `"`
}

// Mermaid writes g for what draws flowcharts of Mermaid.
func (g *Graph) Mermaid() string {
	var b strings.Builder
	b.WriteString("flowchart LR\n")
	ids := map[string]string{}
	for i, n := range g.Nodes {
		ids[n.Name] = fmt.Sprintf("n%d", i)
		open, end := "[", "]"
		if n.Outside {
			open, end = "([", "])"
		}
		fmt.Fprintf(&b, "    n%d%s\"%s\"%s\n", i, open, mermaidText(n.Name), end)
	}
	for i := range g.Links {
		k := &g.Links[i]
		fmt.Fprintf(&b, "    %s -->|\"%s\"| %s\n", ids[k.From], mermaidText(k.label()), ids[k.To])
	}
	return b.String()
}

// mermaidText writes what would end a text as entities.
func mermaidText(s string) string {
	return strings.NewReplacer(`"`, "#quot;", "#", "#35;", "<", "#lt;", ">", "#gt;").Replace(printable(s))
}
