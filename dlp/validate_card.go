package dlp

import "bytes"

// luhn is ISO/IEC 7812-1 annex B.
func (c *candidate) luhn() bool { return luhnOK(c.bare) && !oneDigit(c.bare) }

// iinRange is a range of issuer numbers with the lengths that cards in it have.
type iinRange struct {
	from, to int
	digits   int // of from and to
	lengths  uint32
}

func lengths(n ...int) uint32 {
	var m uint32
	for _, l := range n {
		m |= 1 << l
	}
	return m
}

// iinRanges: ISO/IEC 7812 as the schemes publish their ranges.
var iinRanges = []iinRange{
	{4, 4, 1, lengths(13, 16, 19)},                           // Visa
	{51, 55, 2, lengths(16)},                                 // Mastercard
	{2221, 2720, 4, lengths(16)},                             // Mastercard
	{34, 34, 2, lengths(15)},                                 // American Express
	{37, 37, 2, lengths(15)},                                 // American Express
	{6011, 6011, 4, lengths(16, 17, 18, 19)},                 // Discover
	{644, 649, 3, lengths(16, 17, 18, 19)},                   // Discover
	{65, 65, 2, lengths(16, 17, 18, 19)},                     // Discover
	{622126, 622925, 6, lengths(16, 17, 18, 19)},             // Discover with UnionPay
	{300, 305, 3, lengths(14, 16, 17, 18, 19)},               // Diners
	{3095, 3095, 4, lengths(14, 16, 17, 18, 19)},             // Diners
	{36, 36, 2, lengths(14, 15, 16, 17, 18, 19)},             // Diners
	{38, 39, 2, lengths(14, 16, 17, 18, 19)},                 // Diners
	{3528, 3589, 4, lengths(16, 17, 18, 19)},                 // JCB
	{62, 62, 2, lengths(16, 17, 18, 19)},                     // UnionPay
	{81, 82, 2, lengths(16, 17, 18, 19)},                     // RuPay, UnionPay
	{508, 508, 3, lengths(16)},                               // RuPay
	{60, 60, 2, lengths(16)},                                 // RuPay
	{2200, 2204, 4, lengths(16, 17, 18, 19)},                 // Mir
	{5018, 5018, 4, lengths(12, 13, 14, 15, 16, 17, 18, 19)}, // Maestro
	{5020, 5020, 4, lengths(12, 13, 14, 15, 16, 17, 18, 19)},
	{5038, 5038, 4, lengths(12, 13, 14, 15, 16, 17, 18, 19)},
	{5893, 5893, 4, lengths(12, 13, 14, 15, 16, 17, 18, 19)},
	{6304, 6304, 4, lengths(12, 13, 14, 15, 16, 17, 18, 19)},
	{6759, 6759, 4, lengths(12, 13, 14, 15, 16, 17, 18, 19)},
	{6761, 6763, 4, lengths(12, 13, 14, 15, 16, 17, 18, 19)},
	{35, 35, 2, lengths(16)}, // JCB, not assigned
	{67, 67, 2, lengths(12, 13, 14, 15, 16, 17, 18, 19)},
	{2131, 2131, 4, lengths(15)}, // JCB
	{1800, 1800, 4, lengths(15)}, // JCB
	{1, 1, 1, lengths(15)},       // UATP
	{9792, 9792, 4, lengths(16)}, // Troy
}

// iin holds if the number begins with an issuer's range and has a length that is issued there.
func (c *candidate) iin() bool { return allDigits(c.bare) && issued(c.bare) }

// issued reports whether a number of so many digits is of an issuer's range.
func issued(digits []byte) bool {
	if len(digits) < 12 || len(digits) > 19 {
		return false
	}
	for i := range iinRanges {
		r := &iinRanges[i]
		n := number(digits[:r.digits])
		if n >= r.from && n <= r.to && r.lengths&(1<<len(digits)) != 0 {
			return true
		}
	}
	return false
}

// boundary holds unless the value is part of something longer: a run of digits, a hexadecimal or base64 string, a UUID,
// a fraction.
func (c *candidate) boundary() bool {
	if n := len(c.before); n > 0 {
		p := c.before[n-1]
		if isDigit(p) || isLetter(p) || p == '_' {
			return false
		}
		if n > 1 && (p == '.' || p == '-' || p == ',') && isDigit(c.before[n-2]) {
			return false
		}
		if p == '-' && uuidTail(c.before[:n-1]) || p == '+' || p == '$' && n > 1 && isDigit(c.before[n-2]) {
			return false
		}
	}
	if len(c.after) > 0 {
		p := c.after[0]
		if isDigit(p) || isLetter(p) || p == '_' {
			return false
		}
		if len(c.after) > 1 && (p == '.' || p == '-') && isDigit(c.after[1]) {
			return false
		}
		if p == '-' && len(c.after) > 4 && hexRun(c.after[1:5]) {
			return false
		}
	}
	return true
}

