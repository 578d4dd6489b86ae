package policy

import "bytes"

// Templates: what is learned of a value is not the value but its pattern, so that a million orders are one path. What no name
// would be written as — numbers, hashes, dates, mail addresses, tokens — becomes a placeholder while a message is noted
// (here, a byte at a time, without allocation); what only its number gives away is folded later (fold.go).
//
// A value never brings a wildcard of its own: `*`, `{` and `}` on the wire become a placeholder of one segment, or make the
// value one that cannot be written down.

// How a field's values become patterns.
type style uint8

const (
	styleWord   style = iota // as they are: verbs, commands, methods of services
	styleLine                // the first word of a line
	stylePath                // segments between slashes; a query is cut off
	styleTopic               // segments between slashes or dots
	styleName                // DNS names: lower case, labels
	styleTable               // names of tables, where numbers are partitions
	styleExists              // only that there is one: user names' and keys' values are nobody's to keep
)

// ours
const (
	maxValue   = 256 // bytes of a pattern; longer ones are told and not proposed
	maxSegment = 48  // bytes of a segment that is still taken for a name
	fewDigits  = 4   // a name with as many digits is taken for an identifier
	hashDigits = 16  // hexadecimal digits that are a hash even where they are all letters
)

// Bytes of a segment are counted by kind, eight bits a kind.
const (
	others  = 0
	digits  = 8
	hexes   = 16 // a to f
	letters = 24 // the others
	joiners = 32 // - _ . ~
	ats     = 40 // @
)

// kinds has a one at the place of each byte's kind.
var kinds = func() (t [256]uint64) {
	for c := range t {
		at := others
		switch {
		case c >= '0' && c <= '9':
			at = digits
		case c >= 'a' && c <= 'f', c >= 'A' && c <= 'F':
			at = hexes
		case c >= 'g' && c <= 'z', c >= 'G' && c <= 'Z':
			at = letters
		case c == '-' || c == '_' || c == '.' || c == '~':
			at = joiners
		case c == '@':
			at = ats
		}
		t[c] = 1 << at
	}
	return t
}()

// isDigit is for the few places where one byte counts.
func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// placeholder returns what stands for a segment in a pattern, "" if it is a name and stands for itself.
func placeholder(seg []byte) string {
	size := uint64(len(seg))
	var sum, long uint64
	for i, c := range seg {
		if i == 255 { // beyond what a count holds: only that it is no name matters
			long = 1
			break
		}
		sum += kinds[c]
	}
	if sum < 1<<digits<<1 && sum&0xff == 0 && long == 0 { // nothing, or one digit
		if sum == 1<<digits {
			return "{id}"
		}
		return ""
	}
	count := func(kind int) uint64 { return sum >> kind & 0xff }
	d, hex := count(digits), count(hexes)
	switch {
	case count(ats) == 1 && count(others) == 0:
		return "{email}"
	case count(others)+count(ats) > 0:
		return "{value}"
	case d == size:
		return "{id}"
	case size == 10 && d == 8 && count(joiners) == 2 && seg[4] == seg[7]:
		return "{date}"
	case size == 36 && d+hex == 32 && count(joiners) == 4 && seg[8] == '-' && seg[13] == '-' && seg[18] == '-' && seg[23] == '-':
		return "{uuid}"
	case d+hex == size && (size >= hashDigits || size >= 8 && d > 0):
		return "{hash}"
	case size > maxSegment, d >= fewDigits, d > 1 && turns(seg) >= 4:
		return "{name}"
	}
	return ""
}

// turns counts how often letters and digits take turns.
func turns(seg []byte) (n int) {
	for i := 1; i < len(seg); i++ {
		if isDigit(seg[i]) != isDigit(seg[i-1]) {
			n++
		}
	}
	return n
}

// appendPattern appends the pattern of a value to dst. odd says that it cannot be written as one, is too long or has too many wildcards: what is appended then
// is what can be shown of it.
func appendPattern(dst []byte, s style, value []byte) (out []byte, odd bool) {
	from := len(dst)
	switch s {
	case styleExists:
		return append(dst, '*'), false
	case stylePath:
		value, _, _ = bytes.Cut(value, []byte{'?'})
		dst = appendSegments(dst, s, value)
	case styleTopic:
		dst = appendSegments(dst, s, value)
	case styleName:
		dst = appendLabels(dst, value)
	case styleTable:
		dst = appendTable(dst, value)
	case styleLine:
		n := bytes.IndexByte(value, ' ')
		if n < 0 {
			dst, odd = appendWord(dst, value)
			break
		}
		if dst, odd = appendWord(dst, value[:n]); !odd {
			dst = append(dst, " *"...)
		}
	default:
		dst, odd = appendWord(dst, value)
	}
	if end := patternEnd(dst[from:]); end < len(dst)-from {
		dst = dst[:from+end]
		at := -1
		if s == stylePath || s == styleTopic {
			at = bytes.LastIndexAny(dst[from:len(dst)-1], "/.")
			for at > 0 && wildcards(dst[from:from+at]) == maxWild { // there is one more behind
				at = bytes.LastIndexAny(dst[from:from+at], "/.")
			}
		}
		if odd = at < maxValue/2; !odd { // whatever stands behind so many segments
			dst = append(dst[:from+at+1], '*')
		}
	}
	odd = odd || len(value) > maxInSegments && bytes.IndexByte(dst[from:], '{') >= 0 // nothing so long fits one of these
	return dst, odd || len(dst) == from && len(value) > 0
}

