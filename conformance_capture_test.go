package weir_test

import (
	"encoding/csv"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"weir/capture"
)

// maxFileTime is how long one small file may take before it counts as a hang.
const maxFileTime = 10 * time.Second

// TestPcapFormat reads pcapng files in both byte orders with all kinds of blocks: the number of packets is exact.
func TestConformancePcapFormat(t *testing.T) {
	countPackets(t, "pcap_format", "pcap_format/expected.csv", "file", "packets")
}

// TestMalformedPackets reads fuzzers' finds and odd link types: as many packets as Wireshark reads, where it says.
func TestConformanceMalformedPackets(t *testing.T) {
	countPackets(t, "malformed_packets", "malformed/expected.csv", "pcap", "packets_wireshark")
}

func countPackets(t *testing.T, table, list, file, packets string) {
	dir := corpus(t)
	met, all := 0, 0
	for _, row := range readTable(t, filepath.Join(dir, list)) {
		start := time.Now()
		got, err := packetsIn(filepath.Join(dir, row[file]))
		if d := time.Since(start); d > maxFileTime {
			t.Errorf("%s: took %v", row[file], d)
		}
		if row[packets] == "" {
			continue
		}
		want, errWant := strconv.Atoi(row[packets])
		if errWant != nil {
			t.Fatalf("%s: %s is %q", row[file], packets, row[packets])
		}
		all++
		if got == want {
			met++
		} else {
			t.Logf("%s: got %d packets, want %d: %v", row[file], got, want, err)
		}
	}
	score(t, table, met, all)
}

// packetsIn counts the packets of a capture file; the error tells why there were no more.
func packetsIn(path string) (int, error) {
	f, err := capture.OpenFile(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for n := 0; ; {
		frames, err := f.Next()
		n += len(frames)
		if errors.Is(err, io.EOF) {
			return n, f.Warning()
		}
		if err != nil {
			return n, err
		}
	}
}

// readTable reads a CSV file with a head line into one map per row.
func readTable(t *testing.T, path string) []map[string]string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	var rows []map[string]string
	for _, line := range lines[1:] {
		row := map[string]string{}
		for i, name := range lines[0] {
			row[name] = line[i]
		}
		rows = append(rows, row)
	}
	return rows
}
