package dissect

// ours
const (
	dnsSize      = 128 // bytes that a dns is counted for
	dnsAskedSize = 32  // bytes of a query that waits
)

// Rest implements Dissector: no query waits for its answer. State has a bit for each direction that asked.
func (d *dns) Rest() (Rest, bool) {
	if len(d.pending) > 0 || d.side != [2]dnsSide{} {
		return Rest{}, false
	}
	return Rest{ID: d.lastID, Tx: d.lastTx, State: bit(d.queried[0]) | bit(d.queried[1])<<1}, true
}

func resumeDNS(p *Protocol, env *Env, r Rest) Dissector {
	return &dns{p: p, env: env, lastID: r.ID, lastTx: r.Tx, queried: [2]bool{r.State&1 != 0, r.State&2 != 0}}
}

func resumeDNSTCP(p *Protocol, env *Env, r Rest) Dissector {
	d := resumeDNS(p, env, r).(*dns)
	d.stream = true
	return d
}

// Size implements Dissector.
func (d *dns) Size() int { return dnsSize + cap(d.pending)*dnsAskedSize }
