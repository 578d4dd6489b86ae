package dissect

import (
	"bytes"
	"encoding/binary"
)

// What mongoOpen may be.
const (
	mongoSections  uint8 = iota // of an OP_MSG
	mongoDocuments              // that follow each other
	mongoElements               // of a document, behind its length
)

// mongoOpen is something that is open in a message.
type mongoOpen struct {
	end  int64 // bytes of the body that are still to come where it ends
	kind uint8
}

// mongoWalk tells one message, as its bytes come.
type mongoWalk struct {
	t       *teller
	code    uint16
	led     bool  // what stands before the documents was taken
	quiet   bool  // no reply is to be expected: known then
	tail    int64 // bytes of a checksum behind the documents
	field   Field // of the documents
	top     bool  // the next document is the one that has the command
	command bool  // its first name is the command's
	first   bool  // the next element is the first of a document that is in no other one
	secret  bool  // it authenticates
	client  bool  // the client tells what it is
	driver  bool  // and by which driver
	text    pieces
	left    int64       // bytes of the body that are still to come
	open    []mongoOpen // innermost last
	run     int64       // bytes that are told as they come: of a long value, or of what is no document
	after   int64       // and bytes behind them that say nothing
	ended   bool        // the end of a document was just taken
	odd     bool        // a note was told that a document is not well formed
	deep    bool        // likewise, that it is too deep
}

// lead takes what stands before the documents, at the front of a body.
func (x *mongoWalk) lead(b []byte) (n, need int) {
	fixed := map[uint16]int64{mongoMsg: 4, mongoReply: 20}[x.code]
	named := x.code >= mongoUpdate && x.code <= mongoDelete
	if named {
		fixed = 4
	}
	if want := min(fixed, x.left); int64(len(b)) < want {
		return 0, int(want) - len(b)
	}
	x.quiet = x.code != mongoCommand && x.code != mongoQuery && x.code != mongoGetMore && x.code != mongoMsg
	var name []byte
	if ok := x.left >= fixed && fixed > 0; named && ok {
		end := min(len(b), 4+mongoMaxName+1)
		if name, _, ok = cString(b[4:end]); !ok && int64(end) < x.left && len(name) <= mongoMaxName {
			return 0, 1
		}
		behind := map[uint16]int{mongoQuery: 8, mongoUpdate: 4, mongoDelete: 4}[x.code]
		if n = int(min(int64(4+len(name)+1+behind), x.left)); ok && n > len(b) {
			return 0, n - len(b)
		}
		fixed = int64(n)
		x.led = ok
	} else {
		x.led = ok
	}
	if !x.led {
		x.led = true
		if named {
			x.of(name)
		}
		x.rest(x.left)
		return 0, 0
	}
	x.take(int(fixed))
	switch x.code {
	case mongoMsg:
		flags := binary.LittleEndian.Uint32(b)
		if x.quiet = flags&mongoMoreToCome != 0; flags&mongoChecksum != 0 && x.left >= 4 {
			x.tail = 4
			x.left -= 4
		}
		x.top, x.command = true, x.field == mongoRequestDoc
		x.push(mongoSections, x.left)
		return int(fixed), 0
	case mongoReply:
	case mongoQuery:
		x.of(name)
		x.top = x.command
	default:
		x.of(name)
	}
	if x.code != mongoGetMore {
		x.push(mongoDocuments, x.left)
	} else {
		x.rest(x.left)
	}
	return int(fixed), 0
}

// of tells what an older request is about.
func (x *mongoWalk) of(name []byte) {
	if verb := map[uint16]string{mongoInsert: "insert", mongoUpdate: "update", mongoDelete: "delete", mongoGetMore: "getMore"}[x.code]; verb != "" {
		x.t.addString(mongoCommandName, verb)
	}
	x.namespace(name, x.code == mongoQuery)
}

// push opens something that the next n bytes are.
func (x *mongoWalk) push(kind uint8, n int64) {
	x.open = append(x.open, mongoOpen{x.left - n, kind})
}

// feed takes what there is of the message, from where the last call ended, and returns how much it took and how much more it needs.
func (x *mongoWalk) feed(b []byte) (n, need int) {
	if !x.led {
		if n, need = x.lead(b); !x.led {
			return n, need
		}
	}
	for x.left > 0 || len(x.open) > 0 {
		switch {
		case x.run > 0:
			k := min(len(b)-n, int(x.run))
			if k == 0 {
				return n, 1
			}
			x.put(b[n : n+k])
			n += k
			x.left -= int64(k)
			if x.run -= int64(k); x.run == 0 && x.after == 0 {
				x.ran()
			}
			continue
		case x.after > 0:
			if len(b) == n {
				return n, 1
			}
			n, x.left, x.after = n+1, x.left-1, x.after-1
			if x.after == 0 {
				x.ran()
			}
			continue
		case len(x.open) == 0:
			x.bad(x.left)
			continue
		}
		last := x.open[len(x.open)-1]
		room := x.left - last.end
		if room == 0 {
			x.close(last.kind)
			continue
		}
		k := 0
		if k, need = x.step(last.kind, b[n:n+int(min(room, int64(len(b)-n)))], room); need > 0 {
			return n, need
		}
		n += k
	}
	return n, 0
}

