package dissect

import (
	"errors"

	"weir/wire"
)

// MQTT is MQTT 3.1, 3.1.1 and 5.0. What the version says nothing of where CONNECT was not seen - a PUBLISH's properties - is part of the
// payload then.
var MQTT = Protocol{
	Name: "mqtt",
	About: "MQTT 3.1, 3.1.1 and 5.0 (OASIS). A packet and those that acknowledge it are an exchange. Fields and event are built by kind of " +
		"packet, as `mqtt.publish.topic`; flags are told of every kind.",
	Carrier: Stream,
	Ports:   []uint16{1883},
	Probe:   probeMQTT,
	Fields:  mqttFields(),
	New:     newMQTT,
	Resume:  resumeMQTT,
}

// Kinds of packets, section 2.1.2.
const (
	mqttConnect = 1 + iota
	mqttConnAck
	mqttPublish
	mqttPubAck
	mqttPubRec
	mqttPubRel
	mqttPubComp
	mqttSubscribe
	mqttSubAck
	mqttUnsubscribe
	mqttUnsubAck
	mqttPingReq
	mqttPingResp
	mqttDisconnect
	mqttAuth
	mqttKinds
)

// ours
const (
	mqttMaxPacket  = 256 << 10 // bytes of a packet other than PUBLISH; a longer one is inspected as it streams
	mqttMaxHead    = 128 << 10 // bytes of a PUBLISH before its payload
	mqttMaxPending = 64        // packets that wait for their acknowledgement; then the oldest exchange ends without
	mqttSize       = 512
)

var (
	errMQTT       = errors.New("mqtt: no packet")
	errMQTTLength = errors.New("mqtt: a remaining length of more than four bytes")
)

// mqttNotes are violations.
var (
	mqttTooLong   = Note{"mqtt.too_long", false, "a packet other than PUBLISH of more than 256 KiB: inspected as it came"}
	mqttMalformed = Note{"mqtt.malformed_packet", false, "a packet that is not what its kind says: the rest of it is inspected as it came"}
	mqttBadQoS    = Note{"mqtt.invalid_qos", false, "quality of service 3, which there is not"}
	mqttNoConnect = Note{"mqtt.missing_connect", false, "a client that sends packets before CONNECT"}
	mqttTwice     = Note{"mqtt.double_connect", false, "a second CONNECT in a connection"}
)

// mqttWaiting is an exchange that is not over.
type mqttWaiting struct {
	tx   uint64
	id   uint16
	ack  uint8 // kind of packet that goes on with it
	from wire.Dir
}

// mqtt parses one connection.
type mqtt struct {
	framed
	waiting []mqttWaiting
	version uint8
	first   [2]bool // a packet was seen in this direction
}

func newMQTT(p *Protocol, env *Env) Dissector {
	d := &mqtt{}
	d.framed = makeFramed(p, env, d.packet)
	return d
}

func resumeMQTT(p *Protocol, env *Env, r Rest) Dissector {
	d := newMQTT(p, env).(*mqtt)
	d.resume(r)
	d.version, d.first = uint8(r.State), [2]bool{r.State&(1<<8) != 0, r.State&(1<<9) != 0}
	return d
}

// Rest implements Dissector.
func (d *mqtt) Rest() (Rest, bool) {
	r, ok := d.quiet()
	r.State = uint64(d.version) | bit(d.first[0])<<8 | bit(d.first[1])<<9
	return r, ok && len(d.waiting) == 0
}

// Size implements Dissector.
func (d *mqtt) Size() int { return mqttSize + 16*cap(d.waiting) }

// mqttHead reads a fixed header: kind and flags, and the length of what follows. ok is 0 if more bytes are needed, -1 if it is none.
func mqttHead(b []byte) (length, n, ok int) {
	for i := 1; i < len(b); i++ {
		length |= int(b[i]&0x7f) << (7 * (i - 1))
		if b[i]&0x80 == 0 {
			return length, i + 1, 1
		}
		if i == 4 {
			return 0, 0, -1
		}
	}
	return 0, 0, 0
}

