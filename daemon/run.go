package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"weir/alert"
	"weir/broker"
	"weir/capture"
	"weir/dissect"
	"weir/dlp"
	"weir/engine"
	"weir/flow"
	"weir/pcapstore"
	"weir/policy"
	"weir/rules"
	"weir/workload"
)

// Daemon is `weir run`: what is wired together, from the first ring to the last event.
type Daemon struct {
	conf     *Config
	log      *slog.Logger
	started  time.Time
	patience time.Duration // after which something that has not moved hangs
	turn     atomic.Int64  // ns since the epoch: when serve last came round
	hung     bool          // the watchdog's: what healthy said last
	up       atomic.Bool   // it was ready once

	engine  *engine.Engine
	lanes   chan *engine.Lane
	queue   *alert.Queue
	events  *EventLog
	alerts  *EventLog
	eve     *alert.File
	logLock *os.File // of the folder of eve; nil: it could not be made
	store   *pcapstore.Store
	memory  *keeper
	program int64 // bytes that Weir took before there was a packet, without rules
	notify  *Notifier

	control      *Control       // nil until ready
	metrics      *MetricsServer // nil: none
	latency      latency
	naming       *naming
	learn        *learning
	gates        atomic.Pointer[gates]         // nil until there are some
	compiled     atomic.Pointer[policy.Policy] // the policy in force; nil: none
	limiter      *alert.Limiter
	processes    *processes
	translations atomic.Pointer[workload.Translations] // nil: they are not known
	blocks       *rules.Set                            // the rules that block, as of the start
	where        atomic.Pointer[workload.Table]        // addresses in force
	leads        atomic.Pointer[map[int]way]           // the ways into workloads' network namespaces, as naming knows them
	leading      chan struct{}                         // they have changed
	outside      string                                // why workloads' network namespaces cannot be entered; "": they can, or nobody wants to
	told         *tally
	reading      chan struct{} // one pull of recent packets at a time
	slow         chan struct{} // sockets that are ending

	handing atomic.Bool // it ends for its successor: what is enforced stays in force

	hangup    chan struct{} // a SIGHUP that waits for its reload
	relist    chan *relisting
	again     *relisting    // serve's: those that are being listed; nil: none are
	unwatch   func()        // serve's: ends the watch of interfaces
	renamed   chan struct{} // a SIGUSR1 that waits for eve.json to be opened anew
	reopening atomic.Bool   // a reload has eve.json opened anew
	reloading sync.Mutex    // one reload at a time, and none once the daemon ends

	mu       sync.Mutex     // guards what follows
	spaces   *broker.Client // the way into workloads' network namespaces; nil: there is none
	db       *dlp.Database
	rules    int
	loaded   time.Time
	law      *policy.Set // in force
	chosen   *Config     // in force: conf, but for what reloads have changed
	pending  string      // what of the configuration on disk is not, ""
	stale    string      // why the last reload failed, "" if it did not: then the rules on disk are not in force
	taps     map[tapID]*tap
	ifaces   map[int]workload.Interface // the host's ends, by index
	ways     map[int]way                // into the namespaces behind them, as far as they are known
	sided    map[int]bool               // which of them do not show both directions
	waiting  []*tap                     // for a ring, in order of their coming
	ending   map[*tap]bool              // whose interface is gone: their rings are read to the end
	listed   bool                       // all interfaces that were there at the start are known
	settled  chan struct{}              // closed once they are watched, or cannot be; nil from then on
	closing  bool                       // no interface is watched any more
	moved    time.Time                  // when an interface came or went last
	rush     int                        // interfaces that came just now
	measured time.Time                  // when loads were measured last
	idle     processors
	gone     engine.Counters   // of taps that have ended
	blind    map[string]string // interface or "" → why it is not looked at
	refused  map[tapID]*tap    // not watched for want of memory, until there is some
	failures map[string]uint64 // attempts to watch an interface, by reason
	lost     window[losses]
	twice    *twice
	wg       sync.WaitGroup
}

