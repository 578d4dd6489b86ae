package daemon

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"weir/wire"
)

// floods are what somebody may send to make Weir take more memory than it may. Each is called with numbers from 0 on and sends a little.
var floods = []struct {
	name  string
	n     uint32
	send  func(s *site, n uint32)
	short func(t *testing.T, s *site) // what must have been told of
}{
	{"syn", 10_000_000, func(s *site, n uint32) {
		s.tcp(client(n, 80), wire.ToServer, syn, "")
	}, evicted},
	{"udp", 2_000_000, func(s *site, n uint32) {
		s.udp(client(n, 9000), wire.ToServer, "some bytes that nobody understands")
	}, evicted},
	{"ack", 2_000_000, func(s *site, n uint32) { // picked up midway, from one end
		s.tcp(client(n, 9000), wire.ToServer, psh|ack, "x")
	}, evicted},
	{"out of order", 300_000, func(s *site, n uint32) {
		k := client(n, 9000)
		s.shake(k)
		k.seq[0] += 1000
		s.tcp(k, wire.ToServer, psh|ack, strings.Repeat("behind a hole ", 100))
	}, nil},
	{"heads", 300_000, func(s *site, n uint32) { // slowloris
		k := client(n, 80)
		s.shake(k)
		s.tcp(k, wire.ToServer, psh|ack, "GET / HTTP/1.1\r\nHost: a\r\nX-A: "+strings.Repeat("a", 1000))
	}, nil},
	{"gzip", 100_000, func(s *site, n uint32) {
		k := client(n, 80)
		s.shake(k)
		s.tcp(k, wire.ToServer, psh|ack, "POST / HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\nContent-Length: 1000000\r\n\r\n"+gzipped)
	}, nil},
	{"matches", 300_000, func(s *site, n uint32) { // raw bytes, each direction with a match open
		k := client(n, 9000)
		s.shake(k)
		s.tcp(k, wire.ToServer, psh|ack, "\x00\x01nobody knows"+strings.Repeat(" 4", 400))
		s.tcp(k, wire.ToClient, psh|ack, "\x00\x01nobody knows"+strings.Repeat(" 4", 400))
	}, nil},
	{"http2", 30_000, func(s *site, n uint32) {
		k := client(n, 80)
		s.shake(k)
		s.tcp(k, wire.ToServer, psh|ack, h2streams)
	}, nil},
	{"exchanges", 300_000, func(s *site, n uint32) { // requests that are never answered
		k := client(n, 80)
		s.shake(k)
		for range 5 {
			s.tcp(k, wire.ToServer, psh|ack, "GET /"+strings.Repeat("a", 200)+" HTTP/1.1\r\nHost: a\r\n\r\n")
		}
	}, nil},
	{"fragments", 300_000, func(s *site, n uint32) {
		k := client(n, 80)
		b := s.room(k, wire.ToServer, wire.ProtoUDP, 1200)
		ip := s.frames[len(s.frames)-1].Data[14:]
		_ = b
		ip[6] = 0x20 // more fragments
		ip[4], ip[5] = byte(n>>8), byte(n)
	}, nil},
}

func evicted(t *testing.T, s *site) {
	if n := s.tap.Counters().Flow.Evicted; n == 0 {
		t.Errorf("no flow was evicted")
	}
}

var gzipped = func() string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	fmt.Fprint(w, strings.Repeat("some text to be compressed, quite a lot of it\n", 500))
	w.Flush()
	return b.String()
}()

// h2streams begins a connection and opens a hundred streams whose bodies never end.
var h2streams = func() string {
	var b strings.Builder
	b.WriteString("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
	for i := range 100 {
		head := "\x83\x84\x86\x41\x01a"
		fmt.Fprintf(&b, "\x00\x00%c\x01\x04\x00\x00\x00%c%s", len(head), 2*i+1, head)
		data := `{"a":"b`
		fmt.Fprintf(&b, "\x00\x00%c\x00\x00\x00\x00\x00%c%s", len(data), 2*i+1, data)
	}
	return b.String()
}()

const floodMemory = 256 << 20

func TestFloods(t *testing.T) {
	if testing.Short() {
		t.Skip("takes time")
	}
	for _, f := range floods {
		t.Run(f.name, func(t *testing.T) {
			if !inChild(t) {
				return
			}
			conf := DefaultConfig()
			conf.Budget.Memory, conf.Capture.Ring, conf.Pcap.Pre = floodMemory, 64<<20, 16<<20
			s := newSite(t, conf)
			honest := client(1<<31, 80)
			honest.addr[0] = [4]byte{192, 168, 0, 1}
			s.shake(honest)
			found := func(what string, n int) {
				t.Helper()
				s.tcp(honest, wire.ToServer, psh|ack, fmt.Sprintf("POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: 40\r\n\r\nkey=", n))
				s.tcp(honest, wire.ToServer, psh|ack, "AKIAIOSFODNN7ABCDE"[:10])
				s.tcp(honest, wire.ToServer, psh|ack, "AKIAIOSFODNN7ABCDE"[10:]+strings.Repeat(" ", 18))
				s.tcp(honest, wire.ToClient, psh|ack, "HTTP/1.1 204 No Content\r\n\r\n")
				s.flush()
				_ = what
			}
			found("before", 0)
			begin := time.Now()
			for n := range f.n {
				f.send(s, n)
				if n%(f.n/10) == f.n/20 {
					found("during", int(n))
				}
			}
			took := time.Since(begin)
			found("after", 1)
			peak := s.peak
			s.rest(time.Second)
			c := s.tap.Counters()
			t.Logf("%s at most beside rings of 64 MiB; %v; %+v", mib(peak), took, *c)
			t.Logf("MiB shed: %v %v", s.d.memory.inForce(), s.d.memory.counts())
			eve, _ := os.ReadFile(s.d.conf.Paths.EVE())
			t.Logf("MiB alerts %d dropped events %d", bytes.Count(eve, []byte(`"event_type":"alert"`)), s.d.queue.Dropped())
		})
	}
}
