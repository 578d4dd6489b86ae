package main

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"weir/daemon"
	"weir/pcapstore"
	"weir/policy"
)

func policyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "policy",
		Args:  cobra.NoArgs,
		RunE:  needsCommand,
		Short: "Who may talk to whom: learn it, look at it, try it, put it in force",
		Long: `The policy stands in files (docs/policy.md). What workloads say to each other is learned while the daemon runs; learn proposes
a policy of it, diff shows what that would change, simulate what would have been stopped, approve puts it into the policy's folder, and
mode says what is done with verdicts: discover, monitor or protect.`,
		Example: "  weir policy show\n  weir policy learn --since 24h\n  weir policy simulate --since 24h\n  weir policy approve --since 24h\n  weir policy mode web protect",
	}
	cmd.AddCommand(policyShowCommand(), policyLearnCommand(), policyDiffCommand(), policyApproveCommand(), policyModeCommand(), policySimulateCommand(), policyGraphCommand(), policyExportCommand(), policyImportCommand())
	return cmd
}

func policyShowCommand() *cobra.Command {
	var a asker
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Groups, modes and rules in force, and how often each rule decided",
		Long: `Shows what the running daemon has in force, in the order in which rules are asked, with how often each decided since it was loaded: conversations
and messages. Without a daemon it shows what is on disk.`,
		Example: "  weir policy show\n  weir policy show -o json",
		Args:    cobra.NoArgs,
	}
	output := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, conf, err := a.dialConfigured(cmd)
		if err != nil {
			return err
		}
		s, err := c.Policy()
		if daemon.IsNotRunning(err) {
			note("the daemon does not run: this is what is on disk, hits are not known")
			set, problems := daemon.LoadPolicy(conf.PolicyPaths())
			if err := report(problems); err != nil {
				return err
			}
			s, err = daemon.NewPolicyStatus(set, nil), nil
		}
		if err != nil {
			return failed(err)
		}
		if output.word == "json" {
			return failed(writeJSON(cmd.OutOrStdout(), s))
		}
		return failed(s.WriteTable(cmd.OutOrStdout()))
	}
	a.flags(cmd)
	return cmd
}

// learned is what the commands that are about what was learned have in common.
type learned struct {
	asker
	since string
}

func (l *learned) flags(cmd *cobra.Command) {
	l.asker.flags(cmd)
	cmd.Flags().StringVar(&l.since, "since", "", "what was seen in the last 24h, 7d ... (default: ever)")
}

// open reads what was learned, from the daemon or, if it does not run, from its file; and the policy's folder.
func (l *learned) open(cmd *cobra.Command) (*policy.Learner, *daemon.PolicyFolder, time.Time, error) {
	var since time.Time
	if cmd.Flags().Changed("since") {
		age, err := pcapstore.ParseAge(l.since)
		if err != nil {
			return nil, nil, since, usage(fmt.Errorf("--since: %w", err))
		}
		since = time.Now().Add(-age)
	}
	c, conf, err := l.dialConfigured(cmd)
	if err != nil {
		return nil, nil, since, err
	}
	folder, problems := daemon.OpenPolicy(conf.Paths.Policy)
	if err := report(problems); err != nil {
		return nil, nil, since, err
	}
	what, err := c.Learned()
	if daemon.IsNotRunning(err) {
		if what, err = daemon.LearnedBefore(conf); err == nil {
			note("the daemon does not run: this is what it had learned when it wrote it down last")
		}
	}
	if err != nil {
		return nil, nil, since, failed(err)
	}
	return what, folder, since, nil
}

func nanoseconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func policyLearnCommand() *cobra.Command {
	var l learned
	var out string
	cmd := &cobra.Command{
		Use:   "learn",
		Short: "Propose a policy of what was seen: groups and rules that would allow it",
		Long: `Writes a policy file of what the present policy does not allow and was seen nevertheless: who talked to whom, at which ports, in which protocol and in
which words, with identifiers as placeholders. Comments say how often it was seen, what was seen only once or always refused, and what is left out: read
them before you approve it. Nothing is put in force.`,
		Example: "  weir policy learn --since 24h\n  weir policy learn --since 7d -w proposal.toml",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			what, folder, since, err := l.open(cmd)
			if err != nil {
				return err
			}
			p := what.Propose(folder.Set, nanoseconds(since))
			if len(p.Rules) == 0 {
				note(append([]string{nothingNew(p)}, p.Notes...)...)
				return nil
			}
			text := p.AppendTOML(nil)
			if out == "" {
				_, err = cmd.OutOrStdout().Write(text)
				return failed(err)
			}
			if err := os.WriteFile(out, text, 0o644); err != nil {
				return failed(err)
			}
			note(fmt.Sprintf("%s: %d rules, %d new groups (weir policy diff %s; weir policy approve %s)", out, len(p.Rules), len(p.Groups), out, out))
			return nil
		},
	}
	l.flags(cmd)
	cmd.Flags().StringVarP(&out, "write", "w", "", "write it to this file")
	return cmd
}

