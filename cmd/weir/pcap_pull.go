package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"weir/daemon"
	"weir/pcapstore"
)

func pcapPullCommand() *cobra.Command {
	var e evidence
	var p puller
	var alert, since string
	cmd := &cobra.Command{
		Use:   "pull --alert ID | QUERY",
		Short: "Write packets of slices into one capture file, in order of time",
		Long: `The answer is pcapng: interfaces with their names, comments on the packets that raised an alert, losses, lengths on the
wire. A packet that several slices hold is written once. If nothing meets the query the exit status is 1, and why it is so
is said. The ID of --alert is what the alert has in weir.slice.

` + queryHelp,
		Example: `  weir pcap pull --alert 9f1c02ab77d03e54 -w alert.pcapng
  weir pcap pull 'pod shop/cart-0 and (port 80 or port 443)' --since 10m | wireshark -k -i -
  weir pcap pull --format pcap -w old.pcap host 10.1.2.3 and tcp`,
	}
	format := choiceFlag(cmd, "format", "", "pcapng", "pcapng, or pcap for old tools: nothing but the packets", "pcapng", "pcap")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		q, err := pullQuery(cmd, alert, since, args)
		if err != nil {
			return err
		}
		if p.path == "" {
			if daemon.IsTerminal(cmd.OutOrStdout()) {
				return usage(errors.New("pcap pull: the answer is a capture file, not for a terminal (give -w FILE, or pipe it on)"))
			}
			p.path = "-"
		}
		if p.store, err = e.open(cmd); err != nil {
			return err
		}
		defer p.store.Close()
		ctx, stop := interruptible(cmd)
		defer stop()
		p.options = pcapstore.PullOptions{Format: pcapstore.PcapNG, App: "weir " + daemon.Version()}
		if format.word == "pcap" {
			p.options.Format = pcapstore.Pcap
		}
		return failed(daemon.WhyEmpty(p.run(ctx, cmd.OutOrStdout(), q)))
	}
	f := cmd.Flags()
	f.StringVar(&alert, "alert", "", "the slice with this id")
	f.StringVarP(&p.path, "write", "w", "", "file to write; - is standard output, which is the default if that is no terminal")
	f.StringVar(&since, "since", "", "only packets of the last 10m, 2h, 3d ...")
	e.flags(cmd)
	return cmd
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
	store   *pcapstore.Store
	path    string
	options pcapstore.PullOptions
}

func (p *puller) run(ctx context.Context, stdout io.Writer, q *pcapstore.Query) error {
	var c pcapstore.PullCounters
	var err error
	show := newProgress()
	p.options.Progress = show.slice
	pull := func(w io.Writer) error {
		c, err = p.store.Pull(ctx, w, q, p.options)
		return err
	}
	if p.path == "-" {
		err = pull(stdout)
	} else {
		err = daemon.WriteCapture(p.path, pull)
	}
	show.end()
	for _, d := range c.Damaged {
		fmt.Fprintf(os.Stderr, "weir: warning: %v (what stands before that is in the answer)\n", d)
	}
	if c.Gone > 0 {
		fmt.Fprintf(os.Stderr, "weir: warning: %d slices were removed before they could be read (raise [pcap] quota, or pin what must stay)\n", c.Gone)
	}
	if c.NotStored > 0 {
		fmt.Fprintf(os.Stderr, "weir: warning: a limit of the store kept %d packets of these flows out of it\n", c.NotStored)
	}
	if c.Lost > 0 {
		fmt.Fprintf(os.Stderr, "weir: warning: the capture lost %d frames while these slices were written\n", c.Lost)
	}
	if err == nil && p.path != "-" {
		fmt.Fprintf(stdout, "%s: packets: %d, slices: %d\n", p.path, c.Packets, c.Read)
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
