package dissect

import (
	"encoding/binary"
	"errors"
	"slices"

	"weir/wire"
)

// MongoDB is MongoDB's wire protocol.
var MongoDB = Protocol{
	Name: "mongodb",
	About: "MongoDB's wire protocol (MongoDB documentation, \"Wire Protocol\"): OP_MSG, OP_QUERY and OP_REPLY, the older writes, OP_COMPRESSED with snappy, zlib and " +
		"zstd. An event `mongodb` for each request with its reply. Of BSON documents every name and value is told: strings as they are, numbers as text.",
	Carrier: Stream,
	Ports:   []uint16{27017, 27018, 27019},
	Probe:   probeMongoDB,
	Fields: []FieldSpec{
		mongoCommandName: {Name: "mongodb.command", Doc: "the command, as `find`; of older requests the operation, as `insert`", EVE: "command", Derived: true},
		mongoCollection:  {Name: "mongodb.collection", Doc: "collection that it is about", EVE: "collection", Derived: true},
		mongoDatabase:    {Name: "mongodb.database", Doc: "database", EVE: "database", Derived: true},
		mongoRequestDoc:  {Name: "mongodb.request", Doc: "documents of a request as text, as `find: orders filter: {name: Ann} `; a value for each document"},
		mongoReplyDoc:    {Name: "mongodb.reply", Doc: "documents of a reply, likewise"},
		mongoUser:        {Name: "mongodb.user", Doc: "user of the session, if it comes by SCRAM", EVE: "user", Derived: true},
		mongoPassword:    {Name: "mongodb.password", Doc: "what the client proves its identity with", Privacy: Credential},
		mongoClient:      {Name: "mongodb.client", Doc: "driver of the client", EVE: "client", Derived: true},
		mongoOK:          {Name: "mongodb.ok", Doc: "`1` if the command was done, else `0`", EVE: "ok", Number: true, Derived: true},
		mongoErrorCode:   {Name: "mongodb.error_code", Doc: "number of an error", EVE: "error_code", Number: true, Derived: true},
		mongoError:       {Name: "mongodb.error", Doc: "text of an error", EVE: "error", Derived: true},
		mongoData:        {Name: "mongodb.data", Doc: "bytes that are told as they came: messages that are too large to be told apart"},
	},
	New:    newMongoDB,
	Resume: resumeMongoDB,
}

// Fields of MongoDB, in the order of MongoDB.Fields.
const (
	mongoCommandName Field = iota
	mongoCollection
	mongoDatabase
	mongoRequestDoc
	mongoReplyDoc
	mongoUser
	mongoPassword
	mongoClient
	mongoOK
	mongoErrorCode
	mongoError
	mongoData
)

// from the specification
const (
	mongoHeader     = 16 // bytes
	mongoReply      = 1
	mongoUpdate     = 2001
	mongoInsert     = 2002
	mongoQuery      = 2004
	mongoGetMore    = 2005
	mongoDelete     = 2006
	mongoKill       = 2007
	mongoCommand    = 2010
	mongoCompressed = 2012
	mongoMsg        = 2013
	mongoMaxMessage = 48000000 // bytes
	mongoMaxName    = 255      // bytes of a namespace
	mongoChecksum   = 1        // flag of OP_MSG
	mongoMoreToCome = 2        // likewise
)

// ours
const (
	mongoHold    = 256 << 10 // bytes of a message that are waited for; the bytes of a larger one are told as they come
	mongoMaxAsks = 256       // requests that wait for their reply
	mongoDepth   = 32        // documents in each other; deeper ones are told as they came
	mongoSize    = 256       // bytes that a mongodb is counted for
)

var (
	errMongoDB = errors.New("mongodb: not a message")

	mongoNoteBSON   = Note{"mongodb.malformed_bson", false, "a document whose lengths or types lie: the rest of it is inspected as it came"}
	mongoNotePacked = Note{"mongodb.undecodable", false, "a compressed message that does not decode, or to more than it may: not inspected"}
	mongoNoteDeep   = Note{"mongodb.too_deep", false, "documents in each other, deeper than the limit: inspected as they came"}
)

