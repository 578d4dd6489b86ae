package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"weir/daemon"
)

func runCommand() *cobra.Command {
	var config string
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run the daemon (systemd starts it so)",
		Long: `Watches the interfaces that the configuration names as they come and go, until it gets SIGTERM. SIGHUP puts the rules on
disk in force; if there is something wrong with them the old ones stay. Needs root, or the capabilities in systemd/weir.service.`,
		Example: "  weir run\n  weir run --config ./weir.toml",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			conf, problems := daemon.LoadConfig(config, cmd.Flags().Changed("config"))
			if err := report(problems); err != nil {
				return err
			}
			_, problems = daemon.LoadRules(conf.RulePaths(), conf.Rules.Builtin)
			if err := report(problems); err != nil {
				return err
			}
			if err := reportPolicy(conf); err != nil {
				return err
			}
			log, flush := daemon.NewLog(os.Stderr)
			err := daemon.Run(cmd.Context(), conf, log)
			flush()
			if next := hint(err); next != "" {
				err = fmt.Errorf("%w (%s)", err, next)
			}
			if errors.As(err, new(daemon.Misconfigured)) {
				return usage(err)
			}
			return failed(err)
		},
	}
	cmd.Flags().StringVar(&config, "config", daemon.DefaultConfigPath, "configuration file")
	return cmd
}

// hint returns what to do about an error of the file system, "" for others.
func hint(err error) string {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return "run as root, or name folders in [paths] that you may write to; weir replay needs none of this"
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		return "make room on that disk, or name folders on another one in [paths]"
	case errors.Is(err, unix.EROFS), errors.Is(err, unix.ENOTDIR):
		return "name folders in [paths] that can be written to"
	}
	return ""
}
