package policy

import "bytes"

// A value is not always what it looks like: a server may take /ok/%2e%2e/admin for /admin. So a value has readings, all that a server may take it
// for. A rule that allows must match all of them, one that denies any. What most servers refuse, and others read in ways of their own,
// is doubtful: no rule that allows matches it, unless it allows everything.

// kind says how the values of a field are read.
type kind uint8

const (
	kindText  kind = iota // as they are
	kindPath              // percent escapes, dots, slashes, parameters
	kindURI               // likewise up to the query
	kindFile              // dots and slashes
	kindHost              // names: without case and without a dot at the end
	kindTable             // perhaps with their schema
	kindTopic             // perhaps with wildcards, in subscriptions
)

// Kinds are the fields whose values are more than text, by how they are read: path, uri, file, host, table, topic.
var Kinds = map[string][]string{
	"path":  {"http.path"},
	"uri":   {"http.uri", "ajp.uri", "fastcgi.uri"},
	"file":  {"ftp.command_data", "ftp-data.filename", "tftp.file", "smb.filename", "smb.open_file", "nfs.filename", "zookeeper.path"},
	"host":  {"http.host", "ajp.host", "tls.sni", "socks.host", "dns.query"},
	"table": {"postgresql.table", "mysql.table", "cassandra.table", "tds.table"},
	"topic": {"mqtt.subscribe.topic", "nats.subject"},
}

var kindNames = []string{"", "path", "uri", "file", "host", "table", "topic"}

// kindOf returns the kind of a field.
func kindOf(field string) kind {
	for k := kindPath; k <= kindTopic; k++ {
		for _, name := range Kinds[kindNames[k]] {
			if name == field {
				return k
			}
		}
	}
	return kindText
}

// reading is what was found out of a value for rules that allow, or for those that deny.
type reading struct {
	done  bool
	doubt bool // there may be others
	whole bool // the value itself is the only one
	first int32
	n     int32 // Fields.spans[first:first+n]
}

// readings returns what servers may take a value for, and whether there may be more. Those for rules that deny are in lower case.
func (f *Fields) readings(v *value, k kind, a Action) *reading {
	r := &v.read[a-Allow]
	if r.done {
		return r
	}
	*r = reading{done: true, first: int32(len(f.spans))}
	x := reader{f: f, deny: a == Deny}
	s := f.of(v.at)
	switch {
	case a == Allow && (k == kindText || k == kindTable || k == kindPath && plainPath(s)):
		r.whole = true
		return r
	case len(f.text)+k.copies()*(len(s)+1) > 2*maxText+maxRead:
		r.doubt = true
		return r
	}
	switch k {
	case kindText:
		x.add(s)
	case kindTable:
		x.add(s)
		x.add(s[bytes.LastIndexByte(s, '.')+1:])
	case kindHost:
		x.host(s)
	case kindTopic:
		x.topic(s)
	case kindFile:
		x.file(s)
	case kindPath:
		x.path(s)
	case kindURI:
		x.uri(s)
	}
	r.doubt, r.n = x.doubt, int32(len(f.spans))-r.first
	return r
}

// copies is how many copies of a value its readings take at most.
func (k kind) copies() int {
	switch k {
	case kindPath, kindURI:
		return perPath
	case kindFile:
		return 8
	}
	return 2
}

// reader makes readings.
type reader struct {
	f     *Fields
	deny  bool
	doubt bool
	query []byte // stands behind each
}

// add adds a reading that is a copy of s.
func (x *reader) add(s []byte) {
	at := len(x.f.text)
	x.f.text = append(x.f.text, s...)
	x.done(at)
}

// done adds what stands at the end of the text as a reading.
func (x *reader) done(at int) {
	x.f.text = append(x.f.text, x.query...)
	if x.deny {
		fold(x.f.text[at:])
	}
	x.f.spans = append(x.f.spans, span{int32(at), int32(len(x.f.text))})
}

// host: letters' case and a dot at the end mean nothing.
func (x *reader) host(s []byte) {
	at := len(x.f.text)
	x.f.text = append(x.f.text, bytes.TrimSuffix(s, []byte("."))...)
	fold(x.f.text[at:])
	for _, c := range x.f.text[at:] {
		if c <= ' ' || c == 0x7f || bytes.IndexByte([]byte("/\\@%?#,"), c) >= 0 {
			x.doubt = x.doubt || !x.deny
		}
	}
	x.done(at)
}

// topic: a subscription to a/# is one to a/b/c. For rules that deny, wildcards are dealt with by condition.fits.
func (x *reader) topic(s []byte) {
	x.add(s)
	if x.deny {
		if rest, ok := bytes.CutPrefix(s, []byte("$share/")); ok {
			x.add(rest[bytes.IndexByte(rest, '/')+1:])
		}
		return
	}
	if c := lastOf(s); c == '#' || c == '>' {
		at := len(x.f.text)
		x.f.text = append(append(x.f.text, s...), '/', c)
		x.done(at)
	}
}

// wildTopic returns where the first wildcard of a subscription stands; -1: there is none.
func wildTopic(s []byte) int { return bytes.IndexAny(s, "#+*>") }

func lastOf(s []byte) byte {
	if len(s) == 0 {
		return 0
	}
	return s[len(s)-1]
}

// file: a backslash may be a slash, and dots lead up.
func (x *reader) file(s []byte) {
	out := x.copy(s)
	slashes(out)
	if x.deny {
		x.add(out)
		x.resolved(out, true)
		x.resolved(out, false)
		return
	}
	x.doubt = hasDots(out) || bytes.IndexByte(out, 0) >= 0
	x.slashed(out)
}

func (x *reader) path(s []byte) {
	if x.deny {
		x.widely(s)
	} else {
		x.strictly(s)
	}
}

// uri: a path, and a query that is as it is.
func (x *reader) uri(s []byte) {
	path := s
	if q := bytes.IndexByte(s, '?'); q >= 0 {
		path, x.query = s[:q], s[q:]
	}
	if x.deny {
		if i := bytes.Index(path, []byte("://")); i >= 0 && bytes.IndexByte(path[:i], '/') < 0 { // with scheme and authority
			rest := path[i+3:]
			if n := bytes.IndexByte(rest, '/'); n >= 0 {
				x.path(rest[n:])
			} else {
				x.add([]byte("/"))
			}
		}
	} else if plainPath(path) {
		x.add(path)
		return
	}
	x.path(path)
}
