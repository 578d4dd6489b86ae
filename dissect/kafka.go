package dissect

import (
	"encoding/binary"
	"errors"

	"weir/wire"
)

// Kafka is the protocol of Apache Kafka.
var Kafka = Protocol{
	Name: "kafka",
	About: "The protocol of Apache Kafka (kafka.apache.org/protocol), all of its requests, with flexible versions. Of Produce and Fetch all records " +
		"are told, in batches of version 2 and message sets of versions 0 and 1, compressed with gzip, snappy, lz4 or zstd. A request and its answer " +
		"are an exchange.",
	Carrier: Stream,
	Ports:   []uint16{9092},
	Probe:   probeKafka,
	Fields: []FieldSpec{
		kafkaAPI:       {Name: "kafka.api", Doc: "request, as `Produce`; its number if unknown", EVE: "api", Derived: true},
		kafkaVersion:   {Name: "kafka.version", Doc: "version of the request", EVE: "version", Number: true, Derived: true},
		kafkaID:        {Name: "kafka.correlation_id", Doc: "number of the request", EVE: "correlation_id", Number: true, Derived: true},
		kafkaClient:    {Name: "kafka.client_id", Doc: "the client's name for itself", EVE: "client_id"},
		kafkaGroup:     {Name: "kafka.group", Doc: "consumer group, of the requests that begin with it", EVE: "group", Derived: true},
		kafkaTopicOf:   {Name: "kafka.topic_name", Doc: "a topic that a request is about, Produce and Fetch's answer aside", EVE: "topics[]", Derived: true},
		kafkaTopic:     {Name: "kafka.topic", Doc: "a topic whose records are produced or fetched", EVE: "topics[]"},
		kafkaMechanism: {Name: "kafka.mechanism", Doc: "SASL mechanism", EVE: "mechanism", Derived: true},
		kafkaUser:      {Name: "kafka.user", Doc: "user of SASL PLAIN", EVE: "user", Derived: true},
		kafkaError:     {Name: "kafka.error_code", Doc: "of a partition that is not 0", EVE: "error_code", Number: true, Derived: true},
		kafkaKey:       {Name: "kafka.key", Doc: "key of a record"},
		kafkaValue:     {Name: "kafka.value", Doc: "value of a record"},
		kafkaHeader:    {Name: "kafka.header", Doc: "a header of a record: its name, then its value"},
		kafkaRequest:   {Name: "kafka.request", Doc: "what other requests say, as it came, with SASL's password", Privacy: Sealed},
		kafkaResponse:  {Name: "kafka.response", Doc: "what other answers say, as it came"},
		kafkaPayload:   {Name: "kafka.payload", Doc: "records that could not be told apart, tagged fields, as they came"},
		kafkaTopicID:   {Name: "kafka.topic_id", Doc: "id of a topic whose records are produced or fetched, as Kafka writes it: newer versions say no name", EVE: "topic_ids[]", Derived: true},
	},
	New: newKafka,
}

// Fields of Kafka.
const (
	kafkaAPI Field = iota
	kafkaVersion
	kafkaID
	kafkaClient
	kafkaGroup
	kafkaTopicOf
	kafkaTopic
	kafkaMechanism
	kafkaUser
	kafkaError
	kafkaKey
	kafkaValue
	kafkaHeader
	kafkaRequest
	kafkaResponse
	kafkaPayload
	kafkaTopicID
)

// ours
const (
	kafkaMaxFrame  = 1 << 30   // bytes of a request or an answer
	kafkaMaxWhole  = 64 << 10  // bytes of a request that are looked into
	kafkaMaxBatch  = 768 << 10 // bytes of a compressed batch, of a message of versions 0 and 1, and of a record: the value of a longer one is told as it comes
	kafkaMaxPrefix = 64 << 10  // bytes of what stands between batches
	kafkaMaxName   = 249       // bytes of a topic's name
	kafkaSize      = 640
)

var errKafka = errors.New("kafka: no request or answer")

// kafkaNotes are violations.
var (
	kafkaMalformed   = Note{"kafka.malformed", false, "a request or answer that is not what its version says: the rest of it is inspected as it came"}
	kafkaUndecodable = Note{"kafka.undecodable", false, "records whose compression is unknown, broken or over a limit: inspected as they came"}
	kafkaTooLarge    = Note{"kafka.batch_too_large", false, "a batch or record larger than what may be held: inspected as it came"}
)

// kafkaState is what a direction waits for inside a frame.
type kafkaState uint8

const (
	kafkaAtFrame  kafkaState = iota
	kafkaAtBegin             // what stands before the topics
	kafkaAtTopic             // a topic, or the end of them
	kafkaAtPart              // a partition, or the end of them
	kafkaAtBatch             // a batch, or the end of a partition's records
	kafkaAtRecord            // a record of a batch that is not compressed
	kafkaAtTags              // what follows a partition's records
)

// kafkaSide is the state of one direction.
type kafkaSide struct {
	state   kafkaState
	answer  bool
	key     int16
	version int16
	flex    bool
	left    int64 // bytes of the frame to come
	topics  int   // and topics, partitions, bytes of records, bytes of the batch
	parts   int
	records int64
	batch   int64
	behind  int64 // bytes of the record in hand that follow its value, if that was told as it came; 0: there is none
}

// kafka parses one connection.
type kafka struct {
	framed
	pairs  pairs
	of     [2]kafkaSide
	client wire.Dir
	known  bool // client is known
	token  [2]bool
}

func newKafka(p *Protocol, env *Env) Dissector {
	d := &kafka{}
	d.framed = makeFramed(p, env, d.next)
	return d
}

// Size implements Dissector.
func (d *kafka) Size() int { return kafkaSize + d.pairs.size() }

