package daemon

import (
	"testing"
	"time"

	"weir/wire"
)

// TestIdleFlows: a million connections that have each carried an exchange and wait for the next one.
func TestIdleFlows(t *testing.T) {
	if testing.Short() {
		t.Skip("takes memory")
	}
	if !inChild(t) {
		return
	}
	const (
		flows  = 1_000_000
		most   = 600 << 20
		ask    = "GET /index.html HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: test\r\n\r\n"
		answer = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 5\r\n\r\nhello"
	)
	conf := DefaultConfig()
	conf.Pcap.Pre = 0 // recent packets are not the flows'
	s := newSite(t, conf, "")
	base, begin := anonymous(), time.Now()
	for n := range uint32(flows) {
		k := client(n, 8080)
		s.shake(k)
		s.tcp(k, wire.ToServer, psh|ack, ask)
		s.tcp(k, wire.ToClient, psh|ack, answer)
		s.tcp(k, wire.ToServer, ack, "")
	}
	s.rest(time.Second)
	took, c := time.Since(begin), s.tap.Counters()
	s.d.memory.release()
	t.Logf("%d flows: %s at most, %s once all garbage is collected, %s before the first; %v", c.Flow.Active, mib(s.peak), mib(anonymous()), mib(base), took)
	if c.Flow.Active != flows || c.Messages != 2*flows {
		t.Fatalf("not what was meant to be measured: %+v", c)
	}
	if s.peak > most {
		t.Errorf("%d idle flows take %s, want at most %s", flows, mib(s.peak), mib(most))
	}
}