const (
	eveMaxBytes = 1 << 30 // bytes of eve.json before it is rotated
	eveKeep     = 4       // rotated files kept
)

// Run runs the daemon until ctx is done or a signal says stop. Errors in the rules at the start are returned; later ones leave the old
// rules in force. Warnings are the caller's to tell.
func Run(ctx context.Context, conf *Config, log *slog.Logger) error {
	if err := capture.Permitted(); err != nil {
		return err
	}
	signal.Ignore(syscall.SIGPIPE)               // it lives on where nobody reads its log any more
	unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0) // a core would hold packets, and what was found in them
	d := newDaemon(conf, log)
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGHUP) // else one that comes early would end it
	defer signal.Stop(signals)
	if err := d.open(); err != nil {
		return err
	}
	var err error
	if d.naming, err = startNaming(log, workload.Runtimes(), d.setWorkloads, d.unnamed); err != nil {
		return errors.Join(err, d.close())
	}
	d.naming.share(d.processes.answered)
	d.enter()
	if err := d.startGates(); err != nil {
		return errors.Join(err, d.close())
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go d.enters(ctx)
	d.translated(ctx)
	watching, unwatch := context.WithCancel(ctx)
	d.unwatch = unwatch
	links, err := workload.Watch(watching, conf.Capture.Include, conf.Capture.Exclude)
	if err != nil {
		return errors.Join(err, d.close())
	}
	d.turn.Store(time.Now().UnixNano())
	go d.notify.Watchdog(ctx, d.working, d.line)
	go d.reloads(ctx)
	go d.followLog(ctx)
	go d.retain(ctx)
	stop, unkeep := d.sampler(), d.keep()
	err = d.serve(ctx, links, signals)
	unkeep()
	stop()
	return errors.Join(err, d.close())
}

func newDaemon(conf *Config, log *slog.Logger) *Daemon {
	d := &Daemon{
		conf: conf, log: log, started: time.Now(), taps: map[tapID]*tap{}, ifaces: map[int]workload.Interface{}, sided: map[int]bool{}, ending: map[*tap]bool{}, settled: make(chan struct{}),
		blind: map[string]string{}, refused: map[tapID]*tap{}, failures: map[string]uint64{}, twice: newTwice(), told: newTally(), notify: NewNotifier(),
		events: NewEventLog(eventLogBytes), alerts: NewEventLog(alertLogBytes), reading: make(chan struct{}, 1), hangup: make(chan struct{}, 1), relist: make(chan *relisting), chosen: conf, renamed: make(chan struct{}, 1), leading: make(chan struct{}, 1), slow: make(chan struct{}, slowMost),
	}
	d.patience = patience(d.notify.Interval())
	d.processes = newProcesses(d)
	return d
}

