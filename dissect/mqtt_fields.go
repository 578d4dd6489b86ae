package dissect

import (
	"unicode/utf8"

	"weir/wire"
)

var mqttNames = [mqttKinds]string{"", "connect", "connack", "publish", "puback", "pubrec", "pubrel", "pubcomp", "subscribe", "suback", "unsubscribe",
	"unsuback", "pingreq", "pingresp", "disconnect", "auth"}

// Fields of MQTT: those written down, then for each kind of packet its flags, its packet identifier and its reason code, then properties.
const (
	mqttType Field = iota
	mqttProtocol
	mqttVersion
	mqttHasUser
	mqttHasPassword
	mqttWillRetain
	mqttHasWill
	mqttClean
	mqttClientID
	mqttWillTopic
	mqttWillMessage
	mqttUser
	mqttPassword
	mqttSessionPresent
	mqttReturnCode
	mqttTopic
	mqttMessage
	mqttSubTopic
	mqttSubQoS
	mqttUnsubTopic
	mqttPropertyBytes
	mqttPayload
	mqttFlags
)

const (
	mqttFlagCount = 3
	mqttIDs       = mqttFlags + (mqttKinds-1)*mqttFlagCount - mqttPublish // of kinds from PUBLISH to UNSUBACK
	mqttPublishID = mqttIDs + mqttPublish
	mqttReasons   = mqttIDs + mqttUnsubAck + 1 - mqttPubAck // of kinds from PUBACK to AUTH
	mqttProps     = mqttReasons + mqttAuth + 1
)

// mqttWill stands for the will's properties in CONNECT, beside the kinds of packets.
const mqttWill = mqttKinds

// mqttProperty is a property that events have, by packet: section 2.2.2.2.
type mqttProperty struct {
	id    uint8
	form  uint8 // how it is written
	name  string
	kinds []uint8
}

// Forms of properties.
const (
	mqttByte = 1 + iota
	mqttTwo
	mqttFour
	mqttVar
	mqttText
	mqttBinary
	mqttPair
)

var mqttPropertyTable = []mqttProperty{
	{0x01, mqttByte, "payload_format_indicator", []uint8{mqttPublish, mqttWill}},
	{0x02, mqttFour, "message_expiry_interval", []uint8{mqttPublish, mqttWill}},
	{0x03, mqttText, "content_type", []uint8{mqttPublish, mqttWill}},
	{0x08, mqttText, "response_topic", []uint8{mqttPublish, mqttWill}},
	{0x09, mqttBinary, "correlation_data", []uint8{mqttPublish, mqttWill}},
	{0x0b, mqttVar, "subscription_identifier", nil},
	{0x11, mqttFour, "session_expiry_interval", []uint8{mqttConnect, mqttConnAck, mqttDisconnect}},
	{0x12, mqttText, "assigned_client_identifier", []uint8{mqttConnAck}},
	{0x13, mqttTwo, "server_keep_alive", []uint8{mqttConnAck}},
	{0x15, mqttText, "authentication_method", []uint8{mqttConnect, mqttConnAck}},
	{0x16, mqttBinary, "authentication_data", nil},
	{0x17, mqttByte, "request_problem_information", nil},
	{0x18, mqttFour, "will_delay_interval", []uint8{mqttWill}},
	{0x19, mqttByte, "request_response_information", nil},
	{0x1a, mqttText, "response_information", nil},
	{0x1c, mqttText, "server_reference", []uint8{mqttConnAck, mqttDisconnect}},
	{0x1f, mqttText, "reason_string", []uint8{mqttConnAck, mqttDisconnect}},
	{0x21, mqttTwo, "receive_maximum", []uint8{mqttConnect, mqttConnAck}},
	{0x22, mqttTwo, "topic_alias_maximum", []uint8{mqttConnect, mqttConnAck}},
	{0x23, mqttTwo, "topic_alias", []uint8{mqttPublish}},
	{0x24, mqttByte, "maximum_qos", []uint8{mqttConnAck}},
	{0x25, mqttByte, "retain_available", []uint8{mqttConnAck}},
	{0x26, mqttPair, "user_property", nil},
	{0x27, mqttFour, "maximum_packet_size", []uint8{mqttConnect, mqttConnAck}},
	{0x28, mqttByte, "wildcard_subscription_available", nil},
	{0x29, mqttByte, "subscription_identifiers_available", nil},
	{0x2a, mqttByte, "shared_subscription_available", nil},
}

