package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"weir/daemon"
	"weir/policy"
)

func policySimulateCommand() *cobra.Command {
	var l learned
	var captures []string
	var with string
	cmd := &cobra.Command{
		Use:   "simulate",
		Short: "What would have been stopped, and why, if every group were protected",
		Long: `Holds what was seen against the policy as if everything were in protect: with --since what the daemon learned in that time, with --pcap what is in
captures, which go through the same pipeline as traffic. --policy takes another policy, or the present one with a proposal. What is stopped is told with the
rule that stops it; where no rule does, with the nearest rule that allows something, and what differs.`,
		Example: `  weir policy simulate --since 24h
  weir policy simulate --since 24h --policy proposal.toml
  weir policy simulate --pcap some.pcap --policy policy.d -o json
  weir policy simulate --pcap some.pcap --fail-on deny`,
		Args: cobra.NoArgs,
	}
	output := outputFlag(cmd)
	failOn := choiceFlag(cmd, "fail-on", "", "", "deny: exit status 3 if anything would have been stopped", "deny")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if len(captures) > 0 && l.since != "" {
			return usage(errors.New("policy simulate: --pcap and --since are two questions: ask one at a time"))
		}
		s, err := l.simulate(cmd, captures, with)
		if err != nil {
			return err
		}
		if output.word == "json" {
			err = writeJSON(cmd.OutOrStdout(), s)
		} else if err = s.WriteTable(cmd.OutOrStdout()); err == nil {
			note(append(s.Notes, s.Summary())...)
		}
		if err == nil && failOn.word == "deny" && len(s.Stopped) > 0 {
			return exit{code: exitFound}
		}
		return failed(err)
	}
	l.flags(cmd)
	cmd.Flags().StringArrayVar(&captures, "pcap", nil, "a capture to take through the pipeline (repeatable)")
	cmd.Flags().StringVar(&with, "policy", "", "a file that is added to the present policy, or a folder in place of it")
	return cmd
}

func (l *learned) simulate(cmd *cobra.Command, captures []string, with string) (*daemon.Simulated, error) {
	if len(captures) == 0 {
		what, folder, since, err := l.open(cmd)
		if err != nil {
			return nil, err
		}
		set, err := policyWith(folder, with)
		if err != nil {
			return nil, err
		}
		s, err := daemon.SimulateLearned(what, set, since)
		return s, failed(err)
	}
	_, conf, err := l.dialConfigured(cmd)
	if err != nil {
		return nil, err
	}
	folder, problems := daemon.OpenPolicy(conf.Paths.Policy)
	if err := report(problems); err != nil {
		return nil, err
	}
	set, err := policyWith(folder, with)
	if err != nil {
		return nil, err
	}
	s, err := daemon.SimulateCaptures(conf, set, captures, os.Stderr)
	return s, failed(err)
}

// policyWith returns the policy that is asked about: the present one, with a file added if one is named; or what a folder has.
func policyWith(folder *daemon.PolicyFolder, with string) (*policy.Set, error) {
	if with == "" {
		return folder.Set, nil
	}
	st, err := os.Stat(with)
	switch {
	case err != nil:
		return nil, failed(fmt.Errorf("--policy: %w", err))
	case st.IsDir():
		return loadPolicy([]string{with})
	}
	return added(folder, with)
}
