package dissect

import "weir/wire"

// Diameter is the Diameter Base Protocol: RFC 6733.
var Diameter = Protocol{
	Name:    "diameter",
	About:   "Diameter (RFC 6733). It is only named: its bytes are inspected raw.",
	Carrier: Stream, Ports: []uint16{3868, 5658}, Probe: probeDiameter,
}

// probeDiameter says Yes to a message's header and that of its first attribute.
func probeDiameter(_ wire.Dir, head []byte) Guess {
	if len(head) > 0 && head[0] != 1 || len(head) > 1 && head[1] != 0 || len(head) > 4 && head[4]&0x0f != 0 {
		return No
	}
	if len(head) < 28 {
		return Maybe
	}
	c := wire.Cut(head)
	c.Skip(1)
	n := int(c.U24())
	flags, command := c.U8(), c.U24()
	c.Skip(12)
	code, avpFlags, size := c.U32(), c.U8(), int(c.U24())
	return yes(n >= 28 && n%4 == 0 && flags&0x90 != 0x90 && command > 0 && code > 0 && code < 1<<16 && avpFlags&0x1f == 0 && size >= 8 && 20+size <= n)
}