// wildcards counts those of a pattern.
func wildcards(p []byte) int { return bytes.Count(p, []byte{'*'}) + bytes.Count(p, []byte{'{'}) }

// patternEnd is how much of a pattern may be written: maxValue bytes, and no more than maxWild wildcards.
func patternEnd(p []byte) int {
	wild := 0
	for i, c := range p {
		if c == '*' || c == '{' {
			wild++
		}
		if i == maxValue || wild > maxWild {
			return i
		}
	}
	return len(p)
}

func appendSegments(dst []byte, s style, value []byte) []byte {
	begin := 0
	for i := 0; ; i++ {
		end := i == len(value)
		if !end {
			if c := value[i]; c != '/' && (s == stylePath || c != '.') {
				continue
			}
		}
		if p := placeholder(value[begin:i]); end && s == styleTopic && isRest(value[begin:i]) {
			dst = append(dst, '*')
		} else if p != "" {
			dst = append(dst, p...)
		} else {
			dst = append(dst, value[begin:i]...)
		}
		if end || len(dst) > 2*maxValue+maxSegment {
			return dst
		}
		dst = append(dst, value[i])
		begin = i + 1
	}
}

// isRest reports whether the last segment of a topic is what a subscription says for all that is below: # of MQTT and AMQP, > of NATS.
func isRest(seg []byte) bool { return len(seg) == 1 && (seg[0] == '#' || seg[0] == '>') }

// appendLabels appends a DNS name. Labels that are identifiers become `*`, several in a row one.
func appendLabels(dst, value []byte) []byte {
	if n := len(value); n > 1 && value[n-1] == '.' {
		value = value[:n-1]
	}
	starred := false
	for begin, i := 0, 0; i <= len(value); i++ {
		if i < len(value) && value[i] != '.' {
			continue
		}
		p := placeholder(value[begin:i])
		if p != "" && starred {
			begin = i + 1
			continue
		}
		if begin > 0 {
			dst = append(dst, '.')
		}
		if starred = p != ""; starred {
			dst = append(dst, '*')
		} else {
			for _, c := range value[begin:i] {
				if c >= 'A' && c <= 'Z' {
					c += 'a' - 'A'
				}
				dst = append(dst, c)
			}
		}
		if begin = i + 1; len(dst) > 4*maxValue {
			break
		}
	}
	return dst
}

// appendTable appends the name of a table: a run of digits and underscores with four digits or more is a partition.
func appendTable(dst, value []byte) []byte {
	for i := 0; i < len(value) && len(dst) <= 4*maxValue; {
		n, found := 0, 0
		for i+n < len(value) && (isDigit(value[i+n]) || value[i+n] == '_' || value[i+n] == '-') {
			if isDigit(value[i+n]) {
				found++
			}
			n++
		}
		switch {
		case found >= fewDigits:
			if !isDigit(value[i]) { // the first joint stays
				dst = append(dst, value[i])
			}
			dst = append(dst, '*')
		case n > 0:
			dst = append(dst, value[i:i+n]...)
		case plain(value[i]):
			dst = append(dst, value[i])
			n = 1
		default:
			for n < len(value)-i && !plain(value[i+n]) {
				n++
			}
			dst = append(dst, "{value}"...)
		}
		i += n
	}
	return dst
}

func appendWord(dst, value []byte) (out []byte, odd bool) {
	if len(value) > maxValue {
		value, odd = value[:maxValue], true
	}
	for _, c := range value {
		odd = odd || !plain(c)
		dst = append(dst, shown(c))
	}
	return dst, odd
}

// plain reports whether a byte may stand in a pattern for itself.
func plain(c byte) bool { return c >= ' ' && c < 0x7f && c != '*' && c != '{' && c != '}' }

// shown is a byte as people get to see it: nothing that a terminal would take for a command.
func shown(c byte) byte {
	if c < ' ' || c >= 0x7f {
		return '.'
	}
	return c
}
