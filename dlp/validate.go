package dlp

// A validator decides whether a matched value is what its shape says. It is pure and never panics.
type validator struct {
	name string
	ok   func(c *candidate) bool
}

// candidate is what validators look at.
type candidate struct {
	raw    []byte // as matched
	bare   []byte // without separators
	before []byte // up to sideBytes that stand before and after
	after  []byte
	buf    [64]byte
}

const sideBytes = 8 // bytes on each side of a match that validators may look at

// validators is the table of all validators. To add one: write it, and put it here.
var validators = []validator{
	{"luhn", (*candidate).luhn},
	{"iin", (*candidate).iin},
	{"boundary", (*candidate).boundary},
	{"separators", (*candidate).separators},
	{"track2", (*candidate).track2},
	{"ssn", (*candidate).ssn},
	{"itin", (*candidate).itin},
	{"ein", (*candidate).ein},
	{"npi", (*candidate).npi},
	{"dea", (*candidate).dea},
	{"mbi", (*candidate).mbi},
	{"aba", (*candidate).aba},
	{"iban", (*candidate).iban},
	{"bic", (*candidate).bic},
	{"clabe", (*candidate).clabe},
	{"creditor_id", (*candidate).creditor},
	{"aadhaar", (*candidate).aadhaar},
	{"in_pan", (*candidate).inPAN},
	{"gstin", (*candidate).gstin},
	{"nino", (*candidate).nino},
	{"nhs", (*candidate).nhs},
	{"sin", (*candidate).sin},
	{"tfn", (*candidate).tfn},
	{"au_medicare", (*candidate).auMedicare},
	{"abn", (*candidate).abn},
	{"acn", (*candidate).acn},
	{"steuerid", (*candidate).steuerID},
	{"nir", (*candidate).nir},
	{"nif", (*candidate).nif},
	{"nie", (*candidate).nie},
	{"codice_fiscale", (*candidate).codiceFiscale},
	{"pesel", (*candidate).pesel},
	{"bsn", (*candidate).bsn},
	{"be_nn", (*candidate).beNN},
	{"personnummer", (*candidate).personnummer},
	{"not_time", (*candidate).notTime},
	{"orgnr", (*candidate).orgnr},
	{"hetu", (*candidate).hetu},
	{"cpr", (*candidate).cpr},
	{"fnr", (*candidate).fnr},
	{"ahv", (*candidate).ahv},
	{"pt_nif", (*candidate).ptNIF},
	{"cpf", (*candidate).cpf},
	{"cnpj", (*candidate).cnpj},
	{"rut", (*candidate).rut},
	{"curp", (*candidate).curp},
	{"za_id", (*candidate).zaID},
	{"nric", (*candidate).nric},
	{"rrn", (*candidate).rrn},
	{"mynumber", (*candidate).myNumber},
	{"cn_id", (*candidate).cnID},
	{"tckn", (*candidate).tckn},
	{"egn", (*candidate).egn},
	{"rodne_cislo", (*candidate).rodneCislo},
	{"cpr_check", (*candidate).cprCheck},
	{"cy_tic", (*candidate).cyTIC},
	{"afm", (*candidate).afm},
	{"pps", (*candidate).pps},
	{"isikukood", (*candidate).isikukood},
	{"spi", (*candidate).spi},
	{"matricule", (*candidate).matricule},
	{"oib", (*candidate).oib},
	{"adoazonosito", (*candidate).adoazonosito},
	{"personas_kods", (*candidate).personasKods},
	{"nip", (*candidate).nip},
	{"cnp", (*candidate).cnp},
	{"davcna", (*candidate).davcna},
	{"rnokpp", (*candidate).rnokpp},
	{"jmbg", (*candidate).jmbg},
	{"de_vat", (*candidate).deVAT},
	{"uid", (*candidate).uid},
	{"gb_vat", (*candidate).gbVAT},
	{"fr_vat", (*candidate).frVAT},
	{"partita_iva", (*candidate).partitaIVA},
	{"kvnr", (*candidate).kvnr},
	{"rvnr", (*candidate).rvnr},
	{"lanr", (*candidate).lanr},
	{"de_pass", (*candidate).dePass},
	{"il", (*candidate).il},
	{"melli", (*candidate).melli},
	{"th_id", (*candidate).thID},
	{"tw_id", (*candidate).twID},
	{"hk_id", (*candidate).hkID},
	{"brn", (*candidate).brn},
	{"rrn_form", (*candidate).rrnForm},
	{"ph_tin", (*candidate).phTIN},
	{"uen", (*candidate).uen},
	{"cuit", (*candidate).cuit},
	{"phone", (*candidate).phone},
	{"email", (*candidate).email},
	{"ip", (*candidate).ip},
	{"public_ip", (*candidate).publicIP},
	{"apart", (*candidate).apart},
	{"mrz", (*candidate).mrz},
	{"vin", (*candidate).vin},
	{"imei", (*candidate).imei},
	{"bitcoin", (*candidate).bitcoin},
	{"bech32", (*candidate).bech32},
	{"ethereum", (*candidate).ethereum},
	{"ethereum_form", (*candidate).ethereumForm},
	{"jwt", (*candidate).jwt},
	{"jwt_base64", (*candidate).jwtBase64},
	{"github", (*candidate).github},
	{"basic_auth", (*candidate).basicAuth},
	{"discord", (*candidate).discord},
	{"pem", (*candidate).pem},
	{"not_placeholder", (*candidate).notPlaceholder},
	{"random", (*candidate).random},
	{"drawn_letters", (*candidate).drawnLetters},
	{"secret", (*candidate).secret},
	{"form_value", (*candidate).formValue},
	{"header_value", (*candidate).headerValue},
	{"url_password", (*candidate).urlPassword},
	{"url_login", (*candidate).urlLogin},
	{"date", (*candidate).date},
}

