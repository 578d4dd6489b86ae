package dissect

import (
	"net/netip"
	"strconv"

	"weir/wire"
)

// rdata tells what a record says: as text in field f, as bytes where no text stands for all of them. end is the offset
// in the message of b's end.
func (x *dnsParser) rdata(b []byte, end int, typ, class uint16, f Field) {
	if typ == typeNULL {
		x.note(dnsNoteNull)
	}
	if len(b) == 0 { // as in an update that deletes, RFC 2136
		return
	}
	if typ == typeOPT {
		x.raw(b)
		return
	}
	if (typ == typeTXT || typ == typeSPF) && x.pieces(b, f) {
		return
	}
	at := len(x.text)
	c := wire.Cut(b)
	whole, known := x.rdataText(&c, end, typ, class&^dnsTopBit)
	if len(x.text) > at {
		x.add(f, x.text[at:])
	}
	if known && (!whole || c.Short() || c.Len() > 0) {
		x.note(dnsNoteRecord)
		whole = false
	}
	if !whole {
		x.raw(b)
	}
}

// pieces tells the character-strings that fill b as parts of one value: as one text that was cut into pieces of 255 bytes is meant. It
// reports false if there are too many of them, or b is not filled.
func (x *dnsParser) pieces(b []byte, f Field) bool {
	n := 0
	for c := wire.Cut(b); c.Len() > 0; n++ {
		if c.Vec8(); c.Short() || n == dnsMaxStrings {
			return false
		}
	}
	off := int64(0)
	for c := wire.Cut(b); n > 0; n-- {
		v := c.Vec8()
		x.add(f, v.Rest())
		if len(x.parts) > 0 && x.wants(f) {
			p := &x.parts[len(x.parts)-1]
			p.Off, p.More = off, n > 1
		}
		off += int64(len(v.Rest()))
	}
	return true
}

// rdataText appends the text of rdata that stands for all of it (whole) or for what comes first. known is false if
// rdata of this type is not looked into.
func (x *dnsParser) rdataText(c *wire.Cursor, end int, typ, class uint16) (whole, known bool) {
	switch typ {
	case typeA:
		if class != 1 {
			return false, false
		}
		if b := c.Bytes(4); b != nil {
			x.text = netip.AddrFrom4([4]byte(b)).AppendTo(x.text)
		}
		return true, true
	case typeAAAA:
		if b := c.Bytes(16); b != nil {
			x.text = netip.AddrFrom16([16]byte(b)).AppendTo(x.text)
		}
		return true, true
	case typeNS, typeMD, typeMF, typeCNAME, typeMB, typeMG, typeMR, typePTR, typeDNAME:
		return x.names(c, end, 1), true
	case typeMX, typeAFSDB, typeRT, typeKX:
		c.Skip(2) // preference: EVE has none
		return x.names(c, end, 1), true
	case typeMINFO, typeRP:
		return x.names(c, end, 2), true
	case typeSOA:
		ok := x.names(c, end, 2)
		return x.numbers(c, 0, 5) && ok, true
	case typeSRV:
		ok := x.numbers(c, 3, 0)
		return x.names(c, end, 1) && ok, true
	case typeTXT, typeSPF:
		return x.strings(c, false), true
	case typeHINFO:
		return x.strings(c, true), true
	case typeCAA:
		return x.caa(c), true
	case typeURI:
		ok := x.numbers(c, 2, 0)
		x.text = append(x.text, c.Bytes(c.Len())...)
		return ok, true
	}
	return false, false
}

// space sets apart what follows.
func (x *dnsParser) space() { x.text = append(x.text, ' ') }

// names appends n names.
func (x *dnsParser) names(c *wire.Cursor, end, n int) bool {
	for i := range n {
		if i > 0 {
			x.space()
		}
		at := len(x.text)
		name, ok := x.name(c, end)
		if len(x.text) == at { // it stands in the buffer already
			x.text = append(x.text, name...)
			x.expanded += len(name)
		}
		if !ok {
			return false
		}
	}
	return true
}

// numbers appends n2 numbers of 2 bytes, each with a space behind it, and n4 of 4 bytes, each with a space before it.
func (x *dnsParser) numbers(c *wire.Cursor, n2, n4 int) bool {
	if c.Len() < 2*n2+4*n4 {
		return false
	}
	for range n2 {
		x.text = strconv.AppendUint(x.text, uint64(c.U16()), 10)
		x.space()
	}
	for range n4 {
		x.space()
		x.text = strconv.AppendUint(x.text, uint64(c.U32()), 10)
	}
	return true
}

// strings appends the character-strings that fill c: joined, as one text that was cut into pieces of 255 bytes is
// meant, or apart.
func (x *dnsParser) strings(c *wire.Cursor, apart bool) bool {
	for i := 0; c.Len() > 0; i++ {
		v := c.Vec8()
		if c.Short() {
			return false
		}
		if apart && i > 0 {
			x.space()
		}
		x.text = append(x.text, v.Rest()...)
	}
	return true
}

// caa appends flags, tag and value of a CAA record, RFC 8659.
func (x *dnsParser) caa(c *wire.Cursor) bool {
	x.text = strconv.AppendUint(x.text, uint64(c.U8()), 10)
	tag := c.Vec8()
	if c.Short() {
		return false
	}
	x.space()
	x.text = append(x.text, tag.Rest()...)
	x.space()
	x.text = append(x.text, c.Bytes(c.Len())...)
	return true
}
