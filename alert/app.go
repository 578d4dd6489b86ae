package alert

import (
	"slices"
	"strconv"
	"strings"
)

// App is a protocol's own object, as events show it.
type App struct {
	Name string
	Text []byte // the members of the event that it is: "http":{…}, and what stands beside it
}

// Kind is what a member of an Object holds.
type Kind uint8

// Kinds. What should be a number and is none is told as a text, under another name.
const (
	Text Kind = iota
	Number
	Truth  // a bool: "true", or anything else
	listed // of texts, or of objects
	nest   // an object
)

// Object collects the members of a protocol's own object. "outer/key" is a key in a nested object; a list or a member that has such a key comes before or after
// others of the same outer one. What it is given is copied. Reset makes it ready, also for further use, so that it allocates nothing but what App
// returns.
type Object struct {
	nodes  []node // the first is the object itself
	text   []byte
	out    []byte
	nested bool // a key has a slash in it
	dns    bool // it is told as EVE tells messages of DNS
}

// node is a member of an object or of a list. Those of one object are a chain, by indexes; 0 ends it.
type node struct {
	key               string
	first, last, next int32
	at, end           int32 // its text
	value             uint32
	kind              Kind
	reply             bool
}

// Reset makes o empty.
func (o *Object) Reset() {
	o.nodes, o.text, o.nested = append(o.nodes[:0], node{kind: nest}), o.text[:0], false
}

// Set sets a member: a later value stands, unless the first one is wanted.
func (o *Object) Set(key string, k Kind, v []byte, first bool) {
	n := o.member(0, key)
	if first && o.nodes[n].end >= 0 {
		return
	}
	o.put(n, k, v)
}

// Add appends to a list of texts.
func (o *Object) Add(key string, v []byte) {
	o.put(o.child(o.list(key), ""), Text, v)
}

// Row sets a member of an object in a list of objects: of the one that is named by value and by whether it is of an answer, made if it is not there. With pieces, a further
// piece of a value has an object of its own, with what the one before it holds; without, the first value stands.
func (o *Object) Row(key string, value uint32, reply bool, in string, k Kind, v []byte, pieces bool) {
	l := o.list(key)
	r := o.row(l, value, reply)
	n := o.find(r, in)
	switch {
	case n == 0:
		n = o.child(r, in)
	case pieces:
		n = o.find(o.again(l, r), in)
	default:
		return
	}
	o.put(n, k, v)
}

// put gives a node its text.
func (o *Object) put(n int32, k Kind, v []byte) {
	at := len(o.text)
	o.text = append(o.text, v...)
	o.nodes[n].kind, o.nodes[n].at, o.nodes[n].end = k, int32(at), int32(len(o.text))
}

// find returns the child of that key; 0 if there is none.
func (o *Object) find(parent int32, key string) int32 {
	for i := o.nodes[parent].first; i != 0; i = o.nodes[i].next {
		if o.nodes[i].key == key {
			return i
		}
	}
	return 0
}

// child appends a child without a value.
func (o *Object) child(parent int32, key string) int32 {
	n := int32(len(o.nodes))
	o.nodes = append(o.nodes, node{key: key, end: -1})
	if p := &o.nodes[parent]; p.last == 0 {
		p.first, p.last = n, n
	} else {
		o.nodes[p.last].next, p.last = n, n
	}
	o.nested = o.nested || strings.IndexByte(key, '/') >= 0
	return n
}

// member returns the child of that key, made if it is not there.
func (o *Object) member(parent int32, key string) int32 {
	if n := o.find(parent, key); n != 0 {
		return n
	}
	return o.child(parent, key)
}

func (o *Object) list(key string) int32 {
	n := o.member(0, key)
	o.nodes[n].kind, o.nodes[n].end = listed, 0
	return n
}

// row returns the newest object of that name in a list. Mostly it is the last one, or there is none: names count up.
func (o *Object) row(l int32, value uint32, reply bool) int32 {
	if last := &o.nodes[o.nodes[l].last]; o.nodes[l].last != 0 && last.reply == reply && last.value <= value {
		if last.value == value {
			return o.nodes[l].last
		}
	} else {
		found := int32(0)
		for i := o.nodes[l].first; i != 0; i = o.nodes[i].next {
			if o.nodes[i].value == value && o.nodes[i].reply == reply {
				found = i
			}
		}
		if found != 0 {
			return found
		}
	}
	r := o.child(l, "")
	o.nodes[r].kind, o.nodes[r].end, o.nodes[r].value, o.nodes[r].reply = nest, 0, value, reply
	return r
}

