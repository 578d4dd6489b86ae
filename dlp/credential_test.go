package dlp

import (
	"bytes"
	"strings"
	"testing"

	"weir/dissect"
)

// TestCredentials: what tells itself by a name is hidden, the name and all else stays.
func TestCredentials(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"/a/b?x=1&y=2", "/a/b?x=1&y=2"},
		{"/login?user=bob&password=hunter2&next=/a", "/login?user=bob&password=…(7)&next=/a"},
		{"/cb?code=abc123&state=x", "/cb?code=…(6)&state=x"},
		{"/cb#access_token=abc&token_type=bearer", "/cb#access_token=…(3)&token_type=bearer"},
		{"/a?page_tokens=10&max_tokens=5", "/a?page_tokens=10&max_tokens=5"},
		{"/a?key=AbC&sig=x%2By&se=1", "/a?key=…(3)&sig=…(5)&se=1"},
		{"/a?X-Amz-Signature=fe5f80&X-Amz-Date=2", "/a?X-Amz-Signature=…(6)&X-Amz-Date=2"},
		{"/a?pass%77ord=hunter2", "/a?pass%77ord=…(7)"},
		{"/a?password%3dhunter2%26b=c", "/a?password%3d…(7)%26b=c"},
		{"/a?password=ab%26cd%20ef&b=c", "/a?password=…(12)&b=c"},
		{"/r?u=https%3A%2F%2Fbob%3Ahunter2%40h%2F%3Ftoken%3Dabc%26x%3D1&y=2", "/r?u=https%3A%2F%2Fbob%3A…(7)%40h%2F%3Ftoken%3D…(3)%26x%3D1&y=2"},
		{"/r?u=%2525%253Ftoken%253Dabc&y=2", "/r?u=%2525%253Ftoken%253D…(3)&y=2"},
		{"/a;jsessionid=0A1B;x=1?y", "/a;jsessionid=…(4);x=1?y"},
		{"user[password]=hunter2&user[name]=bob", "user[password]=…(7)&user[name]=bob"},
		{"https://bob:hunter2@host:8080/x", "https://bob:…(7)@host:8080/x"},
		{"https://bob:hunt@er2@host/x", "https://bob:…(8)@host/x"},
		{"postgres://u:p/w#1@host/db", "postgres://u:…(5)@host/db"},
		{"redis://:hunter2@host", "redis://:…(7)@host"},
		{"https://x0token0x@github.com/a", "https://…(9)@github.com/a"},
		{"ssh://git@github.com/a@b", "ssh://git@github.com/a@b"},
		{"http://host:8080/a@b:c", "http://host:8080/a@b:c"},
		{"u:hunter2@tcp(db:3306)/x", "u:…(7)@tcp(db:3306)/x"},
		{"mailto:bob@example.org sip:bob@example.org", "mailto:bob@example.org sip:bob@example.org"},
		{"Authorization: Bearer abc.def\r\nHost: x", "Authorization: Bearer …(7)\r\nHost: x"},
		{"Host: x\r\nproxy-authorization: Basic dTpw\r\n", "Host: x\r\nproxy-authorization: Basic …(4)\r\n"},
		{"Authorization: my own words", "Authorization: …(12)"},
		{"X-Api-Key: a b c\r\nX-Other: y", "X-Api-Key: …(5)\r\nX-Other: y"},
		{"Cookie: a=b; sid=1234\r\nX: y", "Cookie: a=…(1); sid=…(4)\r\nX: y"},
		{"Set-Cookie: sid=1234; Path=/; HttpOnly", "Set-Cookie: sid=…(4); Path=/; HttpOnly"},
		{"curl -H 'x' bearer eyJhbGciOi", "curl -H 'x' bearer …(10)"},
		{"basic authentication is required", "basic authentication is required"},
		{`{"user":"bob","password":"hun\"ter2","n":1}`, `{"user":"bob","password":"…(9)","n":1}`},
		{`{"password" : "hunter2", "apiKey": 12345}`, `{"password" : "…(7)", "apiKey": …(5)}`},
		{`"{\"password\":\"hunter2\",\"a\":\"b\"}"`, `"{\"password\":\"…(7)\",\"a\":\"b\"}"`},
		{"host=h password=hunter2 dbname=d", "host=h password=…(7) dbname=d"},
		{"Server=h;Password=my hun;ter2;Database=d", "Server=h;Password=…(11);Database=d"},
		{"(DESCRIPTION=(PASSWORD=hun ter2)(HOST=h))", "(DESCRIPTION=(PASSWORD=…(8))(HOST=h))"},
		{"(&(uid=bob)(userPassword=hunter2))", "(&(uid=bob)(userPassword=…(7)))"},
		{"AUTH PLAIN AGFiYwBkZWY=", "AUTH PLAIN …(12)"},
		{"530 not for PASS hunter2", "530 not for PASS …(7)"},
		{"a1 LOGIN bob hunter2", "a1 LOGIN bob …(7)"},
		{"CONFIG SET requirepass hunter2", "CONFIG SET requirepass …(7)"},
		{"Access denied for user 'root'@'10.0.0.1' (using password: YES)", "Access denied for user 'root'@'10.0.0.1' (using password: YES)"},
		{"CREATE USER bob IDENTIFIED BY 'hun''ter2' ACCOUNT LOCK", "CREATE USER bob IDENTIFIED BY '…(9)' ACCOUNT LOCK"},
		{"alter user bob identified by hunter2 x", "alter user bob identified by …(7) x"},
		{"ALTER ROLE bob PASSWORD 'hunter2'", "ALTER ROLE bob PASSWORD '…(7)'"},
		{"select 1 where password = 'hunter2'", "select 1 where password = '…(7)'"},
		{"card 4556737586899855, 4556-7375-8689-9855 and 4556 7375 8689 9855 12/27", "card 455673******9855, 4556-73**-****-9855 and 4556 73** **** 9855 12/27"},
		{";4556737586899855=27121010000012345? %B4556737586899855^DOE/J^2712101123?", ";…(34)? %B…(33)?"},
		{"x=4556737586899855^DOE/J^2712101123?", "x=…(33)?"},
		{"2026-11-26 4556 7375 8689 9855", "2026-11-26 4556 73** **** 9855"},
		{"771,4865-4866-4867-4868-49195,0-23", "771,4865-4866-4867-4868-49195,0-23"},
		{"x4556737586899855 4556737586899855x 0.4556737586899855", "x4556737586899855 4556737586899855x 0.4556737586899855"},
		{"token=ghp_…(40)&x=1", "token=ghp_…(40)&x=1"},
		{"&lt;a href=&quot;/?token=abc&amp;b=c&quot;&gt;", "&lt;a href=&quot;/?token=…(3)&amp;b=c&quot;&gt;"},
		{"/a?ssn=219099999&iban=DE89&x=1", "/a?ssn=…(9)&iban=…(4)&x=1"},
		{"/a?ssn=***-**-9999&cardNumber=NDU1Ng%3D%3D", "/a?ssn=***-**-9999&cardNumber=…(12)"},
		{"SSN: 219-09-9999 and more", "SSN: …(11) and more"},
		{"company=17&japan=1", "company=17&japan=1"},
		{"password=", "password="},
		{"password", "password"},
		{"\xff\xfe%zz%", "\xff\xfe%zz%"},
	} {
		var m Masker
		if got := string(m.Text([]byte(c.in), dissect.Text)); got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.in, got, c.want)
		}
		if again := string(m.Text([]byte(c.want), dissect.Text)); again != c.want {
			t.Errorf("%s\nmasked twice: %s", c.want, again)
		}
	}
}

