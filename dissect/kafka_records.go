package dissect

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"

	"weir/wire"
)

// from the specification of record batches.
const (
	kafkaBatchHead  = 61 // bytes of a batch of version 2 before its records
	kafkaBatchStart = 12 // of them, those that its length does not count: of all versions
	kafkaMagicAt    = 16
	kafkaPacking    = 7 // bits of the attributes
)

// prefix takes what stands before, between and behind the records of a frame. A cursor that is short takes nothing.
func (d *kafka) prefix(t *teller, s *kafkaSide, c *wire.Cursor) {
	switch s.state {
	case kafkaAtBegin:
		if s.answer {
			d.fetchBegin(t, s, c)
		} else {
			d.produceBegin(t, s, c)
		}
	case kafkaAtTopic:
		if s.topics--; s.topics < 0 {
			s.topics = 0
			d.tail(t, s, c)
			return
		}
		d.topic(t, s, c)
		if c.Short() {
			s.topics++
		}
	case kafkaAtPart:
		if s.parts <= 0 {
			d.tags(t, s, c)
			s.state = kafkaAtTopic
			return
		}
		d.partition(t, s, c)
	case kafkaAtTags:
		d.tags(t, s, c)
		if !c.Short() {
			s.parts--
			s.state = kafkaAtPart
		}
	}
}

// tail takes what follows the topics.
func (d *kafka) tail(t *teller, s *kafkaSide, c *wire.Cursor) {
	if c.Len() < int(s.left) {
		c.Skip(-1)
		return
	}
	if b := c.Rest(); len(b) > 1 {
		t.add(kafkaPayload, b)
	}
	c.Skip(c.Len())
}

// tags takes tagged fields, which are told if there are any.
func (d *kafka) tags(t *teller, s *kafkaSide, c *wire.Cursor) {
	if !s.flex {
		return
	}
	b := c.Rest()
	kafkaTags(c)
	if n := len(b) - c.Len(); !c.Short() && n > 1 {
		t.add(kafkaPayload, b[:n])
	}
}

// produceBegin takes the front of a Produce request.
func (d *kafka) produceBegin(t *teller, s *kafkaSide, c *wire.Cursor) {
	var id []byte
	if s.version >= 3 {
		id = kafkaString(c, s.flex)
	}
	c.Skip(6) // acknowledgements, timeout
	n := kafkaCount(c, s.flex)
	if c.Short() {
		return
	}
	if len(id) > 0 {
		t.add(kafkaPayload, id)
	}
	s.topics, s.state = n, kafkaAtTopic
}

// fetchBegin takes the front of an answer to Fetch.
func (d *kafka) fetchBegin(t *teller, s *kafkaSide, c *wire.Cursor) {
	d.tags(t, s, c) // of the head
	if s.version >= 1 {
		c.Skip(4)
	}
	code := uint16(0)
	if s.version >= 7 {
		code = c.U16()
		c.Skip(4)
	}
	n := kafkaCount(c, s.flex)
	if c.Short() {
		return
	}
	d.failed(t, code)
	s.topics, s.state = n, kafkaAtTopic
}

func (d *kafka) failed(t *teller, code uint16) {
	if code != 0 {
		t.number(kafkaError, int64(int16(code)))
	}
}

// topic takes a topic's name and the number of its partitions.
func (d *kafka) topic(t *teller, s *kafkaSide, c *wire.Cursor) {
	var name, id []byte
	if s.version >= 13 {
		id = c.Bytes(16)
	} else {
		name = kafkaString(c, s.flex)
	}
	n := kafkaCount(c, s.flex)
	if c.Short() {
		return
	}
	if len(name) > 0 {
		t.add(kafkaTopic, name)
	}
	if id != nil && t.wants(kafkaTopicID) {
		t.add(kafkaTopicID, t.write(func(to []byte) []byte { return base64.RawURLEncoding.AppendEncode(to, id) }))
	}
	s.parts, s.state = n, kafkaAtPart
}

// partition takes what stands before a partition's records.
func (d *kafka) partition(t *teller, s *kafkaSide, c *wire.Cursor) {
	c.Skip(4)
	code := uint16(0)
	if s.answer {
		code = c.U16()
		c.Skip(8)
		if s.version >= 4 {
			c.Skip(8)
		}
		if s.version >= 5 {
			c.Skip(8)
		}
		if s.version >= 4 {
			for n := kafkaCount(c, s.flex); n > 0 && !c.Short(); n-- {
				c.Skip(16)
				if s.flex {
					kafkaTags(c)
				}
			}
		}
		if s.version >= 11 {
			c.Skip(4)
		}
	}
	size := int64(0)
	if s.flex {
		size = int64(min(kafkaUvarint(c), 1<<31)) - 1
	} else {
		size = int64(int32(c.U32()))
	}
	if c.Short() {
		return
	}
	d.failed(t, code)
	s.records, s.state = max(size, 0), kafkaAtBatch
}

