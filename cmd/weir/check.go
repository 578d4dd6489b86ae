package main

import (
	"fmt"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"weir/daemon"
	"weir/policy"
	"weir/rules"
)

func checkCommand() *cobra.Command {
	var config string
	var output *choice
	cmd := &cobra.Command{
		Use:   "check [PATH...]",
		Short: "Check configuration, rules and policy: file, line and column of what is wrong, and what was meant",
		Long: `Without PATH the daemon's configuration is checked, and the rules and the policy that it names. A PATH is a file of rules or of a policy, a folder
of either, or a weir.toml. Files of a policy are checked together. Nothing is started and nothing is changed.`,
		Example: `  weir check
  weir check my-rules.toml /etc/weir/rules.d
  weir check /etc/weir/policy.d
  weir check -o json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			var problems rules.Problems
			var files, policies []string
			builtin := true
			if len(args) == 0 {
				conf, p := daemon.LoadConfig(config, cmd.Flags().Changed("config"))
				problems = append(problems, p...)
				if conf != nil {
					files, policies = conf.RulePaths(), conf.PolicyPaths()
					builtin = conf.Rules.Builtin
				}
			}
			for _, path := range args {
				if isConfig(path) {
					conf, p := daemon.LoadConfig(path, true)
					problems = append(problems, p...)
					if conf != nil {
						files = append(files, conf.RulePaths()...)
						policies = append(policies, conf.PolicyPaths()...)
						builtin = builtin && conf.Rules.Builtin
					}
					continue
				}
				if policy.IsPolicy(path) {
					policies = append(policies, path)
				} else {
					files = append(files, path)
				}
			}
			law, p := daemon.LoadPolicy(policies)
			policy.Elsewhere(p, policies)
			problems = append(problems, p...)
			if law != nil {
				_, p = daemon.CompilePolicy(law)
				problems = append(problems, p...)
			}
			set, p := daemon.LoadRules(files, builtin)
			problems = append(problems, p...)
			if output.word == "json" {
				return checked(cmd, problems, set, law)
			}
			if err := report(problems); err != nil {
				return err
			}
			if err := daemon.TryRules(set); err != nil {
				return usage(err)
			}
			text := fmt.Sprintf("ok: %d rules", len(set.Rules))
			if rules := slices.DeleteFunc(slices.Clone(args), func(p string) bool { return isConfig(p) || policy.IsPolicy(p) }); len(rules) > 0 {
				text += fmt.Sprintf(", %d of them from what was named", countFrom(set, args))
			}
			if len(law.Files) > 0 {
				text += fmt.Sprintf("; %d groups and %d rules of a policy", len(law.Groups), len(law.Rules))
			}
			_, err := fmt.Fprintln(cmd.OutOrStdout(), text)
			return failed(err)
		},
	}
	cmd.Flags().StringVar(&config, "config", daemon.DefaultConfigPath, "configuration file")
	output = outputFlag(cmd)
	return cmd
}

// checkResult is what a check found, as programs get it.
type checkResult struct {
	OK          bool          `json:"ok"` // no problem is more than a warning
	Problems    []toldProblem `json:"problems"`
	Rules       int           `json:"rules"` // with the built-in ones; 0 where one of them is wrong
	Groups      int           `json:"groups"`
	PolicyRules int           `json:"policy_rules"`
}

// checked tells programs what a check found.
func checked(cmd *cobra.Command, problems rules.Problems, set *rules.Set, law *policy.Set) error {
	out := checkResult{OK: !problems.Failed(), Problems: toldProblems(problems)}
	if out.OK {
		out.Rules, out.Groups, out.PolicyRules = len(set.Rules), len(law.Groups), len(law.Rules)
		if err := daemon.TryRules(set); err != nil {
			out.OK, out.Problems = false, append(out.Problems, toldProblem{Level: "error", What: err.Error()})
		}
	}
	if err := writeJSON(cmd.OutOrStdout(), &out); err != nil {
		return failed(err)
	}
	if !out.OK {
		return exit{code: exitUsage}
	}
	return nil
}

// isConfig reports whether a path is taken for a configuration, not for rules.
func isConfig(path string) bool { return filepath.Base(path) == "weir.toml" }

// countFrom counts the rules that stand in files, or in files in folders, that were named: 0 of a folder is seldom what is meant.
func countFrom(set *rules.Set, paths []string) (n int) {
	for _, r := range set.Rules {
		for _, p := range paths {
			if file := filepath.Clean(r.Pos.File); file == filepath.Clean(p) || filepath.Dir(file) == filepath.Clean(p) {
				n++
				break
			}
		}
	}
	return n
}