// aside are the validators that look at what stands beside the match.
var aside = []string{"boundary", "ip", "public_ip", "apart"}

// Validators returns the names that a rule's validate may list.
func Validators() []string {
	out := make([]string, len(validators))
	for i := range validators {
		out[i] = validators[i].name
	}
	return out
}

func validatorNamed(name string) *validator {
	for i := range validators {
		if validators[i].name == name {
			return &validators[i]
		}
	}
	return nil
}

// strip returns the value without the separators that people write into numbers, in upper case.
func (c *candidate) strip() []byte {
	out := c.buf[:0]
	for _, b := range c.raw {
		if separates(b) {
			continue
		}
		if isLower(b) {
			b -= 0x20
		}
		out = append(out, b)
	}
	return out
}

// separates reports whether people write b into numbers, for the eye.
func separates(b byte) bool {
	switch b {
	case ' ', '-', '.', '/', '\t', '\n', '\r', '_':
		return true
	}
	return false
}

// digits reports whether the bare value is n digits.
func (c *candidate) digits(n int) bool { return len(c.bare) == n && allDigits(c.bare) }

func allDigits(b []byte) bool {
	for _, c := range b {
		if !isDigit(c) {
			return false
		}
	}
	return true
}

func oneDigit(b []byte) bool {
	for _, c := range b {
		if c != b[0] {
			return false
		}
	}
	return true
}

// number reads digits. It is for values that fit.
func number(b []byte) int {
	n := 0
	for _, c := range b {
		n = n*10 + int(c-'0')
	}
	return n
}

// weighted is the sum of digits by weights.
func weighted(b []byte, w ...int) int {
	sum := 0
	for i := range w {
		sum += int(b[i]-'0') * w[i]
	}
	return sum
}

func luhnSum(b []byte) int {
	sum, double := 0, false
	for i := len(b) - 1; i >= 0; i-- {
		d := int(b[i] - '0')
		if double {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
		double = !double
	}
	return sum
}

func luhnOK(b []byte) bool { return len(b) > 1 && allDigits(b) && luhnSum(b)%10 == 0 }

// mod97 of digits and letters, a letter counting as two digits from A = 10 (ISO 7064).
func mod97(parts ...[]byte) int {
	n := 0
	for _, p := range parts {
		for _, c := range p {
			switch {
			case isDigit(c):
				n = (n*10 + int(c-'0')) % 97
			case isUpper(c):
				n = (n*100 + int(c-'A') + 10) % 97
			default:
				return -1
			}
		}
	}
	return n
}

// validDate takes a day and month, and a year if it is known (0: not).
func validDate(year, month, day int) bool {
	if month < 1 || month > 12 || day < 1 {
		return false
	}
	last := [...]int{31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}[month-1]
	if month == 2 && year != 0 && (year%4 != 0 || year%100 == 0 && year%400 != 0) {
		last = 28
	}
	return day <= last
}
