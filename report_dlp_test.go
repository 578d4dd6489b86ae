package weir_test

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// reportRow is a line of the table in docs/dlp.md: what a pack of rules is measured by, and the names of the scores that say how it did.
type reportRow struct {
	pack, measured string
	found          string // of what must be found, how much is: recall
	right          string // of what is found, how much is right: precision; "" where quiet says it
	quiet          string // of what must not be found, how much is not
}

var reportRows = []reportRow{
	{"secrets", "single lines of the tests of gitleaks' rules", "secrets_builtin_gitleaks", "", "secrets_builtin_gitleaks_quiet"},
	{"secrets", "single lines of the tests of detect-secrets and Nosey Parker", "secrets_builtin_others", "", "secrets_builtin_others_quiet"},
	{"secrets", "whole files of the tests of secretlint", "secrets_documents", "", ""},
	{"cards", "single values: Presidio, validator.js", "pii_card", "pii_card_right", ""},
	{"cards", "sentences: presidio-research", "pii_sentences_card", "", ""},
	{"accounts", "IBANs: Presidio, validator.js", "pii_iban", "pii_iban_right", ""},
	{"accounts", "IBANs in sentences: presidio-research", "pii_sentences_iban", "", ""},
	{"accounts", "routing numbers, BICs, wallets, IMEIs: Presidio, validator.js", "pii_accounts", "pii_accounts_right", ""},
	{"national identifiers", "US social security numbers: Presidio", "pii_ssn", "pii_ssn_right", ""},
	{"national identifiers", "US social security numbers in sentences: presidio-research", "pii_sentences_ssn", "", ""},
	{"national identifiers", "those of some forty countries: Presidio, validator.js", "pii_ids", "pii_ids_right", ""},
	{"personal", "mail addresses: Presidio, validator.js", "pii_email", "pii_email_right", ""},
	{"personal", "mail addresses in sentences: presidio-research", "pii_sentences_email", "", ""},
	{"personal", "IP addresses: Presidio, validator.js", "pii_ip", "pii_ip_right", ""},
	{"personal", "telephone numbers: Presidio, validator.js", "pii_phone", "pii_phone_right", ""},
	{"all", "posted over HTTP, as it is", "dlp_wire_identity", "", "dlp_wire_quiet"},
	{"all", "posted over HTTP, chunked", "dlp_wire_chunked", "", ""},
	{"all", "posted over HTTP, gzip", "dlp_wire_gzip", "", ""},
	{"all", "posted over HTTP, gzip and chunked", "dlp_wire_gzip_chunked", "", ""},
}

// ours
const (
	reportFile  = "docs/dlp.md"
	reportBegin = "<!-- made by `make dlp-report`: begin -->\n"
	reportEnd   = "<!-- end -->\n"
	reportSlack = 1.0 // percent that a figure may differ from what is measured
)

// TestDLPReport holds the table in docs/dlp.md to what the tests before it have scored. With -update it writes the table.
func TestDLPReport(t *testing.T) {
	corpus(t)
	text, err := os.ReadFile(reportFile)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok1 := strings.Cut(string(text), reportBegin)
	old, after, ok2 := strings.Cut(rest, reportEnd)
	if !ok1 || !ok2 {
		t.Fatalf("%s: the marks around the table are missing", reportFile)
	}
	made, missing := report()
	if missing != "" {
		t.Skipf("CORPUS is not set for all of it: %s was not scored (make dlp-report)", missing)
	}
	if *update {
		if err := os.WriteFile(reportFile, []byte(before+reportBegin+made+reportEnd+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if what := reportDiffers(old, made); what != "" {
		t.Errorf("%s is not what is measured: %s (make dlp-report)", reportFile, what)
	}
}

// report makes the table; missing names a score that there is none of.
func report() (made, missing string) {
	var b strings.Builder
	b.WriteString("\n| rules | measured by | found | right | left alone |\n|---|---|---|---|---|\n")
	share := func(name string) string {
		s, ok := scored[name]
		switch {
		case name == "":
			return "-"
		case !ok:
			missing = name
			return "?"
		}
		return fmt.Sprintf("%.1f %% of %d", 100*float64(s.met)/float64(s.all), s.all)
	}
	for _, r := range reportRows {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", r.pack, r.measured, share(r.found), share(r.right), share(r.quiet))
	}
	noise, ok := scored["noise_high"]
	if !ok {
		return b.String(), "noise_high"
	}
	fmt.Fprintf(&b, "\nIn %d MB of noise: %d alerts of high confidence, %d of medium.\n\n", noise.all, noise.met, scored["noise_medium"].met)
	return b.String(), missing
}

var figure = regexp.MustCompile(`\d+(?:\.\d+)?`)

// reportDiffers says where two reports differ by more than the slack; "" if nowhere.
func reportDiffers(old, made string) string {
	a, b := strings.Split(old, "\n"), strings.Split(made, "\n")
	if len(a) != len(b) {
		return "other lines"
	}
	for i := range a {
		x, y := figure.FindAllString(a[i], -1), figure.FindAllString(b[i], -1)
		if figure.ReplaceAllString(a[i], "") != figure.ReplaceAllString(b[i], "") || len(x) != len(y) {
			return fmt.Sprintf("%q is %q", a[i], b[i])
		}
		for j := range x {
			u, _ := strconv.ParseFloat(x[j], 64)
			v, _ := strconv.ParseFloat(y[j], 64)
			if slack := max(reportSlack, v/50); u-v > slack || v-u > slack {
				return fmt.Sprintf("%q is %q", a[i], b[i])
			}
		}
	}
	return ""
}
