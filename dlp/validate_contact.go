package dlp

import (
	"bytes"
	"net/netip"
)

// callingCodes are ITU E.164's: the first digits of international numbers. Those of three digits are given by their first two, with the last ones
// that are in use.
var callingCodes = map[string]string{
	"1": "", "7": "", "20": "", "27": "", "30": "", "31": "", "32": "", "33": "", "34": "", "36": "", "39": "", "40": "", "41": "", "43": "", "44": "",
	"45": "", "46": "", "47": "", "48": "", "49": "", "51": "", "52": "", "53": "", "54": "", "55": "", "56": "", "57": "", "58": "", "60": "", "61": "",
	"62": "", "63": "", "64": "", "65": "", "66": "", "81": "", "82": "", "84": "", "86": "", "90": "", "91": "", "92": "", "93": "", "94": "", "95": "", "98": "",
	"21": "12368", "22": "0123456789", "23": "0123456789", "24": "0123456789", "25": "0123456789", "26": "01234569", "29": "01789",
	"35": "0123456789", "37": "0123456789", "38": "0123567789", "42": "013", "50": "0123456789", "59": "0123456789", "67": "023456789", "68": "0123456789",
	"69": "012", "80": "08", "85": "02356", "87": "0138", "88": "0168", "96": "012345678", "97": "012345679", "99": "2345678",
}

// phone is ITU E.164: a country's code, and at most 15 digits in all. Without a plus sign it is a national number, of 7 to 12 digits.
func (c *candidate) phone() bool {
	var d [16]byte
	n := 0
	for _, b := range c.raw {
		if !isDigit(b) {
			continue
		}
		if n == 15 {
			return false
		}
		d[n] = b
		n++
	}
	if n < 7 || oneDigit(d[:n]) {
		return false
	}
	i := bytes.IndexByte(c.raw, '+')
	if i < 0 {
		return n <= 12
	}
	if i > 1 || n < 8 {
		return false
	}
	if _, ok := callingCodes[string(d[:1])]; ok {
		return d[0] == '7' && n == 11 || d[0] == '1' && n == 11 && d[1] >= '2'
	}
	last, ok := callingCodes[string(d[:2])]
	return ok && (last == "" || indexOf(last, d[2]) >= 0)
}

// notMail are ends of file names that look like a domain.
var notMail = set("PNG", "JPG", "JPEG", "GIF", "SVG", "WEBP", "AVIF", "ICO", "CSS", "SCSS", "JS", "MJS", "TS", "JSX", "TSX", "MAP", "JSON", "HTML", "HTM", "XML", "PHP", "PDF",
	"ZIP", "GZ", "TGZ", "YAML", "YML", "TOML", "TXT", "MD", "GO", "PY", "SERVICE", "LOCAL", "INTERNAL", "INVALID", "LOCALHOST")

// email is RFC 5321's address, without what nobody writes: quoted names and addresses of hosts in brackets.
func (c *candidate) email() bool {
	at := bytes.LastIndexByte(c.raw, '@')
	if at < 1 || at > 64 || len(c.raw) > 254 || c.raw[0] == '.' || c.raw[at-1] == '.' || bytes.Contains(c.raw, []byte("..")) {
		return false
	}
	domain := c.raw[at+1:]
	dot := bytes.LastIndexByte(domain, '.')
	if dot < 1 || domain[0] == '-' {
		return false
	}
	top := bytes.ToUpper(domain[dot+1:])
	return len(top) >= 2 && isUpper(top[0]) && !notMail[string(top)]
}

// ip is an address of the Internet Protocol in either version, with its zone or without, and not part of a longer row of its kind.
func (c *candidate) ip() bool {
	six := bytes.IndexByte(c.raw, ':') >= 0
	if n := len(c.before); n > 0 {
		p := c.before[n-1]
		if isDigit(p) || isLetter(p) || p == '_' || p == '.' && n > 1 && isDigit(c.before[n-2]) || six && p == ':' {
			return false
		}
	}
	if len(c.after) > 0 {
		p := c.after[0]
		if isDigit(p) || isLetter(p) || p == '_' || six && (p == ':' || p == '.' && len(c.after) > 1 && isDigit(c.after[1])) {
			return false
		}
	}
	if len(c.raw) == 2 { // "::" alone is an operator of many languages
		return len(c.after) > 1 && c.after[0] == '/' && isDigit(c.after[1])
	}
	_, err := netip.ParseAddr(string(c.raw))
	return err == nil
}

// unroutable are the networks whose addresses are nobody's in the Internet: RFC 6890's, with those for documentation and measuring.
var unroutable = func() (list []netip.Prefix) {
	for _, s := range []string{"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
		"100::/64", "2001:db8::/32", "3fff::/20", "64:ff9b:1::/48"} {
		list = append(list, netip.MustParsePrefix(s))
	}
	return list
}()

// publicIP is ip, of a network that can be reached in the Internet.
func (c *candidate) publicIP() bool {
	if !c.ip() {
		return false
	}
	a, err := netip.ParseAddr(string(c.raw))
	if err != nil || !a.IsGlobalUnicast() || a.IsPrivate() {
		return false
	}
	for _, n := range unroutable {
		if n.Contains(a.Unmap()) {
			return false
		}
	}
	return true
}

// apart holds unless another number stands next to the value: a row of numbers is a table.
func (c *candidate) apart() bool {
	if n := len(c.before); n > 1 && separates(c.before[n-1]) && isDigit(c.before[n-2]) {
		return false
	}
	return len(c.after) < 2 || !separates(c.after[0]) || !isDigit(c.after[1])
}
