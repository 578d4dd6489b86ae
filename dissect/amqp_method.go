package dissect

import (
	"bytes"

	"weir/wire"
)

// amqpMethodSpec is a method: its name, and its arguments up to the last that has a field of its own. A letter stands for each: o octet, h short,
// l long, g long long, s short string, S long string, t table, b a byte of bits; after one of the strings or numbers the field that it goes to.
type amqpMethodSpec struct {
	name    string
	args    []amqpArg
	content bool // a content follows
}

type amqpArg struct {
	form  byte
	field Field
	told  bool
}

func amqpA(form byte) amqpArg                     { return amqpArg{form: form} }
func amqpF(form byte, field Field) amqpArg        { return amqpArg{form, field, true} }
func amqpM(n string, a ...amqpArg) amqpMethodSpec { return amqpMethodSpec{name: n, args: a} }

// amqpClasses are the methods of 0-9-1 and RabbitMQ's, by class and method.
var amqpClasses = map[uint16]map[uint16]amqpMethodSpec{
	10: {
		10: amqpM("Connection.Start"),
		11: amqpM("Connection.Start-Ok", amqpA('t'), amqpF('s', amqpMechanism), amqpF('S', amqpResponse)),
		20: amqpM("Connection.Secure"),
		21: amqpM("Connection.Secure-Ok", amqpF('S', amqpResponse)),
		30: amqpM("Connection.Tune"), 31: amqpM("Connection.Tune-Ok"),
		40: amqpM("Connection.Open", amqpF('s', amqpVHost)), 41: amqpM("Connection.Open-Ok"),
		50: amqpM("Connection.Close", amqpF('h', amqpReplyCode), amqpF('s', amqpReplyText)), 51: amqpM("Connection.Close-Ok"),
		60: amqpM("Connection.Blocked", amqpF('s', amqpReplyText)), 61: amqpM("Connection.Unblocked"),
		70: amqpM("Connection.Update-Secret"), 71: amqpM("Connection.Update-Secret-Ok"),
	},
	20: {
		10: amqpM("Channel.Open"), 11: amqpM("Channel.Open-Ok"), 20: amqpM("Channel.Flow"), 21: amqpM("Channel.Flow-Ok"),
		40: amqpM("Channel.Close", amqpF('h', amqpReplyCode), amqpF('s', amqpReplyText)), 41: amqpM("Channel.Close-Ok"),
	},
	30: {10: amqpM("Access.Request"), 11: amqpM("Access.Request-Ok")},
	40: {
		10: amqpM("Exchange.Declare", amqpA('h'), amqpF('s', amqpExchange)), 11: amqpM("Exchange.Declare-Ok"),
		20: amqpM("Exchange.Delete", amqpA('h'), amqpF('s', amqpExchange)), 21: amqpM("Exchange.Delete-Ok"),
		30: amqpM("Exchange.Bind", amqpA('h'), amqpF('s', amqpExchange), amqpF('s', amqpExchange), amqpF('s', amqpRoutingKey)), 31: amqpM("Exchange.Bind-Ok"),
		40: amqpM("Exchange.Unbind", amqpA('h'), amqpF('s', amqpExchange), amqpF('s', amqpExchange), amqpF('s', amqpRoutingKey)), 51: amqpM("Exchange.Unbind-Ok"),
	},
	50: {
		10: amqpM("Queue.Declare", amqpA('h'), amqpF('s', amqpQueue)), 11: amqpM("Queue.Declare-Ok", amqpF('s', amqpQueue)),
		20: amqpM("Queue.Bind", amqpA('h'), amqpF('s', amqpQueue), amqpF('s', amqpExchange), amqpF('s', amqpRoutingKey)), 21: amqpM("Queue.Bind-Ok"),
		30: amqpM("Queue.Purge", amqpA('h'), amqpF('s', amqpQueue)), 31: amqpM("Queue.Purge-Ok"),
		40: amqpM("Queue.Delete", amqpA('h'), amqpF('s', amqpQueue)), 41: amqpM("Queue.Delete-Ok"),
		50: amqpM("Queue.Unbind", amqpA('h'), amqpF('s', amqpQueue), amqpF('s', amqpExchange), amqpF('s', amqpRoutingKey)), 51: amqpM("Queue.Unbind-Ok"),
	},
	60: {
		10: amqpM("Basic.Qos"), 11: amqpM("Basic.Qos-Ok"),
		20: amqpM("Basic.Consume", amqpA('h'), amqpF('s', amqpQueue)), 21: amqpM("Basic.Consume-Ok"),
		30: amqpM("Basic.Cancel"), 31: amqpM("Basic.Cancel-Ok"),
		40: {"Basic.Publish", []amqpArg{amqpA('h'), amqpF('s', amqpExchange), amqpF('s', amqpRoutingKey)}, true},
		50: {"Basic.Return", []amqpArg{amqpF('h', amqpReplyCode), amqpF('s', amqpReplyText), amqpF('s', amqpExchange), amqpF('s', amqpRoutingKey)}, true},
		60: {"Basic.Deliver", []amqpArg{amqpA('s'), amqpA('g'), amqpA('b'), amqpF('s', amqpExchange), amqpF('s', amqpRoutingKey)}, true},
		70: amqpM("Basic.Get", amqpA('h'), amqpF('s', amqpQueue)),
		71: {"Basic.Get-Ok", []amqpArg{amqpA('g'), amqpA('b'), amqpF('s', amqpExchange), amqpF('s', amqpRoutingKey)}, true},
		72: amqpM("Basic.Get-Empty"), 80: amqpM("Basic.Ack"), 90: amqpM("Basic.Reject"), 100: amqpM("Basic.Recover-Async"),
		110: amqpM("Basic.Recover"), 111: amqpM("Basic.Recover-Ok"), 120: amqpM("Basic.Nack"),
	},
	85: {10: amqpM("Confirm.Select"), 11: amqpM("Confirm.Select-Ok")},
	90: {
		10: amqpM("Tx.Select"), 11: amqpM("Tx.Select-Ok"), 20: amqpM("Tx.Commit"), 21: amqpM("Tx.Commit-Ok"),
		30: amqpM("Tx.Rollback"), 31: amqpM("Tx.Rollback-Ok"),
	},
}

