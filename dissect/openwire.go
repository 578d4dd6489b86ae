package dissect

import (
	"encoding/binary"
	"errors"

	"weir/wire"
)

// OpenWire is the protocol of Apache ActiveMQ, as far as its commands are told apart.
var OpenWire = Protocol{
	Name: "openwire",
	About: "OpenWire, the protocol of Apache ActiveMQ (activemq.apache.org/openwire). Each command has an event `openwire` of its own. How a " +
		"command is written depends on what both ends agreed on: what it says is inspected as it came.",
	Carrier: Stream,
	Ports:   []uint16{61616},
	Probe:   probeOpenWire,
	Fields: []FieldSpec{
		openWireCommand: {Name: "openwire.command", Doc: "as `ConnectionInfo`; empty if unknown", EVE: "command", Derived: true},
		openWireVersion: {Name: "openwire.version", Doc: "of WireFormatInfo", EVE: "version", Number: true, Derived: true},
		openWirePayload: {Name: "openwire.payload", Doc: "the command behind its type, as it came"},
	},
	PerMessage: true,
	New:        newOpenWire,
	Resume: func(p *Protocol, env *Env, r Rest) Dissector {
		d := newOpenWire(p, env)
		d.(*openWire).resume(r)
		return d
	},
}

// Fields of OpenWire.
const (
	openWireCommand Field = iota
	openWireVersion
	openWirePayload
)

var openWireCommands = map[uint8]string{
	1: "WireFormatInfo", 2: "BrokerInfo", 3: "ConnectionInfo", 4: "SessionInfo", 5: "ConsumerInfo", 6: "ProducerInfo", 7: "TransactionInfo",
	8: "DestinationInfo", 9: "RemoveSubscriptionInfo", 10: "KeepAliveInfo", 11: "ShutdownInfo", 12: "RemoveInfo", 14: "ControlCommand",
	15: "FlushCommand", 16: "ConnectionError", 17: "ConsumerControl", 18: "ConnectionControl", 19: "ProducerAck", 20: "MessagePull",
	21: "MessageDispatch", 22: "MessageAck", 23: "Message", 24: "BytesMessage", 25: "MapMessage", 26: "ObjectMessage", 27: "StreamMessage",
	28: "TextMessage", 29: "BlobMessage", 30: "Response", 31: "ExceptionResponse", 32: "DataResponse", 33: "DataArrayResponse", 34: "IntegerResponse",
	50: "DiscoveryEvent", 60: "JournalTopicAck", 65: "PartialCommand", 66: "PartialLastCommand", 67: "Replay",
}

// ours
const openWireMax = 1 << 30 // bytes of a command

var errOpenWire = errors.New("openwire: a length that no command has")

const openWireMagic = "\x01ActiveMQ"

// openWire parses one connection.
type openWire struct{ framed }

func newOpenWire(p *Protocol, env *Env) Dissector {
	d := &openWire{}
	d.framed = makeFramed(p, env, d.next)
	return d
}

// Rest implements Dissector.
func (d *openWire) Rest() (Rest, bool) { return d.quiet() }

// next takes a command up to what it says.
func (d *openWire) next(t *teller, dir wire.Dir, b []byte) (n, need int, err error) {
	if len(b) < 5 {
		return 0, 5 - len(b), nil
	}
	size := int(binary.BigEndian.Uint32(b))
	if size < 1 || size > openWireMax {
		return 0, 0, errOpenWire
	}
	kind := b[4]
	if kind == 1 && size >= 13 && len(b) < 17 {
		return 0, 17 - len(b), nil
	}
	d.begin(dir)
	t.addString(openWireCommand, openWireCommands[kind])
	if kind == 1 && size >= 13 && string(b[4:13]) == openWireMagic {
		t.number(openWireVersion, int64(binary.BigEndian.Uint32(b[13:])))
	}
	d.stream(t, dir, openWirePayload, int64(size-1), true, true)
	return 5, 0, nil
}

// probeOpenWire says Yes to the WireFormatInfo that begins a connection.
func probeOpenWire(_ wire.Dir, head []byte) Guess {
	for i, c := range head[:min(len(head), 13)] {
		switch {
		case i < 2 && c != 0, i >= 4 && c != openWireMagic[i-4]:
			return No
		}
	}
	if len(head) < 13 {
		return Maybe
	}
	return Yes
}
