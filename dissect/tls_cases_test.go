package dissect

import (
	"bytes"
	gotls "crypto/tls"
	"encoding/binary"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"weir/wire"
)

// rec writes a record.
func rec(typ byte, body ...byte) []byte {
	return append([]byte{typ, 3, 3, byte(len(body) >> 8), byte(len(body))}, body...)
}

// shake writes a handshake message.
func shake(typ byte, body []byte) []byte {
	return append([]byte{typ, byte(len(body) >> 16), byte(len(body) >> 8), byte(len(body))}, body...)
}

// ext writes an extension.
func ext(typ uint16, body ...byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, typ)
	return append(binary.BigEndian.AppendUint16(b, uint16(len(body))), body...)
}

// nameExt writes a server_name extension.
func nameExt(name string) []byte {
	n := len(name)
	return ext(extServerName, append([]byte{byte((n + 3) >> 8), byte(n + 3), 0, byte(n >> 8), byte(n)}, name...)...)
}

// helloBody writes a ClientHello or, with one cipher and no list, a ServerHello.
func helloBody(client bool, version uint16, ciphers []uint16, exts ...[]byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, version)
	b = append(b, make([]byte, 32)...)
	b = append(b, 0)
	if client {
		b = binary.BigEndian.AppendUint16(b, uint16(2*len(ciphers)))
	}
	for _, c := range ciphers {
		b = binary.BigEndian.AppendUint16(b, c)
	}
	if client {
		b = append(b, 1)
	}
	b = append(b, 0)
	all := slices.Concat(exts...)
	return append(binary.BigEndian.AppendUint16(b, uint16(len(all))), all...)
}

func clientShake(exts ...[]byte) []byte {
	return shake(clientHello, helloBody(true, 0x0303, []uint16{0x1a1a, 0x1301, 0xc02f}, exts...))
}

func serverShake(version, cipher uint16, exts ...[]byte) []byte {
	return shake(serverHello, helloBody(false, version, []uint16{cipher}, exts...))
}

func up(b ...[]byte) said   { return said{wire.ToServer, slices.Concat(b...)} }
func down(b ...[]byte) said { return said{wire.ToClient, slices.Concat(b...)} }

