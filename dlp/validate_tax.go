package dlp

// Europe's numbers that are given for taxes, and its personal numbers that serve as such.

// modTax is the commonest check: the weighted sum mod 11, ten counting as 0.
func modTax(b []byte, w ...int) bool { return weighted(b, w...)%11%10 == int(b[len(w)]-'0') }

// egn is Bulgaria's: mod 11, and a date whose month tells the century.
func (c *candidate) egn() bool {
	b := c.bare
	if !c.digits(10) || !modTax(b, 2, 4, 8, 5, 10, 9, 7, 3, 6) {
		return false
	}
	m := number(b[2:4])
	year := [3]int{1900, 1800, 2000}[min(m/20, 2)] + number(b[:2])
	return m < 60 && validDate(year, m%20, number(b[4:6]))
}

// rodneCislo is that of the Czech Republic and Slovakia: divisible by 11, and a date; 50 is added to a woman's month, 20 where a day has run out.
// Before 1985 a remainder of ten was written as 0. Those born before 1954 have nine digits, without a check.
func (c *candidate) rodneCislo() bool {
	b := c.bare
	if c.digits(9) {
		m := number(b[2:4])
		return b[0] < '6' && number(b[6:]) != 0 && m < 63 && validDate(1900+number(b[:2]), m%50, number(b[4:6]))
	}
	if !c.digits(10) || oneDigit(b) {
		return false
	}
	year, m := 1900+number(b[:2]), number(b[2:4])
	if year < 1954 {
		year += 100
	}
	if r := number(b[:9]) % 11; r%10 != int(b[9]-'0') || r == 10 && year >= 1986 {
		return false
	}
	if m > 50 {
		m -= 50
	}
	if m > 20 && year >= 2004 {
		m -= 20
	}
	return validDate(year, m, number(b[4:6]))
}

// cprCheck is Denmark's with its check digit, mod 11, which all had before 2007.
func (c *candidate) cprCheck() bool {
	return c.cpr() && weighted(c.bare, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1)%11 == 0
}

// cyTIC is Cyprus's: digits in odd places by a table of their own, and a letter by mod 26.
func (c *candidate) cyTIC() bool {
	b := c.bare
	if len(b) != 9 || !allDigits(b[:8]) || oneDigit(b[:8]) {
		return false
	}
	odd := [10]int{1, 0, 5, 7, 9, 13, 15, 17, 19, 21}
	sum := 0
	for i, x := range b[:8] {
		v := int(x - '0')
		if i%2 == 0 {
			v = odd[v]
		}
		sum += v
	}
	return b[8] == byte('A'+sum%26)
}

// afm is Greece's: powers of two, mod 11.
func (c *candidate) afm() bool {
	return c.digits(9) && !oneDigit(c.bare) && modTax(c.bare, 256, 128, 64, 32, 16, 8, 4, 2)
}

// pps is Ireland's: a letter by mod 23; a second one counts ninefold, but for W.
func (c *candidate) pps() bool {
	b := c.bare
	if len(b) < 8 || len(b) > 9 || !allDigits(b[:7]) {
		return false
	}
	sum := weighted(b, 8, 7, 6, 5, 4, 3, 2)
	if len(b) == 9 {
		switch {
		case b[8] >= 'A' && b[8] <= 'I':
			sum += 9 * int(b[8]-'A'+1)
		case b[8] != 'W':
			return false
		}
	}
	return b[7] == "WABCDEFGHIJKLMNOPQRSTUV"[sum%23]
}

// isikukood is that of Estonia and Lithuania: mod 11, with other weights where ten is left, and a date whose century the first digit tells.
func (c *candidate) isikukood() bool {
	b := c.bare
	if !c.digits(11) || b[0] < '1' || b[0] > '8' {
		return false
	}
	r := weighted(b, 1, 2, 3, 4, 5, 6, 7, 8, 9, 1) % 11
	if r == 10 {
		r = weighted(b, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3) % 11 % 10
	}
	year := 1800 + 100*(int(b[0]-'1')/2) + number(b[1:3])
	return r == int(b[10]-'0') && validDate(year, number(b[3:5]), number(b[5:7]))
}

