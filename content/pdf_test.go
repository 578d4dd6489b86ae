package content

import (
	"encoding/ascii85"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
)

// pdfOf is a file of objects, each a dictionary and a stream (or "").
func pdfOf(trailer string, objects ...[2]string) []byte {
	var b strings.Builder
	b.WriteString("%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
	for i, o := range objects {
		fmt.Fprintf(&b, "%d 0 obj\n<<%s /Length %d>>\n", i+1, o[0], len(o[1]))
		if o[1] != "" {
			fmt.Fprintf(&b, "stream\r\n%s\nendstream\n", o[1])
		}
		b.WriteString("endobj\n")
	}
	fmt.Fprintf(&b, "xref\n0 1\n0000000000 65535 f \ntrailer\n<</Size 2 %s>>\nstartxref\n9\n%%%%EOF\n", trailer)
	return []byte(b.String())
}

const pdfPage = "BT /F1 12 Tf 72 720 Td (Card \\(one\\): 41\\061\\\n1) Tj [(11)-20(11)-300(1)] TJ 0 -14 Td <6e657874> Tj T* (line) ' ET"

const pdfPageText = "Card (one): 41111111 1\nnext\nline"

func TestPDF(t *testing.T) {
	a85 := make([]byte, 10000)
	a85 = append(a85[:ascii85.Encode(a85, []byte(pdfPage))], "~>"...)
	both := make([]byte, 10000)
	both = append(both[:ascii85.Encode(both, zlibOf([]byte(pdfPage)))], "~>"...)
	long := "BT (" + sample(100_000) + ") Tj ET"
	for name, c := range map[string]struct {
		pdf   []byte
		want  string
		fault fault
	}{
		"flate":  {pdfOf("", [2]string{"/Filter /FlateDecode", string(zlibOf([]byte(pdfPage)))}), pdfPageText, noFault},
		"array":  {pdfOf("", [2]string{"/Filter[/FlateDecode]", string(zlibOf([]byte(pdfPage)))}), pdfPageText, noFault},
		"plain":  {pdfOf("", [2]string{"", pdfPage}), pdfPageText, noFault},
		"a85":    {pdfOf("", [2]string{"/Filter /ASCII85Decode", string(a85)}), pdfPageText, noFault},
		"both":   {pdfOf("", [2]string{"/Filter [/A85 /Fl]", string(both)}), pdfPageText, noFault},
		"hex":    {pdfOf("", [2]string{"/Filter /ASCIIHexDecode", hex.EncodeToString([]byte(pdfPage)) + ">"}), pdfPageText, noFault},
		"pages":  {pdfOf("", [2]string{"/Filter /FlateDecode", string(zlibOf([]byte("BT (a) Tj ET")))}, [2]string{"", "BT (b) Tj ET"}), "a\nb", noFault},
		"quote":  {pdfOf("", [2]string{"", "BT 14 TL (a) Tj (b)' 1 2 (c) \" <64>\n' (e) Tj ET"}), "a\nb\nc\nde", noFault},
		"image":  {pdfOf("", [2]string{"/Subtype /Image /Filter /DCTDecode", "(not text)"}, [2]string{"", "BT (b) Tj ET"}), "b", noFault},
		"inline": {pdfOf("", [2]string{"", "BT (a) Tj ET BI /W 1 ID (\x00(EI x EI BT (b) Tj ET"}), "a\nb", noFault},
		"objects": {pdfOf("", [2]string{"/Type /ObjStm /N 2 /First 10 /Filter /FlateDecode", string(zlibOf([]byte("1 0 2 20 <</V (4111)>> <</Contents <feff00400041>>>")))}),
			"4111\n@A", noFault},
		"utf-16":    {pdfOf("", [2]string{"", "BT <00340031> Tj ET"}), "41", noFault},
		"lzw":       {pdfOf("", [2]string{"/Filter /LZWDecode", "xx"}), "", faultMethod},
		"broken":    {pdfOf("", [2]string{"/Filter /FlateDecode", "\x78\x9c" + strings.Repeat("\xff", 100)}), "", faultBroken},
		"encrypted": {pdfOf("/Encrypt 5 0 R", [2]string{"/Filter /FlateDecode", strings.Repeat("\xff", 100)}), "", faultEncrypted},
		"cut":       {pdfOf("", [2]string{"/Filter /FlateDecode", string(zlibOf([]byte(pdfPage)))})[:80], "", noFault},
		"text":      {pdfOf("", [2]string{"", long}), strings.TrimRight(long[4:4+maxPDFString], "\n"), noFault},
	} {
		t.Run(name, func(t *testing.T) {
			got := sameInPieces(t, readPDF, c.pdf)
			if name == "cut" {
				return
			}
			if len(got) != 1 || got[0].text != c.want || got[0].fault != c.fault {
				t.Errorf("got %.300s\nwant %.300q, fault %d", fmt.Sprintf("%q %d", got[0].text, got[0].fault), c.want, c.fault)
			}
		})
	}
}

// TestPDFGlyphs reads a page whose strings are numbers of a font's shapes.
func TestPDFGlyphs(t *testing.T) {
	page := "BT /F4 12 Tf [<0014>-20<0011>-300<0012>] TJ 9 0 Td <0010> Tj 0 -12 Td <0011> Tj ET"
	table := "/CIDInit /ProcSet findresource begin begincmap 1 begincodespacerange <0000> <ffff> endcodespacerange\n" +
		"1 beginbfchar <0014> <0034> endbfchar 1 beginbfrange <0010> <0013> <0030> endbfrange 1 beginbfrange <0001> <0002> [<0061> <00660069>] endbfrange endcmap"
	pdf := pdfOf("", [2]string{"/Filter /FlateDecode", string(zlibOf([]byte(page)))}, [2]string{"/Filter /FlateDecode", string(zlibOf([]byte(table)))},
		[2]string{"", "BT /F5 9 Tf <00010002> Tj ET"})
	got := sameInPieces(t, readPDF, pdf)
	if want := "\n41 2 0\n1\nafi"; len(got) != 1 || got[0].text != want {
		t.Errorf("got %s, want %q", fmt.Sprint(got), want)
	}
}