// mqttPropertyOf finds a property: its form, 0 if there is none, and the field of each kind of packet, 0 if it is in none.
var mqttPropertyOf = func() (out [64]struct {
	form  uint8
	field [mqttWill + 1]Field
}) {
	f := Field(mqttProps)
	for _, p := range mqttPropertyTable {
		out[p.id].form = p.form
		for _, k := range p.kinds {
			out[p.id].field[k] = f
			f++
		}
	}
	return out
}()

func mqttFields() []FieldSpec {
	fs := []FieldSpec{
		mqttType:           {Name: "mqtt.type", Doc: "kind of packet, as `publish`", Derived: true},
		mqttProtocol:       {Name: "mqtt.connect.protocol_string", Doc: "`MQTT` or `MQIsdp`", EVE: "connect/protocol_string"},
		mqttVersion:        {Name: "mqtt.connect.protocol_version", Doc: "3, 4 (3.1.1) or 5", EVE: "connect/protocol_version", Number: true, Derived: true},
		mqttHasUser:        {Name: "mqtt.connect.flags.username", Doc: "whether there is a user name", EVE: "connect/flags/username", Bool: true, Derived: true},
		mqttHasPassword:    {Name: "mqtt.connect.flags.password", Doc: "whether there is a password", EVE: "connect/flags/password", Bool: true, Derived: true},
		mqttWillRetain:     {Name: "mqtt.connect.flags.will_retain", Doc: "whether the will is to be retained", EVE: "connect/flags/will_retain", Bool: true, Derived: true},
		mqttHasWill:        {Name: "mqtt.connect.flags.will", Doc: "whether there is a will", EVE: "connect/flags/will", Bool: true, Derived: true},
		mqttClean:          {Name: "mqtt.connect.flags.clean_session", Doc: "whether the session begins anew", EVE: "connect/flags/clean_session", Bool: true, Derived: true},
		mqttClientID:       {Name: "mqtt.connect.client_id", Doc: "the client's name for itself", EVE: "connect/client_id"},
		mqttWillTopic:      {Name: "mqtt.connect.will.topic", Doc: "topic of the will", EVE: "connect/will/topic"},
		mqttWillMessage:    {Name: "mqtt.connect.will.message", Doc: "what is published when the client is lost", EVE: "connect/will/message"},
		mqttUser:           {Name: "mqtt.connect.username", Doc: "the user", EVE: "connect/username"},
		mqttPassword:       {Name: "mqtt.connect.password", Doc: "the password; in no event", Privacy: Credential},
		mqttSessionPresent: {Name: "mqtt.connack.session_present", Doc: "whether the server has a session of before", EVE: "connack/session_present", Bool: true, Derived: true},
		mqttReturnCode:     {Name: "mqtt.connack.return_code", Doc: "0, or why not", EVE: "connack/return_code", Number: true, Derived: true},
		mqttTopic:          {Name: "mqtt.publish.topic", Doc: "the topic", EVE: "publish/topic"},
		mqttMessage:        {Name: "mqtt.publish.message", Doc: "what is published", EVE: "publish/message"},
		mqttSubTopic:       {Name: "mqtt.subscribe.topic", Doc: "a topic filter that is subscribed to", EVE: "subscribe/topics.topic"},
		mqttSubQoS:         {Name: "mqtt.subscribe.topic.qos", Doc: "the quality of service asked for", EVE: "subscribe/topics.qos", Number: true, Derived: true},
		mqttUnsubTopic:     {Name: "mqtt.unsubscribe.topic", Doc: "a topic filter that is given up", EVE: "unsubscribe/topics[]"},
		mqttPropertyBytes:  {Name: "mqtt.properties", Doc: "properties of a packet of version 5 as they came: user properties, authentication data"},
		mqttPayload:        {Name: "mqtt.payload", Doc: "packets that are too long or not what they should be, as they came"},
	}
	for k := mqttConnect; k < mqttKinds; k++ {
		n := mqttNames[k]
		fs = append(fs,
			FieldSpec{Name: "mqtt." + n + ".qos", Doc: "quality of service in the fixed header", EVE: n + "/qos", Number: true, Derived: true},
			FieldSpec{Name: "mqtt." + n + ".retain", Doc: "retain in the fixed header", EVE: n + "/retain", Bool: true, Derived: true},
			FieldSpec{Name: "mqtt." + n + ".dup", Doc: "duplicate in the fixed header", EVE: n + "/dup", Bool: true, Derived: true})
	}
	for k := mqttPublish; k <= mqttUnsubAck; k++ {
		n := mqttNames[k]
		fs = append(fs, FieldSpec{Name: "mqtt." + n + ".message_id", Doc: "packet identifier", EVE: n + "/message_id", Number: true, Derived: true})
	}
	for k := mqttPubAck; k <= mqttAuth; k++ {
		n := mqttNames[k]
		key := n + "/reason_code"
		if k == mqttSubAck {
			key = n + "/qos_granted[]"
		} else if k == mqttUnsubAck {
			key = n + "/reason_codes[]"
		}
		fs = append(fs, FieldSpec{Name: "mqtt." + n + ".reason_code", Doc: "reason code, or quality of service granted", EVE: key, Number: true, Derived: true})
	}
	for _, p := range mqttPropertyTable {
		for _, k := range p.kinds {
			at := "connect/will"
			if k < mqttKinds {
				at = mqttNames[k]
			}
			name := "mqtt." + at + ".properties." + p.name
			if k == mqttWill {
				name = "mqtt.connect.will.properties." + p.name
			}
			fs = append(fs, FieldSpec{Name: name, Doc: "property of version 5", EVE: at + "/properties/" + p.name,
				Number: p.form != mqttText && p.form != mqttBinary, Derived: true})
		}
	}
	return fs
}

