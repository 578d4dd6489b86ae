package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"weir/daemon"
	"weir/pcapstore"
)

// queryHelp is the part of the help that all commands with a QUERY share.
const queryHelp = `QUERY: host A, net A/B, port N, tcp, udp, icmp, before TIME, after TIME, alert ID, flow ID, community-id ID,
workload NAME, pod NAMESPACE/NAME, rule ID; joined by and, or, not and parentheses, of which and binds tighter than or.
A TIME is 10m ago (s, m, h, d, w), 2026-01-31, 2026-01-31T15:04 or 2026-01-31T15:04:05Z.`

func pcapCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "pcap",
		Args:  cobra.NoArgs,
		RunE:  needsCommand,
		Short: "The packets of alerts: pull, list, pin and remove them",
		Long: `Every alert keeps the packets of its flow, from before it to some seconds after it: a slice. These commands read the
folder of slices; no daemon needs to run. A slice holds packets as they were, unmasked.

` + queryHelp,
		Example: `  weir pcap pull --alert 9f1c02ab77d03e54 -w alert.pcapng
  weir pcap ls after 1d ago
  weir pcap stats`,
	}
	cmd.AddCommand(pcapPullCommand(), pcapListCommand(), pcapPinCommand(true), pcapPinCommand(false), pcapRemoveCommand(),
		pcapStatsCommand())
	return cmd
}

// evidence is the choice of a store that the commands share.
type evidence struct {
	config, dir string
	quota       int64  // bytes; 0: not known
	socket      string // of the daemon that writes to it; "": nobody is known to
}

func (e *evidence) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&e.config, "config", daemon.DefaultConfigPath, "the daemon's configuration, which names the folder")
	cmd.Flags().StringVar(&e.dir, "dir", "", "a folder of slices, as weir replay --slices writes it")
	cmd.MarkFlagsMutuallyExclusive("config", "dir")
}

func (e *evidence) open(cmd *cobra.Command) (*pcapstore.Store, error) {
	dir := e.dir
	e.socket = ""
	if !cmd.Flags().Changed("dir") {
		conf, problems := daemon.LoadConfig(e.config, cmd.Flags().Changed("config"))
		if err := report(problems); err != nil {
			return nil, err
		}
		dir, e.quota, e.socket = conf.Paths.Pcap(), int64(conf.Pcap.Quota), conf.Paths.Socket()
	}
	s, err := daemon.OpenEvidence(dir)
	return s, failed(err)
}

// query reads the arguments as one query, so that it needs no quotes where the shell does not; nil if there are none.
func query(args []string) (*pcapstore.Query, error) {
	if len(args) == 0 {
		return nil, nil
	}
	q, err := daemon.ParseQuery(strings.Join(args, " "), time.Now())
	if err != nil {
		return nil, usage(err)
	}
	return q, nil
}

// interruptible returns a context that ends at the first interrupt; the second one ends the process.
func interruptible(cmd *cobra.Command) (context.Context, func()) {
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, unix.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

func pcapListCommand() *cobra.Command {
	var e evidence
	cmd := &cobra.Command{
		Use:   "ls [QUERY]",
		Short: "List slices, oldest alert first; with a QUERY those that hold such a packet",
		Long: `Slices that are still being written, until [pcap] post after their alert, are shown as open. The id is what the alert has in weir.slice. "+2" behind a rule says that two other rules found something in the same slice.

` + queryHelp,
		Example: `  weir pcap ls
  weir pcap ls rule pci.pan and after 1d ago
  weir pcap ls -o json 'workload web and (port 80 or port 443)'`,
	}
	output := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		q, err := query(args)
		if err != nil {
			return err
		}
		s, err := e.open(cmd)
		if err != nil {
			return err
		}
		defer s.Close()
		ctx, stop := interruptible(cmd)
		defer stop()
		found, err := s.Select(ctx, q)
		if err != nil {
			return failed(err)
		}
		list := daemon.NewEvidence(found)
		if output.word == "json" {
			return failed(writeJSON(cmd.OutOrStdout(), list))
		}
		if len(list) == 0 {
			fmt.Fprintf(os.Stderr, "weir: no slices in %s%s\n", s.Dir(), map[bool]string{true: " meet the query"}[q != nil])
			return nil
		}
		return failed(daemon.WriteEvidence(cmd.OutOrStdout(), list))
	}
	e.flags(cmd)
	return cmd
}