// take counts n bytes as taken.
func (x *mongoWalk) take(n int) int {
	x.left -= int64(n)
	return n
}

// step takes what is at the front of b: of room bytes that what is open has.
func (x *mongoWalk) step(kind uint8, b []byte, room int64) (n, need int) {
	const section = 5 // bytes, of the shortest document and of the head of a sequence
	if kind == mongoElements {
		return x.element(b, room)
	}
	if want := int(min(section, room)); len(b) < want {
		return 0, want - len(b)
	}
	if kind == mongoSections {
		if b[0] != 0 {
			return x.sequence(b, room)
		}
		n = 1
	}
	size := int64(0)
	if len(b) >= n+4 {
		size = int64(int32(binary.LittleEndian.Uint32(b[n:])))
	}
	if x.take(n); size < section || size > room-int64(n) {
		x.bad(room - int64(n))
		return n, 0
	}
	x.take(4)
	if x.text = (pieces{}); x.t.wants(x.field) {
		x.text = pieces{field: x.field, value: x.t.value()}
	}
	x.push(mongoElements, size-4)
	x.first = true
	return n + 4, 0
}

// sequence takes the head of a section with documents.
func (x *mongoWalk) sequence(b []byte, room int64) (n, need int) {
	size := int64(0)
	if len(b) >= 5 {
		size = int64(int32(binary.LittleEndian.Uint32(b[1:])))
	}
	if b[0] != 1 || size < 5 || size > room-1 {
		x.take(1)
		x.bad(room - 1)
		return 1, 0
	}
	head := b[5:min(int64(len(b)), 1+size, 5+mongoMaxName+1)]
	name, _, ok := cString(head)
	switch {
	case ok:
	case int64(len(b)) < 1+size && len(head) <= mongoMaxName:
		return 0, 1
	default:
		x.take(1)
		x.bad(size)
		return 1, 0
	}
	x.top = false
	n = x.take(5 + len(name) + 1)
	x.push(mongoDocuments, 1+size-int64(n))
	return n, 0
}

// bad tells the next n bytes as they come: they are no documents.
func (x *mongoWalk) bad(n int64) {
	x.oddly()
	x.asTheyCome(n)
}

// asTheyCome tells the next n bytes as a value of their own.
func (x *mongoWalk) asTheyCome(n int64) {
	if x.run = n; n > 0 {
		x.text = pieces{field: mongoData}
		if x.t.wants(mongoData) {
			x.text.value = x.t.value()
		}
	}
}

// rest tells the n bytes that are left as they come: nobody knows their place.
func (x *mongoWalk) rest(n int64) {
	x.t.joinEnd(&x.text)
	x.open, x.left, x.after = x.open[:0], n, 0
	x.asTheyCome(n)
}

// ran ends bytes that were told as they came.
func (x *mongoWalk) ran() {
	if x.text.field == mongoData || len(x.open) == 0 {
		x.t.joinEnd(&x.text)
		return
	}
	if room := x.left - x.open[len(x.open)-1].end; room > 0 {
		x.putString(" ")
	}
}

// close ends what is open innermost.
func (x *mongoWalk) close(kind uint8) {
	x.open = x.open[:len(x.open)-1]
	if kind == mongoElements && !x.ended {
		x.oddly()
	}
	x.ended, x.driver = false, false
	switch {
	case kind != mongoElements:
	case len(x.open) > 0 && x.open[len(x.open)-1].kind == mongoElements:
		x.putString("} ")
		x.client = x.client && len(x.open) > 1 && x.open[len(x.open)-2].kind == mongoElements
	default:
		x.t.joinEnd(&x.text)
		x.top = false
	}
}

// oddly notes once that a document is not well formed.
func (x *mongoWalk) oddly() {
	if !x.odd {
		x.odd = true
		x.t.note(mongoNoteBSON)
	}
}

// namespace tells the database and collection of an older request.
func (x *mongoWalk) namespace(name []byte, query bool) {
	db, coll, _ := bytes.Cut(name, []byte("."))
	x.t.add(mongoDatabase, db)
	if x.command = query && string(coll) == "$cmd"; !x.command {
		if query {
			x.t.addString(mongoCommandName, "query")
		}
		x.t.add(mongoCollection, coll)
	}
}

func (x *mongoWalk) put(b []byte)       { x.t.join(&x.text, b) }
func (x *mongoWalk) putString(s string) { x.t.joinString(&x.text, s) }

