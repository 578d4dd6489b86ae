package tunnel

import (
	"encoding/base32"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"weir/wire"
)

// said returns what the last of some names completes.
func joinedAfter(j *Joined, now int64, key *wire.Key, names ...string) (texts []string, dropped bool) {
	for _, n := range names {
		list, d := j.Add(now, key, message(n, "A", 0))
		dropped = dropped || d
		texts = texts[:0]
		for _, t := range list {
			texts = append(texts, string(t))
		}
	}
	return texts, dropped
}

func TestJoined(t *testing.T) {
	key := &wire.Key{}
	secret := "the quick brown fox jumps"
	b32 := strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString([]byte(secret)))
	hx := hex.EncodeToString([]byte(secret))
	for _, c := range []struct {
		what  string
		names []string
		want  string // among the texts; "!..." must not be
	}{
		{"digits", []string{"12345678.a.example.com", "87654321.a.example.com"}, "12345678a87654321a"},
		{"digits, the longest label", []string{"12345678.a.example.com", "87654321.a.example.com"}, "1234567887654321"},
		{"another class", []string{"abcdefghijkl.example.com", "87654321.example.com"}, "abcdefghijkl 87654321"},
		{"hexadecimal", []string{hx[:17] + ".example.com", hx[17:31] + ".example.com", hx[31:] + ".example.com"}, secret},
		{"hexadecimal, upper case", []string{strings.ToUpper(hx[:17]) + ".example.com", strings.ToUpper(hx[17:]) + ".example.com"}, secret},
		{"base32", []string{b32[:17] + ".example.com", b32[17:] + ".example.com"}, secret},
		{"base32 behind junk", []string{"junkjunkj.example.com", b32[:17] + ".example.com", b32[17:] + ".example.com"}, "k brown fox jumps"},
		{"the same name again", []string{"12345678.example.com", "87654321.example.com", "12345678.example.com"}, "!12345678"},
		{"another domain", []string{"12345678.example.com", "87654321.example.org"}, "!1234567887654321"},
		{"short names", []string{"www.example.com", "api.example.com"}, "!wwwapi"},
		{"local names", []string{"12345678.example.local", "87654321.example.local"}, "!1234567887654321"},
	} {
		got, dropped := joinedAfter(NewJoined(), 1, key, c.names...)
		want, not := strings.CutPrefix(c.want, "!")
		has := slices.ContainsFunc(got, func(s string) bool { return s == want || strings.HasSuffix(s, want) && len(want) < len(secret) })
		if has == not || dropped {
			t.Errorf("%s: %q", c.what, got)
		}
	}
	j := NewJoined()
	joinedAfter(j, 1, key, "12345678.example.com")
	if got, _ := joinedAfter(j, 2+joinedIdle, key, "87654321.example.com"); slices.Contains(got, "1234567887654321") {
		t.Error("what was asked for a minute before belongs to it")
	}
	joinedAfter(j, 2+joinedIdle, key, "11111111.example.com")
	j.Found()
	if got, _ := joinedAfter(j, 2+joinedIdle, key, "22222222.example.com"); !slices.Contains(got, "22222222") {
		t.Errorf("what was found is not forgotten: %q", got)
	}
}

// TestJoinedBudget: what is remembered is bounded, and it is told when something was given up; a flood of names without end is.
func TestJoinedBudget(t *testing.T) {
	if n := unsafe.Sizeof(Joined{}); n > JoinedSize {
		t.Errorf("a Joined takes %d bytes, %d are counted", n, JoinedSize)
	}
	j := NewJoined()
	for i := range joinedMost {
		if _, dropped := joinedAfter(j, 1, &wire.Key{}, fmt.Sprintf("12345678.d%d.com", i), fmt.Sprintf("23456789.d%d.com", i)); dropped {
			t.Fatalf("domain %d has no room", i)
		}
	}
	if _, dropped := joinedAfter(j, 2, &wire.Key{}, "12345678.more.com"); !dropped {
		t.Error("it is not told that a domain was forgotten")
	}
	if _, dropped := joinedAfter(j, 3+joinedIdle, &wire.Key{}, "12345678.other.com"); dropped {
		t.Error("what was over is told as forgotten")
	}
	m := message("ab12cd34ef56ab78cd90ef12ab34cd56ef78.example.com", "A", 0)
	n := 0
	if got := testing.AllocsPerRun(100, func() {
		n++
		m.Parts[1].Bytes[0] = 'a' + byte(n%26)
		m.Parts[1].Bytes[1] = 'a' + byte(n/26%26)
		j.Add(4+joinedIdle, &wire.Key{}, m)
	}); got != 0 {
		t.Errorf("%v allocations for a name", got)
	}
}

func BenchmarkJoined(b *testing.B) {
	for name, format := range map[string]string{"ordinary": "www.example%d.com", "long": "ab12cd34ef56ab78cd90ef12ab34cd56ef78%d.example.com"} {
		b.Run(name, func(b *testing.B) {
			j := NewJoined()
			m := message("", "A", 0)
			names := make([][]byte, 64)
			for i := range names {
				names[i] = fmt.Appendf(nil, format, i)
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				m.Parts[1].Bytes = names[i%len(names)]
				j.Add(1, &wire.Key{}, m)
			}
		})
	}
}

// TestJoinedWords: names that are words alone are looked at together once there are many; with a digit among them, each time.
func TestJoinedWords(t *testing.T) {
	j, looks := NewJoined(), 0
	word := func(i int) string { return strings.Repeat(string(rune('a'+i%26)), 12) + ".example.com" }
	const names = 20
	for i := range names {
		if got, _ := joinedAfter(j, 1, &wire.Key{}, word(i)); len(got) > 0 {
			looks++
		}
	}
	if most := names * 12 / joinedWords; looks == 0 || looks > most+1 {
		t.Errorf("%d looks at %d names", looks, names)
	}
	for _, n := range []string{"abc4111.example.com", word(30)} {
		if got, _ := joinedAfter(j, 1, &wire.Key{}, n); len(got) == 0 {
			t.Errorf("%s: not looked at", n)
		}
	}
}
