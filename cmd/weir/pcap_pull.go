package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"weir/daemon"
	"weir/pcapstore"
)

func pcapPullCommand() *cobra.Command {
	var e evidence
	var p puller
	var alert, since, socket string
	var hide bool
	cmd := &cobra.Command{
		Use:   "pull --alert ID | QUERY",
		Short: "Write packets of slices, and those in memory, into one capture file, in order of time",
		Long: `Looks through the slices, those that are still being written too, and through the recent packets that the running
daemon has in memory. The answer is pcapng: interfaces with their names and workloads, comments on the packets that raised an
alert, losses, lengths on the wire. A packet is written once, wherever it is found. If nothing meets the query the exit
status is 1, and why it is so is said. The ID of --alert is what the alert has in weir.slice. The daemon writes down who
pulled what.

With --redact, what rules for data find is overwritten in every packet that carries it, and what carried it where it was found in a
decoded view only; of what cannot be looked at the payload is overwritten whole. Rules are those of the configuration.

` + queryHelp,
		Example: `  weir pcap pull --alert 9f1c02ab77d03e54 -w alert.pcapng
  weir pcap pull --alert 9f1c02ab77d03e54 --redact -w for-support.pcapng
  weir pcap pull --alert 9f1c02ab77d03e54 --format table
  weir pcap pull 'pod shop/cart-0 and (port 80 or port 443)' --since 10m | wireshark -k -i -
  weir pcap pull --format pcap -w old.pcap host 10.1.2.3 and tcp`,
	}
	format := choiceFlag(cmd, "format", "", "pcapng", "pcapng; pcap for old tools: nothing but the packets; table: a line for each, for people", "pcapng", "pcap", "table")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		q, err := pullQuery(cmd, alert, since, args)
		if err != nil {
			return err
		}
		if p.path == "" {
			if daemon.IsTerminal(cmd.OutOrStdout()) && format.word != "table" {
				return usage(errors.New("pcap pull: the answer is a capture file, not for a terminal (give -w FILE, pipe it on, or --format table)"))
			}
			p.path = "-"
		}
		if p.Store, err = e.open(cmd); err != nil {
			return err
		}
		defer p.Store.Close()
		if at := cmp.Or(socket, e.socket); at != "" {
			p.Daemon = daemon.Dial(at)
		}
		if hide {
			if p.Redact, err = redactor(cmd, e.config); err != nil {
				return err
			}
			defer p.Redact.Close()
		}
		ctx, stop := interruptible(cmd)
		defer stop()
		p.Options = pcapstore.PullOptions{Format: pcapstore.Format(format.index()), App: "weir " + daemon.Version()}
		return failed(p.run(ctx, cmd.OutOrStdout(), q))
	}
	f := cmd.Flags()
	f.StringVar(&alert, "alert", "", "the slice with this id")
	f.StringVarP(&p.path, "write", "w", "", "file to write; - is standard output, which is the default if that is no terminal")
	f.StringVar(&since, "since", "", "only packets of the last 10m, 2h, 3d ...")
	f.BoolVar(&hide, "redact", false, "overwrite what rules find, and what they could not look at")
	f.StringVar(&socket, "socket", "", "the control socket of the daemon that has packets in memory (default: as the configuration says)")
	e.flags(cmd)
	return cmd
}

// redactor loads the rules of a configuration; the file need not be there unless it was named.
func redactor(cmd *cobra.Command, path string) (*daemon.Redactor, error) {
	conf, problems := daemon.LoadConfig(path, cmd.Flags().Changed("config"))
	if err := report(problems); err != nil {
		return nil, err
	}
	set, found := daemon.LoadRules(conf.RulePaths(), conf.Rules.Builtin)
	if err := report(found); err != nil {
		return nil, err
	}
	r, err := daemon.NewRedactor(conf, set)
	return r, failed(err)
}

func pullQuery(cmd *cobra.Command, alert, since string, args []string) (*pcapstore.Query, error) {
	q, err := query(args)
	if err != nil {
		return nil, err
	}
	if cmd.Flags().Changed("alert") {
		if alert == "" {
			return nil, usage(errors.New("--alert: no id (it stands in weir.slice of the alert; weir pcap ls lists all)"))
		}
		q = pcapstore.And(pcapstore.Alert(alert), q)
	}
	if cmd.Flags().Changed("since") {
		age, err := pcapstore.ParseAge(since)
		if err != nil {
			return nil, usage(fmt.Errorf("--since: %w", err))
		}
		q = pcapstore.And(q, pcapstore.After(time.Now().Add(-age)))
	}
	if q == nil {
		return nil, usage(errors.New("pcap pull: which packets? (give --alert ID, a QUERY or --since 10m; see: weir pcap pull --help)"))
	}
	return q, nil
}

// puller writes what a query finds, and tells how it went.
type puller struct {
	daemon.Puller
	path string
}

func (p *puller) run(ctx context.Context, stdout io.Writer, q *pcapstore.Query) error {
	var c pcapstore.PullCounters
	var err error
	show := newProgress()
	p.Options.Progress = show.slice
	pull := func(w io.Writer) error {
		c, err = p.Pull(ctx, w, q)
		return err
	}
	if p.path == "-" {
		err = pull(stdout)
	} else {
		err = daemon.WriteCapture(p.path, pull)
	}
	show.end()
	for _, text := range p.Lacks(&c) {
		fmt.Fprintln(os.Stderr, "weir: warning:", text)
	}
	if err == nil && p.Redact != nil {
		for _, why := range slices.Sorted(maps.Keys(p.Redact.Count.Blanked)) {
			fmt.Fprintf(os.Stderr, "weir: conversations without their payload: %d: %s\n", p.Redact.Count.Blanked[why], why)
		}
	}
	if err == nil && p.path != "-" {
		fmt.Fprintf(stdout, "%s: packets: %d, slices: %d, only in memory: %d\n", p.path, c.Packets, c.Read, c.Recent)
	}
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return errors.New("pcap pull: interrupted")
	}
	return err
}

// ours
const (
	progressAfter = time.Second            // nobody wants to know of less
	progressEvery = 200 * time.Millisecond //
)

// progress shows a person how far a pull is. It is silent where nobody looks.
type progress struct {
	next  time.Time // zero: never
	shown bool
}

func newProgress() *progress {
	var p progress
	if daemon.IsTerminal(os.Stderr) {
		p.next = time.Now().Add(progressAfter)
	}
	return &p
}

func (p *progress) slice(c *pcapstore.PullCounters) {
	if p.next.IsZero() {
		return
	}
	if now := time.Now(); now.After(p.next) {
		p.next, p.shown = now.Add(progressEvery), true
		fmt.Fprintf(os.Stderr, "\r\x1b[K%d of %d slices, %d packets", c.Read, c.Slices, c.Packets)
	}
}

// end takes the last line away.
func (p *progress) end() {
	if p.shown {
		fmt.Fprint(os.Stderr, "\r\x1b[K")
	}
}
