package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"weir/daemon"
	"weir/rules"
	"weir/scan"
)

func dlpScanCommand() *cobra.Command {
	var (
		src     ruleSource
		opt     scan.Options
		packs   []string
		tags    []string
		maxFile daemon.Size
		profile string

		output, failOn *choice
	)
	cmd := &cobra.Command{
		Use:   "scan PATH...",
		Short: "Look for what rules describe in files and folders",
		Long: `Every file of the folders that are named is looked at with the engine that looks at traffic, hidden files too; - is standard input.
Symbolic links that lead out of a folder are not followed, and the objects of .git are left out: both are counted. What is found is
shown masked. --pack and --tags may name what is in the wide packs (builtin:wide), which are read then. Exit status: 1 if something could not be read or not looked at whole, 3 if something was found and --fail-on asks.`,
		Example: `  weir dlp scan .
  weir dlp scan --pack secrets --fail-on alert src/
  weir dlp scan -o sarif /srv/share > found.sarif
  pg_dump shop | weir dlp scan --pack pci,national-ids -`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			set, err := src.load(cmd)
			if err != nil {
				return err
			}
			if set, err = src.only(cmd, set, packs, tags); err != nil {
				return usage(fmt.Errorf("dlp scan: %w", err))
			}
			if opt.Jobs < 0 {
				return usage(fmt.Errorf("dlp scan: --jobs: %d is no number of files (0: as many as processors)", opt.Jobs))
			}
			if profile != "" {
				stop, err := daemon.Profile(profile)
				if err != nil {
					return failed(err)
				}
				defer stop()
			}
			opt.Paths, opt.Stdin, opt.MaxFile = args, os.Stdin, int64(maxFile)
			conf, _ := daemon.LoadConfig(src.config, false) // its problems were told with its rules, if those are asked for
			if conf == nil {
				conf = daemon.DefaultConfig()
			}
			err = scanFiles(set, conf, opt, output.word, failOn.word == "alert")
			if len(src.paths)+len(packs)+len(tags) == 0 && !src.noBuiltin {
				fmt.Fprintf(os.Stderr, "weir: rules: %d that are always on; -r %s has hundreds more, for secrets that only their name tells, accounts, personal and health data\n", len(set.Rules), rules.Wide)
			}
			return failed(err)
		},
	}
	src.flags(cmd)
	f := cmd.Flags()
	output = choiceFlag(cmd, "output", "o", "table", "table, json (an object in a line) or sarif", "table", "json", "sarif")
	failOn = choiceFlag(cmd, "fail-on", "", "", "alert: exit status 3 if anything was found", "alert")
	f.StringSliceVar(&packs, "pack", nil, "only rules of these files, as secrets or pci")
	f.StringSliceVar(&tags, "tags", nil, "only rules with one of these tags")
	f.Var(sizeFlag{&maxFile}, "max-file", "leave larger files out, as 100MB (default: none)")
	f.IntVar(&opt.Jobs, "jobs", 0, "files that are looked at at the same time (default: as many as processors)")
	f.StringVar(&profile, "cpuprofile", "", "write a CPU profile of the run to this file")
	_ = f.MarkHidden("cpuprofile")
	complete(cmd, "pack", func(s *rules.Set) []string { return s.Packs() })
	complete(cmd, "tags", func(s *rules.Set) []string { return s.Tags() })
	return cmd
}

// only returns the rules of a set that are of packs and have tags. Whoever names a pack or tag that only the wide packs have asks for these.
func (s *ruleSource) only(cmd *cobra.Command, set *rules.Set, packs, tags []string) (*rules.Set, error) {
	out, err := set.Only(packs, tags)
	if err == nil {
		return out, nil
	}
	wide := s.loadWide(cmd)
	if wide == nil {
		return nil, err
	}
	return wide.Only(packs, tags)
}

// scanFiles looks at the files and prints what it found.
func scanFiles(set *rules.Set, conf *daemon.Config, opt scan.Options, output string, fail bool) error {
	db, err := daemon.CompileForFiles(set, conf)
	if err != nil {
		return usage(err)
	}
	defer db.Close()
	if daemon.IsTerminal(os.Stderr) {
		opt.Progress = os.Stderr
	}
	var out scan.Reporter
	switch output {
	case "json":
		out = scan.NewJSON(os.Stdout)
	case "sarif":
		out = scan.NewSARIF(os.Stdout, set, daemon.Version())
	default:
		out = scan.NewTable(os.Stdout, daemon.IsTerminal(os.Stdout))
	}
	sum, err := scan.Run(db, opt, &scan.Complaints{Reporter: out, W: os.Stderr})
	if err != nil {
		return fmt.Errorf("dlp scan: %w", err)
	}
	fmt.Fprintf(os.Stderr, "weir: %s\n", sum)
	switch {
	case fail && sum.Found > 0:
		return exit{code: exitFound}
	case !sum.Whole():
		return exit{code: exitFailed} // all was said
	}
	return nil
}

// sizeFlag is the value of a flag that takes a number of bytes.
type sizeFlag struct{ size *daemon.Size }

// Set is pflag.Value's.
func (s sizeFlag) Set(text string) error { return s.size.UnmarshalText([]byte(text)) }

// String is pflag.Value's.
func (s sizeFlag) String() string {
	if s.size == nil || *s.size == 0 {
		return ""
	}
	return s.size.String()
}

// Type is pflag.Value's: how help names the value.
func (s sizeFlag) Type() string { return "size" }

// complete completes a flag's values with names that the built-in rules have.
func complete(cmd *cobra.Command, flag string, names func(*rules.Set) []string) {
	_ = cmd.RegisterFlagCompletionFunc(flag, func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) { return known(names) })
}

// known returns names that the built-in rules have, for completion.
func known(names func(*rules.Set) []string) ([]string, cobra.ShellCompDirective) {
	set, _ := daemon.LoadRules(nil, true)
	if set == nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return names(set), cobra.ShellCompDirectiveNoFileComp
}