// open makes everything that packets will meet, before there are any.
func (d *Daemon) open() error {
	set, problems := LoadRules(d.conf.RulePaths(), d.conf.Rules.Builtin)
	if err := problems.Err(); err != nil {
		return err
	}
	law, compiled, problems := ConfiguredPolicy(d.conf)
	if err := problems.Err(); err != nil {
		return err
	}
	var err error
	if d.db, err = d.compile(set); err != nil {
		return err
	}
	div := d.divide(law)
	if err = div.check(d.conf); err != nil {
		return err
	}
	d.memory = d.newKeeper(div)
	d.rules, d.loaded, d.blocks = len(set.Rules), time.Now(), set.Blocking()
	for _, f := range []struct{ key, dir string }{{"log", d.conf.Paths.Log}, {"run", d.conf.Paths.Run}} {
		if err := os.MkdirAll(f.dir, 0o750); err != nil {
			return fmt.Errorf("[paths] %s: %w", f.key, err)
		}
	}
	if err := d.alone(); err != nil {
		return err
	}
	open, queue := div.slices()
	d.store, err = pcapstore.Open(d.conf.Paths.Pcap(), pcapstore.Options{Quota: int64(d.conf.Pcap.Quota), App: "weir " + Version(), MaxOpen: open, Queue: queue})
	if err != nil {
		return err
	}
	if d.eve, err = alert.NewFile(d.conf.Paths.EVE(), eveMaxBytes, eveKeep); err != nil {
		return err
	}
	d.queue = alert.NewQueue(&sink{eve: d.eve, events: d.events, alerts: d.alerts, processes: d.processes}, false)
	d.queue.Limit(div.events)
	d.limiter = alert.NewLimiter()
	d.limiter.Burst, d.limiter.PerSecond = d.conf.Alerts.Burst, d.conf.Alerts.PerSecond
	d.learn = startLearning(d.conf.Paths.LearnedFile(), div.learn, d.log)
	d.engine = engine.New(engine.Config{
		Learn: &engine.Learn{Party: d.learn.learner.Party, Exchange: d.learn.Exchange},
		Flow:  div.limits(d.conf), Overlap: flow.Overlap(d.conf.Flow.Overlap), Dissect: dissect.DefaultLimits, Events: allEvents(), Emit: d.emit, Full: d.queue.Full,
		Store: d.store, Post: d.conf.Pcap.Post.Duration(), Limiter: d.limiter, Budgets: d.memory.budgets, Held: d.held,
		Validation: d.conf.Protocols.validation(),
	})
	d.engine.SetOwn(set.Own)
	d.engine.SetRules(d.db)
	d.enact(law, compiled)
	n := runtime.GOMAXPROCS(0)
	d.lanes = make(chan *engine.Lane, n)
	for range n {
		lane := d.engine.NewLane()
		lane.OnPanic = func(stack string) { d.log.Error("internal error, survived: please report it", "stack", stack) }
		d.lanes <- lane
	}
	return nil
}

// unnamed tells that a limit keeps names from events.
func (d *Daemon) unnamed(what string) {
	d.log.Warn("events do not name all workloads", "limit", what)
	d.queue.Put(&alert.Event{Time: time.Now().UnixNano(), Type: "anomaly",
		Anomaly: &alert.Anomaly{Type: "capture", Event: "capture.unnamed", Layer: "capture", Detail: what}})
}

// emit takes an event off the packet path. An alert that two taps see of one conversation is told once.
func (d *Daemon) emit(ev *alert.Event) {
	one, translated := d.service(ev)
	translated = translated && ev.Weir.Src != nil && ev.Weir.Dst != nil
	if d.twice.seen(ev, one, translated) {
		return
	}
	if o := ev.Weir.Offender; o != nil {
		d.offended(o)
	}
	if ev.Type == "alert" {
		d.latency.observe(time.Since(time.Unix(0, ev.Time)))
		d.told.count(AlertLabels{ev.Weir.Engine, ev.Alert.Action})
	}
	d.queue.Put(ev)
}

