package daemon

import (
	"bytes"
	"errors"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/pcapstore"
)

func evidence() []Evidence {
	at := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	a, b := netip.MustParseAddrPort("10.0.0.1:40000"), netip.MustParseAddrPort("[2001:db8::1]:80")
	return NewEvidence([]pcapstore.Info{
		{ID: "00000000000000aa", Path: "/s/a", Size: 1 << 20, Complete: true, Pinned: true,
			Meta:    pcapstore.Meta{Rule: "pci.pan", Severity: "critical", Time: at.UnixNano(), Src: a, Dst: b, Proto: 6, AppProto: "http"},
			Closing: pcapstore.Closing{Packets: 12, Rules: []string{"pci.pan", "x", "y"}, Lost: 3, First: 1, Last: 2}},
		{ID: "00000000000000bb", Size: 2 << 20, Meta: pcapstore.Meta{Rule: "evil\x1b[2J", Time: at.Add(time.Hour).UnixNano(), Proto: 17}},
	})
}

func TestEvidenceTables(t *testing.T) {
	var b bytes.Buffer
	if err := WriteEvidence(&b, evidence()); err != nil {
		t.Fatal(err)
	}
	got := strings.Fields(b.String())
	want := strings.Fields(`ID TIME (UTC) SEVERITY RULE SOURCE → DESTINATION PROTOCOL PACKETS BYTES STATE
		00000000000000aa 2026-01-31 12:00:00 critical pci.pan +2 10.0.0.1:40000 → [2001:db8::1]:80 http 12 1MiB pinned
		00000000000000bb 2026-01-31 13:00:00 evil?[2J - → - udp ? 2MiB`)
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("got\n%s", b.String())
	}
	b.Reset()
	s := NewEvidenceStats("/s", evidence(), 3<<20, 4<<20)
	if err := s.WriteTable(&b, time.Date(2026, 1, 31, 14, 0, 0, 0, time.UTC)); err != nil {
		t.Fatal(err)
	}
	want = strings.Fields(`Folder /s
		Slices 2, 1 of them pinned
		Bytes 3MiB of 4MiB ███████████████
		Packets 12; lost by the capture 3, kept out by a limit 0
		Oldest 2026-01-31 12:00:00 UTC, 2h0m ago
		Newest 2026-01-31 13:00:00 UTC, 1h0m ago
		RULE SLICES BYTES
		evil?[2J 1 2MiB ████████████████████
		pci.pan 1 1MiB ██████████`)
	if got := strings.Fields(b.String()); strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("got\n%s", b.String())
	}
}

func TestParseQueryProposes(t *testing.T) {
	for text, want := range map[string]string{
		"prot 80":         `query: column 1: "prot" stands where a condition .*(did you mean port?)`,
		"tcp adn udp":     `query: column 5: "adn" stands where and, or or the end is expected (did you mean and?)`,
		"host 10.0.0.257": `query: column 6: "10.0.0.257" stands where an address, as 10.1.2.3 or 2001:db8::1 is expected (see: weir pcap --help)`,
	} {
		_, err := ParseQuery(text, time.Now())
		before, after, _ := strings.Cut(want, ".*")
		if err == nil || !strings.HasPrefix(err.Error(), before) || !strings.HasSuffix(err.Error(), after) {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
	if q, err := ParseQuery("tcp", time.Now()); err != nil || q.String() != "tcp" {
		t.Errorf("got %v, %v", q, err)
	}
}

func TestWriteCaptureIsWholeOrNot(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "out.pcapng")
	fill := func(text string, err error) func(io.Writer) error {
		return func(w io.Writer) error {
			io.WriteString(w, text)
			return err
		}
	}
	refused := errors.New("refused")
	if err := WriteCapture(path, fill("half", refused)); !errors.Is(err, refused) {
		t.Errorf("got %v", err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	if err := os.WriteFile(path, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := WriteCapture(path, fill("half", refused)); !errors.Is(err, refused) {
		t.Errorf("got %v", err)
	}
	if b, _ := os.ReadFile(path); string(b) != "old" {
		t.Errorf("what stood there is now %q", b)
	}
	if err := WriteCapture(path, fill("new", nil)); err != nil {
		t.Error(err)
	}
	st, err := os.Stat(path)
	if b, _ := os.ReadFile(path); err != nil || string(b) != "new" || st.Mode() != 0o600 {
		t.Errorf("got %q, %v, %v", b, st.Mode(), err)
	}
	if err := WriteCapture("/dev/null", fill("x", nil)); err != nil {
		t.Error(err)
	}
	if err := WriteCapture(filepath.Join(dir, "none", "out"), fill("x", nil)); err == nil || strings.Contains(err.Error(), ".part") {
		t.Errorf("no folder: got %v", err)
	}
	if err := WriteCapture(dir, fill("x", nil)); err == nil || !strings.Contains(err.Error(), "is a folder") {
		t.Errorf("a folder: got %v", err)
	}
}
