package dissect

// Bits of a tls's Rest.State: those of both directions come first.
const (
	tlsStateBits = 2
	tlsToldBits  = 16
	tlsSideBits  = tlsStateBits + tlsToldBits + 2 // begun and ccs
	tlsBitHello  = 1 << (2 * tlsSideBits)
	tlsBitRetry  = tlsBitHello << 1
	tlsBitAnswer = tlsBitHello << 2
	tlsBitCert   = tlsBitHello << 3
	tlsBitDone   = tlsBitHello << 4
	tlsBitSealed = tlsBitHello << 5
)

// ours
const tlsSize = 144 // bytes that a tls is counted for

// Rest implements Dissector: once both directions are ciphertext, between two records.
func (d *tls) Rest() (Rest, bool) {
	if d.hello && !d.answer {
		return Rest{}, false // what the client offered still counts
	}
	r := Rest{ID: d.lastID, Tx: d.tx}
	for i := range d.side {
		s := &d.side[i]
		if s.state == tlsClear && !d.sealed || s.id != 0 || s.held || s.hn > 0 || s.left > 0 || s.skip > 0 {
			return Rest{}, false
		}
		b := uint64(s.state) | uint64(s.told)<<tlsStateBits | bit(s.begun)<<(tlsStateBits+tlsToldBits) | bit(s.ccs)<<(tlsStateBits+tlsToldBits+1)
		r.State |= b << (i * tlsSideBits)
	}
	r.State |= bit(d.hello)*tlsBitHello | bit(d.retry)*tlsBitRetry | bit(d.answer)*tlsBitAnswer | bit(d.cert)*tlsBitCert |
		bit(d.done)*tlsBitDone | bit(d.sealed)*tlsBitSealed
	return r, true
}

func bit(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

func resumeTLS(p *Protocol, env *Env, r Rest) Dissector {
	d := &tls{
		p: p, env: env, lastID: r.ID, tx: r.Tx, letter: 't',
		hello: r.State&tlsBitHello != 0, retry: r.State&tlsBitRetry != 0, answer: r.State&tlsBitAnswer != 0,
		cert: r.State&tlsBitCert != 0, done: r.State&tlsBitDone != 0, sealed: r.State&tlsBitSealed != 0,
	}
	for i := range d.side {
		s, b := &d.side[i], r.State>>(i*tlsSideBits)
		s.state = tlsState(b & (1<<tlsStateBits - 1))
		s.told = uint16(b >> tlsStateBits)
		s.begun = b>>(tlsStateBits+tlsToldBits)&1 != 0
		s.ccs = b>>(tlsStateBits+tlsToldBits+1)&1 != 0
	}
	return d
}

// Size implements Dissector.
func (d *tls) Size() int { return tlsSize }
