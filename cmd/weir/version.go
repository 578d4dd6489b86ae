package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"weir/daemon"
)

func versionCommand() *cobra.Command {
	var output *choice
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Print the version, and those of Go and Hyperscan",
		Example: "  weir version\n  weir version -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if output.word == "json" {
				return failed(writeJSON(cmd.OutOrStdout(), daemon.Versions()))
			}
			_, err := fmt.Fprintln(cmd.OutOrStdout(), daemon.Version())
			return failed(err)
		},
	}
	output = outputFlag(cmd)
	return cmd
}
