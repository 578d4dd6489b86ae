package tunnel

import (
	"hash/maphash"

	"weir/dissect"
	"weir/wire"
)

// Ours.
const (
	joinedMost   = 64   // domains of pairs of hosts whose names are put together
	joinedWindow = 512  // characters of names that are put together
	joinedIdle   = 60e9 // ns after which what comes belongs to nothing before
	joinedLeast  = 8    // letters and digits of a name below its domain from which on it may be a piece; further ones may be any
	joinedDigits = 4    // likewise, or so many digits
	joinedText   = 10   // bytes of what was encoded in pieces at least
	joinedPeek   = 32   // characters of a run that are decoded first
	joinedTexts  = 9    // that a name can complete: as it is and by its longest labels, each in three alphabets, and by pieces
	joinedWords  = 128  // characters of names without a digit that are put together before anybody looks at them
	joinedAgain  = 4    // names that are known again: two types are asked for, and lost queries again
)

// Joined puts together what the names of queries say that go to one domain: a value that is cut into several of them stands in none. It belongs to one
// goroutine at a time.
type Joined struct {
	registrar
	keys  [joinedMost]uint64 // of list; 0: free
	list  [joinedMost]joint
	texts [joinedTexts][]byte
	n     int // of texts
	at    *joint
	buf   [joinedTexts][joinedWindow]byte
}

// JoinedSize is what a Joined takes, in bytes.
const JoinedSize = joinedMost*(3*(joinedWindow+16)+88) + suffixMany*16 + joinedTexts*(joinedWindow+24)

// joint is what is remembered of a domain that two hosts speak of.
type joint struct {
	last    int64 // ns
	pieces  int
	apart   int // of pieces that each were encoded by themselves
	fresh   int // characters that nobody has looked at
	digits  int // characters for which there still is a digit among those that are remembered
	seen    [joinedAgain]uint64
	all     trail // labels, one behind the other
	longest trail // the longest of each name
	decoded trail // of pieces that each are encoded
}

// trail is the end of what pieces said.
type trail struct {
	text  [joinedWindow]byte
	n     int
	class class // of the last piece
}

// class is what a piece is made of. Between pieces of different classes there is a space: a number begins there, or ends.
type class uint8

const (
	classNone class = iota
	classDigits
	classHex
	classOther
)

// NewJoined returns a Joined that knows nothing.
func NewJoined() *Joined { return &Joined{registrar: registrar{seed: maphash.MakeSeed()}} }

// Add takes the name of a query, and returns the texts that it makes with those before it; they are borrowed until the next call. key are the hosts. dropped says that
// another domain was forgotten for it, of which pieces were waiting.
func (j *Joined) Add(now int64, key *wire.Key, m *dissect.Message) (texts [][]byte, dropped bool) {
	s := read(m)
	if len(s.name) == 0 || len(s.flags) == 0 || s.answers() || isLocal(s.name) {
		return nil, false
	}
	var n name
	n.read(s.name)
	if !n.divide(&j.registrar) || n.cut == 0 {
		return nil, false
	}
	sub := n.sub()
	if s.name = trimDot(s.name); len(s.name) == n.n { // letters as they came: in base64 they matter
		sub = s.name[:len(sub)]
	}
	at, dropped := j.joint(now, (j.pair(key)^n.key(j.seed, 0))|1, worth(sub))
	if at == nil || at.again(maphash.Bytes(j.seed, sub)) {
		return nil, dropped
	}
	j.at, j.n = at, 0
	at.last = now
	at.pieces++
	at.add(sub)
	if at.ordinary(sub) {
		return nil, dropped
	}
	j.tell(&at.all)
	if !at.longest.same(&at.all) {
		j.tell(&at.longest)
	}
	if at.apart > 1 {
		j.put(at.decoded.text[:at.decoded.n])
	}
	return j.texts[:j.n], dropped
}

