package dlp

import "bytes"

// Names that say that what follows them is a credential. Compared in lower case, without separators.
var (
	// anywhere in a name
	credentialParts = words("passw", "passphrase", "passcode", "secret", "credential", "apikey", "accesskey", "privatekey", "encryptionkey", "masterkey",
		"sharedkey", "accountkey", "accesstoken", "authtoken", "securitytoken", "authorization", "sessionid", "sessid", "masterauth", "requirepass")
	// at the end of a name
	credentialEnds = words("token", "pwd", "pswd", "signature", "cookie", "jwt", "userpass", "dbpass", "cvv", "cvv2", "cvc", "cvc2")
	// the last word of a name: pass in db_pass and dbPass
	credentialWords = words("pass", "pw", "auth", "otp", "pin", "bearer", "sas", "assertion", "samlresponse", "authcode", "psk")
	// all of a name in a URL's query, in a form or in a cookie
	credentialQuery = words("sig", "code", "key", "sid", "ticket", "session", "hmac", "samlrequest")
	// the last word of a name, or its end, of what is nobody's business: what a rule has masked of it stays
	personalWords = words("ssn", "iban", "pan", "track", "dob")
	personalEnds  = words("socialsecurity", "socialsecuritynumber", "cardnumber", "cardno", "ccnumber", "ccnum", "creditcard", "debitcard", "track1", "track2", "taxid",
		"passportnumber", "nationalid", "accountnumber")
	// names that look like one of those and are none end so
	harmlessEnds = words("tokens", "tokentype", "secretname", "passwordfile")
)

// word is part of a name, with the set of its letters: most names lack one of them.
type word struct {
	text    string
	letters uint32
}

func words(list ...string) (out []word) {
	for _, w := range list {
		out = append(out, word{w, letters([]byte(w))})
	}
	return out
}

func letters(b []byte) (set uint32) {
	for _, c := range b {
		set |= 1 << (c & 31)
	}
	return set
}

const maxName = 64 // bytes of a name that are looked at

// sort is what a name says that its value is.
type sort uint8

const (
	harmless sort = iota
	personal      // a number of a person, a card or an account
	credential
)

// isCredential reports whether a name says that its value is a credential.
func isCredential(name []byte) bool { return sortOf(name, false) == credential }

// sortOf returns what a name says. query: it stands in a URL's query, say.
func sortOf(name []byte, query bool) sort {
	name = name[max(0, len(name)-maxName):]
	var buf [maxName]byte
	low := buf[:0]
	word := 0 // where its last word begins in low
	for i, c := range name {
		if !isLetter(c) && !isDigit(c) {
			continue
		}
		if i > 0 && (!isLetter(name[i-1]) && !isDigit(name[i-1]) || isUpper(c) && isLower(name[i-1])) {
			word = len(low)
		}
		if isUpper(c) {
			c |= 0x20
		}
		low = append(low, c)
	}
	set, last := letters(low), low[word:]
	switch {
	case endsIn(low, set, harmlessEnds):
		return harmless
	case has(low, set, credentialParts), endsIn(low, set, credentialEnds), isOne(last, set, credentialWords), query && isOne(low, set, credentialQuery):
		return credential
	case isOne(last, set, personalWords), endsIn(low, set, personalEnds):
		return personal
	}
	return harmless
}

func has(b []byte, set uint32, list []word) bool {
	for i := range list {
		if w := &list[i]; w.letters&^set == 0 && bytes.Contains(b, []byte(w.text)) {
			return true
		}
	}
	return false
}

func endsIn(b []byte, set uint32, list []word) bool {
	for i := range list {
		if w := &list[i]; w.letters&^set == 0 && bytes.HasSuffix(b, []byte(w.text)) {
			return true
		}
	}
	return false
}

func isOne(b []byte, set uint32, list []word) bool {
	for i := range list {
		if w := &list[i]; w.letters&^set == 0 && string(b) == w.text {
			return true
		}
	}
	return false
}

// inFold compares in any case; list is lower case.
func inFold(b []byte, list []string) bool {
	for _, w := range list {
		if len(b) == len(w) && equalFold(b, w) {
			return true
		}
	}
	return false
}

// statementWords in a statement say that literals in it are credentials.
var statementWords = []string{
	"passw", "pwd", "identified", "secret", "token", "credential", "api_key", "apikey", "private_key", "privatekey", "access_key", "accesskey",
	"passphrase", "passcode", "encrypt", "crypt(", "hmac", "pin", "cvv", "cvc",
}

// namesCredential reports whether a statement has to do with credentials.
func namesCredential(b []byte) bool {
	for _, w := range statementWords {
		for i := 0; i < len(b); {
			j := indexFold(b[i:], w)
			if j < 0 {
				break
			}
			if len(w) > 3 || isWord(b, i+j, i+j+len(w)) {
				return true
			}
			i += j + 1
		}
	}
	return false
}

// schemes of Authorization headers, which may be shown.
var schemes = []string{
	"basic", "bearer", "digest", "negotiate", "ntlm", "token", "apikey", "aws4-hmac-sha256", "hawk", "oauth", "mutual", "hoba", "dpop", "gnap",
	"kerberos", "scram-sha-1", "scram-sha-256", "sharedkey", "sharedaccesssignature", "vapid", "plain", "login", "xoauth2", "oauthbearer", "cram-md5",
}

// scheme returns how many bytes at the front of b are the name of a scheme and the spaces after it; 0: it is none.
func scheme(b []byte) int {
	n := 0
	for n < len(b) && n < 24 && (isLetter(b[n]) || isDigit(b[n]) || b[n] == '-') {
		n++
	}
	if n == 0 || n == len(b) || b[n] != ' ' || !inFold(b[:n], schemes) {
		return 0
	}
	for n < len(b) && b[n] == ' ' {
		n++
	}
	return n
}

// cookieAttributes may be shown with their values.
var cookieAttributes = []string{"path", "domain", "expires", "max-age", "samesite", "httponly", "secure", "version", "priority", "partitioned"}
