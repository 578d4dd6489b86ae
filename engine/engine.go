// Package engine is the way of a packet: decode, order, dissect, inspect, record, in one function,
// Lane.Packet. The same function serves a ring, a file and an inline queue. It opens no source and no
// sink: those are given to it.
package engine

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"weir/alert"
	"weir/dissect"
	"weir/dlp"
	"weir/flow"
	"weir/pcapstore"
	"weir/rules"
	"weir/tunnel"
	"weir/workload"
)

// Config is what all taps of an Engine have in common. It is not changed after New.
type Config struct {
	Flow     flow.Limits
	Overlap  flow.Overlap
	Checksum flow.ChecksumMode
	Dissect  dissect.Limits
	// Events are the event types that somebody listens to; nil: none.
	Events map[string]bool
	// Emit is given every event of those types. It is called from the packet path of any tap, so it must not block
	// for long, and it owns the event.
	Emit func(*alert.Event)
	// Full, if set, is asked before an event is made that is no alert: true says that it would be dropped, and is counted.
	Full func() bool
	// Store keeps the packets of alerts, until Post after the alert; nil: nobody asked for them.
	Store *pcapstore.Store
	Post  time.Duration
	// Budgets are what taps share; zero: DefaultBudgets of Flow.
	Budgets Budgets
	// Validation says when conversations are told of that are not what they should be.
	Validation Validation
	// Held reports whether the packets of a workload are held until they are judged; nil: nobody's are.
	Held func(*workload.Workload) bool
	// Learn is where what is said is noted; nil: nowhere.
	Learn *Learn
	// Limiter holds back floods of equal alerts; nil: none is held back.
	Limiter *alert.Limiter
}

// Engine is what taps and lanes share. What may change while packets flow is immutable and swapped
// whole: a lane loads it once per block.
type Engine struct {
	cfg          Config
	budgets      Budgets
	rules        atomic.Pointer[ruleset]
	host         atomic.Pointer[[]netip.Addr]
	where        atomic.Pointer[workload.Table]
	twins        *twins
	translations atomic.Pointer[workload.Translations]
	expected     expectations

	setting sync.Mutex    // guards what follows
	db      *dlp.Database // in force
	law     *law
	own     map[string]*rules.Rule // by id; see SetOwn

	names      names
	denials    *denials
	thresholds *thresholds
	trims      atomic.Uint64
	files      bool          // somebody listens to what is told of files
	learned    dissect.Wants // fields that are learned; nil: none
}

// ruleset is one compiled set of rules, and the fields that it and the event writers ask for.
type ruleset struct {
	db    *dlp.Database // nil: no rules
	wants dissect.Wants
	asked dissect.Wants // by rules alone
	law   *law          // nil: no policy
	own   map[string]*rules.Rule
	stops bool // one of own is to stop something
}

// New returns an Engine without rules.
func New(cfg Config) *Engine {
	e := &Engine{cfg: cfg, budgets: cfg.Budgets, thresholds: newThresholds(), denials: &denials{seed: maphash.MakeSeed()}}
	if e.budgets.Flows == nil {
		e.budgets = DefaultBudgets(cfg.Flow)
	}
	e.files = e.listens("fileinfo")
	e.learned = cfg.Learn.wants()
	e.twins = newTwins(cfg.Dissect, e.budgets.Inspect)
	e.SetRules(nil)
	return e
}

// SetRules puts db in force for every block that begins from now on. Matches that are open finish with the
// database they began with. The caller closes the old database once every lane has moved on; nil: no rules.
func (e *Engine) SetRules(db *dlp.Database) {
	e.setting.Lock()
	defer e.setting.Unlock()
	e.db = db
	e.arm()
}

// arm puts what is set in force. e.setting is held.
func (e *Engine) arm() {
	db := e.db
	wants := make(dissect.Wants, len(dissect.FieldNames))
	var asked dissect.Wants
	if db != nil {
		asked = db.Wants()
		copy(wants, asked)
	}
	for _, p := range dissect.Protocols {
		if !e.recorded(p.EventType()) {
			continue
		}
		for i, f := range p.Fields {
			if f.EVE != "" || tunnel.Wants(f.Name) || f.File != dissect.NoFile && e.files || f.Privacy == dissect.Credential {
				wants[p.Base+i] = true
			}
		}
	}
	for _, p := range dissect.Protocols { // names of columns say what stands in rows that rules ask for
		for i, f := range p.Fields {
			if f.Table == dissect.ColumnName {
				wants[p.Base+i] = wants[p.Base+i] || db != nil
			}
		}
	}
	for i, is := range e.learned {
		wants[i] = wants[i] || is || refusals[i]
	}
	if e.law != nil {
		for i, is := range e.law.asks {
			wants[i] = wants[i] || is
		}
	}
	e.rules.Store(&ruleset{db: db, wants: wants, asked: asked, law: e.law, own: e.own, stops: stops(e.own)})
}

// Trim lets go of what taps and lanes keep for reuse, each when it works next.
func (e *Engine) Trim() { e.trims.Add(1) }

// SetWorkloads puts a new table of addresses and their workloads in force.
func (e *Engine) SetWorkloads(t *workload.Table) { e.where.Store(t) }

// recorded reports whether the exchanges of a protocol are written down: for its own event, or as what stands around an
// alert or a file.
func (e *Engine) recorded(event string) bool {
	return e.cfg.Events[event] || e.cfg.Events["alert"] || e.files
}

func (e *Engine) listens(typ string) bool { return e.cfg.Emit != nil && e.cfg.Events[typ] }

// full reports whether nobody would see an event that is no alert: there is a flood of them.
func (e *Engine) full() bool { return e.cfg.Full != nil && e.cfg.Full() }

// asked reports whether events of a type are made: somebody listens, or an alert's packets are kept.
func (e *Engine) asked(typ string) bool {
	return e.listens(typ) || typ == "alert" && e.cfg.Store != nil
}
