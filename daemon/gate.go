package daemon

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"weir/alert"
	"weir/broker"
	"weir/capture"
	"weir/dissect"
	"weir/dlp"
	"weir/enforce"
	"weir/engine"
	"weir/flow"
	"weir/policy"
	"weir/rules"
	"weir/wire"
	"weir/workload"
)

// gates hold the packets of the workloads that are protected until they are judged.
type gates struct {
	d      *Daemon
	engine *engine.Engine
	pool   *enforce.Pool
	memory *gateMemory
	wake   chan struct{}
	stop   chan struct{}
	named  chan struct{} // closed once those are named who were there at the start
	wg     sync.WaitGroup
	policy atomic.Pointer[policy.Policy]
	who    atomic.Pointer[map[string]bool] // the namespaces that have a gate, by path
	blocks atomic.Pointer[rules.Set]       // the rules that block
	db     *dlp.Database                   // the rules that block; nil: none. d.reloading guards it

	mu      sync.Mutex        // guards what follows
	at      map[uint64]*gate  // by the inode of the network namespace
	clean   map[uint64]bool   // namespaces in which nothing of an earlier daemon is left
	fails   map[uint64]string // why a namespace has no gate that should have one
	starts  map[uint64]bool   // gates that are being put up; true: of a workload that is known to be protected
	blind   map[string]bool   // ways of which it was told
	decided map[uint64]string // by namespace: the container (its id, if that is known) as which it is judged though more may become known
	gone    GateStatus        // counts of gates that were taken away

	offences chan *alert.Offender // whom rules want cut off
	refused  map[string]time.Time // of those, who is not, and when that was told

	quarantines []*Quarantine
	cut         map[uint64]bool   // by namespace: whether it is in quarantine, where that is known
	uncut       map[uint64]string // why one is not that should be, or is not known not to be
	cutting     map[uint64]bool   // namespaces in which that is being changed; true: it is to be looked at again once it is
	cuts        *sync.Cond        // one is no more; its lock is mu
}

// gate is that of one workload.
type gate struct {
	way       way
	guard     *enforce.Guard
	tap       *engine.Tap
	list      atomic.Pointer[[]capture.Interface] // as events call it
	failure   policy.Failure
	held      bool         // until it is known who the workload is; gates.mu guards it
	first     atomic.Int64 // ns since the epoch: since when a packet is held; 0: none is
	since     time.Time    // it is there
	who       atomic.Pointer[workload.Workload]
	addresses atomic.Pointer[[]netip.Addr]
}

// ours
const (
	gateRetry = 500 * time.Millisecond // what could not be put up is tried again so often
)

// startGates begins to protect whom the policy says.
func (d *Daemon) startGates() error {
	n := max(1, runtime.GOMAXPROCS(0))
	limits := flow.DefaultLimits
	div := d.divide(d.law)
	limits.Flows, limits.HeldPerTable, limits.Fragments = d.conf.Budget.Flows, gatesMost, gatesMost
	g := &gates{d: d, wake: make(chan struct{}, 1), stop: make(chan struct{}), named: make(chan struct{}),
		memory: newGateMemory(div.gates),
		at:     map[uint64]*gate{}, clean: map[uint64]bool{}, fails: map[uint64]string{}, blind: map[string]bool{}, decided: map[uint64]string{}, cut: map[uint64]bool{},
		starts: map[uint64]bool{}, cutting: map[uint64]bool{}, uncut: map[uint64]string{},
		offences: make(chan *alert.Offender, maxOffences), refused: map[string]time.Time{}}
	g.cuts = sync.NewCond(&g.mu)
	g.who.Store(&map[string]bool{})
	events := map[string]bool{"alert": true, "anomaly": true, "drop": true}
	g.engine = engine.New(engine.Config{
		Flow: limits, Overlap: flow.Overlap(d.conf.Flow.Overlap), Dissect: dissect.DefaultLimits, Events: events, Emit: g.emit, Full: d.queue.Full,
		Store: d.store, Post: d.conf.Pcap.Post.Duration(), Limiter: d.limiter, Validation: d.conf.Protocols.validation(),
		Budgets: g.memory.Budgets,
	})
	lanes := make([]*engine.Lane, n)
	for i := range lanes {
		lanes[i] = g.engine.NewLane()
		lanes[i].OnPanic = func(stack string) { d.log.Error("internal error, survived: please report it", "stack", stack) }
	}
	g.pool = enforce.NewPool(lanes)
	if err := g.block(d.blocks); err != nil {
		return err
	}
	var err error
	if g.quarantines, err = loadQuarantines(d.conf.Paths.quarantineFile()); err != nil {
		return err
	}
	g.wg.Go(g.run)
	d.gates.Store(g)
	if t := d.where.Load(); t != nil {
		d.setWorkloads(t)
	}
	g.enact(d.compiled.Load())
	return nil
}

