package policy

// Acts are the fields that say what a message does, of protocols in which other messages only keep the conversation going: logins, pings, the steps of a
// statement that was named before. A message that has none of them, and no field that a rule asks for, is not judged for itself. Of protocols that are
// not listed every message is judged.
var Acts = []string{
	"postgresql.verb", "mysql.verb", "tds.verb", "cassandra.verb",
	"kafka.topic",
	"mqtt.publish.topic", "mqtt.subscribe.topic", "mqtt.unsubscribe.topic",
	"nats.subject",
	"amqp.exchange", "amqp.queue", "amqp.routing_key",
	"tls.client_version",
}
