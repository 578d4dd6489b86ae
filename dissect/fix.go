package dissect

import (
	"bytes"
	"errors"

	"weir/wire"
)

// FIX is the Financial Information eXchange protocol.
var FIX = Protocol{
	Name: "fix",
	About: "FIX 4.0 to 5.0 (fixtrading.org), tag=value encoding, and messages of the same shape that are no FIX of the standard. Each message has " +
		"an event `fix` of its own.",
	Carrier: Stream,
	Probe:   probeFIX,
	Fields: []FieldSpec{
		fixVersion: {Name: "fix.version", Doc: "tag 8, as `FIX.4.4`", EVE: "version"},
		fixType:    {Name: "fix.msg_type", Doc: "tag 35", EVE: "msg_type", Derived: true},
		fixSender:  {Name: "fix.sender", Doc: "tag 49", EVE: "sender", Derived: true},
		fixTarget:  {Name: "fix.target", Doc: "tag 56", EVE: "target", Derived: true},
		fixBody:    {Name: "fix.body", Doc: "what follows the length, as it came"},
	},
	PerMessage: true,
	New:        newFIX,
	Resume:     func(p *Protocol, env *Env, r Rest) Dissector { d := newFIX(p, env); d.(*fix).resume(r); return d },
}

// Fields of FIX.
const (
	fixVersion Field = iota
	fixType
	fixSender
	fixTarget
	fixBody
)

// from the specification: bytes of the checksum.
const fixSum = 7

// ours
const (
	fixMaxBody = 64 << 20 // bytes
	fixPeek    = 256      // bytes of a body that are waited for, for the tags that events have
)

var errFIX = errors.New("fix: no message")

// fix parses one connection.
type fix struct{ framed }

func newFIX(p *Protocol, env *Env) Dissector {
	d := &fix{}
	d.framed = makeFramed(p, env, d.next)
	return d
}

// Rest implements Dissector.
func (d *fix) Rest() (Rest, bool) { return d.quiet() }

// readFIX reads the begin string and the length; ok is 0 if more bytes are needed, -1 if it is none.
func readFIX(b []byte) (version []byte, length int64, head, ok int) {
	n := min(len(b), 2)
	if string(b[:n]) != "8="[:n] {
		return nil, 0, 0, -1
	}
	i := bytes.IndexByte(b, 1)
	if i < 0 {
		i = len(b)
	}
	for _, c := range b[n:i] {
		if i > 14 || (c < 'A' || c > 'Z') && !isDigit(c) && c != '.' {
			return nil, 0, 0, -1
		}
	}
	if i == len(b) {
		return nil, 0, 0, 0
	}
	if i < 3 {
		return nil, 0, 0, -1
	}
	rest := b[i+1:]
	n = min(len(rest), 2)
	if string(rest[:n]) != "9="[:n] {
		return nil, 0, 0, -1
	}
	j := 2
	for ; j < len(rest) && isDigit(rest[j]); j++ {
		if j > 10 {
			return nil, 0, 0, -1
		}
		length = length*10 + int64(rest[j]-'0')
	}
	if j >= len(rest) {
		return nil, 0, 0, 0
	}
	if rest[j] != 1 || j == 2 || length > fixMaxBody {
		return nil, 0, 0, -1
	}
	return b[2:i], length, i + 1 + j + 1, 1
}

// next takes a message's head, and looks at the front of its body. A checksum follows that the length does not count.
func (d *fix) next(t *teller, dir wire.Dir, b []byte) (n, need int, err error) {
	const sum = "10="
	if b[0] == '1' { // the checksum of the message before: tag 10, three digits
		if m := min(len(b), 3); string(b[:m]) == sum[:m] {
			switch {
			case len(b) < fixSum:
				return 0, fixSum - len(b), nil
			case !isDigit(b[3]) || !isDigit(b[4]) || !isDigit(b[5]) || b[6] != 1:
				return 0, 0, errFIX
			}
			return fixSum, 0, nil
		}
	}
	version, length, head, ok := readFIX(b)
	switch {
	case ok < 0:
		return 0, 0, errFIX
	case ok == 0:
		return 0, 1, nil
	}
	front := int(min(length, fixPeek))
	if len(b) < head+front {
		return 0, head + front - len(b), nil
	}
	d.begin(dir)
	t.add(fixVersion, version)
	for rest := b[head : head+front]; len(rest) > 0; {
		tag, after, found := bytes.Cut(rest, []byte{1})
		if !found {
			break
		}
		rest = after
		name, value, _ := bytes.Cut(tag, []byte("="))
		switch string(name) {
		case "35":
			t.add(fixType, value)
		case "49":
			t.add(fixSender, value)
		case "56":
			t.add(fixTarget, value)
		}
	}
	d.stream(t, dir, fixBody, length, true, true)
	return head, 0, nil
}

// probeFIX says Yes to a begin string and a length behind it.
func probeFIX(_ wire.Dir, head []byte) Guess {
	switch _, _, _, ok := readFIX(head); {
	case ok < 0:
		return No
	case ok == 0:
		return Maybe
	}
	return Yes
}
