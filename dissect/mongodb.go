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
		"zstd. An event `mongodb` for each request with its reply. Of BSON documents every name and value is told: strings as they are, numbers as text; of long messages as they come, but for those that snappy made " +
		"longer than 768 KiB.",
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
		mongoData:        {Name: "mongodb.data", Doc: "bytes that are told as they came: what is no document"},
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
	mongoPackedHead = 9        // bytes before what is compressed
	mongoChecksum   = 1        // flag of OP_MSG
	mongoMoreToCome = 2        // likewise
)

// ours
const (
	mongoHold    = 768 << 10 // bytes of a compressed message that are waited for; a larger one is decoded as it comes, if its compression allows it
	mongoWhole   = 16 << 10  // bytes of another one that are waited for; a larger one is told as it comes
	mongoMaxWait = 16 << 10  // bytes of a value in a larger message that are waited for; a longer one is told as it comes
	mongoMaxKey  = 4 << 10   // bytes of a name in a document that are waited for
	mongoMaxAsks = 256       // requests that wait for their reply
	mongoDepth   = 32        // documents in each other; deeper ones are told as they came
	mongoSize    = 256       // bytes that a mongodb is counted for
	mongoWalked  = 1 << 10   // and a message that is told as it comes
)

var (
	errMongoDB = errors.New("mongodb: not a message")

	mongoNoteBSON   = Note{"mongodb.malformed_bson", false, "a document whose lengths or types lie: the rest of it is inspected as it came"}
	mongoNotePacked = Note{"mongodb.undecodable", false, "a compressed message that does not decode, or to more than it may, or that is too long for snappy: not inspected"}
	mongoNoteDeep   = Note{"mongodb.too_deep", false, "documents in each other, deeper than the limit: inspected as they came"}
)

// mongoAsked is a request that waits for its reply.
type mongoAsked struct {
	tx uint64
	id uint32
}

// mongoSide is the state of one direction.
type mongoSide struct {
	u    unit
	id   uint32     // that the message in hand has given itself
	walk *mongoWalk // of a message that is told as it comes; nil: there is none
	left int64      // bytes of it that are still to come
	un   unpacker   // of a compressed one
	on   bool       // un is in use
	held []byte     // decoded bytes that the walk needs more behind
	lost bool       // it cannot be looked into
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
	return Rest{ID: d.lastID, Tx: d.lastTx}, len(d.pending) == 0 && d.side[0].left == 0 && d.side[1].left == 0
}

// Size implements Dissector.
func (d *mongodb) Size() int {
	n := mongoSize + 16*cap(d.pending)
	for i := range d.side {
		if s := &d.side[i]; s.walk != nil {
			n += mongoWalked + cap(s.held)
		}
	}
	return n
}

