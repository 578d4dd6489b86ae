package main

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"github.com/spf13/cobra"

	"weir/alert"
	"weir/daemon"
)

// asker is a command that asks a running daemon.
type asker struct{ config, socket string }

func (a *asker) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&a.config, "config", daemon.DefaultConfigPath, "the daemon's configuration")
	cmd.Flags().StringVar(&a.socket, "socket", "", "the daemon's control socket (default: as the configuration says)")
}

func (a *asker) dial(cmd *cobra.Command) (*daemon.Client, error) {
	path := a.socket
	if path == "" {
		conf, problems := daemon.LoadConfig(a.config, cmd.Flags().Changed("config"))
		if err := report(problems); err != nil {
			return nil, err
		}
		path = conf.Paths.Socket()
	}
	return daemon.Dial(path), nil
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
	output = choiceFlag(cmd, "output", "o", "table", "table or json", "table", "json")
	return cmd
}

func alertsCommand() *cobra.Command {
	var a asker
	var output *choice
	var follow bool
	cmd := &cobra.Command{
		Use:     "alerts",
		Short:   "Show the last alerts, and with -f those that come",
		Example: "  weir alerts\n  weir alerts -f -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.dial(cmd)
			if err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt)
			defer stop()
			show := showTable(cmd.OutOrStdout())
			if output.word == "json" {
				show = func(line []byte) error {
					_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s\n", line)
					return err
				}
			}
			n := 0
			err = c.Alerts(ctx, follow, func(line []byte) error { n++; return show(line) })
			if n == 0 && err == nil {
				fmt.Fprintln(os.Stderr, "weir: no alerts since the daemon started (older ones stand in eve.json)")
			}
			if ctx.Err() != nil && cmd.Context().Err() == nil {
				return nil // the user has seen enough
			}
			return failed(err)
		},
	}
	a.flags(cmd)
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with those that come")
	output = choiceFlag(cmd, "output", "o", "table", "table or json (EVE lines)", "table", "json")
	return cmd
}

// showTable writes EVE lines as the table for people.
func showTable(w io.Writer) func(line []byte) error {
	t := alert.NewTable(w, daemon.IsTerminal(w))
	return func(line []byte) error {
		ev, err := alert.ParseEVE(line)
		if err != nil {
			return err
		}
		if err := t.Write(ev); err != nil {
			return err
		}
		return t.Flush()
	}
}

func reloadCommand() *cobra.Command {
	var a asker
	cmd := &cobra.Command{
		Use:     "reload",
		Short:   "Put the rules on disk in force; if something is wrong with them the old ones stay",
		Example: "  weir reload",
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
			if err := report(problems); err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), "reloaded")
			return nil
		},
	}
	a.flags(cmd)
	return cmd
}
