package edm

import (
	"bytes"
	"strings"
	"testing"

	"golang.org/x/text/encoding/unicode"
)

// TestTables: tables as programs write them, and what is wrong with others.
func TestTables(t *testing.T) {
	wide := func(e unicode.Endianness, s string) string {
		b, err := unicode.UTF16(e, unicode.UseBOM).NewEncoder().String(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for _, c := range []struct{ table, want string }{
		{"name,mail\nAnn Müller,a@b.example\n", ""},
		{"\ufeffname,mail\nAnn Müller,a@b.example\n", ""},
		{"Name; MAIL\r\nAnn Müller;a@b.example\r\n", ""},
		{"id\tname\tmail\n1\tAnn Müller\ta@b.example\n", ""},
		{"\"name\"|\"mail\"\nAnn Müller|a@b.example\n", ""},
		{"name,a;b,mail\nAnn Müller,,a@b.example\n", ""},
		{"name,mail,NAME\nAnn Müller,a@b.example,x\n", ""}, // as it is written goes first
		{wide(unicode.LittleEndian, "name;mail\nAnn Müller;a@b.example\n"), ""},
		{wide(unicode.BigEndian, "name,mail\nAnn Müller,a@b.example\n"), ""},
		{"", "1: the file is empty"},
		{"\ufeff", "1: the file is empty"},
		{"Name,NAME,mail\nAnn Müller,x,a@b.example\n", `1: 2 columns are called "name"`},
		{"a;b\n", `1: no column is called "name": the first line must name the 1 columns`},
		{"name;mail\nAnn Müller,a@b.example\n", "2: it has another number of columns"},
		{"name,mail\nAnn M\xfcller,a@b.example\n", "2: column \"name\": this is not UTF-8"},
	} {
		_, err := Build(t.Context(), strings.NewReader(c.table), t.TempDir()+"/x.edm", Options{Columns: []string{"name", "mail"}, Key: bytes.Repeat([]byte{7}, 32)})
		switch {
		case err == nil && c.want == "":
		case err == nil || c.want == "" || !strings.Contains(err.Error(), strings.TrimLeft(c.want, "0123456789: ")):
			t.Errorf("%.40q: %v, want %q", c.table, err, c.want)
		}
	}
}
