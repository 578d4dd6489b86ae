package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"weir/alert"
	"weir/daemon"
	"weir/pcapstore"
)

func alertsCommand() *cobra.Command {
	var a asker
	var r daemon.AlertReader
	var since string
	cmd := &cobra.Command{
		Use:   "alerts",
		Short: "Show the last alerts, and with -f those that come",
		Long: `Shows what was found, oldest first: the last 1000 alerts, or with --since all of that time. It reads eve.json and the
files that it was rotated to, back to 256 MiB from their end, and what the running daemon has in memory; so a restart of the
daemon loses nothing, and a daemon that does not run is no obstacle. If there are none it says why, and how far back that is known.`,
		Example: `  weir alerts
  weir alerts --since 1h --severity high
  weir alerts --rule pci.pan --workload shop/cart-0
  weir alerts -f -o json`,
		Args: cobra.NoArgs,
	}
	output := choiceFlag(cmd, "output", "o", "table", "table or json (EVE lines)", "table", "json")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		f := &r.Ask.Filter
		if err := readSince(cmd, since, f); err != nil {
			return err
		}
		if err := f.Check(); err != nil {
			return usage(err)
		}
		client, conf, err := a.dialConfigured(cmd)
		if err != nil {
			return err
		}
		r.Daemon, r.Path, r.Ask.Last = client, conf.Paths.EVE(), lastAlerts
		if cmd.Flags().Changed("since") {
			r.Ask.Last = -1
		}
		if f.Rule != "" {
			r.Rules = daemon.RuleIDs(conf)
		}
		ctx, stop := interruptible(cmd)
		defer stop()
		err = r.Run(ctx, shower(cmd.OutOrStdout(), output.word, alert.NewTable))
		var unknown *daemon.UnknownRule
		if errors.As(err, &unknown) {
			return usage(err)
		}
		if err == nil {
			note(r.Notes()...)
		}
		return failed(err)
	}
	a.flags(cmd)
	f := cmd.Flags()
	f.BoolVarP(&r.Ask.Follow, "follow", "f", false, "go on with those that come")
	f.StringVar(&since, "since", "", "only those of the last 10m, 2h, 3d ...")
	f.StringVar(&r.Ask.Filter.Severity, "severity", "", "that one or above: info, low, medium, high or critical")
	f.StringVar(&r.Ask.Filter.Rule, "rule", "", "of the rule with this id")
	f.StringVar(&r.Ask.Filter.Workload, "workload", "", "with this workload at either end")
	return cmd
}

const (
	lastAlerts = 1000 // shown where no time is asked for
	lastEvents = 20   // likewise of all events
)

func observeCommand() *cobra.Command {
	var a asker
	var ask daemon.Ask
	var since string
	cmd := &cobra.Command{
		Use:   "observe",
		Short: "Show flows, requests and alerts, and with -f as they happen",
		Long: `Shows what the daemon told last, out of its memory: flows, requests of all protocols, anomalies and alerts, a line each. Filters
are applied by the daemon; all that are given must hold. What an event shows is masked, as in eve.json, which has what memory
has no longer.`,
		Example: `  weir observe -f
  weir observe --last 100 --protocol dns
  weir observe -f --from-pod shop/cart-0 --to-pod shop/db-0
  weir observe --since 5m --workload web --verdict blocked -o json`,
		Args: cobra.NoArgs,
	}
	output := choiceFlag(cmd, "output", "o", "compact", "compact or json (EVE lines)", "compact", "json")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := readSince(cmd, since, &ask.Filter); err != nil {
			return err
		}
		if err := ask.Filter.Check(); err != nil {
			return usage(err)
		}
		if cmd.Flags().Changed("last") && ask.Last < 1 {
			return usage(fmt.Errorf("--last: %d events are none (give a number from 1 on)", ask.Last))
		}
		if !cmd.Flags().Changed("last") {
			switch {
			case since != "":
				ask.Last = -1
			case ask.Follow:
				ask.Last = 0
			}
		}
		c, err := a.dial(cmd)
		if err != nil {
			return err
		}
		ctx, stop := interruptible(cmd)
		defer stop()
		var seen *daemon.Seen
		shown := 0
		show := shower(cmd.OutOrStdout(), output.word, alert.NewCompact)
		err = c.Events(ctx, ask, func(s *daemon.Seen) error { seen = s; return nil }, func(line []byte) error { shown++; return show(line) })
		if err == nil && !ask.Follow {
			note(ask.Notes(seen, shown)...)
		}
		return failed(err)
	}
	a.flags(cmd)
	f := cmd.Flags()
	f.BoolVarP(&ask.Follow, "follow", "f", false, "go on with those that come; without --since and --last with these alone")
	f.IntVar(&ask.Last, "last", lastEvents, "so many of the last ones")
	f.StringVar(&since, "since", "", "those of the last 10m, 2h ..., as far as memory goes back")
	f.StringVar(&ask.Filter.Pod, "pod", "", "with this pod, NAMESPACE/NAME, at either end")
	f.StringVar(&ask.Filter.FromPod, "from-pod", "", "begun by this pod")
	f.StringVar(&ask.Filter.ToPod, "to-pod", "", "to this pod")
	f.StringVar(&ask.Filter.Workload, "workload", "", "with this workload at either end")
	f.StringVar(&ask.Filter.Protocol, "protocol", "", "of this protocol: http, dns, tls ... or tcp, udp, icmp")
	f.StringVar(&ask.Filter.Verdict, "verdict", "", "allowed, blocked (stopped), denied (by the policy, stopped or not) or undecided")
	_ = cmd.RegisterFlagCompletionFunc("verdict", cobra.FixedCompletions(daemon.Verdicts, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func readSince(cmd *cobra.Command, since string, f *daemon.Filter) error {
	if !cmd.Flags().Changed("since") {
		return nil
	}
	age, err := pcapstore.ParseAge(since)
	if err != nil {
		return usage(fmt.Errorf("--since: %w", err))
	}
	f.Since = time.Now().Add(-age)
	return nil
}

// note tells people what an answer lacks.
func note(texts ...string) {
	for _, text := range texts {
		fmt.Fprintln(os.Stderr, "weir:", text)
	}
}

// shower returns what shows an EVE line: as it is, or in a table for people.
func shower(w io.Writer, output string, table func(io.Writer, bool) *alert.Table) func(line []byte) error {
	t := table(w, daemon.IsTerminal(w))
	return func(line []byte) error {
		if n, ok := daemon.Missed(line); ok {
			note(fmt.Sprintf("%d events came faster than they could be shown: they are not here (eve.json has them)", n))
			if output != "json" {
				return nil
			}
		}
		if output == "json" {
			_, err := fmt.Fprintf(w, "%s\n", line)
			return err
		}
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