// Found forgets the pieces of the last Add: something was found in them.
func (j *Joined) Found() {
	if j.at != nil {
		*j.at = joint{last: j.at.last, seen: j.at.seen}
	}
}

func trimDot(b []byte) []byte {
	if n := len(b); n > 0 && b[n-1] == '.' {
		return b[:n-1]
	}
	return b
}

// worth reports whether what stands below a domain may be the first piece of something.
func worth(b []byte) bool {
	digits, letters := 0, 0
	for _, c := range b {
		switch {
		case isDigit(c):
			digits++
		case c|0x20 >= 'a' && c|0x20 <= 'z':
			letters++
		}
	}
	return digits >= joinedDigits || digits+letters >= joinedLeast
}

// pair names the hosts.
func (j *Joined) pair(k *wire.Key) uint64 {
	h := maphash.Bytes(j.seed, k.A[:])
	return h*31 ^ maphash.Bytes(j.seed, k.B[:]) ^ uint64(k.Scope)<<32
}

// joint returns what is remembered of a domain; nil if that is nothing, and it is not worth a place.
func (j *Joined) joint(now int64, key uint64, worth bool) (at *joint, dropped bool) {
	for i, k := range j.keys {
		if k == key {
			if at = &j.list[i]; now-at.last > joinedIdle {
				*at = joint{}
			}
			return at, false
		}
	}
	if !worth {
		return nil, false
	}
	oldest := 0
	for i := range j.list {
		if j.list[i].last < j.list[oldest].last { // those that are free have never been asked for
			oldest = i
		}
	}
	at = &j.list[oldest]
	dropped = at.pieces > 1 && now-at.last <= joinedIdle
	*at, j.keys[oldest] = joint{}, key
	return at, dropped
}

// again reports whether a name is one of the last ones.
func (at *joint) again(h uint64) bool {
	for _, s := range at.seen {
		if s == h {
			return true
		}
	}
	copy(at.seen[1:], at.seen[:joinedAgain-1])
	at.seen[0] = h
	return false
}

// ordinary reports whether what is remembered can wait: names of services are words, and what is sought has digits, or goes on for long.
func (at *joint) ordinary(sub []byte) bool {
	at.fresh += len(sub)
	at.digits = max(0, at.digits-len(sub))
	for _, c := range sub {
		if isDigit(c) {
			at.digits = joinedWindow
			break
		}
	}
	if at.digits == 0 && at.fresh < joinedWords {
		return true
	}
	at.fresh = 0
	return false
}

// add adds what stands below the domain in a name.
func (at *joint) add(sub []byte) {
	var all, longest [255]byte
	n, long := 0, 0
	for begin := 0; begin < len(sub); {
		end := begin
		for end < len(sub) && sub[end] != '.' {
			end++
		}
		if label := sub[begin:end]; len(label) > long {
			long = copy(longest[:], label)
		}
		n += copy(all[n:], sub[begin:end])
		begin = end + 1
	}
	at.all.add(all[:n])
	at.longest.add(longest[:long])
	var out [255]byte
	for _, piece := range [...][]byte{longest[:long], all[:n]} {
		if n := decode(out[:], piece); n > 0 {
			at.decoded.append(out[:n])
			at.apart++
			return
		}
	}
}

// decode writes what a piece is encoded as by itself, and returns how long that is; 0: nothing that reads as text.
func decode(out, piece []byte) int {
	for k := range alphabets {
		a := &alphabets[k]
		if len(piece) < 4 || !a.whole(len(piece)) {
			continue
		}
		if n, ok := a.decode(out, piece); ok && n >= 2 && textEnd(out[:n]) == n {
			return n
		}
	}
	return 0
}

func (t *trail) add(piece []byte) {
	if len(piece) == 0 {
		return
	}
	c := classOf(piece)
	if t.n > 0 && c != t.class {
		t.append([]byte{' '})
	}
	t.class = c
	t.append(piece)
}

