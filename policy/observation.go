package policy

import "encoding/binary"

// Party is who takes part in what is learned: a group that there is, or one that would be proposed for a workload. A Learner
// numbers them; 0 is `unknown`.
type Party uint32

// Word is a value of a field of a message. Fields have the numbers that Terms knows.
type Word struct {
	Field int
	Value []byte
}

// Observation is one thing that was said: a message of who began a conversation, or — without Words — that a conversation took
// place at all. It borrows: who takes it keeps nothing of it.
//
// A conversation is noted once its end has answered, or sent something by itself, so that a scan of ports teaches nothing; a message once it is complete.
type Observation struct {
	Time     int64 // ns since the epoch
	From, To Party // initiator, responder
	Proto    uint8
	Port     uint16 // the responder's; ICMP: type<<8|code
	App      int    // number of the protocol, AppNone or AppUnknown
	Words    []Word // all values that a message has of fields that are Learned; where it has none, any one Word
}

// ours
const maxWords = 16 // values of a message that are told apart; of a message with more it is told that it had more

// What a key says of an observation beside its words.
const (
	oddWord  = 1 << iota // a value cannot be written as a pattern
	tooMany              // there were more than maxWords
	keyFlags = 6         // its place in a key: behind the parties, the protocol and the port
	keyHead  = 16        // bytes before the words
	wordHead = 5         // bytes before a word's pattern: field, length, whether it is odd
)

// appendRaw appends what was said, word for word. What it appends of two observations is the same only if they are.
func (o *Observation) appendRaw(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, uint64(o.From)|uint64(o.To)<<32)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(o.Proto)|uint64(o.Port)<<8|uint64(uint32(int32(o.App)))<<32)
	for i := range o.Words {
		w := &o.Words[i]
		dst = binary.LittleEndian.AppendUint64(dst, uint64(w.Field)<<32|uint64(uint32(len(w.Value))))
		dst = append(dst, w.Value...)
	}
	return dst
}

// appendKey appends what an observation is, in patterns: observations with the same key are the same to a learner.
//
//	from 4, to 4 | proto 1, flags 1, port 2 | app 4 | for each word: field 2, odd 1, length 2, pattern
func (o *Observation) appendKey(dst []byte, t *Terms) []byte {
	at := len(dst)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(o.From))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(o.To))
	dst = append(dst, o.Proto, 0)
	dst = binary.LittleEndian.AppendUint16(dst, o.Port)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(int32(o.App)))
	flags := byte(0)
	for i := range o.Words {
		if i == maxWords {
			flags |= tooMany
			break
		}
		w := &o.Words[i]
		s := styleExists
		if term := t.term(w.Field); term.role != noRole {
			s = term.style
		}
		head := len(dst)
		dst = binary.LittleEndian.AppendUint16(dst, uint16(w.Field))
		dst = append(dst, 0, 0, 0)
		var odd bool
		if dst, odd = appendPattern(dst, s, w.Value); odd {
			dst[head+2] = 1
			flags |= oddWord
		}
		binary.LittleEndian.PutUint16(dst[head+3:], uint16(len(dst)-head-wordHead))
	}
	dst[at+9] = flags
	return dst
}

// seenKey is what appendKey wrote.
type seenKey []byte

func (k seenKey) from() Party    { return Party(binary.LittleEndian.Uint32(k)) }
func (k seenKey) to() Party      { return Party(binary.LittleEndian.Uint32(k[4:])) }
func (k seenKey) proto() uint8   { return k[8] }
func (k seenKey) flags() byte    { return k[9] }
func (k seenKey) port() uint16   { return binary.LittleEndian.Uint16(k[10:]) }
func (k seenKey) app() int       { return int(int32(binary.LittleEndian.Uint32(k[12:]))) }
func (k seenKey) hasWords() bool { return len(k) > keyHead }

// words calls fn with each word: its field, its pattern and whether that is odd.
func (k seenKey) words(fn func(field int, odd bool, pattern []byte)) {
	for b := k[keyHead:]; len(b) >= wordHead; {
		n := int(binary.LittleEndian.Uint16(b[3:]))
		fn(int(binary.LittleEndian.Uint16(b)), b[2] != 0, b[wordHead:][:n])
		b = b[wordHead+n:]
	}
}
