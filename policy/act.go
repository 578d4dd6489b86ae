package policy

import (
	"slices"
	"strings"
)

// actions are the fields that say what a message does, of protocols in which others are named first: topics and tables rather than that somebody logs in
// or asks for versions.
var actions = []string{
	"postgresql.verb", "mysql.verb", "tds.verb", "cassandra.verb",
	"kafka.topic",
	"mqtt.publish.topic", "mqtt.subscribe.topic", "mqtt.unsubscribe.topic",
	"nats.subject",
	"amqp.exchange", "amqp.queue", "amqp.routing_key",
	"tls.client_version",
}

// strict are the protocols of which every message is judged.
var strict = []string{"http", "grpc", "dns"}

// Acts reports whether a field says what a message does. Where a protocol has such fields, a message that has none of them, and none that a rule asks for, only keeps
// the conversation going: a login, a ping, the body of what was named before. It is not judged for itself. Of protocols without any, and of
// those that are strict, every message is.
func Acts(field string) bool {
	proto, _, _ := strings.Cut(field, ".")
	if slices.Contains(strict, proto) {
		return false
	}
	if slices.ContainsFunc(actions, func(a string) bool { return strings.HasPrefix(a, proto+".") }) {
		return slices.Contains(actions, field)
	}
	return vocabulary[field].role == verb
}
