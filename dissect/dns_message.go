package dissect

import (
	"encoding/binary"
	"strconv"

	"weir/wire"
)

// dnsHeader is the header of a message, RFC 1035 4.1.1.
type dnsHeader struct {
	id, flags uint16
	count     [4]int // questions, answers, authorities, additionals
}

// from the specification
const (
	dnsMaxOpcode = 6       // the greatest that is assigned; RFC 8490
	dnsMaxRcode  = 11      // the greatest that is assigned and fits the header; RFC 8490
	dnsZ         = 0x40    // the header's reserved flag
	dnsTopBit    = 1 << 15 // of flags: an answer; of a class: mDNS' own, RFC 6762 section 18
)

func readDNSHeader(c *wire.Cursor) (h dnsHeader) {
	b := c.Bytes(dnsHeaderLen)
	if b == nil {
		return h
	}
	h.id, h.flags = binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	for i := range h.count {
		h.count[i] = int(binary.BigEndian.Uint16(b[4+2*i:]))
	}
	return h
}

func (h *dnsHeader) answer() bool { return h.flags&dnsTopBit != 0 }
func (h *dnsHeader) opcode() int  { return int(h.flags >> 11 & 15) }
func (h *dnsHeader) rcode() int   { return int(h.flags & 15) }
func (h *dnsHeader) records() int { return h.count[0] + h.count[1] + h.count[2] + h.count[3] }

// least returns how many bytes the questions and records take at least.
func (h *dnsHeader) least() int { return 5*h.count[0] + 11*(h.count[1]+h.count[2]+h.count[3]) }

// usual reports whether the header has nothing that only odd messages have.
func (h *dnsHeader) usual() bool {
	return h.flags&dnsZ == 0 && h.opcode() <= dnsMaxOpcode && h.rcode() <= dnsMaxRcode && (h.answer() || h.rcode() == 0) &&
		h.count[0] <= dnsProbeCount
}

// header tells the header's fields but the rcode, which EDNS may add to.
func (x *dnsParser) header(h *dnsHeader) {
	x.number(dnsID, uint64(h.id))
	if x.wants(dnsFlags) {
		at := len(x.text)
		x.text = strconv.AppendUint(x.text, uint64(h.flags), 16)
		x.add(dnsFlags, x.text[at:])
	}
	x.number(dnsOpcode, uint64(h.opcode()))
	if h.flags&dnsZ != 0 || h.opcode() > dnsMaxOpcode {
		x.note(dnsNoteReserved)
	}
}

// finish tells the rcode and ends the message.
func (x *dnsParser) finish(h *dnsHeader, txEnd bool) {
	if h.answer() && x.wants(dnsRcode) {
		at := len(x.text)
		x.text = appendRcode(x.text, x.extended<<4|h.rcode())
		x.parts = append(x.parts, Part{Field: dnsRcode, Bytes: x.text[at:]})
	}
	x.flush(true, txEnd)
}

// sections tells questions and records; c is behind the header. known says that the questions were told with the query.
func (x *dnsParser) sections(c *wire.Cursor, h *dnsHeader, known bool) {
	rest := *c
	for range h.count[0] {
		if rest = *c; !x.within(c) || !x.question(c, known) {
			x.remains(&rest)
			return
		}
	}
	for section, f := range [...]Field{dnsAnswerName, dnsAuthorityName, dnsAdditionalName} {
		for range h.count[1+section] {
			if rest = *c; !x.within(c) || !x.record(c, f) {
				x.remains(&rest)
				return
			}
		}
	}
	if c.Len() > 0 {
		x.note(dnsNoteTrailing)
		x.remains(c)
	}
}

// within reports whether there may be another record, and makes room for it.
func (x *dnsParser) within(c *wire.Cursor) bool {
	if c.Len() == 0 {
		x.note(dnsNoteTruncated)
		return false
	}
	if x.records++; x.records > dnsMaxRecords || x.expanded > dnsMaxText {
		x.note(dnsNoteMany)
		return false
	}
	if len(x.parts) >= maxParts {
		x.flush(false, false)
	}
	return true
}

// remains tells bytes that are no question or record, or could not be told apart.
func (x *dnsParser) remains(rest *wire.Cursor) {
	x.value++
	x.raw(rest.Rest())
}

// question tells a question. It reports false if what follows cannot be found.
func (x *dnsParser) question(c *wire.Cursor, known bool) bool {
	at := len(x.data) - c.Len()
	name, ok := x.name(c, len(x.data))
	if at == dnsHeaderLen && ok {
		x.first = name
	}
	if known {
		x.add(dnsQuestion, name)
	} else {
		x.value++
		x.add(dnsQuery, name)
	}
	if !ok || c.Len() < 4 {
		x.note(dnsNoteTruncated)
		return false
	}
	typ := c.U16()
	c.Skip(2)
	x.typeOf(dnsType, typ)
	switch typ {
	case typeAXFR, typeIXFR:
		x.transfer = true
		x.note(dnsNoteTransfer)
	case typeNULL:
		x.note(dnsNoteNull)
	}
	return true
}

// record tells a record of the section whose fields begin with f. It reports false if what follows cannot be found.
func (x *dnsParser) record(c *wire.Cursor, f Field) bool {
	name, ok := x.name(c, len(x.data))
	x.value++
	if !ok || c.Len() < 10 {
		x.add(f, name)
		x.note(dnsNoteTruncated)
		return false
	}
	typ, class, ttl, size := c.U16(), c.U16(), c.U32(), int(c.U16())
	if typ == typeOPT { // RFC 6891: no record but a header extension
		x.extended = int(ttl >> 24)
		if len(name) > 1 {
			x.add(f, name)
		}
	} else {
		x.add(f, name)
		x.typeOf(f+1, typ)
		x.number(f+2, uint64(ttl))
	}
	if f == dnsAnswerName {
		x.last = typ
	}
	if size > c.Len() {
		x.note(dnsNoteTruncated)
		x.raw(c.Bytes(c.Len()))
		return true
	}
	b := c.Bytes(size)
	x.rdata(b, len(x.data)-c.Len(), typ, class, f+3)
	return true
}

// transferEnds reports whether a message is the last of a zone transfer, RFC 5936 2.2; begun says that it is not the
// first.
func (x *dnsParser) transferEnds(h *dnsHeader, begun bool) bool {
	return h.rcode() != 0 || h.count[1] == 0 || x.last == typeSOA && (begun || h.count[1] > 1) || x.records > dnsMaxRecords
}