// mongoAsked is a request that waits for its reply.
type mongoAsked struct {
	tx uint64
	id uint32
}

// mongoSide is the state of one direction.
type mongoSide struct {
	u     unit
	value pieces // of a large message
	lost  bool   // it is compressed: it cannot be looked into
}

// mongodb parses one flow.
type mongodb struct {
	p       *Protocol
	env     *Env
	lastID  uint64
	lastTx  uint64
	pending []mongoAsked // oldest first
	side    [2]mongoSide
}

func newMongoDB(p *Protocol, env *Env) Dissector { return &mongodb{p: p, env: env} }

func resumeMongoDB(p *Protocol, env *Env, r Rest) Dissector {
	return &mongodb{p: p, env: env, lastID: r.ID, lastTx: r.Tx}
}

// Rest implements Dissector: no request waits for its reply.
func (d *mongodb) Rest() (Rest, bool) {
	return Rest{ID: d.lastID, Tx: d.lastTx}, len(d.pending) == 0 && d.side[0].value.left == 0 && d.side[1].value.left == 0
}

// Size implements Dissector.
func (d *mongodb) Size() int { return mongoSize + 16*cap(d.pending) }

// Feed implements Dissector.
func (d *mongodb) Feed(dir wire.Dir, data []byte, emit func(*Message)) (pr Progress, err error) {
	s := &d.side[dir]
	t := d.env.teller(d.p, dir, &s.u, emit)
	for pr.Used < len(data) && pr.Need == 0 && err == nil {
		b := data[pr.Used:]
		if s.value.left > 0 {
			n := s.value.take(t, b)
			pr.Used += n
			if s.lost {
				pr.Passed += n
			}
			if s.value.left == 0 {
				d.end(s, t)
			}
			continue
		}
		n := 0
		n, pr.Need, err = d.message(s, t, b)
		pr.Used += n
	}
	t.flush(false, false)
	return pr, err
}

// end ends the message in hand. An exchange is over when nothing waits for its reply.
func (d *mongodb) end(s *mongoSide, t *teller) {
	over := !slices.ContainsFunc(d.pending, func(q mongoAsked) bool { return q.tx == s.u.tx })
	t.flush(true, over)
	s.u, s.lost = unit{}, false
}

// message takes a message at the front of b: all of it, or the head of a large one.
func (d *mongodb) message(s *mongoSide, t *teller, b []byte) (n, need int, err error) {
	if len(b) < mongoHeader+5 {
		return 0, mongoHeader + 5 - len(b), nil
	}
	le := binary.LittleEndian
	size, id, to, code := int(le.Uint32(b)), le.Uint32(b[4:]), le.Uint32(b[8:]), mongoCode(b[12:])
	if size < mongoHeader+5 || size > mongoMaxMessage || code == 0 || b[14] != 0 || b[15] != 0 {
		return 0, 0, errMongoDB
	}
	if size <= mongoHold && len(b) < size {
		return 0, size - len(b), nil
	}
	d.begin(s, to)
	x := mongoWalk{t: t, field: mongoReplyDoc}
	if code != mongoReply && (to == 0 || t.msg.Dir == wire.ToServer) {
		x.field = mongoRequestDoc
	}
	quiet := true
	if size > mongoHold {
		quiet = code != mongoMsg && code != mongoQuery && code != mongoGetMore && code != mongoCommand && code != mongoCompressed || le.Uint32(b[mongoHeader:])&mongoMoreToCome != 0 && code == mongoMsg
		s.lost = code == mongoCompressed
		if s.lost {
			t.note(mongoNotePacked)
			s.value = pieces{left: int64(size - mongoHeader)}
		} else {
			s.value = t.stream(mongoData, int64(size-mongoHeader))
		}
		n = mongoHeader
	} else {
		quiet = d.body(&x, code, b[mongoHeader:size])
		n = size
	}
	if x.field == mongoRequestDoc && !quiet {
		d.ask(s.u.tx, id)
	}
	if size <= mongoHold {
		d.end(s, t)
	}
	if len(t.text) > maxScratch {
		t.flush(false, false)
	}
	return n, 0, nil
}

