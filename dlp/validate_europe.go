package dlp

// nino is the United Kingdom's: the prefixes that are not allocated.
func (c *candidate) nino() bool {
	b := c.bare
	if len(b) != 9 || !allDigits(b[2:8]) || b[8] < 'A' || b[8] > 'D' {
		return false
	}
	for _, x := range b[:2] {
		if !isUpper(x) || indexOf("DFIQUV", x) >= 0 {
			return false
		}
	}
	switch string(b[:2]) {
	case "BG", "GB", "KN", "NK", "NT", "TN", "ZZ":
		return false
	}
	return b[1] != 'O'
}

// nhs is mod 11.
func (c *candidate) nhs() bool {
	if !c.digits(10) || oneDigit(c.bare) {
		return false
	}
	r := 11 - weighted(c.bare, 10, 9, 8, 7, 6, 5, 4, 3, 2)%11
	return r%11 == int(c.bare[9]-'0') && r != 10
}

// steuerID is ISO 7064 mod 11,10. Of the first ten digits only one occurs more than once, two or three times; in numbers for tests none may.
func (c *candidate) steuerID() bool {
	if !c.digits(11) || c.bare[0] == '0' {
		return false
	}
	var n [10]int
	for _, d := range c.bare[:10] {
		n[d-'0']++
	}
	repeated := 0
	for _, k := range n {
		if k > 3 {
			return false
		}
		if k > 1 {
			repeated++
		}
	}
	return repeated <= 1 && mod1110(c.bare)
}

func mod1110(b []byte) bool {
	p := 10
	for _, d := range b[:len(b)-1] {
		s := (int(d-'0') + p) % 10
		if s == 0 {
			s = 10
		}
		p = s * 2 % 11
	}
	return (11-p)%10 == int(b[len(b)-1]-'0')
}

// nir is France's: 97 less the number mod 97; Corsica's 2A and 2B count as 19 and 18.
func (c *candidate) nir() bool {
	b := c.bare
	if len(b) != 15 || b[0] < '1' || b[0] > '8' {
		return false
	}
	var d [15]byte
	copy(d[:], b)
	if b[5] == '2' || b[5] == '0' || isDigit(b[5]) {
		switch b[6] {
		case 'A':
			d[5], d[6] = '1', '9'
		case 'B':
			d[5], d[6] = '1', '8'
		}
	}
	if !allDigits(d[:]) {
		return false
	}
	return number(d[13:]) == 97-mod97(d[:13])
}

const dniLetters = "TRWAGMYFPDXBNJZSQVHLCKE"

// nif is Spain's: a letter by mod 23. Zeros in front may be left out; K, L and M in front are of those who have no identity card.
func (c *candidate) nif() bool {
	b := c.bare
	if len(b) == 9 && b[0] >= 'K' && b[0] <= 'M' {
		b = b[1:]
	}
	n := len(b) - 1
	return n >= 5 && n <= 8 && allDigits(b[:n]) && number(b[:n]) > 999 && b[n] == dniLetters[number(b[:n])%23]
}

// nie is Spain's for foreigners: X, Y, Z stand for 0, 1, 2.
func (c *candidate) nie() bool {
	b := c.bare
	if len(b) != 9 || b[0] < 'X' || b[0] > 'Z' || !allDigits(b[1:8]) {
		return false
	}
	return b[8] == dniLetters[(int(b[0]-'X')*10000000+number(b[1:8]))%23]
}

// codiceFiscale is Italy's: odd and even places by their own tables, mod 26.
func (c *candidate) codiceFiscale() bool {
	odd := [26]int{1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23}
	b := c.bare
	if len(b) != 16 || !isUpper(b[15]) {
		return false
	}
	sum, day := 0, 0
	for i, x := range b[:15] {
		v := 0
		switch i {
		case 6, 7, 9, 10, 12, 13, 14: // digits: letters stand for them where two persons' codes were the same
			d := indexOf("0123456789LMNPQRSTUV", x)
			if d < 0 {
				return false
			}
			if i == 9 || i == 10 {
				day = 10*day + d%10
			}
		}
		switch {
		case isDigit(x):
			v = int(x - '0')
		case isUpper(x):
			v = int(x - 'A')
		default:
			return false
		}
		if i%2 == 0 {
			v = odd[v]
		}
		sum += v
	}
	day %= 40 // 40 is added to women's
	return sum%26 == int(b[15]-'A') && day >= 1 && day <= 31
}

// pesel is Poland's: mod 10.
func (c *candidate) pesel() bool {
	b := c.bare
	return c.digits(11) && !oneDigit(b) && (weighted(b, 1, 3, 7, 9, 1, 3, 7, 9, 1, 3)+int(b[10]-'0'))%10 == 0
}

