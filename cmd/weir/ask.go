package main

import (
	"cmp"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"weir/daemon"
)

// asker is a command that asks a running daemon.
type asker struct{ config, socket string }

func (a *asker) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&a.config, "config", daemon.DefaultConfigPath, "the daemon's configuration")
	cmd.Flags().StringVar(&a.socket, "socket", "", "the daemon's control socket (default: as the configuration says)")
}

func (a *asker) dial(cmd *cobra.Command) (*daemon.Client, error) {
	if a.socket != "" {
		return daemon.Dial(a.socket), nil
	}
	c, _, err := a.dialConfigured(cmd)
	return c, err
}

// dialConfigured is dial for a command that needs the configuration too.
func (a *asker) dialConfigured(cmd *cobra.Command) (*daemon.Client, *daemon.Config, error) {
	conf, problems := daemon.LoadConfig(a.config, cmd.Flags().Changed("config"))
	if err := report(problems); err != nil {
		return nil, nil, err
	}
	return daemon.Dial(cmp.Or(a.socket, conf.Paths.Socket())), conf, nil
}

func statusCommand() *cobra.Command {
	var a asker
	var output *choice
	cmd := &cobra.Command{
		Use:     "status",
		Short:   "What is watched, what is lost, what is not looked at and why",
		Example: "  weir status\n  weir status -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.dial(cmd)
			if err != nil {
				return err
			}
			s, err := c.Status()
			if err != nil {
				return failed(err)
			}
			if output.word == "json" {
				return failed(writeJSON(cmd.OutOrStdout(), s))
			}
			return failed(s.WriteTable(cmd.OutOrStdout(), time.Now()))
		},
	}
	a.flags(cmd)
	output = outputFlag(cmd)
	return cmd
}

// reloaded is what came of a reload, as programs get it.
type reloaded struct {
	OK       bool          `json:"ok"` // what is on disk is in force; else what was before
	Problems []toldProblem `json:"problems"`
	Rules    int           `json:"rules"` // in force
}

func reloadCommand() *cobra.Command {
	var a asker
	var output *choice
	cmd := &cobra.Command{
		Use:   "reload",
		Short: "Put the rules on disk in force; if something is wrong with them the old ones stay",
		Long: `Puts in force what is on disk of rules and policy, and of the configuration which interfaces are watched (capture.include,
capture.exclude) and where rules are (paths.rules, rules.builtin). No packet is lost, and a match that has begun goes on. If
something is wrong all stays as it was. Of other keys of the configuration that have changed it warns: they take effect when
the daemon is started anew.`,
		Example: "  weir reload\n  weir reload -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.dial(cmd)
			if err != nil {
				return err
			}
			problems, err := c.Reload()
			if err != nil {
				return failed(err)
			}
			if output.word != "json" {
				if err := report(problems); err != nil {
					return err
				}
			}
			s, err := c.Status()
			if err != nil {
				return failed(err)
			}
			if output.word == "json" {
				err := writeJSON(cmd.OutOrStdout(), reloaded{!problems.Failed(), toldProblems(problems), s.Rules})
				return failed(cmp.Or(err, wrong(problems)))
			}
			fmt.Fprintf(cmd.OutOrStdout(), "reloaded: %d rules in force\n", s.Rules)
			return nil
		},
	}
	a.flags(cmd)
	output = outputFlag(cmd)
	return cmd
}