func (t *trail) append(b []byte) {
	b = b[max(0, len(b)-len(t.text)):]
	if over := t.n + len(b) - len(t.text); over > 0 {
		t.n = copy(t.text[:], t.text[over:t.n])
	}
	t.n += copy(t.text[t.n:], b)
}

func (t *trail) same(o *trail) bool {
	return t.n == o.n && string(t.text[:t.n]) == string(o.text[:o.n])
}

func classOf(b []byte) class {
	c := classDigits
	for _, x := range b {
		switch {
		case isDigit(x):
		case x|0x20 >= 'a' && x|0x20 <= 'f':
			c = max(c, classHex)
		default:
			return classOther
		}
	}
	return c
}

// tell makes texts of a trail: as it is, and what it is encoded as.
func (j *Joined) tell(t *trail) {
	b := t.text[:t.n]
	j.put(b)
	var run [joinedWindow]byte
	for k := range alphabets {
		a := &alphabets[k]
		from := len(run)
		for i := len(b) - 1; i >= 0 && (b[i] == ' ' || a.values[b[i]] != none); i-- {
			if b[i] != ' ' {
				from--
				run[from] = b[i]
			}
		}
		j.align(a, run[from:])
	}
}

// align decodes a run from wherever in a group it may have begun: what was put before the first piece belongs to none.
func (j *Joined) align(a *alphabet, run []byte) {
	var out [joinedWindow]byte
	for phase := 0; phase < a.group && len(run)-phase >= a.group; phase++ {
		if skip := (len(run) - phase - joinedPeek) / a.group; skip > 0 { // most are none: the end tells
			if n, _ := a.decode(out[:], run[phase+skip*a.group:]); textEnd(out[:n]) < joinedText {
				continue
			}
		}
		n, ok := a.decode(out[:], run[phase:])
		if !ok {
			continue
		}
		if text := textEnd(out[:n]); text >= joinedText {
			j.put(out[n-text : n])
			return
		}
	}
}

func (j *Joined) put(text []byte) {
	if j.n < len(j.texts) {
		j.texts[j.n] = j.buf[j.n][:copy(j.buf[j.n][:], text)]
		j.n++
	}
}

// textEnd returns how many bytes at the end of b are those of a text.
func textEnd(b []byte) int {
	for i := len(b); i > 0; i-- {
		if c := b[i-1]; (c < ' ' || c > '~') && c != '\n' && c != '\r' && c != '\t' {
			return len(b) - i
		}
	}
	return len(b)
}

// alphabet is a way to write bytes in labels.
type alphabet struct {
	bits   int
	group  int // characters after which bytes begin at a character again
	values [256]uint8
}

const none = 0xff

// alphabets are hexadecimal, base32 and base64, this in the form for URLs too (RFC 4648).
var alphabets = [...]alphabet{
	newAlphabet(4, 2, "0123456789abcdef", "0123456789ABCDEF"),
	newAlphabet(5, 8, "abcdefghijklmnopqrstuvwxyz234567", "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"),
	newAlphabet(6, 4, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"),
}

func newAlphabet(bits, group int, forms ...string) (a alphabet) {
	a.bits, a.group = bits, group
	for i := range a.values {
		a.values[i] = none
	}
	for _, f := range forms {
		for i := range len(f) {
			a.values[f[i]] = uint8(i)
		}
	}
	return a
}

// whole reports whether bytes can be encoded in n characters.
func (a *alphabet) whole(n int) bool { return n*a.bits%8 < a.bits }

// decode writes what b is encoded as, without a last byte that is not all there.
func (a *alphabet) decode(out, b []byte) (n int, ok bool) {
	acc, have := uint32(0), 0
	for _, c := range b {
		v := a.values[c]
		if v == none {
			return 0, false
		}
		acc = acc<<a.bits | uint32(v)
		if have += a.bits; have >= 8 {
			have -= 8
			out[n] = byte(acc >> have)
			n++
		}
	}
	return n, true
}
