package dlp

// ssn is the Social Security Administration's structure: no area 000, 666 or 9xx, no group 00, no serial 0000. Samples
// in wide use pass: they are reported as tests.
func (c *candidate) ssn() bool {
	if !c.digits(9) {
		return false
	}
	if testSSNs[string(c.bare)] {
		return true
	}
	area, group, serial := number(c.bare[:3]), number(c.bare[3:5]), number(c.bare[5:])
	return area != 0 && area != 666 && area < 900 && group != 0 && serial != 0 && !oneDigit(c.bare)
}

// itin is the IRS's structure: 9xx and a group in the issued ranges.
func (c *candidate) itin() bool {
	if !c.digits(9) || c.bare[0] != '9' {
		return false
	}
	g := number(c.bare[3:5])
	return g >= 50 && g <= 65 || g >= 70 && g <= 88 || g >= 90 && g <= 92 || g >= 94
}

// ein holds for the prefixes that the IRS assigns.
func (c *candidate) ein() bool {
	if !c.digits(9) {
		return false
	}
	switch number(c.bare[:2]) {
	case 0, 7, 8, 9, 17, 18, 19, 28, 29, 49, 69, 70, 78, 79, 89, 96, 97:
		return false
	}
	return true
}

// npi is Luhn over the number with the prefix 80840.
func (c *candidate) npi() bool {
	return c.digits(10) && (c.bare[0] == '1' || c.bare[0] == '2') && (luhnSum(c.bare)+24)%10 == 0
}

// dea is the registration number's check digit: odd places plus twice the even ones.
func (c *candidate) dea() bool {
	b := c.bare
	if len(b) != 9 || !isUpper(b[0]) || !(isUpper(b[1]) || b[1] == '9') || !allDigits(b[2:]) {
		return false
	}
	return weighted(b[2:], 1, 2, 1, 2, 1, 2)%10 == int(b[8]-'0')
}

// mbi is the Medicare beneficiary identifier's structure.
func (c *candidate) mbi() bool {
	const shape = "CANNANNAANN" // C 1-9, N 0-9, A a letter but S L O I B Z, or a digit in third and sixth place
	b := c.bare
	if len(b) != len(shape) {
		return false
	}
	for i := range b {
		letter := isUpper(b[i]) && b[i] != 'S' && b[i] != 'L' && b[i] != 'O' && b[i] != 'I' && b[i] != 'B' && b[i] != 'Z'
		switch {
		case i == 0 && (b[i] < '1' || b[i] > '9'):
			return false
		case (i == 2 || i == 5) && !letter && !isDigit(b[i]):
			return false
		case i != 2 && i != 5 && shape[i] == 'A' && !letter:
			return false
		case i != 2 && i != 5 && shape[i] == 'N' && !isDigit(b[i]):
			return false
		}
	}
	return true
}

// vin is ISO 3779 with North America's check digit in ninth place.
func (c *candidate) vin() bool {
	const value = "0123456789.ABCDEFGH..JKLMN.P.R..STUVWXYZ" // index mod 10 is what a character counts
	if len(c.bare) != 17 || oneDigit(c.bare) {
		return false
	}
	weight := [17]int{8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2}
	sum := 0
	for i, b := range c.bare {
		at := indexOf(value, b)
		if at < 0 || b == '.' {
			return false
		}
		sum += at % 10 * weight[i]
	}
	r := sum % 11
	if r == 10 {
		return c.bare[8] == 'X'
	}
	return int(c.bare[8]) == '0'+r
}

func indexOf(s string, b byte) int {
	for i := range len(s) {
		if s[i] == b {
			return i
		}
	}
	return -1
}

// imei is 3GPP TS 23.003: Luhn over 15 digits.
func (c *candidate) imei() bool { return c.digits(15) && luhnOK(c.bare) && !oneDigit(c.bare) }

// mrz is ICAO 9303: the passport number's or any field's check digit, which is the last character.
func (c *candidate) mrz() bool {
	b := c.raw
	for len(b) > 0 && (b[len(b)-1] == '\n' || b[len(b)-1] == '\r') {
		b = b[:len(b)-1]
	}
	if i := lastLine(b); i > 0 {
		b = b[i:]
	}
	switch len(b) {
	case 44: // TD3, second line
		return mrzDigit(b[:9], b[9]) && mrzDigit(b[13:19], b[19]) && mrzDigit(b[21:27], b[27])
	case 36: // TD2, second line
		return mrzDigit(b[:9], b[9]) && mrzDigit(b[13:19], b[19]) && mrzDigit(b[21:27], b[27])
	}
	return len(b) > 1 && mrzDigit(b[:len(b)-1], b[len(b)-1])
}

func lastLine(b []byte) int {
	for i := len(b) - 1; i >= 0; i-- {
		if b[i] == '\n' {
			return i + 1
		}
	}
	return 0
}

func mrzDigit(b []byte, check byte) bool {
	sum := 0
	for i, c := range b {
		v := 0
		switch {
		case isDigit(c):
			v = int(c - '0')
		case isUpper(c):
			v = int(c-'A') + 10
		case c != '<':
			return false
		}
		sum += v * [3]int{7, 3, 1}[i%3]
	}
	return isDigit(check) && int(check-'0') == sum%10 || check == '<' && sum%10 == 0
}

// date holds for a day that is one: YYYY-MM-DD, or with the year last in either order.
func (c *candidate) date() bool {
	b := c.bare
	if len(b) != 8 || !allDigits(b) {
		return false
	}
	if len(c.raw) > 4 && !isDigit(c.raw[4]) || len(c.raw) == 8 && b[0] <= '2' && b[0] >= '1' {
		return validDate(number(b[:4]), number(b[4:6]), number(b[6:]))
	}
	y := number(b[4:])
	return y > 1800 && y < 2200 && (validDate(y, number(b[:2]), number(b[2:4])) || validDate(y, number(b[2:4]), number(b[:2])))
}
