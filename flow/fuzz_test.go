package flow

import (
	"encoding/binary"
	"testing"

	"weir/wire"
)

// FuzzPush plays packets made of the input, 12 bytes each and payload. Nothing panics; no more is told than was sent;
// limits hold; and the books are even.
func FuzzPush(f *testing.F) {
	f.Add([]byte("\x00\x02\x00\x00\x00\x00\x10\x00\x00\x01\x00\x00\x01\x12\x00\x00\x00\x01\x10\x00\x00\x01\x00\x00\x00\x10\x00\x01\x00\x01\x10\x00\x00\x01\x00\x09"))
	f.Add([]byte("\x00\x10\x00\x05\x00\x01\x10\x00\x00\x01\x00\x09\x01\x10\x00\x01\x00\x0e\x10\x00\x00\x41\x00\x00\x01\x10\x00\x01\x00\x0e\x10\x00\x00\x41\x00\x00"))
	f.Add([]byte("\x00\x04\x00\x00\x00\x00\x10\x00\x00\x01\x00\x00\x40\x10\x00\x00\x00\x01\x10\x00\x40\x01\x03\xe8"))
	f.Fuzz(func(t *testing.T, in []byte) {
		limits := Limits{Flows: 3, HeldPerFlow: 6000, HeldPerTable: 9000, Holes: 5, Fragments: 1000}
		table := New[int](limits, Overlap(len(in)%7), ChecksumAuto)
		var sent, told, refused int
		take := func(chunks []Chunk) {
			for _, c := range chunks {
				if !c.Refused {
					told += len(c.Data)
				} else {
					refused += len(c.Data)
				}
				if c.Gap < 0 {
					t.Fatalf("gap of %d bytes", c.Gap)
				}
			}
		}
		table.OnEnd(func(_ *Flow[int], last []Chunk, _ Reason) { take(last) })
		payload := make([]byte, 4096)
		frame := wire.Frame{}
		for len(in) >= 12 {
			p := wire.Packet{IP: 4, FromA: in[0]&1 == 0, Frame: &frame}
			p.Key = wire.Key{APort: 1000 + uint16(in[0]>>1&3), BPort: 80, Proto: wire.ProtoTCP}
			if in[0]&8 != 0 {
				p.Key.Proto = wire.ProtoUDP
			}
			p.TCP.Flags = wire.TCPFlags(in[1])
			p.TCP.Seq = wire.Seq(binary.BigEndian.Uint16(in[2:])) - 100
			p.TCP.Ack = wire.Seq(binary.BigEndian.Uint16(in[4:])) - 100
			p.TCP.Window = binary.BigEndian.Uint16(in[6:])
			p.TCP.HasTS, p.TCP.TSVal = in[0]&16 != 0, uint32(in[8])
			p.TCP.HasWScale, p.TCP.WScale = in[0]&32 != 0, in[8]
			p.Cut = in[0]&0xc0 == 0xc0
			frame.Time += int64(in[8]) * int64(in[9]) * 1e6
			p.Payload = payload[:int(binary.BigEndian.Uint16(in[10:]))%4096]
			frame.Len = uint32(len(p.Payload)) + uint32(in[9])
			sent += len(p.Payload)
			fl, chunks := table.Push(&p)
			take(chunks)
			check(t, table)
			for _, c := range chunks {
				b := table.Join(fl, c.Dir, c.Data)
				check(t, table)
				if in[9]&1 != 0 {
					table.Keep(fl, c.Dir, b[len(b)/3:])
					check(t, table)
				}
			}
			if n := table.Counters().Active; n > limits.Flows {
				t.Fatalf("%d flows", n)
			}
			if in[9]&0x10 != 0 {
				table.Tick(frame.Time)
			}
			table.Tick(0)
			if n := table.Counters(); n.Held > limits.HeldPerTable {
				t.Fatalf("%d bytes held between packets", n.Held)
			}
			in = in[12:]
		}
		table.Close()
		if told > sent || refused > sent {
			t.Fatalf("told %d bytes of %d, refused %d", told, sent, refused)
		}
		if n := table.Counters(); n.Held != 0 || n.Active != 0 {
			t.Fatalf("after Close: %d flows, %d bytes held", n.Active, n.Held)
		}
	})
}
