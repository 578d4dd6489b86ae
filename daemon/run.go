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
	"syscall"
	"time"

	"weir/alert"
	"weir/capture"
	"weir/dissect"
	"weir/dlp"
	"weir/engine"
	"weir/flow"
	"weir/pcapstore"
	"weir/rules"
	"weir/workload"
)

// Daemon is `weir run`: what is wired together, from the first ring to the last event.
type Daemon struct {
	conf    *Config
	log     *slog.Logger
	started time.Time

	engine *engine.Engine
	lanes  chan *engine.Lane
	queue  *alert.Queue
	alerts *AlertLog
	eve    *alert.File
	store  *pcapstore.Store
	notify *Notifier

	control *Control       // nil until ready
	metrics *MetricsServer // nil: none
	latency latency
	naming  *naming

	reloading sync.Mutex // one reload at a time, and none once the daemon ends

	mu       sync.Mutex // guards what follows
	db       *dlp.Database
	rules    int
	loaded   time.Time
	taps     map[int]*tap    // by interface index
	gone     engine.Counters // of taps that have ended
	goneRing capture.Stats
	blind    map[string]string // interface or "" → why it is not looked at
	twice    *twice
	wg       sync.WaitGroup
}

const (
	eveMaxBytes = 1 << 30  // bytes of eve.json before it is rotated
	eveKeep     = 4        // rotated files kept
	storeQueue  = 64 << 20 // bytes of evidence that may wait for the disk
)

