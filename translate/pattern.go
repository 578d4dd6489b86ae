package translate

import (
	"regexp/syntax"
	"slices"
	"strings"
)

const (
	patternsMost = 64  // patterns that one expression may be, ours
	patternLong  = 500 // bytes of one
)

// patternsOf makes patterns of an expression that is compared with the whole value: `.*` is *, `[^/]+` a segment, alternatives are patterns of
// their own. They stand for nothing else than the expression; why says why there are none. A dot is taken for a dot, which is less.
func patternsOf(expression string) (list []string, why string) {
	const no = "this expression is no pattern: texts, alternatives, .* and [^/]+ are"
	if len(expression) > 4096 {
		return nil, no
	}
	re, err := syntax.Parse(expression, syntax.Perl)
	if err != nil {
		return nil, no
	}
	list, ok := spell(trimAnchors(re))
	if !ok || len(list) == 0 || slices.ContainsFunc(list, func(p string) bool { return strings.Count(p, "*")+strings.Count(p, "{") > 32 }) {
		return nil, no
	}
	if slices.Contains(list, "") {
		return nil, "this expression is for nothing, too, which here is for messages without the field"
	}
	slices.Sort(list)
	return slices.Compact(list), ""
}

// trimAnchors takes off what says that it is the whole value.
func trimAnchors(re *syntax.Regexp) *syntax.Regexp {
	if re.Op != syntax.OpConcat {
		return re
	}
	sub := re.Sub
	if len(sub) > 0 && sub[0].Op == syntax.OpBeginText {
		sub = sub[1:]
	}
	if n := len(sub); n > 0 && sub[n-1].Op == syntax.OpEndText {
		sub = sub[:n-1]
	}
	return &syntax.Regexp{Op: syntax.OpConcat, Sub: sub}
}

// spell writes all that an expression stands for.
func spell(re *syntax.Regexp) (out []string, ok bool) {
	switch re.Op {
	case syntax.OpEmptyMatch:
		return []string{""}, true
	case syntax.OpLiteral:
		s := string(re.Rune)
		return []string{s}, re.Flags&syntax.FoldCase == 0 && !strings.ContainsAny(s, "*{}") && !strings.ContainsRune(s, '\uFFFD')
	case syntax.OpAnyCharNotNL, syntax.OpAnyChar:
		return []string{"."}, true
	case syntax.OpStar:
		return []string{"*"}, re.Sub[0].Op == syntax.OpAnyCharNotNL || re.Sub[0].Op == syntax.OpAnyChar
	case syntax.OpPlus:
		return []string{"{x}"}, re.Sub[0].Op == syntax.OpCharClass && slices.Equal(re.Sub[0].Rune, []rune{0, '/' - 1, '/' + 1, '\U0010FFFF'})
	case syntax.OpCapture:
		return spell(re.Sub[0])
	case syntax.OpQuest:
		out, ok = spell(re.Sub[0])
		return append(out, ""), ok
	case syntax.OpCharClass:
		for i := 0; i+1 < len(re.Rune); i += 2 {
			for r := re.Rune[i]; r <= re.Rune[i+1]; r++ {
				if out = append(out, string(r)); len(out) > 16 || r == '*' || r == '{' || r == '}' || r > 0x7e || r < ' ' {
					return nil, false
				}
			}
		}
		return out, len(out) > 0
	case syntax.OpAlternate:
		for _, s := range re.Sub {
			part, ok := spell(s)
			if out = append(out, part...); !ok || len(out) > patternsMost {
				return nil, false
			}
		}
		return out, true
	case syntax.OpConcat:
		out = []string{""}
		for _, s := range re.Sub {
			part, ok := spell(s)
			if !ok || len(out)*len(part) > patternsMost {
				return nil, false
			}
			var longer []string
			for _, a := range out {
				for _, b := range part {
					if len(a)+len(b) > patternLong {
						return nil, false
					}
					longer = append(longer, a+b)
				}
			}
			out = longer
		}
		return out, true
	}
	return nil, false
}