// begin takes a message in hand: a reply to a request, or the first of an exchange.
func (d *mongodb) begin(s *mongoSide, to uint32) {
	d.lastID++
	s.u = unit{id: d.lastID}
	if i := slices.IndexFunc(d.pending, func(q mongoAsked) bool { return q.id == to }); i >= 0 && to != 0 {
		s.u.tx = d.pending[i].tx
		d.pending = slices.Delete(d.pending, i, i+1)
		return
	}
	d.lastTx++
	s.u.tx = d.lastTx
}

// ask notes a request for its reply.
func (d *mongodb) ask(tx uint64, id uint32) {
	if len(d.pending) >= mongoMaxAsks {
		d.pending = slices.Delete(d.pending, 0, 1)
	}
	d.pending = append(d.pending, mongoAsked{tx, id})
}

// Gap implements Dissector: it goes on if what was lost lies within a large message.
func (d *mongodb) Gap(dir wire.Dir, n int, emit func(*Message)) bool {
	s := &d.side[dir]
	return s.value.left > int64(n) && s.value.lost(n)
}

// Close implements Dissector.
func (d *mongodb) Close(dir wire.Dir, emit func(*Message)) {
	if s := &d.side[dir]; s.u.id != 0 {
		d.end(s, d.env.teller(d.p, dir, &s.u, emit))
		s.value = pieces{}
	}
}

// body tells what stands behind the header. It reports whether no reply is to be expected.
func (d *mongodb) body(x *mongoWalk, code uint16, b []byte) (quiet bool) {
	le := binary.LittleEndian
	switch code {
	case mongoCompressed:
		inner, size, ok := d.unpack(b)
		defer d.env.give(size)
		if code = mongoCode(b); !ok || code == 0 || code == mongoCompressed || len(inner) < 5 {
			x.t.note(mongoNotePacked)
			return false
		}
		quiet = d.body(x, code, inner)
		x.t.flush(false, false) // what it borrows from is not kept
		return quiet
	case mongoMsg:
		flags := le.Uint32(b)
		if b = b[4:]; flags&mongoChecksum != 0 && len(b) >= 4 {
			b = b[:len(b)-4]
		}
		x.sections(b)
		return flags&mongoMoreToCome != 0
	case mongoReply:
		if len(b) < 20 {
			x.rest(b)
			return true
		}
		x.documents(b[20:])
		return true
	case mongoQuery:
		x.namespace(b[4:], true)
		if _, rest, ok := cString(b[4:]); ok && len(rest) > 8 {
			x.top = x.command
			x.documents(rest[8:])
		} else {
			x.rest(b)
		}
		return false
	case mongoInsert, mongoUpdate, mongoDelete, mongoGetMore:
		x.t.addString(mongoCommandName, map[uint16]string{mongoInsert: "insert", mongoUpdate: "update", mongoDelete: "delete", mongoGetMore: "getMore"}[code])
		x.namespace(b[4:], false)
		_, rest, _ := cString(b[4:])
		if code == mongoUpdate || code == mongoDelete {
			rest = rest[min(4, len(rest)):]
		}
		if code != mongoGetMore {
			x.documents(rest)
		}
		return code != mongoGetMore
	}
	x.rest(b)
	return code != mongoCommand
}

// unpack decodes what an OP_COMPRESSED carries. size is what the decoders hold for it: to be given back.
func (d *mongodb) unpack(b []byte) (out []byte, size int, ok bool) {
	if len(b) < 9 {
		return nil, 0, false
	}
	kind, in := packing(packNone), b[9:]
	switch b[8] {
	case 0:
		return in, 0, true
	case 1:
		kind = packSnappy
	case 2:
		kind = packZlib
	case 3:
		kind = packZstd
	}
	out, err := d.env.unpack(kind, in)
	return out, cap(out), err == nil
}
