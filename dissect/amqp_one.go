package dissect

import (
	"encoding/binary"

	"weir/wire"
)

// from the specification of AMQP 1.0, part 2.3.
const (
	amqp1HeadSize = 8
	amqp1AMQP     = 0
	amqp1SASL     = 1
)

var amqp1Names = map[uint8]string{
	0x10: "open", 0x11: "begin", 0x12: "attach", 0x13: "flow", 0x14: "transfer", 0x15: "disposition", 0x16: "detach", 0x17: "end", 0x18: "close",
	0x40: "sasl-mechanisms", 0x41: "sasl-init", 0x42: "sasl-challenge", 0x43: "sasl-response", 0x44: "sasl-outcome",
}

// frame1 takes a frame of AMQP 1.0: part 2.3. The performative is looked at when it is there; what follows it streams.
func (d *amqp) frame1(t *teller, dir wire.Dir, b []byte) (n, need int, err error) {
	if len(b) < amqp1HeadSize {
		return 0, amqp1HeadSize - len(b), nil
	}
	size, doff, kind := int(binary.BigEndian.Uint32(b)), 4*int(b[4]), b[5]
	switch {
	case size < amqp1HeadSize || size > amqpMaxBody || doff < amqp1HeadSize || doff > size || kind > amqp1SASL:
		return 0, 0, errAMQP
	case size == amqp1HeadSize: // keeps the connection
		return amqp1HeadSize, 0, nil
	}
	have := min(len(b), size)
	length := 0
	if have >= doff {
		length = amqp1Length(b[doff:have])
	}
	if length == 0 && have < size {
		if have >= amqpMaxFrame {
			return 0, 0, errAMQP
		}
		return 0, 1, nil
	}
	d.begin(dir)
	name := ""
	if length > 2 {
		name = amqp1Names[b[doff+2]]
	}
	t.addString(amqpMethod, name)
	if kind == amqp1AMQP {
		t.number(amqpChannel, int64(binary.BigEndian.Uint16(b[6:])))
	}
	if doff > amqp1HeadSize {
		t.add(amqpArguments, b[amqp1HeadSize:min(doff, have)])
	}
	if name == "" {
		t.note(amqpBroken)
		d.stream(t, dir, amqpPayload, int64(size-doff), true, true)
		return doff, 0, nil
	}
	p := b[doff : doff+length]
	t.add(amqpArguments, p)
	d.performative(t, p[2], p[3:])
	d.stream(t, dir, amqpBody, int64(size-doff-length), true, true)
	return doff + length, 0, nil
}

// amqp1Length returns the length of a described list: 0 if it is not there, or none.
func amqp1Length(b []byte) int {
	if len(b) < 4 || b[0] != 0 || b[1] != 0x53 {
		return 0
	}
	n := 3
	switch b[3] {
	case 0x45:
		n++
	case 0xc0:
		if len(b) < 5 {
			return 0
		}
		n += 2 + int(b[4])
	case 0xd0:
		if len(b) < 8 {
			return 0
		}
		size := binary.BigEndian.Uint32(b[4:])
		if size > amqpMaxFrame {
			return 0
		}
		n += 5 + int(size)
	default:
		return 0
	}
	if n > len(b) {
		return 0
	}
	return n
}

// performative tells what has a field of a performative's list.
func (d *amqp) performative(t *teller, code uint8, list []byte) {
	item := 0
	amqp1Items(list, func(form byte, v []byte) {
		switch {
		case code == 0x10 && item == 1: // hostname
			t.add(amqpHostname, v)
		case code == 0x41 && item == 0:
			t.add(amqpMechanism, v)
		case code == 0x41 && item == 1, code == 0x43 && item == 0:
			amqpPlain(t, v)
		case code == 0x12 && (item == 5 || item == 6) && form == 0: // source and target: described lists, their address first
			first := true
			amqp1Items(v, func(_ byte, a []byte) {
				if first {
					t.add(amqpAddress, a)
				}
				first = false
			})
		}
		item++
	})
}

// amqp1Items calls fn with each item of a list: part 1.2. The value of a described type comes with form 0 and its constructor.
func amqp1Items(list []byte, fn func(form byte, v []byte)) {
	c := wire.Cut(list)
	count := 0
	switch c.U8() {
	case 0xc0:
		c = c.Vec8()
		count = int(c.U8())
	case 0xd0:
		c = wire.Cut(c.Bytes(int(c.U32())))
		count = int(c.U32())
	}
	for ; count > 0 && c.Len() > 0; count-- {
		form := c.U8()
		if form == 0 {
			amqp1Value(&c, c.U8())
			v := c.Rest()
			amqp1Value(&c, c.U8())
			if !c.Short() {
				fn(0, v[:len(v)-c.Len()])
			}
			continue
		}
		if v := amqp1Value(&c, form); !c.Short() {
			fn(form, v)
		}
	}
}

// amqp1Value reads what follows a constructor: part 1.2.2.
func amqp1Value(c *wire.Cursor, form byte) []byte {
	switch form >> 4 {
	case 4:
		return nil
	case 5:
		return c.Bytes(1)
	case 6:
		return c.Bytes(2)
	case 7:
		return c.Bytes(4)
	case 8:
		return c.Bytes(8)
	case 9:
		return c.Bytes(16)
	case 0xa, 0xc, 0xe:
		return c.Bytes(int(c.U8()))
	case 0xb, 0xd, 0xf:
		return c.Bytes(int(c.U32()))
	}
	c.Skip(-1)
	return nil
}

// probeAMQP1 says Yes to a frame of AMQP 1.0 that begins with a performative.
func probeAMQP1(head []byte) Guess {
	c := wire.Cut(head)
	size, doff, kind := c.U32(), c.U8(), c.U8()
	c.U16()
	z, code, name := c.U8(), c.U8(), c.U8()
	list := c.U8()
	n := len(head)
	switch {
	case n > 3 && (size < 12 || size > 1<<20), n > 4 && doff != 2, n > 5 && kind > 1, n > 8 && z != 0, n > 9 && code != 0x53,
		n > 10 && amqp1Names[name] == "", n > 11 && list != 0x45 && list != 0xc0 && list != 0xd0, n > 1 && head[1] > 16:
		return No
	case n < 12:
		return Maybe
	}
	return Yes
}
