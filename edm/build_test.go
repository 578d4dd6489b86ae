package edm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestBuildErrors(t *testing.T) {
	secret := "S3CRETVALUE"
	for _, c := range []struct{ csv, columns, want string }{
		{"", "a", "line 1: the file is empty"},
		{"a,b\n", "a", "line 1: there is no row with a value"},
		{"a,b\n,x\n", "a", "line 1: there is no row with a value"},
		{secret + "," + secret + "1\n", secret + "2", `line 1: no column is called "` + secret + `2": the first line must name the 2 columns`},
		{"a,b\n1,2\n" + secret + "\n", "a", "line 3: it has another number of columns than the first line"},
		{"a,b\n1,2\n1," + secret + "\xff\n", "b", `line 3: column "b": this is not UTF-8 (convert the file, as with iconv)`},
		{"a,b\n1,\"" + secret + "\n", "a", `line 2: column`},
		{"a,b\n1," + secret + "\"\n", "a", `line 2: column`},
		{"a,b\n11,2\n1,\"" + strings.Repeat(secret+"\n", maxRecord/8) + "\n", "a", "line 3: a record is longer than 1048576 bytes: is a quote not closed?"},
	} {
		path := filepath.Join(t.TempDir(), "set.edm")
		_, err := Build(t.Context(), strings.NewReader(c.csv), path, Options{Columns: []string{c.columns}, Key: testKey})
		var where *CSVError
		if !errors.As(err, &where) || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%v, want %s", err, c.want)
		} else if c.columns[0] != secret[0] && strings.Contains(err.Error(), secret) {
			t.Error("the error shows a value")
		}
		if files, _ := os.ReadDir(filepath.Dir(path)); len(files) > 0 {
			t.Errorf("left behind: %v", files)
		}
	}
}

// TestBuildKeeps: a build that fails leaves the set as it was.
func TestBuildKeeps(t *testing.T) {
	path := build(t, people, "name")
	before, _ := os.ReadFile(path)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Build(ctx, strings.NewReader(people), path, Options{Columns: []string{"email"}, Key: testKey}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
		t.Error("the set was changed")
	}
}

func TestLeftOut(t *testing.T) {
	in := "name,sex\nA & B,m\nLi,f\na b c d e f g h i j k l m n o p q,m\n" + strings.Repeat("x", 200) + ",f\nB & C,\n"
	path := filepath.Join(t.TempDir(), "set.edm")
	got, err := Build(t.Context(), strings.NewReader("\xef\xbb\xbf"+in), path, Options{Columns: []string{"name", "sex"}, Key: testKey})
	if err != nil {
		t.Fatal(err)
	}
	want := []LeftOut{
		{"name", "what stands between the words would end a value in a text", 2, 2},
		{"sex", "a single character stands everywhere", 4, 2},
		{"name", "more than 16 words", 1, 4},
		{"name", "longer than 128 bytes", 1, 5},
	}
	if !slices.Equal(got.LeftOut, want) || got.Rows != 5 || got.Cells != 1 {
		t.Errorf("got %+v", got)
	}
}

func TestKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	for _, c := range []struct {
		n    int
		mode os.FileMode
		want string
	}{{32, 0o600, ""}, {32, 0o440, ""}, {31, 0o600, "at least 32"}, {5000, 0o600, "this is no key"}, {32, 0o644, ""}, {32, 0o602, "chmod 600"}} {
		os.Remove(path)
		if err := os.WriteFile(path, make([]byte, c.n), c.mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, c.mode); err != nil {
			t.Fatal(err)
		}
		_, err := ReadKey(path)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%d bytes, mode %o: %v, want %q", c.n, c.mode, err, c.want)
		}
	}
}

// TestCommonValues: a value that stands in many rows is found in all of them.
func TestCommonValues(t *testing.T) {
	var in strings.Builder
	in.WriteString("city,id\n")
	for i := range 3000 {
		fmt.Fprintf(&in, "%s,%d\n", [3]string{"Bonn", "Ulm", "Bonn"}[i%3], 100000+i)
	}
	s := openSet(t, build(t, in.String(), "city", "id"))
	var f Finder
	found(s, &f, "Bonn, Ulm")
	if len(f.Values) != 2 || f.Values[0].Rows.Len() != 2000 || f.Values[1].Rows.Len() != 1000 {
		t.Fatalf("%v", f.Values)
	}
	for i := range uint32(3000) {
		if s.Has(f.Values[0].Rows, i) != (i%3 != 1) || s.Has(f.Values[1].Rows, i) != (i%3 == 1) {
			t.Fatalf("row %d", i)
		}
	}
}