// recordsIn takes a batch, a message, or a record of a batch. It returns what it used, or how many more bytes it needs.
func (d *kafka) recordsIn(t *teller, dir wire.Dir, s *kafkaSide, c wire.Cursor) (n, need int) {
	b := c.Rest()
	if s.records > s.left {
		t.note(kafkaMalformed)
		d.raw(t, dir, s, s.left)
		return 0, 0
	}
	b = b[:min(int64(len(b)), s.records)]
	if s.state == kafkaAtRecord {
		n, need = d.recordAt(t, dir, s, b)
	} else {
		n, need = d.batchAt(t, dir, s, b)
	}
	s.records -= int64(n)
	s.batch -= int64(n)
	return n, need
}

// raw streams the next n bytes of the frame as they came; what follows is taken for records still.
func (d *kafka) raw(t *teller, dir wire.Dir, s *kafkaSide, n int64) {
	if n >= s.left {
		d.rest(t, dir, s)
		return
	}
	s.left -= n
	s.records -= n
	s.state = kafkaAtBatch
	d.stream(t, dir, kafkaPayload, n, false, false)
}

// batchAt takes the head of a batch, or all of one that is compressed, or a message of versions 0 and 1.
func (d *kafka) batchAt(t *teller, dir wire.Dir, s *kafkaSide, b []byte) (n, need int) {
	switch {
	case s.records == 0:
		s.state = kafkaAtTags
		return 0, 0
	case s.records <= kafkaMagicAt: // a batch that was cut, as answers to Fetch may end
		d.raw(t, dir, s, s.records)
		return 0, 0
	case len(b) <= kafkaMagicAt:
		return 0, kafkaMagicAt + 1 - len(b)
	}
	size := int64(binary.BigEndian.Uint32(b[8:])) + kafkaBatchStart
	magic := b[kafkaMagicAt]
	switch {
	case size > s.records || size <= kafkaMagicAt || magic > 2 || magic == 2 && size < kafkaBatchHead:
		if magic > 2 || size <= kafkaMagicAt {
			t.note(kafkaMalformed)
		}
		d.raw(t, dir, s, s.records)
		return 0, 0
	case magic == 2 && len(b) < kafkaBatchHead:
		return 0, kafkaBatchHead - len(b)
	case magic == 2 && b[22]&kafkaPacking == 0:
		s.state, s.batch = kafkaAtRecord, size
		return kafkaBatchHead, 0
	case size > kafkaMaxBatch:
		t.note(kafkaTooLarge)
		d.raw(t, dir, s, size)
		return 0, 0
	case int64(len(b)) < size:
		return 0, int(size) - len(b)
	}
	b = b[:size]
	if magic == 2 {
		d.packed(t, packing(b[22]&kafkaPacking), b[kafkaBatchHead:], d.recordList)
	} else {
		d.message(t, b, true)
	}
	return int(size), 0
}

// packed unpacks b and gives it to fn, which reports whether it was what it should be.
func (d *kafka) packed(t *teller, k packing, b []byte, fn func(*teller, []byte) bool) {
	out, err := d.env.unpack(k, b)
	if len(out) > 0 {
		if !fn(t, out) && err == nil {
			t.note(kafkaMalformed)
			t.add(kafkaPayload, out)
		}
		t.flush(false, false) // parts borrow from out
	}
	d.env.give(cap(out))
	if err != nil {
		t.note(kafkaUndecodable)
		t.add(kafkaPayload, b)
	}
}

// recordAt takes a record of a batch that is not compressed.
func (d *kafka) recordAt(t *teller, dir wire.Dir, s *kafkaSide, b []byte) (n, need int) {
	if s.batch == 0 {
		s.state = kafkaAtBatch
		return 0, 0
	}
	b = b[:min(int64(len(b)), s.batch)]
	if s.behind > 0 {
		return d.headersBehind(t, dir, s, b)
	}
	c := wire.Cut(b)
	size := kafkaVarint(&c)
	if c.Short() {
		if int64(len(b)) < s.batch && len(b) < 10 {
			return 0, 1
		}
		t.note(kafkaMalformed)
		d.raw(t, dir, s, s.batch)
		return 0, 0
	}
	head := int64(len(b) - c.Len())
	switch {
	case size < 0 || head+size > s.batch:
		t.note(kafkaMalformed)
		d.raw(t, dir, s, s.batch)
		return 0, 0
	case size > kafkaMaxBatch:
		return d.longRecord(t, dir, s, b, head+size)
	case int64(len(b)) < head+size:
		return 0, int(head+size) - len(b)
	}
	r := c.Bytes(int(size))
	if !d.record(t, r) {
		t.note(kafkaMalformed)
		t.add(kafkaPayload, r)
	}
	return int(head + size), 0
}

