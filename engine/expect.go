package engine

import (
	"sync"
	"sync/atomic"

	"weir/dissect"
	"weir/wire"
)

// ours
const (
	maxExpected  = 4096           // ends that flows are expected at; then the oldest is forgotten
	expectedLife = 60_000_000_000 // ns that a flow is waited for
)

// expectations are ends of flows of which another flow has announced what they will be.
type expectations struct {
	n    atomic.Int32 // of at: mostly 0, and then nobody takes the lock
	mu   sync.Mutex
	at   map[end]expected
	ring [maxExpected]end // in the order in which they were announced
	next int
}

// end is an end that a flow is expected at.
type end struct {
	addr  [16]byte
	port  uint16
	proto uint8
	scope uint32 // the tap's: of addresses that others use, too
}

type expected struct {
	what  dissect.Expectation
	from  [16]byte // of a stream: the host that must begin it
	until int64
	slot  int
}

// add notes that a flow with e as one of its ends will be what w says; a stream only if from begins it.
func (x *expectations) add(e end, from [16]byte, w *dissect.Expectation, now int64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.at == nil {
		x.at = map[end]expected{}
	}
	if old, ok := x.at[e]; ok { // its slot stays its own
		x.at[e] = expected{*w, from, now + expectedLife, old.slot}
		return
	}
	if oldest := x.ring[x.next]; x.at[oldest].slot == x.next {
		delete(x.at, oldest)
	}
	x.ring[x.next] = e
	x.at[e] = expected{*w, from, now + expectedLife, x.next}
	x.next = (x.next + 1) % maxExpected
	x.n.Store(int32(len(x.at)))
}

// of returns what was announced of a flow that a, or b, has begun; its Protocol is nil if nothing was.
func (x *expectations) of(k *wire.Key, scope uint32, aInitiates bool, now int64) (w dissect.Expectation) {
	if x.n.Load() == 0 {
		return w
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	ends := [...]end{{k.A, k.APort, k.Proto, scope}, {k.B, k.BPort, k.Proto, scope}}
	for i, e := range ends {
		found, ok := x.at[e]
		if !ok || now >= found.until {
			continue
		}
		if k.Proto == wire.ProtoTCP && (aInitiates != (i == 1) || found.from != ends[1-i].addr) {
			continue
		}
		return found.what
	}
	return w
}

// expect notes what a message announces. A stream is announced for the two hosts that the present flow is of, and no others: else whoever
// speaks FTP could have what others say taken for files.
func (l *Lane) expect(m *dissect.Message) {
	k := &l.fl.Key
	for i := range m.Expect {
		w := &m.Expect[i]
		e, from := end{addr: k.A, port: k.APort, proto: wire.ProtoUDP, scope: l.t.cfg.Scope}, k.B
		if l.fl.AInitiates != (w.Side == wire.ToServer) {
			e.addr, e.port, from = k.B, k.BPort, k.A
		}
		if w.Port != 0 {
			e.port = w.Port
		}
		if w.Protocol.Carrier&dissect.Stream != 0 {
			e.proto = wire.ProtoTCP
		}
		if w.Addr.IsValid() {
			own := e.addr
			if e.addr = w.Addr.As16(); e.addr != own && e.proto == wire.ProtoTCP {
				continue
			}
		}
		l.e.expected.add(e, from, w, l.t.now)
	}
}

// announced returns the protocol that another flow has announced for the present one, if head does not speak against it. The name
// that it goes by is in the Env then, for the dissector that is made next.
func (l *Lane) announced(a *app, c dissect.Carrier, dir wire.Dir, head []byte) *dissect.Protocol {
	w := l.e.expected.of(&l.fl.Key, l.t.cfg.Scope, l.fl.AInitiates, l.t.now)
	p := w.Protocol
	if p == nil || p.Expected == nil || p.Carrier&c == 0 || a.tried.has(index(p)) {
		return nil
	}
	if p.Expected(dir, head[:min(len(head), dissect.MaxProbe)]) != dissect.Yes {
		return nil
	}
	if w.Name != "" {
		l.env().Announced = w.Name
	}
	return p
}
