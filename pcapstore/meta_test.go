package pcapstore

import (
	"bytes"
	"testing"

	"weir/capture"
	"weir/wire"
)

func FuzzMeta(f *testing.F) {
	var b bytes.Buffer
	w := NewWriter(&b, PcapNG, "weir", new(Meta).line())
	i, _ := w.Interface(capture.Interface{Name: "a", Link: wire.LinkEthernet})
	w.Packet(i, frame(udp, 1), Note{"c", 3})
	w.stats[0].Comment = new(Closing).line()
	w.Close()
	f.Add(b.Bytes())
	f.Add(b.Bytes()[:b.Len()-5])
	f.Add([]byte("\x0a\x0d\x0d\x0a\xff\xff\xff\xff\x4d\x3c\x2b\x1a"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var i Info
		readInfo(bytes.NewReader(data), int64(len(data)), &i)
		n, packets := wholeBlocks(bytes.NewReader(data))
		if n > int64(len(data)) || int64(packets)*12 > n {
			t.Errorf("%d bytes, %d packets of %d bytes", n, packets, len(data))
		}
	})
}
