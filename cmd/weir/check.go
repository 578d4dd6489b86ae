package main

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"weir/daemon"
	"weir/policy"
	"weir/rules"
)

func checkCommand() *cobra.Command {
	var config string
	cmd := &cobra.Command{
		Use:   "check [PATH...]",
		Short: "Check configuration, rules and policy: file, line and column of what is wrong, and what was meant",
		Long: `Without PATH the daemon's configuration is checked, and the rules and the policy that it names. A PATH is a file of rules or of a policy, a folder
of either, or a weir.toml. Files of a policy are checked together. Nothing is started and nothing is changed.`,
		Example: `  weir check
  weir check my-rules.toml /etc/weir/rules.d
  weir check /etc/weir/policy.d`,
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
	return cmd
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

// report prints problems to stderr. It returns an error, already printed, if one of them is more than a warning.
func report(problems rules.Problems) error {
	bad := false
	for _, p := range problems {
		level := slog.LevelWarn
		if p.Level == rules.Error {
			level, bad = slog.LevelError, true
		}
		complain(level, p.String())
	}
	if bad {
		return exit{code: exitUsage}
	}
	return nil
}
