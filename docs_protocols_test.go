package weir_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"weir/dissect"
)

// TestDocsProtocols holds docs/protocols.md to the table of protocols; -update writes what is made of it.
func TestDocsProtocols(t *testing.T) {
	const (
		file   = "docs/protocols.md"
		marker = "<!-- What follows is made of dissect.Protocols: go test -run TestDocsProtocols . -update -->\n"
	)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	intro, _, found := strings.Cut(string(text), marker)
	if !found {
		t.Fatalf("%s: the line is not there after which the protocols follow: %s", file, marker)
	}
	want := intro + marker + protocolsDoc(t)
	switch {
	case want == string(text):
	case *update:
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("%s: the protocols have changed: go test -run TestDocsProtocols . -update", file)
	}
}

// protocolsDoc tells of all protocols: an overview, then a section for each name.
func protocolsDoc(t *testing.T) string {
	var names []string
	entries := map[string][]*dissect.Protocol{}
	for _, p := range append([]*dissect.Protocol{&dissect.Raw, &dissect.OnDisk}, dissect.Protocols...) {
		if entries[p.Name] == nil {
			names = append(names, p.Name)
		}
		entries[p.Name] = append(entries[p.Name], p)
	}
	var b strings.Builder
	b.WriteString("\n| protocol | over | what is understood |\n|---|---|---|\n")
	for _, name := range names[2:] {
		over, depth := dissect.Carrier(0), "name"
		for _, p := range entries[name] {
			over |= p.Carrier
			if p.New != nil || p == &dissect.GRPC || p == &dissect.SSE {
				depth = "messages"
			}
		}
		fmt.Fprintf(&b, "| [%s](#%[1]s) | %s | %s |\n", name, carriersOf(over), depth)
	}
	notes, told := notesOf(t), map[string]bool{}
	for _, name := range names {
		first := entries[name][0]
		if first.About == "" {
			t.Errorf("dissect: %s has no About", name)
		}
		section := name
		if first == &dissect.Raw {
			section = "raw"
		}
		fmt.Fprintf(&b, "\n## %s\n\n%s\n", section, first.About)
		fieldsDoc(t, &b, entries[name], told)
		notesDoc(&b, notes[name])
		delete(notes, name)
	}
	for name := range notes {
		t.Errorf("dissect: there are notes of %s, which is no protocol", name)
	}
	return b.String()
}

func carriersOf(over dissect.Carrier) string {
	if over == 0 { // what carries packets
		return "IP"
	}
	var out []string
	for _, c := range []struct {
		is   dissect.Carrier
		name string
	}{{dissect.Stream, "TCP"}, {dissect.Datagram, "UDP"}, {dissect.ICMPv4, "ICMP"}, {dissect.ICMP6, "ICMPv6"}} {
		if over&c.is != 0 {
			out = append(out, c.name)
		}
	}
	return strings.Join(out, ", ")
}

// fieldsDoc tells of the fields that were not told of with an earlier protocol.
func fieldsDoc(t *testing.T, b *strings.Builder, ps []*dissect.Protocol, told map[string]bool) {
	head := "\n| field | what it holds | derived | event |\n|---|---|---|---|\n"
	for _, p := range ps {
		for i := range p.Fields {
			f := &p.Fields[i]
			if told[f.Name] {
				continue
			}
			told[f.Name] = true
			if f.Doc == "" {
				t.Errorf("dissect: field %s has no Doc", f.Name)
			}
			derived := ""
			if f.Derived {
				derived = "yes"
			}
			b.WriteString(head)
			head = ""
			fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", f.Name, f.Doc, derived, eventPath(p, f))
		}
	}
}

func notesDoc(b *strings.Builder, notes [][3]string) {
	if len(notes) == 0 {
		return
	}
	slices.SortFunc(notes, func(a, b [3]string) int { return strings.Compare(a[0], b[0]) })
	b.WriteString("\n| code | alert | what it says |\n|---|---|---|\n")
	for _, n := range notes {
		raises := ""
		if n[1] == "true" {
			raises = "alert "
		}
		fmt.Fprintf(b, "| `%s` | %s| %s |\n", n[0], raises, n[2])
	}
}

// eventPath is where a field stands in its protocol's event.
func eventPath(p *dissect.Protocol, f *dissect.FieldSpec) string {
	if f.EVE == "" {
		return "–"
	}
	path := f.EVE
	if strings.HasPrefix(path, "email/") { // it stands beside the protocol's own object
		return "`" + strings.ReplaceAll(path, "/", ".") + "`"
	}
	if list, key, ok := strings.Cut(path, "."); ok {
		path = list + "[]." + key
	}
	return "`" + p.EventType() + "." + strings.ReplaceAll(path, "/", ".") + "`"
}

// notesOf reads the tables of notes from the source of package dissect: code, alert, detail, by protocol.
func notesOf(t *testing.T) map[string][][3]string {
	t.Helper()
	files, err := filepath.Glob("dissect/*.go")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][][3]string{}
	for _, name := range files {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		ast.Inspect(f, func(n ast.Node) bool {
			lit, ok := n.(*ast.CompositeLit)
			if !ok || len(lit.Elts) != 3 {
				return true
			}
			var cells [3]string
			for i, e := range lit.Elts {
				switch e := e.(type) {
				case *ast.BasicLit:
					cells[i], _ = strconv.Unquote(e.Value)
				case *ast.Ident:
					cells[i] = e.Name
				}
			}
			if protocol, _, ok := strings.Cut(cells[0], "."); ok && (cells[1] == "true" || cells[1] == "false") && cells[2] != "" {
				out[protocol] = append(out[protocol], cells)
			}
			return true
		})
	}
	return out
}

// TestViolations: every note that raises an alert is one of those of which rule files may say what follows.
func TestViolations(t *testing.T) {
	var listed []string
	for _, n := range dissect.Violations() {
		listed = append(listed, n.Code)
	}
	for _, notes := range notesOf(t) {
		for _, n := range notes {
			if is := slices.Contains(listed, n[0]); is != (n[1] == "true") {
				t.Errorf("%s: in dissect.Violations: %v, raises an alert: %s", n[0], is, n[1])
			}
		}
	}
}
