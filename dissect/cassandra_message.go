package dissect

import (
	"bytes"
	"encoding/binary"

	"weir/wire"
)

// from the specification
const (
	cqlSegment       = 6 // bytes of the header of a segment of v5
	cqlSegmentPacked = 8 // likewise, where a compression was agreed on
	cqlSegmentEnd    = 4 // bytes of the checksum behind it
	cqlSegmentMask   = 1<<17 - 1
)

// Bits of the state of a connection.
const (
	cqlLZ4 = 1 << iota
	cqlSnappy
	cqlSegments // v5: what follows is in segments
)

var cqlNote = Note{"cassandra.undecodable", false, "a compressed body that does not decode, or to more than it may: not inspected"}

var cqlEnvelope = enveloping{head: cqlHeader, hold: 512 << 10, size: cqlSize, tell: cqlTell, data: cqlData, pair: cqlPair}

var cqlNames = [...]string{"error", "startup", "ready", "authenticate", "credentials", "options", "supported", "query", "result", "prepare", "execute", "register",
	"event", "batch", "auth_challenge", "auth_response", "auth_success"}

// cqlPair pairs a request with its answer by its stream, which is negative for what a server tells by itself. Frames in segments are paired there.
func cqlPair(d *enveloped, dir wire.Dir, b []byte) (key uint64, asks, ok bool) {
	if d.state&cqlSegments != 0 {
		return 0, false, false
	}
	return cqlStream(dir, b)
}

func cqlStream(dir wire.Dir, frame []byte) (key uint64, asks, ok bool) {
	stream := binary.BigEndian.Uint16(frame[2:])
	return uint64(stream), dir == wire.ToServer, int16(stream) >= 0
}

func cqlSize(d *enveloped, dir wire.Dir, b []byte) int {
	if d.state&cqlSegments != 0 {
		n := int(b[0]) | int(b[1])<<8 | int(b[2])<<16
		if n &= cqlSegmentMask; d.state&cqlLZ4 != 0 {
			return max(cqlSegmentPacked+n+cqlSegmentEnd, cqlHeader)
		}
		return cqlSegment + n + cqlSegmentEnd
	}
	version, size := b[0]&^cqlResponse, int64(binary.BigEndian.Uint32(b[5:]))
	if version < 3 || version > 6 || (b[0]&cqlResponse != 0) != (dir == wire.ToClient) || size > cqlMaxFrame || b[4] > cqlOpLast {
		return 0
	}
	return cqlHeader + int(size)
}

// cqlTell tells a frame, or the frames in a segment.
func cqlTell(d *enveloped, t *teller, dir wire.Dir, b []byte) (n int, sealed bool) {
	if d.state&cqlSegments == 0 {
		return d.cqlFrame(t, dir, b)
	}
	header := uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16 | uint64(b[3])<<24 | uint64(b[4])<<32
	body, whole := b[cqlSegment:max(cqlSegment, len(b)-cqlSegmentEnd)], header>>17&1 != 0
	if d.state&cqlLZ4 != 0 {
		whole = header>>34&1 != 0
		body = b[cqlSegmentPacked:max(cqlSegmentPacked, len(b)-cqlSegmentEnd)]
		if plain := int(header >> 17 & cqlSegmentMask); plain > 0 {
			u := unpacking{env: d.env, limit: plain}
			err := u.lz4Block(body, 0)
			defer d.env.give(cap(u.out))
			if body = u.out; err != nil || len(b) == d.f.hold {
				t.note(cqlNote)
				return len(b), true
			}
		}
	}
	for first := true; whole && len(body) >= cqlHeader; first = false {
		size := int64(binary.BigEndian.Uint32(body[5:]))
		if size > int64(len(body)-cqlHeader) {
			break
		}
		frame := body[:cqlHeader+size]
		if !first {
			t.flush(true, !d.side[dir].waits)
			d.open(dir)
		}
		key, asks, ok := cqlStream(dir, frame)
		d.paired(dir, key, asks, ok)
		if n, _ := d.cqlFrame(t, dir, frame); n < len(frame) {
			t.add(cqlData, frame[n:])
		}
		body = body[len(frame):]
	}
	if len(body) > 0 { // a frame in several segments
		t.add(cqlData, body)
	}
	t.flush(false, false)
	return len(b), false
}

// cqlFrame tells what is at the front of a frame; what it does not use is told as data.
func (d *enveloped) cqlFrame(t *teller, dir wire.Dir, b []byte) (n int, sealed bool) {
	op, flags, body := b[4], b[1], b[cqlHeader:]
	version := b[0] &^ cqlResponse
	t.number(cqlVersion, int64(version))
	if int(op) < len(cqlNames) {
		t.addString(cqlOpcode, cqlNames[op])
		if dir == wire.ToClient {
			t.addString(cqlAnswer, cqlNames[op])
		}
	}
	if d.state&cqlSegments == 0 && version >= 5 && (op == cqlReady || op == cqlAuthenticate) {
		d.state |= cqlSegments
	}
	if flags&cqlFlagCompressed != 0 && version < 5 && len(body) > 4 {
		u := unpacking{env: d.env, limit: maxUnpacked}
		var err error
		if d.state&cqlLZ4 != 0 {
			u.limit = min(int(binary.BigEndian.Uint32(body)), maxUnpacked)
			err = u.lz4Block(body[4:], 0)
		} else {
			err = u.block(body)
		}
		defer d.env.give(cap(u.out))
		if err != nil || len(b) == d.f.hold {
			t.note(cqlNote)
			return len(b), true
		}
		if n := d.cqlBody(t, op, flags, u.out); n < len(u.out) {
			t.add(cqlData, u.out[n:])
		}
		t.flush(false, false)
		return len(b), false
	}
	return cqlHeader + d.cqlBody(t, op, flags, body), false
}

// cqlBody tells what it knows at the front of a body, and returns its length.
func (d *enveloped) cqlBody(t *teller, op, flags uint8, b []byte) int {
	c := wire.Cut(b)
	if flags&cqlFlagTracing != 0 && cqlFromServer(op) {
		c.Skip(16)
	}
	if flags&(cqlFlagWarning|cqlFlagPayload) != 0 {
		return 0
	}
	switch op {
	case cqlStartup:
		if bytes.Contains(b, []byte("COMPRESSION\x00\x03lz4")) {
			d.state |= cqlLZ4
		} else if bytes.Contains(b, []byte("COMPRESSION\x00\x06snappy")) {
			d.state |= cqlSnappy
		}
		t.add(cqlOption, b)
		return len(b)
	case cqlQuery, cqlPrepare:
		text := c.Rest()
		if len(text) < 4 {
			return 0
		}
		text = text[4:min(len(text), 4+int(binary.BigEndian.Uint32(text)))]
		t.add(cqlText, text)
		sqlTell(t, text, false, cqlVerb, cqlTable)
		return len(b) - c.Len() + 4 + len(text)
	case cqlAuthResponse:
		t.add(cqlPassword, b)
		return len(b)
	case cqlResult:
		return len(b) - c.Len() + cqlResultRows(t, c.Rest())
	case cqlError:
		code := c.U32()
		text := c.Bytes(int(c.U16()))
		if c.Short() {
			return 0
		}
		t.number(cqlErrorCode, int64(code))
		t.add(cqlErrorText, text)
		return len(b) - c.Len()
	}
	return 0
}
