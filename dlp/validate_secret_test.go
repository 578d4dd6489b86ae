package dlp

import (
	"encoding/base64"
	"strings"
	"testing"
)

// What is public and only looks like a secret is put together here, so that the tools that watch repositories do not take it for one.
func TestSecretValidators(t *testing.T) {
	b64 := base64.StdEncoding.EncodeToString
	pem := func(body string) string {
		return "-----BEGIN " + "PRIVATE KEY-----\n" + body + "\n-----END PRIVATE KEY-----"
	}
	const ed25519 = "MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC" // RFC 8410, section 10.3
	const jwt = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiaWF0IjoxNTE2MjM5MDIyfQ.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c"
	for _, c := range []struct {
		name, value string
		want        bool
	}{
		{"jwt", jwt, true},
		{"jwt", strings.Replace(jwt, "eyJhbGci", "eyJhbGcj", 1)[4:], false},
		{"jwt", "eyJ0eXAiOiJKV1QifQ.eyJzdWIiOiIxIn0.c2ln", false}, // names no algorithm
		{"jwt_base64", b64([]byte(jwt)), true},
		{"jwt_base64", b64([]byte("eyJhbGciOiJI no token at all, but long enough")), false},
		{"github", "ghp_" + "zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq17", true}, // GitHub's announcement of the format
		{"github", "ghp_" + "zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq18", false},
		{"basic_auth", b64([]byte("Aladdin:open sesame")), true}, // RFC 7617, section 2
		{"basic_auth", b64([]byte("Aladdin")), false},
		{"basic_auth", b64([]byte("Aladdin:")), false},
		{"discord", "MTk4NjIyNDgzNDcxOTI1MjQ4" + ".Cl2FMQ.ZnCjm1XVW7vRze4b7Cq4se7kKWs", true}, // Discord's reference
		{"discord", "bm90IGEgbnVtYmVyIGF0IGFsbA" + ".Cl2FMQ.ZnCjm1XVW7vRze4b7Cq4se7kKWs", false},
		{"pem", pem(ed25519), true},
		{"pem", pem(ed25519[:32] + `\n` + ed25519[32:]), true},
		{"pem", pem("YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXo="), false},
		{"pem", pem(strings.Repeat("A", 64)), false},
		{"pem", "-----BEGIN PRIVATE", false},
		{"random", "gye1+QWxYfxw3lkf1u5u1m5/4S569r2Xwk5EH4Eq", true},
		{"random", "9f86d081884c7d659a2feaa0c55ad015", true},
		{"random", "1d2b5a3c-7e89-4f10-a2b3-c4d5e6f70819", true},
		{"random", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", false},
		{"random", "00000000000000000000000000000000", false},
		{"random", "4111111122222223333333", false},
		{"random", "a1b2c3d4abcdefghijkl", false},
		{"random", "getPagesInConfluenceSpace", false},
		{"random", "my-api-key-for-the-shop-2", false},
		{"random", "ws-plugin--s2member-amazon-s3-comp-files-access-key", false},
		{"random", "your_access_token_1234", false},
		{"random", "", false},
		{"drawn_letters", "kqbhkiEPRjiePBLVboPalfQSalLjAuQmwW", true},
		{"drawn_letters", "requiredCharacteristicTypesForDisplayMetadata", false},
		{"secret", "super$ecret", true},
		{"secret", "Pass123!@#", true},
		{"secret", "correct9horse", true},
		{"secret", "password", false},
		{"secret", "Password1", false},
		{"secret", "correcthorse", false},
		{"secret", "12345", false},
		{"secret", "${DB_PASSWORD1}", false},
		{"secret", "$PASSWORD1", false},
		{"secret", "%(password1)s", false},
		{"secret", "getPassword1()", false},
		{"secret", "process.env.PASSWORD1", false},
		{"secret", "#add-password", false},
		{"secret", "/en/enterprise-server@3.0/auth", false},
		{"secret", "arn:aws:iam::aws:policy/x1", false},
		{"secret", "&lt;YOURPASSWORD1&gt;", false},
		{"form_value", "whiteduke", true},
		{"form_value", "********", false},
		{"form_value", "password", false},
		{"header_value", "mF_9.B5f-4.1JqM", true}, // RFC 6750, section 2.1
		{"header_value", "your-access-token-here", false},
		{"header_value", "XXXXXXXXXXXX", false},
		{"url_password", "m42ploz2wd", true},
		{"url_password", "password", false},
		{"url_password", "1111", false},
		{"url_password", "$(DB_PASS)", false},
		{"url_login", "deploy:Zs3lQNcuZydD", true},
		{"url_login", `"shop":"Zs3lQNcuZydD"`, true},
		{"url_login", "test:test", false},
		{"url_login", "user:password", false},
		{"url_login", "host:8080", false},
		{"url_login", "${user}:Zs3lQNcuZydD", false},
		{"url_login", "nobody", false},
	} {
		v := candidate{raw: []byte(c.value)}
		v.bare = v.strip()
		if got := validatorNamed(c.name).ok(&v); got != c.want {
			t.Errorf("%s of %q: got %v, want %v", c.name, c.value, got, c.want)
		}
	}
	if c := (candidate{raw: []byte("postgres"), before: []byte("ostgres:")}); c.urlPassword() {
		t.Error("url_password: a password that is the user's name holds")
	}
}

// FuzzSecretValidators: no value makes one panic.
func FuzzSecretValidators(f *testing.F) {
	f.Add("gye1+QWx", "user:")
	f.Add("eyJhbGciOiJIUzI1NiJ9.e30.c2ln", "")
	f.Fuzz(func(t *testing.T, value, before string) {
		for i := range validators {
			v := candidate{raw: []byte(value), before: []byte(before)}
			v.bare = v.strip()
			validators[i].ok(&v)
		}
	})
}
