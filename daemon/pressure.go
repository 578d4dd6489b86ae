package daemon

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"weir/alert"
	"weir/budget"
	"weir/dlp"
	"weir/engine"
)

// shedStep is something that is given up when memory runs short. Steps are taken in this order, each only if the ones before did not help,
// and undone in the opposite one.
type shedStep int

const (
	shedNothing shedStep = iota
	shedCaches
	shedInspection
	shedRecent
	shedFlows
	shedInterfaces
	shedSteps
)

var shedTable = [shedSteps]struct{ name, what string }{
	shedCaches:     {"caches", "memory kept for reuse is given back"},
	shedInspection: {"inspection", "half of what may be open at layer 7 and of what may be held of streams is given up, flows without a packet for longest first"},
	shedRecent:     {"recent", "half of the recent packets is given up: slices reach back less far"},
	shedFlows:      {"flows", "a quarter of the flows may not stay: unanswered ones end first, then those idle longest"},
	shedInterfaces: {"interfaces", "interfaces that come are not watched"},
}

// ours
const (
	measureEvery = 100 * time.Millisecond
	shedAbove    = 90              // percent of the budget above which something is given up
	easeBelow    = 75              // percent below which something is taken back
	goMost       = 94              // percent at which Go collects as often as need be
	halvedMost   = 6               // times that what steps give up is made less again
	shedPause    = time.Second     // between two steps: taps learn of one with their next block or tick
	easePause    = 5 * time.Second // that it must have been easy before a step is undone
)

// keeper keeps Weir's memory within its budget. What is in the budgets' bounds by construction it need not look at; it is there for what no
// budget counts, and for budgets that are counted too low.
type keeper struct {
	mu       sync.Mutex // held for a tick, and to divide anew
	most     int64      // bytes: budget.memory
	division division
	budgets  engine.Budgets
	measure  func() usage
	release  func() // what is free is given back to the system
	trim     func() // caches are dropped
	admit    func() // interfaces that were refused are watched
	tell     func(s shedStep, u usage, undone bool)
	gc       pacer

	taken  atomic.Int64
	step   atomic.Int32
	count  [shedSteps]atomic.Uint64
	pause  time.Time // before it no further step is taken
	since  time.Time // when it began to be easy; zero: it is not
	halved int       // times that what steps give up was made less
}

// usage is what memory is taken for, in bytes.
type usage struct {
	taken  int64 // anonymous memory and rings; the program's text and mapped files are not in it
	live   int64 // Go: what lived when it was collected last
	native int64 // what is not Go's, rings included
}

// keep begins to keep the daemon's memory within its budget, until stop is called.
func (d *Daemon) keep() (stop func()) {
	done := make(chan struct{})
	d.memory.tick(time.Now()) // so that the first who asks is told
	d.wg.Go(func() {
		tick := time.NewTicker(measureEvery)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case now := <-tick.C:
				d.memory.tick(now)
			}
		}
	})
	return func() { close(done) }
}

// tick measures, and gives up or takes back.
func (k *keeper) tick(now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	u := k.measure()
	k.gc.tune(u.live, k.division.garbage, k.most/100*goMost-u.native)
	due := !now.Before(k.pause)
	if u.taken > k.most/100*shedAbove && due {
		k.pause = now.Add(shedPause)
		k.release() // garbage is no reason to give up anything
		u = k.measure()
	}
	k.taken.Store(u.taken)
	switch {
	case u.taken > k.most/100*shedAbove:
		k.since = time.Time{}
		if due {
			k.shed(u)
		}
	case u.taken > k.most/100*easeBelow || k.step.Load() == int32(shedNothing):
		k.since = time.Time{}
	case k.since.IsZero():
		k.since = now
	case now.Sub(k.since) >= easePause:
		k.since = now
		k.ease(u)
	}
}

// shed takes the next step; after the last, the same ones further.
func (k *keeper) shed(u usage) {
	s := shedStep(k.step.Load()) + 1
	if s == shedSteps {
		s = shedInterfaces
		if k.halved == halvedMost {
			return
		}
		k.halved++
		k.apply()
		k.tell(shedInspection, u, false)
		k.count[shedInspection].Add(1)
		k.count[shedFlows].Add(1)
		return
	}
	k.step.Store(int32(s))
	k.count[s].Add(1)
	k.apply()
	k.tell(s, u, false)
}

// ease undoes the last step.
func (k *keeper) ease(u usage) {
	if k.halved > 0 {
		k.halved--
		k.apply()
		k.tell(shedInspection, u, true)
		return
	}
	s := shedStep(k.step.Load())
	k.step.Store(int32(s - 1))
	k.apply()
	k.tell(s, u, true)
	if s == shedInterfaces {
		k.admit()
	}
}

