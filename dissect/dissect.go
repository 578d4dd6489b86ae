// Package dissect turns in-order bytes into messages: one file per protocol, each with a probe,
// a parser and the fields that rules and policy may name. It buffers nothing of the stream:
// a parser says how much it used and how much more it needs, and its caller keeps the rest.
// It neither matches rules nor writes events.
//
// To add a protocol: write NAME.go with one Protocol value, add it to Protocols in table.go,
// and put cases into testdata/cases/NAME-*.txtar. No test code is needed: TestCases plays those in every way that there is,
// FuzzDissectors takes every protocol of the table, and `go test -run TestDocs . -update` writes docs/protocols.md.
package dissect

import (
	"net/netip"

	"weir/budget"
	"weir/wire"
)

// Guess is a probe's answer.
type Guess uint8

const (
	No    Guess = iota // it is not this protocol
	Maybe              // more bytes are needed
	Yes                // it is this protocol
)

// Carrier is a set of transports.
type Carrier uint8

const (
	Stream   Carrier = 1 << iota // TCP: Feed sees a byte stream
	Datagram                     // UDP: Feed sees whole datagrams
	ICMPv4                       // Feed sees whole messages, from their type on
	ICMP6                        // likewise ICMPv6

	Carriers = 1 << iota // every set is below it
)

// Field is an index into the Fields of a message's Protocol.
type Field uint8

// FieldSpec says what a field is called and where its values go.
type FieldSpec struct {
	Name    string // as rules and policy name it: "http.request.body"
	Doc     string // what it holds, for docs/protocols.md; "" if an earlier protocol has told of a field of that name
	EVE     string // key in the protocol's EVE event: "key", "object/key", "list[]" of strings, "list.key" in the Value'th object of a list; "" is in none
	Number  bool   // written as a JSON number in the event
	Pieces  bool   // of "list.key": where a value comes in several Parts, each has an object of its own, alike but for it
	First   bool   // of several values in an exchange, the event shows the first, not the last
	Bool    bool   // written as a JSON boolean in the event; its value is "true" or "false"
	Derived bool   // its bytes are also part of another field: a rule sees it only if it names it
	File    FileRole
	Table   TableRole
	Privacy Privacy
}

// Privacy says what of a field's values may be shown of themselves, whether a rule found something in them or not.
type Privacy uint8

const (
	Text       Privacy = iota // what no name in it says to be a credential
	Statement                 // likewise; and where it names one, no literal
	Cookies                   // names, no values
	Credential                // nothing; it is looked for elsewhere too
	Sealed                    // nothing
)

// TableRole says what a field's values are to the tables that databases answer with.
type TableRole uint8

const (
	NoTable    TableRole = iota
	ColumnName           // names of the columns of the rows that follow in the message, a value for each
	RowOfCells           // a row, its cells separated by tabs
)

// FileRole says what a field's values are to the files that an exchange carries, for the events that tell of those.
type FileRole uint8

const (
	NoFile    FileRole = iota
	FileName           // name of the next file of the direction
	FileURL            // URL whose path names the files of the exchange that have no name of their own
	File               // a value is a file
	NamedFile          // a value is a file if a FileName came before it
	InnerFile          // size of a file, told where it ends: it is inside a value that is no file then, and has a name
)

// Protocol is one entry of Protocols.
type Protocol struct {
	Name    string // neutral name, the value of app_proto
	About   string // what it is, by which specification, and what is understood of it, for docs/protocols.md
	Event   string // event_type, and the name of the event's object; "": Name
	Carrier Carrier
	Ports   []uint16                              // a hint for the order of probes, never proof
	Probe   func(dir wire.Dir, head []byte) Guess // pure; head is all that one direction has sent so far, up to MaxProbe bytes
	// Opens reports whether head may be the very first bytes of a conversation, where Probe takes what is picked up midway too; nil: it takes
	// nothing else.
	Opens func(dir wire.Dir, head []byte) bool
	// Expected is asked in place of Probe about a flow that another one has announced: less will do then. nil: none is ever announced.
	Expected func(dir wire.Dir, head []byte) Guess
	Fields   []FieldSpec
	// New makes a Dissector of a flow; p is the entry itself: an initialiser cannot name its own variable. nil: the protocol is
	// only named, its bytes are inspected raw.
	New func(p *Protocol, env *Env) Dissector
	// Resume makes a Dissector that goes on from where Rest left one; nil: Rest never says that one may be left.
	Resume func(p *Protocol, env *Env, r Rest) Dissector
	// PerMessage says that each message has an event of its own, its sender the source; else an exchange has one.
	PerMessage bool
	Base       int // index of Fields[0] in FieldNames; set by table.go
}

// EventType returns the type of the events that tell of the protocol's exchanges.
func (p *Protocol) EventType() string {
	if p.Event != "" {
		return p.Event
	}
	return p.Name
}

