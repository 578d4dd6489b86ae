package rules

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// Ends are conditions on one end of a conversation, written as a line of a policy's group: "namespace=shop", "name=web*,label:tier!=test",
// "external", "address=10.0.0.0/8". All of them must hold.
type Ends struct {
	Text string // as it was written
	All  []End
}

// End is one condition on one end of a conversation. In Pattern '*' stands for anything.
type End struct {
	Key     string // of EndKeys
	Label   string // whose value is asked for, where Key is "label"
	Pattern string
	Regex   *regexp.Regexp // what must be found in the value, in place of Pattern; nil: none was asked for
	Prefix  netip.Prefix   // where Key is "address"
	Not     bool
}

// EndKeys are what an End may ask for. "external" has no pattern: an address beyond private networks that belongs to no workload of this host.
// "dns" asks for names that were seen to lead to an address: groups of a policy may, rules may not.
var EndKeys = []string{"name", "pod", "namespace", "image", "label", "address", "external", "dns"}

const maxEndRegex = 1000 // bytes, ours

// ends takes in from or to.
func (s *source) ends(dst *[]Ends, given []string, path string) {
	if given == nil {
		return
	}
	*dst = nil
	for i, line := range given {
		e, what, hint := ParseEnds(line)
		if what == "" && slices.ContainsFunc(e.All, func(c End) bool { return c.Key == "dns" }) {
			what, hint = "a rule cannot ask for DNS names", "address=, or name= of a workload"
		}
		if what != "" {
			s.fail(element(path, i), Error, what, hint)
			continue
		}
		*dst = append(*dst, e)
	}
}

// ParseEnds reads a line; what, unless it is "", says what is wrong with it, and hint what was meant.
func ParseEnds(line string) (out Ends, what, hint string) {
	out.Text = line
	for rest, more := line, true; more; {
		var term string
		if term, rest, more, what = cutTerm(rest); what != "" {
			return out, what, "'VALUE'"
		}
		e, what, hint := endOf(term)
		if what != "" {
			return out, what, hint
		}
		out.All = append(out.All, e)
	}
	return out, "", ""
}

// cutTerm takes the first condition off a line. A comma ends it, but not in a value between single quotes, which loses them.
func cutTerm(line string) (term, rest string, more bool, what string) {
	op := strings.IndexAny(line, "=~,")
	if op < 0 || line[op] == ',' {
		term, rest, more = strings.Cut(line, ",")
		return strings.TrimSpace(term), rest, more, ""
	}
	value := strings.TrimLeft(line[op+1:], " \t")
	if !strings.HasPrefix(value, "'") {
		value, rest, more = strings.Cut(value, ",")
		return strings.TrimSpace(line[:op+1] + value), rest, more, ""
	}
	quoted, rest, closed := strings.Cut(value[1:], "'")
	rest = strings.TrimLeft(rest, " \t")
	if !closed || rest != "" && rest[0] != ',' {
		return "", "", false, "a value in quotes has no end, or something behind it"
	}
	return strings.TrimSpace(line[:op+1]) + quoted, strings.TrimPrefix(rest, ","), rest != "", ""
}

// endOf reads one condition: KEY=PATTERN, KEY!=PATTERN, KEY~REGEX, KEY!~REGEX, or a word.
func endOf(term string) (e End, what, hint string) {
	key, pattern, op := term, "", byte(0)
	if i := strings.IndexAny(term, "=~"); i >= 0 {
		key, op, pattern = term[:i], term[i], strings.TrimSpace(term[i+1:])
	}
	if key, e.Not = strings.CutSuffix(strings.TrimSpace(key), "!"); op == 0 {
		key, e.Not = strings.CutPrefix(key, "!")
	}
	e.Key, e.Pattern = strings.TrimSpace(key), pattern
	if name, label, ok := strings.Cut(e.Key, ":"); ok {
		e.Key, e.Label = name, label
	}
	switch {
	case !slices.Contains(EndKeys, e.Key):
		return e, fmt.Sprintf("unknown condition %q", e.Key), meant(e.Key, EndKeys)
	case e.Key == "external" && op != 0:
		return e, "external stands alone", `"external" or "!external"`
	case e.Key != "external" && e.Pattern == "":
		return e, fmt.Sprintf("%s without a value", e.Key), e.Key + "=PATTERN"
	case (e.Key == "label") != (e.Label != ""):
		return e, "a label is named behind a colon", "label:NAME=PATTERN"
	case e.Key == "address" && op == '~':
		return e, "an address has no regex", "address=10.0.0.0/8, or one address"
	case op == '~':
		return e.withRegex()
	case e.Key == "address":
		return e.withPrefix()
	case e.Key == "dns": // names have no case, and no dot at their end
		e.Pattern = strings.TrimSuffix(strings.ToLower(e.Pattern), ".")
	}
	return e, "", ""
}

func (e End) withRegex() (End, string, string) {
	if len(e.Pattern) > maxEndRegex {
		return e, fmt.Sprintf("the regex has %d bytes, more than %d", len(e.Pattern), maxEndRegex), ""
	}
	re, err := regexp.Compile(e.Pattern)
	if err != nil {
		return e, "this is no regex: " + oneLine(err.Error()), "RE2 syntax"
	}
	e.Regex = re
	return e, "", ""
}

func (e End) withPrefix() (End, string, string) {
	var err error
	if e.Prefix, err = netip.ParsePrefix(e.Pattern); err == nil {
		if a := e.Prefix.Addr(); a.Is4In6() && e.Prefix.Bits() >= 96 { // addresses are asked for as IPv4
			e.Prefix = netip.PrefixFrom(a.Unmap(), e.Prefix.Bits()-96)
		}
		return e, "", ""
	}
	a, err := netip.ParseAddr(e.Pattern)
	if err != nil {
		return e, fmt.Sprintf("this is no address: %q", e.Pattern), "10.0.0.0/8, or one address"
	}
	a = a.Unmap()
	e.Prefix = netip.PrefixFrom(a, a.BitLen())
	return e, "", ""
}
