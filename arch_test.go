package weir_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// imports is the design as a table: which of Weir's own packages each may import. Do not change it to
// mend a build; change the design first.
var imports = map[string][]string{
	"wire":      {},
	"workload":  {},
	"capture":   {"wire"},
	"flow":      {"wire"},
	"dissect":   {"wire"},
	"rules":     {},
	"dlp":       {"wire", "dissect", "rules"},
	"pcapstore": {"wire", "capture"},
	"alert":     {},
	"engine":    {"wire", "workload", "capture", "flow", "dissect", "rules", "dlp", "pcapstore", "alert"},
	"daemon":    {"wire", "workload", "capture", "flow", "dissect", "rules", "dlp", "pcapstore", "alert", "engine"},
	"cmd/weir":  {"wire", "workload", "capture", "flow", "dissect", "rules", "dlp", "pcapstore", "alert", "engine", "daemon"},
}

// only names imports that one package alone may have, and why.
var only = map[string]struct {
	in  []string
	why string
}{
	"unsafe":                              {[]string{"capture", "dlp"}, "rings are mapped memory; dlp crosses to C"},
	"C":                                   {[]string{"dlp"}, "Hyperscan is the only C in Weir"},
	"github.com/flier/gohs":               {[]string{"dlp"}, "patterns are compiled and matched in one place"},
	"github.com/mdlayher/packet":          {[]string{"capture"}, "sockets that see traffic are opened in one place"},
	"github.com/vishvananda/netlink":      {[]string{"workload", "capture"}, "links are watched in one place"},
	"github.com/prometheus/client_golang": {[]string{"daemon"}, "metrics are counted on the way and named in one place"},
	"github.com/spf13/cobra":              {[]string{"cmd/weir"}, "commands are thin and live in one place"},
	"log/slog":                            {[]string{"daemon", "cmd/weir"}, "packages return errors, the daemon logs"},
}

// forbidden names directories that say nothing.
var forbidden = []string{"internal", "pkg", "util", "utils", "common", "helper", "helpers", "manager"}

func TestImports(t *testing.T) {
	for dir, files := range goFiles(t) {
		allowed, known := imports[dir]
		if !known && dir != "." {
			t.Errorf("%s: not in the table of packages", dir)
			continue
		}
		for _, f := range files {
			if strings.HasSuffix(f.name, "_test.go") || dir == "." {
				continue
			}
			for _, spec := range f.ast.Imports {
				path := strings.Trim(spec.Path.Value, `"`)
				if own, ok := strings.CutPrefix(path, "weir/"); ok && !slices.Contains(allowed, own) {
					t.Errorf("%s imports %s: not allowed", f.name, path)
				}
				for lib, rule := range only {
					if (path == lib || strings.HasPrefix(path, lib+"/")) && !slices.Contains(rule.in, dir) {
						t.Errorf("%s imports %s: only %v may (%s)", f.name, path, rule.in, rule.why)
					}
				}
			}
			for _, d := range f.ast.Decls {
				if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
					t.Errorf("%s: func init: make the order visible in a table", f.name)
				}
			}
		}
	}
}

func TestPackageDocs(t *testing.T) {
	for dir, files := range goFiles(t) {
		docs := 0
		for _, f := range files {
			if f.ast.Doc != nil && !strings.HasSuffix(f.name, "_test.go") {
				docs++
			}
		}
		if docs != 1 {
			t.Errorf("%s: %d package comments, want 1", dir, docs)
		}
	}
}

func TestDirectoryNames(t *testing.T) {
	for dir := range goFiles(t) {
		for _, part := range strings.Split(dir, "/") {
			if slices.Contains(forbidden, part) {
				t.Errorf("%s: %q says nothing of what is in it", dir, part)
			}
		}
	}
}

type goFile struct {
	name string
	ast  *ast.File
}

func goFiles(t *testing.T) map[string][]goFile {
	t.Helper()
	out := map[string][]goFile{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "bin") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, src, parser.ImportsOnly|parser.ParseComments)
		if err == nil && !strings.HasSuffix(path, "_test.go") {
			f, err = parser.ParseFile(token.NewFileSet(), path, src, parser.ParseComments)
		}
		if err != nil {
			return err
		}
		out[filepath.Dir(path)] = append(out[filepath.Dir(path)], goFile{path, f})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
