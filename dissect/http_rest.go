package dissect

import "weir/wire"

// Bits of an http's Rest.State: the roles of both directions come first.
const (
	httpRole  = 3 // of a direction; 2 bits further on, that of the other one
	httpLost  = 1 << 4
	httpAsked = 1 << 5 // there was an exchange
	httpEnded = 1 << 6 // the last message of a direction said Connection: close; in the next bit, the other one's
)

// ours
const (
	maxHTTPFree  = 64   // dissectors kept for reuse
	maxPending   = 16   // room for requests that they keep
	httpSize     = 512  // bytes that one is counted for
	viewerSize   = 1152 // bytes of a viewer
	fileNameSize = 640  // bytes of a multipart
	codingsSize  = 512  // bytes of codings, without what their decoders hold
)

// Rest implements Dissector.
func (h *http) Rest() (Rest, bool) {
	if len(h.pending) > 0 {
		return Rest{}, false
	}
	r := Rest{ID: h.lastID, Tx: max(h.reqTx, h.ansTx)}
	for i := range h.side {
		s := &h.side[i]
		if s.state != atStart || s.open || s.closed || s.left > 0 || s.blank > 0 || s.junk > 0 || s.told|s.fresh != 0 {
			return Rest{}, false
		}
		r.State |= uint64(s.role) << (2 * i)
		if s.ended {
			r.State |= httpEnded << i
		}
	}
	if h.lost {
		r.State |= httpLost
	}
	if h.reqTx > 0 {
		r.State |= httpAsked
	}
	h.recycle()
	return r, true
}

// recycle keeps h for another flow.
func (h *http) recycle() {
	x := h.env.httpScratch()
	if len(x.https) >= maxHTTPFree {
		return
	}
	pending := h.pending
	if cap(pending) > maxPending {
		pending = nil
	}
	*h = http{pending: pending[:0]}
	x.https = append(x.https, h)
}

func newHTTP(p *Protocol, env *Env) Dissector {
	return makeHTTP(p, env)
}

func makeHTTP(p *Protocol, env *Env) (h *http) {
	x := env.httpScratch()
	if n := len(x.https); n > 0 {
		h, x.https = x.https[n-1], x.https[:n-1]
	} else {
		h = new(http)
	}
	h.p, h.env = p, env
	h.side[wire.ToServer].dir, h.side[wire.ToClient].dir = wire.ToServer, wire.ToClient
	return h
}

func resumeHTTP(p *Protocol, env *Env, r Rest) Dissector {
	h := makeHTTP(p, env)
	h.lastID = r.ID
	for i := range h.side {
		s := &h.side[i]
		s.role = httpKind(r.State >> (2 * i) & httpRole)
		s.ended = r.State&(httpEnded<<i) != 0
	}
	h.lost = r.State&httpLost != 0
	h.done, h.ansTx = r.Tx, r.Tx
	if r.State&httpAsked != 0 {
		h.reqTx = r.Tx
	}
	return h
}

// Size implements Dissector.
func (h *http) Size() int {
	return httpSize + cap(h.pending) + h.side[0].size() + h.side[1].size()
}

// size returns the bytes that a direction holds, decoders aside.
func (s *httpSide) size() (n int) {
	if s.view != nil {
		n += viewerSize
	}
	if s.files != nil {
		n += fileNameSize
	}
	if s.events != nil {
		n += sseSize
	}
	if s.chain != nil {
		n += codingsSize
	}
	return n
}