// held reports whether the packets of a workload are held until they are judged.
func (d *Daemon) held(w *workload.Workload) bool {
	g := d.gates.Load()
	return g != nil && g.held(w)
}

// setWorkloads puts a new table of addresses in force.
func (d *Daemon) setWorkloads(t *workload.Table) {
	var host []netip.Addr
	if list, err := net.InterfaceAddrs(); err == nil {
		for _, a := range list {
			if p, err := netip.ParsePrefix(a.String()); err == nil {
				host = append(host, p.Addr())
			}
		}
	}
	d.where.Store(t)
	d.processes.setHost(host)
	d.engine.SetHost(host)
	d.engine.SetWorkloads(t)
	if g := d.gates.Load(); g != nil {
		g.engine.SetHost(host)
		g.engine.SetWorkloads(t)
		g.stir()
	}
}

// emit passes on what a gate tells: alerts, and what it cut off. What is odd about a conversation is told by whoever looks at all of it; that something was not looked
// at, by the gate too.
func (g *gates) emit(ev *alert.Event) {
	switch {
	case ev.Type == "alert" && (ev.Alert.Action == "blocked" || g.stops(ev)), ev.Type == "drop", ev.Type == "anomaly" && ev.Anomaly.Type == "engine":
		g.d.emit(ev)
	}
}

// stops reports whether an alert is of a rule that blocks, though it came too late: who looks at all of the conversation leaves it to the gate to tell.
func (g *gates) stops(ev *alert.Event) bool {
	set := g.blocks.Load()
	r := cmp.Or(set.Rule(ev.Weir.Rule), set.Own[ev.Weir.Rule])
	return r != nil && r.Action >= rules.Block
}

// enact puts a policy in force at the gates; nil: there is none.
func (g *gates) enact(p *policy.Policy) {
	g.settle()
	g.policy.Store(p)
	g.engine.SetPolicy(p)
	g.mu.Lock()
	list := g.list()
	g.mu.Unlock()
	together(list, func(x *gate) {
		if err := x.guard.Rejudge(); err != nil {
			g.d.log.Error("connections that were cleared are not judged by the new policy", "workload", x.name(), "problem", err)
		}
	})
	g.stir()
}

// block makes rules those of the gates. d.reloading is held, or there are no gates yet.
func (g *gates) block(set *rules.Set) error {
	var db *dlp.Database
	if len(set.Rules) > 0 {
		var err error
		if db, err = g.d.compile(set); err != nil {
			return err
		}
	}
	old := g.db
	g.db = db
	g.blocks.Store(set)
	g.engine.SetOwn(set.Own)
	g.engine.SetRules(db)
	if old != nil {
		g.pool.Each(func(*engine.Lane) {}) // none is about to take up the old rules then
		old.Close()
	}
	return nil
}

// list lists the gates. g.mu is held.
func (g *gates) list() (out []*gate) {
	for _, x := range g.at {
		out = append(out, x)
	}
	return out
}

// stir has gates put up and taken away, as they should be now. It does not wait.
func (g *gates) stir() {
	select {
	case g.wake <- struct{}{}:
	default:
	}
}

func (g *gates) run() {
	tick := time.NewTicker(gateRetry)
	defer tick.Stop()
	select { // a peer without a name yet would be judged as a stranger, and cut off
	case <-g.stop:
		return
	case <-g.named:
	}
	for {
		select {
		case <-g.stop:
			return
		case <-g.wake:
			g.reconcile()
		case o := <-g.offences:
			g.isolate(o)
		case <-tick.C:
			g.retry()
		}
	}
}

// retry puts up the gates that could not be put up before, and cuts off and lets in who could not be.
func (g *gates) retry() {
	g.mu.Lock()
	failed := len(g.fails)+len(g.uncut) > 0
	g.mu.Unlock()
	if failed {
		g.reconcile()
	}
}

// wanted is a workload that should have a gate, or should have none.
type wanted struct {
	way       way
	who       *workload.Workload
	addresses []netip.Addr
	settled   bool // nothing more is to be expected of who it is
}

