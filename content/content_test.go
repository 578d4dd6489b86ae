package content

import (
	"bytes"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"weir/dissect"
)

// shown is what came out of one view.
type shown struct {
	view uint8
	text []byte
	from []int64 // for each byte, where in view 0 it begins and ends
	to   []int64
}

// open plays value in pieces of n bytes, and returns what was found inside, by view. Pieces of a view that are not one text have a NUL between them.
func open(t testing.TB, value []byte, n int) (views []shown, refused []Refusal) {
	t.Helper()
	o := New(dissect.DefaultLimits)
	var st State
	wants := make(dissect.Wants, len(dissect.FieldNames))
	for i := range wants {
		wants[i] = true
	}
	next := map[uint8]int64{}
	emit := func(m *dissect.Message) {
		for _, p := range m.Parts {
			if p.View < dissect.ViewInside {
				t.Fatalf("view %d", p.View)
			}
			var s *shown
			for i := range views {
				if views[i].view == p.View {
					s = &views[i]
				}
			}
			if s == nil {
				views = append(views, shown{view: p.View})
				s = &views[len(views)-1]
			}
			if at, ok := next[p.View]; ok && at != p.Off {
				s.text, s.from, s.to = append(s.text, 0), append(s.from, -1), append(s.to, -1)
			}
			next[p.View] = p.Off + int64(len(p.Bytes))
			if !p.More {
				next[p.View] = -1
			}
			for i, c := range p.Bytes {
				var sh *dissect.Shift
				for k := range p.Shifts {
					if p.Shifts[k].At <= p.Off+int64(i) {
						sh = &p.Shifts[k]
					}
				}
				if sh == nil {
					t.Fatalf("view %d: no shift for offset %d", p.View, p.Off+int64(i))
				}
				s.text = append(s.text, c)
				s.from, s.to = append(s.from, sh.Begin(p.Off+int64(i))), append(s.to, sh.End(p.Off+int64(i)))
			}
		}
	}
	for at := 0; at < len(value) || at == 0; at += n {
		end := min(at+n, len(value))
		part := dissect.Part{Field: dissect.RawBytes, Off: int64(at), Bytes: bytes.Clone(value[at:end]), More: end < len(value)}
		m := dissect.Message{Protocol: &dissect.Raw, ID: 1, Parts: []dissect.Part{part}, End: !part.More}
		o.Open(&st, &m, wants, emit)
		for i := range part.Bytes {
			part.Bytes[i] = 0xdb
		}
		refused = append(refused, o.Refused()...)
	}
	if !st.Empty() || st.Size() != 0 {
		t.Errorf("the state is not empty after the end: %d bytes", st.Size())
	}
	return views, refused
}

const planted = "token=WEIRTOKEN-0123ab;"

// TestFound: what is planted is found in each encoding, at its place, however the value is cut.
func TestFound(t *testing.T) {
	b64 := base64.StdEncoding.EncodeToString([]byte(planted))
	wrapped := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("some words first, ", 9) + planted))
	for i := 76; i < len(wrapped); i += 78 {
		wrapped = wrapped[:i] + "\r\n" + wrapped[i:]
	}
	for name, s := range map[string]string{
		"base64":         `{"a":"` + b64 + `","b":1}`,
		"base64url":      "data=" + base64.RawURLEncoding.EncodeToString([]byte(planted+"\xc3\xbf\xc3\xbf??>>")) + "&x=1",
		"base64 in path": "/api/v1/" + b64 + "/x",
		"base64 lines":   "Subject: x\r\n\r\n" + wrapped + "\r\n\r\nbye\r\n",
		"base64 JSON":    `{"a":"` + strings.ReplaceAll(base64.StdEncoding.EncodeToString([]byte("???>>>???"+planted)), "/", `\/`) + `"}`,
		"hex":            "0x" + hex.EncodeToString([]byte(planted)) + " end",
		"hex in base64":  base64.StdEncoding.EncodeToString([]byte("a " + hex.EncodeToString([]byte(planted)) + " b")),
		"base64 thrice":  base64.StdEncoding.EncodeToString([]byte(base64.StdEncoding.EncodeToString([]byte("x " + base64.StdEncoding.EncodeToString([]byte("yy"+planted)))))),
		"base32":         "q=" + base32.StdEncoding.EncodeToString([]byte(planted)) + "&x",
		"base32 lower":   "q=" + strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString([]byte(planted))) + "&x",
		"hex bytea":      `INSERT '\\x` + hex.EncodeToString([]byte(planted)) + "'",
		"unicode":        `{"a":"` + each(planted, `\u%04x`) + `"}`,
		"hex escapes":    `a = "` + each(planted, `\x%02X`) + `";`,
		"octal escapes":  `a = "` + each(planted, `\%03o`) + `";`,
		"percent":        "a=" + each(planted, "%%%02x") + "&b=1",
		"some percent":   "a=" + strings.NewReplacer("=", "%3D", "-", "%2d").Replace(planted) + "&b=1",
		"entities":       "<a>" + each(planted, "&#%d;") + "</a>",
		"hex entities":   "<a>" + each(planted, "&#x%x;") + "</a>",
		"named entities": "<a>" + strings.NewReplacer("=", "&equals;", "-", "&dash;", ";", "&semi;").Replace(planted) + "</a>",
		"printable":      "Subject: x\n\n" + each(planted, "=%02X") + "\n",
		"soft breaks":    "x\r\n\r\nand token=3DWEIRTOK=\r\nEN-01=\n23ab;\r\n",
		"UTF-16LE":       "\x01\x02" + units("some text "+planted+" \u4e2d", false) + "\x00\x00\x07\x07",
		"UTF-16BE":       "\x01\x02" + units("some text "+planted, true) + "\x07\x07\x07",
		"UTF-16 base64":  "powershell -enc " + base64.StdEncoding.EncodeToString([]byte(units("some "+planted, false))),
		"UTF-7":          "x +" + strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(units("some "+planted+"\u4e2d", true))), "=") + "- y",
		"UTF-7 each":     "x " + utf7Each("some words, "+planted) + " y",
		"full-width":     full(planted),
		"dashes":         strings.Replace(planted, "-", "\u2011", 1),
		"no width":       strings.ReplaceAll(planted, "N", "N\u200b") + "\u00ad",
		"percent base64": "a=" + strings.ReplaceAll(base64.StdEncoding.EncodeToString([]byte("a"+planted+"b")), "=", "%3D"),
		"JSON in JSON":   `{"a":"{\"b\":\"{\\\"c\\\":\\\"\\\\u0074oken=WEIRTOKEN-0123ab;\\\"}\"}"}`,
	} {
		t.Run(name, func(t *testing.T) {
			long := strings.Repeat("nothing to see, ", 40)
			for _, around := range []string{"", long} {
				value := around + s + around
				want, _ := open(t, []byte(value), len(value))
				found(t, want, value)
				for n := 1; n < len(value); n = n*5/4 + 1 {
					got, _ := open(t, []byte(value), n)
					if g, w := texts(got), texts(want); g != w {
						t.Fatalf("in pieces of %d bytes:\n%s\nwhole:\n%s", n, g, w)
					}
					found(t, got, value)
				}
			}
		})
	}
}

