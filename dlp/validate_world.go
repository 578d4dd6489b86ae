package dlp

import "bytes"

// Verhoeff's tables: the dihedral group D5 and its permutation.
var (
	verhoeffD = [10][10]byte{
		{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, {1, 2, 3, 4, 0, 6, 7, 8, 9, 5}, {2, 3, 4, 0, 1, 7, 8, 9, 5, 6}, {3, 4, 0, 1, 2, 8, 9, 5, 6, 7}, {4, 0, 1, 2, 3, 9, 5, 6, 7, 8},
		{5, 9, 8, 7, 6, 0, 4, 3, 2, 1}, {6, 5, 9, 8, 7, 1, 0, 4, 3, 2}, {7, 6, 5, 9, 8, 2, 1, 0, 4, 3}, {8, 7, 6, 5, 9, 3, 2, 1, 0, 4}, {9, 8, 7, 6, 5, 4, 3, 2, 1, 0},
	}
	verhoeffP = [8][10]byte{
		{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, {1, 5, 7, 6, 2, 8, 3, 0, 9, 4}, {5, 8, 0, 3, 7, 9, 6, 1, 4, 2}, {8, 9, 1, 6, 0, 4, 3, 5, 2, 7},
		{9, 4, 5, 3, 1, 2, 6, 8, 7, 0}, {4, 2, 8, 6, 5, 7, 3, 9, 0, 1}, {2, 7, 9, 3, 8, 0, 6, 4, 1, 5}, {7, 0, 4, 6, 9, 1, 3, 2, 5, 8},
	}
)

// aadhaar is India's: Verhoeff, first digit 2 to 9. Some write colons into it.
func (c *candidate) aadhaar() bool {
	b := bytes.ReplaceAll(c.bare, []byte(":"), nil)
	return len(b) == 12 && allDigits(b) && b[0] >= '2' && !oneDigit(b) && verhoeffOK(b)
}

func verhoeffOK(b []byte) bool {
	var k byte
	for i := range b {
		k = verhoeffD[k][verhoeffP[i%8][b[len(b)-1-i]-'0']]
	}
	return k == 0
}

// inPAN is India's tax number: the fourth letter is the holder's class.
func (c *candidate) inPAN() bool {
	b := c.bare
	if len(b) != 10 || !allDigits(b[5:9]) || !isUpper(b[9]) {
		return false
	}
	for _, x := range b[:5] {
		if !isUpper(x) {
			return false
		}
	}
	return indexOf("ABCFGHJLPT", b[3]) >= 0 && number(b[5:9]) != 0
}

// gstin is India's: a state, an inPAN, and a check character mod 36.
func (c *candidate) gstin() bool {
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	b := c.bare
	if len(b) != 15 || !allDigits(b[:2]) || number(b[:2]) < 1 || number(b[:2]) > 38 && number(b[:2]) != 97 {
		return false
	}
	sum := 0
	for i, x := range b[:14] {
		v := indexOf(digits, x)
		if v < 0 {
			return false
		}
		v *= 1 + i%2
		sum += v/36 + v%36
	}
	return digits[(36-sum%36)%36] == b[14]
}

// sin is Canada's: Luhn; 0 and 8 do not begin a person's.
func (c *candidate) sin() bool {
	return c.digits(9) && luhnOK(c.bare) && c.bare[0] != '0' && c.bare[0] != '8' && !oneDigit(c.bare)
}

// tfn is Australia's tax file number: mod 11.
func (c *candidate) tfn() bool {
	if oneDigit(c.bare) {
		return false
	}
	if c.digits(8) {
		return weighted(c.bare, 10, 7, 8, 4, 6, 3, 5, 1)%11 == 0
	}
	return c.digits(9) && weighted(c.bare, 1, 4, 3, 7, 5, 8, 6, 9, 10)%11 == 0
}

// auMedicare is Australia's: mod 10 in ninth place.
func (c *candidate) auMedicare() bool {
	b := c.bare
	return len(b) >= 10 && len(b) <= 11 && allDigits(b) && b[0] >= '2' && b[0] <= '6' && weighted(b, 1, 3, 7, 9, 1, 3, 7, 9)%10 == int(b[8]-'0')
}

// abn is Australia's business number: mod 89 with one taken off the first digit. As a VAT number it has the country in front.
func (c *candidate) abn() bool {
	b := bytes.TrimPrefix(c.bare, []byte("AU"))
	return len(b) == 11 && allDigits(b) && b[0] != '0' && (weighted(b, 10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19)-10)%89 == 0
}

// acn is Australia's company number: mod 10.
func (c *candidate) acn() bool {
	return c.digits(9) && !oneDigit(c.bare) && (10-weighted(c.bare, 8, 7, 6, 5, 4, 3, 2, 1)%10)%10 == int(c.bare[8]-'0')
}

func brazil(sum int) byte {
	if r := sum % 11; r >= 2 {
		return byte('0' + 11 - r)
	}
	return '0'
}

// cpf is Brazil's: two check digits mod 11.
func (c *candidate) cpf() bool {
	b := c.bare
	return c.digits(11) && !oneDigit(b) && b[9] == brazil(weighted(b, 10, 9, 8, 7, 6, 5, 4, 3, 2)) && b[10] == brazil(weighted(b, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2))
}

// cnpj is Brazil's for companies; since 2026 its first twelve places may be letters, which count by their codes.
func (c *candidate) cnpj() bool {
	if len(c.bare) != 14 || !allDigits(c.bare[12:]) || oneDigit(c.bare) {
		return false
	}
	var b [13]byte // letters go on behind the digits
	for i, x := range c.bare[:13] {
		if !isDigit(x) && !isUpper(x) {
			return false
		}
		b[i] = x
	}
	return c.bare[12] == brazil(weighted(b[:], 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2)) && c.bare[13] == brazil(weighted(b[:], 6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2))
}

// rut is Chile's: mod 11, K for ten.
func (c *candidate) rut() bool {
	b := c.bare
	if len(b) < 8 || len(b) > 9 || !allDigits(b[:len(b)-1]) {
		return false
	}
	sum, w := 0, 2
	for i := len(b) - 2; i >= 0; i-- {
		sum += int(b[i]-'0') * w
		if w++; w == 8 {
			w = 2
		}
	}
	return "0123456789K0"[11-sum%11] == b[len(b)-1]
}

// curp is Mexico's: mod 10 over 18 characters, and a date.
func (c *candidate) curp() bool {
	const digits = "0123456789ABCDEFGHIJKLMN?OPQRSTUVWXYZ" // ? stands for the letter after N
	b := c.bare
	if len(b) != 18 || !allDigits(b[4:10]) || !isDigit(b[17]) || b[10] != 'H' && b[10] != 'M' && b[10] != 'X' {
		return false
	}
	sum := 0
	for i, x := range b[:17] {
		v := indexOf(digits, x)
		if v < 0 {
			return false
		}
		sum += v * (18 - i)
	}
	return (10-sum%10)%10 == int(b[17]-'0') && validDate(0, number(b[6:8]), number(b[8:10]))
}

// zaID is South Africa's: Luhn, a date, and the citizenship digit.
func (c *candidate) zaID() bool {
	b := c.bare
	return c.digits(13) && luhnOK(b) && b[10] <= '2' && validDate(0, number(b[2:4]), number(b[4:6]))
}

// nric is Singapore's NRIC and FIN: mod 11 with a letter.
func (c *candidate) nric() bool {
	b := c.bare
	if len(b) != 9 || !allDigits(b[1:8]) {
		return false
	}
	sum := weighted(b[1:], 2, 7, 6, 5, 4, 3, 2)
	switch b[0] {
	case 'S':
		return b[8] == "JZIHGFEDCBA"[sum%11]
	case 'T':
		return b[8] == "JZIHGFEDCBA"[(sum+4)%11]
	case 'F':
		return b[8] == "XWUTRQPNMLK"[sum%11]
	case 'G':
		return b[8] == "XWUTRQPNMLK"[(sum+4)%11]
	case 'M':
		return b[8] == "KLJNPQRTUWX"[10-(sum+3)%11]
	}
	return false
}

// rrn is Korea's: mod 11 and a date.
func (c *candidate) rrn() bool {
	b := c.bare
	return c.digits(13) && (11-weighted(b, 2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5)%11)%10 == int(b[12]-'0') && validDate(0, number(b[2:4]), number(b[4:6]))
}

// myNumber is Japan's: mod 11.
func (c *candidate) myNumber() bool {
	if !c.digits(12) || oneDigit(c.bare) {
		return false
	}
	r := weighted(c.bare, 6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2) % 11
	if r <= 1 {
		return c.bare[11] == '0'
	}
	return int(c.bare[11]-'0') == 11-r
}

// cnID is China's: ISO 7064 mod 11-2 and a date. Those given before 1999 have fifteen digits, without a check.
func (c *candidate) cnID() bool {
	b := c.bare
	if c.digits(15) {
		return b[0] != '0' && b[0] < '9' && validDate(1900+number(b[6:8]), number(b[8:10]), number(b[10:12]))
	}
	if len(b) != 18 || !allDigits(b[:17]) || !validDate(number(b[6:10]), number(b[10:12]), number(b[12:14])) {
		return false
	}
	sum := weighted(b, 7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
	return "10X98765432"[sum%11] == b[17]
}
