package dissect

import (
	"encoding/binary"
	"strconv"

	"weir/wire"
)

const (
	tdsEnd     = 1 // in a packet's status: the last of its message
	tdsMinText = 3 // characters of UTF-16 in a row that are told as text
)

var tdsEnvelope = enveloping{head: tdsHeader, size: tdsSize, tell: tdsTell, data: tdsData, pair: tdsPair}

var tdsNames = map[uint8]string{
	tdsBatch: "batch", tdsOldLogin: "login", tdsRPC: "rpc", tdsResponse: "response", tdsAttention: "attention", 0x07: "bulk", 0x08: "token", 0x0e: "transaction",
	tdsLogin: "login", 0x11: "sspi", tdsPrelogin: "prelogin",
}

func tdsSize(d *enveloped, dir wire.Dir, b []byte) int {
	if b[0] >= recordCCS && b[0] <= recordData && b[1] == 3 && b[2] <= 4 { // TLS
		return tlsHeader + int(binary.BigEndian.Uint16(b[3:]))
	}
	if tdsNames[b[0]] == "" || b[1] > 0x1f {
		return 0
	}
	return int(binary.BigEndian.Uint16(b[2:]))
}

// tdsPair pairs requests with answers, which come in their order. Who gives up a request by `attention` gets one answer to both.
func tdsPair(d *enveloped, dir wire.Dir, b []byte) (key uint64, asks, ok bool) {
	return 0, dir == wire.ToServer, !tdsSealed(b) && b[0] != tdsAttention
}

// tdsSealed reports whether a packet is TLS, or carries that.
func tdsSealed(b []byte) bool {
	return b[1] == 3 && b[0] >= recordCCS && tdsNames[b[0]] == "" ||
		b[0] == tdsPrelogin && len(b) > tdsHeader+2 && b[tdsHeader] >= recordCCS && b[tdsHeader] <= recordData && b[tdsHeader+1] == 3
}

// tdsTell tells a packet. A message may come in several.
func tdsTell(d *enveloped, t *teller, dir wire.Dir, b []byte) (n int, sealed bool) {
	s := &d.side[dir]
	if tdsSealed(b) {
		return len(b), true
	}
	first := !s.more
	s.more = b[1]&tdsEnd == 0
	typ, body := b[0], b[tdsHeader:]
	if first {
		t.addString(tdsMessage, tdsNames[typ])
	}
	switch typ {
	case tdsBatch:
		if first {
			body = tdsAllHeaders(body)
		}
		text := t.write(func(to []byte) []byte { return appendUTF16(to, body) })
		if first {
			sqlTell(t, text, false, tdsVerb, tdsTable)
			if s.text = (pieces{}); t.wants(tdsQuery) {
				s.text = pieces{field: tdsQuery, value: t.value()}
			}
		}
		t.at = -1
		s.text.more(t, text, false)
		return len(b), false
	case tdsPrelogin:
		tdsPreloginFields(t, body)
		return len(b), false
	case tdsLogin:
		if first && tdsLoginFields(t, body) {
			return len(b), true // what else is in it is not looked at
		}
	case tdsRPC:
		if first {
			body = tdsAllHeaders(body)
			c := wire.Cut(body)
			if size := int(mysqlUint(&c, 2)); size == 0xffff {
				t.number(tdsProcedure, int64(mysqlUint(&c, 2)))
			} else {
				tdsString(t, tdsProcedure, c.Bytes(2*size))
			}
			if !c.Short() {
				body = c.Rest()
			}
		}
	case tdsResponse:
		if first && len(body) > 5 && body[0] == 0 && body[4] == 6 {
			tdsPreloginFields(t, body)
			return len(b), false
		}
		if first {
			body = tdsTokens(t, body)
		}
	}
	if len(body) > 0 {
		tdsRuns(t, body)
		t.add(tdsData, body)
	}
	return len(b), false
}

// tdsAllHeaders returns what stands behind ALL_HEADERS, if they are there.
func tdsAllHeaders(b []byte) []byte {
	if len(b) >= 4 {
		if n := binary.LittleEndian.Uint32(b); n >= 4 && n <= 256 && int(n) <= len(b) {
			return b[n:]
		}
	}
	return b
}

// tdsString tells a string.
func tdsString(t *teller, f Field, b []byte) {
	if len(b) > 1 && t.wants(f) {
		t.add(f, t.write(func(to []byte) []byte { return appendUTF16(to, b) }))
	}
}

