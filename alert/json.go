package alert

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// object appends JSON to b. It puts commas itself, by the byte before: the first member of an object follows its brace.
type object struct {
	b   []byte
	err error // the first value that has no form in JSON
}

// key appends the name of the next member. Constant names only: it is not escaped.
func (o *object) key(name string) {
	o.comma()
	o.b = append(o.b, '"')
	o.b = append(o.b, name...)
	o.b = append(o.b, '"', ':')
}

// anyKey is key for names that come from elsewhere.
func (o *object) anyKey(name string) {
	o.comma()
	o.b = append(appendString(o.b, name), ':')
}

func (o *object) comma() {
	if c := o.b[len(o.b)-1]; c != '{' && c != '[' {
		o.b = append(o.b, ',')
	}
}

// open begins an object as the value of name and returns where, for closeFilled.
func (o *object) open(name string) (at int) {
	at = len(o.b)
	o.key(name)
	o.b = append(o.b, '{')
	return at
}

func (o *object) close() { o.b = append(o.b, '}') }

// closeFilled ends the object begun at at, and takes it back if it has no member.
func (o *object) closeFilled(at int) {
	if o.b[len(o.b)-1] == '{' {
		o.b = o.b[:at]
		return
	}
	o.close()
}

func (o *object) str(name, v string) {
	o.key(name)
	o.b = appendString(o.b, v)
}

// filled is str that leaves out what is empty.
func (o *object) filled(name, v string) {
	if v != "" {
		o.str(name, v)
	}
}

func (o *object) uint(name string, v uint64) {
	o.key(name)
	o.b = strconv.AppendUint(o.b, v, 10)
}

func (o *object) int(name string, v int) {
	o.key(name)
	o.b = strconv.AppendInt(o.b, int64(v), 10)
}

func (o *object) bool(name string, v bool) {
	o.key(name)
	o.b = strconv.AppendBool(o.b, v)
}

func (o *object) time(name string, ns int64) {
	o.key(name)
	o.b = append(appendTime(append(o.b, '"'), ns), '"')
}

// appendTime appends a time of UTC as Suricata's EVE JSON has it, in microseconds: 2006-01-02T15:04:05.000000+0000.
func appendTime(b []byte, ns int64) []byte {
	t := time.Unix(0, ns).UTC() // of the years 1678 to 2262
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	b = append(appendDigits(b, year, 4), '-')
	b = append(appendDigits(b, int(month), 2), '-')
	b = append(appendDigits(b, day, 2), 'T')
	b = append(appendDigits(b, hour, 2), ':')
	b = append(appendDigits(b, minute, 2), ':')
	b = append(appendDigits(b, second, 2), '.')
	return append(appendDigits(b, t.Nanosecond()/1000, 6), "+0000"...)
}

// appendDigits appends n with so many digits.
func appendDigits(b []byte, n, digits int) []byte {
	b = append(b, "000000"[:digits]...)
	for i := len(b) - 1; n > 0; i, n = i-1, n/10 {
		b[i] = byte('0' + n%10)
	}
	return b
}

func (o *object) strings(v []string) {
	o.b = append(o.b, '[')
	for _, s := range v {
		o.comma()
		o.b = appendString(o.b, s)
	}
	o.b = append(o.b, ']')
}

// value appends any value that Stats may hold.
func (o *object) value(v any) {
	switch v := v.(type) {
	case string:
		o.b = appendString(o.b, v)
	case bool:
		o.b = strconv.AppendBool(o.b, v)
	case uint64:
		o.b = strconv.AppendUint(o.b, v, 10)
	case uint32:
		o.b = strconv.AppendUint(o.b, uint64(v), 10)
	case int:
		o.b = strconv.AppendInt(o.b, int64(v), 10)
	case int64:
		o.b = strconv.AppendInt(o.b, v, 10)
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			o.b = append(o.b, "null"...) // JSON has no other word for it
			return
		}
		o.b = strconv.AppendFloat(o.b, v, 'g', -1, 64)
	case json.Number:
		if strings.Trim(string(v), "+-.0123456789Ee") != "" || !json.Valid([]byte(v)) { // white space is valid JSON, but no part of a number
			o.b = appendString(o.b, string(v))
			return
		}
		o.b = append(o.b, v...)
	case []string:
		o.strings(v)
	case []any:
		o.b = append(o.b, '[')
		for _, e := range v {
			o.comma()
			o.value(e)
		}
		o.b = append(o.b, ']')
	case map[string]any:
		o.b = append(o.b, '{')
		for _, k := range sorted(nil, v) {
			o.anyKey(k)
			o.value(v[k])
		}
		o.b = append(o.b, '}')
	case nil:
		o.b = append(o.b, "null"...)
	default:
		o.b = append(o.b, "null"...)
		o.fail(fmt.Errorf("alert: a value of type %T has no form in EVE", v))
	}
}

func (o *object) fail(err error) {
	if o.err == nil {
		o.err = err
	}
}

// sorted appends m's keys to into, in order, so that equal events are equal lines.
func sorted[V any](into []string, m map[string]V) []string {
	for k := range m {
		into = append(into, k)
	}
	slices.Sort(into)
	return into
}

// isNumber reports whether s is a number as JSON writes them (RFC 8259 §6) that every reader can hold: no more than 18
// digits before the point, so that an index whose field is a 64-bit integer does not refuse the event, and no exponent.
func isNumber[S string | []byte](s S) bool {
	if len(s) > 0 && s[0] == '-' {
		s = s[1:]
	}
	n := digits(s)
	if n == 0 || n > 18 || n > 1 && s[0] == '0' {
		return false
	}
	if s = s[n:]; len(s) == 0 {
		return true
	}
	return s[0] == '.' && len(s) > 1 && len(s) <= 19 && digits(s[1:]) == len(s)-1
}

// digits counts the digits that s begins with.
func digits[S string | []byte](s S) int {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return i
		}
	}
	return len(s)
}

const hex = "0123456789abcdef"

// plain says which bytes stand for themselves in a JSON string.
var plain = func() (t [256]bool) {
	for c := 0x20; c < 0x7f; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// appendString appends s as a JSON string. Control characters, C1 and the line separators U+2028 and U+2029 too, are
// escaped: a reader's terminal must not obey them. A byte that is not UTF-8 is shown as \xNN, as Suricata does, so that
// different bytes stay different.
func appendString[S string | []byte](b []byte, s S) []byte {
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if plain[c] {
			i++
			continue
		}
		if c < utf8.RuneSelf {
			b = append(b, s[start:i]...)
			b = appendEscaped(b, c)
			i++
			start = i
			continue
		}
		r, n := utf8.DecodeRuneInString(string(s[i:min(i+utf8.UTFMax, len(s))]))
		switch {
		case r == utf8.RuneError && n == 1:
			b = append(b, s[start:i]...)
			b = append(b, '\\', '\\', 'x', hex[c>>4], hex[c&15])
			start = i + 1
		case r < 0xa0 || r == 0x2028 || r == 0x2029:
			b = append(b, s[start:i]...)
			b = append(b, '\\', 'u', hex[r>>12], hex[r>>8&15], hex[r>>4&15], hex[r&15])
			start = i + n
		}
		i += n
	}
	b = append(b, s[start:]...)
	return append(b, '"')
}

func appendEscaped(b []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(b, '\\', c)
	case '\n':
		return append(b, '\\', 'n')
	case '\r':
		return append(b, '\\', 'r')
	case '\t':
		return append(b, '\\', 't')
	}
	return append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
}
