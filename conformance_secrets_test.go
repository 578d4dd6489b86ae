package weir_test

import (
	"slices"
	"strings"
	"testing"

	"weir/dlp"
	"weir/rules"
)

// secretCase is a text of secrets/cases.jsonl: one that Rule must find, or must not.
type secretCase struct {
	ID, Source, Rule, Text string
	Path                   string // of the file that it stands in; "" in none
	Secret                 bool
}

func secretCases(t *testing.T, of func(source string) bool) []secretCase {
	t.Helper()
	var out []secretCase
	eachJSON(t, corpus(t)+"/secrets/cases.jsonl", func(c secretCase) {
		if of(c.Source) {
			out = append(out, c)
		}
	})
	return out
}

// secretScanner compiles a rule file, or the built-in rules, and tells which rules a text raises.
func secretScanner(t *testing.T, file string) func(text, path string) []string {
	t.Helper()
	var files []string
	if file != "" {
		files = []string{file}
	}
	if file == "" {
		files = []string{rules.Wide}
	}
	set, problems := rules.Load(files, rules.Options{Builtin: file == ""})
	if set == nil {
		t.Fatal(problems)
	}
	db, err := dlp.Compile(set, dlp.Options{FingerprintKey: make([]byte, 32)})
	if err != nil {
		t.Fatal(err)
	}
	scan, err := db.NewScanner()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { scan.Free(); db.Close() })
	var hits []dlp.Hit
	return func(text, path string) (ids []string) {
		hits = scan.ScanBytes([]byte(text), scan.InFile(path, hits[:0]))
		for i := range hits {
			if !slices.Contains(ids, hits[i].Rule.ID) {
				ids = append(ids, hits[i].Rule.ID)
			}
		}
		return ids
	}
}

func isGitleaks(source string) bool { return strings.HasPrefix(source, "gitleaks/") }

// scoreSecrets scores what must be found, as name, and what must not, as name_quiet. Items that are wrong are named by id only.
func scoreSecrets(t *testing.T, name string, cases []secretCase, found func(c *secretCase) (bool, []string)) {
	t.Helper()
	var met, all [2]int
	for i := range cases {
		c := &cases[i]
		k := 0
		if !c.Secret {
			k = 1
		}
		all[k]++
		got, by := found(c)
		if got == c.Secret {
			met[k]++
			continue
		}
		t.Logf("%s: %s: found %v by %v", name, c.ID, got, by)
	}
	score(t, name, met[0], all[0])
	score(t, name+"_quiet", met[1], all[1])
}

// TestConformanceSecretsGitleaks: gitleaks' rules, loaded from its own file, find what its own tests say they find.
func TestConformanceSecretsGitleaks(t *testing.T) {
	scan := secretScanner(t, corpus(t)+"/secrets/gitleaks.toml")
	scoreSecrets(t, "secrets_gitleaks", secretCases(t, isGitleaks), func(c *secretCase) (bool, []string) {
		ids := scan(c.Text, c.Path)
		return slices.Contains(ids, c.Rule), ids
	})
}

// secretRules drops those that are not of the packs for secrets.
func secretRules(ids []string) []string {
	return slices.DeleteFunc(ids, func(id string) bool { return !strings.HasPrefix(id, "secret.") })
}

// TestConformanceSecretsBuiltin: the built-in rules find what others' do, in strings and in whole files, and are quiet where these are.
func TestConformanceSecretsBuiltin(t *testing.T) {
	scan := secretScanner(t, "")
	found := func(c *secretCase) (bool, []string) {
		ids := secretRules(scan(c.Text, c.Path))
		return len(ids) > 0, ids
	}
	// What one of gitleaks' rules must not find may well be what another one must.
	gitleaks := secretScanner(t, corpus(t)+"/secrets/gitleaks.toml")
	cases := slices.DeleteFunc(secretCases(t, isGitleaks), func(c secretCase) bool { return !c.Secret && len(gitleaks(c.Text, c.Path)) > 0 })
	scoreSecrets(t, "secrets_builtin_gitleaks", cases, found)
	others := secretCases(t, func(s string) bool { return !isGitleaks(s) })
	scoreSecrets(t, "secrets_builtin_others", others, found)
	scoreDocuments(t, scan)
}

// scoreDocuments scores whole files: those with secrets must raise something, those without nothing.
func scoreDocuments(t *testing.T, scan func(text, path string) []string) {
	t.Helper()
	met, all := 0, 0
	eachJSON(t, corpus(t)+"/secrets/documents.jsonl", func(d struct {
		ID       string
		Text     string
		Findings []struct{ Span [2]int }
	}) {
		ids := secretRules(scan(d.Text, ""))
		all++
		if (len(ids) > 0) == (len(d.Findings) > 0) {
			met++
		} else {
			t.Logf("%s: want %d findings, found by %v", d.ID, len(d.Findings), ids)
		}
	})
	score(t, "secrets_documents", met, all)
}