// packet takes a packet, or a PUBLISH up to its payload.
func (d *mqtt) packet(t *teller, dir wire.Dir, b []byte) (n, need int, err error) {
	length, head, ok := mqttHead(b)
	switch {
	case ok < 0:
		return 0, 0, errMQTTLength
	case ok == 0:
		return 0, 1, nil
	}
	kind := b[0] >> 4
	if kind == 0 || kind == mqttPublish && length < 2 {
		return 0, 0, errMQTT
	}
	whole := head + length
	switch {
	case kind == mqttPublish:
		return d.publish(t, dir, b, head, whole)
	case length > mqttMaxPacket:
		d.open(t, dir, b[0], 0, 0)
		t.note(mqttTooLong)
		d.stream(t, dir, mqttPayload, int64(length), true, true)
		return head, 0, nil
	case len(b) < whole:
		return 0, whole - len(b), nil
	}
	d.body(t, dir, b[0], b[head:whole])
	return whole, 0, nil
}

// open begins a packet's message, in the exchange that waits for it if there is one. ack is the kind that goes on with the exchange: 0 if none.
func (d *mqtt) open(t *teller, dir wire.Dir, first uint8, id uint16, ack uint8) (over bool) {
	kind := first >> 4
	i := d.find(dir, kind, id)
	over = ack == 0
	switch {
	case i >= 0:
		d.beginTx(dir, d.waiting[i].tx)
		if over {
			d.waiting = append(d.waiting[:i], d.waiting[i+1:]...)
		} else {
			d.waiting[i].ack, d.waiting[i].from = ack, dir
		}
	default:
		d.begin(dir)
		if !over {
			d.wait(t, mqttWaiting{d.lastTx, id, ack, dir})
		}
	}
	if !d.first[dir] {
		d.first[dir] = true
		if dir == wire.ToServer && kind != mqttConnect {
			t.note(mqttNoConnect)
		}
	} else if kind == mqttConnect {
		t.note(mqttTwice)
	}
	t.addString(mqttType, mqttNames[kind])
	flags := mqttFlags + Field(kind-1)*mqttFlagCount
	t.number(flags, int64(first>>1&3))
	t.addString(flags+1, truth(first&1 != 0))
	t.addString(flags+2, truth(first&8 != 0))
	if first>>1&3 == 3 {
		t.note(mqttBadQoS)
	}
	return over
}

// wait remembers an exchange; the oldest of too many goes on as new ones.
func (d *mqtt) wait(t *teller, w mqttWaiting) {
	if len(d.waiting) == mqttMaxPending {
		d.waiting = append(d.waiting[:0], d.waiting[1:]...)
	}
	d.waiting = append(d.waiting, w)
}

func (d *mqtt) find(dir wire.Dir, kind uint8, id uint16) int {
	for i, w := range d.waiting {
		if w.ack == kind && w.id == id && w.from != dir {
			return i
		}
	}
	return -1
}

func truth(b bool) string {
	if b {
		return "true"
	}
	return "false"
}

// publish takes a PUBLISH up to its payload: section 3.3.
func (d *mqtt) publish(t *teller, dir wire.Dir, b []byte, head, whole int) (n, need int, err error) {
	c := wire.Cut(b[head:min(len(b), whole)])
	left := whole - min(len(b), whole) // bytes to come
	topic := c.Bytes(int(c.U16()))
	var id uint16
	qos := b[0] >> 1 & 3
	if qos > 0 {
		id = c.U16()
	}
	var props wire.Cursor
	if d.version == 5 {
		props = mqttProperties(&c)
	}
	if c.Short() {
		switch {
		case left == 0:
			d.open(t, dir, b[0], 0, 0)
			t.note(mqttMalformed)
			t.add(mqttPayload, b[head:whole])
			d.done(t, dir, true)
			return whole, 0, nil
		case len(b)-head > mqttMaxHead:
			return 0, 0, errMQTT
		}
		return 0, 1, nil
	}
	over := d.open(t, dir, b[0], id, [...]uint8{0, mqttPubAck, mqttPubRec, 0}[qos])
	t.add(mqttTopic, topic)
	if qos > 0 {
		t.number(mqttPublishID, int64(id))
	}
	d.properties(t, props, mqttPublish)
	d.stream(t, dir, mqttMessage, int64(c.Len()+left), true, over)
	return min(len(b), whole) - c.Len(), 0, nil
}

