package dissect

import (
	"bytes"
	"crypto/sha1"
	"encoding/hex"
	"net/netip"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"weir/wire"
)

// from the specification: DER tags (X.690) and forms of GeneralName (RFC 5280 section 4.2.1.6)
const (
	derBool       = 0x01
	derInteger    = 0x02
	derOctets     = 0x04
	derOID        = 0x06
	derTeletex    = 0x14
	derUTCTime    = 0x17
	derBMP        = 0x1e
	derSequence   = 0x30
	derSet        = 0x31
	derVersion    = 0xa0 // [0] of TBSCertificate
	derExtensions = 0xa3 // [3] of TBSCertificate
	nameEmail     = 0x81
	nameDNS       = 0x82
	nameURI       = 0x86
	nameIP        = 0x87
)

// der returns the next element of c, whose tag must be one of tags if any are given. At a fault c is Short.
func der(c *wire.Cursor, tags ...uint8) (tag uint8, body wire.Cursor) {
	tag = c.U8()
	n := int(c.U8())
	switch n {
	case 0x81:
		n = int(c.U8())
	case 0x82:
		n = int(c.U16())
	case 0x83:
		n = int(c.U24())
	default:
		if n >= 0x80 {
			n = -1
		}
	}
	b := c.Bytes(n)
	if len(tags) > 0 && bytes.IndexByte(tags, tag) < 0 {
		c.Skip(-1)
	}
	return tag, wire.Cut(b)
}

// certificate tells the server's own certificate. It is read leniently: nothing here is verified.
func (d *tls) certificate(s *tlsSide, b []byte) {
	x := d.env.tlsScratch()
	if d.wants(tlsFingerprint) {
		sum := sha1.Sum(b)
		d.add(s, tlsFingerprint, x.keep(func(b []byte) []byte { return appendColons(b, sum[:], "0123456789abcdef") }))
	}
	names := readCertificate(b)
	issuer, subject, validity, tbs := names.issuer, names.subject, names.validity, names.rest
	if d.wants(tlsSerial) && names.serial.Len() > 0 {
		d.add(s, tlsSerial, x.keep(func(b []byte) []byte { return appendColons(b, names.serial.Rest(), "0123456789ABCDEF") }))
	}
	d.name(s, x, tlsIssuer, issuer)
	d.name(s, x, tlsSubject, subject)
	if issuer.Len() > 0 && bytes.Equal(issuer.Rest(), subject.Rest()) {
		d.add(s, tlsSelfSigned, []byte("true"))
	}
	if isTorCertificate(issuer, subject) {
		x.note(s, noteTLSTor)
	}
	begin := d.time(s, x, tlsNotBefore, &validity)
	end := d.time(s, x, tlsNotAfter, &validity)
	if now := d.now(x); len(now) > 0 && (len(begin) > 0 && string(now) < string(begin) || len(end) > 0 && string(now) > string(end)) {
		x.note(s, noteTLSExpired)
	}
	der(&tbs, derSequence) // subjectPublicKeyInfo
	if tbs.Short() || validity.Short() {
		x.note(s, noteTLSCertificate)
		return
	}
	for tbs.Len() > 0 {
		if tag, ext := der(&tbs); tag == derExtensions && d.wants(tlsSAN) {
			d.extensions(s, ext)
		}
	}
	if tbs.Short() {
		x.note(s, noteTLSCertificate)
	}
}

// name collects a distinguished name.
func (d *tls) name(s *tlsSide, x *tlsScratch, f Field, name wire.Cursor) {
	if d.wants(f) && name.Len() > 0 {
		d.add(s, f, x.keep(func(b []byte) []byte { return appendName(b, name) }))
	}
}

// time collects a time, which is the next element of c, and returns it.
func (d *tls) time(s *tlsSide, x *tlsScratch, f Field, c *wire.Cursor) (v []byte) {
	tag, t := der(c)
	if !c.Short() {
		if v = x.keep(func(b []byte) []byte { return appendTime(b, tag, t.Rest()) }); len(v) > 0 {
			d.add(s, f, v)
		}
	}
	return v
}

// certificateHead is what a certificate says up to its subject.
type certificateHead struct {
	serial, issuer, validity, subject wire.Cursor
	rest                              wire.Cursor // what follows; Short at a fault
}

func readCertificate(b []byte) (h certificateHead) {
	outer := wire.Cut(b)
	_, cert := der(&outer, derSequence)
	_, h.rest = der(&cert, derSequence)
	if b := h.rest.Rest(); len(b) > 0 && b[0] == derVersion {
		der(&h.rest)
	}
	_, h.serial = der(&h.rest, derInteger)
	der(&h.rest, derSequence) // signature
	_, h.issuer = der(&h.rest, derSequence)
	_, h.validity = der(&h.rest, derSequence)
	_, h.subject = der(&h.rest, derSequence)
	return h
}

// extensions finds the subject's alternative names.
func (d *tls) extensions(s *tlsSide, list wire.Cursor) {
	_, list = der(&list, derSequence)
	for list.Len() > 0 {
		_, ext := der(&list, derSequence)
		_, oid := der(&ext, derOID)
		tag, value := der(&ext)
		if tag == derBool { // critical
			tag, value = der(&ext)
		}
		if string(oid.Rest()) != "\x55\x1d\x11" || tag != derOctets {
			continue
		}
		_, names := der(&value, derSequence)
		for names.Len() > 0 {
			tag, v := der(&names)
			d.alternative(s, tag, v.Rest())
		}
	}
}

