package dissect

import (
	"errors"

	"weir/wire"
)

// AMQP is the Advanced Message Queuing Protocol: 0-9-1, as RabbitMQ speaks it, and 1.0 (ISO/IEC 19464).
var AMQP = Protocol{
	Name: "amqp",
	About: "AMQP 0-9-1 (with its properties and content in several frames) and AMQP 1.0 (ISO/IEC 19464), with SASL. Each method, performative " +
		"or content has an event `amqp` of its own; heartbeats have none.",
	Carrier: Stream,
	Ports:   []uint16{5672},
	Probe:   probeAMQP,
	Fields: []FieldSpec{
		amqpVersion:    {Name: "amqp.version", Doc: "as `0-9-1` or `1.0`", EVE: "version", Derived: true},
		amqpMethod:     {Name: "amqp.method", Doc: "as `Basic.Publish`; of AMQP 1.0 the performative, as `transfer`", EVE: "method", Derived: true},
		amqpChannel:    {Name: "amqp.channel", Doc: "number of the channel", EVE: "channel", Number: true, Derived: true},
		amqpVHost:      {Name: "amqp.vhost", Doc: "virtual host that is opened", EVE: "vhost"},
		amqpExchange:   {Name: "amqp.exchange", Doc: "name of an exchange", EVE: "exchange"},
		amqpQueue:      {Name: "amqp.queue", Doc: "name of a queue", EVE: "queue"},
		amqpRoutingKey: {Name: "amqp.routing_key", Doc: "routing key", EVE: "routing_key"},
		amqpHostname:   {Name: "amqp.hostname", Doc: "AMQP 1.0: the host that is meant", EVE: "hostname", Derived: true},
		amqpAddress:    {Name: "amqp.address", Doc: "AMQP 1.0: source and target of a link", EVE: "address", Derived: true},
		amqpMechanism:  {Name: "amqp.mechanism", Doc: "SASL mechanism", EVE: "mechanism", Derived: true},
		amqpUser:       {Name: "amqp.user", Doc: "the user that SASL PLAIN names", EVE: "user", Derived: true},
		amqpResponse:   {Name: "amqp.sasl_response", Doc: "what SASL says, with the password; in no event", Privacy: Credential},
		amqpReplyCode:  {Name: "amqp.reply_code", Doc: "why a channel or connection is closed, or a message returned", EVE: "reply_code", Number: true, Derived: true},
		amqpReplyText:  {Name: "amqp.reply_text", Doc: "the same as text", EVE: "reply_text"},
		amqpArguments:  {Name: "amqp.arguments", Doc: "the arguments of a method that no other field has, as they came"},
		amqpProperties: {Name: "amqp.properties", Doc: "properties and headers of a content, as they came"},
		amqpBody:       {Name: "amqp.body", Doc: "the content; of AMQP 1.0 all sections of the message"},
		amqpPayload:    {Name: "amqp.payload", Doc: "frames that are none of these, as they came"},
	},
	PerMessage: true,
	New:        newAMQP,
	Resume:     resumeAMQP,
}

// Fields of AMQP.
const (
	amqpVersion Field = iota
	amqpMethod
	amqpChannel
	amqpVHost
	amqpExchange
	amqpQueue
	amqpRoutingKey
	amqpHostname
	amqpAddress
	amqpMechanism
	amqpUser
	amqpResponse
	amqpReplyCode
	amqpReplyText
	amqpArguments
	amqpProperties
	amqpBody
	amqpPayload
)

// from the specification of 0-9-1, section 2.3.
const (
	amqpFrameMethod    = 1
	amqpFrameHeader    = 2
	amqpFrameBody      = 3
	amqpFrameHeartbeat = 8
	amqpFrameEnd       = 0xce
	amqpHeadSize       = 7
)

// ours
const (
	amqpMaxFrame    = 256 << 10 // bytes of a method or header frame
	amqpMaxBody     = 1 << 30   // bytes of a body frame
	amqpMaxContents = 16        // contents of a direction that are under way at once, on as many channels
	amqpContentSize = 72
)

var (
	errAMQP    = errors.New("amqp: no frame")
	errAMQPEnd = errors.New("amqp: no end of a frame where its length says")
)

var (
	amqpBroken       = Note{"amqp.malformed_frame", false, "a frame that is not what its type says: inspected as it came"}
	amqpManyContents = Note{"amqp.too_many_contents", false, "more contents under way at once than are followed: the rest of one is inspected as a value of its own"}
)

// amqpContent is a content that is under way on a channel.
type amqpContent struct {
	unit    unit
	channel uint16
	begun   bool   // its header came
	left    uint64 // bytes of body to come
	value   uint32
	off     int64
}

// amqpSide is what is known of a direction.
type amqpSide struct {
	contents []amqpContent
	body     int  // index in contents of the frame in hand; -1: none is
	atEnd    bool // the end byte of a body frame follows
	one      bool // AMQP 1.0
	greeted  bool
}

// amqp parses one connection.
type amqp struct {
	framed
	of [2]amqpSide
}

