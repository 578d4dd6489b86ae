package dlp

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"weir/dissect"
	"weir/rules"
)

// benchRules reads the expressions of RULES, a file with one pcre:"/.../flags" per line.
func benchRules(tb testing.TB) []*rules.Rule {
	path := os.Getenv("RULES")
	if path == "" {
		tb.Skip("RULES is not set")
	}
	b, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	re := regexp.MustCompile(`(content:"[^"]*"; ?(?:nocase; ?)?)*(?:pcre:"/(.*?)/([a-zA-Z]*)")?; sid:(\d+)`)
	lit := regexp.MustCompile(`content:"([^"]*)"`)
	var out []*rules.Rule
	for _, line := range strings.Split(string(b), "\n") {
		m := re.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		x := m[2]
		if i := strings.Index(line, `pcre:"/`); i >= 0 {
			x = line[i+7:]
			j := strings.LastIndex(x, "/")
			if strings.Contains(x[j:], "i") && strings.Index(x[j:], "i") < strings.Index(x[j:], `"`) {
				x = "(?i)" + x[:j]
			} else {
				x = x[:j]
			}
		} else if l := lit.FindStringSubmatch(line); l != nil {
			x = regexp.QuoteMeta(l[1])
		}
		if _, err := parse(x); err != nil {
			tb.Logf("left out: %v", err)
			continue
		}
		out = append(out, &rules.Rule{ID: m[4], Regex: x})
	}
	return out
}

func BenchmarkInspect(b *testing.B) {
	_, s := mustCompile(b, benchRules(b)...)
	body, err := os.ReadFile(os.Getenv("DATA"))
	if err != nil {
		b.Skip(err)
	}
	for _, size := range []int{64, 256, 1400, 16 << 10, 64 << 10} {
		b.Run("whole/"+strconv.Itoa(size), func(b *testing.B) { benchWhole(b, s, body, size) })
		b.Run("parts/"+strconv.Itoa(size), func(b *testing.B) { benchParts(b, s, body, size) })
		b.Run("native/"+strconv.Itoa(size), func(b *testing.B) { benchNative(b, s, body, size) })
	}
}

func benchWhole(b *testing.B, s *Scanner, body []byte, size int) {
	m := dissect.Message{Protocol: &dissect.Raw, ID: 1, End: true, Parts: make([]dissect.Part, 1)}
	var st State
	var hits []Hit
	b.SetBytes(int64(size))
	b.ReportAllocs()
	at := 0
	for b.Loop() {
		if at+size > len(body) {
			at = 0
		}
		m.Parts[0] = dissect.Part{Value: 1, Bytes: body[at : at+size]}
		hits = s.Inspect(&st, &m, hits[:0])
		at += size
	}
}

func benchParts(b *testing.B, s *Scanner, body []byte, size int) {
	m := dissect.Message{Protocol: &dissect.Raw, ID: 1, Parts: make([]dissect.Part, 1)}
	var st State
	var hits []Hit
	b.SetBytes(int64(size))
	b.ReportAllocs()
	at, off := 0, int64(0)
	for b.Loop() {
		if at+size > len(body) {
			at = 0
		}
		m.Parts[0] = dissect.Part{Value: 1, Bytes: body[at : at+size], Off: off, More: true}
		hits = s.Inspect(&st, &m, hits[:0])
		at += size
		off += int64(size)
	}
	s.Close(&st, nil)
}

func benchNative(b *testing.B, s *Scanner, body []byte, size int) {
	c := s.db.matchers[0]
	b.SetBytes(int64(size))
	at := 0
	for b.Loop() {
		if at+size > len(body) {
			at = 0
		}
		s.native.block(c.native, body[at:at+size])
		at += size
	}
}
