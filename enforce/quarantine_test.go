package enforce

import (
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestQuarantine holds that a workload is cut off but for what is allowed, that whoever tries is told at once, and that it is as before when that is lifted.
func TestQuarantine(t *testing.T) {
	for i, addr := range []string{"10.9.0.2", "fd00:9::2"} {
		peer, pod := pair(t)
		in, allowed := newSink(t, pod, addr), newSink(t, pod, addr)
		out := newSink(t, peer, []string{"10.9.0.1", "fd00:9::1"}[i])
		lo := newSink(t, pod, []string{"127.0.0.1", "::1"}[i])
		open := peer.mustDial(t, in.Addr())
		if err := ask(open, "hello"); err != nil {
			t.Fatal(err)
		}
		from := netip.MustParsePrefix([]string{"10.9.0.0/24", "fd00:9::/64"}[i])
		for range 2 {
			if err := Quarantine(pod.open, []Allow{{Peer: from, Proto: protoTCP, Port: portOf(allowed.Addr())}}); err != nil {
				t.Fatal(err)
			}
		}
		if is, err := Quarantined(pod.open); !is || err != nil {
			t.Fatalf("in quarantine: %v %v", is, err)
		}
		begin := time.Now()
		if err := ask(open, "hello"); !isReset(err) {
			t.Errorf("an open connection: %v", err)
		}
		if _, err := peer.dial(in.Addr()); !errors.Is(err, unix.ECONNREFUSED) {
			t.Errorf("a connection to it: %v", err)
		}
		if _, err := pod.dial(out.Addr()); !errors.Is(err, unix.ECONNREFUSED) {
			t.Errorf("a connection from it: %v", err)
		}
		var udp net.Conn
		pod.do(t, func() (err error) {
			udp, err = net.Dial("udp", out.Addr().String())
			return err
		})
		udp.SetDeadline(time.Now().Add(patience))
		_, err := udp.Write([]byte("x"))
		if err == nil {
			_, err = udp.Read(make([]byte, 1))
		}
		if !errors.Is(err, unix.EHOSTUNREACH) && !errors.Is(err, unix.EACCES) && !errors.Is(err, unix.EPERM) {
			t.Errorf("a datagram from it: %v", err)
		}
		udp.Close()
		if d := time.Since(begin); d > 2*time.Second {
			t.Errorf("all this took %v", d)
		}
		if err := ask(peer.mustDial(t, allowed.Addr()), "hello"); err != nil {
			t.Errorf("what is allowed: %v", err)
		}
		if err := ask(pod.mustDial(t, lo.Addr()), "hello"); err != nil {
			t.Errorf("with itself: %v", err)
		}
		if in.received() != "hello" || out.received() != "" {
			t.Errorf("received: %q, %q", in.received(), out.received())
		}
		for range 2 {
			if err := Lift(pod.open); err != nil {
				t.Fatal(err)
			}
		}
		if is, err := Quarantined(pod.open); is || err != nil {
			t.Fatalf("in quarantine: %v %v", is, err)
		}
		pod.wantNoRules(t)
		if err := ask(peer.mustDial(t, in.Addr()), "hello"); err != nil {
			t.Errorf("afterwards: %v", err)
		}
	}
}
