package dlp

import (
	"testing"

	"weir/dissect"
)

func check(name, value string) bool {
	v := validatorNamed(name)
	c := candidate{raw: []byte(value)}
	c.bare = c.strip()
	return v.ok(&c)
}

// TestValidators: numbers that authorities or their documentation publish as examples, and the same with one digit
// changed.
func TestValidators(t *testing.T) {
	for _, c := range []struct{ name, good, bad string }{
		{"luhn", "4111 1111 1111 1111", "4111 1111 1111 1112"},
		{"luhn", "79927398713", "79927398710"},
		{"iin", "2221000000000009", "2121000000000009"},
		{"iin", "378282246310005", "3782822463100051"},
		{"separators", "4111-1111-1111-1111", "4111-1111 1111-1111"},
		{"separators", "3782 822463 10005", "4 1 1 1111111111111"},
		{"track2", ";4111111111111111=25121010000000000?", ";4111111111111111=25131010000000000?"},
		{"ssn", "078-05-1120", "666-05-1120"},
		{"itin", "912-70-1234", "812-70-1234"},
		{"ein", "12-3456789", "07-3456789"},
		{"npi", "1234567893", "1234567890"},
		{"dea", "F91234563", "F91234564"},
		{"mbi", "1EG4-TE5-MK73", "1SG4-TE5-MK73"},
		{"aba", "111000025", "111000026"},
		{"iban", "GB82 WEST 1234 5698 7654 32", "GB83 WEST 1234 5698 7654 32"},
		{"iban", "DE89370400440532013000", "DE8937040044053201300"},
		{"bic", "DEUTDEFF", "DEUTZZFF"},
		{"clabe", "032180000118359719", "032180000118359718"},
		{"creditor_id", "DE98ZZZ09999999999", "DE97ZZZ09999999999"},
		{"aadhaar", "2341 2341 2346", "2341 2341 2347"},
		{"in_pan", "AAAPL1234C", "AAAXL1234C"},
		{"in_pan", "AAAPL1234C", "AAAPL0000C"},
		{"gstin", "27AAPFU0939F1ZV", "27AAPFU0939F1ZW"},
		{"nino", "AB123456C", "BG123456C"},
		{"nhs", "943 476 5919", "943 476 5918"},
		{"sin", "130 692 544", "130 692 545"},
		{"tfn", "123 456 782", "123 456 781"},
		{"au_medicare", "2123 45670 1", "2123 45671 1"},
		{"abn", "51 824 753 556", "51 824 753 557"},
		{"acn", "004 085 616", "004 085 617"},
		{"steuerid", "86095742719", "86095742718"},
		{"nir", "255081416802538", "255081416802539"},
		{"nif", "12345678Z", "12345678A"},
		{"nie", "X1234567L", "X1234567M"},
		{"codice_fiscale", "RSSMRA85T10A562S", "RSSMRA85T10A562T"},
		{"codice_fiscale", "BNCLRA71E5NF20MN", "BNCLRA71ET9F20MC"}, // letters for digits, and a day that no month has
		{"pesel", "44051401359", "44051401358"},
		{"bsn", "111222333", "111222334"},
		{"be_nn", "85.07.30-033.28", "85.07.30-033.29"},
		{"personnummer", "811218-9876", "811218-9877"},
		{"hetu", "131052-308T", "131052-308U"},
		{"cpr", "070761-4285", "073261-4285"},
		{"fnr", "01010750160", "01010750161"},
		{"ahv", "756.9217.0769.85", "756.9217.0769.86"},
		{"pt_nif", "501442600", "501442601"},
		{"cpf", "111.444.777-35", "111.444.777-36"},
		{"cnpj", "11.222.333/0001-81", "11.222.333/0001-82"},
		{"rut", "12.678.579-8", "12.678.579-9"},
		{"curp", "BOXW310820HNERXN09", "BOXW310820HNERXN08"},
		{"za_id", "8001015009087", "8001015009088"},
		{"nric", "S1234567D", "S1234567E"},
		{"nric", "F1234567N", "F1234567M"},
		{"nric", "M1234567K", "M1234567L"},
		{"rrn", "971013-9019902", "971013-9019903"},
		{"mynumber", "123456789018", "123456789019"},
		{"cn_id", "11010519491231002X", "110105194912310021"},
		{"tckn", "10000000146", "10000000147"},
		{"egn", "7501010010", "7501010019"},
		{"rodne_cislo", "710319/2745", "710319/2746"},
		{"rodne_cislo", "530121/999", "540121/000"},
		{"cpr_check", "070761-4285", "070761-4286"},
		{"cy_tic", "10259033P", "10259033Z"},
		{"afm", "094259216", "094259217"},
		{"pps", "6433435F", "6433435E"},
		{"pps", "1234567TW", "1234567TX"},
		{"isikukood", "36805280109", "36805280108"},
		{"isikukood", "33309240064", "33339240064"},
		{"spi", "3023217600053", "3023217600052"},
		{"matricule", "1893120105732", "1893120105733"},
		{"oib", "33392005961", "33392005962"},
		{"adoazonosito", "8071592153", "8071592152"},
		{"personas_kods", "161175-19997", "161175-19996"},
		{"nip", "856-734-62-15", "856-734-62-16"},
		{"cnp", "1630615123457", "1630615123458"},
		{"davcna", "15012557", "15012558"},
		{"rnokpp", "1759013776", "1759013777"},
		{"jmbg", "0101006500006", "0101006500007"},
		{"de_vat", "DE 136 695 976", "DE136695978"},
		{"uid", "CHE-100.155.212", "CHE-100.155.213"},
		{"gb_vat", "GB 980 7806 84", "GB 802 3116 89"},
		{"fr_vat", "FR40 303 265 045", "FR84 323 140 391"},
		{"partita_iva", "IT 00743110157", "IT 00743110158"},
		{"kvnr", "A000500015", "A000500016"},
		{"rvnr", "15070649C103", "15070649C100"},
		{"lanr", "123456601", "123457601"},
		{"de_pass", "C01X00T478", "C01X00T479"},
		{"il", "039337423", "039337424"},
		{"melli", "0499370899", "0499370898"},
		{"th_id", "1-2345-45678-78-1", "1-2345-45678-78-9"},
		{"tw_id", "A123456789", "A123456788"},
		{"hk_id", "A123456(3)", "A123456(4)"},
		{"hk_id", "AG293013(9)", "RH265886(3)"},
		{"brn", "116-82-00276", "116-82-00277"},
		{"rrn_form", "971013-1019902", "971313-1019902"},
		{"ph_tin", "000-123-456-001", "000-123-457-001"},
		{"uen", "00192200M", "00192200N"},
		{"uen", "197401143C", "197401143D"},
		{"uen", "T01FC6132D", "T01FC6132E"},
		{"cuit", "20-05536168-2", "20-05536168-3"},
		{"orgnr", "123456-7897", "123456-7898"},
		{"cnpj", "12.ABC.345/01DE-35", "12.ABC.345/01DE-36"},
		{"nif", "M2812345C", "M2812345D"},
		{"iban", "IE29 AIBK 9311 5212 3456 78", "IE95 TE82 7090 0834 0486 60"},
		{"phone", "+44 (20) 7946 0123", "+999 207 946 0123"},
		{"phone", "030 901820", "12345"},
		{"email", "a.person+tag@mail.example.org", "logo@2x.png"},
		{"ip", "2001:db8::192.0.2.33", "2001:db8::1::2"},
		{"ip", "192.0.2.33", "192.0.2.333"},
		{"public_ip", "133.133.133.133", "192.0.2.33"}, {"public_ip", "2606:4700:4700::1111", "2001:db8::1"},
		{"public_ip", "100.128.0.1", "100.64.0.1"}, {"public_ip", "172.32.0.1", "172.16.0.1"}, {"public_ip", "8.8.8.8", "169.254.169.254"}, {"public_ip", "1.1.1.1", "127.0.0.1"},
		{"mrz", "L898902C36UTO7408122F1204159ZE184226B<<<<<10", "L898902C37UTO7408122F1204159ZE184226B<<<<<10"},
		{"vin", "1M8GDM9AXKP042788", "1M8GDM9A1KP042788"},
		{"imei", "490154203237518", "490154203237519"},
		{"bitcoin", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb"},
		{"bech32", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5"},
		{"ethereum_form", "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed", "0x0001020304050607080900010203040506070809"},
		{"not_time", "20121121-2450", "20121121-1550"},
		{"not_time", "19121121-1550", "240131-2359"},
		{"ethereum", "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD"},
		{"jwt", "eyJhbGciOiJIUzI1NiJ9.e30.x", "eyJmb28iOiJiYXIifQ.e30.x"},
		{"basic_auth", "QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "QWxhZGRpbg=="},
		{"not_placeholder", "Kq8s0vTz11", "your_api_key"},
		{"date", "1990-02-28", "1990-02-30"},
	} {
		if !check(c.name, c.good) {
			t.Errorf("%s refuses its published example", c.name)
		}
		if check(c.name, c.bad) {
			t.Errorf("%s holds for a value with a wrong character", c.name)
		}
	}
}

// TestValidatorsAnyInput: none panics, whatever it is given.
func FuzzValidators(f *testing.F) {
	for _, s := range []string{"", "4", "é", "1", "X1", "DE89370400440532013000", ";=", "%B4^A^", "0x", "a1", "\n\n", "000000000000000000"} {
		f.Add(s, s, s)
	}
	f.Fuzz(func(t *testing.T, raw, before, after string) {
		for i := range validators {
			c := candidate{raw: []byte(raw), before: []byte(before), after: []byte(after)}
			c.bare = c.strip()
			validators[i].ok(&c)
		}
		publishedTest([]byte(raw))
		fd := found{t: &text{b: []byte(before + raw + after)}, match: []byte(raw), secret: []byte(raw), start: len(before), end: len(before) + len(raw), mStart: len(before), mEnd: len(before) + len(raw)}
		for _, m := range masks {
			new(Masker).excerpt(&fd, m.fn(&fd), dissect.Text)
		}
	})
}

func TestBoundary(t *testing.T) {
	for _, c := range []struct {
		before, after string
		want          bool
	}{
		{"card ", " exp", true}, {"", "", true}, {`"`, `"`, true}, {"=", "&", true},
		{"1", "", false}, {"a", "", false}, {"", "f", false}, {"0.", "", false}, {"", ".5", false}, {"no. ", ".", true},
		{"-9f8e-", "", false}, {"", "-4a2b", false},
	} {
		v := candidate{raw: []byte("4111111111111111"), before: []byte(c.before), after: []byte(c.after)}
		if got := v.boundary(); got != c.want {
			t.Errorf("between %q and %q: %v, want %v", c.before, c.after, got, c.want)
		}
	}
}

// TestBeside: validators that look at what stands on both sides.
func TestBeside(t *testing.T) {
	for _, c := range []struct {
		name, before, value, after string
		want                       bool
	}{
		{"ip", "host ", "192.0.2.33", ":80", true}, {"ip", "", "192.0.2.33", ".", true}, {"ip", "v1.", "192.0.2.33", "", false}, {"ip", "", "192.0.2.3", "3", false},
		{"ip", "[", "2001:db8::1", "]:80", true}, {"ip", "std", "::c", "out", false}, {"ip", "", "2001:db8::25", "6.1.1.1", false}, {"ip", "", "2001:db8::256", ".1.1.1", false},
		{"ip", " ", "::", "/0", true}, {"ip", "a ", "::", " b", false},
		{"public_ip", "", "133.133.133.133", "@", true}, {"public_ip", "1.", "133.133.133.133", "", false},
		{"apart", "a ", "412 76 3085", " b", true}, {"apart", "1 ", "412 76 3085", "", false}, {"apart", "", "412 76 3085", "-2", false},
	} {
		v := candidate{raw: []byte(c.value), before: []byte(c.before), after: []byte(c.after)}
		if got := validatorNamed(c.name).ok(&v); got != c.want {
			t.Errorf("%s between %q and %q: %v, want %v", c.name, c.before, c.after, got, c.want)
		}
	}
}

func TestMasks(t *testing.T) {
	for _, c := range []struct{ mask, value, want string }{
		{"pan", "4111 1111 1111 1111", "4111 11** **** 1111"},
		{"pan", "378282246310005", "378282*****0005"},
		{"pan", "12345678", "******78"},
		{"last4", "987654321", "*****4321"},
		{"ssn", "219-09-9999", "***-**-9999"},
		{"iban", "DE89370400440532013000", "DE****************3000"},
		{"secret", "abcdefghijklmnopqrst", "abcd…(20)"},
		{"secret", "abc", "…(3)"},
		{"email", "john.doe@example.com", "j***@e***.com"},
		{"sad", ";4111111111111111=2512", "[22 bytes]"},
		{"key", "-----BEGIN PRIVATE KEY-----\nAAAA", "-----BEGIN PRIVATE KEY-----…(32)"},
		{"text", "' or 1=1\x00", `' or 1=1\x00`},
	} {
		f := found{match: []byte(c.value), secret: []byte(c.value)}
		if got := maskNamed(c.mask).fn(&f); got != c.want {
			t.Errorf("%s: got %q, want %q", c.mask, got, c.want)
		}
	}
}
