package dissect

import (
	"encoding/binary"
	"errors"

	"weir/wire"
)

// ZMTP is the ZeroMQ Message Transport Protocol, version 3.
var ZMTP = Protocol{
	Name: "zmtp",
	About: "The ZeroMQ Message Transport Protocol 3.0 and 3.1 (rfc.zeromq.org/spec/23). Each command and message has an event `zmtp` of its own; " +
		"the frames of a message are values. Behind CURVE messages are encrypted.",
	Carrier: Stream,
	Ports:   []uint16{5555},
	Probe:   probeZMTP,
	Fields: []FieldSpec{
		zmtpVersion:   {Name: "zmtp.version", Doc: "as `3.1`", EVE: "version", Derived: true},
		zmtpMechanism: {Name: "zmtp.mechanism", Doc: "`NULL`, `PLAIN` or `CURVE`", EVE: "mechanism"},
		zmtpCommand:   {Name: "zmtp.command", Doc: "name of a command, as `READY`", EVE: "command", Derived: true},
		zmtpUser:      {Name: "zmtp.user", Doc: "user of PLAIN", EVE: "user", Derived: true},
		zmtpArguments: {Name: "zmtp.arguments", Doc: "a command as it came, with PLAIN's password; what the greeting's filler hides", Privacy: Sealed},
		zmtpFrame:     {Name: "zmtp.frame", Doc: "a frame of a message"},
	},
	PerMessage: true,
	New:        newZMTP,
}

// Fields of ZMTP.
const (
	zmtpVersion Field = iota
	zmtpMechanism
	zmtpCommand
	zmtpUser
	zmtpArguments
	zmtpFrame
)

// from the specification.
const (
	zmtpGreeting = 64 // bytes
	zmtpMore     = 1  // flags of a frame
	zmtpLong     = 2
	zmtpIsCmd    = 4
)

// ours
const (
	zmtpMaxCommand = 64 << 10 // bytes of a command
	zmtpMaxFrame   = 1 << 40
)

var errZMTP = errors.New("zmtp: no frame")

// zmtp parses one connection.
type zmtp struct {
	framed
	greeted [2]bool
	more    [2]bool // the message in hand has further frames
}

func newZMTP(p *Protocol, env *Env) Dissector {
	d := &zmtp{}
	d.framed = makeFramed(p, env, d.next)
	return d
}

// next takes the greeting, a command, or the head of a frame.
func (d *zmtp) next(t *teller, dir wire.Dir, b []byte) (n, need int, err error) {
	if !d.greeted[dir] {
		return d.greeting(t, dir, b)
	}
	flags := b[0]
	if flags&^7 != 0 {
		return 0, 0, errZMTP
	}
	head, size := 2, int64(0)
	if flags&zmtpLong != 0 {
		head = 9
	}
	if len(b) < head {
		return 0, head - len(b), nil
	}
	if size = int64(b[1]); flags&zmtpLong != 0 {
		size = int64(binary.BigEndian.Uint64(b[1:]))
	}
	if size < 0 || size > zmtpMaxFrame || flags&zmtpIsCmd != 0 && size > zmtpMaxCommand {
		return 0, 0, errZMTP
	}
	if flags&zmtpIsCmd != 0 {
		whole := head + int(size)
		if len(b) < whole {
			return 0, whole - len(b), nil
		}
		if !d.more[dir] {
			d.begin(dir)
		}
		d.command(t, b[head:whole])
		if !d.more[dir] {
			d.done(t, dir, true)
		}
		return whole, 0, nil
	}
	if !d.more[dir] {
		d.begin(dir)
	}
	d.more[dir] = flags&zmtpMore != 0
	d.stream(t, dir, zmtpFrame, size, !d.more[dir], true)
	return head, 0, nil
}

// greeting takes the greeting: signature, version, mechanism, filler.
func (d *zmtp) greeting(t *teller, dir wire.Dir, b []byte) (n, need int, err error) {
	if len(b) < zmtpGreeting {
		return 0, zmtpGreeting - len(b), nil
	}
	if b[0] != 0xff || b[9] != 0x7f || b[10] < 3 || b[10] > 9 || b[11] > 9 {
		return 0, 0, errZMTP
	}
	d.greeted[dir] = true
	d.begin(dir)
	t.add(zmtpVersion, t.write(func(o []byte) []byte { return append(o, '0'+b[10], '.', '0'+b[11]) }))
	name := b[12:32]
	for len(name) > 0 && name[len(name)-1] == 0 {
		name = name[:len(name)-1]
	}
	t.add(zmtpMechanism, name)
	for _, c := range b[33:zmtpGreeting] {
		if c != 0 {
			t.add(zmtpArguments, b[33:zmtpGreeting])
			break
		}
	}
	d.done(t, dir, true)
	return zmtpGreeting, 0, nil
}

// command tells a command.
func (d *zmtp) command(t *teller, b []byte) {
	c := wire.Cut(b)
	name := c.Bytes(int(c.U8()))
	t.add(zmtpCommand, name)
	if string(name) == "HELLO" {
		if user := c.Bytes(int(c.U8())); len(user) > 0 {
			t.add(zmtpUser, user)
		}
	}
	t.add(zmtpArguments, b)
}

// probeZMTP says Yes to the signature of the greeting.
func probeZMTP(_ wire.Dir, head []byte) Guess {
	n := len(head)
	switch {
	case head[0] != 0xff, n > 9 && head[9] != 0x7f, n > 10 && (head[10] < 3 || head[10] > 9):
		return No
	case n < 10:
		for _, c := range head[1:min(n, 8)] {
			if c != 0 {
				return No
			}
		}
		return Maybe
	}
	for _, c := range head[1:8] {
		if c != 0 {
			return No
		}
	}
	if n == 10 {
		return Maybe
	}
	return Yes
}