// amqpMethodOf returns a method, one without a name if there is none.
func amqpMethodOf(class, method uint16) amqpMethodSpec { return amqpClasses[class][method] }

// method takes a method frame.
func (d *amqp) method(t *teller, dir wire.Dir, s *amqpSide, channel uint16, b []byte) {
	c := wire.Cut(b)
	spec := amqpMethodOf(c.U16(), c.U16())
	if spec.name == "" {
		d.odd(t, dir, channel, b)
		return
	}
	d.begin(dir)
	t.addString(amqpMethod, spec.name)
	t.number(amqpChannel, int64(channel))
	for _, a := range spec.args {
		d.argument(t, &c, a)
	}
	if c.Short() {
		t.note(amqpBroken)
		t.add(amqpPayload, b)
	} else if c.Len() > 0 {
		t.add(amqpArguments, c.Rest())
	}
	if spec.content && channel > 0 {
		d.expect(t, dir, s, channel)
		return
	}
	d.done(t, dir, true)
}

// argument takes an argument of a method: section 4.2.5.
func (d *amqp) argument(t *teller, c *wire.Cursor, a amqpArg) {
	var b []byte
	switch a.form {
	case 'o', 'b':
		c.U8()
	case 'h':
		if n := c.U16(); a.told && !c.Short() {
			t.number(a.field, int64(n))
		}
		return
	case 'l':
		c.U32()
	case 'g':
		c.U64()
	case 's':
		b = c.Bytes(int(c.U8()))
		if len(b) > 0 && !a.told {
			t.add(amqpArguments, b)
		}
	case 'S', 't':
		b = c.Bytes(int(c.U32()))
		if len(b) > 0 && !a.told {
			t.add(amqpArguments, b)
		}
	}
	if len(b) == 0 || !a.told {
		return
	}
	t.add(a.field, b)
	switch a.field {
	case amqpMechanism:
		t.add(amqpArguments, b)
	case amqpResponse:
		amqpPlain(t, b)
	}
}

// amqpPlain tells the user of SASL PLAIN (RFC 4616), and of AMQPLAIN's table.
func amqpPlain(t *teller, b []byte) {
	if w := bytes.SplitN(b, []byte{0}, 3); len(w) == 3 {
		t.add(amqpUser, w[1])
	} else if _, v, ok := bytes.Cut(b, []byte("\x05LOGINS")); ok {
		c := wire.Cut(v)
		t.add(amqpUser, c.Bytes(int(c.U32())))
	}
}
