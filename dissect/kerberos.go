package dissect

import (
	"errors"
	"strconv"

	"weir/wire"
)

const krbAbout = "Kerberos 5: RFC 4120. Each message has an event `krb5` with what is in the clear: names, realm, encryption of tickets, errors."

// Kerberos is Kerberos 5 over UDP.
var Kerberos = Protocol{
	Name: "kerberos", About: krbAbout, Event: "krb5", Carrier: Datagram, Ports: []uint16{88}, Probe: probeKerberos, Fields: krbFields, New: newKerberos, PerMessage: true,
}

// KerberosTCP is Kerberos 5 over TCP, where messages stand behind their lengths.
var KerberosTCP = Protocol{
	Name: "kerberos", About: krbAbout, Event: "krb5", Carrier: Stream, Ports: []uint16{88}, Probe: probeKerberosTCP, Fields: krbFields, New: newKerberos, PerMessage: true,
}

var krbFields = []FieldSpec{
	krbType:       {Name: "kerberos.msg_type", Doc: "type of the message, as `KRB_AS_REQ`", EVE: "msg_type", Derived: true},
	krbFailed:     {Name: "kerberos.failed_request", Doc: "of an error: what was asked for", EVE: "failed_request", Derived: true},
	krbError:      {Name: "kerberos.error_code", Doc: "the error, as `KDC_ERR_PREAUTH_REQUIRED`", EVE: "error_code", Derived: true},
	krbClient:     {Name: "kerberos.cname", Doc: "name of the client; `<empty>`: there is none", EVE: "cname"},
	krbRealm:      {Name: "kerberos.realm", Doc: "its realm; `<empty>`: there is none", EVE: "realm"},
	krbService:    {Name: "kerberos.sname", Doc: "name of the service; `<empty>`: there is none", EVE: "sname"},
	krbCipher:     {Name: "kerberos.encryption", Doc: "encryption of an answer, as `rc4-hmac`; `<none>` of others", EVE: "encryption", Derived: true},
	krbWeak:       {Name: "kerberos.weak_encryption", Doc: "`true` if that is weak", EVE: "weak_encryption", Bool: true, Derived: true},
	krbTicket:     {Name: "kerberos.ticket_encryption", Doc: "encryption of the ticket", EVE: "ticket_encryption", Derived: true},
	krbTicketWeak: {Name: "kerberos.ticket_weak_encryption", Doc: "`true` if that is weak", EVE: "ticket_weak_encryption", Bool: true, Derived: true},
	krbOffered:    {Name: "kerberos.offered", Doc: "an encryption that a client offers, a value for each", EVE: "offered[]", Derived: true},
	krbText:       {Name: "kerberos.text", Doc: "text of an error", EVE: "text"},
}

// Fields of Kerberos, in the order of krbFields.
const (
	krbType Field = iota
	krbFailed
	krbError
	krbClient
	krbRealm
	krbService
	krbCipher
	krbWeak
	krbTicket
	krbTicketWeak
	krbOffered
	krbText
)

var errKerberos = errors.New("kerberos: not a message")

// krbEtypes are the names of encryptions, RFC 3961, RFC 3962, RFC 4757, RFC 8009.
var krbEtypes = map[int64]string{
	1: "des-cbc-crc", 2: "des-cbc-md4", 3: "des-cbc-md5", 16: "des3-cbc-sha1", 17: "aes128-cts-hmac-sha1-96", 18: "aes256-cts-hmac-sha1-96",
	19: "aes128-cts-hmac-sha256-128", 20: "aes256-cts-hmac-sha384-192", 23: "rc4-hmac", 24: "rc4-hmac-exp", 25: "camellia128-cts-cmac", 26: "camellia256-cts-cmac",
}

// krbErrors are the names of errors, RFC 4120 section 7.5.9.
var krbErrors = map[int64]string{
	0: "KDC_ERR_NONE", 1: "KDC_ERR_NAME_EXP", 2: "KDC_ERR_SERVICE_EXP", 3: "KDC_ERR_BAD_PVNO", 6: "KDC_ERR_C_PRINCIPAL_UNKNOWN", 7: "KDC_ERR_S_PRINCIPAL_UNKNOWN",
	8: "KDC_ERR_PRINCIPAL_NOT_UNIQUE", 9: "KDC_ERR_NULL_KEY", 11: "KDC_ERR_NEVER_VALID", 12: "KDC_ERR_POLICY", 13: "KDC_ERR_BADOPTION", 14: "KDC_ERR_ETYPE_NOSUPP",
	16: "KDC_ERR_PADATA_TYPE_NOSUPP", 18: "KDC_ERR_CLIENT_REVOKED", 20: "KDC_ERR_TGT_REVOKED", 23: "KDC_ERR_KEY_EXPIRED", 24: "KDC_ERR_PREAUTH_FAILED",
	25: "KDC_ERR_PREAUTH_REQUIRED", 31: "KRB_AP_ERR_BAD_INTEGRITY", 32: "KRB_AP_ERR_TKT_EXPIRED", 33: "KRB_AP_ERR_TKT_NYV", 34: "KRB_AP_ERR_REPEAT",
	35: "KRB_AP_ERR_NOT_US", 36: "KRB_AP_ERR_BADMATCH", 37: "KRB_AP_ERR_SKEW", 41: "KRB_AP_ERR_MODIFIED", 52: "KRB_ERR_RESPONSE_TOO_BIG", 60: "KRB_ERR_GENERIC",
	68: "KDC_ERR_WRONG_REALM",
}

// kerberos parses one flow.
type kerberos struct {
	chat
	asked string // type of the last request
}

func newKerberos(p *Protocol, env *Env) Dissector { return &kerberos{chat: chat{p: p, env: env}} }

