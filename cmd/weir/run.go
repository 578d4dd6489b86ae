package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

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
			log := slog.New(slog.NewTextHandler(os.Stderr, nil))
			err := daemon.Run(cmd.Context(), conf, log)
			if errors.Is(err, fs.ErrPermission) {
				err = fmt.Errorf("%w (run as root, or name folders in [paths] that you may write to; weir replay needs none of this)", err)
			}
			return failed(err)
		},
	}
	cmd.Flags().StringVar(&config, "config", daemon.DefaultConfigPath, "configuration file")
	return cmd
}
