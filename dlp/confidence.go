package dlp

import (
	"bytes"
	"slices"
	"strings"

	"weir/rules"
)

// How sure a finding is, in percent: points for what speaks for it, less those for what speaks against it. Ours; docs/rules.md has the table.
const (
	surePattern  = 50 // it has the form
	sureFixed    = 15 // the form holds a fixed text, as keys have at their beginning
	sureEntropy  = 15 // it is as random as asked for
	sureForm     = 5  // a validator knows what it may not be
	sureDigit    = 20 // a check digit: one in ten random values passes
	sureDigits   = 25 // more than one, or one of many: at most one in fifty passes
	sureProof    = 35 // a checksum that no random value passes
	sureLabel    = 25 // a word of the context right before it
	sureNear     = 5  // for each other word of the context near it, up to sureNearMost
	sureNearMost = 15
	doubtKey     = 30 // the key that it stands under says that it is something else
	doubtID      = 25 // the key says no more than that it identifies something
	doubtPart    = 40 // it is part of something longer
	sureLeast    = 1
	sureMost     = 99
)

// From here on a finding counts as medium and as high.
const (
	FairFrom = 50
	SureFrom = 80
)

// Level names what a Hit's confidence means.
func Level(percent uint8) rules.Confidence {
	switch {
	case percent >= SureFrom:
		return rules.Sure
	case percent >= FairFrom:
		return rules.Fair
	}
	return rules.Unsure
}

// strengths are the points of validators that do not stand for sureDigit.
var strengths = map[string]int{
	"boundary": 0, "separators": 0,
	"ethereum_form": 0, "not_time": 0,
	"not_placeholder": 0, "random": 0, "drawn_letters": 0, "secret": 0, "form_value": 0, "header_value": 0, "url_password": 0, "url_login": 0,
	"pem": sureDigits, "discord": sureDigits, "jwt_base64": sureProof,
	"iin": sureForm, "ssn": sureForm, "itin": sureForm, "ein": sureForm, "mbi": sureForm, "bic": sureForm,
	"phone": 0, "email": 0, "ip": 0, "public_ip": sureForm, "apart": 0, "cpr": sureForm, "rrn_form": sureForm, "date": sureForm, "in_pan": sureForm, "curp": sureDigits,
	"iban": sureDigits, "creditor_id": sureDigits, "abn": sureDigits, "nir": sureDigits, "be_nn": sureDigits, "cpf": sureDigits, "cnpj": sureDigits, "gstin": sureDigits,
	"codice_fiscale": sureDigits, "fnr": sureDigits, "tckn": sureDigits, "cn_id": sureDigits, "hetu": sureDigits, "rrn": sureDigits, "track2": sureDigits,
	"cpr_check": sureDigits, "rodne_cislo": sureDigits, "egn": sureDigits, "isikukood": sureDigits, "spi": sureDigits, "matricule": sureDigits, "personas_kods": sureDigits, "cnp": sureDigits,
	"jmbg": sureDigits, "fr_vat": sureDigits, "gb_vat": sureDigits, "rvnr": sureDigits, "personnummer": sureDigits, "za_id": sureDigits,
	"basic_auth": sureDigits, "mrz": sureProof, "jwt": sureProof, "github": sureProof, "bitcoin": sureProof, "bech32": sureProof, "ethereum": sureProof,
}

// strength is what a validator says of a value that passes.
func strength(name string) int {
	if n, ok := strengths[name]; ok {
		return n
	}
	return sureDigit
}

// prepareConfidence finds what is the same for all findings of r.
func (r *rule) prepareConfidence() {
	for _, c := range r.checks {
		r.strong = max(r.strong, strength(c.name))
	}
	r.base = surePattern + r.strong
	if r.Entropy > 0 {
		r.base += sureEntropy
	}
	if r.fixed = literals(r.expr.tree).best >= sieveLiteral; r.fixed {
		r.base += sureFixed
	}
	r.number = r.strong > 0 && r.strong < sureProof && r.Engine == rules.DLP
}

