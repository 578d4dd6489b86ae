package dissect

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"golang.org/x/net/http2/hpack"

	"weir/wire"
)

// h2peer writes what one end of an HTTP/2 connection sends.
type h2peer struct {
	block bytes.Buffer
	enc   *hpack.Encoder
}

func newH2Peer() *h2peer {
	p := &h2peer{}
	p.enc = hpack.NewEncoder(&p.block)
	return p
}

// h2frame writes a frame.
func h2frame(kind, flags uint8, stream uint32, payload string) string {
	n := len(payload)
	b := []byte{byte(n >> 16), byte(n >> 8), byte(n), kind, flags}
	return string(binary.BigEndian.AppendUint32(b, stream)) + payload
}

// list encodes a header list of names and values in turn.
func (p *h2peer) list(nv ...string) string {
	p.block.Reset()
	for i := 0; i < len(nv); i += 2 {
		_ = p.enc.WriteField(hpack.HeaderField{Name: nv[i], Value: nv[i+1]})
	}
	return p.block.String()
}

// headers writes HEADERS that end their block.
func (p *h2peer) headers(stream uint32, flags uint8, nv ...string) string {
	return h2frame(frameHeaders, flagEndHeaders|flags, stream, p.list(nv...))
}

// get writes a request without content.
func (p *h2peer) get(stream uint32, path string, nv ...string) string {
	return p.headers(stream, flagEndStream, append([]string{":method", "GET", ":scheme", "http", ":path", path, ":authority", "example.com"}, nv...)...)
}

// post writes the head of a request with content.
func (p *h2peer) post(stream uint32, path string, nv ...string) string {
	return p.headers(stream, 0, append([]string{":method", "POST", ":scheme", "http", ":path", path, ":authority", "example.com"}, nv...)...)
}

func h2data(stream uint32, flags uint8, b string) string { return h2frame(frameData, flags, stream, b) }

const (
	h2noSettings = "\x00\x00\x00\x04\x00\x00\x00\x00\x00"
	h2hello      = http2Preface + h2noSettings
)

// playHTTP2 feeds turns in pieces of at most size bytes, as the engine would, and closes both directions.
func playHTTP2(t testing.TB, env *Env, turns []turn, size int) (*heard, error) {
	e := newHeard()
	d := HTTP2.New(&HTTP2, env)
	var left [2][]byte
	var lost error
	for _, tn := range turns {
		for data := []byte(tn.data); len(data) > 0 && lost == nil; {
			n := len(data)
			if size > 0 {
				n = min(n, size)
			}
			in := append(slices.Clone(left[tn.dir]), data[:n]...)
			data = data[n:]
			p, err := d.Feed(tn.dir, in, e.hear)
			if p.Used < 0 || p.Used > len(in) {
				t.Fatalf("Used %d of %d", p.Used, len(in))
			}
			left[tn.dir] = slices.Clone(in[p.Used:])
			for i := range in {
				in[i] = 0xee
			}
			lost = err
		}
	}
	for _, dir := range []wire.Dir{toS, toC} {
		d.Close(dir, e.hear)
		if len(left[dir]) > 0 && lost == nil {
			p, err := d.Feed(dir, left[dir], e.hear)
			if lost = err; p.Used != len(left[dir]) && err == nil {
				t.Fatalf("after Close: used %d of %d", p.Used, len(left[dir]))
			}
		}
	}
	return e, lost
}
