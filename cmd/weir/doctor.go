package main

import (
	"cmp"

	"github.com/spf13/cobra"

	"weir/daemon"
	"weir/doctor"
)

func doctorCommand() *cobra.Command {
	var a asker
	var output *choice
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Whether this host lets Weir do its work, and if not, what to do",
		Long: `Looks at the kernel, this user's capabilities, interfaces, namespaces, container runtimes, the clock, memory, disk, rules and the daemon, if it runs.
Nothing is changed and nothing is captured. Exit status 1 says that something stands in Weir's way altogether; with warnings alone it is 0.`,
		Example: "  weir doctor\n  weir doctor -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			conf, problems := daemon.LoadConfig(a.config, cmd.Flags().Changed("config"))
			if err := report(problems); err != nil {
				return err
			}
			found := doctor.Examine(cmd.Context(), conf, cmp.Or(a.socket, conf.Paths.Socket()))
			var err error
			if output.word == "json" {
				err = writeJSON(cmd.OutOrStdout(), found)
			} else {
				err = doctor.WriteTable(cmd.OutOrStdout(), found)
			}
			if err == nil && doctor.Failed(found) {
				return exit{code: exitFailed}
			}
			return failed(err)
		},
	}
	a.flags(cmd)
	output = outputFlag(cmd)
	return cmd
}
