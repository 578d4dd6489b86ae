package dissect

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

var update = flag.Bool("update", false, "rewrite the values of testdata/cases from playing each case whole")

// fileCase is a case of testdata/cases whose dialogue one protocol's parser understands from its first byte on.
type fileCase struct {
	path     string
	archive  *txtar.Archive
	protocol *Protocol
	turns    []turn
}

// loadCases returns the cases whose files are named NAME-*.txtar, NAME a protocol's, and in which nothing but data is said.
func loadCases(t testing.TB) (out []*fileCase) {
	paths, err := filepath.Glob("../testdata/cases/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, path := range paths {
		a, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		c := &fileCase{path: path, archive: a}
		carrier := Stream
		i := slices.IndexFunc(a.Files, func(f txtar.File) bool { return f.Name == "dialogue" })
		for _, line := range strings.Split(string(a.Files[i].Data), "\n") {
			word, rest, _ := strings.Cut(line, " ")
			switch {
			case word == "udp":
				carrier = Datagram
			case word == ">" || word == "<":
				dir := toS
				if word == "<" {
					dir = toC
				}
				c.turns = append(c.turns, turn{dir, unescape(t, path, rest)})
			case word != "" && word != "tcp" && word != "whole" && word != "not" && word != "nosyn" && !strings.HasPrefix(word, "#"):
				c.turns, carrier = nil, 0 // what the flow table makes of it is not for a parser's test
			}
		}
		c.protocol = named(filepath.Base(path), carrier)
		if c.protocol != nil && c.protocol.New != nil && c.begins() {
			out = append(out, c)
		}
	}
	return out
}

// named returns the protocol over carrier that the file name begins with; of several the longest name.
func named(file string, carrier Carrier) (found *Protocol) {
	for _, p := range Protocols {
		if p.Carrier&carrier != 0 && strings.HasPrefix(file, p.Name+"-") && (found == nil || len(p.Name) > len(found.Name)) {
			found = p
		}
	}
	return found
}

// begins reports whether the protocol's probe recognises the case's beginning.
func (c *fileCase) begins() bool {
	for _, tn := range c.turns {
		if c.protocol.Probe(tn.dir, []byte(tn.data[:min(len(tn.data), MaxProbe)])) == Yes {
			return true
		}
	}
	return false
}

func unescape(t testing.TB, path, s string) string {
	times := 1
	if q, n, ok := strings.Cut(s, "\"*"); ok && strings.HasPrefix(q, "\"") {
		var err error
		if times, err = strconv.Atoi(n); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		s = q[1:]
	} else {
		s = strings.ReplaceAll(s, "\"", "\\\"")
	}
	one, err := strconv.Unquote("\"" + s + "\"")
	if err != nil {
		t.Fatalf("%s: %v: %s", path, err, s)
	}
	return strings.Repeat(one, times)
}

// values returns what was heard as a case's part "values" has it: a line for each value, and for each note.
func (e *heard) text() []byte {
	var b strings.Builder
	for _, k := range e.keys {
		w := strings.Fields(k)
		if v := e.values[k]; strings.HasSuffix(w[2], "/0") {
			fmt.Fprintf(&b, "%s %s %s\n", w[0], w[1], strings.Trim(strconv.Quote(v[:min(len(v), 300)]), "\""))
		}
	}
	for _, n := range e.codes() {
		fmt.Fprintf(&b, "%s\n", n)
	}
	return []byte(b.String())
}

// TestCasesInPieces plays the dialogues of testdata/cases to their protocols' parsers, whole and cut in every way: what is told is the case's
// part "values", if it has one, each time.
func TestCasesInPieces(t *testing.T) {
	for _, c := range loadCases(t) {
		whole, err := piecemeal(t, c.protocol, newEnv(), c.turns, 0)
		if err != nil {
			continue // it is about what is no valid message
		}
		i := slices.IndexFunc(c.archive.Files, func(f txtar.File) bool { return f.Name == "values" })
		switch got := whole.text(); {
		case i < 0:
		case *update:
			c.archive.Files[i].Data = got
			if err := os.WriteFile(c.path, txtar.Format(c.archive), 0o644); err != nil {
				t.Fatal(err)
			}
		case string(got) != string(c.archive.Files[i].Data):
			t.Errorf("%s: got\n%swant\n%s", c.path, got, c.archive.Files[i].Data)
		}
		for _, size := range []int{1, 2, 3, 7, 60} {
			e, err := piecemeal(t, c.protocol, newEnv(), c.turns, size)
			if err == nil && !e.up && !whole.up && !e.broken() {
				err = same(whole, e)
			}
			if err != nil {
				t.Errorf("%s in pieces of %d: %v", c.path, size, err)
			}
		}
	}
}
