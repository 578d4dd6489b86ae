package dlp

import "regexp/syntax"

// Of ten numbers that look like a card's, nine are none: their check digit is wrong. Where a rule asks for it, and its value ends with the
// match, the end that Hyperscan tells is enough to see that, and the machine need not look for the beginning.

// secretEnds reports whether the value ends where the match does.
func (e *expression) secretEnds() bool {
	switch e.tree.MaxCap() {
	case 0:
		return true
	case 1:
	default:
		return false
	}
	re := e.tree
	for re.Op == syntax.OpConcat {
		n := len(re.Sub)
		for n > 1 && assertion(re.Sub[n-1]) {
			n--
		}
		re = re.Sub[n-1]
	}
	shortest, _ := width(re)
	return re.Op == syntax.OpCapture && shortest > 0
}

func assertion(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpEmptyMatch, syntax.OpBeginLine, syntax.OpEndLine, syntax.OpBeginText, syntax.OpEndText, syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		return true
	}
	return false
}

// prepareLuhn sets r.luhn and r.iin.
func (r *rule) prepareLuhn() {
	r.luhn = r.asks("luhn") && r.retry && r.expr.secretEnds()
	r.iin = r.asks("iin")
}

// mostDigits bounds the numbers that are looked at.
const mostDigits = 32

// mayEnd reports whether some value that ends at b's end may have the check digit that r asks for. b is the text up to a match's end.
func (r *rule) mayEnd(b []byte) bool {
	var digits [mostDigits]byte
	sum, n := 0, 0
	for i := len(b) - 1; i >= 0 && len(b)-i <= r.expr.max; i-- {
		c := b[i]
		if separates(c) {
			continue
		}
		if !isDigit(c) {
			break
		}
		if n == mostDigits {
			return true // nobody looked
		}
		d := int(c - '0')
		if n%2 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
		n++
		digits[mostDigits-n] = c
		if sum%10 == 0 && (!r.iin || issued(digits[mostDigits-n:])) {
			return true
		}
	}
	return false
}
