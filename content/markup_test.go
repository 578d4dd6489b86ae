package content

import (
	"fmt"
	"testing"
)

func TestMarkup(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{`<?xml version="1.0"?><a>one</a>`, "one"},
		{`<w:p><w:r><w:rPr><w:b/></w:rPr><w:t>4111</w:t></w:r><w:r><w:t xml:space="preserve"> 1111</w:t></w:r></w:p><w:p><w:t>next</w:t></w:p>`, "4111 1111\nnext"},
		{`<order><card>12</card> <cvv>34</cvv></order>`, "12\n34"},
		{"<r>\n  <c>1</c>\n  <c>2</c>\n</r>", "1\t2"},
		{`<si><r><rPr><sz val="9"/></rPr><t>41</t></r><r><t>11</t></r></si><si><t>x</t></si>`, "4111\nx"},
		{`<p>a &lt; b &amp;&#49;&#x32; &unknown; &</p>`, "a < b &12 &unknown; &"},
		{`a < b > c <`, "a < b > c <"},
		{`<p title="a > b">x<!-- 4 <b> - --> y</p><![CDATA[<not>]]]>`, "x y\n<not>]"},
		{`<text:p>a<text:s/>b<text:span>c</text:span></text:p><text:h>d</text:h>`, "a\tbc\nd"},
		{``, ""}, {`<`, "<"}, {`<a`, ""}, {`<!-- `, ""}, {`<![CDATA[x`, "x"},
	} {
		got := sameInPieces(t, readMarkup, []byte(c.in))
		if len(got) != 1 || got[0].text != c.want || got[0].fault != noFault {
			t.Errorf("%s: got %s, want %q", c.in, fmt.Sprint(got), c.want)
		}
	}
}