// longRecord takes a record of size bytes up to its value, which is told as it comes.
func (d *kafka) longRecord(t *teller, dir wire.Dir, s *kafkaSide, b []byte, size int64) (n, need int) {
	c := wire.Cut(b)
	kafkaVarint(&c)
	c.U8() // attributes
	kafkaVarint(&c)
	kafkaVarint(&c)
	key, value := kafkaBytes(&c), max(kafkaVarint(&c), 0)
	if c.Short() && len(b) < kafkaMaxPrefix {
		return 0, 1
	}
	n = len(b) - c.Len()
	behind := size - int64(n) - value
	if c.Short() || value == 0 || behind < 1 || behind > kafkaMaxPrefix { // its key or its headers are long
		t.note(kafkaTooLarge)
		d.raw(t, dir, s, s.batch)
		return 0, 0
	}
	if len(key) > 0 {
		t.add(kafkaKey, key)
	}
	s.left -= value
	s.records -= value
	s.batch -= value
	s.behind = behind
	d.stream(t, dir, kafkaValue, value, false, false)
	return n, 0
}

// headersBehind takes what follows the value of a long record.
func (d *kafka) headersBehind(t *teller, dir wire.Dir, s *kafkaSide, b []byte) (n, need int) {
	if int64(len(b)) < s.behind {
		return 0, int(s.behind) - len(b)
	}
	n = int(s.behind)
	s.behind = 0
	c := wire.Cut(b[:n])
	count := kafkaVarint(&c)
	for ; count > 0 && !c.Short(); count-- {
		for range 2 {
			if h := kafkaBytes(&c); len(h) > 0 {
				t.add(kafkaHeader, h)
			}
		}
	}
	if c.Short() || count < 0 || c.Len() > 0 {
		t.note(kafkaMalformed)
		t.add(kafkaPayload, b[:n])
	}
	return n, 0
}

// recordList takes records that are there whole.
func (d *kafka) recordList(t *teller, b []byte) bool {
	c := wire.Cut(b)
	for c.Len() > 0 {
		n := kafkaVarint(&c)
		r := c.Bytes(int(min(max(n, -1), 1<<31-1)))
		if c.Short() || !d.record(t, r) {
			return false
		}
	}
	return true
}

// record tells a record of version 2.
func (d *kafka) record(t *teller, b []byte) bool {
	c := wire.Cut(b)
	c.U8() // attributes
	kafkaVarint(&c)
	kafkaVarint(&c)
	key, value := kafkaBytes(&c), kafkaBytes(&c)
	headers := c
	count := kafkaVarint(&c)
	for n := count; n > 0 && !c.Short(); n-- {
		kafkaBytes(&c)
		kafkaBytes(&c)
	}
	if c.Short() || count < 0 {
		return false
	}
	if len(key) > 0 {
		t.add(kafkaKey, key)
	}
	if len(value) > 0 {
		t.add(kafkaValue, value)
	}
	kafkaVarint(&headers)
	for ; count > 0; count-- {
		for range 2 {
			if h := kafkaBytes(&headers); len(h) > 0 {
				t.add(kafkaHeader, h)
			}
		}
	}
	if c.Len() > 0 {
		t.add(kafkaPayload, c.Rest())
	}
	return true
}

// kafkaBytes reads bytes that may be null.
func kafkaBytes(c *wire.Cursor) []byte {
	if n := kafkaVarint(c); n > 0 {
		return c.Bytes(int(min(n, 1<<31-1)))
	}
	return nil
}

// message tells a message of versions 0 and 1; outer says that it may be a set of messages, compressed.
func (d *kafka) message(t *teller, b []byte, outer bool) bool {
	c := wire.Cut(b)
	c.Skip(kafkaMagicAt)
	magic, attributes := c.U8(), c.U8()
	if magic == 1 {
		c.Skip(8)
	}
	key, value := kafkaBytes32(&c), kafkaBytes32(&c)
	switch pack := packing(attributes & kafkaPacking); {
	case c.Short() || magic > 1:
		t.note(kafkaMalformed)
		t.add(kafkaPayload, b)
		return false
	case pack != packNone && outer:
		d.packed(t, pack, value, d.messageSet)
		return true
	}
	if len(key) > 0 {
		t.add(kafkaKey, key)
	}
	if len(value) > 0 {
		t.add(kafkaValue, value)
	}
	return true
}

// messageSet takes messages that are there whole.
func (d *kafka) messageSet(t *teller, b []byte) bool {
	for len(b) > kafkaMagicAt {
		n := int64(binary.BigEndian.Uint32(b[8:])) + kafkaBatchStart
		if n <= kafkaMagicAt || n > int64(len(b)) {
			return false
		}
		d.message(t, b[:n], false)
		b = b[n:]
	}
	return len(bytes.TrimRight(b, "\x00")) == 0
}

func kafkaBytes32(c *wire.Cursor) []byte {
	if n := int32(c.U32()); n > 0 {
		return c.Bytes(int(n))
	}
	return nil
}