// Run runs the daemon until ctx is done or a signal says stop. Problems with the rules at the start are returned as an
// error; later ones leave the old rules in force.
func Run(ctx context.Context, conf *Config, log *slog.Logger) error {
	d := &Daemon{conf: conf, log: log, started: time.Now(), taps: map[int]*tap{}, blind: map[string]string{},
		twice: newTwice(), notify: NewNotifier(), alerts: NewAlertLog()}
	tuneGC(int64(conf.Budget.Memory - conf.Capture.Ring))
	if err := d.open(); err != nil {
		return err
	}
	var err error
	if d.naming, err = startNaming(log, workload.Runtimes(), d.engine.SetWorkloads, d.unnamed); err != nil {
		return errors.Join(err, d.close())
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	links, err := workload.Watch(ctx, conf.Capture.Include, conf.Capture.Exclude)
	if err != nil {
		return errors.Join(err, d.close())
	}
	go d.notify.Watchdog(ctx, d.healthy)
	err = d.serve(ctx, links)
	return errors.Join(err, d.close())
}

// open makes everything that packets will meet, before there are any.
func (d *Daemon) open() error {
	set, problems := LoadRules(d.conf.RulePaths(), d.conf.Rules.Builtin)
	for _, p := range problems {
		d.log.Warn("rules", "problem", p.String())
	}
	if err := problems.Err(); err != nil {
		return err
	}
	var err error
	if d.db, err = CompileRules(set, d.conf.Paths.State, true); err != nil {
		return err
	}
	d.rules, d.loaded = len(set.Rules), time.Now()
	for _, dir := range []string{d.conf.Paths.Log, d.conf.Paths.Run} {
		if err := os.MkdirAll(dir, 0o750); err != nil {
			return err
		}
	}
	d.store, err = pcapstore.Open(d.conf.Paths.Pcap(), pcapstore.Options{Quota: int64(d.conf.Pcap.Quota), App: "weir " + Version(), Queue: storeQueue})
	if err != nil {
		return err
	}
	if d.eve, err = alert.NewFile(d.conf.Paths.EVE(), eveMaxBytes, eveKeep); err != nil {
		return err
	}
	d.queue = alert.NewQueue(&both{d.eve, d.alerts}, false)
	limiter := alert.NewLimiter()
	limiter.Burst, limiter.PerSecond = d.conf.Alerts.Burst, d.conf.Alerts.PerSecond
	d.engine = engine.New(engine.Config{
		Flow: flow.DefaultLimits, Overlap: flow.Overlap(d.conf.Flow.Overlap), Dissect: dissect.DefaultLimits, Events: allEvents(), Emit: d.emit,
		Store: d.store, Post: d.conf.Pcap.Post.Duration(), Limiter: limiter,
	})
	d.engine.SetRules(d.db)
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
	if d.twice.seen(ev) {
		return
	}
	if ev.Type == "alert" {
		d.latency.observe(time.Since(time.Unix(0, ev.Time)))
	}
	d.queue.Put(ev)
}

// serve follows interfaces and signals until it is told to stop.
func (d *Daemon) serve(ctx context.Context, links <-chan workload.Event) error {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGTERM, syscall.SIGINT, syscall.SIGUSR1)
	defer signal.Stop(signals)
	for {
		select {
		case ev, ok := <-links:
			if ctx.Err() != nil {
				return nil
			}
			if !ok || ev.Kind == workload.Failed {
				return fmt.Errorf("interfaces are not watched any more: %w", ev.Err)
			}
			if err := d.link(ev); err != nil {
				return err
			}
		case sig := <-signals:
			switch sig {
			case syscall.SIGHUP:
				if err := d.Reload().Err(); err != nil {
					d.log.Error("reload: the old rules stay in force", "problem", err.Error())
				}
			case syscall.SIGUSR1:
				d.reopenLog()
			default:
				d.log.Info("stopping", "signal", sig.String())
				return nil
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// link deals with news of an interface.
func (d *Daemon) link(ev workload.Event) error {
	var at time.Time // until all that were there have been told, they are older
	if d.control != nil {
		at = time.Now()
	}
	switch ev.Kind {
	case workload.Arrived:
		d.attach(ev.Interface)
		d.naming.see(ev.Interface, at)
	case workload.Departed:
		d.naming.forget(ev.Interface.Index)
		d.detach(ev.Interface.Index)
	case workload.Changed:
		d.naming.see(ev.Interface, at)
	case workload.Listed:
		if d.control == nil {
			return d.ready()
		}
	}
	return nil
}

// ready opens the control socket: that it is there says that the interfaces that were there are watched, and named as far as nobody
// has to be asked.
func (d *Daemon) ready() (err error) {
	d.naming.settle()
	d.control, err = ServeControl(d.conf.Paths.Socket(), ControlHandlers{Status: d.Status, Reload: d.Reload, Alerts: d.alerts, Workloads: d.Workloads})
	if err != nil {
		return err
	}
	if addr := d.conf.Metrics.Listen; addr != "" {
		if d.metrics, err = ServeMetrics(addr, d.Snapshot, d.healthy); err != nil {
			return err
		}
	}
	d.mu.Lock()
	line := fmt.Sprintf("watching %d interfaces, %d rules", len(d.taps), d.rules)
	d.mu.Unlock()
	d.notify.Ready(line)
	d.log.Info("ready", "status", line)
	return nil
}

// Reload puts the rules on disk in force. With an error among the problems the old ones stay.
func (d *Daemon) Reload() rules.Problems {
	d.reloading.Lock()
	defer d.reloading.Unlock()
	d.notify.Reloading()
	defer d.notify.Ready("reloaded")
	d.reopenLog()
	set, problems := LoadRules(d.conf.RulePaths(), d.conf.Rules.Builtin)
	if problems.Failed() {
		return problems
	}
	db, err := CompileRules(set, d.conf.Paths.State, true)
	if err != nil {
		return append(problems, rules.Problem{What: err.Error()})
	}
	d.mu.Lock()
	old := d.db
	d.db, d.rules, d.loaded = db, len(set.Rules), time.Now()
	d.mu.Unlock()
	d.engine.SetRules(db)
	d.passLanes()
	d.log.Info("reloaded", "rules", len(set.Rules))
	old.Close()
	return problems
}

// passLanes returns once every lane has been idle: none is about to take up the old rules then.
func (d *Daemon) passLanes() {
	lanes := make([]*engine.Lane, cap(d.lanes))
	for i := range lanes {
		lanes[i] = <-d.lanes
	}
	for _, lane := range lanes {
		d.lanes <- lane
	}
}

func (d *Daemon) reopenLog() {
	if err := d.eve.Reopen(); err != nil {
		d.log.Error("reopen", "file", d.conf.Paths.EVE(), "problem", err)
	}
}

// close drains: taps end, flows are told, events and slices are written.
func (d *Daemon) close() error {
	d.notify.Stopping()
	d.mu.Lock()
	for _, t := range d.taps {
		t.ring.Close()
	}
	d.mu.Unlock()
	d.wg.Wait()
	if d.naming != nil {
		d.naming.close()
	}
	err := errors.Join(d.queue.Close(), d.store.Close())
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
	d.db.Close()
	return err
}