func newAMQP(p *Protocol, env *Env) Dissector {
	d := &amqp{}
	d.framed = makeFramed(p, env, d.next)
	d.of[0].body, d.of[1].body = -1, -1
	return d
}

func resumeAMQP(p *Protocol, env *Env, r Rest) Dissector {
	d := newAMQP(p, env).(*amqp)
	d.resume(r)
	for i := range d.of {
		d.of[i].one, d.of[i].greeted = r.State>>(2*i)&1 != 0, r.State>>(2*i)&2 != 0
	}
	return d
}

// Rest implements Dissector.
func (d *amqp) Rest() (Rest, bool) {
	r, ok := d.quiet()
	for i := range d.of {
		s := &d.of[i]
		ok = ok && len(s.contents) == 0 && !s.atEnd
		r.State |= (bit(s.one) | bit(s.greeted)<<1) << (2 * i)
	}
	return r, ok
}

// Size implements Dissector.
func (d *amqp) Size() int {
	return framedSize + amqpContentSize*(cap(d.of[0].contents)+cap(d.of[1].contents))
}

// Close implements Dissector: contents that are not whole end here.
func (d *amqp) Close(dir wire.Dir, emit func(*Message)) {
	s := &d.of[dir]
	if s.body >= 0 {
		d.bodyDone(dir, s)
	}
	for i := range s.contents {
		d.env.teller(d.p, dir, &s.contents[i].unit, emit).flush(true, true)
	}
	s.contents = nil
	d.framed.Close(dir, emit)
}

// next takes a protocol header or a frame.
func (d *amqp) next(t *teller, dir wire.Dir, b []byte) (n, need int, err error) {
	s := &d.of[dir]
	if s.body >= 0 {
		d.bodyDone(dir, s)
	}
	if s.atEnd {
		s.atEnd = false
		if b[0] != amqpFrameEnd {
			return 0, 0, errAMQPEnd
		}
		return 1, 0, nil
	}
	if b[0] == 'A' {
		return d.greeting(t, dir, s, b)
	}
	if !s.greeted && dir == wire.ToClient && d.of[dir.Other()].one {
		s.one = true
	}
	if s.one {
		return d.frame1(t, dir, b)
	}
	return d.frame(t, dir, s, b)
}

// greeting takes the protocol header: section 4.2.2 of 0-9-1, part 2.2 of 1.0.
func (d *amqp) greeting(t *teller, dir wire.Dir, s *amqpSide, b []byte) (n, need int, err error) {
	if len(b) < 8 {
		return 0, 8 - len(b), nil
	}
	if string(b[:4]) != "AMQP" {
		return 0, 0, errAMQP
	}
	s.greeted, s.one = true, b[5] == 1 && b[6] == 0 && b[7] == 0
	d.begin(dir)
	v := "0-9-1"
	switch {
	case s.one:
		v = "1.0"
	case b[6] != 9:
		v = "0-8"
	}
	t.addString(amqpVersion, v)
	d.done(t, dir, true)
	if b[4] == 2 && s.one { // TLS follows
		d.begin(dir)
		d.side[dir].open = false
		t.upgrade(true)
	}
	return 8, 0, nil
}

// frame takes a frame of 0-9-1: section 4.2.3.
func (d *amqp) frame(t *teller, dir wire.Dir, s *amqpSide, b []byte) (n, need int, err error) {
	if len(b) < amqpHeadSize {
		return 0, amqpHeadSize - len(b), nil
	}
	c := wire.Cut(b)
	kind, channel, size := c.U8(), c.U16(), int(c.U32())
	if kind == amqpFrameBody && size <= amqpMaxBody {
		d.bodyFrame(t, dir, s, channel, size)
		return amqpHeadSize, 0, nil
	}
	whole := amqpHeadSize + size + 1
	switch {
	case size > amqpMaxFrame || kind != amqpFrameMethod && kind != amqpFrameHeader && kind != amqpFrameHeartbeat:
		return 0, 0, errAMQP
	case len(b) < whole:
		return 0, whole - len(b), nil
	case b[whole-1] != amqpFrameEnd:
		return 0, 0, errAMQPEnd
	}
	b = b[amqpHeadSize : whole-1]
	switch kind {
	case amqpFrameMethod:
		d.method(t, dir, s, channel, b)
	case amqpFrameHeader:
		d.header(t, dir, s, channel, b)
	default:
		if len(b) > 0 {
			d.odd(t, dir, channel, b)
		}
	}
	return whole, 0, nil
}

// odd takes a frame that is not what its type says.
func (d *amqp) odd(t *teller, dir wire.Dir, channel uint16, b []byte) {
	d.begin(dir)
	t.number(amqpChannel, int64(channel))
	t.note(amqpBroken)
	t.add(amqpPayload, b)
	d.done(t, dir, true)
}

// content returns the index of the content under way on a channel, -1 if there is none.
func (s *amqpSide) content(channel uint16) int {
	for i := range s.contents {
		if s.contents[i].channel == channel {
			return i
		}
	}
	return -1
}