// serve follows interfaces and signals until it is told to stop.
func (d *Daemon) serve(ctx context.Context, links <-chan workload.Event, signals chan os.Signal) error {
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGUSR1, syscall.SIGUSR2)
	tick := time.NewTicker(paceEvery)
	defer tick.Stop()
	out, line := outputs{d: d}, ""
	settled := d.settled
	for {
		d.turn.Store(time.Now().UnixNano())
		select {
		case ev, ok := <-links:
			if ctx.Err() != nil {
				return nil
			}
			if !ok || ev.Kind == workload.Failed {
				return fmt.Errorf("interfaces are not watched any more: %w", ev.Err)
			}
			d.link(ev)
		case r := <-d.relist:
			links = d.rewatch(ctx, r, links)
		case <-settled:
			settled = nil
			if err := d.ready(); err != nil {
				return err
			}
		case sig := <-signals:
			switch sig {
			case syscall.SIGHUP:
				select {
				case d.hangup <- struct{}{}:
				default: // the reload that is waited for reads what is on disk now, too
				}
			case syscall.SIGUSR1:
				select {
				case d.renamed <- struct{}{}:
				default:
				}
			case syscall.SIGUSR2:
				d.handing.Store(true)
				d.log.Info("stopping for a successor: what is enforced stays in force", "signal", sig.String())
				return nil
			default:
				d.log.Info("stopping", "signal", sig.String())
				return nil
			}
		case now := <-tick.C:
			d.pace(now)
			out.look()
			if now := d.line(); d.up.Load() && now != line {
				line = now
				d.notify.Status(line)
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// link deals with news of an interface.
func (d *Daemon) link(ev workload.Event) {
	var at time.Time // until all that were there have been told, they are older
	if d.listed {    // set here alone
		at = time.Now()
	}
	switch ev.Kind {
	case workload.Arrived:
		if d.again != nil {
			d.toldAgain(ev.Interface)
			at = time.Time{}
		}
		d.arrive(ev.Interface)
		d.naming.see(ev.Interface, at)
	case workload.Departed:
		d.naming.forget(ev.Interface.Index)
		d.depart(ev.Interface)
	case workload.Changed:
		d.naming.see(ev.Interface, at)
	case workload.Listed:
		if d.again != nil {
			d.listedAgain()
		}
		d.mu.Lock()
		first := !d.listed
		d.listed = true
		d.reconcile()
		d.arrange(time.Now())
		d.mu.Unlock()
		if g := d.gates.Load(); first && g != nil {
			go func() {
				d.naming.settle()
				d.naming.answered(holdMost)
				close(g.named)
			}()
		}
	}
}

// ready opens the control socket: that it is there says that the interfaces that were there are watched, and named as far as nobody
// has to be asked.
func (d *Daemon) ready() (err error) {
	d.naming.settle()
	d.goInside()
	d.up.Store(true)
	d.control, err = ServeControl(d.conf.Paths.Socket(), ControlHandlers{
		Status: d.Status, Reload: d.Reload, Events: d.events, Alerts: d.alerts, Workloads: d.Workloads, Packets: d.Packets, Audit: d.audit,
		Policy: d.Policy, Learned: d.learn.learner.Marshal, Quarantines: d.gates.Load().Quarantines, Quarantine: d.gates.Load().Quarantine,
	})
	if err != nil {
		return err
	}
	if addr := d.conf.Metrics.Listen; addr != "" {
		if d.metrics, err = ServeMetrics(addr, d.Snapshot, d.healthy); err != nil {
			return err
		}
	}
	line := d.line()
	d.notify.Ready(line)
	d.log.Info("ready", "status", line)
	return nil
}

// line says in one line what the daemon does; systemctl status shows it.
func (d *Daemon) line() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := fmt.Sprintf("watching %d interfaces, %d rules", d.watched(), d.rules)
	if n := len(d.blind); n > 0 {
		s += fmt.Sprintf("; %d interfaces are not watched (weir status)", n)
	}
	if d.stale != "" {
		s += "; the last reload failed, the old rules are in force (weir check)"
	}
	return s
}

// close drains: taps end, flows are told, events and slices are written.
func (d *Daemon) close() error {
	d.notify.Stopping()
	d.mu.Lock()
	d.closing = true
	for _, t := range d.taps {
		d.leave(t)
	}
	d.mu.Unlock()
	d.wg.Wait()
	if g := d.gates.Load(); g != nil {
		g.close()
	}
	if d.naming != nil {
		d.naming.close()
	}
	d.tellStats(time.Now())
	err := errors.Join(d.queue.Close(), d.store.Close())
	d.unlockLog()
	if d.spaces != nil {
		d.spaces.Close()
	}
	if d.control != nil {
		err = errors.Join(err, d.control.Close())
	}
	if d.metrics != nil {
		err = errors.Join(err, d.metrics.Close())
	}
	d.reloading.Lock() // for good: a reload needs the lanes
	for range cap(d.lanes) {
		(<-d.lanes).Free()
	}
	d.learn.close() // lanes gave away what they had noted
	d.db.Close()
	return err
}
