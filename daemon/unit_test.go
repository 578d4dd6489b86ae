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

const unitFile = "../systemd/weir.service"

// systemd has to take the unit as it is, with nothing to say about it.
func TestUnitVerifies(t *testing.T) {
	tool, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not installed (apt-get install systemd)")
	}
	unit, err := os.ReadFile(unitFile)
	if err != nil {
		t.Fatal(err)
	}
	// The binary and the man pages are not installed where this is built.
	text := strings.ReplaceAll(string(unit), "/usr/bin/weir", "/bin/true")
	text = regexp.MustCompile(`(?m)^Documentation=.*\n`).ReplaceAllString(text, "")
	file := filepath.Join(t.TempDir(), "weir.service")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(tool, "verify", "--man=no", file).CombinedOutput()
	if err != nil || strings.Contains(string(out), "weir.service") {
		t.Errorf("verify: %v\n%s", err, out)
	}
}

func TestUnitExposure(t *testing.T) {
	tool, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not installed (apt-get install systemd)")
	}
	out, err := exec.Command(tool, "security", "--offline=true", "--no-pager", unitFile).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	m := regexp.MustCompile(`exposure level for \S+: ([0-9.]+)`).FindSubmatch(out)
	if m == nil {
		t.Fatalf("no exposure level in\n%s", out)
	}
	const limit = 4.0
	if got, _ := strconv.ParseFloat(string(m[1]), 64); got > limit {
		t.Errorf("exposure level: got %v, want at most %v", got, limit)
	}
}

// Each capability has to say what it is for.
func TestUnitExplainsCapabilities(t *testing.T) {
	b, err := os.ReadFile(unitFile)
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^CapabilityBoundingSet=(.*)$`).FindSubmatch(b)
	if m == nil {
		t.Fatal("no CapabilityBoundingSet")
	}
	for c := range strings.FieldsSeq(string(m[1])) {
		if !regexp.MustCompile(`(?m)^#   ` + c + ` +\S`).Match(b) {
			t.Errorf("%s: no word of what it is for", c)
		}
	}
}