// next takes a frame's head, or a piece of a frame with records.
func (d *kafka) next(t *teller, dir wire.Dir, b []byte) (n, need int, err error) {
	s := &d.of[dir]
	if s.state == kafkaAtFrame {
		return d.frame(t, dir, s, b)
	}
	had := int(min(int64(len(b)), s.left))
	if had == 0 && s.left == 0 {
		s.state = kafkaAtFrame
		d.done(t, dir, d.over(s))
		return 0, 0, nil
	}
	c := wire.Cut(b[:had])
	switch state := s.state; {
	case state == kafkaAtBatch || state == kafkaAtRecord:
		n, need = d.recordsIn(t, dir, s, c)
	default:
		d.prefix(t, s, &c)
		if n = had - c.Len(); c.Short() {
			n = 0
			s.state = state
			if int64(had) == s.left || had > kafkaMaxPrefix {
				t.note(kafkaMalformed)
				d.rest(t, dir, s)
				return 0, 0, nil
			}
			need = 1
		}
	}
	s.left -= int64(n)
	if s.left == 0 && need == 0 && s.state != kafkaAtFrame {
		s.state = kafkaAtFrame
		d.done(t, dir, d.over(s))
	}
	return n, need, nil
}

// rest streams what is left of a frame.
func (d *kafka) rest(t *teller, dir wire.Dir, s *kafkaSide) {
	s.state = kafkaAtFrame
	d.stream(t, dir, kafkaPayload, s.left, true, d.over(s))
	s.left = 0
}

// over reports whether an exchange ends with the frame in hand.
func (d *kafka) over(s *kafkaSide) bool { return s.answer }

// frame takes a frame: all of it, but for those with records.
func (d *kafka) frame(t *teller, dir wire.Dir, s *kafkaSide, b []byte) (n, need int, err error) {
	if len(b) < 8 {
		return 0, 8 - len(b), nil
	}
	size := int64(binary.BigEndian.Uint32(b))
	if size < 4 || size > kafkaMaxFrame {
		return 0, 0, errKafka
	}
	if !d.known {
		g := kafkaProbeRequest(b[:min(len(b), MaxProbe)])
		if g == Maybe && len(b) < MaxProbe { // what follows tells, or what the other end says
			return 0, 1, nil
		}
		d.known, d.client = true, dir
		if g != Yes {
			d.client = dir.Other()
		}
	}
	front := int(min(size, kafkaMaxWhole)) + 4
	if d.token[dir] { // SASL without a head
		d.token[dir] = false
		d.begin(dir)
		d.stream(t, dir, kafkaRequest, size, true, true)
		return 4, 0, nil
	}
	if dir != d.client {
		return d.answer(t, dir, s, b, size)
	}
	if size < 8 {
		return 0, 0, errKafka
	}
	return d.request(t, dir, s, b, front, size)
}

// request takes a request, or its head.
func (d *kafka) request(t *teller, dir wire.Dir, s *kafkaSide, b []byte, front int, size int64) (n, need int, err error) {
	h, ok := kafkaHead(b[4:min(len(b), 4+int(size))])
	switch {
	case ok < 0:
		return 0, 0, errKafka
	case ok == 0 && int64(len(b)) >= size+4:
		return 0, 0, errKafka
	case ok == 0:
		return 0, 1, nil
	case h.key != kafkaProduce && len(b) < front:
		return 0, front - len(b), nil
	}
	d.begin(dir)
	*s = kafkaSide{key: h.key, version: h.version, flex: kafkaFlexible(h.key, h.version), left: size - int64(h.size)}
	if h.key == kafkaSASL && h.version == 0 {
		d.token[0], d.token[1] = true, true
	} else {
		d.pairs.asked(dir, uint64(h.id), d.lastTx, uint32(uint16(h.key))<<16|uint32(uint16(h.version)))
	}
	d.names(t, h.key, h.version)
	t.number(kafkaID, int64(int32(h.id)))
	if len(h.client) > 0 {
		t.add(kafkaClient, h.client)
	}
	if h.key == kafkaProduce {
		s.state = kafkaAtBegin
		return 4 + h.size, 0, nil
	}
	d.about(t, h, wire.Cut(b[4+h.size:min(len(b), 4+int(size))]))
	d.stream(t, dir, kafkaRequest, s.left, true, false)
	s.left = 0
	return 4 + h.size, 0, nil
}

// names tells which request it is.
func (d *kafka) names(t *teller, key, version int16) {
	if int(key) < len(kafkaAPIs) && kafkaAPIs[key].name != "" {
		t.addString(kafkaAPI, kafkaAPIs[key].name)
	} else {
		t.number(kafkaAPI, int64(key))
	}
	t.number(kafkaVersion, int64(version))
}

// answer takes an answer, or its head.
func (d *kafka) answer(t *teller, dir wire.Dir, s *kafkaSide, b []byte, size int64) (n, need int, err error) {
	id := uint64(binary.BigEndian.Uint32(b[4:]))
	q, ok := d.pairs.answered(dir, id)
	*s = kafkaSide{answer: true, key: -1, left: size - 4}
	if !ok {
		d.begin(dir)
		t.number(kafkaID, int64(int32(id)))
		d.stream(t, dir, kafkaResponse, s.left, true, true)
		s.left = 0
		return 8, 0, nil
	}
	d.beginTx(dir, q.tx)
	s.key, s.version = int16(q.was>>16), int16(q.was)
	s.flex = kafkaFlexible(s.key, s.version)
	t.number(kafkaID, int64(int32(id)))
	if s.key == kafkaFetch {
		s.state = kafkaAtBegin
		return 8, 0, nil
	}
	d.stream(t, dir, kafkaResponse, s.left, true, true)
	s.left = 0
	return 8, 0, nil
}
