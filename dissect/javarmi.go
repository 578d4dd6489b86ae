package dissect

import (
	"encoding/binary"
	"errors"

	"weir/wire"
)

// JavaRMI is Java Remote Method Invocation. Its messages are Java objects without a length: behind the greetings each direction is one value.
var JavaRMI = Protocol{
	Name: "java-rmi",
	About: "Java RMI (Oracle, RMI wire protocol). Each direction is a message: the greeting, then calls or returns as one endless value - " +
		"serialized Java objects, whose deserialization is what attacks aim at.",
	Carrier: Stream,
	Ports:   []uint16{1099},
	Probe:   probeJavaRMI,
	Fields: []FieldSpec{
		rmiVersion:  {Name: "java-rmi.version", Doc: "of the protocol", EVE: "version", Number: true, Derived: true},
		rmiEndpoint: {Name: "java-rmi.endpoint", Doc: "host that an end calls the other, or itself", EVE: "endpoint"},
		rmiCalls:    {Name: "java-rmi.calls", Doc: "calls, as they came"},
		rmiReturns:  {Name: "java-rmi.returns", Doc: "returns, as they came"},
	},
	PerMessage: true,
	New:        newJavaRMI,
}

// Fields of JavaRMI.
const (
	rmiVersion Field = iota
	rmiEndpoint
	rmiCalls
	rmiReturns
)

// from the specification, section 10.2.
const (
	rmiMagic    = "JRMI"
	rmiStream   = 0x4b
	rmiSingleOp = 0x4c
	rmiAck      = 0x4e
	rmiRefused  = 0x4f
)

var errJavaRMI = errors.New("java-rmi: no greeting")

// javaRMI parses one connection.
type javaRMI struct {
	framed
	greeted [2]uint8 // steps of the greeting
	single  bool
}

func newJavaRMI(p *Protocol, env *Env) Dissector {
	d := &javaRMI{}
	d.framed = makeFramed(p, env, d.next)
	return d
}

// next takes a greeting, or passes on what follows it.
func (d *javaRMI) next(t *teller, dir wire.Dir, b []byte) (n, need int, err error) {
	if d.greeted[dir] == 2 {
		d.pass(t, dir, b, true)
		return len(b), 0, nil
	}
	if dir == wire.ToServer && d.greeted[dir] == 0 {
		switch {
		case len(b) < 7:
			return 0, 7 - len(b), nil
		case string(b[:4]) != rmiMagic:
			return 0, 0, errJavaRMI
		}
		d.begin(dir)
		t.number(rmiVersion, int64(binary.BigEndian.Uint16(b[4:])))
		d.greeted[dir]++
		if d.single = b[6] == rmiSingleOp; d.single {
			d.greet(t, dir)
		}
		return 7, 0, nil
	}
	c := wire.Cut(b)
	if dir == wire.ToClient {
		if d.single {
			d.begin(dir)
			d.greet(t, dir)
			return 0, 0, nil
		}
		if k := c.U8(); k != rmiAck && k != rmiRefused {
			return 0, 0, errJavaRMI
		} else if k == rmiRefused {
			d.begin(dir)
			d.greet(t, dir)
			return 1, 0, nil
		}
	}
	host := c.Bytes(int(c.U16()))
	c.Skip(4)
	if c.Short() {
		if len(b) > 1<<10 {
			return 0, 0, errJavaRMI
		}
		return 0, 1, nil
	}
	if dir == wire.ToClient {
		d.begin(dir)
	}
	t.add(rmiEndpoint, host)
	d.greet(t, dir)
	return len(b) - c.Len(), 0, nil
}

// greet ends the greeting: one endless value follows.
func (d *javaRMI) greet(t *teller, dir wire.Dir) {
	d.greeted[dir] = 2
	d.stream(t, dir, [...]Field{wire.ToServer: rmiCalls, wire.ToClient: rmiReturns}[dir], 0, false, false)
}

// Gap implements Dissector.
func (d *javaRMI) Gap(dir wire.Dir, n int, _ func(*Message)) bool {
	d.side[dir].off += int64(n)
	return d.greeted[dir] == 2
}

// probeJavaRMI says Yes to the client's magic number and version, and to the server's acknowledgement with an address in it.
func probeJavaRMI(dir wire.Dir, head []byte) Guess {
	n := len(head)
	if head[0] == rmiAck {
		c := wire.Cut(head[1:])
		size := int(c.U16())
		if n > 1 && head[1] != 0 || n > 2 && (size < 2 || size > 64) {
			return No
		}
		host := head[min(n, 3):min(n, 3+size)]
		for _, x := range host {
			if x <= ' ' || x >= 0x7f {
				return No
			}
		}
		if n < 3+size+2 {
			return Maybe
		}
		if head[3+size] != 0 || head[4+size] != 0 {
			return No
		}
		return Yes
	}
	m := min(n, 4)
	switch {
	case string(head[:m]) != rmiMagic[:m], n > 4 && head[4] != 0, n > 5 && (head[5] == 0 || head[5] > 9), n > 6 && (head[6] < rmiStream || head[6] > rmiSingleOp+1):
		return No
	case n < 7:
		return Maybe
	}
	return Yes
}
