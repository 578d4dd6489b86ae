package dissect

import (
	"encoding/binary"

	"weir/wire"
)

// Requests that matter here.
const (
	kafkaProduce      = 0
	kafkaFetch        = 1
	kafkaMetadata     = 3
	kafkaSASL         = 17
	kafkaVersions     = 18
	kafkaAuthenticate = 36
)

// kafkaRequestSpec is a request: its name, the first version with compact encodings, and the highest there is.
type kafkaRequestSpec struct {
	name     string
	flexible int16
	highest  int16
}

const kafkaNever = 1 << 14 // there is no flexible version

// kafkaAPIs are all requests, by key: kafka.apache.org/protocol. What is newer than this table is taken for flexible.
var kafkaAPIs = [...]kafkaRequestSpec{
	{"Produce", 9, 13}, {"Fetch", 12, 18}, {"ListOffsets", 6, 11}, {"Metadata", 9, 13}, {"LeaderAndIsr", 4, 7}, {"StopReplica", 2, 4},
	{"UpdateMetadata", 6, 8}, {"ControlledShutdown", 3, 3}, {"OffsetCommit", 8, 10}, {"OffsetFetch", 6, 10}, {"FindCoordinator", 3, 6},
	{"JoinGroup", 6, 9}, {"Heartbeat", 4, 4}, {"LeaveGroup", 4, 5}, {"SyncGroup", 4, 5}, {"DescribeGroups", 5, 6}, {"ListGroups", 3, 5},
	{"SaslHandshake", kafkaNever, 1}, {"ApiVersions", 3, 4}, {"CreateTopics", 5, 7}, {"DeleteTopics", 4, 6}, {"DeleteRecords", 2, 2},
	{"InitProducerId", 2, 6}, {"OffsetForLeaderEpoch", 4, 4}, {"AddPartitionsToTxn", 3, 5}, {"AddOffsetsToTxn", 3, 4}, {"EndTxn", 3, 5},
	{"WriteTxnMarkers", 1, 2}, {"TxnOffsetCommit", 3, 5}, {"DescribeAcls", 2, 3}, {"CreateAcls", 2, 3}, {"DeleteAcls", 2, 3},
	{"DescribeConfigs", 4, 4}, {"AlterConfigs", 2, 2}, {"AlterReplicaLogDirs", 2, 2}, {"DescribeLogDirs", 2, 4}, {"SaslAuthenticate", 2, 2},
	{"CreatePartitions", 2, 3}, {"CreateDelegationToken", 2, 3}, {"RenewDelegationToken", 2, 2}, {"ExpireDelegationToken", 2, 2},
	{"DescribeDelegationToken", 2, 3}, {"DeleteGroups", 2, 2}, {"ElectLeaders", 2, 2}, {"IncrementalAlterConfigs", 1, 1},
	{"AlterPartitionReassignments", 0, 1}, {"ListPartitionReassignments", 0, 0}, {"OffsetDelete", kafkaNever, 0}, {"DescribeClientQuotas", 1, 1},
	{"AlterClientQuotas", 1, 1}, {"DescribeUserScramCredentials", 0, 0}, {"AlterUserScramCredentials", 0, 0}, {"Vote", 0, 2},
	{"BeginQuorumEpoch", 1, 1}, {"EndQuorumEpoch", 1, 1}, {"DescribeQuorum", 0, 2}, {"AlterPartition", 0, 3}, {"UpdateFeatures", 0, 2},
	{"Envelope", 0, 0}, {"FetchSnapshot", 0, 1}, {"DescribeCluster", 0, 2}, {"DescribeProducers", 0, 0}, {"BrokerRegistration", 0, 4},
	{"BrokerHeartbeat", 0, 1}, {"UnregisterBroker", 0, 0}, {"DescribeTransactions", 0, 0}, {"ListTransactions", 0, 2}, {"AllocateProducerIds", 0, 0},
	{"ConsumerGroupHeartbeat", 0, 1}, {"ConsumerGroupDescribe", 0, 1}, {"ControllerRegistration", 0, 0}, {"GetTelemetrySubscriptions", 0, 0},
	{"PushTelemetry", 0, 0}, {"AssignReplicasToDirs", 0, 0}, {"ListConfigResources", 0, 1}, {"DescribeTopicPartitions", 0, 0},
	{"ShareGroupHeartbeat", 0, 1}, {"ShareGroupDescribe", 0, 1}, {"ShareFetch", 0, 1}, {"ShareAcknowledge", 0, 1}, {"AddRaftVoter", 0, 1},
	{"RemoveRaftVoter", 0, 0}, {"UpdateRaftVoter", 0, 0}, {"InitializeShareGroupState", 0, 0}, {"ReadShareGroupState", 0, 0},
	{"WriteShareGroupState", 0, 0}, {"DeleteShareGroupState", 0, 0}, {"ReadShareGroupStateSummary", 0, 0}, {"StreamsGroupHeartbeat", 0, 0},
	{"StreamsGroupDescribe", 0, 0}, {"DescribeShareGroupOffsets", 0, 0}, {"AlterShareGroupOffsets", 0, 0}, {"DeleteShareGroupOffsets", 0, 0},
}

