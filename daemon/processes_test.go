package daemon

import (
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"weir/alert"
	"weir/workload"
)

// TestProcessesBounded: so many questions are put and no more, answers are remembered, and what runtimes say of containers is kept for those that were asked for alone.
func TestProcessesBounded(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	d := &Daemon{naming: &naming{}}
	p := newProcesses(d)
	local, remote := l.Addr().(*net.TCPAddr).AddrPort(), netip.MustParseAddrPort("127.0.0.1:1")
	key := socketKey{6, 0, local, remote}
	if who := p.owner(key, way{}); who == nil || who.PID != os.Getpid() {
		t.Fatalf("got %+v", who)
	}
	p.left, p.at = 0, time.Now().Add(time.Hour)
	if who := p.owner(key, way{}); who == nil {
		t.Error("an answer is not remembered")
	}
	key.remote = netip.MustParseAddrPort("127.0.0.1:2")
	if who := p.owner(key, way{}); who != nil {
		t.Error("a question was put that there was no room for")
	}
	p.left, p.at = 1, time.Now()
	if p.owner(key, way{}); p.left >= 1 {
		t.Error("a question cost nothing")
	}
	p.answered("other", &workload.Description{Name: "x"})
	if len(p.said) != 0 {
		t.Error("what nobody asked for is kept")
	}
	who := &workload.Process{ID: testID}
	if p.describe(who) != nil {
		t.Error("it is known before anybody said it")
	}
	p.answered(testID, &workload.Description{Name: "pod"})
	if what := p.describe(who); what == nil || what.Name != "pod" {
		t.Errorf("got %+v", what)
	}
	ev := &alert.Event{Proto: 6, Src: netip.MustParseAddrPort("192.0.2.1:1"), Dst: netip.MustParseAddrPort("192.0.2.2:2")}
	if p.name(ev); ev.Weir.Src != nil || ev.Weir.Dst != nil {
		t.Errorf("of strangers: %+v", ev.Weir)
	}
}