// mqttProperties returns a packet's properties: section 2.2.2.
func mqttProperties(c *wire.Cursor) wire.Cursor {
	return wire.Cut(c.Bytes(int(mqttVarint(c))))
}

// mqttVarint reads a variable byte integer: section 1.5.5.
func mqttVarint(c *wire.Cursor) (n uint32) {
	for i := range 4 {
		b := c.U8()
		n |= uint32(b&0x7f) << (7 * i)
		if b&0x80 == 0 {
			return n
		}
	}
	c.Skip(-1) // no fifth byte
	return 0
}

// properties tells properties of a kind of packet: all as they came, and those that events have.
func (d *mqtt) properties(t *teller, c wire.Cursor, kind uint8) {
	if c.Len() == 0 {
		return
	}
	t.add(mqttPropertyBytes, c.Rest())
	for c.Len() > 0 {
		id := c.U8()
		if int(id) >= len(mqttPropertyOf) {
			break
		}
		p := &mqttPropertyOf[id]
		var number int64
		var text []byte
		switch p.form {
		case mqttByte:
			number = int64(c.U8())
		case mqttTwo:
			number = int64(c.U16())
		case mqttFour:
			number = int64(c.U32())
		case mqttVar:
			number = int64(mqttVarint(&c))
		case mqttText, mqttBinary:
			text = c.Bytes(int(c.U16()))
		case mqttPair:
			c.Skip(int(c.U16()))
			c.Skip(int(c.U16()))
		default:
			c.Skip(-1)
		}
		f := p.field[kind]
		switch {
		case c.Short():
			t.note(mqttMalformed)
		case f == 0:
		case p.form == mqttText || p.form == mqttBinary:
			t.add(f, text)
		default:
			t.number(f, number)
		}
	}
}