// spi is France's tax number: the first ten mod 511.
func (c *candidate) spi() bool {
	b := c.bare
	return c.digits(13) && b[0] <= '3' && !oneDigit(b) && number(b[:10])%511 == number(b[10:])
}

// matricule is Luxembourg's: a date, Luhn over the first twelve, Verhoeff over the eleven and the last.
func (c *candidate) matricule() bool {
	b := c.bare
	if !c.digits(13) || !validDate(number(b[:4]), number(b[4:6]), number(b[6:8])) || !luhnOK(b[:12]) {
		return false
	}
	var v [12]byte
	copy(v[:], b[:11])
	v[11] = b[12]
	return verhoeffOK(v[:])
}

// oib is Croatia's: ISO 7064 mod 11,10.
func (c *candidate) oib() bool { return c.digits(11) && !oneDigit(c.bare) && mod1110(c.bare) }

// adoazonosito is Hungary's: an 8 and mod 11.
func (c *candidate) adoazonosito() bool {
	b := c.bare
	return c.digits(10) && b[0] == '8' && weighted(b, 1, 2, 3, 4, 5, 6, 7, 8, 9)%11 == int(b[9]-'0')
}

// personasKods is Latvia's: mod 11, and a date; those given since 2017 begin with 32 and have neither.
func (c *candidate) personasKods() bool {
	b := c.bare
	if !c.digits(11) {
		return false
	}
	if b[0] == '3' && b[1] == '2' {
		return len(c.raw) > len(b) // with a hyphen
	}
	if b[6] > '2' {
		return false
	}
	sum := weighted(b, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
	year := 1800 + 100*int(b[6]-'0') + number(b[4:6])
	return (1101-sum)%11%10 == int(b[10]-'0') && validDate(year, number(b[2:4]), number(b[:2]))
}

// nip is Poland's tax number: mod 11.
func (c *candidate) nip() bool {
	return c.digits(10) && !oneDigit(c.bare) && c.bare[0] != '0' && weighted(c.bare, 6, 5, 7, 2, 3, 4, 5, 6, 7)%11 == int(c.bare[9]-'0')
}

// cnp is Romania's: mod 11, ten counting as 1, and a date.
func (c *candidate) cnp() bool {
	b := c.bare
	if !c.digits(13) || b[0] == '0' || oneDigit(b) {
		return false
	}
	r := weighted(b, 2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9) % 11
	if r == 10 {
		r = 1
	}
	if r != int(b[12]-'0') {
		return false
	}
	year := [10]int{0, 1900, 1900, 1800, 1800, 2000, 2000, 0, 0, 0}[b[0]-'0']
	if year != 0 {
		year += number(b[1:3])
	}
	return validDate(year, number(b[3:5]), number(b[5:7]))
}

// davcna is Slovenia's: mod 11.
func (c *candidate) davcna() bool {
	b := c.bare
	if !c.digits(8) || b[0] == '0' || oneDigit(b) {
		return false
	}
	r := 11 - weighted(b, 8, 7, 6, 5, 4, 3, 2)%11
	return r != 11 && r%10 == int(b[7]-'0')
}

// rnokpp is Ukraine's: mod 11.
func (c *candidate) rnokpp() bool {
	return c.digits(10) && !oneDigit(c.bare) && (weighted(c.bare, 10, 5, 7, 9, 4, 6, 10, 5, 7))%11%10 == int(c.bare[9]-'0')
}

// jmbg is that of the countries of former Yugoslavia: mod 11, and a date without its thousands.
func (c *candidate) jmbg() bool {
	b := c.bare
	if !c.digits(13) || oneDigit(b) {
		return false
	}
	year := 1000 + number(b[4:7])
	if year < 1800 {
		year += 1000
	}
	r := 11 - weighted(b, 7, 6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)%11
	return r != 10 && r%11 == int(b[12]-'0') && validDate(year, number(b[2:4]), number(b[:2]))
}

// deVAT is Germany's: ISO 7064 mod 11,10 after the country.
func (c *candidate) deVAT() bool {
	b := c.bare
	return len(b) == 11 && b[0] == 'D' && b[1] == 'E' && allDigits(b[2:]) && b[2] != '0' && mod1110(b[2:])
}

// uid is Switzerland's of enterprises: mod 11.
func (c *candidate) uid() bool {
	b := c.bare
	if len(b) >= 3 && string(b[:3]) == "CHE" {
		b = b[3:]
	}
	if len(b) < 9 || !allDigits(b[:9]) || oneDigit(b[:9]) {
		return false
	}
	r := 11 - weighted(b, 5, 4, 3, 2, 7, 6, 5, 4)%11
	return r != 10 && r%11 == int(b[8]-'0')
}

// gbVAT is the United Kingdom's: mod 97, or that with 55 more.
func (c *candidate) gbVAT() bool {
	b := c.bare
	if len(b) >= 2 && string(b[:2]) == "GB" {
		b = b[2:]
	}
	if len(b) != 9 && len(b) != 12 || !allDigits(b) || oneDigit(b) {
		return false
	}
	r := (weighted(b, 8, 7, 6, 5, 4, 3, 2) + number(b[7:9])) % 97
	return r == 0 || r == 42
}

// frVAT is France's: the first two digits are the number mod 97, times three and twelve more.
func (c *candidate) frVAT() bool {
	b := c.bare
	return len(b) == 13 && b[0] == 'F' && b[1] == 'R' && allDigits(b[2:]) && number(b[2:4]) == (12+3*(number(b[4:])%97))%97
}

// partitaIVA is Italy's: Luhn.
func (c *candidate) partitaIVA() bool {
	b := c.bare
	if len(b) == 13 && b[0] == 'I' && b[1] == 'T' {
		b = b[2:]
	}
	return len(b) == 11 && luhnOK(b) && !oneDigit(b)
}

// kvnr is Germany's health insurance number: a letter as two digits, then Luhn from the left.
func (c *candidate) kvnr() bool {
	b := c.bare
	if len(b) != 10 || !isUpper(b[0]) || !allDigits(b[1:]) {
		return false
	}
	n := int(b[0]-'A') + 1
	d := [10]byte{byte(n / 10), byte(n % 10)}
	for i := range 8 {
		d[2+i] = b[1+i] - '0'
	}
	sum := 0
	for i, x := range d {
		v := int(x) * (1 + i%2)
		sum += v/10 + v%10
	}
	return sum%10 == int(b[9]-'0')
}

// rvnr is Germany's pension insurance number: digits weighted, their digits added up, mod 10; and a date.
func (c *candidate) rvnr() bool {
	b := c.bare
	if len(b) != 12 || !allDigits(b[:8]) || !isUpper(b[8]) || !allDigits(b[9:]) {
		return false
	}
	n := int(b[8]-'A') + 1
	d := append(append(make([]byte, 0, 12), b[:8]...), byte('0'+n/10), byte('0'+n%10))
	d = append(d, b[9:11]...)
	sum := 0
	for i, w := range [12]int{2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1} {
		v := int(d[i]-'0') * w
		sum += v/10 + v%10
	}
	day := number(b[2:4]) % 50 // 50 is added where serial numbers ran out
	return sum%10 == int(b[11]-'0') && validDate(0, number(b[4:6]), day)
}

// lanr is Germany's number of physicians: weights 4 and 9 over six digits, and a speciality.
func (c *candidate) lanr() bool {
	b := c.bare
	return c.digits(9) && !oneDigit(b) && (10-weighted(b, 4, 9, 4, 9, 4, 9)%10)%10 == int(b[6]-'0')
}

// dePass is Germany's number of passports and identity cards: ICAO 9303's check digit over nine characters without vowels.
func (c *candidate) dePass() bool {
	b := c.bare
	if len(b) != 10 && len(b) != 9 || indexOf("CFGHJKLMNPRTVWXYZ", b[0]) < 0 {
		return false
	}
	return mrzDigit(b[:len(b)-1], b[len(b)-1])
}
