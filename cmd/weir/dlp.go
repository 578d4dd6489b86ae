package main

import "github.com/spf13/cobra"

func dlpCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "dlp",
		Args:    cobra.NoArgs,
		RunE:    needsCommand,
		Short:   "Find data that should not be there, outside of traffic",
		Example: "  weir dlp scan .",
	}
	cmd.AddCommand(dlpScanCommand(), dlpEDMCommand())
	return cmd
}
