package dissect

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"

	"weir/wire"
)

// QUIC is QUIC of version 1 (RFC 9000, RFC 9001), version 2 (RFC 9369), the drafts before them and Google's QUIC. The keys of Initial packets
// follow from what stands in them: what both ends' hellos say is told as TLS tells it. All that follows is ciphertext.
var QUIC = Protocol{
	Name: "quic",
	About: "QUIC 1 and 2 (RFC 9000, RFC 9369), their drafts, and Google's QUIC. Initial packets are decrypted, also where a hello comes in " +
		"several: what TLS says in them is told with the fields of `tls`, in an event `quic`. The rest is counted as not looked into " +
		"(`weir.uninspected`, reason `encrypted`).",
	Carrier: Datagram, Ports: []uint16{443, 784, 853, 8443}, Probe: probeQUIC, New: newQUIC, Resume: resumeQUIC,
	Fields: slices.Concat(quicTLSFields(), []FieldSpec{
		quicVersion:   {Name: "quic.version", Doc: "version of the client's first packet, as `1`, `Q046`, `draft-29` or hex", EVE: "version"},
		quicUserAgent: {Name: "quic.user_agent", Doc: "what the client calls itself (Google's QUIC)", EVE: "ua"},
		quicCYUHash:   {Name: "quic.cyu_hash", Doc: "CYU of the client (Google's QUIC), MD5 in hex", EVE: "cyu.hash", Derived: true},
		quicCYU:       {Name: "quic.cyu", Doc: "what CYU is the hash of: version and tags", EVE: "cyu.string", Derived: true},
		quicReason:    {Name: "quic.reason", Doc: "reason of a CONNECTION_CLOSE in an Initial packet"},
	}[quicVersion:]),
}

// quicTLSFields are the fields of TLS. In an event of QUIC `version` is that of QUIC, as in EVE.
func quicTLSFields() []FieldSpec {
	fields := slices.Clone(TLS.Fields)
	fields[tlsVersion].EVE = "tls_version"
	return fields
}

// Fields of QUIC: those of TLS, and behind them its own.
const (
	quicVersion Field = tlsAlert + 1 + iota
	quicUserAgent
	quicCYUHash
	quicCYU
	quicReason
)

// from the specification
const (
	quicLong       = 0x80 // bit of the first byte: long header, RFC 9000 section 17.2
	quicFixed      = 0x40 // bit of the first byte: always set, unless greased (RFC 9287)
	quicMaxCID     = 20   // bytes of a connection id in the versions that are known
	quicInitial    = 0    // long packet types of version 1
	quicRetry      = 3    //
	quicSampleAt   = 4    // bytes from the packet number to the sample, RFC 9001 section 5.4.2
	quicTag        = 16   // bytes of the authentication tag
	quicInitialMin = 1200 // bytes of a datagram with a client's Initial, RFC 9000 section 14.1
)

// ours
const (
	quicMaxHello   = 32 << 10 // bytes of a direction's handshake messages; what lies beyond is not looked at
	quicMaxPackets = 64       // Initial packets of a connection that are decrypted
	quicMaxSpans   = 64       // pieces of a hello that are apart
)

var errQUIC = errors.New("quic: not a QUIC packet")

// quic parses one flow.
type quic struct {
	tls     tls // what hellos tell
	version uint32
	keys    *quicKeys // of the Initial packets; nil: not known, or not needed any more
	side    [2]spans  // CRYPTO data of both directions
	packets uint8     // Initial packets that were decrypted, or not
	begun   bool      // version was told
	done    bool      // what can be told was
	plain   bool      // Google's QUIC up to Q043: public headers, the hello in the clear
}

func newQUIC(p *Protocol, env *Env) Dissector {
	return &quic{tls: tls{p: p, env: env, tx: 1, letter: 'q'}}
}

