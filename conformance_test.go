package weir_test

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
)

// corpus returns the folder of public test data, named by CORPUS. Without it the test is skipped, saying so.
func corpus(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("CORPUS")
	if dir == "" {
		t.Skip("CORPUS is not set: run `make conformance CORPUS=DIR`")
	}
	if _, err := os.Stat(dir + "/SOURCES.csv"); err != nil {
		t.Fatalf("CORPUS=%s is not the corpus: %v", dir, err)
	}
	return dir
}

// scored are the scores of this run, by name.
var scored = map[string]scoring{}

type scoring struct{ met, all int }

// score prints one table's line, "name: met/all", and fails below the table's floor in testdata/conformance/floors.txt.
// Which items failed belongs in t.Logf, seen with -v.
func score(t *testing.T, name string, met, all int) {
	t.Helper()
	fmt.Printf("%s: %d/%d\n", name, met, all)
	scored[name] = scoring{met, all}
	if all == 0 {
		t.Fatalf("%s: the table is empty", name)
	}
	floor, ok := floors(t)[name]
	if !ok {
		return
	}
	if got := 100 * float64(met) / float64(all); got < floor {
		t.Errorf("%s: %.2f %%, the floor is %g %%", name, got, floor)
	}
}

func floors(t *testing.T) map[string]float64 {
	t.Helper()
	f, err := os.Open("testdata/conformance/floors.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	out := map[string]float64{}
	for s := bufio.NewScanner(f); s.Scan(); {
		line, _, _ := strings.Cut(s.Text(), "#")
		w := strings.Fields(line)
		if len(w) == 0 {
			continue
		}
		v, err := strconv.ParseFloat(w[len(w)-1], 64)
		if err != nil || len(w) != 2 {
			t.Fatalf("floors.txt: bad line %q", s.Text())
		}
		out[w[0]] = v
	}
	return out
}
