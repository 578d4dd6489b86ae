package dissect

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
	"weir/wire"
)

// TestCasesNamed asks all probes, in the order of the table, about the beginnings of the cases NAME-captured.txtar: no port helps.
func TestCasesNamed(t *testing.T) {
	paths, err := filepath.Glob("../testdata/cases/*-captured.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, path := range paths {
		a, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		want := strings.TrimSuffix(filepath.Base(path), "-captured.txtar")
		i := slices.IndexFunc(a.Files, func(f txtar.File) bool { return f.Name == "dialogue" })
		carrier, heads := Stream, [2]string{}
		var got []string
		for _, line := range strings.Split(string(a.Files[i].Data), "\n") {
			word, rest, _ := strings.Cut(line, " ")
			dir := wire.ToServer
			switch word {
			case "udp":
				carrier = Datagram
				continue
			case "<":
				dir = wire.ToClient
			case ">":
			default:
				continue
			}
			if carrier == Datagram {
				heads[dir] = ""
			}
			heads[dir] += unescape(t, path, rest)
			for _, p := range Protocols {
				if p.Carrier&carrier != 0 && p.Probe != nil && p.Probe(dir, []byte(heads[dir])) == Yes {
					got = append(got, p.Name)
					break
				}
			}
		}
		if len(got) == 0 || slices.ContainsFunc(got, func(name string) bool { return name != want }) {
			t.Errorf("%s: named %q", path, got)
		}
	}
}
