package rules

import (
	"errors"
	"fmt"
	"regexp/syntax"
	"strings"
)

// expression is what is known of a regex without compiling it.
type expression struct {
	groups       int
	matchesEmpty bool
}

// parseExpression parses RE2 syntax. what is empty iff the regex is right; else it says what is wrong with it and
// where.
func parseExpression(re string) (e expression, what, hint string) {
	tree, err := syntax.Parse(re, syntax.Perl)
	if err != nil {
		what, hint = explainSyntax(re, err)
		return e, what, hint
	}
	return expression{tree.MaxCap(), matchesEmpty(tree)}, "", ""
}

// explainSyntax puts a parse error into words, with the place in the regex.
func explainSyntax(re string, err error) (what, hint string) {
	var wrong *syntax.Error
	if !errors.As(err, &wrong) {
		return "the regex is wrong: " + oneLine(err.Error()), ""
	}
	const maxShown = 40 // bytes of the wrong part
	part := wrong.Expr
	what = fmt.Sprintf("the regex is wrong: %s", wrong.Code)
	if at := strings.Index(re, part); at >= 0 && part != re {
		if len(part) > maxShown {
			part = part[:maxShown]
		}
		what += fmt.Sprintf(": %q at character %d", part, at+1)
	}
	switch {
	case strings.HasPrefix(part, "(?=") || strings.HasPrefix(part, "(?!") || strings.HasPrefix(part, "(?<"):
		hint = "RE2 has no look-around: use validate, context or an allowlist"
	case len(part) == 2 && part[0] == '\\' && part[1] >= '1' && part[1] <= '9':
		hint = "RE2 has no back-references"
	case wrong.Code == syntax.ErrMissingParen || wrong.Code == syntax.ErrUnexpectedParen:
		hint = `write \( for a parenthesis itself`
	}
	return what, hint
}

// matchesEmpty reports whether a regex can match without using up a byte.
func matchesEmpty(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpNoMatch, syntax.OpCharClass, syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return false
	case syntax.OpLiteral:
		return len(re.Rune) == 0
	case syntax.OpCapture, syntax.OpPlus:
		return matchesEmpty(re.Sub[0])
	case syntax.OpRepeat:
		return re.Min == 0 || matchesEmpty(re.Sub[0])
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			if !matchesEmpty(sub) {
				return false
			}
		}
		return true
	case syntax.OpAlternate:
		for _, sub := range re.Sub {
			if matchesEmpty(sub) {
				return true
			}
		}
		return false
	}
	return true // the empty match, anchors, boundaries, star and question mark
}
