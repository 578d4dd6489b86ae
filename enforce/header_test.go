package enforce

import (
	"testing"

	"weir/wire"
)

// segment is a TCP segment with data, of either family.
func segment(v6 bool, data string) []byte {
	b := []byte{0x45, 0, 0, 0, 0, 1, 0, 0, 64, wire.ProtoTCP, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2}
	if v6 {
		b = make([]byte, 40)
		b[0], b[6], b[7], b[23], b[39] = 0x60, wire.ProtoTCP, 64, 1, 2
	}
	b = append(b, 0x9c, 0x40, 0, 80, 0, 0, 0, 1, 0, 0, 0, 2, 5<<4, byte(wire.ACK|wire.PSH), 1, 0, 0, 0, 0, 0)
	return append(b, data...)
}

// TestRewrite holds that what is made of a segment is one, with the checksums that a receiver wants.
func TestRewrite(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		for _, want := range []string{"", "odd", "even"} {
			b := segment(v6, "odd")
			var h header
			if want != "" {
				b = segment(v6, want)
			}
			if !h.parse(b) || h.sport != 40000 || h.dport != 80 || h.empty {
				t.Fatalf("read: %+v", h)
			}
			if want == "" {
				b = h.reset(b)
			} else if b[4] = 0; !h.shorten(b, false) {
				t.Fatal("it cannot be shortened")
			}
			if v6 && want != "" {
				network.PutUint16(b[4:], uint16(len(b)-40)) // a jumbogram keeps its 0
			}
			var dec wire.Decoder
			var p wire.Packet
			if r := dec.Decode(&wire.Frame{Data: b, Len: uint32(len(b)), Link: wire.LinkRaw}, &p); r != wire.OK || p.Checksum() != wire.CsumValid || string(p.Payload) != want {
				t.Errorf("v6 %v, %q: %v, checksum %v, payload %q", v6, want, r, p.Checksum(), p.Payload)
			}
			if p.TCP.Flags.Has(wire.RST) != (want == "") {
				t.Errorf("flags %v", p.TCP.Flags)
			}
		}
	}
}

// FuzzPacket holds that whatever the kernel, or somebody in its stead, says of a packet is survived, and that what is made of a packet lies in it.
func FuzzPacket(f *testing.F) {
	for _, v6 := range []bool{false, true} {
		m := messages{}
		m.netfilter(subsysQueue, queuePacket, 0, 2, queueNumber)
		m.attr(packetHeader, 0, 0, 0, 1, 8, 0, hookOutput)
		m.attr(packetPayload, segment(v6, "data")...)
		m.u32(packetLen, 70000)
		m.end()
		f.Add(m.b)
	}
	b := newBatch(nil)
	f.Fuzz(func(t *testing.T, datagram []byte) {
		if len(datagram) > maxMessage {
			return
		}
		b.reset()
		n := copy(b.space(), datagram)
		_, _, body, _, ok := message(b.space()[:n])
		if !ok {
			return
		}
		if _, bare, ok := b.keep(body, n); !ok || bare {
			return
		}
		fr := &b.frames[0]
		if len(fr.Data) > n || int(fr.Len) < len(fr.Data) {
			t.Fatalf("%d bytes of %d, in a message of %d", len(fr.Data), fr.Len, n)
		}
		var h header
		if h.parse(fr.Data) && h.proto == wire.ProtoTCP {
			shorten(fr, true)
			h.reset(fr.Data)
		}
	})
}
