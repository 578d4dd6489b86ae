package dissect

import (
	"bytes"
	"errors"

	"weir/wire"
)

// JSONRPC is JSON-RPC 2.0 directly over TCP: objects one after the other.
var JSONRPC = Protocol{
	Name:    "json-rpc",
	About:   "JSON-RPC 2.0 (jsonrpc.org) directly over TCP; over HTTP it is a body. Each object has an event `json-rpc` of its own.",
	Carrier: Stream,
	Probe:   probeJSONRPC,
	Fields:  jsonRPCFields,

	PerMessage: true,
	New:        newJSONRPC,
}

var jsonRPCFields = []FieldSpec{
	jsonRPCMethod:  {Name: "json-rpc.method", Doc: "the method", EVE: "method", Derived: true},
	jsonRPCMessage: {Name: "json-rpc.message", Doc: "the object, or batch, as it came"},
}

// Fields of JSONRPC.
const (
	jsonRPCMethod Field = iota
	jsonRPCMessage
)

// ours
const (
	jsonRPCPeek  = 512 // bytes in which a first object says what it is
	jsonRPCDepth = 512 // objects and lists in one another
)

var errJSONRPC = errors.New("json-rpc: no object")

// jsonRPCSide is where in an object a direction stands.
type jsonRPCSide struct {
	depth          int
	quoted, escape bool
	keep           []byte // the object's front, for its method
}

// jsonRPC parses one connection.
type jsonRPC struct {
	framed
	of [2]jsonRPCSide
}

func newJSONRPC(p *Protocol, env *Env) Dissector {
	d := &jsonRPC{}
	d.framed = makeFramed(p, env, d.next)
	return d
}

// Size implements Dissector.
func (d *jsonRPC) Size() int { return framedSize + cap(d.of[0].keep) + cap(d.of[1].keep) }

// next takes a piece of an object.
func (d *jsonRPC) next(t *teller, dir wire.Dir, b []byte) (n, need int, err error) {
	s := &d.of[dir]
	if s.depth == 0 {
		switch b[0] {
		case ' ', '\t', '\r', '\n', 0:
			return 1, 0, nil
		case '{', '[':
		default:
			return 0, 0, errJSONRPC
		}
		d.begin(dir)
		d.stream(t, dir, jsonRPCMessage, 0, false, false)
		*s = jsonRPCSide{keep: s.keep[:0]}
	}
	end := s.scan(b)
	if s.depth > jsonRPCDepth {
		return 0, 0, errJSONRPC
	}
	if n := jsonRPCPeek - len(s.keep); n > 0 {
		s.keep = append(s.keep, b[:min(end, n)]...)
	}
	d.pass(t, dir, b[:end], s.depth > 0)
	if s.depth == 0 {
		if m := jsonRPCText(s.keep, "\"method\""); m != nil {
			t.add(jsonRPCMethod, m)
		}
		d.done(t, dir, true)
	}
	return end, 0, nil
}

// scan goes on to the end of the object or of b.
func (s *jsonRPCSide) scan(b []byte) int {
	for i, c := range b {
		switch {
		case s.escape:
			s.escape = false
		case s.quoted:
			s.escape, s.quoted = c == '\\', c != '"'
		case c == '"':
			s.quoted = true
		case c == '{' || c == '[':
			if s.depth++; s.depth > jsonRPCDepth {
				return i + 1
			}
		case c == '}' || c == ']':
			if s.depth--; s.depth == 0 {
				return i + 1
			}
		}
	}
	return len(b)
}

// jsonRPCText finds the string behind a key, nil if it is not there whole.
func jsonRPCText(b []byte, key string) []byte {
	_, rest, ok := bytes.Cut(b, []byte(key))
	if !ok {
		return nil
	}
	rest = bytes.TrimLeft(rest, " \t\r\n:")
	if len(rest) == 0 || rest[0] != '"' {
		return nil
	}
	i := bytes.IndexByte(rest[1:], '"')
	if i < 0 {
		return nil
	}
	return rest[1 : 1+i]
}

// probeJSONRPC says Yes to an object in whose front the key "jsonrpc" stands.
func probeJSONRPC(_ wire.Dir, head []byte) Guess {
	if head[0] != '{' && head[0] != '[' {
		return No
	}
	const key = "\"jsonrpc\""
	head = head[:min(len(head), jsonRPCPeek)]
	b := bytes.TrimLeft(head, "{[ \t\r\n")
	switch {
	case len(b) > 0 && b[0] != '"':
		return No
	case bytes.Contains(head, []byte(key)):
		return Yes
	case len(head) == jsonRPCPeek:
		return No
	}
	return Maybe
}
