package engine

import (
	"testing"

	"weir/alert"
	"weir/dissect"
	"weir/flow"
	"weir/wire"
)

// udp4 writes an IPv4 packet with a datagram from 192.0.2.src to 192.0.2.dst.
func udp4(src, dst byte, from, to uint16, data string) []byte {
	n := len(data)
	b := []byte{0x45, 0, byte((28 + n) >> 8), byte(28 + n), 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, src, 192, 0, 2, dst,
		byte(from >> 8), byte(from), byte(to >> 8), byte(to), byte((8 + n) >> 8), byte(8 + n), 0, 0}
	return append(b, data...)
}

// namesOf plays packets to a tap, one a second, and returns the names of the flows' protocols by the initiator's port.
func namesOf(t *testing.T, packets [][]byte) map[uint16]string {
	t.Helper()
	names := map[uint16]string{}
	e := New(Config{
		Flow: flow.DefaultLimits, Dissect: dissect.DefaultLimits, Events: map[string]bool{"flow": true},
		Emit: func(ev *alert.Event) { names[ev.Src.Port()] = ev.AppProto },
	})
	lane := e.NewLane()
	defer lane.Free()
	tap := e.NewTap(TapConfig{})
	for i, b := range packets {
		lane.Block(tap, []wire.Frame{{Data: b, Time: 1_700_000_000_000_000_000 + int64(i)*1_000_000_000, Len: uint32(len(b)), Link: wire.LinkRaw}})
	}
	lane.Close(tap)
	return names
}

func TestAnnounced(t *testing.T) {
	names := namesOf(t, [][]byte{
		udp4(9, 8, 700, 800, "\x00\x03\x00\x01a block that nobody asked for"),
		udp4(1, 2, 4000, 69, "\x00\x01file\x00octet\x00"),
		udp4(2, 1, 5000, 4000, "\x00\x03\x00\x01the first block"),
		udp4(1, 2, 4000, 5000, "\x00\x04\x00\x01"),
		udp4(2, 1, 5001, 4001, "\x00\x03\x00\x01the first block"),
		udp4(3, 4, 5060, 5061, "INVITE sip:a@b SIP/2.0\r\nFrom: x\r\n\r\nv=0\r\nc=IN IP4 192.0.2.3\r\nm=audio 6000 RTP/AVP 0\r\n"),
		udp4(4, 3, 7000, 6000, "\x80\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x01media"),
		udp4(4, 3, 7002, 6002, "\x80\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x01media"),
	})
	for port, want := range map[uint16]string{700: "failed", 4000: "tftp", 5000: "tftp", 5001: "failed", 5060: "sip", 7000: "rtp", 7002: "failed"} {
		if names[port] != want {
			t.Errorf("port %d: got %q, want %q", port, names[port], want)
		}
	}
}

// What carries packets is a flow of its own, with a name.
func TestCarrierNamed(t *testing.T) {
	inner := udp4(1, 2, 40000, 80, "inside")
	names := namesOf(t, [][]byte{
		udp4(5, 6, 3000, 4789, "\x08\x00\x00\x00\x00\x00\x07\x00"+"\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02\x08\x00"+string(inner)),
	})
	if names[3000] != "vxlan" || names[40000] != "failed" {
		t.Errorf("got %v", names)
	}
}

func TestExpectations(t *testing.T) {
	var x expectations
	key := func(port uint16) *wire.Key { return &wire.Key{APort: port, Proto: wire.ProtoUDP} }
	for port := range uint16(maxExpected + 1) {
		x.add(end{port: port, proto: wire.ProtoUDP}, [16]byte{}, &dissect.Expectation{Protocol: &dissect.TFTP}, int64(port))
	}
	if len(x.at) > maxExpected || x.of(key(0), 0, true, 1).Protocol != nil {
		t.Errorf("%d ends are kept, the oldest among them: %v", len(x.at), x.of(key(0), 0, true, 1).Protocol)
	}
	// A stream that is not begun by whom it was announced to, or by the end that it was announced at, is another one.
	to, from, other := [16]byte{15: 1}, [16]byte{15: 2}, [16]byte{15: 3}
	x.add(end{to, 20, wire.ProtoTCP, 0}, from, &dissect.Expectation{Protocol: &dissect.FTPData}, 0)
	for _, c := range []struct {
		a, b       [16]byte
		aInitiates bool
		want       *dissect.Protocol
	}{{to, from, false, &dissect.FTPData}, {to, from, true, nil}, {to, other, false, nil}, {other, to, true, nil}} {
		k := wire.Key{A: c.a, B: c.b, Proto: wire.ProtoTCP}
		if c.a == to {
			k.APort = 20
		} else {
			k.BPort = 20
		}
		if p := x.of(&k, 0, c.aInitiates, 1).Protocol; p != c.want {
			t.Errorf("%v, %v, begun by the first: %v: %v", c.a[15], c.b[15], c.aInitiates, p)
		}
	}
	if p := x.of(key(maxExpected), 0, true, expectedLife).Protocol; p != &dissect.TFTP {
		t.Errorf("the newest is gone: %v", p)
	}
	if p := x.of(key(maxExpected), 7, true, expectedLife).Protocol; p != nil {
		t.Errorf("expected at the same address of another namespace: %v", p)
	}
	if p := x.of(key(1), 0, true, 2+expectedLife).Protocol; p != nil {
		t.Errorf("expected for too long: %v", p)
	}
}
