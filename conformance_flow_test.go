package weir_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sort"
	"strings"
	"testing"

	"weir/capture"
	"weir/flow"
	"weir/wire"
)

// policies are the table's names of overlap policies.
var policies = map[string]flow.Overlap{
	"linux":     flow.Linux,
	"old_linux": flow.BSDRight,
	"bsd":       flow.BSD,
	"vista":     flow.First,
	"windows":   flow.Windows,
	"solaris":   flow.Solaris,
	"first":     flow.First,
	"last":      flow.Last,
}

// TestTCPOverlap plays segments that overlap with different bytes, and compares what is told with what each system
// keeps.
func TestConformanceTCPOverlap(t *testing.T) {
	dir := corpus(t)
	raw, err := os.ReadFile(dir + "/reassembly/tcp_overlap.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		PCAP, Name, Policy string
		Expected           [][2]any
	}
	if err := json.Unmarshal(raw, &cases); err != nil {
		t.Fatal(err)
	}
	met, all := map[string]int{}, map[string]int{}
	for _, c := range cases {
		policy, ok := policies[c.Policy]
		if !ok {
			t.Fatalf("%s: unknown policy %q", c.Name, c.Policy)
		}
		var want []string
		for _, run := range c.Expected {
			want = append(want, fmt.Sprintf("%v:%v", run[0], run[1]))
		}
		all[c.Policy]++
		if got := toServer(t, dir+"/"+c.PCAP, policy); got == strings.Join(want, " ") {
			met[c.Policy]++
		} else {
			t.Logf("%s: got %q, want %q", c.Name, got, want)
		}
	}
	var names []string
	for name := range all {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		score(t, "tcp_overlap_"+name, met[name], all[name])
	}
}

// toServer returns what is told of the client's direction of a file with one flow: runs of bytes, each after its
// offset.
func toServer(t *testing.T, file string, policy flow.Overlap) string {
	t.Helper()
	src, err := capture.OpenFile(file)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	var runs []string
	var at int
	tell := func(chunks []flow.Chunk) {
		for _, c := range chunks {
			if c.Dir != wire.ToServer {
				continue
			}
			at += c.Gap
			if len(c.Data) == 0 || c.Refused {
				continue
			}
			if c.Gap > 0 || len(runs) == 0 {
				runs = append(runs, fmt.Sprintf("%d:", at))
			}
			runs[len(runs)-1] += string(c.Data)
			at += len(c.Data)
		}
	}
	table := flow.New[struct{}](flow.DefaultLimits, policy, flow.ChecksumAuto)
	table.OnEnd(func(_ *flow.Flow[struct{}], last []flow.Chunk, _ flow.Reason) { tell(last) })
	var d wire.Decoder
	var p wire.Packet
	for {
		frames, err := src.Next()
		for i := range frames {
			if d.Decode(&frames[i], &p) == wire.OK {
				_, chunks := table.Push(&p)
				tell(chunks)
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	table.Close()
	return strings.Join(runs, " ")
}
