package rules

import (
	"fmt"
	"net/netip"
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
	Prefix  netip.Prefix // where Key is "address"
	Not     bool
}

// EndKeys are what an End may ask for. "external" has no pattern: an address beyond private networks that belongs to no workload of this host.
var EndKeys = []string{"name", "pod", "namespace", "image", "label", "address", "external"}

// ends takes in from or to.
func (s *source) ends(dst *[]Ends, given []string, path string) {
	if given == nil {
		return
	}
	*dst = nil
	for i, line := range given {
		e, what, hint := s.endsOf(line)
		if what != "" {
			s.fail(element(path, i), Error, what, hint)
			continue
		}
		*dst = append(*dst, e)
	}
}

func (s *source) endsOf(line string) (out Ends, what, hint string) {
	out.Text = line
	for term := range strings.SplitSeq(line, ",") {
		e, what, hint := s.endOf(strings.TrimSpace(term))
		if what != "" {
			return out, what, hint
		}
		out.All = append(out.All, e)
	}
	return out, "", ""
}

// endOf reads one condition; what says what is wrong with it.
func (s *source) endOf(term string) (e End, what, hint string) {
	key, pattern, given := strings.Cut(term, "=")
	if key, e.Not = strings.CutSuffix(strings.TrimSpace(key), "!"); !given {
		key, e.Not = strings.CutPrefix(key, "!")
	}
	e.Key, e.Pattern = strings.TrimSpace(key), strings.TrimSpace(pattern)
	if name, label, ok := strings.Cut(e.Key, ":"); ok {
		e.Key, e.Label = name, label
	}
	switch {
	case !slices.Contains(EndKeys, e.Key):
		return e, fmt.Sprintf("unknown condition %q", e.Key), s.problems.meant(e.Key, EndKeys)
	case e.Key == "external" && given:
		return e, "external stands alone", `"external" or "!external"`
	case e.Key != "external" && (!given || e.Pattern == ""):
		return e, fmt.Sprintf("%s without a value", e.Key), e.Key + "=PATTERN"
	case (e.Key == "label") != (e.Label != ""):
		return e, "a label is named behind a colon", "label:NAME=PATTERN"
	}
	if e.Key == "address" {
		var err error
		if e.Prefix, err = netip.ParsePrefix(e.Pattern); err != nil {
			a, err := netip.ParseAddr(e.Pattern)
			if err != nil {
				return e, fmt.Sprintf("this is no address: %q", e.Pattern), "10.0.0.0/8, or one address"
			}
			e.Prefix = netip.PrefixFrom(a, a.BitLen())
		}
	}
	return e, "", ""
}