// pcapPinCommand is pin, or unpin if keep is not set.
func pcapPinCommand(keep bool) *cobra.Command {
	var e evidence
	name, short, done := "pin", "Keep slices, whatever the quota says", "pinned"
	if !keep {
		name, short, done = "unpin", "Let the quota remove slices again", "unpinned"
	}
	cmd := &cobra.Command{
		Use:     name + " ID...",
		Short:   short,
		Example: "  weir pcap " + name + " 9f1c02ab77d03e54",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := e.open(cmd)
			if err != nil {
				return err
			}
			defer s.Close()
			for _, id := range args {
				found, err := s.Find(id)
				if err != nil {
					return failed(err)
				}
				for _, i := range found {
					if err := s.Pin(i.ID, keep); err != nil {
						return failed(err)
					}
					fmt.Fprintln(cmd.OutOrStdout(), done, i.ID)
				}
			}
			return nil
		},
	}
	e.flags(cmd)
	return cmd
}

func pcapRemoveCommand() *cobra.Command {
	var e evidence
	var yes bool
	cmd := &cobra.Command{
		Use:   "rm ID|QUERY",
		Short: "Remove slices: the one with this id, or all that hold such a packet",
		Long: `More than one is removed only with --yes. Pinned slices are never removed: unpin them first.

` + queryHelp,
		Example: `  weir pcap rm 9f1c02ab77d03e54
  weir pcap rm --yes before 30d ago`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := e.open(cmd)
			if err != nil {
				return err
			}
			defer s.Close()
			ctx, stop := interruptible(cmd)
			defer stop()
			found, err := chosen(ctx, s, args)
			if err != nil {
				return err
			}
			return remove(cmd, s, found, yes)
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "also more than one")
	e.flags(cmd)
	return cmd
}

// chosen returns the slices that an id or a query names.
func chosen(ctx context.Context, s *pcapstore.Store, args []string) ([]pcapstore.Info, error) {
	var missing error
	if len(args) == 1 {
		found, err := s.Find(args[0])
		if !errors.Is(err, pcapstore.ErrNotFound) {
			return found, failed(err)
		}
		missing = err
	}
	q, err := query(args)
	if err != nil {
		if missing != nil && !strings.ContainsAny(args[0], " (!") { // one word that is no query is an id
			return nil, failed(missing)
		}
		return nil, err
	}
	found, err := s.Select(ctx, q)
	found = slices.DeleteFunc(found, func(i pcapstore.Info) bool {
		if i.Open {
			fmt.Fprintf(os.Stderr, "weir: %s is still being written: left as it is (once [pcap] post is over it can be pinned and removed)\n", i.ID)
		}
		return i.Open
	})
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("no slices in %s meet the query (weir pcap ls shows what there is)", s.Dir())
	}
	return found, failed(err)
}

func remove(cmd *cobra.Command, s *pcapstore.Store, found []pcapstore.Info, yes bool) error {
	var bytes int64
	var free []pcapstore.Info
	for _, i := range found {
		if i.Pinned {
			fmt.Fprintf(os.Stderr, "weir: %s is pinned and stays (weir pcap unpin %s)\n", i.ID, i.ID)
			continue
		}
		free = append(free, i)
		bytes += i.Size
	}
	switch {
	case len(free) == 0:
		return exit{code: exitFailed} // each was named
	case len(free) > 1 && !yes:
		return usage(fmt.Errorf("%d slices with %s would be removed (say so with --yes; weir pcap ls with the same QUERY shows them)",
			len(free), daemon.Size(bytes)))
	}
	for _, i := range free {
		if err := s.Remove(i.ID); err != nil && !errors.Is(err, pcapstore.ErrNotFound) {
			return failed(err)
		}
		fmt.Fprintln(cmd.OutOrStdout(), "removed", i.ID)
	}
	return nil
}

func pcapStatsCommand() *cobra.Command {
	var e evidence
	cmd := &cobra.Command{
		Use:     "stats",
		Short:   "How much is kept, of which rules, since when",
		Example: "  weir pcap stats\n  weir pcap stats -o json",
		Args:    cobra.NoArgs,
	}
	output := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		s, err := e.open(cmd)
		if err != nil {
			return err
		}
		defer s.Close()
		list, err := s.List()
		if err != nil {
			return failed(err)
		}
		stats := daemon.NewEvidenceStats(s.Dir(), daemon.NewEvidence(list), s.Usage(), e.quota)
		if output.word == "json" {
			return failed(writeJSON(cmd.OutOrStdout(), stats))
		}
		return failed(stats.WriteTable(cmd.OutOrStdout(), time.Now()))
	}
	e.flags(cmd)
	return cmd
}