// confidence says how sure f is, and whether what is still to come after it may decide whether it is raised.
func (r *rule) confidence(f *found) (percent uint8, undecided bool) {
	n := r.base
	zone := f.label()
	key, how := keyOf(zone)
	label := len(r.Context) > 0 && labelled(zone, key, how, r.Context)
	if n := f.start - f.mStart; len(r.Context) > 0 && len(key) > 0 && n > len(key) {
		label = true // the expression asks for the name itself
	}
	if r.fixed && f.inWord(strings.Contains(r.Regex, "(?i")) {
		n -= sureFixed
	}
	doubt := 0
	if r.number {
		doubt = f.doubts(key, how, label)
	}
	switch {
	case label:
		n += sureLabel
	case doubt == 0 && len(r.Context) > 0: // what a number is says its own key, if it has one
		n += min(sureNearMost, sureNear*countWords(f.around(int(r.within)), r.Context))
	}
	n -= doubt
	percent = uint8(min(max(n, sureLeast), sureMost))
	short := Level(percent) < r.MinConfidence && !label && doubt == 0 && len(r.Context) > 0 && n+sureNearMost >= levelFrom[r.MinConfidence]
	return percent, short && !f.t.final && len(f.t.b)-f.mEnd < int(r.within)
}

var levelFrom = [...]int{rules.Unsure: 0, rules.Fair: FairFrom, rules.Sure: SureFrom}

// labelled reports whether a word of the context names the value: in its key, or in the phrase before it where that has none, or one that says
// nothing.
func labelled(zone, key []byte, how keyKind, context []string) bool {
	switch {
	case how == keyInPath:
		return false
	case hasWord(key, context):
		return true
	case how == noKey || isPlain(key):
		return hasWord(zone, context)
	case how == keyOfAttribute, hasWord(key, otherKeys), hasWord(key, idKeys):
		return false
	}
	return hasWord(zone, context)
}

// doubts are the points against a number.
func (f *found) doubts(key []byte, how keyKind, label bool) int {
	switch {
	case f.part(), f.negative(), f.inTable():
		return doubtPart
	case label:
	case hasWord(key, otherKeys):
		return doubtKey
	case how == keyInPath, hasWord(key, idKeys):
		return doubtID
	}
	return 0
}

func isPlain(key []byte) bool {
	return slices.ContainsFunc(plainKeys, func(p string) bool { return len(p) == len(key) && equalFold(key, p) })
}

// plainKeys say nothing of what stands under them.
var plainKeys = []string{"value", "val", "number", "num", "nbr", "nr", "no", "content", "text", "data", "string", "is", "field", "input"}

// otherKeys say that a number under them is no card's, account's or person's. A rule's own context goes before.
var otherKeys = []string{
	"order", "orders", "trace", "traceid", "span", "spanid", "parent", "request", "requestid", "correlation", "session", "tracking", "parcel", "shipment", "invoice", "ticket",
	"timestamp", "ts", "time", "date", "epoch", "created", "updated", "expires", "millis", "micros", "nanos", "ns", "ms", "seq", "sequence", "offset", "nonce", "build", "version", "revision",
	"ean", "isbn", "issn", "gtin", "upc", "sku", "barcode", "serial", "article", "product", "item", "hash", "md5", "sha1", "sha256", "digest", "checksum", "crc", "etag", "uuid", "guid",
	"phone", "tel", "telephone", "mobile", "fax", "imei", "imsi", "iccid", "msisdn", "lat", "lng", "lon", "latitude", "longitude", "price", "amount", "total", "size", "bytes", "length", "count", "width", "height",
	"orderid", "trackingid", "x-request-id", "port", "pid", "tid",
}

// idKeys say that a number under them identifies something.
var idKeys = []string{"id", "ids", "uid", "key", "ref", "reference", "index"}

const labelBytes = 48 // before a value, in which its name is looked for

// label returns what stands before the value in the same line, field and element: where its name stands, if it has one.
func (f *found) label() []byte {
	from := max(0, f.start-labelBytes)
	b := f.t.b[from:f.start]
	// Of what opens the value itself nothing divides.
	end := len(bytes.TrimRight(b, " \t\\\"'`([{<>:="))
	for i := end - 1; i >= 0; i-- {
		switch b[i] {
		case '\n', '\r', ',', ';', '&', '{', '}', '|', '\t', 0:
			return b[i+1:]
		case '<':
			return b[i:]
		case '>':
			if i+1 < end {
				return b[i+1:]
			}
		}
	}
	return b
}

