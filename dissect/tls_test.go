package dissect

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1"
	gotls "crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"io"
	"math/big"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/wire"
)

// said is what one end wrote at once.
type said struct {
	dir wire.Dir
	b   []byte
}

// tap records what both ends of a pipe write.
type tap struct {
	net.Conn
	mu  *sync.Mutex
	dir wire.Dir
	all *[]said
}

func (t tap) Write(b []byte) (int, error) {
	t.mu.Lock()
	*t.all = append(*t.all, said{t.dir, bytes.Clone(b)})
	t.mu.Unlock()
	return t.Conn.Write(b)
}

// testCert is a self-signed certificate with names of several kinds.
var testCert = sync.OnceValue(func() gotls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	name := pkix.Name{Country: []string{"FR"}, Province: []string{"IDF"}, Organization: []string{"Example, Inc."}, CommonName: "example.org",
		ExtraNames: []pkix.AttributeTypeAndValue{{Type: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}, Value: "a@example.org"},
			{Type: asn1.ObjectIdentifier{2, 999, 3}, Value: "x"}}}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(0x97e64709), Subject: name,
		NotBefore: time.Date(2015, 2, 12, 18, 7, 27, 0, time.UTC), NotAfter: time.Date(2055, 2, 9, 18, 7, 27, 0, time.UTC),
		DNSNames: []string{"example.org", "www.example.org"}, IPAddresses: []net.IP{net.IPv4(192, 0, 2, 1), net.ParseIP("2001:db8::1")}}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	return gotls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
})

// handshake records one connection: a handshake, payload bytes each way, close.
func handshake(t testing.TB, client, server *gotls.Config, payload int) []said {
	t.Helper()
	var all []said
	var mu sync.Mutex
	c, s := net.Pipe()
	if server.Certificates == nil {
		server.Certificates = []gotls.Certificate{testCert()}
	}
	client.InsecureSkipVerify = true
	done := make(chan error, 1)
	go func() {
		conn := gotls.Server(tap{s, &mu, wire.ToClient, &all}, server)
		if _, err := io.CopyN(conn, conn, int64(payload)); err != nil {
			done <- err
			s.Close()
			return
		}
		go io.Copy(io.Discard, s)
		done <- conn.Close()
	}()
	conn := gotls.Client(tap{c, &mu, wire.ToServer, &all}, client)
	go conn.Write(make([]byte, payload))
	_, err := io.CopyN(io.Discard, conn, int64(payload))
	c.Close()
	if e := <-done; err == nil && e != nil {
		t.Log("server:", e)
	}
	if err != nil {
		t.Log("client:", err)
	}
	mu.Lock()
	defer mu.Unlock()
	return slices.Clone(all)
}

// wantAll asks for every field.
func wantAll() Wants { return slices.Repeat([]bool{true}, len(FieldNames)) }

// tlsTold is what a dissector emitted: values by field name, notes, and the bytes that were ciphertext.
type tlsTold struct {
	values       map[string][]string
	notes        []string
	order        []string
	ends, txEnds int
	used, opaque int
	err          error
}

func (o *tlsTold) emit(m *Message) {
	for _, p := range m.Parts {
		name := m.Protocol.Fields[p.Field].Name
		o.values[name] = append(o.values[name], string(p.Bytes))
		o.order = append(o.order, fmt.Sprintf("%d/%d %s=%s", m.ID, p.Value, name, p.Bytes))
	}
	for _, n := range m.Notes {
		o.notes = append(o.notes, n.Code)
		o.order = append(o.order, fmt.Sprintf("%d %s", m.ID, n.Code))
	}
	if m.End {
		o.ends++
		o.order = append(o.order, fmt.Sprintf("%d end %t", m.ID, m.TxEnd))
	}
	if m.TxEnd {
		o.txEnds++
	}
}

// runTLS feeds what was said, in pieces of at most piece bytes (0: as it was said), as an engine does.
func runTLS(list []said, piece int) *tlsTold { return runTLSAt(list, piece, 0) }

