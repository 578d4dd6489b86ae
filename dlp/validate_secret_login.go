package dlp

import "bytes"

// commonWords are passwords that stand for one, in the texts of those who explain how to write one down.
var commonWords = []string{
	"password", "passwd", "pass", "pwd", "passphrase", "passwort", "mypassword", "mypass", "userpassword", "user", "username", "login",
	"secret", "mysecret", "token", "mytoken", "apikey", "key", "value", "string", "text", "null", "none", "nil", "true", "false", "undefined",
	"required", "optional", "empty", "hidden", "invalid", "unknown", "default", "test", "testing", "foo", "bar", "foobar", "abc", "abc123",
	"changeit", "change-me", "replace-me", "replaceme", "your-password", "password1", "yyy", "xyz", "insert_key_here",
}

// codeSigns occur in what a program or a template puts in the place of a secret.
var codeSigns = [][]byte{
	[]byte("${"), []byte("$("), []byte("{{"), []byte("}}"), []byte("<%"), []byte("%>"), []byte("%("), []byte("()"), []byte("=>"), []byte("&lt;"), []byte("&quot;"),
	[]byte("process.env"), []byte("environ"), []byte("getenv"), []byte("secrets."), []byte("replace_"), []byte("insert_"), []byte("..."), []byte("•"), []byte("…"),
}

// codeHeads begin what names a secret, or the place of one.
var codeHeads = []string{"$", "%", "{", "<", "[", "(", "@@", "arn:", "http:", "https:", "vault:", "file:", "secret:", "enc(", "encrypted:", "var.", "env.", "self.", "this.", "config.", "data.", "local.", "module."}

// written holds if a value is a secret as far as its look tells: no placeholder, and no code that fetches one.
func written(b []byte) bool {
	c := candidate{raw: b}
	if !c.notPlaceholder() {
		return false
	}
	low := bytes.ToLower(b)
	for _, w := range commonWords {
		if string(low) == w {
			return false
		}
	}
	for _, s := range codeSigns {
		if bytes.Contains(low, s) {
			return false
		}
	}
	for _, h := range codeHeads {
		if bytes.HasPrefix(low, []byte(h)) {
			return false
		}
	}
	return true
}

// secret holds for what may be a password or key: written, and letters with a digit or a character that names do not have.
func (c *candidate) secret() bool {
	if !written(c.raw) {
		return false
	}
	digits, letters, signs := 0, 0, 0
	for _, b := range c.raw {
		switch {
		case isDigit(b):
			digits++
		case isLetter(b) || b >= 0x80:
			letters++
		case bytes.IndexByte([]byte("!@#$^&*?+~%="), b) >= 0:
			signs++
		}
	}
	if c.raw[0] == '/' { // a path
		return false
	}
	if digits == 0 && (c.raw[0] == '#' || c.raw[0] == '.' || c.raw[0] == '@' || c.raw[0] == '&') {
		return false // a selector or a reference
	}
	return letters > 0 && digits+signs > 0 && !wordsOnly(c.raw)
}

// formValue holds for what somebody typed into a form: anything but what stands for a password.
func (c *candidate) formValue() bool { return len(c.raw) >= 4 && written(c.raw) }

// headerValue holds for a token as headers have it: a digit in it, and no placeholder.
func (c *candidate) headerValue() bool {
	return written(c.raw) && bytes.ContainsAny(c.raw, "0123456789") && !wordsOnly(c.raw) && longestRun(c.raw) <= 2*runMost
}

// weak reports whether a password is none in earnest where a reader is shown how an address looks.
func weak(pass []byte) bool {
	return len(pass) < 3 || oneDigit(pass) || allDigits(pass) || !written(pass)
}

// urlPassword holds for the password of an address: not weak, and not the user's name once more, as far as that is to be seen.
func (c *candidate) urlPassword() bool {
	if string(bytes.ToLower(c.raw)) == "secret" {
		return true // written for readers, but in use
	}
	if weak(c.raw) {
		return false
	}
	user := bytes.TrimSuffix(c.before, []byte{':'})
	if n := min(len(user), len(c.raw)); len(user) < len(c.before) && n > 2 && bytes.Equal(user[len(user)-n:], c.raw[len(c.raw)-n:]) {
		return false
	}
	return true
}

// urlLogin holds for "user:password" where both are real: at least a letter, and no placeholder.
func (c *candidate) urlLogin() bool {
	user, pass, ok := bytes.Cut(c.raw, []byte{':'})
	user, pass = bytes.Trim(user, `"'`), bytes.Trim(pass, `"'`)
	if !ok || weak(pass) || bytes.EqualFold(user, pass) {
		return false
	}
	for _, h := range codeHeads {
		if bytes.HasPrefix(bytes.ToLower(user), []byte(h)) {
			return false
		}
	}
	return !bytes.ContainsAny(user, "<>{}$%") && hasLetter(pass)
}

func hasLetter(b []byte) bool {
	return bytes.IndexFunc(b, func(r rune) bool { return r >= 0x80 || isLetter(byte(r)) }) >= 0
}