// uuidTail reports whether b ends like a group of a UUID: four hexadecimal digits after a hyphen.
func uuidTail(b []byte) bool {
	n := len(b)
	return n >= 5 && b[n-5] == '-' && hexRun(b[n-4:])
}

func hexRun(b []byte) bool {
	for _, c := range b {
		if !isDigit(c) && (c|0x20 < 'a' || c|0x20 > 'f') {
			return false
		}
	}
	return true
}

// separators holds if the digits stand together, or in groups of three to seven parted by one and the same separator.
func (c *candidate) separators() bool {
	var sep byte
	run := 0
	for _, b := range c.raw {
		if isDigit(b) {
			run++
			continue
		}
		if b != ' ' && b != '-' && b != '.' || sep != 0 && b != sep || run < 3 || run > 7 {
			return false
		}
		sep, run = b, 0
	}
	return run >= 3 && (sep == 0 || run <= 7)
}

// track2 is ISO/IEC 7813: the number, a separator, then the expiry date as YYMM.
func (c *candidate) track2() bool {
	i := bytes.IndexByte(c.raw, '=')
	if i < 0 {
		i = bytes.IndexAny(c.raw, "Dd^")
	}
	if i < 0 {
		return false
	}
	pan := candidate{raw: bytes.TrimLeft(c.raw[:i], ";%Bb")}
	pan.bare = pan.strip()
	rest := c.raw[i+1:]
	if c.raw[i] == '^' {
		if j := bytes.IndexByte(rest, '^'); j >= 0 {
			rest = rest[j+1:]
		}
	}
	if len(rest) < 4 || !allDigits(rest[:4]) {
		return false
	}
	m := number(rest[2:4])
	return m >= 1 && m <= 12 && luhnOK(pan.bare)
}

// testCards are numbers that card schemes and payment services publish for tests.
var testCards = set(
	"4111111111111111", "4242424242424242", "4000056655665556", "4012888888881881", "4222222222222", "4012001037141112", "4005519200000004",
	"4009348888881881", "4012000033330026", "4012000077777777", "4217651111111119", "4500600000000061", "4000111111111115", "4000002500003155",
	"4000000000003220", "4000000000000002", "4000000000009995", "4000000000000069", "4000000000000127", "4000000000000119", "4000000000000077",
	"4917610000000000", "4484070000000000", "4462030000000000", "4444333322221111", "4911830000000", "4917300800000000", "4444333322221111455",
	"5555555555554444", "5200828282828210", "5105105105105100", "2223003122003222", "2223000048400011", "5454545454545454", "5431111111111111",
	"5424000000000015", "2222400010000008", "2222400030000004", "5111010030175156", "5185540810000019", "2223000010309703", "2223000010309711", "5100000010001004",
	"378282246310005", "371449635398431", "378734493671000", "341111111111111", "370000000000002", "374245455400126", "343434343434343",
	"6011111111111117", "6011000990139424", "6011981111111113", "6011000000000004", "6011000000000012", "6011601160116611", "6445644564456445", "6500000000000002",
	"3056930009020004", "36227206271667", "30569309025904", "38520000023237", "38000000000006", "36700102000000", "36148900647913",
	"3566002020360505", "3530111333300000", "3569990010095841", "3566111111111113", "3528000700000000", "6205500000000000004", "6200000000000005", "6759649826438453", "6799990100000000019",
	"6304000000000000", "5018000000000009", "5019717010103742", "5610591081018250", "6331101999990016", "6759000000000000", "6767622222222222222",
)

// testSSNs are numbers that were published or printed as samples. What people make up repeats a digit in each group (111-22-3333): one in a million
// real ones does.
var testSSNs = set("078051120", "219099999", "123456789", "457555462", "987654320", "111111111", "333333333", "666666666", "999999999")

// testSecrets are documentation's own samples.
var testSecrets = set("AKIAIOSFODNN7EXAMPLE", "ASIAIOSFODNN7EXAMPLE", "WJALRXUTNFEMI/K7MDENG/BPXRFICYEXAMPLEKEY", "GB82WEST12345698765432", "GB29NWBK60161331926819", "DE89370400440532013000", "FR1420041010050500013M02606")

func set(values ...string) map[string]bool {
	m := make(map[string]bool, len(values))
	for _, v := range values {
		m[v] = true
	}
	return m
}

// publishedTest reports whether a value is one that is published for tests, so that finding it is no leak.
func publishedTest(secret []byte) bool {
	if len(secret) > 64 {
		return false
	}
	c := candidate{raw: secret}
	b := c.strip()
	if len(b) < 9 {
		return false
	}
	if testCards[string(b)] || testSecrets[string(b)] {
		return true
	}
	if c.raw = bytes.TrimSpace(secret); len(b) == 9 && (testSSNs[string(b)] || oneDigit(b[:3]) && oneDigit(b[3:5]) && oneDigit(b[5:])) && (len(c.raw) == 11 && (c.raw[3] == '-' || c.raw[3] == ' ')) {
		return true
	}
	up := bytes.ToUpper(secret)
	return testSecrets[string(up)]
}