// each writes every byte of s in a format.
func each(s, format string) string {
	var out strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&out, format, s[i])
	}
	return out.String()
}

// units writes s in UTF-16.
func units(s string, big bool) string {
	var out []byte
	for _, u := range utf16.Encode([]rune(s)) {
		if big {
			out = append(out, byte(u>>8), byte(u))
		} else {
			out = append(out, byte(u), byte(u>>8))
		}
	}
	return string(out)
}

// utf7Each writes s in UTF-7, every other letter by itself.
func utf7Each(s string) string {
	var out strings.Builder
	for i, c := range s {
		if i > 9 && i%2 == 1 && (c >= 'a' && c <= 'z' || c >= '0' && c <= '9') {
			out.WriteRune(c)
			continue
		}
		out.WriteString("+" + strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(units(string(c), true))), "=") + "-")
	}
	return out.String()
}

// full writes s with full-width characters.
func full(s string) string {
	var out []rune
	for _, r := range s {
		out = append(out, r-'!'+0xff01)
	}
	return string(out)
}

// found checks that the token is in one of the views, and stands for bytes of the value that hold it.
func found(t *testing.T, views []shown, value string) {
	t.Helper()
	for _, s := range views {
		i := bytes.Index(s.text, []byte(planted))
		if i < 0 {
			continue
		}
		from, to := s.from[i], s.to[i+len(planted)-1]
		if from < 0 || to > int64(len(value)) || from >= to {
			t.Fatalf("it stands for [%d,%d) of %d bytes", from, to, len(value))
		}
		if again, _ := open(t, []byte(value[:from]+strings.Repeat(".", int(to-from))+value[to:]), len(value)); strings.Contains(texts(again), "0123ab") {
			t.Fatalf("it is there still without [%d,%d)", from, to)
		}
		return
	}
	t.Fatalf("not found:\n%s", texts(views))
}

// texts returns what views show, in no order: which comes first of two that are open at once is a matter of how the value is cut.
func texts(views []shown) string {
	var out []string
	for _, s := range views {
		for _, stretch := range bytes.Split(s.text, []byte{0}) {
			out = append(out, fmt.Sprintf("%q\n", stretch))
		}
	}
	slices.Sort(out)
	return strings.Join(out, "")
}

// FuzzOpen: whatever comes, it is opened without a panic, to the same text however it is cut, and what is found leads back into the value.
func FuzzOpen(f *testing.F) {
	f.Add([]byte("a "+base64.StdEncoding.EncodeToString([]byte(planted))+" b"), 3)
	f.Add([]byte(hex.EncodeToString([]byte(planted))), 7)
	f.Add([]byte("a "+utf7Each(planted)+" b"), 5)
	f.Add([]byte("\x19\x93\x93\x93\x93\x930202009202009202020202020\x009000002009202\r000202000000"), 1)
	f.Add([]byte("0000000000000202020200920202020202020"), 1)
	f.Fuzz(func(t *testing.T, value []byte, n int) {
		if len(value) > 1<<14 || len(value) < least {
			return
		}
		want, _ := open(t, value, max(len(value), 1))
		got, _ := open(t, value, max(1, n%max(len(value), 1)))
		if g, w := texts(got), texts(want); g != w {
			t.Fatalf("in pieces:\n%s\nwhole:\n%s", g, w)
		}
		for _, s := range want {
			for i := range s.from {
				if s.text[i] != 0 && s.from[i] < placeless && (s.from[i] < 0 || s.to[i] > int64(len(value)) || s.from[i] >= s.to[i]) {
					t.Fatalf("view %d, byte %d stands for [%d,%d) of %d bytes", s.view, i, s.from[i], s.to[i], len(value))
				}
			}
		}
	})
}
