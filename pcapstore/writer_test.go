package pcapstore

import (
	"bytes"
	"testing"

	"github.com/google/gopacket/pcapgo"

	"weir/capture"
	"weir/wire"
)

func TestWriterPcap(t *testing.T) {
	var b bytes.Buffer
	w := NewWriter(&b, Pcap, "weir", "")
	i, err := w.Interface(capture.Interface{Name: "a", Link: wire.LinkEthernet})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Interface(capture.Interface{Name: "b", Link: wire.LinkSLL}); err != ErrLinkType {
		t.Errorf("another link type: got %v, want %v", err, ErrLinkType)
	}
	big := &wire.Frame{Data: make([]byte, maxCaptured+9), Time: 5 * second, Link: wire.LinkEthernet, VLAN: 0x8100002a, Flag: wire.FlagVLAN}
	for _, f := range []*wire.Frame{frame(udp, 3*second+1999), big} {
		if err := w.Packet(i, f, Note{Comment: "left out"}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := pcapgo.NewReader(&b)
	if err != nil {
		t.Fatal(err)
	}
	data, ci, err := r.ReadPacketData()
	if err != nil || string(data) != udp || ci.Timestamp.UnixNano() != 3*second+1000 {
		t.Errorf("got %x, %v, %v", data, ci, err)
	}
	data, ci, err = r.ReadPacketData()
	if err != nil || len(data) != maxCaptured || ci.Length != maxCaptured+13 {
		t.Errorf("long frame: got %d bytes of %d, %v", len(data), ci.Length, err)
	}
}