// alternative collects one alternative name.
func (d *tls) alternative(s *tlsSide, tag uint8, v []byte) {
	switch tag {
	case nameDNS, nameEmail, nameURI:
		d.addOne(s, tlsSAN, v)
	case nameIP:
		if a, ok := netip.AddrFromSlice(v); ok {
			d.addOne(s, tlsSAN, d.env.tlsScratch().keep(a.AppendTo))
		}
	}
}

// appendColons writes bytes in hex with colons between them.
func appendColons(b, v []byte, digits string) []byte {
	for i, c := range v {
		if i > 0 {
			b = append(b, ':')
		}
		b = append(b, digits[c>>4], digits[c&15])
	}
	return b
}

// appendTime writes a UTCTime or GeneralizedTime as 2006-01-02T15:04:05; nothing if it is neither.
func appendTime(b []byte, tag uint8, v []byte) []byte {
	century := ""
	if tag == derUTCTime {
		if len(v) < 10 {
			return b
		}
		century = "20"
		if v[0] >= '5' { // RFC 5280 section 4.1.2.5.1
			century = "19"
		}
	}
	digits := 0
	for digits < len(v) && isDigit(v[digits]) {
		digits++
	}
	n := digits + len(century)
	if n < 12 || n > 14 {
		return b
	}
	b = append(b, century...)
	if century == "" {
		b, v = append(b, v[:2]...), v[2:]
		digits -= 2
	}
	b = append(b, v[0], v[1], '-', v[2], v[3], '-', v[4], v[5], 'T', v[6], v[7], ':', v[8], v[9], ':')
	if digits >= 12 {
		return append(b, v[10], v[11])
	}
	return append(b, "00"...)
}

// appendName writes a distinguished name: its attributes in the order of the certificate.
func appendName(b []byte, name wire.Cursor) []byte {
	for sep := ""; name.Len() > 0; {
		_, set := der(&name, derSet)
		for set.Len() > 0 {
			_, pair := der(&set, derSequence)
			_, oid := der(&pair, derOID)
			tag, v := der(&pair)
			if set.Short() || pair.Short() {
				return b
			}
			b = appendOID(append(b, sep...), oid.Rest())
			b = appendText(append(b, '='), tag, v.Rest())
			sep = " + " // within a set
		}
		sep = ", "
	}
	return b
}

// attributes are the short names of attribute types, by the bytes of their OID.
var attributes = map[string]string{
	"\x55\x04\x03": "CN",
	"\x55\x04\x04": "SN",
	"\x55\x04\x05": "serialNumber",
	"\x55\x04\x06": "C",
	"\x55\x04\x07": "L",
	"\x55\x04\x08": "ST",
	"\x55\x04\x09": "street",
	"\x55\x04\x0a": "O",
	"\x55\x04\x0b": "OU",
	"\x55\x04\x0c": "title",
	"\x55\x04\x0d": "description",
	"\x55\x04\x0f": "businessCategory",
	"\x55\x04\x11": "postalCode",
	"\x55\x04\x2a": "GN",
	"\x55\x04\x2e": "dnQualifier",
	"\x55\x04\x61": "organizationIdentifier",

	"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01":         "emailAddress",
	"\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x19":     "DC",
	"\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x01":     "UID",
	"\x2b\x06\x01\x04\x01\x82\x37\x3c\x02\x01\x01": "jurisdictionL",
	"\x2b\x06\x01\x04\x01\x82\x37\x3c\x02\x01\x02": "jurisdictionST",
	"\x2b\x06\x01\x04\x01\x82\x37\x3c\x02\x01\x03": "jurisdictionC",
}

// appendOID writes an attribute type's short name; its numbers if it has none.
func appendOID(b, oid []byte) []byte {
	if name, ok := attributes[string(oid)]; ok {
		return append(b, name...)
	}
	var v uint64
	first := true
	for _, c := range oid {
		v = v<<7 | uint64(c&0x7f)
		if c&0x80 != 0 {
			continue
		}
		if first {
			top := min(v/40, 2)
			b = append(b, '0'+byte(top))
			v -= top * 40
			first = false
		}
		b = strconv.AppendUint(append(b, '.'), v, 10)
		v = 0
	}
	return b
}

// appendText writes a string as UTF-8 if its type tells how; else as it came.
func appendText(b []byte, tag uint8, v []byte) []byte {
	switch {
	case tag == derBMP:
		for ; len(v) > 1; v = v[2:] {
			r := rune(v[0])<<8 | rune(v[1])
			if utf16.IsSurrogate(r) && len(v) > 3 {
				r = utf16.DecodeRune(r, rune(v[2])<<8|rune(v[3]))
				v = v[2:]
			}
			b = utf8.AppendRune(b, r)
		}
		return b
	case tag == derTeletex && !utf8.Valid(v):
		for _, c := range v {
			b = utf8.AppendRune(b, rune(c))
		}
		return b
	}
	return append(b, v...)
}

// appendHex writes v as 0x and 4 digits.
func appendHex(b []byte, v uint16) []byte {
	return hex.AppendEncode(append(b, "0x"...), []byte{byte(v >> 8), byte(v)})
}