// tdsRuns tells the text in UTF-16 that b has: of Latin letters, as that of other scripts cannot be told from numbers.
func tdsRuns(t *teller, b []byte) {
	if !t.wants(tdsText) {
		return
	}
	text := t.write(func(to []byte) []byte {
		none := len(to)
		for i := 0; i+1 < len(b); {
			n := 0
			for i+2*n+1 < len(b) && b[i+2*n+1] == 0 && (b[i+2*n] >= ' ' && b[i+2*n] != 0x7f || b[i+2*n] == '\n' || b[i+2*n] == '\r' || b[i+2*n] == '\t') {
				n++
			}
			if n < tdsMinText {
				i++
				continue
			}
			if len(to) > none {
				to = append(to, '\t')
			}
			to = appendUTF16(to, b[i:i+2*n])
			i += 2 * n
		}
		return to
	})
	if len(text) > 0 {
		t.add(tdsText, text)
	}
}

// tdsPreloginFields tells the version in a PRELOGIN.
func tdsPreloginFields(t *teller, b []byte) {
	for c := wire.Cut(b); c.Len() > 0; {
		token, at, size := c.U8(), int(c.U16()), int(c.U16())
		if token == 0xff || c.Short() {
			break
		}
		if token == 0 && size == 6 && at+6 <= len(b) && t.wants(tdsVersion) {
			v := b[at : at+6]
			t.add(tdsVersion, t.write(func(to []byte) []byte {
				to = strconv.AppendUint(to, uint64(v[0]), 10)
				to = strconv.AppendUint(append(to, '.'), uint64(v[1]), 10)
				return strconv.AppendUint(append(to, '.'), uint64(binary.BigEndian.Uint16(v[2:])), 10)
			}))
		}
	}
	t.add(tdsData, b)
}

// tdsLoginFields tells a LOGIN7. It reports false if it is none.
func tdsLoginFields(t *teller, b []byte) bool {
	if len(b) < 86 || int(binary.LittleEndian.Uint32(b)) > len(b) {
		return false
	}
	at := func(i int) []byte {
		from, n := int(binary.LittleEndian.Uint16(b[36+4*i:])), int(binary.LittleEndian.Uint16(b[38+4*i:]))
		if from+2*n > len(b) {
			return nil
		}
		return b[from : from+2*n]
	}
	tdsString(t, tdsHost, at(0))
	tdsString(t, tdsUser, at(1))
	if p := at(2); len(p) > 0 && t.wants(tdsPassword) {
		t.add(tdsPassword, t.write(func(to []byte) []byte {
			var buf [256]byte
			n := 0
			for n < len(p) && n < len(buf) { // nibbles swapped, and all bits of 0xa5 flipped
				c := p[n] ^ 0xa5
				buf[n] = c<<4 | c>>4
				n++
			}
			return appendUTF16(to, buf[:n])
		}))
	}
	tdsString(t, tdsApp, at(3))
	tdsString(t, tdsText, at(4))
	tdsString(t, tdsText, at(6))
	tdsString(t, tdsDatabase, at(8))
	return true
}

// tdsTokens tells the tokens at the front of a response that events ask for, and returns what is behind them.
func tdsTokens(t *teller, b []byte) []byte {
	for len(b) >= 3 {
		n := int(binary.LittleEndian.Uint16(b[1:]))
		switch b[0] {
		case tdsError, tdsInfo, tdsLoginAck, tdsEnvChange:
		case tdsDone, tdsDoneProc, tdsDoneInProc:
			if n = 10; len(b) == 9 || len(b) > 9 && len(b) < 13 { // before TDS 7.2
				n = 6
			}
		default:
			return b
		}
		if 3+n > len(b) {
			return b
		}
		v := b[3 : 3+n]
		c := wire.Cut(v)
		switch b[0] {
		case tdsError, tdsInfo:
			code := int64(int32(mysqlUint(&c, 4)))
			c.Skip(2)
			text := c.Bytes(2 * int(mysqlUint(&c, 2)))
			if b[0] == tdsError {
				t.number(tdsErrorCode, code)
				tdsString(t, tdsErrorText, text)
			} else {
				tdsString(t, tdsText, text)
			}
		case tdsLoginAck:
			c.Skip(5)
			tdsString(t, tdsServerName, c.Bytes(2*int(c.U8())))
		case tdsEnvChange:
			tdsRuns(t, v)
		}
		b = b[3+n:]
	}
	return b
}