// MaxProbe is the number of bytes of a direction after which nothing that still says Maybe is asked again.
const MaxProbe = 2048 // bytes

// Progress is a parser's answer: Used bytes of the data are done with; call again once at least Need bytes more than
// were given are there (0: any). Used <= len(data). What was not used is given again, at the front of the next call's
// data. A call before Need bytes came is allowed, and tells nothing else. Opaque of the Used bytes are ciphertext that
// cannot be looked into, Passed of them are passed over: padding, what means nothing, what does not decode.
type Progress struct{ Used, Need, Opaque, Passed int }

// Dissector parses one flow.
//
// Feed is given in-order bytes of one direction, beginning with those that the last call for
// that direction left over. What it emits borrows from data, or from the Dissector's own buffers, until emit
// returns. An error means that these bytes cannot be this protocol: the Dissector is dropped and
// the rest of the flow is inspected as raw. A violation that parsing survives is no error but a
// Note on the message. For a Datagram, what is left over is dropped;
// one of which nothing is used, without an error, is not the protocol's or, while none was used yet, does not tell whether it is: it is inspected raw.
//
// Gap tells that n bytes of dir were lost after all that was fed (what was left over is gone too); it reports whether
// parsing can go on, having found its place again by itself.
//
// Close tells that dir will bring no more bytes: values that end with the connection end here. What was left over, if
// anything, is given to Feed once more after that.
//
// Rest reports whether nothing is open, and what is to be remembered then: the Dissector is given back with it and must not be used any
// more; Protocol.Resume makes one that goes on. So a flow between messages takes next to no memory. It is asked after what Feed left over
// was nothing, and only if there is a Resume.
//
// Size returns the bytes that it holds, decoders aside: those are counted in its Env.
type Dissector interface {
	Feed(dir wire.Dir, data []byte, emit func(*Message)) (Progress, error)
	Gap(dir wire.Dir, n int, emit func(*Message)) bool
	Close(dir wire.Dir, emit func(*Message))
	Rest() (Rest, bool)
	Size() int
}

// Rest is what a Dissector remembers between messages.
type Rest struct {
	ID, Tx uint64 // of the last message and exchange; a Dissector that resumes counts on from them
	State  uint64 // its own
}

// Message is a request, an answer or whatever unit a protocol has. It may come in several calls
// with one ID; End is set on its last. Messages of one flow may interleave (HTTP/2).
type Message struct {
	Protocol  *Protocol
	ID        uint64 // unique in the flow, counted up from 1
	Tx        uint64 // the exchange it belongs to: a request and its answer have the same
	Dir       wire.Dir
	Parts     []Part
	Notes     []Note        // violations seen in this call, at most one of each kind per message
	Expect    []Expectation // flows that it announces; borrowed until emit returns
	End       bool          // the message is complete
	TxEnd     bool          // the exchange is complete: its event can be written
	Upgrade   bool          // the flow carries another protocol from here on, in both directions (CONNECT, Upgrade, STARTTLS): probe anew
	Next      *Protocol     // with Upgrade, if it is known which: its Resume makes the Dissector, of a Rest with NextState
	NextState uint64
	With      uint64 // ID of the message beside which it is told: both say the same, in two protocols; 0: none
}

// Expectation announces a flow of Protocol, any one with a certain end: Protocol.Expected is asked about it in place of Probe, for a minute.
type Expectation struct {
	Protocol *Protocol
	Side     wire.Dir   // the end is that of who sends in this direction
	Addr     netip.Addr // its address; invalid: the one that it has in the present flow
	Port     uint16     // its port; 0: likewise
	Name     string     // what it will carry, as the protocols agree on it; owned, not borrowed
}

// Part is a piece of a value, or all of it. A value may come in several Parts with one Value number, also
// interleaved with other values and other messages. Bytes is borrowed until emit returns.
type Part struct {
	Field  Field
	View   uint8  // which decoding of the value this is; 0: as it came
	More   bool   // further Parts of this Value and View follow
	Cut    bool   // none follow, although the value goes on: the rest was not seen
	Begin  bool   // something of its own begins with it, as the content of a file behind what names it
	Value  uint32 // numbers the values of a message; all views of a value have the same
	Off    int64  // offset of Bytes in the value, in this view
	Bytes  []byte
	Shifts []Shift // for View > 0: how offsets lead back to view 0; ascending; borrowed like Bytes
}

// Shift says that from offset At of a view on, the byte at offset p stands for the source at p+Delta in view 0
// (up to the next Shift). A view's part begins with a Shift whose At is its Off, unless Delta is as it was.
// With Out > 0 the bytes from At on come in groups: each Out of them stand together for In bytes of the source, the first for those from
// At+Delta on. With Out < 0 nobody can tell what a byte stands for: it is the value as a whole, and p+Delta only tells places apart.
type Shift struct {
	At, Delta int64
	In, Out   int32
}