// Feed implements Dissector.
func (d *quic) Feed(dir wire.Dir, data []byte, emit func(*Message)) (Progress, error) {
	d.tls.emit, d.tls.dir = emit, dir
	defer func() { d.tls.emit = nil }()
	if len(data) == 0 {
		return Progress{}, nil
	}
	pr := Progress{Used: len(data), Opaque: len(data)}
	if !d.begun && quicGoogle(data) {
		return d.google(data)
	}
	for b := data; len(b) > 0 && b[0]&quicLong != 0 && !d.plain; {
		h, ok := readQUIC(b)
		if !ok {
			break
		}
		d.packet(&h, b[:h.size])
		b = b[h.size:]
	}
	if !d.begun {
		return Progress{}, errQUIC
	}
	return pr, nil
}

// packet deals with a packet that has a long header.
func (d *quic) packet(h *quicHeader, b []byte) {
	if d.done && h.initial && d.tls.dir == wire.ToServer && len(b) >= quicInitialMin && len(h.dcid) >= 8 && h.salts() != nil { // another connection between the same ends
		d.tls.tx++
		d.tls = tls{p: d.tls.p, env: d.tls.env, emit: d.tls.emit, dir: d.tls.dir, tx: d.tls.tx, lastID: d.tls.lastID, letter: 'q'}
		*d = quic{tls: d.tls}
	}
	if !d.begun && h.version != 0 {
		d.begun, d.version = true, h.version
	}
	d.begun = true
	if !h.initial || d.done || d.packets >= quicMaxPackets {
		return
	}
	d.packets++
	frames := d.open(h, b)
	if frames == nil {
		return
	}
	if h.google {
		d.chlo(frames)
		return
	}
	d.frames(frames)
	d.hellos()
}

// open decrypts an Initial packet, nil if that is not possible. The keys are those that the client's first packet gives, or the first after a Retry.
func (d *quic) open(h *quicHeader, b []byte) []byte {
	server := d.tls.dir == wire.ToClient
	x := d.env()
	if d.keys != nil {
		if out := d.keys.open(x, h, b, server); out != nil || server {
			return out
		}
	}
	if server && d.keys == nil { // its client was not seen: nothing to make keys of
		return nil
	}
	for _, salt := range h.salts() {
		keys := newQUICKeys(salt, h)
		if keys == nil {
			return nil
		}
		if out := keys.open(x, h, b, false); out != nil {
			d.keys = keys
			return out
		}
	}
	return nil
}

func (d *quic) env() *tlsScratch { return d.tls.env.tlsScratch() }

// frames collects the CRYPTO data of an Initial packet.
func (d *quic) frames(b []byte) {
	for c := wire.Cut(b); c.Len() > 0 && !c.Short(); {
		typ := c.U8()
		if typ == 8 && d.version>>24 == 'T' { // Google's number for it
			typ = 6
		}
		switch typ {
		case 0, 1: // PADDING, PING
		case 2, 3: // ACK
			quicVar(&c)
			quicVar(&c)
			n := quicVar(&c)
			for quicVar(&c); n > 0 && !c.Short(); n-- {
				quicVar(&c)
				quicVar(&c)
			}
			if typ == 3 {
				quicVar(&c)
				quicVar(&c)
				quicVar(&c)
			}
		case 6: // CRYPTO
			off := quicVar(&c)
			data := c.Bytes(int(min(quicVar(&c), 1<<20)))
			if !c.Short() {
				d.side[d.tls.dir].add(off, data, quicMaxHello, quicMaxSpans)
			}
		case 0x1c: // CONNECTION_CLOSE
			quicVar(&c)
			quicVar(&c)
			reason := c.Bytes(int(min(quicVar(&c), 1<<20)))
			if len(reason) > 0 {
				s := &d.tls.side[d.tls.dir]
				d.tls.begin(s)
				d.tls.add(s, quicReason, reason)
				d.tls.end(s, false)
			}
			return
		default:
			return
		}
	}
}

// hellos tells the hello of the present direction once it is there.
func (d *quic) hellos() {
	m := d.side[d.tls.dir].message()
	if m == nil {
		return
	}
	s := &d.tls.side[d.tls.dir]
	switch {
	case m[0] == clientHello && !d.tls.hello:
		d.tls.first = d.tellVersion
		d.tls.clientHello(s, m[tlsMessage:])
		d.tls.first = nil
		d.side[d.tls.dir] = spans{}
	case m[0] == serverHello && !d.tls.answer:
		d.tls.serverHello(s, m[tlsMessage:])
		if d.tls.answer {
			d.finish()
		}
	}
}

