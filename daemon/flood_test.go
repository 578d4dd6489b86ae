package daemon

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"weir/engine"
	"weir/wire"
)

// floods are what somebody may send so that Weir takes more memory than it may: one for each thing that flows can make it keep.
var floods = []struct {
	name string
	n    uint32 // times that send is called, with numbers from 0 on
	send func(s *site, n uint32)
	told func(c *engine.Counters) uint64 // what must have been given up, and counted
}{
	{"half-open connections", 10_000_000, func(s *site, n uint32) {
		s.tcp(client(n, 80), wire.ToServer, syn, "")
	}, evicted},
	{"datagrams", 500_000, func(s *site, n uint32) {
		s.udp(client(n, 9000), wire.ToServer, "some bytes that nobody understands")
	}, evicted},
	{"connections picked up midway", 500_000, func(s *site, n uint32) {
		s.tcp(client(n, 9000), wire.ToServer, psh|ack, "x")
	}, evicted},
	{"segments behind holes", 50_000, func(s *site, n uint32) {
		k := client(n, 9000)
		s.shake(k)
		k.seq[0] += 1000
		s.tcp(k, wire.ToServer, psh|ack, strings.Repeat("behind a hole ", 100))
	}, func(c *engine.Counters) uint64 { return c.Flow.Gaps }},
	{"heads that do not end", 50_000, func(s *site, n uint32) {
		k := client(n, 80)
		s.shake(k)
		s.tcp(k, wire.ToServer, psh|ack, "GET / HTTP/1.1\r\nHost: a\r\nX-A: "+strings.Repeat("a", 1000))
	}, givenUp},
	{"compressed bodies that do not end", 5_000, func(s *site, n uint32) {
		k := client(n, 80)
		s.shake(k)
		s.tcp(k, wire.ToServer, psh|ack, "POST / HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\nContent-Length: 1000000\r\n\r\n"+gzipped)
	}, givenUp},
	{"open matches", 50_000, func(s *site, n uint32) {
		k := client(n, 9000)
		s.shake(k)
		s.tcp(k, wire.ToServer, psh|ack, "\x00\x01nobody knows"+strings.Repeat(" 4", 400))
		s.tcp(k, wire.ToClient, psh|ack, "\x00\x01nobody knows"+strings.Repeat(" 4", 400))
	}, givenUp},
	{"HTTP/2 streams", 2_000, func(s *site, n uint32) {
		k := client(n, 80)
		s.shake(k)
		s.tcp(k, wire.ToServer, psh|ack, http2Streams)
	}, givenUp},
	{"requests without answers", 50_000, func(s *site, n uint32) {
		k := client(n, 80)
		s.shake(k)
		for range 5 {
			s.tcp(k, wire.ToServer, psh|ack, "GET /"+strings.Repeat("a", 200)+" HTTP/1.1\r\nHost: a\r\n\r\n")
		}
	}, givenUp},
	{"fragments", 100_000, func(s *site, n uint32) {
		s.fragment(client(n, 80), uint16(n), 1200)
	}, func(c *engine.Counters) uint64 { return c.Defrag.Dropped }},
}

func evicted(c *engine.Counters) uint64 { return c.Flow.Evicted }
func givenUp(c *engine.Counters) uint64 { return c.GivenUp }

var gzipped = func() string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	fmt.Fprint(w, strings.Repeat("some text to be compressed, quite a lot of it\n", 500))
	w.Flush()
	return b.String()
}()