// drop forgets a content.
func (s *amqpSide) drop(i int) { s.contents = append(s.contents[:i], s.contents[i+1:]...) }

// expect remembers that the content of the message in hand follows.
func (d *amqp) expect(t *teller, dir wire.Dir, s *amqpSide, channel uint16) {
	if i := s.content(channel); i >= 0 {
		d.abandon(t, dir, s, i)
	}
	if len(s.contents) == amqpMaxContents {
		t.note(amqpManyContents)
		d.abandon(t, dir, s, 0)
	}
	side := &d.side[dir]
	t.flush(false, false)
	s.contents = append(s.contents, amqpContent{unit: side.unit, channel: channel})
	side.open = false
}

// abandon ends a content before its end.
func (d *amqp) abandon(t *teller, dir wire.Dir, s *amqpSide, i int) {
	t.flush(false, false)
	u := t.u
	t.u = &s.contents[i].unit
	t.flush(true, true)
	t.u = u
	s.drop(i)
}

// header takes a content header: section 2.3.5.2.
func (d *amqp) header(t *teller, dir wire.Dir, s *amqpSide, channel uint16, b []byte) {
	c := wire.Cut(b)
	c.Skip(4)
	size := c.U64()
	i := s.content(channel)
	if c.Short() || i < 0 {
		d.odd(t, dir, channel, b)
		return
	}
	side, e := &d.side[dir], &s.contents[i]
	side.unit, side.open = e.unit, true
	t.add(amqpProperties, c.Rest())
	if size == 0 {
		d.done(t, dir, true)
		s.drop(i)
		return
	}
	t.flush(false, false)
	e.begun, e.left = true, size
	e.value = t.value()
	e.unit = side.unit
	side.open = false
}

// bodyFrame begins a frame of a content's body.
func (d *amqp) bodyFrame(t *teller, dir wire.Dir, s *amqpSide, channel uint16, size int) {
	s.atEnd = true
	i := s.content(channel)
	if i < 0 || !s.contents[i].begun || uint64(size) > s.contents[i].left {
		d.begin(dir)
		t.number(amqpChannel, int64(channel))
		t.note(amqpBroken)
		d.stream(t, dir, amqpPayload, int64(size), true, true)
		return
	}
	e, side := &s.contents[i], &d.side[dir]
	e.left -= uint64(size)
	side.unit, side.open = e.unit, true
	side.field, side.value, side.off, side.remain = amqpBody, e.value, e.off, int64(size)
	side.ends, side.tx, side.hold = e.left == 0, true, e.left > 0
	s.body = i
	if size == 0 && e.left == 0 {
		d.done(t, dir, true)
	}
}

// bodyDone goes on after a frame of a body.
func (d *amqp) bodyDone(dir wire.Dir, s *amqpSide) {
	e, side := &s.contents[s.body], &d.side[dir]
	e.off = side.off
	if e.left == 0 {
		s.drop(s.body)
	}
	s.body, side.open = -1, false
}

// probeAMQP says Yes to the protocol header, and to whole frames of 0-9-1 that are exact.
func probeAMQP(_ wire.Dir, head []byte) Guess {
	if head[0] == 'A' {
		return probeAMQPGreeting(head)
	}
	if head[0] == 0 {
		return probeAMQP1(head)
	}
	c := wire.Cut(head)
	kind := c.U8()
	channel := c.U16()
	size := c.U32()
	if kind != amqpFrameMethod && kind != amqpFrameHeartbeat || len(head) > 2 && channel > 2047 || len(head) >= amqpHeadSize && size > 64<<10 {
		return No
	}
	if len(head) < amqpHeadSize {
		return Maybe
	}
	b := head[amqpHeadSize:]
	if kind == amqpFrameHeartbeat {
		switch {
		case size != 0 || channel != 0:
			return No
		case len(b) == 0:
			return Maybe
		case b[0] != amqpFrameEnd:
			return No
		}
		return Yes
	}
	m := wire.Cut(b)
	class, method := m.U16(), m.U16()
	switch {
	case size < 4:
		return No
	case len(b) < 4:
		return Maybe
	case amqpMethodOf(class, method).name == "":
		return No
	case len(b) <= int(size):
		if size >= MaxProbe-amqpHeadSize {
			return Yes
		}
		return Maybe
	case b[size] != amqpFrameEnd:
		return No
	}
	return Yes
}

func probeAMQPGreeting(head []byte) Guess {
	n := min(len(head), 4)
	switch {
	case string(head[:n]) != "AMQP"[:n]:
		return No
	case len(head) < 8:
		return Maybe
	}
	v := [4]byte(head[4:8])
	switch v {
	case [4]byte{0, 0, 9, 1}, [4]byte{1, 1, 0, 9}, [4]byte{1, 1, 0, 10}, [4]byte{1, 1, 8, 0}, [4]byte{1, 1, 9, 1}, [4]byte{0, 1, 0, 0}, [4]byte{2, 1, 0, 0}, [4]byte{3, 1, 0, 0}:
		return Yes
	}
	return No
}
