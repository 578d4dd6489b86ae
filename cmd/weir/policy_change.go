package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"weir/daemon"
	"weir/policy"
	"weir/rules"
)

func policyApproveCommand() *cobra.Command {
	var l learned
	var name string
	cmd := &cobra.Command{
		Use:   "approve [FILE]",
		Short: "Put a proposal into the policy's folder, and in force",
		Long: `FILE is a proposal as weir policy learn -w writes it, with what you changed in it; without it, all that was learned is approved as it is. It is
checked together with the present policy first, and becomes a file of the policy's folder that you may edit. A running daemon then loads it.`,
		Example: "  weir policy approve proposal.toml\n  weir policy approve --since 24h --name 20-shop.toml",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if name != "" && (filepath.Base(name) != name || filepath.Ext(name) != ".toml" || name[0] == '.') {
				return usage(fmt.Errorf("--name: %q is no name of a policy file (as 20-shop.toml)", name))
			}
			var folder *daemon.PolicyFolder
			var data []byte
			if len(args) == 1 {
				_, conf, err := l.dialConfigured(cmd)
				if err != nil {
					return err
				}
				f, problems := daemon.OpenPolicy(conf.Paths.Policy)
				if err := report(problems); err != nil {
					return err
				}
				folder = f
				var problem *rules.Problem
				if data, problem = rules.ReadFile(args[0]); problem != nil {
					return failed(errors.New(problem.String()))
				}
			} else {
				what, f, since, err := l.open(cmd)
				if err != nil {
					return err
				}
				p := what.Propose(f.Set, nanoseconds(since))
				if len(p.Rules) == 0 {
					note(append([]string{nothingNew(p)}, p.Notes...)...)
					return nil
				}
				folder, data = f, p.AppendTOML(nil)
			}
			if name == "" {
				name = folder.LearnedName(time.Now())
			}
			if _, err := os.Stat(filepath.Join(folder.Dir, name)); err == nil {
				return usage(fmt.Errorf("policy approve: %s is there already (choose another --name, or remove it)", filepath.Join(folder.Dir, name)))
			}
			from := ""
			if len(args) == 1 {
				from = args[0]
			}
			return l.put(cmd, folder, name, data, from)
		},
	}
	cmd.RunE = lockingPolicy(&l.asker, cmd.RunE)
	l.flags(cmd)
	cmd.Flags().StringVar(&name, "name", "", "the file in the policy's folder (default: 50-learned-TIME.toml)")
	return cmd
}

// put writes a file of the policy's folder, if the policy is right with it, and has a running daemon load it. from is where the text stands now, if it stands somewhere.
func (a *asker) put(cmd *cobra.Command, folder *daemon.PolicyFolder, name string, data []byte, from string) error {
	set, problems := folder.With(name, data)
	for i := range problems {
		if from != "" && problems[i].File == filepath.Join(folder.Dir, name) {
			problems[i].File = from
		}
	}
	if err := report(problems); err != nil {
		return err
	}
	if err := folder.Write(name, data); err != nil {
		return failed(fmt.Errorf("policy: %w", err))
	}
	d := policy.Diff(folder.Set, set)
	fmt.Fprintf(cmd.OutOrStdout(), "%s: written; newly allowed: %d, no longer allowed: %d\n", filepath.Join(folder.Dir, name), len(d.Allowed), len(d.Denied))
	c, err := a.dial(cmd)
	if err != nil {
		return err
	}
	problems, err = c.Reload()
	if daemon.IsNotRunning(err) {
		note("the daemon does not run: it will load the policy when it starts")
		return nil
	}
	if err != nil {
		return failed(fmt.Errorf("%s is written, and whether it is in force is not known: %w", filepath.Join(folder.Dir, name), err))
	}
	if err := report(problems); err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "in force: %d rules of policy\n", len(set.Rules))
	return nil
}

func policyModeCommand() *cobra.Command {
	var a asker
	cmd := &cobra.Command{
		Use:   "mode GROUP discover|monitor|protect",
		Short: "What is done with verdicts of a group's conversations: learn, tell, or stop",
		Long: `Writes the mode of a group, or of "default", into the policy file that gives it, or into 90-modes.toml, and has a running daemon load it. Before a group
is protected it is said how much of what was ever seen would be stopped: weir policy simulate says what.`,
		Example: "  weir policy mode web monitor\n  weir policy mode web protect\n  weir policy mode default monitor",
		Args: cobra.MatchAll(cobra.ExactArgs(2), func(_ *cobra.Command, args []string) error {
			if !slices.Contains(policy.Modes, args[1]) {
				return fmt.Errorf("policy mode: %q is no mode: choose discover, monitor or protect", args[1])
			}
			return nil
		}),
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			switch len(args) {
			case 0:
				return knownGroups(a.config), cobra.ShellCompDirectiveNoFileComp
			case 1:
				return policy.Modes, cobra.ShellCompDirectiveNoFileComp
			}
			return nil, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			c, conf, err := a.dialConfigured(cmd)
			if err != nil {
				return err
			}
			folder, problems := daemon.OpenPolicy(conf.Paths.Policy)
			if err := report(problems); err != nil {
				return err
			}
			if groups := modeGroups(folder.Set); !slices.Contains(groups, args[0]) {
				return usage(noGroup(args[0], groups))
			}
			if args[1] == policy.Protect.String() {
				if what, err := c.Learned(); err == nil {
					note(daemon.WouldStop(what, folder.Set, args[0])...)
				}
			}
			name, data, err := folder.SetMode(args[0], args[1])
			if err != nil {
				return failed(err)
			}
			return a.put(cmd, folder, name, data, "")
		},
	}
	cmd.RunE = lockingPolicy(&a, cmd.RunE)
	a.flags(cmd)
	return cmd
}

// lockingPolicy has a command that changes the policy's folder wait for others that do: each reads what the one before wrote.
func lockingPolicy(a *asker, run func(*cobra.Command, []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		conf, _ := daemon.LoadConfig(a.config, false)
		if conf == nil { // run says what is wrong with it
			return run(cmd, args)
		}
		unlock, err := daemon.LockPolicy(conf.Paths.Policy)
		if err != nil {
			return failed(fmt.Errorf("policy: %w", err))
		}
		defer unlock()
		return run(cmd, args)
	}
}

// knownGroups are the names that a mode may be given.
func knownGroups(config string) []string {
	if conf, _ := daemon.LoadConfig(config, false); conf != nil {
		if set, _ := daemon.LoadPolicy(conf.PolicyPaths()); set != nil {
			return modeGroups(set)
		}
	}
	return []string{policy.Default}
}

// modeGroups are the names that a policy lets a mode be given.
func modeGroups(set *policy.Set) []string {
	names := []string{policy.Default}
	for _, g := range set.Groups {
		names = append(names, g.Name)
	}
	return append(names, policy.Builtin...)
}

// maxGroupsNamed is how many groups an error names.
const maxGroupsNamed = 20

func noGroup(name string, known []string) error {
	hint := ""
	if near := rules.Nearest(name, known); near != "" {
		hint = fmt.Sprintf("did you mean %q? ", near)
	}
	left := ""
	if n := len(known) - maxGroupsNamed; n > 0 {
		known, left = known[:maxGroupsNamed], fmt.Sprintf(" and %d more", n)
	}
	return fmt.Errorf("policy mode: there is no group %q (%sgroups are %s%s; [[groups]] in a file of the policy's folder makes one: docs/policy.md)", name, hint, strings.Join(known, ", "), left)
}
