package main

import (
	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// manCommand is for `make install`: a manual page of each command, made of what --help says.
func manCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "man DIR",
		Short:   "Write manual pages of all commands into a folder",
		Example: "  weir man /usr/share/man/man1",
		Args:    cobra.ExactArgs(1),
		Hidden:  true,
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			root.DisableAutoGenTag = true
			return failed(doc.GenManTree(root, &doc.GenManHeader{Title: "WEIR", Section: "1", Source: "Weir", Manual: "Weir's commands"}, args[0]))
		},
	}
}
