package daemon

import (
	"os"
	"time"

	"weir/dissect"
	"weir/engine"
	"weir/policy"
	"weir/rules"
)

// LoadPolicy reads policy files and folders. Rules that have expired today are told.
func LoadPolicy(paths []string) (*policy.Set, rules.Problems) {
	return policy.Load(paths, policyOptions())
}

func policyOptions() policy.Options {
	return policy.Options{Protocols: protocolNames, Fields: dissect.FieldNames, Now: time.Now()}
}

// protocolNames are those of dissect.Protocols, by number.
var protocolNames = func() (out []string) {
	for _, p := range dissect.Protocols {
		out = append(out, p.Name)
	}
	return out
}()

// CompilePolicy makes a policy of what applies of a set now.
func CompilePolicy(set *policy.Set) (*policy.Policy, rules.Problems) {
	return policy.Compile(set, time.Now(), engine.FieldNumber, engine.ProtocolNumber)
}

// PolicyPaths returns the folder of policy files if it is there: it need not be.
func (c *Config) PolicyPaths() []string {
	if _, err := os.Stat(c.Paths.Policy); err != nil {
		return nil
	}
	return []string{c.Paths.Policy}
}

// ConfiguredPolicy reads and compiles the policy files of a configuration.
func ConfiguredPolicy(conf *Config) (*policy.Set, *policy.Policy, rules.Problems) {
	set, problems := LoadPolicy(conf.PolicyPaths())
	if problems.Failed() {
		return nil, nil, problems
	}
	p, more := CompilePolicy(set)
	return set, p, append(problems, more...)
}

// enact puts a policy in force. One that says nothing is none: events have no verdicts then.
func (d *Daemon) enact(set *policy.Set, p *policy.Policy) {
	d.mu.Lock()
	d.law = set
	d.mu.Unlock()
	if len(set.Rules)+len(set.Modes) == 0 {
		p = nil
	}
	d.engine.SetPolicy(p)
	d.compiled.Store(p)
	if g := d.gates.Load(); g != nil {
		g.enact(p)
	}
}

// hits returns how often each rule of a set decided; nil if another one is in force.
func (d *Daemon) hits(set *policy.Set) []uint64 {
	if n := d.engine.PolicyHits(); len(n) == len(set.Rules)+1 {
		return n
	}
	return nil
}
