package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"weir": func() { os.Exit(run(os.Args[1:])) }})
}

// TestScripts runs testdata/script: each is a user's commands, and what they must print.
func TestScripts(t *testing.T) {
	cache := t.TempDir() // compiled patterns, for all of them
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("XDG_CACHE_HOME", cache)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"capture": writeCapture, "expand": expand, "listening": listening, "sliceid": sliceID,
		},
	})
}

// expand puts the values of environment variables into a file: expand FILE.
func expand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: expand FILE")
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(os.Expand(ts.ReadFile(args[0]), ts.Getenv)), 0o644))
}

// sliceID puts the id of the only slice in a folder into an environment variable: sliceid VARIABLE FOLDER.
func sliceID(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: sliceid VARIABLE FOLDER")
	}
	found, err := filepath.Glob(ts.MkAbs(args[1]) + "/*-*.pcapng")
	ts.Check(err)
	if len(found) != 1 {
		ts.Fatalf("%d slices in %s, want 1", len(found), args[1])
	}
	_, id, _ := strings.Cut(strings.TrimSuffix(filepath.Base(found[0]), ".pcapng"), "-")
	ts.Setenv(args[0], id)
}

// listening waits until something listens on a Unix socket: listening SOCKET.
func listening(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: listening SOCKET")
	}
	deadline := time.After(5 * time.Minute)
	for tick := time.NewTicker(20 * time.Millisecond); ; {
		c, err := net.Dial("unix", ts.MkAbs(args[0]))
		if err == nil {
			c.Close()
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			ts.Fatalf("%v", err)
		}
	}
}

// writeCapture writes a capture of one HTTP request: capture FILE PATH BODY.
func writeCapture(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: capture FILE PATH BODY")
	}
	f, err := os.Create(ts.MkAbs(args[0]))
	ts.Check(err)
	defer f.Close()
	w := pcapgo.NewWriter(f)
	ts.Check(w.WriteFileHeader(65536, layers.LinkTypeEthernet))
	request := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: shop.example\r\nContent-Length: %d\r\n\r\n%s", args[1], len(args[2]), args[2])
	answer := "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
	seq := [2]uint32{100, 500}
	at := time.Unix(1_700_000_000, 0)
	send := func(side int, data string, set func(*layers.TCP)) {
		ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolTCP, SrcIP: []byte{10, 0, 0, 1}, DstIP: []byte{10, 0, 0, 2}}
		tcp := &layers.TCP{SrcPort: 40000, DstPort: 80, Seq: seq[side], Ack: seq[1-side], ACK: true, Window: 60000}
		if side == 1 {
			ip.SrcIP, ip.DstIP, tcp.SrcPort, tcp.DstPort = ip.DstIP, ip.SrcIP, tcp.DstPort, tcp.SrcPort
		}
		if set != nil {
			set(tcp)
		}
		tcp.SetNetworkLayerForChecksum(ip)
		buf := gopacket.NewSerializeBuffer()
		ts.Check(gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true},
			&layers.Ethernet{SrcMAC: make([]byte, 6), DstMAC: make([]byte, 6), EthernetType: layers.EthernetTypeIPv4}, ip, tcp, gopacket.Payload(data)))
		ts.Check(w.WritePacket(gopacket.CaptureInfo{Timestamp: at, CaptureLength: len(buf.Bytes()), Length: len(buf.Bytes())}, buf.Bytes()))
		at = at.Add(time.Millisecond)
		seq[side] += uint32(len(data))
		if tcp.SYN || tcp.FIN {
			seq[side]++
		}
	}
	send(0, "", func(t *layers.TCP) { t.SYN, t.ACK = true, false })
	send(1, "", func(t *layers.TCP) { t.SYN = true })
	send(0, "", nil)
	send(0, request, nil)
	send(1, answer, nil)
	send(0, "", func(t *layers.TCP) { t.FIN = true })
	send(1, "", func(t *layers.TCP) { t.FIN = true })
	send(0, "", nil)
}
