package dissect

import (
	"encoding/binary"

	"weir/wire"
)

// DRDA is the Distributed Relational Database Architecture of Db2, Informix and Derby.
var DRDA = Protocol{
	Name: "drda",
	About: "DRDA, the protocol of Db2, Informix and Derby (The Open Group, DRDA Version 5): code points; what is in their objects is told as it came. Each object has an event of " +
		"its own.",
	Carrier:    Stream,
	Ports:      []uint16{446, 50000, 1527, 9089},
	Probe:      probeDRDA,
	PerMessage: true,
	Fields: []FieldSpec{
		drdaPoint: {Name: "drda.code_point", Doc: "code point of the object, as `4161`", EVE: "code_point", Number: true, Derived: true},
		drdaData:  {Name: "drda.data", Doc: "the object, as it came: statements, rows, and what the client proves its identity with", Privacy: Sealed},
	},
	New:    newEnveloped(&drdaEnvelope),
	Resume: resumeEnveloped(&drdaEnvelope),
}

// Fields of DRDA, in the order of DRDA.Fields.
const (
	drdaPoint Field = iota
	drdaData
)

var drdaEnvelope = enveloping{head: drdaHeader, size: drdaSize, tell: drdaTell, data: drdaData}

func drdaSize(d *enveloped, dir wire.Dir, b []byte) int {
	if n := int(binary.BigEndian.Uint16(b)); b[2] == drdaMagic && n >= drdaHeader && n < 0x8000 {
		return n
	}
	return 0
}

func drdaTell(d *enveloped, t *teller, dir wire.Dir, b []byte) (n int, sealed bool) {
	t.number(drdaPoint, int64(binary.BigEndian.Uint16(b[8:])))
	return drdaHeader, false
}

// from the specification
const (
	drdaHeader = 10 // bytes of a DSS header, and of the length and code point of the object in it
	drdaMagic  = 0xd0
)

// probeDRDA says Yes to a DSS header whose first object fits into it.
func probeDRDA(dir wire.Dir, head []byte) Guess {
	if len(head) < drdaHeader {
		if len(head) > 2 && head[2] != drdaMagic || len(head) > 3 && head[3]&0xf == 0 {
			return No
		}
		return Maybe
	}
	size, inner, point := binary.BigEndian.Uint16(head), binary.BigEndian.Uint16(head[6:]), binary.BigEndian.Uint16(head[8:])
	kind := head[3] & 0xf
	if head[2] != drdaMagic || kind == 0 || kind > 5 || head[3]&0x80 != 0 || size < drdaHeader || inner != size-6 {
		return No
	}
	if (kind == 2 || kind == 3) && dir == wire.ToServer && kind == 2 {
		return No
	}
	switch point >> 8 {
	case 0x0c, 0x10, 0x11, 0x12, 0x14, 0x18, 0x19, 0x20, 0x21, 0x22, 0x24, 0xc0, 0xc8:
		return Yes
	}
	return No
}
