package dlp

import (
	"bytes"

	"weir/dissect"
)

// hidden is a piece of a text that is not to be shown.
type hidden struct {
	from, to int
	mask     string // what stands for it; "": its length
	found    bool   // by a rule, elsewhere: its mask is the better one
}

// credentials appends the pieces of b that tell themselves by a name, or by their form, as what must not be shown.
func (m *Masker) credentials(out []hidden, b []byte, p dissect.Privacy) []hidden {
	if p == dissect.Credential || p == dissect.Sealed {
		return append(out, hidden{to: len(b)})
	}
	d := m.plain.digest(b, p)
	if m.plain.has(d) {
		return out
	}
	before := len(out)
	m.u.read(b)
	if p == dissect.Cookies {
		out = m.cookies(out, 0, len(m.u.text))
	} else {
		if p == dissect.Statement && namesCredential(m.u.text) {
			out = m.literals(out)
		}
		out = m.pairs(out)
	}
	if len(out) == before {
		m.plain.keep(d)
	}
	return out
}

// hide appends text[from:to] of what is undone, unless it is empty or a mask already.
func (m *Masker) hide(out []hidden, from, to int) []hidden {
	if from >= to || isMask(m.u.text[from:to]) {
		return out
	}
	return append(out, hidden{from: m.u.place(from), to: m.u.place(to)})
}

// isMask reports whether b is what a mask of a secret looks like: up to four bytes and a length.
func isMask(b []byte) bool {
	i := bytes.Index(b, []byte("…("))
	if i < 0 || i > 4 || b[len(b)-1] != ')' {
		return false
	}
	return allDigits(b[i+len("…(") : len(b)-1])
}

// Bytes that something may begin at, as pairs sees them.
const (
	startPair  = 1 + iota // what is before it may be a name
	startSlash            // of an authority
	startAt               // behind user and password
	startSpace            // what is before it may be a scheme
	startDigit            // of a card
	startQuote            // of a literal
)

var starts = func() (k [256]uint8) {
	k['='], k[':'], k['/'], k['@'], k[' '], k['\''] = startPair, startPair, startSlash, startAt, startSpace, startQuote
	for c := '0'; c <= '9'; c++ {
		k[c] = startDigit
	}
	return k
}()

// pairs goes once through what is undone.
func (m *Masker) pairs(out []hidden) []hidden {
	t := m.u.text
	for i := 0; i < len(t); {
		from, to := 0, 0
		switch starts[t[i]] {
		case startPair:
			from, to = m.pair(i, &out)
		case startSlash:
			if i+1 < len(t) && t[i+1] == '/' {
				from, to = m.authority(i + 2)
			}
		case startAt:
			from, to = m.userInfo(i)
		case startSpace:
			from, to = m.behind(i)
		case startQuote:
			from, to = m.literal(i)
		case startDigit:
			if to = m.card(i); to > 0 {
				end, mask := m.trackEnd(to), ""
				if end == to {
					mask = m.cardMask(t[i:to])
				}
				out = append(out, hidden{from: m.u.place(i), to: m.u.place(end), mask: mask})
				i = end
				continue
			}
			for i < len(t) && isDigit(t[i]) {
				i++
			}
			continue
		}
		i++
		if from < to {
			out = m.hide(out, from, to)
			i = max(i, to)
		}
	}
	return out
}

// pair returns the value behind the '=' or ':' at i, if its name says that it is a credential. Cookies it appends by itself.
func (m *Masker) pair(i int, out *[]hidden) (from, to int) {
	t := m.u.text
	end := i
	for end > 0 && i-end < 3 && (t[end-1] == ' ' || t[end-1] == ':' || t[end-1] == '!' || t[end-1] == '~') {
		end--
	}
	quoted := end > 0 && (t[end-1] == '"' || t[end-1] == '\'' || t[end-1] == '`')
	if quoted {
		end--
	}
	at := end
	for at > 0 && end-at < maxName && nameByte(t[at-1]) {
		at--
	}
	name := t[at:end]
	query := at == 0 && t[i] == '=' || at > 0 && (t[at-1] == '?' || t[at-1] == '&' || t[at-1] == '#' || t[at-1] == ';')
	if len(name) == 0 {
		return 0, 0
	}
	what := sortOf(name, query)
	if what == harmless {
		return 0, 0
	}
	v := i + 1
	for v < len(t) && (t[v] == '=' || t[v] == '>' || t[v] == ' ' || t[v] == '\t' || quoted && t[v] == '\n') {
		v++
	}
	if v == len(t) || t[i] == ':' && v == i+1 && t[v] == '/' && v+1 < len(t) && t[v+1] == '/' {
		return 0, 0
	}
	if what == personal {
		if from, to = m.value(i, v, at); bytes.Contains(t[from:to], []byte("***")) {
			return 0, 0
		}
		return from, to
	}
	if !quoted && t[i] == ':' && (at == 0 || t[at-1] == '\n') { // a header line
		to = len(t)
		if j := bytes.IndexAny(t[v:], "\r\n"); j >= 0 {
			to = v + j
		}
		if bytes.EqualFold(name, []byte("cookie")) || bytes.EqualFold(name, []byte("set-cookie")) {
			*out = m.cookies(*out, v, to)
			return 0, 0
		}
		return v + scheme(t[v:to]), to
	}
	if t[i] == ':' && inFold(t[v:min(len(t), v+3)], []string{"yes", "no)"}) { // (using password: YES)
		return 0, 0
	}
	return m.value(i, v, at)
}

