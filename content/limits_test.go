package content

import (
	"bytes"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"math/rand/v2"
	"mime/quotedprintable"
	"strings"
	"testing"
	"time"

	"weir/dissect"
)

// decodedAs reports whether a view shows want.
func decodedAs(views []shown, want string) bool {
	for _, s := range views {
		if bytes.Contains(s.text, []byte(want)) {
			return true
		}
	}
	return false
}

// TestLikeOthers: what the standard library encodes is decoded to the same text.
func TestLikeOthers(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 300 {
		text := make([]byte, 16+r.IntN(300))
		for i := range text {
			text[i] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJ0123456789 .,;:-_()!?~{}[]"[r.IntN(62)]
		}
		copy(text, "plain to see, ")
		var quoted strings.Builder
		q := quotedprintable.NewWriter(&quoted)
		q.Write(bytes.ReplaceAll(text, []byte("="), []byte("~")))
		q.Close()
		for name, s := range map[string][2]string{
			"base64":    {base64.StdEncoding.EncodeToString(text), string(text)},
			"raw":       {base64.RawStdEncoding.EncodeToString(text), string(text)},
			"url":       {base64.URLEncoding.EncodeToString(text), string(text)},
			"hex":       {hex.EncodeToString(text), string(text)},
			"upper hex": {strings.ToUpper(hex.EncodeToString(text)), string(text)},
			"base32":    {base32.StdEncoding.EncodeToString(text), string(text)},
		} {
			views, _ := open(t, []byte("a: "+s[0]+"\n"), 1+r.IntN(100))
			if !decodedAs(views, s[1]) {
				t.Fatalf("%s of %q:\n%s", name, text, texts(views))
			}
		}
		if s := quoted.String(); strings.Contains(s, "=\r\n") {
			views, _ := open(t, []byte(s), 1+r.IntN(100))
			if want := string(bytes.ReplaceAll(text, []byte("="), []byte("~"))); !decodedAs(views, strings.TrimRight(want, " ")) {
				t.Fatalf("quoted-printable of %q:\n%s", want, texts(views))
			}
		}
	}
}

// TestDepth: encodings within each other are undone to a depth, what is deeper is told, and neither costs much.
func TestDepth(t *testing.T) {
	text := planted
	for n := 1; n <= 12; n++ {
		text = base64.StdEncoding.EncodeToString([]byte("in it: " + text))
		views, refused := open(t, []byte(text), 1000)
		deep := n > dissect.DefaultLimits.DecodeDepth
		if decodedAs(views, planted) == deep {
			t.Errorf("%d times: found %v", n, !deep)
		}
		told := false
		for _, r := range refused {
			told = told || r.Code == "content.depth" && r.Bytes > 0
		}
		if told != deep {
			t.Errorf("%d times: told %v", n, told)
		}
	}
}

// TestBounded: what is made to cost much costs little, and leaves nothing behind.
func TestBounded(t *testing.T) {
	const size = 1 << 20
	for name, unit := range map[string]string{
		"almost base64":   "QUFBQUFBQUFBQUFB\xff",
		"failing starts":  "/QUF\x00AAAA-BBBB_CCCC+DDDD",
		"delimiters":      "-/_+-/_+-/_+-/_+-/_+-/_+",
		"escapes":         `\u0041`,
		"broken escapes":  `\u004`,
		"percent":         "%41",
		"ampersands":      "&aaaaaaaa&#",
		"equals":          "=41=4=\r\n",
		"NUL":             "a\x00",
		"NULs":            "\x00\x00\x00a\x00",
		"digits":          "4 1 ",
		"signs":           "\u200b\u00a0\uff14",
		"base64 in lines": "QUFBQUFBQUFBQUFBQUFBQUFB\r\n  ",
		"labels":          "mfqwcylbmfqwcylbmfqwcylb.",
	} {
		text := []byte(strings.Repeat(unit, size/len(unit)))
		o := New(dissect.DefaultLimits)
		var st State
		wants := make(dissect.Wants, len(dissect.FieldNames))
		wants[dissect.RawBytes] = true
		begun, out, most := time.Now(), 0, 0
		for at := 0; at < len(text); at += 1400 {
			end := min(at+1400, len(text))
			m := dissect.Message{Protocol: &dissect.Raw, ID: 1, Parts: []dissect.Part{{Field: dissect.RawBytes, Off: int64(at), Bytes: text[at:end], More: end < len(text)}}}
			o.Open(&st, &m, wants, func(m *dissect.Message) { out += len(m.Parts[0].Bytes) })
			most = max(most, st.Size())
		}
		if took := time.Since(begun); took > 20*time.Second || out > 5*size || most > 64<<10 || !st.Empty() {
			t.Errorf("%s: %v for 1 MiB, %d bytes shown, %d bytes held", name, took, out, most)
		}
	}
}

// TestNoAllocation: in the steady state nothing is allocated, whether there is something inside or not.
func TestNoAllocation(t *testing.T) {
	o := New(dissect.DefaultLimits)
	var st State
	wants := make(dissect.Wants, len(dissect.FieldNames))
	wants[dissect.RawBytes] = true
	text := []byte(strings.Repeat("nothing to see, ", 100) + base64.StdEncoding.EncodeToString([]byte(planted)) + ` \u0041 &#65; %41 ` + units("some wide text", false))
	parts := make([]dissect.Part, 1)
	m := &dissect.Message{Protocol: &dissect.Raw, ID: 1, Parts: parts}
	emit := func(*dissect.Message) {}
	pass := func() {
		parts[0] = dissect.Part{Field: dissect.RawBytes, Bytes: text}
		o.Open(&st, m, wants, emit)
		for at := 0; at < len(text); at += 300 {
			end := min(at+300, len(text))
			parts[0] = dissect.Part{Field: dissect.RawBytes, Value: 1, Off: int64(at), Bytes: text[at:end], More: end < len(text)}
			o.Open(&st, m, wants, emit)
		}
	}
	pass()
	if n := testing.AllocsPerRun(100, pass); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
