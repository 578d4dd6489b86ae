package dlp

import "slices"

// ibanLengths: the IBAN registry (ISO 13616), country to characters.
var ibanLengths = map[string]int{
	"AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BI": 27, "BR": 29, "BY": 28, "CH": 21, "CR": 22, "CY": 28,
	"CZ": 24, "DE": 22, "DJ": 27, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18, "FK": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23,
	"GL": 18, "GR": 27, "GT": 28, "HN": 28, "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28,
	"LC": 32, "LI": 21, "LT": 20, "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MN": 20, "MR": 27, "MT": 31, "MU": 30, "NI": 28,
	"NL": 18, "NO": 15, "OM": 23, "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "RU": 33, "SA": 24, "SC": 31, "SD": 18, "SE": 24,
	"SI": 19, "SK": 24, "SM": 27, "SO": 23, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20, "YE": 30,
	// Not in the registry, but in use.
	"AO": 25, "BF": 28, "BJ": 28, "CF": 27, "CG": 27, "CI": 28, "CM": 27, "CV": 25, "DZ": 26, "GA": 27, "GQ": 27, "GW": 25, "IR": 26, "KM": 27, "MA": 28, "MG": 27,
	"ML": 28, "MZ": 25, "NE": 28, "SN": 28, "TD": 27, "TG": 28,
}

// ibanBanks are countries whose account numbers begin with four letters for the bank, and those where all is digits; of the others nothing is asked.
var (
	ibanBanks  = []string{"AZ", "BG", "BH", "GB", "GI", "GT", "IE", "IQ", "JO", "KW", "LC", "LV", "MT", "MU", "NI", "NL", "PK", "PS", "QA", "RO", "SC", "SV", "VG"}
	ibanDigits = []string{
		"AE", "AT", "BA", "BE", "CR", "CZ", "DE", "DK", "EE", "EG", "ES", "FI", "FO", "GL", "HR", "HU", "IL", "IS", "LT", "ME", "NO", "PL", "PT", "RS", "SE", "SI", "SK", "TN", "XK",
	}
)

// iban is ISO 13616: length and form by country, and ISO 7064 mod 97-10.
func (c *candidate) iban() bool {
	b := c.bare
	if len(b) < 15 || len(b) > 34 || ibanLengths[string(b[:2])] != len(b) || !allDigits(b[2:4]) || mod97(b[4:], b[:4]) != 1 {
		return false
	}
	switch country := string(b[:2]); {
	case slices.Contains(ibanBanks, country):
		return !slices.ContainsFunc(b[4:8], isDigit)
	case slices.Contains(ibanDigits, country):
		return allDigits(b[4:])
	}
	return true
}

// creditor is the SEPA creditor identifier: mod 97-10 without the three characters of the business code.
func (c *candidate) creditor() bool {
	b := c.bare
	if len(b) < 8 || len(b) > 35 || !isUpper(b[0]) || !isUpper(b[1]) || !allDigits(b[2:4]) {
		return false
	}
	return mod97(b[7:], b[:4]) == 1
}

// countries: ISO 3166-1 alpha-2, and XK.
const countries = "ADAEAFAGAIALAMAOAQARASATAUAWAXAZBABBBDBEBFBGBHBIBJBLBMBNBOBQBRBSBTBVBWBYBZCACCCDCFCGCHCICKCLCMCNCOCRCUCVCWCXCYCZDEDJDKDMDODZECEEEGEHERESETFIFJFKFMFOFRGAGBGDGEGFGGGHGIGLGMGNGPGQGRGSGTGUGWGYHKHMHNHRHTHUIDIEILIMINIOIQIRISITJEJMJOJPKEKGKHKIKMKNKPKRKWKYKZLALBLCLILKLRLSLTLULVLYMAMCMDMEMFMGMHMKMLMMMNMOMPMQMRMSMTMUMVMWMXMYMZNANCNENFNGNINLNONPNRNUNZOMPAPEPFPGPHPKPLPMPNPRPSPTPWPYQARERORSRURWSASBSCSDSESGSHSISJSKSLSMSNSOSRSSSTSVSXSYSZTCTDTFTGTHTJTKTLTMTNTOTRTTTVTWTZUAUGUMUSUYUZVAVCVEVGVIVNVUWFWSXKYEYTZAZMZW"

func isCountry(b []byte) bool {
	for i := 0; i+2 <= len(countries); i += 2 {
		if countries[i] == b[0] && countries[i+1] == b[1] {
			return true
		}
	}
	return false
}

// bic is ISO 9362: a country code in fifth place.
func (c *candidate) bic() bool {
	if len(c.raw) != 8 && len(c.raw) != 11 {
		return false
	}
	for _, b := range c.raw[:4] {
		if !isUpper(b) {
			return false
		}
	}
	return isCountry(c.raw[4:6])
}

// aba is the routing number's checksum and ranges of its first two digits.
func (c *candidate) aba() bool {
	if !c.digits(9) || oneDigit(c.bare) {
		return false
	}
	p := number(c.bare[:2])
	if !(p <= 12 || p >= 21 && p <= 32 || p >= 61 && p <= 72 || p == 80) {
		return false
	}
	return weighted(c.bare, 3, 7, 1, 3, 7, 1, 3, 7, 1)%10 == 0
}

// clabe is Mexico's account number.
func (c *candidate) clabe() bool {
	if !c.digits(18) || oneDigit(c.bare) {
		return false
	}
	w, sum := [3]int{3, 7, 1}, 0
	for i := range 17 {
		sum += int(c.bare[i]-'0') * w[i%3] % 10
	}
	return (10-sum%10)%10 == int(c.bare[17]-'0')
}