// value returns the value of a pair, whose name begins at name, whose sign stands at sign, from v on.
func (m *Masker) value(sign, v, name int) (from, to int) {
	t, depth := m.u.text, m.u.depth(sign)
	if v+1 < len(t) && (t[v]|0x20 == 'n' || t[v]|0x20 == 'e') && t[v+1] == '\'' { // N'...' and E'...' of SQL
		v++
	}
	switch c := t[v]; c {
	case '"', '\'', '`':
		return v + 1, m.quoteEnd(v)
	case '$':
		if end, ok := dollarEnd(t[v:]); ok {
			return v, v + end
		}
	case '{':
		return 0, 0 // its members have names of their own
	case '[':
		if j := bytes.IndexByte(t[v:], ']'); j >= 0 {
			return v + 1, v + j
		}
		return v + 1, len(t)
	}
	v += scheme(t[v:])
	before := byte(0)
	if name > 0 {
		before = t[name-1]
		for k := name; before == ' ' && k > 1; k-- {
			before = t[k-2]
		}
	}
	open := 0 // parentheses
	for to = v; to < len(t); to++ {
		c := t[to]
		if m.u.depth(to) > depth {
			continue
		}
		switch {
		case c == '&' || c == '"' || c == '<' || c == '>' || c == '`' || c < ' ':
			return v, to
		case c == '#' && before != 0 && before != ' ', c == '\'' && bytes.IndexByte(t[:name], '\'') >= 0:
			return v, to
		case c == ' ' && before != '(' && (before != ';' || m.endsPair(to+1) || bytes.IndexByte(t[to:], ';') < 0):
			return v, to
		case (c == ';' || c == ',') && m.endsPair(to+1):
			return v, to
		case c == '(':
			open++
		case c == ')' || c == '}':
			if open--; open < 0 && (before == '(' || before == '{' || before == ',' || to+1 == len(t) || t[to+1] <= ' ') {
				return v, to
			}
		}
	}
	return v, to
}

// endsPair reports whether a pair begins at i, or nothing but a space stands there: so what is before it is a separator.
func (m *Masker) endsPair(i int) bool {
	t := m.u.text
	if i >= len(t) || t[i] <= ' ' || t[i] == '"' {
		return true
	}
	for j := i; j < len(t) && j-i < maxName; j++ {
		if t[j] == '=' || t[j] == ':' {
			return j > i
		}
		if !nameByte(t[j]) && t[j] != ' ' {
			return false
		}
	}
	return false
}

// quoteEnd returns where the quote at i is closed. A doubled one stands for itself.
func (m *Masker) quoteEnd(i int) int {
	t := m.u.text
	for j := i + 1; j < len(t); j++ {
		if t[j] != t[i] || m.u.depth(j) > m.u.depth(i) {
			continue
		}
		if t[j] == '\'' && j+1 < len(t) && t[j+1] == '\'' && j > i+1 {
			j++
			continue
		}
		return j
	}
	return len(t)
}

// dollarEnd returns where a string of PostgreSQL in dollar signs at the front of b ends: $$...$$ or $tag$...$tag$.
func dollarEnd(b []byte) (int, bool) {
	n := 1
	for n < len(b) && (isLetter(b[n]) || isDigit(b[n]) && n > 1 || b[n] == '_') {
		n++
	}
	if n == len(b) || b[n] != '$' {
		return 0, false
	}
	tag := b[:n+1]
	if j := bytes.Index(b[n+1:], tag); j >= 0 {
		return n + 1 + j + len(tag), true
	}
	return len(b), true
}

func nameByte(c byte) bool {
	return isLetter(c) || isDigit(c) || c == '_' || c == '-' || c == '.' || c == '[' || c == ']' || c == '$' || c >= 0x80
}