// alone reports whether the document in hand is in no other one.
func (x *mongoWalk) alone() bool {
	n := len(x.open)
	return n < 2 || x.open[n-2].kind != mongoElements
}

// element takes an element of a document, the front of one that is long or a document itself, or the document's end.
func (x *mongoWalk) element(b []byte, room int64) (n, need int) {
	if len(b) == 0 {
		return 0, 1
	}
	if x.ended = b[0] == 0 && room == 1; x.ended {
		return x.take(1), 0
	}
	typ := b[0]
	name, rest, ok := cString(b[1:min(len(b), 1+mongoMaxKey)])
	if rest = nil; ok {
		rest = b[1+len(name)+1:]
	}
	known := rest
	if typ == 0x0b { // it has no length: its end is looked for
		known = rest[:min(len(rest), mongoMaxKey)]
	}
	size := bsonLength(typ, known)
	more := !ok && len(b) <= mongoMaxKey || ok && size < 0 && (len(rest) < 5 || typ == 0x0b && len(rest) < mongoMaxKey)
	if typ != 0 && more && int64(len(b)) < room {
		return 0, 1
	}
	head := 1 + len(name) + 1
	if typ == 0 || !ok || size < 0 || int64(head)+int64(size) > room {
		x.oddly()
		x.run = room
		return 0, 0
	}
	sub := typ == 0x03 || typ == 0x04
	long := !sub && size > mongoMaxWait
	if !sub && !long && len(rest) < size {
		return 0, size - len(rest)
	}
	v := rest[:min(len(rest), size)]
	switch {
	case x.alone() && x.top && !long:
		x.known(x.first, typ, name, v)
	case x.driver && typ == 0x02 && string(name) == "name" && !long:
		x.t.add(mongoClient, bsonText(typ, v))
	}
	x.put(name)
	x.putString(": ")
	secret := x.secret && x.alone() && (string(name) == "payload" || string(name) == "pwd" || string(name) == "key")
	x.first = false
	switch {
	case secret && !long && !sub:
		x.t.add(mongoPassword, bsonText(typ, v))
		x.putString("- ")
	case sub && x.depth() >= mongoDepth:
		if !x.deep {
			x.deep = true
			x.t.note(mongoNoteDeep)
		}
		x.take(head)
		x.run = int64(size)
		return head, 0
	case sub:
		x.driver = x.client && string(name) == "driver"
		x.putString("{")
		x.take(head + 4)
		x.push(mongoElements, int64(size)-4)
		return head + 4, 0
	case long:
		x.take(head)
		return head + x.long(typ, size), 0
	default:
		x.scalar(typ, v)
		x.putString(" ")
	}
	return x.take(head + size), 0
}

// depth returns how many documents are open in each other.
func (x *mongoWalk) depth() (n int) {
	for i := len(x.open) - 1; i >= 0 && x.open[i].kind == mongoElements; i-- {
		n++
	}
	return n
}

// long begins a value that is told as it comes, and takes what stands before its bytes.
func (x *mongoWalk) long(typ byte, size int) (n int) {
	switch typ {
	case 0x02, 0x0d, 0x0e:
		n, x.after = 4, 1
	case 0x05:
		n = 5
	}
	x.run = int64(size-n) - x.after
	return x.take(n)
}

// scalar tells the value of an element that is no document.
func (x *mongoWalk) scalar(typ byte, v []byte) {
	if typ == 0x0f { // code with its scope
		x.put(v)
		return
	}
	if text := bsonText(typ, v); text != nil {
		x.put(text)
		return
	}
	var buf [64]byte
	x.put(bsonAppend(buf[:0], typ, v))
}

// known tells what events and policy ask for, of an element of the document that has the command or its answer.
func (x *mongoWalk) known(first bool, typ byte, name, v []byte) {
	t := x.t
	text := bsonText(typ, v)
	if x.field == mongoReplyDoc {
		switch string(name) {
		case "ok":
			t.number(mongoOK, bsonInt(typ, v))
		case "code":
			t.number(mongoErrorCode, bsonInt(typ, v))
		case "errmsg", "$err":
			t.add(mongoError, text)
		}
		return
	}
	switch {
	case first && x.command:
		t.add(mongoCommandName, name)
		x.secret = string(name) == "saslStart" || string(name) == "saslContinue" || string(name) == "authenticate" || string(name) == "createUser"
		if typ == 0x02 && string(name) != "createUser" {
			t.add(mongoCollection, text)
		}
	case string(name) == "collection" && typ == 0x02: // getMore
		t.add(mongoCollection, text)
	case string(name) == "$db":
		t.add(mongoDatabase, text)
	case string(name) == "payload" && x.secret:
		if _, user, ok := bytes.Cut(text, []byte("n=")); ok {
			user, _, _ = bytes.Cut(user, []byte(","))
			t.add(mongoUser, user)
		}
	case string(name) == "client" && typ == 0x03:
		x.client = true
	}
}
