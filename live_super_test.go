package weir_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"testing"

	"weir/capture"
	"weir/wire"
)

// TestLiveSuperPackets sends tokens in the middle of super-packets, those of 64 KiB and those of BIG TCP, between two workloads: all are found, and
// the packets kept are as large as they were.
func TestLiveSuperPackets(t *testing.T) {
	needs(t, "ip")
	bin := buildWeir(t)
	for _, c := range []struct {
		name, server string
		size         int // bytes that a frame may have
		atLeast      int // bytes of the largest frame
	}{
		{"64 KiB", "10.98.0.2:9000", 65536, 60_000},
		{"BIG TCP", "[fd98::2]:9000", 196_608, 100_000},
	} {
		t.Run(c.name, func(t *testing.T) {
			host, loads := bridged(t, 2)
			for _, l := range [][2]string{{host, "veth0"}, {host, "veth1"}, {host, "br0"}, {loads[0], "eth0"}, {loads[1], "eth0"}} {
				command(t, "ip", "-n", l[0], "link", "set", "dev", l[1], "gso_max_size", fmt.Sprint(c.size), "gro_max_size", fmt.Sprint(c.size))
			}
			d := startDaemon(t, bin, host, liveRules(t))
			const tokens = 24
			sendBulk(t, loads, c.server, tokens)
			largest := 0
			until(t, "the slice", func() bool {
				largest = max(largest, largestPacket(t, d.dir))
				return largest >= c.atLeast
			})
			var found, gaps int
			eve := d.stop()
			for line := range bytes.Lines(eve) {
				var ev struct {
					Type string `json:"event_type"`
					Weir struct {
						Counts      map[string]int
						Gaps        int
						Uninspected any
					}
				}
				if err := json.Unmarshal(line, &ev); err != nil {
					t.Fatal(err)
				}
				if ev.Type == "flow" {
					found += ev.Weir.Counts["test.token"]
					gaps += ev.Weir.Gaps
					if ev.Weir.Uninspected != nil {
						t.Errorf("not inspected: %v", ev.Weir.Uninspected)
					}
				}
			}
			if found != tokens || gaps > 0 {
				t.Errorf("%d tokens found, want %d; %d bytes lost\n%s", found, tokens, gaps, eve)
			}
			t.Logf("the largest frame has %d bytes", largest)
		})
	}
}

// sendBulk sends noise with tokens in it, one in each 256 KiB, from one workload to another: with 24 of them less than a ring holds, so that none is lost while others
// have the processors.
func sendBulk(t *testing.T, loads []string, addr string, tokens int) {
	t.Helper()
	read := make(chan int64, 1)
	inside(t, loads[1], func() error {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			return err
		}
		go func() {
			defer l.Close()
			c, err := l.Accept()
			if err != nil {
				read <- 0
				return
			}
			defer c.Close()
			n, _ := io.Copy(io.Discard, c)
			read <- n
		}()
		return nil
	})
	r := rand.New(rand.NewPCG(1, 6))
	piece := make([]byte, 256<<10)
	inside(t, loads[0], func() error {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			return err
		}
		defer c.Close()
		for i := range tokens {
			for k := range piece {
				piece[k] = byte(r.Uint32())
			}
			copy(piece[r.IntN(len(piece)-40):], fmt.Sprintf(" WEIRTOKEN-%06x ", i))
			if _, err := c.Write(piece); err != nil {
				return err
			}
		}
		return nil
	})
	if n := <-read; n != int64(tokens*len(piece)) {
		t.Fatalf("%d bytes arrived, %d were sent", n, tokens*len(piece))
	}
}

// largestPacket returns the bytes on the wire of the largest packet in finished slices.
func largestPacket(t *testing.T, dir string) (n int) {
	files, _ := filepath.Glob(filepath.Join(dir, "state/pcap/*.pcapng"))
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		eachFrame(t, f, func(f *wire.Frame) { n = max(n, int(f.Len)) })
		f.Close()
	}
	return n
}

func eachFrame(t *testing.T, r io.Reader, do func(*wire.Frame)) {
	src, err := capture.NewFile(r, "slice")
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	for {
		frames, err := src.Next()
		for i := range frames {
			do(&frames[i])
		}
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
