package alert

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
)

// dnsVersion is the version of the members of the object "dns", from Suricata's EVE.
const dnsVersion = 3

// maxTypes is how many types of answers of a message are told twice, ours: so that what a message costs is linear in it.
const maxTypes = 16

// dnsFlags are the bits of a DNS header that EVE tells one by one, where they are set.
var dnsFlags = [...]struct {
	name string
	bit  uint64
}{{"qr", 1 << 15}, {"aa", 1 << 10}, {"tc", 1 << 9}, {"rd", 1 << 8}, {"ra", 1 << 7}, {"z", 1 << 6}}

// dnsParts are the members of the objects that EVE has for records whose text is several values, and what those are called.
var dnsParts = map[string]struct {
	object string
	names  []string
}{
	"SOA": {"soa", []string{"mname", "rname", "serial", "refresh", "retry", "expire", "minimum"}},
	"SRV": {"srv", []string{"priority", "weight", "port", "name"}},
}

// dns writes the members of the object "dns" that stand before the message's own. EVE tells some things of a message twice: flags one by one, what
// a SOA or SRV record says member by member, and the answers by type.
func (w *object) dns(o *Object) {
	if o.find(0, "version") == 0 {
		w.uint("version", dnsVersion)
	}
	switch {
	case o.find(0, "type") != 0:
	case o.find(0, "rcode") != 0, o.find(0, "answers") != 0:
		w.str("type", "response")
	default:
		w.str("type", "request")
	}
}

// dnsFlags writes the flags of a header one by one.
func (w *object) dnsFlags(o *Object, text []byte) {
	flags, _ := strconv.ParseUint(string(text), 16, 16)
	for _, b := range dnsFlags {
		if flags&b.bit != 0 && o.find(0, b.name) == 0 {
			w.key(b.name)
			w.b = append(w.b, "true"...)
		}
	}
}

// dnsParts writes what a SOA or SRV record says member by member.
func (w *object) dnsParts(o *Object, record int32) {
	typ, rdata, _ := o.answer(record)
	parts, ok := dnsParts[string(typ)]
	if !ok {
		return
	}
	words := strings.Fields(string(rdata))
	if len(words) != len(parts.names) {
		return
	}
	w.open(parts.object)
	for k, name := range parts.names {
		w.key(name)
		if isNumber(words[k]) {
			w.b = append(w.b, words[k]...)
		} else {
			w.b = appendString(w.b, words[k])
		}
	}
	w.close()
}

// dnsGrouped writes what the answers say by their type, of the first types that there are.
func (w *object) dnsGrouped(o *Object) {
	answers := o.find(0, "answers")
	if answers == 0 {
		return
	}
	var room [maxTypes][]byte
	types, first := room[:0], o.nodes[answers].first
	for i := first; i != 0 && len(types) < maxTypes; i = o.nodes[i].next {
		if typ, _, ok := o.answer(i); ok && !slices.ContainsFunc(types, func(t []byte) bool { return bytes.Equal(t, typ) }) {
			types = append(types, typ)
		}
	}
	at := w.open("grouped")
	for _, typ := range types {
		w.comma()
		w.b = append(appendString(w.b, typ), ':', '[')
		for i := first; i != 0; i = o.nodes[i].next {
			if t, rdata, ok := o.answer(i); ok && bytes.Equal(t, typ) {
				w.comma()
				w.b = appendString(w.b, rdata)
			}
		}
		w.b = append(w.b, ']')
	}
	w.closeFilled(at)
}

// answer returns a record's type and what it says; false if it does not have both.
func (o *Object) answer(record int32) (typ, rdata []byte, ok bool) {
	t, d := o.find(record, "rrtype"), o.find(record, "rdata")
	if t == 0 || d == 0 || o.nodes[t].at == o.nodes[t].end {
		return nil, nil, false
	}
	return o.bytes(&o.nodes[t]), o.bytes(&o.nodes[d]), true
}
