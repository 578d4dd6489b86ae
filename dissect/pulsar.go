package dissect

import (
	"encoding/binary"
	"errors"

	"weir/wire"
)

// Pulsar is the binary protocol of Apache Pulsar.
var Pulsar = Protocol{
	Name: "pulsar",
	About: "The binary protocol of Apache Pulsar (pulsar.apache.org, binary protocol). Each command has an event `pulsar` of its own. What a " +
		"command says, metadata and messages are inspected as they came.",
	Carrier: Stream,
	Ports:   []uint16{6650},
	Probe:   probePulsar,
	Fields: []FieldSpec{
		pulsarCommand: {Name: "pulsar.command", Doc: "as `SEND`; its number if unknown", EVE: "command", Derived: true},
		pulsarTopic:   {Name: "pulsar.topic", Doc: "topic of a producer, a subscription or a lookup", EVE: "topic", Derived: true},
		pulsarVersion: {Name: "pulsar.version", Doc: "what client and server call themselves", EVE: "version", Derived: true},
		pulsarBytes:   {Name: "pulsar.arguments", Doc: "the command, as it came"},
		pulsarMessage: {Name: "pulsar.message", Doc: "metadata and payload behind a command, as they came"},
	},
	PerMessage: true,
	New:        newPulsar,
	Resume:     func(p *Protocol, env *Env, r Rest) Dissector { d := newPulsar(p, env); d.(*pulsar).resume(r); return d },
}

// Fields of Pulsar.
const (
	pulsarCommand Field = iota
	pulsarTopic
	pulsarVersion
	pulsarBytes
	pulsarMessage
)

var pulsarCommands = map[uint64]string{
	2: "CONNECT", 3: "CONNECTED", 4: "SUBSCRIBE", 5: "PRODUCER", 6: "SEND", 7: "SEND_RECEIPT", 8: "SEND_ERROR", 9: "MESSAGE", 10: "ACK", 11: "FLOW",
	12: "UNSUBSCRIBE", 13: "SUCCESS", 14: "ERROR", 15: "CLOSE_PRODUCER", 16: "CLOSE_CONSUMER", 17: "PRODUCER_SUCCESS", 18: "PING", 19: "PONG",
	20: "REDELIVER_UNACKNOWLEDGED_MESSAGES", 21: "PARTITIONED_METADATA", 22: "PARTITIONED_METADATA_RESPONSE", 23: "LOOKUP", 24: "LOOKUP_RESPONSE",
	25: "CONSUMER_STATS", 26: "CONSUMER_STATS_RESPONSE", 27: "REACHED_END_OF_TOPIC", 28: "SEEK", 29: "GET_LAST_MESSAGE_ID",
	30: "GET_LAST_MESSAGE_ID_RESPONSE", 31: "ACTIVE_CONSUMER_CHANGE", 32: "GET_TOPICS_OF_NAMESPACE", 33: "GET_TOPICS_OF_NAMESPACE_RESPONSE",
	34: "GET_SCHEMA", 35: "GET_SCHEMA_RESPONSE", 36: "AUTH_CHALLENGE", 37: "AUTH_RESPONSE", 38: "ACK_RESPONSE", 39: "GET_OR_CREATE_SCHEMA",
	40: "GET_OR_CREATE_SCHEMA_RESPONSE",
}

// ours
const (
	pulsarMaxFrame   = 64 << 20  // bytes of a frame
	pulsarMaxCommand = 256 << 10 // bytes of a command
)

var errPulsar = errors.New("pulsar: no frame")

// pulsar parses one connection.
type pulsar struct{ framed }

func newPulsar(p *Protocol, env *Env) Dissector {
	d := &pulsar{}
	d.framed = makeFramed(p, env, d.next)
	return d
}

// Rest implements Dissector.
func (d *pulsar) Rest() (Rest, bool) { return d.quiet() }

// next takes a frame up to what follows its command.
func (d *pulsar) next(t *teller, dir wire.Dir, b []byte) (n, need int, err error) {
	if len(b) < 8 {
		return 0, 8 - len(b), nil
	}
	total, size := int64(binary.BigEndian.Uint32(b)), int64(binary.BigEndian.Uint32(b[4:]))
	if total > pulsarMaxFrame || size > pulsarMaxCommand || size+4 > total || size < 2 {
		return 0, 0, errPulsar
	}
	whole := 8 + int(size)
	if len(b) < whole {
		return 0, whole - len(b), nil
	}
	d.begin(dir)
	d.command(t, b[8:whole])
	t.add(pulsarBytes, b[8:whole])
	if total == size+4 {
		d.done(t, dir, true)
	} else {
		d.stream(t, dir, pulsarMessage, total-size-4, true, true)
	}
	return whole, 0, nil
}

// command tells what a BaseCommand is: the message of a type has the type's number as its field.
func (d *pulsar) command(t *teller, b []byte) {
	kind := uint64(0)
	for field, v := range protoFields(b) {
		switch {
		case field == 1 && v.bytes == nil:
			kind = v.number
			if name := pulsarCommands[kind]; name != "" {
				t.addString(pulsarCommand, name)
			} else {
				t.number(pulsarCommand, int64(kind))
			}
		case uint64(field) != kind || v.bytes == nil:
		case kind == 2 || kind == 3:
			t.firstText(pulsarVersion, v.bytes)
		case kind == 4 || kind == 5 || kind == 21 || kind == 23:
			t.firstText(pulsarTopic, v.bytes)
		}
	}
}

// firstText tells field 1 of a protobuf message.
func (t *teller) firstText(f Field, b []byte) {
	for field, v := range protoFields(b) {
		if field == 1 && v.bytes != nil {
			t.add(f, v.bytes)
			return
		}
	}
}

// probePulsar says Yes to a frame whose lengths fit, and whose command's type and field are the same.
func probePulsar(_ wire.Dir, head []byte) Guess {
	c := wire.Cut(head)
	total, size := c.U32(), c.U32()
	n := len(head)
	switch {
	case head[0] != 0, n > 1 && head[1] > 0x50, n > 4 && head[4] != 0, n >= 8 && (size < 2 || size+4 > total || size > 64<<10), n > 8 && head[8] != 8:
		return No
	case n < 12:
		return Maybe
	}
	kind := head[9]
	tag := uint64(head[10])
	if tag&0x80 != 0 {
		tag = tag&0x7f | uint64(head[11])<<7
	}
	if kind < 2 || kind > 80 || tag != uint64(kind)<<3|2 {
		return No
	}
	return Yes
}