func TestCredentialsByField(t *testing.T) {
	for _, c := range []struct {
		p        dissect.Privacy
		in, want string
	}{
		{dissect.Credential, "hunter2", "…(7)"},
		{dissect.Sealed, "hunter2", "…(7)"},
		{dissect.Cookies, "a=b; c=d", "a=…(1); c=…(1)"},
		{dissect.Cookies, "sid=1; Path=/; expires=Wed, 1 Jan", "sid=…(1); Path=/; expires=Wed, 1 Jan"},
		{dissect.Cookies, "justavalue", "…(10)"},
		{dissect.Statement, "select 'a', 17 from t", "select 'a', 17 from t"},
		{dissect.Statement, "INSERT INTO users (login, password) VALUES ('bob', 'hunter2'), ('al', $x$p'w$x$)", "INSERT INTO users (login, password) VALUES ('…(3)', '…(7)'), ('…(2)', …(9))"},
		{dissect.Statement, "SET PASSWORD FOR 'bob'@'%' = 'hunter2'", "SET PASSWORD FOR '…(3)'@'…(1)' = '…(7)'"},
		{dissect.Statement, "update t set pin = 12345 where id = 17", "update t set pin = …(5) where id = 17"},
		{dissect.Statement, "ALTER USER a PASSWORD/**/'hunter2'", "ALTER USER a PASSWORD/**/'…(7)'"},
		{dissect.Statement, "select pgp_sym_encrypt('data', 'hunter2')", "select pgp_sym_encrypt('…(4)', '…(7)')"},
	} {
		var m Masker
		if got := string(m.Text([]byte(c.in), c.p)); got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.in, got, c.want)
		}
	}
}