// http2Streams begins a connection and opens a hundred streams whose bodies never end.
var http2Streams = func() string {
	var b strings.Builder
	b.WriteString("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
	for i := range 60 {
		head, data := "\x83\x84\x86\x41\x01a", `{"a":"b`
		b.WriteString("\x00\x00" + string(rune(len(head))) + "\x01\x04\x00\x00\x00" + string(rune(2*i+1)) + head)
		b.WriteString("\x00\x00" + string(rune(len(data))) + "\x00\x00\x00\x00\x00" + string(rune(2*i+1)) + data)
	}
	return b.String()
}()

const (
	floodMemory = 256 << 20
	floodRings  = 64 << 20
	floodToken  = "FLOODTOKEN-0123456789"
)

// TestFloods: whatever comes, memory stays within a small budget, what is given up is counted and told, and a connection that was there
// before is inspected all the while. With WEIR_FLOOD=10 ten times as much comes.
func TestFloods(t *testing.T) {
	if testing.Short() {
		t.Skip("takes time")
	}
	times, err := strconv.Atoi(os.Getenv("WEIR_FLOOD"))
	if err != nil {
		times = 1
	}
	for _, f := range floods {
		t.Run(strings.ReplaceAll(f.name, " ", "_"), func(t *testing.T) {
			if inChild(t) {
				testFlood(t, f.n*uint32(times), f.send, f.told)
			}
		})
	}
}

func testFlood(t *testing.T, n uint32, send func(*site, uint32), told func(*engine.Counters) uint64) {
	conf := DefaultConfig()
	conf.Budget.Memory, conf.Capture.Ring, conf.Pcap.Pre = floodMemory, floodRings, 16<<20
	s := newSite(t, conf, "[[rules]]\nid = \"token\"\ndescription = \"a token\"\nregex = '''FLOODTOKEN-\\d{10}'''\n")
	honest := &ends{addr: [2][4]byte{{192, 168, 0, 1}, {192, 168, 0, 2}}, ports: [2]uint16{50000, 80}, seq: [2]uint32{1, 1}}
	s.shake(honest)
	hits := uint64(0)
	exchange := func(when string) {
		t.Helper()
		s.tcp(honest, wire.ToServer, psh|ack, fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", len(floodToken)))
		s.tcp(honest, wire.ToServer, psh|ack, floodToken[:10])
		s.tcp(honest, wire.ToServer, psh|ack, floodToken[10:])
		s.tcp(honest, wire.ToClient, psh|ack, "HTTP/1.1 204 No Content\r\n\r\n")
		s.now += int64(2 * time.Second) // counters are published
		s.tcp(honest, wire.ToServer, ack, "")
		s.flush()
		if hits++; s.tap.Counters().Hits != hits {
			t.Fatalf("%s: %d tokens are found, want %d", when, s.tap.Counters().Hits, hits)
		}
	}
	exchange("before")
	begin := time.Now()
	for i := range n {
		send(s, i)
		if i%(n/10) == n/20 {
			exchange(fmt.Sprintf("after %d", i))
		}
	}
	exchange("at the end")
	took := time.Since(begin)
	s.rest(100 * time.Millisecond)
	c := s.tap.Counters()
	t.Logf("%s at most beside rings of %s, budget %s; %d packets in %v; %d flows evicted, %d given up, %d gaps; steps %v",
		mib(s.peak), Size(floodRings), Size(floodMemory), c.Frames, took, c.Flow.Evicted, c.GivenUp, c.Flow.Gaps, s.d.memory.counts())
	if s.peak+floodRings > floodMemory {
		t.Errorf("%s of %s are taken", mib(s.peak+floodRings), mib(floodMemory))
	}
	if told(c) == 0 {
		t.Errorf("nothing is counted as given up: %+v", c)
	}
	if c.GivenUp > 0 && !s.wasTold("engine.budget") {
		t.Error("it is not told that inspection was given up")
	}
}

// fragment sends the first fragment of a datagram that never becomes whole.
func (s *site) fragment(k *ends, id uint16, n int) {
	s.room(k, wire.ToServer, wire.ProtoUDP, n)
	ip := s.frames[len(s.frames)-1].Data[14:]
	ip[4], ip[5], ip[6] = byte(id>>8), byte(id), 0x20
	checksum(ip)
}

// wasTold reports whether an anomaly was written.
func (s *site) wasTold(code string) bool {
	f, err := os.Open(s.d.conf.Paths.EVE())
	if err != nil {
		return false
	}
	defer f.Close()
	for r := bufio.NewScanner(f); r.Scan(); {
		if bytes.Contains(r.Bytes(), []byte(`"`+code+`"`)) {
			return true
		}
	}
	return false
}

func writeRules(t *testing.T, text string) []string {
	if text == "" {
		return nil
	}
	path := filepath.Join(t.TempDir(), "rules.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{path}
}
