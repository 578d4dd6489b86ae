package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"weir/daemon"
)

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version, and those of Go and Hyperscan",
		Example: "  weir version",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), daemon.Version())
			return failed(err)
		},
	}
}