// apply makes the budgets what they are to be in the present step.
func (k *keeper) apply() {
	d, step := k.division, shedStep(k.step.Load())
	if step >= shedInspection {
		d.inspect >>= 1 + k.halved
		d.held >>= 1 + k.halved
		d.fragment >>= 1 + k.halved
	}
	if step >= shedRecent {
		d.recent >>= 1 + k.halved
	}
	if step >= shedFlows {
		for range 1 + k.halved {
			d.flows -= d.flows / 4
		}
	}
	for _, b := range []struct {
		budget *budget.Budget
		total  int64
	}{
		{k.budgets.Flows, d.flows / flowCost}, {k.budgets.Held, d.held}, {k.budgets.Fragments, d.fragment}, {k.budgets.Inspect, d.inspect}, {k.budgets.Recent, d.recent},
	} {
		b.budget.Set(b.total)
	}
	if step >= shedCaches {
		k.trim()
	}
}

// divide makes the budgets those of another division: rules were loaded that take more, or less.
func (k *keeper) divide(d division) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.division = d
	k.apply()
}

// inForce returns the names of the steps that are taken now.
func (k *keeper) inForce() (names []string) {
	for s := shedCaches; s <= shedStep(k.step.Load()); s++ {
		names = append(names, shedTable[s].name)
	}
	return names
}

// counts returns how often each step was taken.
func (k *keeper) counts() map[string]uint64 {
	m := map[string]uint64{}
	for s := shedCaches; s < shedSteps; s++ {
		m[shedTable[s].name] = k.count[s].Load()
	}
	return m
}

// refuses reports whether interfaces that come are not watched.
func (k *keeper) refuses() bool { return shedStep(k.step.Load()) >= shedInterfaces }

// newKeeper makes the daemon's keeper. program is what it takes before there is a packet.
func (d *Daemon) newKeeper(div division) *keeper {
	k := &keeper{most: int64(d.conf.Budget.Memory), division: div, budgets: div.budgets(), measure: d.usage, admit: d.admit}
	k.release = func() {
		dlp.Trim()
		debug.FreeOSMemory()
	}
	k.trim = func() { d.engine.Trim() }
	k.tell = d.tellMemory
	return k
}

// tellMemory tells that a step was taken, or undone.
func (d *Daemon) tellMemory(s shedStep, u usage, undone bool) {
	step := &shedTable[s]
	text := fmt.Sprintf("%s of %s are taken: %s (raise budget.memory)", Size(u.taken), d.conf.Budget.Memory, step.what)
	if undone {
		text = fmt.Sprintf("%s of %s are taken: undone: %s", Size(u.taken), d.conf.Budget.Memory, step.what)
		d.log.Info("memory", "step", step.name, "status", text)
	} else {
		d.log.Warn("memory", "step", step.name, "problem", text)
	}
	d.queue.Put(&alert.Event{Time: time.Now().UnixNano(), Type: "anomaly",
		Anomaly: &alert.Anomaly{Type: "engine", Event: "engine.memory", Layer: "engine", Detail: step.name + ": " + text}})
}

// usage measures. It takes some microseconds.
func (d *Daemon) usage() usage {
	s := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(s)
	rings := d.rings()
	anon := anonymous()
	return usage{taken: anon + rings, live: int64(s[0].Value.Uint64()), native: rings + max(anon-goMemory(), dlp.NativeBytes())}
}

// rings returns the bytes of all rings.
func (d *Daemon) rings() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return int64(d.budgetOfRings()) - int64(d.freeOfRings())
}

// anonymous returns the bytes of memory of this process that are no file's: Go's and C's heaps, and stacks; 0 if the kernel does not say.
func anonymous() int64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	var size, resident, shared int64
	if n, _ := fmt.Sscan(string(b), &size, &resident, &shared); n < 3 {
		return 0
	}
	return (resident - shared) * int64(os.Getpagesize())
}

// errShort is why an interface is not watched for now.
var errShort = errors.New("memory is short (raise [budget] memory); it is watched once there is some")

// refuse does not watch an interface for now. d.mu is held.
func (d *Daemon) refuse(t *tap) {
	if d.refused[t.id()] == nil {
		d.notWatched(t.iface.Name, errShort)
	}
	d.refused[t.id()] = t
}

// admit watches the interfaces that were refused, now that there is memory.
func (d *Daemon) admit() {
	d.mu.Lock()
	defer d.mu.Unlock()
	list := slices.Collect(maps.Values(d.refused))
	clear(d.refused)
	for _, t := range list {
		d.attach(t)
	}
	d.arrange(time.Now())
}
