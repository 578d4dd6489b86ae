package weir_test

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/pcapgo"

	"weir/flow"
	"weir/wire"
)

// TestCommunityID scores the specification's vectors and the ids that others report for whole captures.
func TestConformanceCommunityID(t *testing.T) {
	dir := corpus(t)
	met, all := 0, 0
	for file, seed := range map[string]uint16{"baseline_deflt.json": 0, "baseline_seed1.json": 1} {
		var rows []struct {
			Proto        uint8
			Saddr, Daddr netip.Addr
			Sport, Dport uint16
			CommunityID  string
		}
		vectors(t, filepath.Join(dir, "community_id", file), &rows)
		for _, r := range rows {
			all++
			k := keyOf(r.Proto, r.Saddr, r.Daddr, r.Sport, r.Dport)
			if got := wire.CommunityID(&k, seed); got == r.CommunityID {
				met++
			} else {
				t.Logf("%s: %v: got %s", file, r, got)
			}
		}
	}
	m, a := capturesCommunityID(t, dir)
	score(t, "community_id", met+m, all+a)
}

// keyOf makes the key that Decode would make; ports of ICMP are mapped already.
func keyOf(proto uint8, src, dst netip.Addr, sport, dport uint16) wire.Key {
	k := wire.Key{A: src.As16(), B: dst.As16(), APort: sport, BPort: dport, Proto: proto}
	c := netip.AddrFrom16(k.A).Compare(netip.AddrFrom16(k.B))
	if c > 0 || c == 0 && sport > dport {
		k.A, k.B, k.APort, k.BPort = k.B, k.A, k.BPort, k.APort
	}
	return k
}

// capturesCommunityID counts the rows of expected_pcaps.csv whose id some packet of the capture has.
func capturesCommunityID(t *testing.T, dir string) (met, all int) {
	t.Helper()
	f, err := os.Open(filepath.Join(dir, "community_id/expected_pcaps.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]map[string]bool{}
	for _, r := range rows[1:] {
		path, id := r[0], r[6]
		if seen[path] == nil {
			seen[path] = communityIDs(t, filepath.Join(dir, path))
		}
		all++
		if seen[path][id] {
			met++
		} else {
			t.Logf("missing: %s", strings.Join(r, " "))
		}
	}
	return met, all
}

// communityIDs returns the ids of all packets of a capture.
func communityIDs(t *testing.T, path string) map[string]bool {
	t.Helper()
	ids := map[string]bool{}
	var d wire.Decoder
	var p wire.Packet
	defrag := flow.NewDefrag(1<<20, flow.Linux)
	captureFrames(t, path, func(f *wire.Frame) {
		r := d.Decode(f, &p)
		for r == wire.OK && p.Fragmented {
			whole, _ := defrag.Push(&p)
			if whole == nil {
				return
			}
			r = d.Resume(&p, whole)
		}
		if r == wire.OK {
			ids[wire.CommunityID(&p.Key, 0)] = true
		}
	})
	return ids
}

// TestIPFragments scores, per overlap policy, the bytes that a receiver keeps of overlapping fragments.
func TestConformanceIPFragments(t *testing.T) {
	dir := corpus(t)
	var cases []struct {
		Name, Policy, Expected string
		IPv                    int
		Fragments              [][4]any
	}
	vectors(t, filepath.Join(dir, "reassembly/ip_fragments.json"), &cases)
	policies := map[string]flow.Overlap{
		"linux": flow.Linux, "bsd": flow.BSD, "bsd_right": flow.BSDRight, "windows": flow.Windows,
		"solaris": flow.Solaris, "first": flow.First, "last": flow.Last,
	}
	met, all := map[string]int{}, map[string]int{}
	for _, c := range cases {
		policy, ok := policies[c.Policy]
		if !ok {
			t.Fatalf("unknown policy %q", c.Policy)
		}
		d := flow.NewDefrag(1<<20, policy)
		got := ""
		for _, v := range c.Fragments {
			p := wire.Packet{
				Frame: &wire.Frame{}, IP: uint8(c.IPv), Fragmented: true,
				Frag:    wire.Fragment{ID: 1, Off: int(v[0].(float64)), More: v[3].(float64) != 0},
				Payload: []byte(strings.Repeat(v[2].(string), int(v[1].(float64)))),
			}
			if whole, _ := d.Push(&p); whole != nil {
				got = string(whole)
			}
		}
		all[c.Policy]++
		if got == c.Expected {
			met[c.Policy]++
		} else {
			t.Logf("%s:\n got  %s\n want %s", c.Name, got, c.Expected)
		}
	}
	for _, policy := range slices.Sorted(maps.Keys(all)) {
		score(t, "ip_fragments_"+policy, met[policy], all[policy])
	}
}

// captureFrames calls fn for the frames of a capture file, up to the first error.
func captureFrames(t *testing.T, path string, fn func(*wire.Frame)) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var link uint16
	var next func() ([]byte, gopacket.CaptureInfo, error)
	if r, err := pcapgo.NewReader(file); err == nil {
		link, next = uint16(r.LinkType()), r.ReadPacketData
	} else {
		if _, err := file.Seek(0, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		r, err := pcapgo.NewNgReader(file, pcapgo.DefaultNgReaderOptions)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		link, next = uint16(r.LinkType()), r.ReadPacketData
	}
	for {
		data, info, err := next()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				t.Logf("%s: %v", path, err)
			}
			return
		}
		fn(&wire.Frame{Data: data, Time: info.Timestamp.UnixNano(), Len: uint32(info.Length), Link: wire.Link(link)})
	}
}

func vectors(t *testing.T, path string, v any) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, v); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}