// probeMQTT says Yes to a CONNECT, to a CONNACK, and to three packets in a row that could not be more exact.
func probeMQTT(dir wire.Dir, head []byte) Guess {
	for i := 0; ; i++ {
		length, n, ok := mqttHead(head)
		if ok < 0 || len(head) > 0 && !mqttFlagsFit(head[0]) {
			return No
		}
		if ok == 0 {
			return Maybe
		}
		kind := head[0] >> 4
		b := head[n:min(len(head), n+length)]
		whole := len(head) >= n+length
		g := mqttProbePacket(kind, head[0]>>1&3, b, length, whole)
		switch {
		case g != Maybe:
			return g
		case i == 0 && (kind == mqttConnect || kind == mqttConnAck), !whole:
			return Maybe
		case i == 2:
			return Yes
		}
		head = head[n+length:]
		if len(head) == 0 {
			return Maybe
		}
	}
}

func mqttFlagsFit(first uint8) bool {
	switch kind := first >> 4; kind {
	case 0:
		return false
	case mqttPublish:
		return first&6 != 6
	case mqttPubRel, mqttSubscribe, mqttUnsubscribe:
		return first&0xf&^8 == 2
	default:
		return first&0xf == 0
	}
}

// mqttProbePacket judges a packet, or the beginning of one: Maybe if it may be one.
func mqttProbePacket(kind, qos uint8, b []byte, length int, whole bool) Guess {
	c := wire.Cut(b)
	fits := true
	switch kind {
	case mqttConnect:
		return probeMQTTConnect(b, length)
	case mqttConnAck:
		return probeMQTTConnAck(b, length)
	case mqttPublish:
		n := int(c.U16())
		topic := c.Bytes(n)
		fits = length >= 2 && (len(b) < 2 || n > 0 && n <= length-2) && (topic == nil || mqttPlainTopic(topic))
	case mqttPubAck, mqttPubRec, mqttPubRel, mqttPubComp:
		fits = length == 2 && (len(b) < 2 || c.U16() != 0)
	case mqttSubscribe, mqttUnsubscribe:
		id, n := c.U16(), 0
		if len(b) > 3 && b[2] == 0 && b[3] == 0 { // no properties, version 5, or an empty topic
			c.U8()
		}
		n = int(c.U16())
		topic := c.Bytes(n)
		fits = length >= 5 && (len(b) < 5 || id != 0 && n < length) && (topic == nil || mqttPlainTopic(topic))
	case mqttSubAck, mqttUnsubAck:
		fits = length >= 2 && length < 64 && (len(b) < 2 || c.U16() != 0)
	case mqttPingReq, mqttPingResp:
		fits = length == 0
	case mqttDisconnect:
		fits = length <= 2
	default:
		fits = false
	}
	if !fits {
		return No
	}
	return Maybe
}

func mqttPlainTopic(b []byte) bool {
	for _, c := range b {
		if c < ' ' || c == 0x7f {
			return false
		}
	}
	return utf8.Valid(b)
}

func probeMQTTConnect(b []byte, length int) Guess {
	const v4, v3 = "\x00\x04MQTT", "\x00\x06MQIsdp"
	for _, name := range [...]string{v4, v3} {
		n := min(len(b), len(name))
		if string(b[:n]) != name[:n] {
			continue
		}
		switch {
		case length < len(name)+4:
			return No
		case len(b) <= len(name):
			return Maybe
		}
		if level := b[len(name)] & 0x7f; level < 3 || level > 5 {
			return No
		}
		return Yes
	}
	return No
}

func probeMQTTConnAck(b []byte, length int) Guess {
	switch {
	case length < 2 || length > 1024 || len(b) > 0 && b[0] > 1:
		return No
	case len(b) < 2:
		return Maybe
	case length == 2 && b[1] <= 5:
		return Yes
	case length == 2 || b[1] > 0 && b[1] < 0x80:
		return No
	case len(b) < 3:
		return Maybe
	case int(b[2]) == length-3, b[2]&0x80 != 0 && length > 128:
		return Yes
	}
	return No
}