// authority returns the password of an authority that begins at i, or the user that is a token.
func (m *Masker) authority(i int) (from, to int) {
	t := m.u.text
	depth := m.u.depth(i - 1)
	end, at := i, -1 // end is that of the host if nothing odd stands in it
	for ; end < len(t) && !(m.u.depth(end) <= depth && (t[end] == '/' || t[end] == '?' || t[end] == '#')) && !urlEnd(t[end]); end++ {
		if t[end] == '@' {
			at = end
		}
	}
	if at < 0 { // a password with a slash in it, perhaps
		colon := bytes.IndexByte(t[i:end], ':')
		if colon < 0 || allDigits(t[i+colon+1:end]) {
			return 0, 0
		}
		for j := end; j < len(t) && !urlEnd(t[j]) && at < 0; j++ {
			if t[j] == '@' {
				at = j
			}
		}
		if at < 0 {
			return 0, 0
		}
	}
	if colon := bytes.IndexByte(t[i:at], ':'); colon >= 0 {
		if user := t[i : i+colon]; len(user) > maxToken && random(user) {
			return i, at
		}
		return i + colon + 1, at
	}
	if random(t[i:at]) {
		return i, at
	}
	return 0, 0
}

func urlEnd(c byte) bool { return c <= ' ' || c == '"' || c == '<' || c == '>' || c == '\\' }

// userInfo returns the password before an '@' at i without a scheme: user:password@host.
func (m *Masker) userInfo(i int) (from, to int) {
	t := m.u.text
	at := i
	for at > 0 && i-at < 256 && !urlEnd(t[at-1]) && t[at-1] != '/' && t[at-1] != '\'' {
		at--
	}
	colon := bytes.IndexByte(t[at:i], ':')
	if colon < 1 || at+colon+1 == i || i+1 == len(t) || urlEnd(t[i+1]) || bytes.HasPrefix(t[i+1:], []byte("sha")) {
		return 0, 0
	}
	if inFold(t[at:at+colon], harmlessUsers) {
		return 0, 0
	}
	return at + colon + 1, i
}

// harmlessUsers before a colon and an address are no users.
var harmlessUsers = []string{"mailto", "sip", "sips", "xmpp", "acct", "im", "pres", "from", "to", "cc", "bcc", "user", "by", "for", "id"}

// commandWords before a space say that a credential follows; betweenWords may stand between such a word and a literal.
var (
	commandWords = []string{"requirepass", "masterauth"}
	betweenWords = []string{"by", "as", "with", "is", "to", "using", "n", "like"}
)

// behind returns what stands behind a space at i, if the word before it says that it is a credential: Bearer, PASS, IDENTIFIED BY.
func (m *Masker) behind(i int) (from, to int) {
	t := m.u.text
	at := i
	for at > 0 && i-at < 24 && (isLetter(t[at-1]) || isDigit(t[at-1]) || t[at-1] == '-') {
		at--
	}
	word := t[at:i]
	from = i + 1
	for from < len(t) && t[from] == ' ' {
		from++
	}
	to = from
	for to < len(t) && !urlEnd(t[to]) && t[to] != '\'' && t[to] != ',' && t[to] != ';' {
		to++
	}
	if from == to || len(word) < 2 {
		return 0, 0
	}
	switch value := t[from:to]; {
	case len(word) == 2 && equalFold(word, "by"):
		before := bytes.TrimRight(t[:at], " ")
		if len(before) >= 10 && equalFold(before[len(before)-10:], "identified") {
			return from, to
		}
	case string(word) == "PASS" || string(word) == "AUTH" || inFold(word, commandWords):
		if n := scheme(t[from:]); n > 0 { // AUTH PLAIN ...
			from += n
			for to = from; to < len(t) && t[to] >= ' '; to++ {
			}
		}
		return from, to
	case string(word) == "LOGIN": // of IMAP: a user, a password
		for to < len(t) && t[to] == ' ' {
			to++
		}
		from = to
		for to < len(t) && t[to] >= ' ' {
			to++
		}
		return from, to
	case len(value) >= 8 && lookedUp(value) && scheme(t[at:]) > 0:
		return from, to
	}
	return 0, 0
}

// lookedUp reports whether a word is none of a language: it has digits, capital letters inside, or ends as base64 does.
func lookedUp(b []byte) bool {
	for i, c := range b {
		if isDigit(c) || c == '=' || i > 0 && isUpper(c) && isLower(b[i-1]) {
			return true
		}
	}
	return false
}

// cookies appends the values of cookies in text[from:to].
func (m *Masker) cookies(out []hidden, from, to int) []hidden {
	t := m.u.text
	for from < to {
		end := from
		for end < to && t[end] != ';' && t[end] != '\n' {
			end++
		}
		at := from
		for at < end && t[at] == ' ' {
			at++
		}
		value := at
		if eq := bytes.IndexByte(t[at:end], '='); eq >= 0 {
			value = at + eq + 1
		}
		name := bytes.TrimRight(t[at:max(at, value-1)], " ")
		if value == at {
			name = t[at:end]
		}
		if !inFold(name, cookieAttributes) {
			out = m.hide(out, value, end)
		}
		from = end + 1
	}
	return out
}

const (
	maxCard      = 19 // digits
	maxTrackName = 32 // bytes of a name in track 1, and the sign behind it
	leastTrack   = 7  // digits behind a card's number in a track: a date and what the card may do
)
