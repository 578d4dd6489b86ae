package daemon

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

const (
	unitFile   = "../systemd/weir.service"
	brokerFile = "../systemd/weir-broker.service"
)

// systemd has to take the units as they are, with nothing to say about them.
func TestUnitVerifies(t *testing.T) {
	tool, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not installed (apt-get install systemd)")
	}
	dir := t.TempDir()
	args := []string{"verify", "--man=no"}
	for _, name := range []string{unitFile, brokerFile, "../systemd/weir-broker.socket"} {
		unit, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		// The binary and the man pages are not installed where this is built.
		text := strings.ReplaceAll(string(unit), "/usr/bin/weir", "/bin/true")
		text = regexp.MustCompile(`(?m)^Documentation=.*\n`).ReplaceAllString(text, "")
		file := filepath.Join(dir, filepath.Base(name))
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		args = append(args, file)
	}
	out, err := exec.Command(tool, args...).CombinedOutput()
	if err != nil || strings.Contains(string(out), "weir") {
		t.Errorf("verify: %v\n%s", err, out)
	}
}

func TestUnitExposure(t *testing.T) {
	tool, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not installed (apt-get install systemd)")
	}
	for _, unit := range []string{unitFile, brokerFile} {
		out, err := exec.Command(tool, "security", "--offline=true", "--no-pager", unit).CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		m := regexp.MustCompile(`exposure level for \S+: ([0-9.]+)`).FindSubmatch(out)
		if m == nil {
			t.Fatalf("no exposure level in\n%s", out)
		}
		const limit = 4.0
		if got, _ := strconv.ParseFloat(string(m[1]), 64); got > limit {
			t.Errorf("%s: exposure level: got %v, want at most %v", unit, got, limit)
		}
	}
}

// Each capability has to say what it is for.
func TestUnitExplainsCapabilities(t *testing.T) {
	for _, unit := range []string{unitFile, brokerFile} {
		b, err := os.ReadFile(unit)
		if err != nil {
			t.Fatal(err)
		}
		m := regexp.MustCompile(`(?m)^CapabilityBoundingSet=(.*)$`).FindSubmatch(b)
		if m == nil {
			t.Fatalf("%s: no CapabilityBoundingSet", unit)
		}
		for c := range strings.FieldsSeq(string(m[1])) {
			if !regexp.MustCompile(`(?m)^#   ` + c + ` +\S`).Match(b) {
				t.Errorf("%s: %s: no word of what it is for", unit, c)
			}
		}
	}
}
