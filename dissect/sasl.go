package dissect

import (
	"bytes"

	"weir/wire"
)

// saslState is how far an authentication has come that sends its messages in base64: RFC 4422.
type saslState struct {
	mech saslMech
	step uint8
}

// saslMech is a mechanism that is understood.
type saslMech uint8

const (
	saslOther  saslMech = iota
	saslPlain           // RFC 4616
	saslLogin           // user and password, one after the other
	saslCram            // CRAM-MD5, RFC 2195: user and digest
	saslBearer          // XOAUTH2, OAUTHBEARER: RFC 7628
	saslNTLM            // MS-SMTPNTLM
)

func saslOf(name []byte) saslMech {
	switch {
	case foldEqual(name, "plain"):
		return saslPlain
	case foldEqual(name, "login"):
		return saslLogin
	case foldEqual(name, "cram-md5"):
		return saslCram
	case foldEqual(name, "xoauth2"), foldEqual(name, "oauthbearer"):
		return saslBearer
	case foldEqual(name, "ntlm"):
		return saslNTLM
	}
	return saslOther
}

// steps returns how many lines the client sends, 0 if only the server knows.
func (m saslMech) steps() uint8 {
	switch m {
	case saslPlain, saslCram, saslBearer:
		return 1
	case saslLogin, saslNTLM:
		return 2
	}
	return 0
}

// message tells of a message of the client. It reports whether it is the last.
func (s *saslState) message(t *teller, b []byte, user, password Field) (last bool) {
	s.step++
	var d mailDecoder
	v := t.write(func(out []byte) []byte { return d.base64End(d.base64(out, b)) })
	switch {
	case len(b) == 1 && (b[0] == '*' || b[0] == '='):
		return b[0] == '*'
	case s.mech == saslPlain:
		if f := bytes.SplitN(v, []byte{0}, 3); len(f) == 3 {
			t.add(user, f[1])
			t.add(password, f[2])
			break
		}
		t.add(password, v)
	case s.mech == saslLogin && s.step == 1:
		t.add(user, v)
	case s.mech == saslCram:
		if u, digest, ok := bytes.Cut(v, []byte{' '}); ok {
			t.add(user, u)
			t.add(password, digest)
		}
	case s.mech == saslBearer:
		t.add(password, v)
		if at := bytes.Index(v, []byte("user=")); at >= 0 {
			u, _, _ := bytes.Cut(v[at+5:], []byte{1})
			t.add(user, u)
		}
	case s.mech == saslNTLM:
		if n, ok := readNTLM(v); ok && n.typ == ntlmAuthenticate {
			t.add(user, t.write(func(out []byte) []byte { return n.appendUser(out) }))
		}
	default:
		t.add(password, v)
	}
	n := s.mech.steps()
	return n > 0 && s.step >= n
}

// authenticate takes AUTH with its arguments.
func (d *smtp) authenticate(t *teller, line, args []byte) {
	mech, initial := cutWord(args)
	initial = bytes.TrimSpace(initial)
	d.auth = saslState{mech: saslOf(mech)}
	t.add(smtpAuth, mech)
	t.add(smtpCommand, bytes.TrimRight(line[:len(line)-len(initial)], " \t"))
	d.mode = smtpSecrets
	if len(initial) > 0 && d.auth.message(t, initial, smtpUser, smtpPassword) {
		d.mode = smtpCommands
	}
}

// secret takes a line of credentials.
func (d *smtp) secret(line []byte, emit func(*Message)) {
	t := d.teller(wire.ToServer, d.tx, emit)
	if d.auth.message(t, line, smtpUser, smtpPassword) {
		d.mode = smtpCommands
	}
	d.done(t, wire.ToServer, false)
}
