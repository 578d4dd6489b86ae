package daemon

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"weir/budget"
	"weir/dlp"
	"weir/engine"
	"weir/flow"
	"weir/policy"
	"weir/rules"
)

// division is how [budget] memory is divided, in bytes. The parts add up to it.
type division struct {
	rings    int64 // [capture] ring
	recent   int64 // [pcap] pre
	program  int64 // Weir before there is a packet: Go's runtime, rules in force and those being loaded, lanes
	garbage  int64 // what Go has not collected yet
	learn    int64 // what is learned for a policy
	gates    int64 // what is under judgement where packets are held; 0: no group is protected
	flows    int64
	inspect  int64 // what is open at layer 7: parsers, decoders, matches, exchanges
	held     int64 // bytes of streams, out of order or unfinished
	fragment int64 // bytes of incomplete IP datagrams
	evidence int64 // packets of slices that wait for the disk
	events   int64 // events that wait for the disk
}

// ours
const (
	flowCost    = 384      // bytes of a flow between messages: 256, its part of the index, and what is remembered of layer 7
	programMin  = 48 << 20 // bytes of program at least
	programSure = 16 << 20 // bytes of it beyond what is measured at the start: alerts for those who ask, what was told lately, stacks
	laneCost    = 2 << 20  // bytes of a lane's scratch and free lists, beside what it remembers of what was scanned
	leftMin     = 24 << 20 // bytes that must be left for flows and all that follows
	sliceBuffer = 68 << 10 // bytes of a slice that is open
	compileCost = 32 << 20 // bytes that compiling takes for a while

	learnPart = 16 // what is learned takes at most this part of what is left beside rings and the program
	gatesPart = 5  // likewise gates
	gatesMost = 128 << 20

	// parts
	garbagePart = 8  // of budget.memory
	flowsMost   = 75 // percent of what is left then; less if [budget] flows need less
	// percent of what is left after that; the rest is for events
	inspectPart  = 40
	heldPart     = 26
	fragmentPart = 8
	evidencePart = 13
)

// divide divides the budget of a configuration. program is what Weir takes before there is a packet. protects says that a group is protected.
func (c *Config) divide(rings, recent, program int64, protects bool) (d division) {
	d.rings, d.recent, d.program = rings, recent, max(program, programMin)
	d.garbage = int64(c.Budget.Memory) / garbagePart
	left := max(int64(c.Budget.Memory)-d.rings-d.recent-d.program-d.garbage, 0)
	d.learn = min(policy.LearnerBytes, left/learnPart)
	if protects {
		d.gates = min(gatesMost, left/gatesPart)
	}
	left -= d.learn + d.gates
	d.flows = min(int64(c.Budget.Flows)*flowCost, left/100*flowsMost)
	left -= d.flows
	d.inspect, d.held = left/100*inspectPart, left/100*heldPart
	d.fragment, d.evidence = left/100*fragmentPart, left/100*evidencePart
	d.events = left - d.inspect - d.held - d.fragment - d.evidence
	return d
}

// Misconfigured is an error of the configuration that only shows once the daemon starts.
type Misconfigured struct{ error }

// check returns an error if too little is left for flows.
func (d *division) check(c *Config) error {
	if left := int64(c.Budget.Memory) - d.rings - d.recent - d.program - d.garbage; left < leftMin {
		return Misconfigured{fmt.Errorf("budget.memory: of %s, %s are for capture.ring, %s for pcap.pre, %s for Weir with its rules, an eighth for what Go has not collected yet: "+
			"too little is left (raise it to %s)", c.Budget.Memory, Size(d.rings), Size(d.recent), Size(d.program),
			Size((int64(c.Budget.Memory)+leftMin-left+1<<20)&^(1<<20-1)))}
	}
	return nil
}

// limits are those of a tap's table that do not depend on how many taps there are.
func (d *division) limits(c *Config) flow.Limits {
	l := flow.DefaultLimits
	l.Flows = c.Budget.Flows
	l.HeldPerTable, l.Fragments = int(d.held), int(d.fragment)
	l.HeldPerFlow = min(l.HeldPerFlow, int(d.held)/4)
	return l
}

// budgets are what taps share.
func (d *division) budgets() engine.Budgets {
	return engine.Budgets{
		Flows: budget.New(d.flows / flowCost), Held: budget.New(d.held), Fragments: budget.New(d.fragment),
		Inspect: budget.New(d.inspect), Recent: budget.New(d.recent),
	}
}

// slices returns how many may be open, and the bytes that may wait for the disk.
func (d *division) slices() (open int, queue int64) {
	open = int(min(max(d.evidence/2/sliceBuffer, 16), 256))
	return open, max(d.evidence-int64(open)*sliceBuffer, 1<<20)
}

// divide divides the daemon's budget, now that its rules are loaded: they are counted twice, since a reload needs both the old and the new.
func (d *Daemon) divide(law *policy.Set) division {
	if d.memory == nil {
		debug.FreeOSMemory()
		d.program = anonymous() - d.db.Size()
	}
	return d.conf.divide(int64(d.conf.Capture.Ring), int64(d.conf.Pcap.Pre), d.program+2*d.db.Size()+programSure+(laneCost+dlp.MemoBytes())*int64(runtime.GOMAXPROCS(0)), law.Protects())
}

// compile makes a database of the rules that are to be in force.
func (d *Daemon) compile(set *rules.Set) (*dlp.Database, error) {
	div := d.conf.divide(int64(d.conf.Capture.Ring), int64(d.conf.Pcap.Pre), programMin, false)
	return compileRules(set, d.conf, div.inspect)
}

// compileBeside is compile while other rules are in force. There must be room for both.
func (d *Daemon) compileBeside(set *rules.Set) (*dlp.Database, error) {
	if need := d.db.Size() + compileCost; d.usage().taken+need > int64(d.conf.Budget.Memory) {
		d.memory.release()
		if u := d.usage(); u.taken+need > int64(d.conf.Budget.Memory) {
			return nil, fmt.Errorf("no memory to compile rules beside those in force: %s of %s are taken (try again when there is less traffic, or raise budget.memory)",
				Size(u.taken), d.conf.Budget.Memory)
		}
	}
	return d.compile(set)
}