// Feed implements Dissector.
func (d *mongodb) Feed(dir wire.Dir, data []byte, emit func(*Message)) (pr Progress, err error) {
	s := &d.side[dir]
	t := d.env.teller(d.p, dir, &s.u, emit)
	for pr.Used < len(data) && pr.Need == 0 && err == nil {
		b := data[pr.Used:]
		if s.left > 0 {
			n, need, passed := d.goOn(s, t, b)
			pr.Used += n
			pr.Passed += passed
			pr.Need = need
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
	s.stop(d.env)
	s.u = unit{}
}

// stop lets go of the message in hand.
func (s *mongoSide) stop(env *Env) {
	if s.on {
		s.un.stop(env)
	}
	s.walk, s.left, s.held, s.on, s.lost = nil, 0, nil, false, false
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
	whole := size <= mongoWhole || size <= mongoHold && code == mongoCompressed
	switch {
	case whole && len(b) < size:
		return 0, size - len(b), nil
	case code == mongoCompressed && len(b) < mongoHeader+mongoPackedHead:
		return 0, mongoHeader + mongoPackedHead - len(b), nil
	}
	d.begin(s, to)
	var room [8]mongoOpen
	x := mongoWalk{t: t, code: code, left: int64(size - mongoHeader), field: mongoReplyDoc, open: room[:0]}
	if code != mongoReply && (to == 0 || t.msg.Dir == wire.ToServer) {
		x.field = mongoRequestDoc
	}
	s.id, s.left = id, x.left
	if n = mongoHeader; whole {
		d.whole(s, &x, b[n:size])
		d.end(s, t)
		n = size
	} else {
		kept := x
		kept.open = make([]mongoOpen, 0, len(room))
		if s.walk = &kept; code == mongoCompressed {
			n += d.unpacking(s, &kept, b[n:])
		}
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

// whole tells a message whose body is there.
func (d *mongodb) whole(s *mongoSide, x *mongoWalk, b []byte) {
	if x.code == mongoCompressed {
		inner, size, ok := d.unpack(b)
		defer d.env.give(size)
		if x.code, x.left = mongoCode(b), int64(len(inner)); !ok || x.code == 0 || x.code == mongoCompressed || len(inner) < 5 {
			x.t.note(mongoNotePacked)
			d.blind(s, x)
			return
		}
		b = inner
		defer x.t.flush(false, false) // what it borrows from is not kept
	}
	d.step(s, x, b)
}

// step has the walk go on, and notes a request for its reply once it is known that there will be one.
func (d *mongodb) step(s *mongoSide, x *mongoWalk, b []byte) (n, need int) {
	led := x.led
	n, need = x.feed(b)
	if !led && x.led && x.field == mongoRequestDoc && !x.quiet {
		d.ask(s.u.tx, s.id)
	}
	return n, need
}

// goOn takes what there is of a message that is told as it comes.
func (d *mongodb) goOn(s *mongoSide, t *teller, b []byte) (n, need, passed int) {
	b = b[:min(int64(len(b)), s.left)]
	x := s.walk
	x.t = t
	switch {
	case s.lost:
		n, passed = len(b), len(b)
	case s.on:
		n = len(b)
		if !s.un.push(d.env, b, func(plain []byte) { d.unpacked(s, plain) }) {
			d.lose(s)
		}
	default:
		n, need = d.step(s, x, b)
		if need == 0 { // what is left is a checksum
			n = len(b)
		}
	}
	if s.left -= int64(n); s.left == 0 {
		if s.on && x.left > 0 {
			t.note(mongoNotePacked)
		}
		t.joinEnd(&x.text)
		d.end(s, t)
	}
	return n, need, passed
}

// unpacking begins a compressed message that is decoded as it comes, and takes its head.
func (d *mongodb) unpacking(s *mongoSide, x *mongoWalk, b []byte) int {
	size := int32(binary.LittleEndian.Uint32(b[4:]))
	kind := map[byte]packing{2: packZlib, 3: packZstd}[b[8]]
	s.left -= mongoPackedHead
	if x.code, x.left = mongoCode(b), int64(size); kind == packNone || x.code == 0 || x.code == mongoCompressed || size < 5 || size > mongoMaxMessage {
		d.lose(s)
	} else if s.on = s.un.start(d.env, kind, int64(size)); !s.on {
		d.lose(s)
	}
	return mongoPackedHead
}

// lose gives up the compressed message in hand.
func (d *mongodb) lose(s *mongoSide) {
	x := s.walk
	x.t.note(mongoNotePacked)
	if s.on {
		s.un.stop(d.env)
		s.on = false
	}
	s.lost, s.held = true, nil
	d.blind(s, x)
}

// blind takes a request for one that has a reply, if nothing was seen of it yet that says otherwise.
func (d *mongodb) blind(s *mongoSide, x *mongoWalk) {
	if !x.led && x.field == mongoRequestDoc {
		d.ask(s.u.tx, s.id)
	}
	x.led = true
}

// unpacked takes decoded bytes.
func (d *mongodb) unpacked(s *mongoSide, b []byte) {
	if len(s.held) > 0 {
		s.held = append(s.held, b...)
		b = s.held
	}
	n, _ := d.step(s, s.walk, b)
	s.walk.t.flush(false, false)
	switch rest := b[n:]; {
	case len(s.held) > 0:
		s.held = s.held[:copy(s.held, rest)]
	case len(rest) > 0:
		s.held = append(s.held[:0], rest...)
	}
}

// Gap implements Dissector: it goes on if what was lost lies within a large message.
func (d *mongodb) Gap(dir wire.Dir, n int, emit func(*Message)) bool {
	s := &d.side[dir]
	if s.left <= int64(n) {
		return false
	}
	s.left -= int64(n)
	x := s.walk
	x.t = d.env.teller(d.p, dir, &s.u, emit)
	if s.on || s.lost {
		d.lose(s)
	} else {
		d.blind(s, x)
		x.rest(s.left)
	}
	x.t.flush(false, false)
	return true
}

// Close implements Dissector.
func (d *mongodb) Close(dir wire.Dir, emit func(*Message)) {
	if s := &d.side[dir]; s.u.id != 0 {
		t := d.env.teller(d.p, dir, &s.u, emit)
		if x := s.walk; x != nil {
			x.t = t
			t.joinEnd(&x.text)
		}
		d.end(s, t)
	}
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
