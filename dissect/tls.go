package dissect

import "weir/wire"

// TLS is Transport Layer Security, RFC 8446 and before.
var TLS = Protocol{Name: "tls", Carrier: Stream, Ports: []uint16{443}, Probe: probeTLS, Fields: tlsFields, New: newTLS}

var tlsFields = []FieldSpec{{Name: "tls.sni", EVE: "sni"}}

func probeTLS(dir wire.Dir, head []byte) Guess { return No }

func newTLS(p *Protocol, env *Env) Dissector { return &tls{p: p} }

type tls struct{ p *Protocol }

func (d *tls) Feed(dir wire.Dir, data []byte, emit func(*Message)) (Progress, error) {
	return Progress{Used: len(data)}, nil
}
func (d *tls) Gap(dir wire.Dir, n int, emit func(*Message)) bool { return false }
func (d *tls) Close(dir wire.Dir, emit func(*Message))           {}