// keyKind is how a value is joined to its key.
type keyKind uint8

const (
	noKey          keyKind = iota
	keyOfPair              // "key": value, key=value, <key>value
	keyOfAttribute         // key="value"
	keyInPath              // /key/value
)

// keyOf returns the name that a value stands under by the syntax around it, as in JSON, forms, XML and paths.
func keyOf(zone []byte) ([]byte, keyKind) {
	end := len(zone)
	for end > 0 && !isKeyByte(zone[end-1]) {
		end--
	}
	how := noKey
	for i, c := range zone[end:] {
		switch {
		case c == '=' && i == 0 && len(zone) == end+2 && (zone[end+1] == '"' || zone[end+1] == '\''):
			how = keyOfAttribute
		case c == ':' || c == '=' || c == '>':
			how = max(how, keyOfPair)
		case c == '/':
			how = keyInPath
		}
	}
	if how == noKey {
		return nil, noKey
	}
	from := end
	for from > 0 && isKeyByte(zone[from-1]) {
		from--
	}
	if key := zone[from:end]; !slices.Contains(elements, string(key)) {
		return key, how
	}
	return nil, noKey
}

// elements are HTML's that are called as if they said something of a number in them.
var elements = []string{"span", "time", "article"}

func isKeyByte(c byte) bool { return isWordByte(c) || c == '-' || c == '.' || c == '@' }

// part reports whether the value is a part of something longer: of a run of digits, a fraction, a UUID, a string in hexadecimal or base64.
func (f *found) part() bool {
	b := f.t.b
	if n := f.start; n > 0 {
		switch p := b[n-1]; {
		case isWordByte(p), p == '+':
			return f.secretIsDigit(0)
		case p == '-' || p == '.':
			if n > 1 && isWordByte(b[n-2]) && f.secretIsDigit(0) {
				return true
			}
		case p == '/' && n > 2 && isWordByte(b[n-2]):
			return f.base64Before()
		}
	}
	if n := f.end; n < len(b) {
		switch p := b[n]; {
		case isWordByte(p):
			return true
		case p == '+' || p == '/' || p == '=':
			return p == '=' && n+1 < len(b) && b[n+1] == '=' || n+1 < len(b) && isWordByte(b[n+1]) && f.base64After()
		case p == '-' || p == '.':
			return n+1 < len(b) && isWordByte(b[n+1])
		}
	}
	return false
}

// inWord reports whether the match begins inside a word, or where it may be in any case with letters as no name has them: in base64 any few letters
// occur by chance.
func (f *found) inWord(anyCase bool) bool {
	b, i := f.t.b, f.mStart
	if i > 0 && (isDigit(b[i-1]) && isLetter(b[i]) || !isWord(b[:min(len(b), i+1)], i, i+1)) {
		return true
	}
	if !anyCase {
		return false
	}
	var lower, upper bool
	for _, c := range b[min(i+1, f.mEnd):min(i+nameLetters, f.mEnd)] {
		lower, upper = lower || isLower(c), upper || isUpper(c)
	}
	return lower && upper || upper && isLower(b[i])
}

const nameLetters = 4 // of a match's beginning that are all of one case, but for the first

func (f *found) secretIsDigit(i int) bool { return i < len(f.secret) && isWordByte(f.secret[i]) }

// base64Before and base64After report whether what adjoins a value over a slash is a long string of letters in both cases and digits: no path has
// that.
func (f *found) base64Before() bool { return base64Run(f.t.b[max(0, f.start-17) : f.start-1]) }
func (f *found) base64After() bool  { return base64Run(f.t.b[f.end+1 : min(len(f.t.b), f.end+17)]) }

func base64Run(b []byte) bool {
	var lower, upper bool
	for _, c := range b {
		if !isWordByte(c) && c != '+' && c != '/' {
			return false
		}
		lower, upper = lower || isLower(c), upper || isUpper(c)
	}
	return len(b) >= 12 && lower && upper
}

// countWords returns how many of the words stand in b.
func countWords(b []byte, words []string) (n int) {
	for i := range words {
		if hasWord(b, words[i:i+1]) {
			if n++; n*sureNear >= sureNearMost {
				break
			}
		}
	}
	return n
}
