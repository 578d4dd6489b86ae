package main

import (
	"os"

	"github.com/spf13/cobra"

	"weir/daemon"
	"weir/flow"
)

func replayCommand() *cobra.Command {
	var (
		r         daemon.Replay
		config    string
		events    string
		noBuiltin bool

		output, checksum, failOn *choice
	)
	cmd := &cobra.Command{
		Use:   "replay [flags] FILE...",
		Short: "Run captures through the same pipeline as live traffic, at full speed",
		Long: `Reads pcap and pcapng files (also compressed with gzip or zstd; - is standard input) and tells what the daemon would
have told. Files are taken in the order given; flows go on from one into the next as long as time does.`,
		Example: `  weir replay capture.pcap
  weir replay --rules my.toml -o json capture.pcapng.gz
  tcpdump -i eth0 -w - | weir replay --events alert -
  weir replay --fail-on alert --slices evidence/ capture.pcap`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			r.Output, r.Checksum = output.word, flow.ChecksumMode(checksum.index())
			if r.Events, err = daemon.EventTypes(events); err != nil {
				return usage(err)
			}
			r.Builtin = !noBuiltin
			r.Stdout, r.Stderr = os.Stdout, os.Stderr
			if config != "" {
				conf, problems := daemon.LoadConfig(config, true)
				if err := report(problems); err != nil {
					return err
				}
				if err := reportPolicy(conf); err != nil {
					return err
				}
				r.Config = conf
			}
			set, problems := r.LoadRules()
			if err := report(problems); err != nil {
				return err
			}
			alerts, err := r.Run(set, args)
			if err != nil {
				return failed(err)
			}
			if failOn.word == "alert" && alerts > 0 {
				return exit{code: exitFound}
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringArrayVarP(&r.Rules, "rules", "r", nil, "rules file or folder (repeatable)")
	f.BoolVar(&noBuiltin, "no-builtin", false, "leave the built-in rules out")
	f.StringVar(&config, "config", "", "the daemon's configuration; none is needed")
	output = choiceFlag(cmd, "output", "o", "table", "table, json (EVE lines) or none", "table", "json", "none")
	f.StringVar(&events, "events", "", "event types to tell, comma-separated (default: all)")
	f.StringVar(&r.Slices, "slices", "", "write the packets of alerts into this folder")
	checksum = choiceFlag(cmd, "checksum", "", "auto", "auto, verify or ignore", checksumModes[:]...)
	failOn = choiceFlag(cmd, "fail-on", "", "", "alert: exit status 3 if anything was found", "alert")
	f.BoolVar(&r.Stats, "stats", false, "counters on stderr at the end; with -o json the last line is a stats event")
	f.StringVar(&r.Profile, "cpuprofile", "", "write a CPU profile of the run to this file")
	_ = f.MarkHidden("cpuprofile")
	return cmd
}

// checksumModes are the names of the modes.
var checksumModes = [...]string{flow.ChecksumAuto: "auto", flow.ChecksumVerify: "verify", flow.ChecksumIgnore: "ignore"}
