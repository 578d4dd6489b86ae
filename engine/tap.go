package engine

import (
	"sync"
	"sync/atomic"

	"weir/capture"
	"weir/dissect"
	"weir/flow"
	"weir/pcapstore"
	"weir/tunnel"
	"weir/wire"
	"weir/workload"
)

// TapConfig says what a Tap watches.
type TapConfig struct {
	// Interfaces returns the source's interfaces; wire.Frame.Iface indexes them. It may grow.
	Interfaces func() []capture.Interface
	// Behind describes who is behind the source's interfaces, for those who open its packets; nil: what Interfaces says of them stands.
	Behind func() string
	Drops  func() uint64 // frames that the source lost so far; nil: it cannot tell
	// Cut is told of conversations that are denied, where packets are held until they are judged (Judge); nil: they are only looked at.
	Cut func(*Cut)
	// Own returns the workload that has an address in the namespace of the source, nil if none has; a nil Own: the table of workloads alone
	// knows. It may be called from any goroutine.
	Own func(addr [16]byte) *workload.Workload
	// Closed says that packets which nobody can judge do not pass; see SetClosed.
	Closed bool
	// Scope is wire.Decoder's: of a source whose addresses others use, too.
	Scope uint32
	// Inside returns the workload whose loopback interface the source is: what is said there it says to itself, whatever the addresses. nil: it
	// is none. It may be called from any goroutine.
	Inside func() *workload.Workload
	// Number says that frames are numbered from 1, as events of a file are.
	Number bool
}

// Tap is one interface's source and all that is known from it: flows, fragments, recent packets. One goroutine at a time
// owns it, the one that holds mu; Counters and Packets may be called by any.
type Tap struct {
	mu      sync.Mutex // held for a block or a tick, never per packet
	e       *Engine
	cfg     TapConfig
	table   *flow.Table[conn]
	defrag  *flow.Defrag
	env     dissect.Env
	recent  *pcapstore.Recent
	slices  []*slice           // open
	due     int64              // ns: no open slice ends before; a slice may have been prolonged since
	waiting []*flow.Flow[conn] // whose deadlines are watched
	closed  atomic.Bool
	lane    *Lane // that serves it now; for what flows say when they end

	shares shares
	opens  opens
	trims  uint64

	givenUpAt   int64 // ns: when it was told last that flows were given up
	givenUpTold uint64

	frames uint64
	now    int64
	told   map[string]uint64 // oddities that belong to no flow: count, for the first of each kind is an event
	count  tapCounters
	fat    fattest
	shed   uint64 // bytes that detection gave up on

	watch  *tunnel.Watch  // nil: nothing of interest was seen yet
	joined *tunnel.Joined // likewise: no queries whose names may belong together

	kin     *kin // the taps of its interface; nil: it is the only one
	younger bool // it is not the first of them

	undecodable uint64 // values, of twins and inside of others, with a coding that could not be undone

	shown       snapshot
	published   uint64 // frames
	publishedAt int64  // ns
}

// NewTap returns a Tap of e.
func (e *Engine) NewTap(cfg TapConfig) *Tap {
	limits := e.cfg.Flow
	t := &Tap{
		e:      e,
		cfg:    cfg,
		table:  flow.New[conn](limits, e.cfg.Overlap, e.cfg.Checksum),
		defrag: flow.NewDefrag(limits.Fragments, e.cfg.Overlap),
		told:   make(map[string]uint64),
	}
	t.closed.Store(cfg.Closed)
	t.table.OnEnd(t.ended)
	e.budgets.take(t)
	return t
}

// iface names the interface that a frame came from.
func (t *Tap) iface(f *wire.Frame) string {
	if t.cfg.Interfaces == nil || f == nil {
		return ""
	}
	if list := t.cfg.Interfaces(); int(f.Iface) < len(list) {
		return list[f.Iface].Name
	}
	return ""
}

func (t *Tap) drops() uint64 {
	if t.cfg.Drops == nil {
		return 0
	}
	return t.cfg.Drops()
}

// Tick lets flows expire and slices end when no packets come. now is ns since the epoch.
func (l *Lane) Tick(t *Tap, now int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	l.attach(t)
	l.idle = true
	defer l.detach(t)
	if t.now = max(t.now, now); t.now-now > backMost {
		t.now = now
	}
	t.table.Trim()
	l.sweep(&t.opens, sweepTick, 0)
	l.e.twins.quiet(l)
	l.expire(t, now)
	defer l.survive()
	l.deadlines(t)
	t.expireSlices(now)
	t.publish()
}

func (l *Lane) closeFlows(t *Tap) {
	defer l.survive()
	t.table.Close()
}

// Close ends all flows of t: what they still held is inspected, their events are told. t is not used any more.
func (l *Lane) Close(t *Tap) {
	t.mu.Lock()
	defer t.mu.Unlock()
	l.attach(t)
	l.idle = true
	defer l.detach(t)
	l.closeFlows(t)
	t.expireSlices(1<<63 - 1)
	t.shown.Store(t.read())
	t.shares.close()
	t.opens.bytes.Close()
}