func TestTLSCases(t *testing.T) {
	v13 := ext(extVersions, 4, 0x7a, 0x7a, 3, 4)
	s13 := ext(extVersions, 3, 4)
	hello := clientShake(nameExt("a.example"))
	hello13 := clientShake(nameExt("a.example"), v13)
	retry := serverShake(0x0303, 0x1301, s13)
	copy(retry[6:], retryRandom[:])
	small := []byte{}
	for _, c := range hello {
		small = append(small, rec(recordShake, c)...)
	}
	long := ext(extALPN, append([]byte{0x01, 0x2c}, bytes.Repeat([]byte{1, 'x'}, 150)...)...)
	ccs := rec(recordCCS, 1)
	secret := rec(recordData, make([]byte, 100)...)
	finished := rec(recordShake, bytes.Repeat([]byte{0xa5}, 40)...)
	for _, c := range []struct {
		name   string
		list   []said
		values string // of sni, version, cipher, session_resumed, alert
		notes  string
		err    bool
		opaque int
	}{
		{"1.3", []said{up(rec(22, hello13...)), down(rec(22, serverShake(0x0303, 0x1301, s13)...), ccs, secret), up(ccs, secret)},
			"a.example|TLS 1.3|TLS_AES_128_GCM_SHA256||", "", false, 202},
		{"cut into records of one byte", []said{up(small)}, "a.example||||", "", false, 0},
		{"two messages in a record", []said{up(rec(22, hello...)), down(rec(22, append(serverShake(0x0303, 0xc02f), shake(helloDone, nil)...)...))},
			"a.example|TLS 1.2|TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256||", "", false, 0},
		{"resumed", []said{up(rec(22, hello...)), down(rec(22, serverShake(0x0303, 0xc02f)...), ccs, finished), up(ccs, finished, secret)},
			"a.example|TLS 1.2|TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256|true|", "", false, 180},
		{"retry", []said{up(rec(22, hello13...), ccs), down(rec(22, retry...), ccs), up(rec(22, hello13...)),
			down(rec(22, serverShake(0x0303, 0x1302, s13)...), secret)}, "a.example|TLS 1.3|TLS_AES_256_GCM_SHA384||", "", false, 100},
		{"retry after early data", []said{up(rec(22, hello13...), ccs, secret), down(rec(22, retry...), ccs), up(rec(22, hello13...)),
			down(rec(22, serverShake(0x0303, 0x1302, s13)...), secret)}, "a.example|TLS 1.3|TLS_AES_256_GCM_SHA384||", "", false, 200},
		{"another name", []said{up(rec(22, hello13...)), down(rec(22, retry...)), up(rec(22, clientShake(nameExt("b.example"), v13)...))},
			"a.example b.example||||", "tls.name_changed", false, 0},
		{"1.2 to an offer of 1.3", []said{up(rec(22, hello13...)), down(rec(22, serverShake(0x0303, 0xc02f)...), ccs, finished), up(ccs, finished, secret)},
			"a.example|TLS 1.2|TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256|true|", "", false, 180},
		{"server not seen", []said{up(rec(22, hello13...), ccs, finished, secret)}, "a.example||||", "", false, 140},
		{"draft 14", []said{down(rec(22, shake(serverHello, slices.Concat([]byte{3, 4}, make([]byte, 32), []byte{0x13, 1, 0, 0}))...))},
			"|TLS 1.3 draft-<16|TLS_AES_128_GCM_SHA256||", "", false, 0},
		{"draft 28", []said{down(rec(22, serverShake(0x0303, 0x1301, ext(extVersions, 0x7f, 28))...))}, "|TLS 1.3 draft-28|TLS_AES_128_GCM_SHA256||", "", false, 0},
		{"SSL 3.0", []said{up(rec(22, hello...)), down(rec(22, serverShake(0x0300, 5)...))}, "a.example|SSLv3|TLS_RSA_WITH_RC4_128_SHA||", "tls.old_version", false, 0},
		{"null cipher", []said{down(rec(22, serverShake(0x0303, 0x3b)...))}, "|TLS 1.2|TLS_RSA_WITH_NULL_SHA256||", "tls.null_cipher", false, 0},
		{"unknown cipher", []said{down(rec(22, serverShake(0x0303, 0xeeee)...))}, "|TLS 1.2|0xeeee||", "", false, 0},
		{"refused", []said{up(rec(22, hello...)), down(rec(recordAlert, 2, 40))}, "a.example||||handshake_failure", "", false, 0},
		{"warned", []said{up(rec(22, hello...)), down(rec(recordAlert, 1, 112), rec(22, serverShake(0x0303, 0xc02f)...), rec(recordAlert, 1, 200))},
			"a.example|TLS 1.2|TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256||unrecognized_name 200", "", false, 0},
		{"heartbleed", []said{up(rec(22, hello...), rec(recordBeat, 1, 0x40, 0)), down(rec(22, serverShake(0x0302, 0xc014)...), rec(recordBeat, 2, 0x40, 0, 1, 2, 3))},
			"a.example|TLS 1.1|TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA||", "tls.heartbleed tls.old_version tls.heartbleed", false, 0},
		{"heartbeat", []said{up(rec(22, hello...), rec(recordBeat, append([]byte{1, 0, 2}, make([]byte, 18)...)...), rec(22, hello...))}, "a.example||||", "", false, 0},
		{"many values", []said{up(rec(22, clientShake(nameExt("a.example"), long)...))}, "a.example||||", "", false, 0},
		{"extension twice", []said{up(rec(22, clientShake(nameExt("a.example"), nameExt("b.example"))...))}, "a.example||||", "tls.malformed_hello", false, 0},
		{"extension too long", []said{up(rec(22, clientShake(nameExt("a.example"), []byte{0, 10, 0xff, 0})...))}, "a.example||||", "tls.malformed_hello", false, 0},
		{"hello cut short", []said{up(rec(22, shake(clientHello, make([]byte, 36))...))}, "||||", "tls.malformed_hello", false, 0},
		{"hello too large", []said{up(rec(22, 1, 1, 0, 1))}, "||||", "tls.malformed_hello", false, 0},
		{"alert inside a hello", []said{up(rec(22, hello[:20]...), rec(recordAlert, 1, 0), hello)}, "||||", "tls.malformed_hello", false, 90},
		{"not records", []said{up([]byte("GET / HTTP/1.1\r\n"))}, "||||", "", true, 0},
		{"record too large", []said{up([]byte{22, 3, 1, 0x49, 0})}, "||||", "", true, 0},
		{"not records after ciphertext", []said{up(secret, []byte("plain")), down([]byte("plain"))}, "||||", "tls.bad_record tls.bad_record", false, 100},
	} {
		for _, piece := range []int{0, 1, 2, 5, 64} {
			o := runTLS(c.list, piece)
			var v []string
			for _, f := range []string{"sni", "version", "cipher", "session_resumed", "alert"} {
				v = append(v, strings.Join(o.values["tls."+f], " "))
			}
			if got := strings.Join(v, "|"); got != c.values {
				t.Errorf("%s/%d: got %q, want %q", c.name, piece, got, c.values)
			}
			if got := strings.Join(o.notes, " "); got != c.notes {
				t.Errorf("%s/%d: notes: got %q, want %q", c.name, piece, got, c.notes)
			}
			if got := o.err != nil; got != c.err {
				t.Errorf("%s/%d: error: got %v, want %v", c.name, piece, o.err, c.err)
			}
			if !c.err && o.opaque < c.opaque {
				t.Errorf("%s/%d: opaque: got %d, want %d", c.name, piece, o.opaque, c.opaque)
			}
			if o.txEnds > 1 {
				t.Errorf("%s/%d: the exchange ended %d times", c.name, piece, o.txEnds)
			}
		}
	}
}