// kafkaSpare is how many versions and requests beyond the table a probe and a parser take for possible.
const kafkaSpare = 4

// kafkaFlexible reports whether a request is written compactly.
func kafkaFlexible(key, version int16) bool {
	return int(key) >= len(kafkaAPIs) || version >= kafkaAPIs[key].flexible
}

// kafkaRequestHead is the head of a request.
type kafkaRequestHead struct {
	key, version int16
	id           uint32
	client       []byte
	size         int // bytes
}

// kafkaHead reads the head of a request; ok is 0 if more bytes are needed, -1 if it is none.
func kafkaHead(b []byte) (h kafkaRequestHead, ok int) {
	c := wire.Cut(b)
	h.key, h.version = int16(c.U16()), int16(c.U16())
	h.id = c.U32()
	n := c.U16()
	if len(b) >= 2 && (h.key < 0 || int(h.key) >= len(kafkaAPIs)+kafkaSpare) || len(b) >= 4 && !kafkaVersionFits(h.key, h.version) || n > 1<<10 && n != 0xffff {
		return h, -1
	}
	if n != 0xffff {
		h.client = c.Bytes(int(n))
		for _, x := range h.client {
			if x < ' ' || x == 0x7f {
				return h, -1
			}
		}
	}
	if kafkaFlexible(h.key, h.version) {
		kafkaTags(&c)
	}
	if c.Short() {
		return h, 0
	}
	h.size = len(b) - c.Len()
	return h, 1
}

func kafkaVersionFits(key, version int16) bool {
	if int(key) >= len(kafkaAPIs) {
		return version >= 0 && version < kafkaSpare
	}
	return version >= 0 && version <= kafkaAPIs[key].highest+kafkaSpare
}

// kafkaUvarint reads an unsigned variable-length number.
func kafkaUvarint(c *wire.Cursor) (n uint64) {
	for i := range 10 {
		b := c.U8()
		n |= uint64(b&0x7f) << (7 * i)
		if b&0x80 == 0 {
			return n
		}
	}
	c.Skip(-1)
	return 0
}

// kafkaVarint reads a signed one, in zigzag encoding.
func kafkaVarint(c *wire.Cursor) int64 {
	n := kafkaUvarint(c)
	return int64(n>>1) ^ -int64(n&1)
}

// kafkaTags passes over tagged fields.
func kafkaTags(c *wire.Cursor) {
	for n := kafkaUvarint(c); n > 0 && !c.Short(); n-- {
		kafkaUvarint(c)
		c.Skip(int(min(kafkaUvarint(c), 1<<31-1)))
	}
}

// kafkaString reads a string that may be null.
func kafkaString(c *wire.Cursor, flex bool) []byte {
	if flex {
		if n := kafkaUvarint(c); n > 1 {
			return c.Bytes(int(min(n-1, 1<<31-1)))
		}
		return nil
	}
	if n := c.U16(); n != 0xffff {
		return c.Bytes(int(n))
	}
	return nil
}

// kafkaCount reads the number of items of an array, -1 if it is null.
func kafkaCount(c *wire.Cursor, flex bool) int {
	if flex {
		return int(min(kafkaUvarint(c), 1<<31)) - 1
	}
	return int(int32(c.U32()))
}

