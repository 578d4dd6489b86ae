package dissect

import (
	"bytes"
	"time"

	"weir/wire"
)

// from Tor's source: the names that it makes up are www., letters and digits of base32, and a top-level domain
const (
	torPrefix  = "www."
	torClient  = ".com"
	torSubject = ".net"
	torMin     = 8 // characters of a name in a certificate
	torMax     = 25
)

// isTorName reports whether a list of server names has one that looks like those of Tor: in a name that people have chosen digits seldom stand
// between letters.
func isTorName(names []byte) bool {
	list := wire.Cut(names)
	typ, name := list.U8(), list.Vec16()
	middle, ok := torMiddle(name.Rest(), torClient)
	if typ != 0 || list.Short() || !ok {
		return false
	}
	within := 0
	for i := 1; i < len(middle)-1; i++ {
		if isDigit(middle[i]) && !isDigit(middle[i+1]) {
			within++
		}
	}
	return within >= 2
}

// isTorCertificate reports whether a certificate names nothing but such hosts, as Tor's of TLS up to 1.2 do.
func isTorCertificate(issuer, subject wire.Cursor) bool {
	_, ok := torMiddle(onlyCommonName(issuer), torClient)
	_, of := torMiddle(onlyCommonName(subject), torSubject)
	return ok && of
}

// torMiddle returns what stands between www. and the top-level domain.
func torMiddle(name []byte, top string) (middle []byte, ok bool) {
	middle, found := bytes.CutPrefix(name, []byte(torPrefix))
	middle, end := bytes.CutSuffix(middle, []byte(top))
	if !found || !end || len(middle) < torMin || len(middle) > torMax {
		return nil, false
	}
	for _, c := range middle {
		if (c < 'a' || c > 'z') && (c < '2' || c > '7') {
			return nil, false
		}
	}
	return middle, true
}

// onlyCommonName returns the common name of a distinguished name that says nothing else.
func onlyCommonName(name wire.Cursor) []byte {
	_, set := der(&name, derSet)
	_, pair := der(&set, derSequence)
	_, oid := der(&pair, derOID)
	_, v := der(&pair)
	if name.Short() || name.Len() > 0 || set.Len() > 0 || pair.Short() || attributes[string(oid.Rest())] != "CN" {
		return nil
	}
	return v.Rest()
}

// now returns the time of the packet as appendTime writes one; nothing if it is not known.
func (d *tls) now(x *tlsScratch) []byte {
	if d.env.Now == 0 {
		return nil
	}
	return x.keep(func(b []byte) []byte { return time.Unix(0, d.env.Now).UTC().AppendFormat(b, "2006-01-02T15:04:05") })
}