// runTLSAt does so at a time, ns since 1970.
func runTLSAt(list []said, piece int, now int64) *tlsTold {
	o := &tlsTold{values: map[string][]string{}}
	env := &Env{Want: wantAll(), Limits: DefaultLimits, Now: now}
	d := TLS.New(&TLS, env)
	var held [2][]byte
	var need [2]int
	for _, s := range list {
		for b := s.b; len(b) > 0; {
			n := len(b)
			if piece > 0 {
				n = min(n, piece)
			}
			held[s.dir] = append(held[s.dir], b[:n]...)
			b = b[n:]
			data := held[s.dir]
			if len(data) < need[s.dir] && len(b) > 0 { // asking early is allowed, and tells the same however it was cut
				continue
			}
			data = bytes.Clone(data)
			pr, err := d.Feed(s.dir, data, o.emit)
			if pr.Used < 0 || pr.Used > len(data) || pr.Opaque < 0 || pr.Opaque > pr.Used {
				panic(fmt.Sprint("bad progress ", pr, len(data)))
			}
			o.used += pr.Used
			o.opaque += pr.Opaque
			if err != nil {
				o.err = err
				d.Close(wire.ToServer, o.emit)
				d.Close(wire.ToClient, o.emit)
				return o
			}
			rest := data[pr.Used:]
			need[s.dir] = 0
			if len(rest) > 0 {
				need[s.dir] = len(rest) + pr.Need
			}
			held[s.dir] = append(held[s.dir][:0], rest...)
			clear(data) // what is borrowed must not be used later
		}
	}
	d.Close(wire.ToServer, o.emit)
	d.Close(wire.ToClient, o.emit)
	return o
}

func TestTLSHandshakes(t *testing.T) {
	leaf := testCert().Certificate[0]
	sum := sha1.Sum(leaf)
	fingerprint := strings.ReplaceAll(fmt.Sprintf("% x", sum[:]), " ", ":")
	both := func(v uint16) (*gotls.Config, *gotls.Config) {
		return &gotls.Config{ServerName: "example.org", NextProtos: []string{"h2", "http/1.1"}, MinVersion: gotls.VersionTLS10, MaxVersion: v},
			&gotls.Config{NextProtos: []string{"http/1.1"}, MinVersion: gotls.VersionTLS10}
	}
	for _, c := range []struct {
		version uint16
		name    string
		notes   []string
	}{
		{gotls.VersionTLS10, "TLSv1", []string{"tls.old_version"}},
		{gotls.VersionTLS11, "TLS 1.1", []string{"tls.old_version"}},
		{gotls.VersionTLS12, "TLS 1.2", nil},
		{gotls.VersionTLS13, "TLS 1.3", nil},
	} {
		client, server := both(c.version)
		list := handshake(t, client, server, 40000)
		o := runTLS(list, 0)
		want := map[string]string{"tls.sni": "example.org", "tls.alpn": "h2 http/1.1", "tls.server_alpn": "http/1.1", "tls.version": c.name,
			"tls.client_version": c.name}
		if c.version < gotls.VersionTLS13 {
			want["tls.subject"] = "C=FR, ST=IDF, O=Example, Inc., CN=example.org, emailAddress=a@example.org, 2.999.3=x"
			want["tls.issuerdn"] = want["tls.subject"]
			want["tls.serial"] = "00:97:E6:47:09"
			want["tls.fingerprint"] = fingerprint
			want["tls.notbefore"] = "2015-02-12T18:07:27"
			want["tls.notafter"] = "2055-02-09T18:07:27"
			want["tls.san"] = "example.org www.example.org 192.0.2.1 2001:db8::1"
		} else {
			delete(want, "tls.server_alpn") // encrypted
		}
		for k, v := range want {
			if got := strings.Join(o.values[k], " "); got != v {
				t.Errorf("%s: %s: got %q, want %q", c.name, k, got, v)
			}
		}
		if !slices.Equal(o.notes, c.notes) {
			t.Errorf("%s: notes: got %q, want %q", c.name, o.notes, c.notes)
		}
		if o.txEnds != 1 || o.ends != 2 {
			t.Errorf("%s: %d ends, %d of exchanges: %q", c.name, o.ends, o.txEnds, o.order)
		}
		if o.opaque < 80000 {
			t.Errorf("%s: %d bytes opaque, want 80000 at least", c.name, o.opaque)
		}
		for _, piece := range []int{1, 2, 3, 7, 100, 1460} {
			if p := runTLS(list, piece); !slices.Equal(p.order, o.order) || p.opaque != o.opaque || p.used != o.used {
				t.Errorf("%s: in pieces of %d: got %q, want %q", c.name, piece, p.order, o.order)
			}
		}
	}
}