func TestTLSFingerprints(t *testing.T) {
	alpn := func(names ...string) []byte {
		var list []byte
		for _, n := range names {
			list = append(append(list, byte(len(n))), n...)
		}
		return ext(extALPN, append([]byte{byte(len(list) >> 8), byte(len(list))}, list...)...)
	}
	for _, c := range []struct {
		exts          [][]byte
		ja3, ja4Start string
	}{
		{[][]byte{nameExt("x")}, "771,4865-49199,0,,", "t12d020100_"},
		{[][]byte{ext(0x2a2a), ext(10, 0, 4, 0x3a, 0x3a, 0, 29), ext(11, 1, 0), alpn("http/1.1", "h2")}, "771,4865-49199,10-11-16,29,0", "t12i0203h1_"},
		{[][]byte{ext(extVersions, 4, 0x7a, 0x7a, 3, 4), alpn("\xab\xcd")}, "771,4865-49199,43-16,,", "t13i0202ad_"},
		{[][]byte{alpn("h")}, "771,4865-49199,16,,", "t12i0201hh_"},
		{[][]byte{alpn("\x00z")}, "771,4865-49199,16,,", "t12i02010a_"},
		{nil, "771,4865-49199,,,", "t12i020000_"},
	} {
		o := runTLS([]said{up(rec(22, clientShake(c.exts...)...))}, 0)
		if got := o.values["tls.ja3_string"][0]; got != c.ja3 {
			t.Errorf("JA3: got %q, want %q", got, c.ja3)
		}
		if got := o.values["tls.ja4"][0]; !strings.HasPrefix(got, c.ja4Start) || len(got) != 36 {
			t.Errorf("JA4: got %q, want %q...", got, c.ja4Start)
		}
	}
	o := runTLS([]said{up(rec(22, clientShake()...))}, 0)
	// SHA-256 of "1301,c02f"; no extensions
	if got, want := o.values["tls.ja4"][0], "t12i020000_"+hashOf("1301,c02f")+"_000000000000"; got != want {
		t.Errorf("JA4: got %q, want %q", got, want)
	}
	o = runTLS([]said{up(rec(22, clientShake(ext(0x33), ext(extSchemes, 0, 4, 4, 3, 2, 1), nameExt("x"))...))}, 0)
	if got, want := o.values["tls.ja4"][0], "t12d020300_"+hashOf("1301,c02f")+"_"+hashOf("000d,0033_0403,0201"); got != want {
		t.Errorf("JA4: got %q, want %q", got, want)
	}
}

func hashOf(s string) string { return string(appendShort(nil, []byte(s))) }

// TestTLSGaps loses bytes at every place of a conversation: parsing goes on, and bytes after a loss are never taken for
// a handshake that they are not.
func TestTLSGaps(t *testing.T) {
	list := handshake(t, &gotls.Config{ServerName: "example.org", MaxVersion: gotls.VersionTLS12}, &gotls.Config{}, 3000)
	for at := range list {
		for _, lose := range []int{1, 5, len(list[at].b) / 2, len(list[at].b)} {
			o := &tlsTold{values: map[string][]string{}}
			d := TLS.New(&TLS, &Env{Want: wantAll(), Limits: DefaultLimits})
			var held [2][]byte
			for i, s := range list {
				b := s.b
				if i == at {
					if !d.Gap(s.dir, min(lose, len(b)), o.emit) {
						t.Fatalf("gap of %d at %d: given up", lose, at)
					}
					held[s.dir], b = nil, b[min(lose, len(b)):]
				}
				b = append(held[s.dir], b...)
				pr, err := d.Feed(s.dir, b, o.emit)
				if err != nil && at > 2 {
					t.Fatalf("gap of %d at %d: %v", lose, at, err)
				}
				held[s.dir] = bytes.Clone(b[pr.Used:])
			}
			for _, n := range o.notes {
				if strings.Contains(n, "hello") {
					t.Errorf("gap of %d at %d: %s", lose, at, n)
				}
			}
		}
	}
	d := TLS.New(&TLS, &Env{})
	d.Feed(wire.ToServer, rec(recordData, make([]byte, 50)...)[:30], nil)
	if d.Gap(wire.ToServer, 25, nil); d.(*tls).side[0].state != tlsSealed {
		t.Error("a loss within a record costs its place")
	}
	if d.Gap(wire.ToServer, 1, nil); d.(*tls).side[0].state != tlsOpaque {
		t.Error("a loss past a record's end does not cost its place")
	}
}