// Feed implements Dissector.
func (d *kerberos) Feed(dir wire.Dir, data []byte, emit func(*Message)) (pr Progress, err error) {
	if d.p.Carrier == Datagram {
		if !d.one(dir, data, emit) {
			return pr, errKerberos
		}
		return Progress{Used: len(data), Opaque: len(data)}, nil
	}
	for pr.Used < len(data) {
		c := wire.Cut(data[pr.Used:])
		n := int(c.U32())
		switch {
		case n > maxKerberos:
			return pr, errKerberos
		case c.Short() || n > c.Len():
			if d.closed[dir] {
				return pr, nil // what is no message is inspected raw
			}
			pr.Need = max(1, n-c.Len())
			return pr, nil
		}
		if !d.one(dir, c.Bytes(n), emit) {
			return pr, errKerberos
		}
		pr.Used += 4 + n
		pr.Opaque += 4 + n // but for its names it is ciphertext
	}
	return pr, nil
}

// one takes a message. It reports whether it is one.
func (d *kerberos) one(dir wire.Dir, b []byte, emit func(*Message)) bool {
	tag, at, n, need, ok := berTag(b)
	if !ok || need || krbTypes[tag] == "" || n > len(b)-at {
		return false
	}
	c := ber{b: b[at : at+n]}
	members := krbMembers(c.want(0x30))
	t := d.message(dir, d.next(), emit)
	t.addString(krbType, krbTypes[tag])
	var client, realm, service, ticket []byte
	cipher := int64(-1)
	switch tag {
	case 0x6a, 0x6c:
		d.asked = krbTypes[tag]
		body := krbMembers(krbSequence(members[4]))
		client, realm, service = body[1], body[2], body[3]
		types := ber{b: krbSequence(body[8])}
		for k, v := types.next(); k == 0x02; k, v = types.next() {
			krbName(t, krbOffered, krbEtypes, berInt(v))
		}
	case 0x6b, 0x6d:
		realm, client, ticket = members[3], members[4], members[5]
		cipher = krbEtype(members[6])
	case 0x6e:
		ticket = members[3]
	case 0x7e:
		if d.asked != "" {
			t.addString(krbFailed, d.asked)
		}
		x := ber{b: members[6]}
		krbName(t, krbError, krbErrors, berInt(x.want(0x02)))
		realm, client, service = members[7], members[8], members[10]
		x = ber{b: members[11]}
		if text := x.want(0x1b); len(text) > 0 {
			t.add(krbText, text)
		}
	}
	secret := int64(-1)
	if ticket != nil {
		x := ber{b: ticket}
		x = ber{b: x.want(0x61)}
		inner := krbMembers(x.want(0x30))
		service, secret = inner[2], krbEtype(inner[3])
		if realm == nil {
			realm = inner[1]
		}
	}
	krbPrincipal(t, krbClient, client)
	x := ber{b: realm}
	if v := x.want(0x1b); len(v) > 0 {
		t.add(krbRealm, v)
	} else {
		t.addString(krbRealm, "<empty>")
	}
	krbPrincipal(t, krbService, service)
	krbCiphers(t, krbCipher, cipher)
	if secret >= 0 {
		krbCiphers(t, krbTicket, secret)
	}
	d.over(dir, true, emit)
	return true
}

// krbMembers returns the members of a sequence by their numbers, as far as they are asked for.
func krbMembers(b []byte) (m [12][]byte) {
	c := ber{b: b}
	for tag, v := c.next(); tag != 0; tag, v = c.next() {
		if i := int(tag) - 0xa0; i >= 0 && i < len(m) {
			m[i] = v
		}
	}
	return m
}

// krbSequence returns what is in the sequence that b is.
func krbSequence(b []byte) []byte {
	c := ber{b: b}
	return c.want(0x30)
}

// krbEtype returns the encryption of EncryptedData, -1 if it has none.
func krbEtype(b []byte) int64 {
	m := krbMembers(krbSequence(b))
	if m[0] == nil {
		return -1
	}
	c := ber{b: m[0]}
	return berInt(c.want(0x02))
}

// krbPrincipal tells of a PrincipalName, its parts with slashes between.
func krbPrincipal(t *teller, f Field, b []byte) {
	m := krbMembers(krbSequence(b))
	c := ber{b: krbSequence(m[1])}
	name := t.write(func(out []byte) []byte {
		for i := 0; ; i++ {
			v := c.want(0x1b)
			if v == nil {
				return out
			}
			if i > 0 {
				out = append(out, '/')
			}
			out = append(out, v...)
		}
	})
	if len(name) == 0 {
		t.addString(f, "<empty>")
		return
	}
	t.add(f, name)
}

// krbCiphers tells of an encryption, and in the field behind it of whether it is weak.
func krbCiphers(t *teller, f Field, etype int64) {
	if etype < 0 {
		t.addString(f, "<none>")
	} else {
		krbName(t, f, krbEtypes, etype)
	}
	weak := "false"
	switch etype {
	case 1, 2, 3, 4, 8, 23, 24:
		weak = "true"
	}
	t.addString(f+1, weak)
}

// krbName tells of a number by its name, if it has one.
func krbName(t *teller, f Field, names map[int64]string, n int64) {
	name := names[n]
	if name == "" {
		name = strconv.FormatInt(n, 10)
	}
	t.addString(f, name)
}

// Gap implements Dissector.
func (d *kerberos) Gap(wire.Dir, int, func(*Message)) bool { return d.p.Carrier == Datagram }

// Close implements Dissector.
func (d *kerberos) Close(dir wire.Dir, emit func(*Message)) { d.closed[dir] = true }

// Rest implements Dissector.
func (d *kerberos) Rest() (Rest, bool) { return Rest{}, false }

// Size implements Dissector.
func (d *kerberos) Size() int { return 160 }
