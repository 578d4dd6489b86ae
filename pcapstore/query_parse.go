package pcapstore

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// ours
const (
	maxQuery = 4096 // bytes of a query
	maxDepth = 64   // parentheses and nots inside each other
	maxShown = 40   // characters of a wrong word that an error repeats

	timeWanted = "a time, as 10m ago, 2026-01-31, 2026-01-31T15:04 or 2026-01-31T15:04:05Z"
)

// QueryError says what is wrong with the text of a query.
type QueryError struct {
	Column int      // in characters, from 1
	Word   string   // what stands there; "": the query ends there
	Want   string   // what was expected
	Known  []string // the words that may stand there, for a proposal; nil: any
}

func (e *QueryError) Error() string {
	if e.Word == "" {
		return fmt.Sprintf("column %d: the query ends where %s is expected", e.Column, e.Want)
	}
	return fmt.Sprintf("column %d: \"%s\" stands where %s is expected", e.Column, e.Word, e.Want)
}

// ParseQuery reads a query:
//
//	query     = and { ( "or" | "||" ) and }
//	and       = not { ( "and" | "&&" ) not }
//	not       = { "not" | "!" } ( "(" query ")" | condition )
//	condition = "host" ADDRESS | "net" NETWORK | "port" NUMBER | "tcp" | "udp" | "icmp"
//	          | ( "before" | "after" ) TIME
//	          | "alert" ID | "flow" ID | "community-id" ID | "workload" NAME | "pod" NAMESPACE/NAME | "rule" ID
//
// A value may be quoted: "a \"b\"". "before" and "after" split time without a gap: a packet at that very time is after.
// A TIME is in RFC 3339, or as EVE writes it, or without a zone, which is then that of now, or an age: "1h30m ago" (s, m,
// h, d, w). Errors: *QueryError.
func ParseQuery(text string, now time.Time) (*Query, error) {
	p := parser{now: now}
	if err := p.split(text); err != nil {
		return nil, err
	}
	root, err := p.or(0)
	if err != nil {
		return nil, err
	}
	if t := p.peek(); t.text != "" {
		return nil, t.wrong("and, or or the end", "and", "or")
	}
	return &Query{root}, nil
}

// operators are the words that join conditions, and what each stands for.
var operators = map[string]string{"and": "and", "&&": "and", "or": "or", "||": "or", "not": "not", "!": "not"}

// token is a word of a query. The last one has no text and is not quoted.
type token struct {
	text   string
	op     string // and, or, not, (, ): what it stands for; "": a word
	quoted bool
	column int
}

func (t token) wrong(want string, known ...string) error {
	word := t.text
	if r := []rune(word); len(r) > maxShown {
		word = string(r[:maxShown]) + "…"
	}
	if word == "" && t.quoted {
		word = "\"\""
	}
	return &QueryError{Column: t.column, Word: word, Want: want, Known: known}
}

// endsWord reports whether r cannot stand in a value without quotes.
func endsWord(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune(`()"&|\`, r) }

// unprintable keeps what could command a terminal out of queries, and so out of all that repeats them.
func unprintable(r rune) bool {
	return !unicode.IsPrint(r) && !unicode.IsSpace(r) || unicode.IsControl(r) || r == utf8.RuneError
}

type parser struct {
	now    time.Time
	tokens []token
}

// split cuts the text into tokens.
func (p *parser) split(text string) error {
	if len(text) > maxQuery {
		return &QueryError{Column: 1, Word: "…", Want: fmt.Sprintf("a query of at most %d bytes", maxQuery)}
	}
	column := 1
	for text != "" {
		r, n := utf8.DecodeRuneInString(text)
		closed := true
		switch {
		case unicode.IsSpace(r):
			text = text[n:]
			column++
			continue
		case r == '(' || r == ')' || r == '!':
			n = 1
		case strings.HasPrefix(text, "&&"), strings.HasPrefix(text, "||"):
			n = 2
		case r == '"':
			n, closed = quoteLen(text)
		default:
			if n = strings.IndexFunc(text, endsWord); n < 0 {
				n = len(text)
			}
			n = max(n, 1)
		}
		t := token{text: text[:n], column: column}
		if strings.ContainsFunc(t.text, unprintable) {
			t.text = strings.Map(func(r rune) rune {
				if unprintable(r) {
					return '?'
				}
				return r
			}, t.text)
			return t.wrong("printable text")
		}
		column += utf8.RuneCountInString(t.text)
		text = text[n:]
		if r == '"' {
			if !closed {
				return t.wrong(`a text with a " at its end`)
			}
			t.text, t.quoted = unquote(t.text[1:n-1]), true
		} else if t.op = operators[strings.ToLower(t.text)]; t.text == "(" || t.text == ")" {
			t.op = t.text
		}
		p.tokens = append(p.tokens, t)
	}
	p.tokens = append(p.tokens, token{column: column})
	return nil
}

// quoteLen returns the length of a quoted text up to and with its closing quote, or of all that is there.
func quoteLen(s string) (n int, closed bool) {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i + 1, true
		}
	}
	return len(s), false
}

