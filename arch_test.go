package weir_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"weir/dissect"
	"weir/dlp"
	"weir/rules"
)

// imports is the design as a table: which of Weir's own packages each may import. Do not change it to
// mend a build; change the design first.
var imports = map[string][]string{
	"wire":      {},
	"budget":    {},
	"broker":    {},
	"workload":  {},
	"capture":   {"wire"},
	"flow":      {"wire", "budget"},
	"dissect":   {"wire", "budget"},
	"content":   {"wire", "budget", "dissect"},
	"edm":       {},
	"rules":     {},
	"policy":    {"rules"},
	"translate": {"rules", "policy"},
	"dlp":       {"wire", "dissect", "rules", "edm"},
	"tunnel":    {"wire", "dissect"},
	"pcapstore": {"wire", "budget", "capture"},
	"alert":     {},
	"scan":      {"dissect", "content", "rules", "dlp", "alert"},
	"engine":    {"wire", "budget", "workload", "capture", "flow", "dissect", "content", "rules", "dlp", "tunnel", "policy", "pcapstore", "alert"},
	"enforce":   {"wire", "broker", "engine"},
	"redact":    {"wire", "flow", "dissect", "rules", "dlp", "pcapstore", "engine"},
	"daemon":    {"wire", "budget", "workload", "capture", "flow", "dissect", "content", "rules", "policy", "dlp", "edm", "pcapstore", "alert", "engine", "redact", "enforce", "broker"},
	"doctor":    {"workload", "capture", "rules", "policy", "broker", "daemon"},
	"cmd/weir":  {"broker", "flow", "rules", "policy", "edm", "translate", "pcapstore", "alert", "scan", "daemon", "doctor"},
}

// only names imports that one package alone may have, and why.
var only = map[string]struct {
	in  []string // none: tests alone
	why string
}{
	"unsafe":                              {[]string{"capture", "dlp", "content", "enforce"}, "rings are mapped memory; two cross to C; a queue's system calls are made past the scheduler"},
	"C":                                   {[]string{"dlp", "content"}, "Hyperscan, and what goes through every byte with vector instructions"},
	"github.com/flier/gohs":               {[]string{"dlp"}, "patterns are compiled and matched in one place"},
	"github.com/mdlayher/packet":          {nil, "tests send with it"},
	"github.com/vishvananda/netlink":      {[]string{"workload"}, "links are watched in one place"},
	"github.com/vishvananda/netns":        {nil, "threads change namespace in broker alone; tests make some"},
	"github.com/prometheus/client_golang": {[]string{"daemon"}, "metrics are counted on the way and named in one place"},
	"github.com/coreos/go-systemd":        {[]string{"daemon"}, "systemd is told in one place"},
	"github.com/spf13/cobra":              {[]string{"cmd/weir"}, "commands are thin and live in one place"},
	"github.com/BurntSushi/toml":          {[]string{"rules"}, "one reader of TOML, so that all files have the same errors"},
	"go.yaml.in/yaml":                     {[]string{"translate"}, "Weir's own files are TOML"},
	"github.com/google/gopacket":          {nil, "tests compare with it"},
	"golang.org/x/tools":                  {nil, "tests read their cases with it"},
	"net/http":                            {[]string{"daemon", "workload"}, "the wire's HTTP is no client's or server's; runtimes and commands speak it"},
	"google.golang.org/protobuf":          {[]string{"workload"}, "runtimes answer in it; what is on the wire is read by cursors"},
	"log/slog":                            {[]string{"daemon", "cmd/weir"}, "packages return errors, the daemon logs"},
	"os/exec":                             {nil, "Weir starts no programs"},
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

// TestTables looks for names that stand twice in a table: the later entry would never be found.
func TestTables(t *testing.T) {
	var protocols []string
	for _, p := range dissect.Protocols {
		protocols = append(protocols, fmt.Sprintf("%s over carrier %d, probe %x", p.Name, p.Carrier, reflect.ValueOf(p.Probe).Pointer()))
		var fields []string
		for _, f := range p.Fields {
			fields = append(fields, f.Name)
		}
		if p.New != nil || len(fields) > 0 {
			unique(t, "fields of "+p.Name, fields)
		}
	}
	unique(t, "protocols", protocols)
	unique(t, "validators", dlp.Validators())
	unique(t, "masks", dlp.Masks())
	set, problems := rules.Load(nil, rules.Options{Builtin: true})
	if len(problems) > 0 { // of two rules with one id the later wins, with a warning
		t.Fatal(problems)
	}
	var ids []string
	for _, r := range set.Rules {
		ids = append(ids, fmt.Sprint("signature_id ", r.SID))
	}
	unique(t, "rules", ids)
}

func unique(t *testing.T, table string, names []string) {
	t.Helper()
	if len(names) == 0 {
		t.Errorf("%s: the table is empty", table)
	}
	seen := map[string]bool{}
	for _, n := range names {
		if n == "" || seen[n] {
			t.Errorf("%s: %q stands there twice, or is no name", table, n)
		}
		seen[n] = true
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