// bsn is the Netherlands' eleven-proof.
func (c *candidate) bsn() bool {
	return c.digits(9) && !oneDigit(c.bare) && weighted(c.bare, 9, 8, 7, 6, 5, 4, 3, 2, -1)%11 == 0
}

// beNN is Belgium's: 97 less the number mod 97, with a 2 before it for those born from 2000.
func (c *candidate) beNN() bool {
	b := c.bare
	if !c.digits(11) || oneDigit(b) {
		return false
	}
	check := number(b[9:])
	m := number(b[2:4]) % 20
	return m <= 12 && number(b[4:6]) <= 31 && (97-number(b[:9])%97 == check || 97-(2000000000+number(b[:9]))%97 == check)
}

// personnummer is Sweden's: Luhn over the last ten digits, or as some have it over all twelve, and a date; 60 is added to the day of a co-ordination
// number.
func (c *candidate) personnummer() bool {
	b := c.bare
	if i := indexOf(string(b), '+'); i >= 0 {
		b = append(append([]byte(nil), b[:i]...), b[i+1:]...)
	}
	all := luhnOK(b)
	if len(b) == 12 {
		b = b[2:]
	}
	if len(b) != 10 || !all && !luhnOK(b) {
		return false
	}
	return validDate(0, number(b[2:4]), number(b[4:6])%60)
}

// notTime refuses what reads as a date of this century and a time of day: names of files and lines of logs begin so.
func (c *candidate) notTime() bool {
	b := c.bare
	if len(b) == 12 {
		if string(b[:2]) != "20" {
			return true
		}
		b = b[2:]
	}
	return len(b) != 10 || b[0] > '3' || !validDate(0, number(b[2:4]), number(b[4:6])) || number(b[6:8]) > 23 || number(b[8:10]) > 59
}

// orgnr is Sweden's of organisations: Luhn, and a third digit that no month has.
func (c *candidate) orgnr() bool {
	return c.digits(10) && luhnOK(c.bare) && c.bare[2] >= '2' && !oneDigit(c.bare)
}

// hetu is Finland's: a letter by mod 31 and a date.
func (c *candidate) hetu() bool {
	b := c.raw
	if len(b) != 11 || !allDigits(b[:6]) || indexOf("+-ABCDEFUVWXYabcdefuvwxy", b[6]) < 0 || !allDigits(b[7:10]) {
		return false
	}
	last := b[10]
	if isLower(last) {
		last -= 0x20
	}
	n := number(b[:6])*1000 + number(b[7:10])
	return last == "0123456789ABCDEFHJKLMNPRSTUVWXY"[n%31] && validDate(0, number(b[2:4]), number(b[:2]))
}

// cpr is Denmark's: a date; its check digit is no longer kept to.
func (c *candidate) cpr() bool {
	return c.digits(10) && !oneDigit(c.bare) && validDate(0, number(c.bare[2:4]), number(c.bare[:2]))
}

// fnr is Norway's: two check digits mod 11.
func (c *candidate) fnr() bool {
	b := c.bare
	if !c.digits(11) || oneDigit(b) {
		return false
	}
	day, month := number(b[:2]), number(b[2:4])
	return weighted(b, 3, 7, 6, 1, 8, 9, 4, 5, 2, 1)%11 == 0 && weighted(b, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1)%11 == 0 && validDate(0, month%40, day%40)
}

// ahv is Switzerland's: EAN-13 with 756 in front.
func (c *candidate) ahv() bool {
	b := c.bare
	return c.digits(13) && string(b[:3]) == "756" && weighted(b, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1)%10 == 0
}

// ptNIF is Portugal's: mod 11.
func (c *candidate) ptNIF() bool {
	if !c.digits(9) || oneDigit(c.bare) || indexOf("1235689", c.bare[0]) < 0 {
		return false
	}
	r := 11 - weighted(c.bare, 9, 8, 7, 6, 5, 4, 3, 2)%11
	if r > 9 {
		r = 0
	}
	return r == int(c.bare[8]-'0')
}

// tckn is Turkey's: two check digits.
func (c *candidate) tckn() bool {
	b := c.bare
	if !c.digits(11) || b[0] == '0' {
		return false
	}
	odd, even := weighted(b, 1, 0, 1, 0, 1, 0, 1, 0, 1), weighted(b, 0, 1, 0, 1, 0, 1, 0, 1)
	ten := ((odd*7-even)%10 + 10) % 10
	return ten == int(b[9]-'0') && (odd+even+ten)%10 == int(b[10]-'0')
}