// about tells group, topics and credentials of a request of which the front is there.
func (d *kafka) about(t *teller, h kafkaRequestHead, c wire.Cursor) {
	flex := kafkaFlexible(h.key, h.version)
	switch h.key {
	case kafkaMetadata:
		for n := min(kafkaCount(&c, flex), 64); n > 0; n-- {
			if h.version >= 10 {
				c.Skip(16)
			}
			d.topicOf(t, kafkaString(&c, flex))
			if flex {
				kafkaTags(&c)
			}
		}
	case 8, 9, 11, 12, 13, 14: // OffsetCommit, OffsetFetch, JoinGroup, Heartbeat, LeaveGroup, SyncGroup
		if h.key == 9 && h.version >= 8 {
			kafkaCount(&c, flex)
		}
		if g := kafkaString(&c, flex); len(g) > 0 {
			t.add(kafkaGroup, g)
		}
	case 15, 42, 68: // DescribeGroups, DeleteGroups, ConsumerGroupHeartbeat
		if h.key != 68 {
			kafkaCount(&c, flex)
		}
		if g := kafkaString(&c, flex); len(g) > 0 {
			t.add(kafkaGroup, g)
		}
	case 2: // ListOffsets
		c.Skip(4)
		if h.version >= 2 {
			c.U8()
		}
		kafkaCount(&c, flex)
		d.topicOf(t, kafkaString(&c, flex))
	case 19, 37: // CreateTopics, CreatePartitions
		kafkaCount(&c, flex)
		d.topicOf(t, kafkaString(&c, flex))
	case 20: // DeleteTopics
		if h.version < 6 {
			for n := min(kafkaCount(&c, flex), 64); n > 0; n-- {
				d.topicOf(t, kafkaString(&c, flex))
			}
		}
	case kafkaFetch:
		d.fetch(t, h.version, flex, &c)
	case kafkaSASL:
		if m := kafkaString(&c, false); len(m) > 0 {
			t.add(kafkaMechanism, m)
		}
	case kafkaAuthenticate:
		var token []byte
		if flex {
			token = kafkaString(&c, true)
		} else {
			token = c.Bytes(int(c.U32()))
		}
		if len(token) > 0 {
			saslPlainUser(t, kafkaUser, token)
		}
	}
}

// saslPlainUser tells the user of SASL PLAIN: RFC 4616.
func saslPlainUser(t *teller, f Field, b []byte) {
	at, nuls := 0, 0
	for i, c := range b {
		if c != 0 {
			continue
		}
		if nuls++; nuls == 1 {
			at = i + 1
		} else {
			if i > at {
				t.add(f, b[at:i])
			}
			return
		}
	}
}

func (d *kafka) topicOf(t *teller, name []byte) {
	if len(name) > 0 && len(name) <= kafkaMaxName {
		t.add(kafkaTopicOf, name)
	}
}

// fetch tells the topics of a Fetch request, while they are named: from version 13 on they are numbered.
func (d *kafka) fetch(t *teller, version int16, flex bool, c *wire.Cursor) {
	if version < 15 {
		c.Skip(4)
	}
	c.Skip(8)
	if version >= 3 {
		c.Skip(4)
	}
	if version >= 4 {
		c.U8()
	}
	if version >= 7 {
		c.Skip(8)
	}
	if version >= 13 {
		return
	}
	for n := min(kafkaCount(c, flex), 64); n > 0 && !c.Short(); n-- {
		d.topicOf(t, kafkaString(c, flex))
		for parts := kafkaCount(c, flex); parts > 0 && !c.Short(); parts-- {
			size := 16 // partition, offset, size
			for _, since := range [...]int16{9, 12} {
				if version >= since {
					size += 4 // leader epoch, last fetched epoch
				}
			}
			if version >= 5 {
				size += 8
			}
			c.Skip(size)
			if flex {
				kafkaTags(c)
			}
		}
		if flex {
			kafkaTags(c)
		}
	}
}

// probeKafka says Yes to a request. An answer says too little of itself.
func probeKafka(_ wire.Dir, head []byte) Guess {
	g := kafkaProbeRequest(head)
	if g == No && kafkaMayAnswer(head) {
		return Maybe
	}
	return g
}

// kafkaMayAnswer reports whether a direction may begin with an answer.
func kafkaMayAnswer(b []byte) bool {
	return b[0] <= 3 && (len(b) < 4 || binary.BigEndian.Uint32(b) >= 6)
}

// kafkaProbeRequest says Yes to a request with a client's name, and to one that connections begin with.
func kafkaProbeRequest(b []byte) Guess {
	c := wire.Cut(b)
	size := c.U32()
	if len(b) > 0 && b[0] > 6 || len(b) >= 4 && (size < 10 || size > 100<<20) {
		return No
	}
	if len(b) < 8 {
		if len(b) >= 6 && (b[4] != 0 || int(b[5]) >= len(kafkaAPIs)+kafkaSpare) {
			return No
		}
		return Maybe
	}
	h, ok := kafkaHead(b[4:min(len(b), 4+int(size))])
	switch {
	case ok < 0:
		return No
	case ok == 0 && int64(len(b)) >= int64(size)+4:
		return No
	case ok == 0:
		return Maybe
	case len(h.client) > 0, h.key == kafkaVersions && size < 200, h.key == kafkaMetadata && size < 2<<10 && size > 13:
		return Yes
	}
	rest := b[min(len(b), 4+int(size)):]
	if len(rest) == 0 {
		return Maybe
	}
	return kafkaProbeRequest(rest)
}
