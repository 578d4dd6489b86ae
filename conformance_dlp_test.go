package weir_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"weir/alert"
	"weir/dlp"
	"weir/flow"
	"weir/rules"
)

// wireKinds are the beginnings of the ids of the built-in rules that stand for what dlp_wire calls personal data.
var wireKinds = map[string][]string{
	"CREDIT_CARD": {"pci."},
	"IBAN_CODE":   {"banking.iban"},
	"US_SSN":      {"pii.us_ssn"},
	"ip_public":   {"pii.ip"}, // another tool's rule for secrets has it, but it is somebody's address, or nothing
	"none":        {"pci.", "banking.iban", "pii.us_ssn"},
}

// wireRow is what one client of dlp_wire sent, and the rules that raised an alert for it.
type wireRow struct {
	id, source, rule, encoding string
	must                       bool
	raised                     []string
}

// wireRows replays dlp_wire with gitleaks' own rules and those built in.
func wireRows(t testing.TB, dir string) (rows []wireRow) {
	t.Helper()
	set, problems := rules.Load([]string{rules.Wide, dir + "/secrets/gitleaks.toml"}, rules.Options{Builtin: true})
	if problems.Failed() {
		t.Fatal(problems.Err())
	}
	db, err := dlp.Compile(set, dlp.Options{FingerprintKey: make([]byte, 32)})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	raised := map[string][]string{} // by client
	stack := replayFile(t, dir+"/dlp_wire/wire.pcap", db, flow.ChecksumAuto, []string{"alert"}, func(ev *alert.Event) {
		for _, end := range []string{ev.Src.String(), ev.Dst.String()} {
			raised[end] = append(raised[end], ev.Weir.Rule)
		}
	})
	if stack != "" {
		t.Fatalf("panic: %s", stack)
	}
	for _, row := range table(t, dir+"/dlp_wire/expected.csv") {
		rows = append(rows, wireRow{
			id: row["case_id"], source: strings.SplitN(row["case_id"], ":", 2)[0], rule: row["rule_or_entity"], encoding: row["body_encoding"],
			must: row["must_detect"] == "1", raised: raised[row["client"]],
		})
	}
	return rows
}

// found reports whether what the row names was found: gitleaks' rule of that name, a built-in rule for that kind of personal data, or for what
// another tool finds any rule for secrets. What must not be found by that tool's rule may well be another rule's secret: where gitleaks' rules say
// so, ours may.
func (w *wireRow) found() bool {
	if w.source == "gitleaks" {
		return slices.Contains(w.raised, w.rule)
	}
	kinds, personal := wireKinds[w.rule]
	if personal {
		return slices.ContainsFunc(w.raised, func(id string) bool {
			return slices.ContainsFunc(kinds, func(k string) bool { return strings.HasPrefix(id, k) })
		})
	}
	theirs := slices.ContainsFunc(w.raised, func(id string) bool { return !strings.Contains(id, ".") })
	ours := slices.ContainsFunc(w.raised, func(id string) bool { return strings.HasPrefix(id, "secret.") })
	if w.must {
		return ours || theirs
	}
	return ours && !theirs
}

// TestConformanceDLPWire: what was posted over HTTP is found in every encoding of the body, however it was cut, and what only looks like it
// is not.
func TestConformanceDLPWire(t *testing.T) {
	dir := corpus(t)
	met, all := map[string]int{}, map[string]int{} // by encoding
	quiet, quietAll := 0, 0
	for _, w := range wireRows(t, dir) {
		found := w.found()
		if found != w.must {
			t.Logf("found %v: %s as %s in %s, raised %v", found, w.id, w.rule, w.encoding, w.raised)
		}
		if !w.must {
			quietAll++
			if !found {
				quiet++
			}
			continue
		}
		all[w.encoding]++
		if found {
			met[w.encoding]++
		}
	}
	for _, encoding := range slices.Sorted(maps.Keys(all)) {
		score(t, "dlp_wire_"+strings.ReplaceAll(encoding, "+", "_"), met[encoding], all[encoding])
	}
	score(t, "dlp_wire_quiet", quiet, quietAll)
}