// finish lets go of what is not needed any more.
func (d *quic) finish() { d.done, d.keys, d.side = true, nil, [2]spans{} }

// tellVersion tells what stands beside the hello.
func (d *quic) tellVersion(s *tlsSide) {
	if d.tls.wants(quicVersion) {
		d.tls.add(s, quicVersion, d.env().keep(func(b []byte) []byte { return appendQUICVersion(b, d.version) }))
	}
}

// google deals with the first packet of Google's QUIC with a public header.
func (d *quic) google(b []byte) (Progress, error) {
	d.begun, d.plain = true, true
	d.version = binary.BigEndian.Uint32(b[9:])
	d.chlo(b)
	d.done = true
	return Progress{Used: len(b)}, nil
}

// chlo tells the client hello of Google's QUIC, if it is in b: tags, each with the end of its value.
func (d *quic) chlo(b []byte) {
	at := bytes.Index(b, []byte("CHLO"))
	if at < 0 {
		return
	}
	c := wire.Cut(b[at+4:])
	head := c.Bytes(4)
	if head == nil {
		return
	}
	n := int(binary.LittleEndian.Uint16(head))
	tags := c.Bytes(8 * n)
	if tags == nil {
		return
	}
	x, s := d.env(), &d.tls.side[d.tls.dir]
	d.tls.hello = true
	d.tls.begin(s)
	d.tellVersion(s)
	values, last := c.Rest(), 0
	for t := tags; len(t) > 0; t = t[8:] {
		end := int(min(binary.LittleEndian.Uint32(t[4:]), 1<<20))
		if end < last || last > len(values) {
			break
		}
		v := values[last:min(end, len(values))]
		last = end
		switch string(t[:4]) {
		case "SNI\x00":
			d.tls.add(s, tlsSNI, v)
		case "UAID":
			d.tls.add(s, quicUserAgent, v)
		}
	}
	if d.tls.wants(quicCYU) || d.tls.wants(quicCYUHash) {
		text := x.keep(func(out []byte) []byte { return appendCYU(out, d.version, tags) })
		if d.tls.wants(quicCYUHash) {
			d.tls.add(s, quicCYUHash, x.keep(func(out []byte) []byte { return appendMD5(out, text) }))
			s.values-- // both are of one object
		}
		d.tls.add(s, quicCYU, text)
	}
	d.tls.end(s, true)
	d.finish()
}

// appendCYU writes version and tags: "46,PAD-SNI-STK".
func appendCYU(b []byte, version uint32, tags []byte) []byte {
	b = append(b, byte(version>>8), byte(version), ',')
	for i := 0; i < len(tags); i += 8 {
		if i > 0 {
			b = append(b, '-')
		}
		b = append(b, bytes.TrimRight(tags[i:i+4], "\x00")...)
	}
	return b
}

// Gap implements Dissector.
func (d *quic) Gap(wire.Dir, int, func(*Message)) bool { return true }

// Close implements Dissector: the exchange of a client that nobody answered.
func (d *quic) Close(dir wire.Dir, emit func(*Message)) {
	d.tls.emit, d.tls.dir = emit, dir
	d.tls.Close(dir, emit)
}

// Rest implements Dissector.
func (d *quic) Rest() (Rest, bool) {
	return Rest{ID: d.tls.lastID, Tx: d.tls.tx, State: bit(d.plain)}, d.done
}

func resumeQUIC(p *Protocol, env *Env, r Rest) Dissector {
	d := newQUIC(p, env).(*quic)
	d.tls.lastID, d.tls.tx, d.begun, d.done, d.plain = r.ID, r.Tx, true, true, r.State&1 != 0
	return d
}

// Size implements Dissector.
func (d *quic) Size() int {
	n := 256 + d.side[0].size() + d.side[1].size()
	if d.keys != nil {
		n += quicKeysSize
	}
	return n
}