// Begin returns where what the byte at offset p of the view stands for begins.
func (s *Shift) Begin(p int64) int64 {
	if s.Out <= 0 {
		return p + s.Delta
	}
	return s.At + s.Delta + (p-s.At)/int64(s.Out)*int64(s.In)
}

// End returns where it ends. Of what does not come in groups that is only known for a byte that stands for itself.
func (s *Shift) End(p int64) int64 {
	if s.Out <= 0 {
		return p + 1 + s.Delta
	}
	return s.Begin(p) + int64(s.In)
}

// Views of a value.
const (
	ViewPlain   uint8 = iota // as it came, after transfer and content codings
	ViewPercent              // percent-decoded once, '+' as space
	ViewDouble               // percent-decoded twice
	ViewJSON                 // JSON escapes resolved
	ViewWords                // encoded words of mail headers resolved

	ViewInside = 16 // this and those above are what package content finds inside of values, whatever their encoding
)

// Note is a violation of a protocol that parsing survived.
type Note struct {
	Code   string // constant, as "http.ambiguous_length"; stands in anomaly.event
	Alert  bool   // it matters (smuggling, splitting ...): raises an alert of engine "protocol" too
	Detail string // constant, for people; never bytes from the wire
}

// Env is what the Dissectors of a tap share: which fields are asked for, buffers and budgets. It belongs to one
// goroutine at a time.
type Env struct {
	Want      Wants
	Limits    Limits
	Count     Counters
	Now       int64         // during a call: time of the packet, ns since 1970; 0: nobody knows
	Announced string        // during New: Name of the Expectation of the flow; "": there was none
	Share     *budget.Share // bytes that decoders may take beside what Limits say; nil: as those say

	// Scratch is made on first use. It may be another one in each call of a Dissector, so that there need be only as many as there are
	// processors, not as there are taps.
	*Scratch
	decoders int // bytes that decoders hold
}

// Scratch is what Dissectors need during a call only, and free lists.
type Scratch struct {
	http  *httpScratch
	http2 *http2Scratch
	dns   *dnsParser
	tls   *tlsScratch
	tell  *teller
}

// Trim lets go of memory that is kept for reuse.
func (s *Scratch) Trim() { *s = Scratch{} }

func (e *Env) scratch() *Scratch {
	if e.Scratch == nil {
		e.Scratch = new(Scratch)
	}
	return e.Scratch
}

// Decoders returns the bytes that decoders hold.
func (e *Env) Decoders() int { return e.decoders }

// take reserves n bytes for a decoder.
func (e *Env) take(n int) bool {
	if e.decoders+n > e.Limits.Decoders || e.Share != nil && !e.Share.Fits(int64(n)) {
		return false
	}
	e.give(-n)
	return true
}

func (e *Env) give(n int) {
	e.decoders -= n
	if e.Share != nil {
		e.Share.Use(int64(-n))
	}
}

// Forget drops what dissectors of e have collected for messages that they did not emit: one of them has panicked.
func (e *Env) Forget() {
	s := e.scratch()
	s.dns, s.tls, s.tell = nil, nil, nil
	if x := s.http; x != nil {
		x.msg, x.parts, x.notes = Message{}, x.parts[:0], x.notes[:0]
		x.reset()
	}
}

// Wants is the set of fields that somebody asks for, by Protocol.Base+Field. It is immutable; it is
// swapped when rules are reloaded, so ask it when a value begins, not when a flow does.
type Wants []bool

// Has reports whether field f of p is asked for.
func (w Wants) Has(p *Protocol, f Field) bool {
	i := p.Base + int(f)
	return i < len(w) && w[i]
}

// Limits bound what one flow may cost. Reaching one is a Note, never silence.
type Limits struct {
	Line        int // bytes of one line or header block that are waited for
	Headers     int // header lines per message
	DecodeRatio int // decoded bytes per encoded byte, beyond the first DecodeFree
	DecodeFree  int // bytes
	DecodeMax   int // decoded bytes per value
	DecodeDepth int // stacked codings
	Pending     int // requests waiting for their answer
	Decoders    int // bytes that the decoders in use at once in an Env may take
}

// DefaultLimits are the limits in force unless configuration says otherwise.
var DefaultLimits = Limits{
	Line:        64 << 10,
	Headers:     256,
	DecodeRatio: 100,
	DecodeFree:  1 << 20,
	DecodeMax:   64 << 20,
	DecodeDepth: 4,
	Pending:     1024,
	Decoders:    128 << 20,
}

// Counters count what dissectors gave up on. They are read by the owner of the Env.
type Counters struct {
	Undecodable uint64 // values with a coding that is unknown, broken or over its budget
}
