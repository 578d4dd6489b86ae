package weir_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"weir/alert"
	"weir/daemon"
)

// docRows returns the rows of all tables in a document whose first cell is names in backquotes: the other cells by name.
func docRows(t *testing.T, file string) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string][]string{}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "| `") {
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cells[0], -1) {
			rows[m[1]] = cells[1:]
		}
	}
	return rows
}

// TestDocsConfiguration holds docs/configuration.md to the keys of weir.toml and their defaults.
func TestDocsConfiguration(t *testing.T) {
	rows := docRows(t, "docs/configuration.md")
	conf := reflect.ValueOf(daemon.DefaultConfig()).Elem()
	for i := range conf.NumField() {
		table := conf.Type().Field(i).Tag.Get("toml")
		if table == "-" {
			continue
		}
		for j := range conf.Field(i).NumField() {
			key := table + "." + conf.Field(i).Type().Field(j).Tag.Get("toml")
			want := "`" + tomlOf(conf.Field(i).Field(j).Interface()) + "`"
			if row := rows[key]; len(row) != 2 || row[0] != want || row[1] == "" {
				t.Errorf("docs/configuration.md: %s: got %q, want the default %s and what it says", key, row, want)
			}
			delete(rows, key)
		}
	}
	for key := range rows {
		t.Errorf("docs/configuration.md: there is no key %s", key)
	}
}

func tomlOf(v any) string {
	switch v := v.(type) {
	case []string:
		quoted := make([]string, len(v))
		for i := range v {
			quoted[i] = strconv.Quote(v[i])
		}
		return "[" + strings.Join(quoted, ", ") + "]"
	case string, fmt.Stringer:
		return strconv.Quote(fmt.Sprint(v))
	}
	return fmt.Sprint(v)
}

// TestDocsAnomalies holds docs/events.md to the codes in the source of what tells anomalies.
func TestDocsAnomalies(t *testing.T) {
	rows := docRows(t, "docs/events.md")
	protocols := docRows(t, "docs/protocols.md")
	code := regexp.MustCompile(`"(protocol|stream|fragment|decode|evidence|engine|content|dlp|capture|output|enforce)\.[a-z_]+"`)
	ofProtocol := regexp.MustCompile(`\.Name\s*\+\s*"(\.[a-z_]+)"`)
	seen := map[string]bool{}
	for _, dir := range []string{"engine", "content", "dlp", "daemon", "alert", "enforce"} {
		files, _ := filepath.Glob(dir + "/*.go")
		for _, name := range files {
			src, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasSuffix(name, "_test.go") || name == "daemon/config.go" { // keys of weir.toml look alike
				continue
			}
			for _, m := range code.FindAllString(string(src), -1) {
				c := strings.Trim(m, `"`)
				seen[c] = true
				if row := rows[c]; len(row) != 2 || row[0] == "" || row[1] == "" {
					t.Errorf("docs/events.md: no row for %s: | `%[1]s` | what was seen | what to make of it |", c)
				}
			}
			for _, m := range ofProtocol.FindAllStringSubmatch(string(src), -1) {
				if protocols["PROTOCOL"+m[1]] == nil {
					t.Errorf("docs/protocols.md: no row for PROTOCOL%s", m[1])
				}
			}
		}
	}
	for name, row := range rows {
		if code.MatchString(strconv.Quote(name)) && len(row) == 2 && !seen[name] {
			t.Errorf("docs/events.md: there is no %s any more", name)
		}
	}
}

// TestDocsEvents holds docs/events.md to what AppendEVE writes of an event that has everything.
func TestDocsEvents(t *testing.T) {
	rows := docRows(t, "docs/events.md")
	ev := &alert.Event{}
	fill(reflect.ValueOf(ev).Elem())
	end := netip.MustParseAddrPort("10.0.0.1:80")
	ev.Src, ev.Dst, ev.App, ev.Stats = end, end, nil, (&daemon.Snapshot{}).Stats()
	for _, ev.Proto = range []uint8{6, 1} {
		line, err := alert.AppendEVE(nil, ev)
		if err != nil {
			t.Fatal(err)
		}
		var v map[string]any
		d := json.NewDecoder(bytes.NewReader(line))
		if err := d.Decode(&v); err != nil {
			t.Fatal(err)
		}
		documented(t, rows, "", v)
	}
}

// fill sets everything in v to something that is not empty.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				fill(v.Field(i))
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(255)
	case reflect.Int, reflect.Int64:
		v.SetInt(1)
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key)
		fill(value)
		v.SetMapIndex(key, value)
	}
}

// documented checks each member of an event, the members of objects that are a row of their own excepted.
func documented(t *testing.T, rows map[string][]string, path string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for k, m := range v {
			p := strings.TrimPrefix(path+"."+k, ".")
			p = strings.TrimPrefix(p, "stats.") // a table of its own
			if len(rows[p]) == 1 && rows[p][0] != "" {
				continue
			}
			if _, ok := m.(map[string]any); ok {
				documented(t, rows, p, m)
			} else if list, ok := m.([]any); ok && len(list) > 0 {
				documented(t, rows, p+"[]", list[0])
			} else {
				t.Errorf("docs/events.md: no row for %s", p)
			}
		}
	default:
		t.Errorf("docs/events.md: no row for %s", path)
	}
}

// TestDocsLinks: what a document names is there; and DESIGN.md is read to its end only if it is short.
func TestDocsLinks(t *testing.T) {
	files, _ := filepath.Glob("*.md")
	more, _ := filepath.Glob("docs/*.md")
	for _, file := range append(files, more...) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`\]\(([^)#]+)[^)]*\)`).FindAllStringSubmatch(string(text), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(file), m[1])); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
		const page = 60 // lines
		if n := bytes.Count(text, []byte("\n")); file == "DESIGN.md" && n > 4*page {
			t.Errorf("%s: %d lines, at most 4 pages of %d are wanted", file, n, page)
		}
	}
}

// TestDocsExamples: the examples of rules and of weir.toml in the documents are right.
func TestDocsExamples(t *testing.T) {
	rule := filepath.Join(t.TempDir(), "rule.toml")
	writeExample(t, rule, "docs/rules.md", "[[rules]]")
	set, problems := daemon.LoadRules([]string{rule}, false)
	if len(problems) > 0 {
		t.Fatalf("docs/rules.md: %v", problems)
	}
	result, err := daemon.TestRules(set)
	if err != nil || len(result.Failures) > 0 || result.Examples == 0 {
		t.Errorf("docs/rules.md: got %+v, %v", result, err)
	}
	conf := filepath.Join(t.TempDir(), "weir.toml")
	writeExample(t, conf, "docs/configuration.md", "[capture]")
	if _, problems := daemon.LoadConfig(conf, true); len(problems) > 0 {
		t.Errorf("docs/configuration.md: %v", problems)
	}
}

// writeExample writes the code of a document, from the line begin up to a prompt or the end of the code, to a file.
func writeExample(t *testing.T, out, doc, begin string) {
	t.Helper()
	text, err := os.ReadFile(doc)
	if err != nil {
		t.Fatal(err)
	}
	_, code, _ := strings.Cut(string(text), "\n    "+begin)
	b := begin
	for line := range strings.Lines(code) {
		if line != "\n" && b != begin && !strings.HasPrefix(line, "    ") || strings.HasPrefix(line, "    $") {
			break
		}
		b += strings.TrimPrefix(line, "    ")
	}
	if err := os.WriteFile(out, []byte(b), 0o600); err != nil {
		t.Fatal(err)
	}
}