// unquote undoes backslashes.
func unquote(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func (p *parser) peek() token { return p.tokens[0] }

// next takes a token; the last one stays.
func (p *parser) next() token {
	t := p.tokens[0]
	if len(p.tokens) > 1 {
		p.tokens = p.tokens[1:]
	}
	return t
}

func (p *parser) or(depth int) (*node, error) { return p.joined(kindOr, "or", p.and, depth) }

func (p *parser) and(depth int) (*node, error) { return p.joined(kindAnd, "and", p.not, depth) }

func (p *parser) joined(k kind, op string, operand func(int) (*node, error), depth int) (*node, error) {
	var kids []*node
	for {
		n, err := operand(depth)
		if err != nil {
			return nil, err
		}
		kids = append(kids, n)
		if p.peek().op != op {
			return join(k, kids), nil
		}
		p.next()
	}
}

func (p *parser) not(depth int) (*node, error) {
	t := p.peek()
	if t.op != "not" && t.op != "(" {
		return p.condition()
	}
	p.next()
	if depth == maxDepth {
		return nil, t.wrong(fmt.Sprintf("no more than %d parentheses and nots inside each other", maxDepth))
	}
	if t.op == "not" {
		n, err := p.not(depth + 1)
		if err != nil {
			return nil, err
		}
		return negate(n), nil
	}
	n, err := p.or(depth + 1)
	if err != nil {
		return nil, err
	}
	if end := p.next(); end.op != ")" {
		return nil, end.wrong("and, or or )", "and", "or")
	}
	return n, nil
}

// condition reads one word and what it takes.
func (p *parser) condition() (*node, error) {
	t := p.next()
	word := strings.ToLower(t.text)
	var known []string
	for k := kindHost; k <= kindRule; k++ {
		w := words[k]
		if w.word != word || t.quoted {
			known = append(known, w.word)
			continue
		}
		n := &node{kind: k}
		if w.takes == "" {
			return n, nil
		}
		v := p.next()
		if v.op != "" || v.text == "" || !p.value(n, v) {
			return nil, v.wrong(w.takes)
		}
		return n, nil
	}
	known = append(known, "not")
	return nil, t.wrong("a condition ("+strings.Join(known, ", ")+")", known...)
}

// value reads what a condition takes, and reports whether it makes sense.
func (p *parser) value(n *node, v token) bool {
	var err error
	switch n.kind {
	case kindHost:
		var a netip.Addr
		a, err = netip.ParseAddr(v.text)
		if err == nil && a.Zone() == "" {
			a = a.Unmap()
			n.prefix = netip.PrefixFrom(a, a.BitLen())
			return true
		}
		return false
	case kindNet:
		n.prefix, err = netip.ParsePrefix(v.text)
		if n.prefix.Addr().Is4In6() {
			return false
		}
		n.prefix = n.prefix.Masked()
	case kindPort:
		n.number, err = strconv.ParseUint(v.text, 10, 16)
	case kindFlow:
		n.number, err = strconv.ParseUint(v.text, 10, 64)
	case kindBefore, kindAfter:
		return p.time(n, v.text)
	case kindPod:
		n.text = v.text
		namespace, name, ok := strings.Cut(v.text, "/")
		return ok && namespace != "" && name != ""
	default:
		n.text = v.text
	}
	return err == nil
}

// layouts are the ways to write a time.
var layouts = []string{
	time.RFC3339Nano,
	"2006-01-02T15:04:05.999999999-0700", // EVE
	"2006-01-02T15:04Z07:00",
	"2006-01-02T15:04:05.999999999", // these are in the zone of now
	"2006-01-02T15:04",
	time.DateOnly,
}

func (p *parser) time(n *node, text string) bool {
	if next := p.peek(); strings.EqualFold(next.text, "ago") {
		age, ok := parseAge(text)
		if ok {
			p.next()
			n.time = p.now.Add(-age).UnixNano()
		}
		return ok && n.time >= 0
	}
	for _, layout := range layouts {
		if t, err := time.ParseInLocation(layout, text, p.now.Location()); err == nil {
			n.time = t.UnixNano()
			return n.time >= 0 && t.Year() <= 2261 && t.Year() >= 1969 // what nanoseconds can count
		}
	}
	return false
}

// ages are the units of an age.
var ages = map[byte]time.Duration{
	's': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour, 'w': 7 * 24 * time.Hour,
}

const maxAge = 100 * 365 * 24 * time.Hour

// parseAge reads numbers with a unit each: "1h30m", "2d".
func parseAge(s string) (age time.Duration, ok bool) {
	for s != "" {
		i := strings.IndexFunc(s, func(r rune) bool { return r < '0' || r > '9' })
		if i <= 0 {
			return 0, false
		}
		v, err := strconv.ParseUint(s[:i], 10, 32)
		unit := ages[s[i]]
		if err != nil || unit == 0 || time.Duration(v) > maxAge/unit {
			return 0, false
		}
		if age += time.Duration(v) * unit; age > maxAge {
			return 0, false
		}
		s, ok = s[i+1:], true
	}
	return age, ok
}

// ParseAge reads an age, as "10m", "1h30m" or "2d" (s, m, h, d, w).
func ParseAge(s string) (time.Duration, error) {
	if d, ok := parseAge(s); ok {
		return d, nil
	}
	return 0, fmt.Errorf(`%q is no age (numbers with s, m, h, d or w, as "10m" or "1h30m")`, s)
}
