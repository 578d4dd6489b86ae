package policy

import "hash/maphash"

// role says what a field's values are in a rule.
type role uint8

const (
	noRole role = iota
	verb        // what is done: rules are made for each verb, or for verbs of which the same is known
	object      // what it is done to
	apart       // what holds for all that is said: a condition of its own, left out where some messages have none
)

// term is what is learned of a field.
type term struct {
	role  role
	style style
}

// vocabulary is what is learned, by field. To learn another field, add a line; docs/policy.md is held to it.
var vocabulary = map[string]term{
	"http.method": {verb, styleWord}, "http.path": {object, stylePath}, "http.host": {apart, styleName},
	"grpc.service": {verb, styleWord}, "grpc.method": {object, styleWord},

	"postgresql.verb": {verb, styleWord}, "postgresql.table": {object, styleTable},
	"mysql.verb": {verb, styleWord}, "mysql.table": {object, styleTable},
	"tds.verb": {verb, styleWord}, "tds.table": {object, styleTable},
	"cassandra.verb": {verb, styleWord}, "cassandra.table": {object, styleTable},
	"mongodb.command": {verb, styleWord}, "mongodb.collection": {object, styleTable}, "mongodb.database": {apart, styleWord},

	"redis.command": {verb, styleWord}, "memcached.command": {verb, styleWord}, "couchbase.command": {verb, styleWord},

	"kafka.api": {verb, styleWord}, "kafka.topic": {object, styleTopic}, "kafka.topic_name": {object, styleTopic},
	"mqtt.type": {verb, styleWord}, "mqtt.publish.topic": {object, styleTopic}, "mqtt.subscribe.topic": {object, styleTopic},
	"amqp.method": {verb, styleWord}, "amqp.exchange": {object, styleTopic}, "amqp.queue": {object, styleTopic}, "amqp.routing_key": {object, styleTopic},
	"nats.operation": {verb, styleWord}, "nats.subject": {object, styleTopic},
	"stomp.command": {verb, styleWord}, "pulsar.command": {verb, styleWord}, "pulsar.topic": {object, styleTopic}, "rocketmq.topic": {object, styleTopic},
	"dubbo.service": {verb, styleWord}, "dubbo.method": {object, styleWord}, "brpc.service": {verb, styleWord}, "brpc.method": {object, styleWord},
	"thrift.method": {verb, styleWord},

	"dns.query": {object, styleName}, "dns.type": {apart, styleWord},
	"tls.sni": {object, styleName},

	"ftp.command": {verb, styleWord}, "smtp.command": {verb, styleLine}, "imap.command": {verb, styleWord}, "pop3.command": {verb, styleWord},
	"smb.command": {verb, styleWord}, "smb.share": {object, styleWord}, "ldap.operation": {verb, styleWord},
	"snmp.pdu_type": {verb, styleWord}, "modbus.function": {verb, styleWord}, "ajp.method": {verb, styleWord}, "ajp.uri": {object, stylePath},
	"sip.method": {verb, styleWord}, "rtsp.method": {verb, styleWord},
}

// optional are objects that a message with the same verb may have or not: that it had none is a condition, too.
var optional = []string{"postgresql.table", "mysql.table", "tds.table", "cassandra.table", "mongodb.collection", "tls.sni"}

// Terms is the vocabulary by the numbers that fields and protocols have. It is immutable and shared.
type Terms struct {
	of        []term // by number of field
	fields    []string
	protocols []string
	seed      maphash.Seed // of the hashes of what is noted
}

// NewTerms makes the vocabulary of what there is: names of fields and of protocols, each at its number. Both are kept.
func NewTerms(fields, protocols []string) *Terms {
	t := &Terms{of: make([]term, len(fields)), fields: fields, protocols: protocols, seed: maphash.MakeSeed()}
	for i, name := range fields {
		t.of[i] = vocabulary[name]
	}
	return t
}

// Learned reports whether a field's values are learned. Others count only by being there, where a message has none that is learned.
func (t *Terms) Learned(field int) bool {
	return field >= 0 && field < len(t.of) && t.of[field].role != noRole
}

func (t *Terms) term(field int) term {
	if field < 0 || field >= len(t.of) {
		return term{}
	}
	return t.of[field]
}
