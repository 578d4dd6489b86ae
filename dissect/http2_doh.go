package dissect

import (
	"bytes"
	"encoding/base64"

	"weir/wire"
)

// from the specification (RFC 8484).
const (
	dohType = "application/dns-message"
	dohSize = 64<<10 - 1 // bytes of a message, section 6
)

// dohTx is added to the exchanges of DNS messages, which are counted for themselves.
const dohTx = 1 << 32

// doh tells DNS messages that a connection carries (RFC 8484) as DNS, beside the bodies that they are.
type doh struct {
	d    Dissector
	h    *http2
	emit func(*Message) // stored once
	from uint64         // ID of the DNS message in hand, and what it is here
	to   uint64
}

// dns takes a DNS message that went in a direction.
func (d *http2) dns(dir wire.Dir, b []byte) {
	if len(b) == 0 {
		return
	}
	if d.doh == nil {
		d.doh = &doh{d: newDNS(&DNS, d.h.env), h: d}
		d.doh.emit = d.doh.tell
	}
	_, _ = d.doh.d.Feed(dir, b, d.doh.emit) // what is no DNS message remains a body
}

// tell passes a DNS message on, with numbers of this connection.
func (o *doh) tell(m *Message) {
	id, tx := m.ID, m.Tx
	if id != o.from {
		o.h.h.lastID++
		o.from, o.to = id, o.h.h.lastID
	}
	m.ID, m.Tx = o.to, tx+dohTx
	o.h.h.emit(m)
	m.ID, m.Tx = id, tx
}

// dohBody keeps a piece of a body that is a DNS message.
func (d *http2) dohBody(m *http2Message, b []byte) {
	if m.isDoH && m.chain == nil && len(m.doh)+len(b) <= dohSize {
		d.kept -= cap(m.doh)
		m.doh = append(m.doh, b...)
		d.kept += cap(m.doh)
	}
}

// dohPath takes the DNS message in the path of a GET: RFC 8484 section 4.1.1.
func (d *http2) dohPath(m *http2Message, path []byte) {
	i := bytes.Index(path, []byte("dns="))
	if i < 1 || path[i-1] != '?' && path[i-1] != '&' {
		return
	}
	v := path[i+len("dns="):]
	if i := bytes.IndexByte(v, '&'); i >= 0 {
		v = v[:i]
	}
	v = bytes.TrimRight(v, "=")
	b := make([]byte, base64.RawURLEncoding.DecodedLen(len(v)))
	if n, err := base64.RawURLEncoding.Decode(b, v); err == nil {
		m.doh = b[:n]
		d.kept += cap(m.doh)
	}
}