// again appends an object of the same name and members as r to a list.
func (o *Object) again(l, r int32) int32 {
	from := o.nodes[r]
	n := o.child(l, "")
	o.nodes[n].kind, o.nodes[n].end, o.nodes[n].value, o.nodes[n].reply = nest, 0, from.value, from.reply
	for i := from.first; i != 0; i = o.nodes[i].next {
		c, was := o.child(n, o.nodes[i].key), o.nodes[i]
		o.nodes[c].kind, o.nodes[c].at, o.nodes[c].end = was.kind, was.at, was.end
	}
	return n
}

// App returns what was collected, as the object of that name.
func (o *Object) App(name string) *App {
	w := object{b: append(o.out[:0], '{')} // so that the first member has no comma before it
	w.anyKey(name)
	w.b = append(w.b, '{')
	if o.dns = name == "dns"; o.dns {
		w.dns(o)
	}
	w.members(o, o.nodes[0].first, "", 0)
	if o.dns {
		w.dnsGrouped(o)
	}
	w.close()
	w.beside(o)
	o.out = w.b
	return &App{Name: name, Text: slices.Clone(w.b[1:])}
}

// bytes returns the text of a node.
func (o *Object) bytes(n *node) []byte { return o.text[n.at:n.end] }

// besides are objects that stand beside the protocol's own in an event, as EVE has them: "email" of what carries mail.
const besides = "email/"

// members writes the members of one object: those of the chain from i on whose keys begin with prefix, which ends in a slash unless it is empty. Those whose
// keys have a part before a slash in common, as "ja3/hash" and "ja3/string", stand in an object of that name. Of two with the same key the first is written.
func (w *object) members(o *Object, i int32, prefix string, depth int) {
	for first := i; i != 0; i = o.nodes[i].next {
		n := &o.nodes[i]
		if !o.nested {
			w.member(o, n.key, n)
			continue
		}
		if !strings.HasPrefix(n.key, prefix) || depth == 0 && strings.HasPrefix(n.key, besides) {
			continue
		}
		name, _, nested := strings.Cut(n.key[len(prefix):], "/")
		if depth == maxDepth {
			name, nested = n.key[len(prefix):], false
		}
		whole := len(prefix) + len(name)
		if o.named(first, i, n.key[:whole]) {
			continue
		}
		if !nested {
			w.member(o, name, n)
			continue
		}
		w.anyKey(name)
		w.b = append(w.b, '{')
		w.members(o, i, n.key[:whole+1], depth+1)
		w.close()
	}
}

// named reports whether one of the chain before to has name as its key or before the slash in it.
func (o *Object) named(i, to int32, name string) bool {
	for ; i != to; i = o.nodes[i].next {
		if k := o.nodes[i].key; strings.HasPrefix(k, name) && (len(k) == len(name) || k[len(name)] == '/') {
			return true
		}
	}
	return false
}

// beside writes what stands beside the protocol's own object.
func (w *object) beside(o *Object) {
	for i := o.nodes[0].first; i != 0 && o.nested; i = o.nodes[i].next {
		if strings.HasPrefix(o.nodes[i].key, besides) {
			w.anyKey(besides[:len(besides)-1])
			w.b = append(w.b, '{')
			w.members(o, i, besides, 1)
			w.close()
			return
		}
	}
}

// member writes one member. What should be a number and is none - the wire may say anything - is written as a string,
// under another name: an index that knows the name as a number would refuse the whole event, and with it an alert.
func (w *object) member(o *Object, key string, n *node) {
	v := o.bytes(n)
	if n.kind == Number && !isNumber(v) {
		w.comma()
		w.b = appendString(w.b, key)
		w.b = append(append(w.b[:len(w.b)-1], "_string"...), '"', ':')
		w.b = appendString(w.b, v)
		return
	}
	w.anyKey(key)
	switch n.kind {
	case Text:
		w.b = appendString(w.b, v)
		if o.dns && key == "flags" {
			w.dnsFlags(o, v)
		}
	case Number:
		w.b = append(w.b, v...)
	case Truth:
		w.b = strconv.AppendBool(w.b, string(v) == "true")
	case listed:
		w.b = append(w.b, '[')
		for i := n.first; i != 0; i = o.nodes[i].next {
			w.comma()
			e := &o.nodes[i]
			if e.kind != nest {
				w.b = appendString(w.b, o.bytes(e))
				continue
			}
			w.b = append(w.b, '{')
			w.members(o, e.first, "", 1)
			if o.dns {
				w.dnsParts(o, i)
			}
			w.close()
		}
		w.b = append(w.b, ']')
	}
}