// wants returns what is known of the network namespaces of workloads.
func (g *gates) wants() map[uint64]*wanted {
	out := map[uint64]*wanted{}
	d := g.d
	ways := d.leads.Load()
	if ways == nil {
		return out
	}
	for index, w := range *ways {
		k := d.naming.known(index)
		if k.who == nil {
			k.who, k.settled = &workload.Workload{}, true
		}
		x := out[w.inode]
		if x == nil {
			x = &wanted{way: w, who: k.who, settled: k.settled}
			out[w.inode] = x
		}
		for _, a := range k.addresses {
			if !slices.Contains(x.addresses, a) {
				x.addresses = append(x.addresses, a)
			}
		}
	}
	return out
}

// protected reports whether a workload's packets are to be held, and what becomes of them if nobody judges.
func (g *gates) protected(w *wanted) (yes bool, failure policy.Failure) {
	p := g.policy.Load()
	if p == nil {
		return false, policy.Open
	}
	for _, a := range append(w.addresses, netip.Addr{}) {
		id := p.Identify(engine.SubjectOf(w.who, a))
		yes = yes || p.Mode(id, id) == policy.Protect
		failure = max(failure, p.Failure(id))
	}
	return yes, failure
}

func (g *gates) failed(inode uint64, w *wanted, err error) {
	why := err.Error()
	g.fails[inode] = why
	g.blind[w.way.path] = true
	g.d.mu.Lock()
	before := g.d.blind["protect:"+w.way.path]
	g.d.blind["protect:"+w.way.path] = why
	g.d.mu.Unlock()
	if before != why {
		g.d.log.Error("a workload is not protected", "workload", w.who.String(), "problem", why)
		g.d.tell(w.who.String(), "enforce.not_protected", why)
	}
}

func (g *gates) opener(w way) enforce.Opener {
	return func(kind broker.Kind) (*os.File, error) {
		f, err := g.d.openIn(w, kind)
		if err != nil {
			return nil, err
		}
		return f, nil
	}
}

var errNoWay = errors.New("workloads' network namespaces cannot be entered (start weir-broker.service, or run Weir with CAP_SYS_ADMIN)")

// know takes note of who is behind a gate.
func (x *gate) know(w *wanted) {
	x.who.Store(w.who)
	x.addresses.Store(&w.addresses)
	x.list.Store(&[]capture.Interface{{Name: x.name() + "/gate", Link: wire.LinkRaw}})
}

// name is what people call who is behind a gate.
func (x *gate) name() string { return cmp.Or(x.who.Load().String(), x.way.path) }

// own returns the workload for the addresses that are its own.
func (x *gate) own(addr [16]byte) *workload.Workload {
	a := netip.AddrFrom16(addr).Unmap()
	if a.IsLoopback() || slices.Contains(*x.addresses.Load(), a) {
		return x.who.Load()
	}
	return nil
}

// tell tells of what a gate did not judge.
func (g *gates) tell(x *gate, ev enforce.Event) {
	detail := ""
	switch {
	case ev.Err != nil:
		detail = ev.Err.Error()
	case ev.N > 0:
		detail = fmt.Sprintf("%d packets", ev.N)
	}
	g.d.log.Warn("enforcement", "workload", x.name(), "event", ev.Code, "problem", detail)
	g.d.tell(x.name(), ev.Code, detail)
}

// lift has traffic pass, and leaves nothing. It may be called for several gates at once.
func (g *gates) lift(x *gate) {
	if err := x.guard.Close(); err != nil && !errors.Is(err, os.ErrNotExist) {
		g.d.log.Warn("the rules of a workload that is protected no more", "workload", x.name(), "problem", err)
	}
	x.guard.Wait()
}

// count keeps what a gate has counted that is over. g.mu is held.
func (g *gates) count(x *gate) {
	s := x.status()
	s.Waiting, s.Undecided = 0, 0
	g.gone.add(&s)
}

// held reports whether a workload has a gate.
func (g *gates) held(w *workload.Workload) bool {
	return w.NetNS != "" && (*g.who.Load())[w.NetNS]
}

// close takes all gates away, or leaves them to a successor.
func (g *gates) close() {
	close(g.stop)
	g.wg.Wait()
	g.mu.Lock()
	list := g.list()
	if g.d.handing.Load() {
		together(list, func(x *gate) {
			x.guard.Leave()
			x.guard.Wait()
		})
	} else {
		together(list, g.lift)
	}
	for _, x := range list {
		g.count(x)
	}
	clear(g.at)
	g.mu.Unlock()
	g.pool.Each((*engine.Lane).Free)
	g.pool.Close()
	if g.db != nil {
		g.db.Close()
	}
}
