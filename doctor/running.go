package doctor

import (
	"fmt"

	"weir/daemon"
	"weir/policy"
	"weir/rules"
)

// rulesAndPolicy reads what a daemon would put in force.
func rulesAndPolicy(conf *daemon.Config) Finding {
	const check = "rules"
	set, problems := daemon.LoadRules(conf.RulePaths(), conf.Rules.Builtin)
	law, p := daemon.LoadPolicy(conf.PolicyPaths())
	policy.Elsewhere(p, conf.PolicyPaths())
	if problems = append(problems, p...); problems.Failed() {
		wrong := 0
		first := ""
		for _, x := range problems {
			if x.Level != rules.Error {
				continue
			}
			if wrong++; first == "" {
				first = x.String()
			}
		}
		return bad(check, Problem, fmt.Sprintf("%d errors; the first: %s", wrong, first), "weir check")
	}
	return ok(check, "%d rules; %d groups and %d rules of a policy", len(set.Rules), len(law.Groups), len(law.Rules))
}

// running asks the daemon.
func running(c *daemon.Client) []Finding {
	const check = "daemon"
	s, err := c.Status()
	if err != nil {
		return []Finding{bad(check, Warning, err.Error(), "systemctl start weir")}
	}
	return judgeStatus(s, daemon.Version())
}

func judgeStatus(s *daemon.Status, version string) []Finding {
	const check = "daemon"
	var out []Finding
	switch {
	case s.Version != version:
		out = append(out, bad(check, Warning, fmt.Sprintf("%s is running, this is %s", s.Version, version), "systemctl restart weir"))
	case !s.Ready:
		out = append(out, bad(check, Warning, "not ready yet", "wait for it: journalctl -u weir"))
	default:
		out = append(out, ok(check, "%s, %d interfaces watched, %d rules", s.Version, len(s.Interfaces), s.Rules))
	}
	var not []string
	for _, n := range s.NotWatched {
		not = append(not, n.Interface+" ("+n.Why+")")
	}
	if len(not) > 0 {
		out = append(out, bad("not watched", Warning, some(not), "weir workloads says why of each, and what to do"))
	}
	var packets, lost uint64
	for i := range s.Interfaces {
		packets += s.Interfaces[i].Packets
		lost += s.Interfaces[i].Drops + s.Interfaces[i].LeftOut
	}
	if all := packets + lost; lost*1000 > all {
		out = append(out, bad("loss", Warning, fmt.Sprintf("%d of %d packets were not inspected", lost, all), "weir status says on which interfaces: give Weir more processor time, or [capture] ring more memory"))
	}
	for _, w := range s.Warnings {
		out = append(out, bad("warning", Warning, w, "weir status"))
	}
	return out
}