// nothingNew says why nothing is proposed.
func nothingNew(p *policy.Proposal) string {
	if p.Last == 0 {
		return "nothing was learned yet: workloads have to talk while the daemon runs (weir status says what is watched)"
	}
	return "nothing to propose: the policy allows all that was seen, or denies it by a rule"
}

func policyDiffCommand() *cobra.Command {
	var l learned
	cmd := &cobra.Command{
		Use:   "diff [[OLD] NEW]",
		Short: "What another policy would newly allow, and what no longer",
		Long: `Without arguments it shows what approving all that was learned would change. NEW is a proposal as weir policy learn writes it: a file that is
added to the policy; or a folder that takes its place. With OLD these two are compared, and no daemon is asked.

Each line is a sort of conversation: + is allowed now and was not, - was allowed and is not any more. Groups are compared by name, and told where their
members are others.`,
		Example: "  weir policy diff --since 24h\n  weir policy diff proposal.toml\n  weir policy diff old.d new.d -o json",
		Args:    cobra.MaximumNArgs(2),
	}
	output := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		old, changed, err := l.compared(cmd, args)
		if err != nil {
			return err
		}
		d := policy.Diff(old, changed)
		if output.word == "json" {
			return failed(writeJSON(cmd.OutOrStdout(), daemon.NewPolicyDifference(d)))
		}
		if d.Empty() {
			note("nothing differs")
		}
		return failed(daemon.NewPolicyDifference(d).WriteTable(cmd.OutOrStdout()))
	}
	l.flags(cmd)
	return cmd
}

// compared returns the two policies that diff is asked about.
func (l *learned) compared(cmd *cobra.Command, args []string) (old, changed *policy.Set, err error) {
	if len(args) == 2 {
		if old, err = loadPolicy(args[:1]); err == nil {
			changed, err = loadPolicy(args[1:])
		}
		return old, changed, err
	}
	if len(args) == 0 {
		what, folder, since, err := l.open(cmd)
		if err != nil {
			return nil, nil, err
		}
		changed, problems := folder.With("learned.toml", what.Propose(folder.Set, nanoseconds(since)).AppendTOML(nil))
		return folder.Set, changed, report(problems)
	}
	_, conf, err := l.dialConfigured(cmd)
	if err != nil {
		return nil, nil, err
	}
	folder, problems := daemon.OpenPolicy(conf.Paths.Policy)
	if err := report(problems); err != nil {
		return nil, nil, err
	}
	if st, err := os.Stat(args[0]); err == nil && st.IsDir() {
		changed, err = loadPolicy(args)
		return folder.Set, changed, err
	}
	changed, err = added(folder, args[0])
	return folder.Set, changed, err
}

func loadPolicy(paths []string) (*policy.Set, error) {
	set, problems := daemon.LoadPolicy(paths)
	return set, report(problems)
}

// added returns the policy with a file of another place.
func added(folder *daemon.PolicyFolder, path string) (*policy.Set, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, failed(err)
	}
	set, problems := folder.With(daemon.AddedName(path), data)
	return set, report(problems)
}

func policyGraphCommand() *cobra.Command {
	var l learned
	cmd := &cobra.Command{
		Use:     "graph",
		Short:   "Draw who talks to whom, of what was seen",
		Example: "  weir policy graph -o dot | dot -Tsvg > graph.svg\n  weir policy graph --since 1h -o mermaid\n  weir policy graph -o json",
		Args:    cobra.NoArgs,
	}
	output := choiceFlag(cmd, "output", "o", "dot", "dot (Graphviz), mermaid or json", "dot", "mermaid", "json")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		what, _, since, err := l.open(cmd)
		if err != nil {
			return err
		}
		g := what.Graph(nanoseconds(since))
		if len(g.Links) == 0 {
			note("nobody was seen talking to anybody")
		}
		switch output.word {
		case "json":
			return failed(writeJSON(cmd.OutOrStdout(), g))
		case "mermaid":
			_, err = fmt.Fprint(cmd.OutOrStdout(), g.Mermaid())
		default:
			_, err = fmt.Fprint(cmd.OutOrStdout(), g.DOT())
		}
		return failed(err)
	}
	l.flags(cmd)
	return cmd
}
