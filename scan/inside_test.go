package scan

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"strings"
	"testing"
)

// TestInside: what is encoded in a file is found, where its source stands; also over the border of two pieces.
func TestInside(t *testing.T) {
	db, _ := database(t, someRules)
	hidden := base64.StdEncoding.EncodeToString([]byte("the token is " + token + ", and that is all there is to it"))
	for name, before := range map[string]string{
		"short": "data:\n x ", "border": strings.Repeat("line of text\n", (piece-40)/13) + "\n x ",
	} {
		g, sum := runOn(t, db, Options{Paths: []string{tree(t, map[string]string{name: before + hidden + "\nend\n"})}})
		if sum.Found != 1 || len(g.results[0].Findings) != 1 {
			t.Fatalf("%s: %d findings: %s", name, sum.Found, g.lines(""))
		}
		p := g.results[0].Findings[0].Place
		from, line := int64(len(before)+13/3*4), strings.Count(before, "\n")+1
		if p.Off < from || p.Off > from+4 || p.Line != line || p.Col != int(p.Off)-strings.LastIndex(before, "\n") {
			t.Errorf("%s: got %+v, want line %d, about byte %d", name, p, line, from)
		}
	}
}

// TestPanic: a file that breaks something costs its own inspection only.
func TestPanic(t *testing.T) {
	db, _ := database(t, someRules)
	w, err := newWorker(db, &Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.free()
	dir := tree(t, map[string]string{"f": token})
	w.opener = nil
	if r := w.file(&job{path: dir + "/f"}); r.Err == nil || len(r.Findings) != 0 {
		t.Errorf("got %+v", r)
	}
	if r := w.file(&job{path: dir + "/f"}); r.Err != nil || len(r.Findings) != 1 {
		t.Errorf("got %+v", r)
	}
}

// TestArchive: what is in an archive is found, one that needs a key is told and makes the run incomplete.
func TestArchive(t *testing.T) {
	db, _ := database(t, someRules)
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	f, err := z.Create("dir/a.txt")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("first line\nx " + token + "\n" + strings.Repeat("text\n", 100))); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	open := b.String()
	locked := []byte(open)
	const flags, central = 6, 8 // bytes into the headers at which bit 0 says that a key is needed
	locked[flags] |= 1
	locked[strings.Index(open, "PK\x01\x02")+central] |= 1
	g, sum := runOn(t, db, Options{Paths: []string{tree(t, map[string]string{"open.zip": open})}})
	if sum.Found != 1 || !sum.Whole() || !strings.HasSuffix(g.lines(""), "open.zip (inside dir/a.txt) token -1+0 tok_…(16)\n") {
		t.Errorf("got %+v, %s", sum, g.lines(""))
	}
	g, sum = runOn(t, db, Options{Paths: []string{tree(t, map[string]string{"locked.zip": string(locked)})}})
	if sum.Found != 0 || sum.Blind != 1 || sum.Whole() || len(g.results[0].Blind) != 1 || g.results[0].Blind[0].Why != "content.encrypted" {
		t.Errorf("got %+v, %+v", sum, g.results[0].Blind)
	}
}