// TestValues: what was found is hidden in whatever way it is written elsewhere.
func TestValues(t *testing.T) {
	card := NewValue([]byte("4556 7375 8689 9855"), "CARD")
	secret := NewValue([]byte("Hunter2-Hunter2"), "SECRET")
	ssn := NewValue([]byte("536-29-4720"), "SSN")
	short := NewValue([]byte("a-b1"), "SHORT")
	for _, c := range []struct{ in, want string }{
		{"a 4556-7375-8689-9855 b", "a CARD b"},
		{"a45.56.73.75.86.89.98.55b", "aCARDb"},
		{"/%34%35%35%36%37%33%37%35%38%36%38%39%39%38%35%35/", "/CARD/"},
		{`\u0034556737586899855`, "CARD"},
		{"４５５６７３７５８６８９９８５５", "CARD"},
		{"4556\u200b7375\u200b8689\u200b9855", "CARD"},
		{"x HUNTER2HUNTER2 y hunter2_hunter2", "x SECRET y SECRET"},
		{"b64 dTpIdW50ZXIyLUh1bnRlcjI=", "b64 …(24)"},
		{"b64 eHU6SHVudGVyMi1IdW50ZXIy.x", "b64 …(24).x"},
		{"hex 48756e746572322d48756e74657232", "hex …(30)"},
		{"hex f48756e746572322d48756e74657232", "hex …(31)"},
		{"a-b1 A-B1 ab1", "SHORT SHORT ab1"},
		{"/q/NTM2LTI5LTQ3MjA= x", "…(19) x"},
		{"/q/NTM2LTI5LTQ3MjA", "…(18)"},
		{"nothing of it", "nothing of it"},
	} {
		var m Masker
		if got := string(m.Text([]byte(c.in), dissect.Text, []Value{card, secret}, []Value{short, ssn})); got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.in, got, c.want)
		}
	}
	long := NewValue([]byte(strings.Repeat("abcdefgh", 40)), "LONG")
	var m Masker
	if got := string(m.Text([]byte("x="+strings.Repeat("abcdefgh", 40)+"!"), dissect.Text, []Value{long})); got != "x=LONG!" {
		t.Error(got)
	}
}

func FuzzMasker(f *testing.F) {
	f.Add([]byte("a=b&password=c"), []byte("c"))
	f.Fuzz(func(t *testing.T, b, v []byte) {
		if len(b) > 4096 || len(v) > 4096 {
			return
		}
		in := bytes.Clone(b)
		var m Masker
		value := []Value{NewValue(v, "***")}
		for p := dissect.Text; p <= dissect.Sealed; p++ {
			m.Text(b, p, value)
			m.stars(bytes.Clone(b), p)
		}
		if !bytes.Equal(in, b) {
			t.Fatal("the text was changed")
		}
	})
}

func BenchmarkMasker(b *testing.B) {
	url := []byte("/api/v1/orders?customer=4711&sort=created_at&page=12&fields=id,name,total&locale=de_DE&trace=0af7651916cd43dd")
	var m Masker
	b.SetBytes(int64(len(url)))
	b.ReportAllocs()
	for b.Loop() {
		m.Text(url, dissect.Text)
	}
}
