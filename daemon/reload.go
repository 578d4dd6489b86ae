package daemon

import (
	"context"
	"slices"
	"time"

	"weir/engine"
	"weir/rules"
)

// reloads does what SIGHUP asks for, beside serve: rules may take seconds to compile, and interfaces come meanwhile.
func (d *Daemon) reloads(ctx context.Context) {
	for {
		select {
		case <-d.hangup:
			d.Reload()
		case <-ctx.Done():
			return
		}
	}
}

// Reload puts the rules and the policy on disk in force, and of the configuration which interfaces are watched and where rules are. With an
// error among the problems all stays as it was.
func (d *Daemon) Reload() rules.Problems {
	d.reloading.Lock()
	defer d.reloading.Unlock()
	if d.up.Load() { // else the end of the reload would say that it is ready
		d.notify.Reloading()
		defer func() { d.notify.Ready(d.line()) }()
	}
	problems := d.reload()
	stale := ""
	if err := problems.Err(); err != nil {
		stale = err.Error()
		d.log.Error("reload: the old rules stay in force", "problem", stale)
	}
	d.mu.Lock()
	d.stale = stale
	d.mu.Unlock()
	return problems
}

func (d *Daemon) reload() rules.Problems {
	d.reopenLogSoon()
	conf, problems := d.reconfigure()
	if problems.Failed() {
		return problems
	}
	left := pending(problems)
	set, more := LoadRules(conf.RulePaths(), conf.Rules.Builtin)
	problems = append(problems, more...)
	law, compiled, more := ConfiguredPolicy(d.conf)
	if problems = append(problems, more...); problems.Failed() {
		return problems
	}
	db, err := d.compileBeside(set)
	if err != nil {
		return append(problems, rules.Problem{What: err.Error()})
	}
	if in, out := conf.Capture.Include, conf.Capture.Exclude; !slices.Equal(in, d.chosen.Capture.Include) || !slices.Equal(out, d.chosen.Capture.Exclude) {
		if err := d.choose(in, out); err != nil {
			db.Close()
			return append(problems, rules.Problem{What: err.Error()})
		}
		d.log.Info("interfaces are chosen anew", "include", in, "exclude", out)
	}
	if left != "" {
		d.log.Warn("not all of the configuration on disk is in force", "problem", left)
	}
	d.mu.Lock()
	d.chosen, d.pending = conf, left
	old := d.db
	d.db, d.rules, d.loaded = db, len(set.Rules), time.Now()
	d.mu.Unlock()
	d.engine.SetOwn(set.Own)
	d.engine.SetRules(db)
	if err := d.gates.Load().block(set.Blocking()); err != nil {
		problems = append(problems, rules.Problem{What: "rules that block: " + err.Error()})
	}
	div := d.divide(law)
	if div.gates > 0 { // those that are put up now need it
		d.gates.Load().memory.divide(div.gates)
	}
	d.enact(law, compiled)
	d.passLanes()
	d.log.Info("reloaded", "rules", len(set.Rules), "policy", len(law.Rules))
	old.Close()
	d.memory.divide(div)
	d.gates.Load().memory.divide(div.gates)
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
