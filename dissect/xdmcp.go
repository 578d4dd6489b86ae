package dissect

import "weir/wire"

// XDMCP is the X Display Manager Control Protocol.
var XDMCP = Protocol{
	Name:    "xdmcp",
	About:   "The X Display Manager Control Protocol. Flows are named by whole packets.",
	Carrier: Datagram,
	Ports:   []uint16{177},
	Probe:   probeXDMCP,
}

// probeXDMCP recognises a packet by its version, opcode and length.
func probeXDMCP(_ wire.Dir, head []byte) Guess {
	c := wire.Cut(head)
	version, op, n := c.U16(), c.U16(), int(c.U16())
	if c.Short() || version != 1 || op == 0 || op > 14 || n != c.Len() || n == 0 {
		return No
	}
	switch op {
	case 1, 2, 3: // queries: an array of names of authentication
		for range int(c.U8()) {
			name := c.Bytes(int(c.U16()))
			if !isText(name) {
				return No
			}
		}
		if c.Short() || c.Len() != 0 {
			return No
		}
	default:
		if n < 4 {
			return No
		}
	}
	return Yes
}
