package dlp

// il is Israel's: Luhn over nine digits.
func (c *candidate) il() bool { return c.digits(9) && luhnOK(c.bare) && !oneDigit(c.bare) }

// melli is Iran's: mod 11.
func (c *candidate) melli() bool {
	b := c.bare
	if !c.digits(10) || oneDigit(b) || number(b[3:9]) == 0 {
		return false
	}
	r := weighted(b, 10, 9, 8, 7, 6, 5, 4, 3, 2) % 11
	return r < 2 && r == int(b[9]-'0') || r >= 2 && 11-r == int(b[9]-'0')
}

// thID is Thailand's: mod 11.
func (c *candidate) thID() bool {
	b := c.bare
	if !c.digits(13) || b[0] == '0' || b[1] == '0' || oneDigit(b) {
		return false
	}
	return (11-weighted(b, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2)%11)%10 == int(b[12]-'0')
}

// twID is Taiwan's: the letter of a county as two digits, mod 10.
func (c *candidate) twID() bool {
	const counties = "ABCDEFGHJKLMNPQRSTUVXYWZIO" // from 10
	b := c.bare
	if len(b) != 10 || !isUpper(b[0]) || !allDigits(b[1:]) || indexOf("1289", b[1]) < 0 {
		return false
	}
	n := 10 + indexOf(counties, b[0])
	return (n/10+n%10*9+weighted(b[1:], 8, 7, 6, 5, 4, 3, 2, 1, 1))%10 == 0
}

// hkID is Hong Kong's: one or two letters, six digits, mod 11 with A for ten.
func (c *candidate) hkID() bool {
	var b [10]byte
	n := 0
	for _, x := range c.bare {
		if x == '(' || x == ')' || x == '[' || x == ']' {
			continue
		}
		if n == len(b) {
			return false
		}
		b[n] = x
		n++
	}
	if n < 8 || n > 9 || !allDigits(b[n-7:n-1]) {
		return false
	}
	sum, w := 0, 9
	if n == 8 {
		sum = 36 * 9 // a blank
		w = 8
	}
	for _, x := range b[:n-7] {
		if !isUpper(x) {
			return false
		}
		sum += (int(x-'A') + 10) * w
		w--
	}
	sum += weighted(b[n-7:n], 7, 6, 5, 4, 3, 2)
	return "0A987654321"[sum%11] == b[n-1]
}

// brn is Korea's of businesses.
func (c *candidate) brn() bool {
	b := c.bare
	if !c.digits(10) || oneDigit(b) {
		return false
	}
	sum := weighted(b, 1, 3, 7, 1, 3, 7, 1, 3, 5) + int(b[8]-'0')*5/10
	return (10-sum%10)%10 == int(b[9]-'0')
}

// rrnForm is Korea's for residents and foreigners by its form: since October 2020 new ones have no check digit.
func (c *candidate) rrnForm() bool {
	b := c.bare
	if !c.digits(13) || b[6] < '1' || b[6] > '8' {
		return false
	}
	year := [8]int{1900, 1900, 2000, 2000, 1900, 1900, 2000, 2000}[b[6]-'1'] + number(b[:2])
	return validDate(year, number(b[2:4]), number(b[4:6]))
}

// phTIN is that of the Philippines: mod 11 over eight digits; a branch may follow.
func (c *candidate) phTIN() bool {
	b := c.bare
	if len(b) != 9 && len(b) != 12 && len(b) != 14 || !allDigits(b) || oneDigit(b[:9]) {
		return false
	}
	return weighted(b, 9, 8, 7, 6, 5, 4, 3, 2)%11 == int(b[8]-'0')
}

// uen is Singapore's of enterprises, in its three forms.
func (c *candidate) uen() bool {
	const other = "ABCDEFGHJKLMNPQRSTUVWX0123456789"
	b := c.bare
	switch {
	case len(b) == 9 && allDigits(b[:8]):
		return "XMKECAWLJDB"[weighted(b, 10, 4, 9, 3, 8, 2, 7, 1)%11] == b[8]
	case len(b) == 10 && allDigits(b[:9]):
		return number(b[:4]) > 1800 && number(b[:4]) < 2100 && "ZKCMDNERGWH"[weighted(b, 10, 8, 6, 4, 9, 7, 5, 3, 1)%11] == b[9]
	case len(b) == 10 && (b[0] == 'T' || b[0] == 'S' || b[0] == 'R') && allDigits(b[1:3]) && isUpper(b[3]) && allDigits(b[5:9]):
		sum := 0
		for i, w := range [9]int{4, 3, 5, 3, 10, 2, 2, 5, 7} {
			v := indexOf(other, b[i])
			if v < 0 {
				return false
			}
			sum += v * w
		}
		return other[((sum-5)%11+11)%11] == b[9]
	}
	return false
}

// cuit is Argentina's: mod 11.
func (c *candidate) cuit() bool {
	b := c.bare
	if !c.digits(11) || indexOf("23", b[0]) < 0 {
		return false
	}
	r := 11 - weighted(b, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)%11
	if r == 10 {
		r = 9
	}
	return r%11 == int(b[10]-'0')
}
