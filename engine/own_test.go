package engine

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestOwnRules: each rule that is part of Weir says what it means, when it raises an alert and what to do then, and every id that an alert is raised under in the source is one of
// them.
func TestOwnRules(t *testing.T) {
	ids := OwnRuleIDs()
	for i, r := range OwnRules {
		if r.Engine == "" || r.Is == "" || r.When == "" || r.Next == "" || i > 0 && ids[i-1] >= r.ID {
			t.Errorf("%s: something is missing, or it stands there twice: %+v", r.ID, r)
		}
	}
	for _, code := range ConversationAnomalies {
		if !slices.Contains(ids, code) {
			t.Errorf("%s is no rule", code)
		}
	}
	packages, err := parser.ParseDir(token.NewFileSet(), ".", func(f fs.FileInfo) bool { return !strings.HasSuffix(f.Name(), "_test.go") }, 0)
	if err != nil {
		t.Fatal(err)
	}
	// Where the id stands among the arguments of what raises such alerts, and the functions from which it comes there.
	at := map[string]int{"ownAlert": 1, "protocolAlert": 1, "violation": 0}
	inside := []string{"violation", "protocolAlert", "notes", "tunnelled", "denied"}
	found := 0
	for _, p := range packages {
		for _, file := range p.Files {
			for _, d := range file.Decls {
				fn, ok := d.(*ast.FuncDecl)
				if !ok {
					continue
				}
				ast.Inspect(fn, func(n ast.Node) bool {
					call, ok := n.(*ast.CallExpr)
					if !ok {
						return true
					}
					sel, ok := call.Fun.(*ast.SelectorExpr)
					if !ok {
						return true
					}
					i, raises := at[sel.Sel.Name]
					if !raises {
						return true
					}
					switch arg := call.Args[i].(type) {
					case *ast.BasicLit:
						found++
						if id, _ := strconv.Unquote(arg.Value); !slices.Contains(ids, id) {
							t.Errorf("%s raises alerts of %s, which is no rule", fn.Name.Name, id)
						}
					default:
						if !slices.Contains(inside, fn.Name.Name) {
							t.Errorf("%s raises alerts of rules that this test cannot tell", fn.Name.Name)
						}
					}
					return true
				})
			}
		}
	}
	if found < len(ConversationAnomalies) {
		t.Errorf("%d places that raise alerts were found", found)
	}
}