func TestTLSProbe(t *testing.T) {
	hello := rec(22, clientShake(nameExt("a"))...)
	two := append(rec(recordData, 1, 2, 3), rec(recordData, 1, 2, 3)...)
	for _, c := range []struct {
		name string
		b    []byte
		want Guess
	}{
		{"nothing", nil, Maybe}, {"hello", hello, Yes}, {"hello's beginning", hello[:11], Yes}, {"header", hello[:5], Maybe}, {"a byte", hello[:1], Maybe},
		{"server", rec(22, serverShake(0x0303, 1)...), Yes}, {"SSL 2.0", []byte{0x80, 46, 1, 3, 1, 0, 21}, Yes}, {"SSL 2.0 begun", []byte{0x80, 46}, Maybe},
		{"not SSL 2.0", []byte{0x80, 46, 7, 3, 1}, No}, {"alert", rec(recordAlert, 2, 40), Yes}, {"no alert", rec(recordAlert, 7, 40), No},
		{"data", rec(recordData, 1, 2, 3), Yes}, {"data twice", two, Yes}, {"data and more", two[:10], Maybe}, {"data and no record", append(rec(recordData, 1), "GET / "...), No},
		{"text", []byte("GET / HTTP/1.1"), No}, {"version", []byte{22, 4, 0, 0, 9}, No}, {"too large", []byte{22, 3, 1, 0x50, 0}, No},
		{"small records", append(rec(22, 1), rec(22, 0, 0, 70)...), Yes}, {"hello too short", rec(22, 1, 0, 0, 2, 3, 3), Yes},
	} {
		if got := probeTLS(wire.ToServer, c.b); got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

func TestTLSLean(t *testing.T) {
	if got := unsafe.Sizeof(tls{}); got > 200 {
		t.Errorf("a flow takes %d bytes, want 200 at most", got)
	}
	d := TLS.New(&TLS, &Env{})
	b := bytes.Repeat(rec(recordData, make([]byte, 1000)...), 20)
	emit := func(*Message) {}
	if n := testing.AllocsPerRun(100, func() { d.Feed(wire.ToServer, b[:12345], emit); d.Feed(wire.ToServer, b[12345:], emit) }); n != 0 {
		t.Errorf("%v allocations for ciphertext", n)
	}
}

func FuzzTLS(f *testing.F) {
	f.Add(rec(22, clientShake(nameExt("a.example"))...), rec(22, serverShake(0x0303, 5)...), uint8(3))
	f.Add([]byte{0x80, 46, 1, 3, 1, 0, 21}, rec(recordBeat, 1, 0x40, 0), uint8(1))
	leaf := testCert().Certificate[0]
	n := len(leaf)
	cert := append([]byte{0, byte((n + 3) >> 8), byte(n + 3), 0, byte(n >> 8), byte(n)}, leaf...)
	f.Add(rec(22, clientShake()...), append(rec(22, serverShake(0x0303, 5)...), rec(22, shake(certificate, cert)...)...), uint8(100))
	f.Fuzz(func(t *testing.T, client, server []byte, piece uint8) {
		list := []said{up(client), down(server), up(server), down(client)}
		whole, parts := runTLS(list, 0), runTLS(list, int(piece)%64+1)
		if whole.err == nil && !slices.Equal(whole.order, parts.order) {
			t.Errorf("whole: %q\nin pieces: %q", whole.order, parts.order)
		}
		probeTLS(wire.ToServer, client)
	})
}

func BenchmarkTLSCiphertext(b *testing.B) {
	d := TLS.New(&TLS, &Env{})
	data := bytes.Repeat(rec(recordData, make([]byte, 16384)...), 4)
	b.SetBytes(1460)
	b.ReportAllocs()
	emit := func(*Message) {}
	at := 0
	for b.Loop() {
		n := min(1460, len(data)-at)
		d.Feed(wire.ToServer, data[at:at+n], emit)
		if at += n; at == len(data) {
			at = 0
		}
	}
}

func BenchmarkTLSHello(b *testing.B) {
	list := handshake(b, &gotls.Config{ServerName: "example.org", NextProtos: []string{"h2"}, MaxVersion: gotls.VersionTLS12}, &gotls.Config{}, 10)
	env := &Env{Want: wantAll()}
	b.ReportAllocs()
	emit := func(*Message) {}
	for b.Loop() {
		d := TLS.New(&TLS, env)
		for _, s := range list {
			d.Feed(s.dir, s.b, emit)
		}
	}
}
