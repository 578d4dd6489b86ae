package dissect

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	gotls "crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"slices"
	"testing"
	"time"
)

// chained returns a certificate of subject whose issuer is issuer, with certificates of links behind it.
func chained(t *testing.T, subject, issuer string, links ...string) gotls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	make := func(subject, issuer string) []byte {
		template := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: subject},
			NotBefore: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2021, 1, 1, 0, 0, 0, 0, time.UTC)}
		der, err := x509.CreateCertificate(rand.Reader, template, &x509.Certificate{Subject: pkix.Name{CommonName: issuer}}, &key.PublicKey, key)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	c := gotls.Certificate{PrivateKey: key, Certificate: [][]byte{make(subject, issuer)}}
	for _, l := range links {
		c.Certificate = append(c.Certificate, make(l, "root"))
	}
	return c
}

// TestTLSChain: what is behind a server's certificate is told, however it is cut, and also what is wrong with it.
func TestTLSChain(t *testing.T) {
	in := time.Date(2020, 6, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name        string
		cert        gotls.Certificate
		sni         string
		alpn        []string
		at          time.Time
		chain, self []string
		notes       []string
	}{
		{name: "chain", cert: chained(t, "example.org", "issuer", "issuer", "root"), at: in, chain: []string{"CN=issuer", "CN=root"}},
		{name: "self-signed", cert: chained(t, "example.org", "example.org"), at: in, self: []string{"true"}},
		{name: "expired", cert: chained(t, "example.org", "issuer", "issuer"), at: in.AddDate(3, 0, 0), chain: []string{"CN=issuer"}, notes: []string{"tls.expired_certificate"}},
		{name: "not yet valid", cert: chained(t, "example.org", "issuer"), at: in.AddDate(-1, 0, 0), notes: []string{"tls.expired_certificate"}},
		{name: "no time", cert: chained(t, "example.org", "issuer")},
		{name: "names as Tor's", cert: chained(t, "www.k2xq7dmw3nfh.net", "www.tb5zq2ohw4.com"), sni: "www.v3gq5yk2wl.com", at: in, notes: []string{"tls.tor_like", "tls.tor_like"}},
		{name: "a name as Tor's, of a browser", cert: chained(t, "www.v3gq5yk2wl.com", "issuer"), sni: "www.v3gq5yk2wl.com", alpn: []string{"h2"}, at: in},
		{name: "a name of people", cert: chained(t, "www.office365.com", "issuer"), sni: "www.b2bmarket24.com", at: in},
	} {
		client := &gotls.Config{MaxVersion: gotls.VersionTLS12, ServerName: "example.org", NextProtos: c.alpn}
		if c.sni != "" {
			client.ServerName = c.sni
		}
		list := handshake(t, client, &gotls.Config{Certificates: []gotls.Certificate{c.cert}, NextProtos: c.alpn}, 100)
		now := int64(0)
		if !c.at.IsZero() {
			now = c.at.UnixNano()
		}
		for _, piece := range []int{0, 1, 7, 500} {
			o := runTLSAt(list, piece, now)
			if !slices.Equal(o.values["tls.chain"], c.chain) || !slices.Equal(o.values["tls.self_signed"], c.self) || !slices.Equal(o.notes, c.notes) || o.txEnds != 1 {
				t.Errorf("%s in pieces of %d: chain %q, self-signed %q, notes %q, %d ends of exchanges; want %q, %q, %q", c.name, piece,
					o.values["tls.chain"], o.values["tls.self_signed"], o.notes, o.txEnds, c.chain, c.self, c.notes)
			}
		}
	}
}