// body takes a packet that is whole.
func (d *mqtt) body(t *teller, dir wire.Dir, first uint8, b []byte) {
	c := wire.Cut(b)
	kind := first >> 4
	over := true
	switch kind {
	case mqttConnect:
		over = d.open(t, dir, first, 0, mqttConnAck)
		d.connect(t, &c)
	case mqttConnAck:
		d.open(t, dir, first, 0, 0)
		t.addString(mqttSessionPresent, truth(c.U8()&1 != 0))
		t.number(mqttReturnCode, int64(c.U8()))
		if d.version == 5 {
			d.properties(t, mqttProperties(&c), kind)
		}
	case mqttDisconnect, mqttAuth:
		d.open(t, dir, first, 0, 0)
		if c.Len() > 0 {
			t.number(mqttReasons+Field(kind), int64(c.U8()))
		} else if d.version == 5 {
			t.number(mqttReasons+Field(kind), 0)
		}
		if c.Len() > 0 {
			d.properties(t, mqttProperties(&c), kind)
		}
	case mqttPingReq, mqttPingResp:
		over = d.open(t, dir, first, 0, [...]uint8{mqttPingReq: mqttPingResp, mqttPingResp: 0}[kind])
	default:
		over = d.numbered(t, dir, first, &c)
	}
	if c.Short() {
		t.note(mqttMalformed)
		t.add(mqttPayload, b)
	} else if c.Len() > 0 {
		t.note(mqttMalformed)
		t.add(mqttPayload, c.Rest())
	}
	d.done(t, dir, over)
}

// numbered takes a packet that begins with a packet identifier.
func (d *mqtt) numbered(t *teller, dir wire.Dir, first uint8, c *wire.Cursor) (over bool) {
	kind := first >> 4
	id := c.U16()
	over = d.open(t, dir, first, id, [mqttKinds]uint8{
		mqttPubRec: mqttPubRel, mqttPubRel: mqttPubComp, mqttSubscribe: mqttSubAck, mqttUnsubscribe: mqttUnsubAck,
	}[kind])
	t.number(mqttIDs+Field(kind), int64(id))
	switch kind {
	case mqttSubscribe, mqttUnsubscribe, mqttSubAck, mqttUnsubAck:
		if d.version == 5 {
			d.properties(t, mqttProperties(c), kind)
		}
		for c.Len() > 0 {
			switch kind {
			case mqttSubscribe:
				topic := c.Bytes(int(c.U16()))
				opts := c.U8()
				v := t.value()
				t.row(mqttSubTopic, v, topic)
				t.rowNumber(mqttSubQoS, v, int64(opts&3))
			case mqttUnsubscribe:
				t.add(mqttUnsubTopic, c.Bytes(int(c.U16())))
			default:
				t.number(mqttReasons+Field(kind), int64(c.U8()))
			}
		}
	default:
		if d.version == 5 && c.Len() == 0 && !c.Short() {
			t.number(mqttReasons+Field(kind), 0)
		} else if c.Len() > 0 {
			t.number(mqttReasons+Field(kind), int64(c.U8()))
		}
		if c.Len() > 0 {
			d.properties(t, mqttProperties(c), kind)
		}
	}
	return over
}

// connect takes what CONNECT says: section 3.1.
func (d *mqtt) connect(t *teller, c *wire.Cursor) {
	name := c.Bytes(int(c.U16()))
	level, flags := c.U8(), c.U8()
	c.U16() // keep alive
	d.version = level & 0x7f
	t.add(mqttProtocol, name)
	t.number(mqttVersion, int64(d.version))
	for i, f := range [...]Field{mqttHasUser, mqttHasPassword, mqttWillRetain} {
		t.addString(f, truth(flags>>(7-i)&1 != 0))
	}
	t.addString(mqttHasWill, truth(flags&4 != 0))
	t.addString(mqttClean, truth(flags&2 != 0))
	if d.version == 5 {
		d.properties(t, mqttProperties(c), mqttConnect)
	}
	t.add(mqttClientID, c.Bytes(int(c.U16())))
	if flags&4 != 0 {
		if d.version == 5 {
			d.properties(t, mqttProperties(c), mqttWill)
		}
		t.add(mqttWillTopic, c.Bytes(int(c.U16())))
		t.add(mqttWillMessage, c.Bytes(int(c.U16())))
	}
	if flags&0x80 != 0 {
		t.add(mqttUser, c.Bytes(int(c.U16())))
	}
	if flags&0x40 != 0 {
		t.add(mqttPassword, c.Bytes(int(c.U16())))
	}
}
