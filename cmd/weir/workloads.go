package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"weir/daemon"
)

func workloadsCommand() *cobra.Command {
	var a asker
	var output *choice
	cmd := &cobra.Command{
		Use:     "workloads",
		Short:   "Who is behind the watched interfaces: containers, pods, network namespaces",
		Example: "  weir workloads\n  weir workloads -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.dial(cmd)
			if err != nil {
				return err
			}
			list, err := c.Workloads()
			if err != nil {
				return failed(err)
			}
			if output.word == "json" {
				return failed(writeJSON(cmd.OutOrStdout(), list))
			}
			if len(list) == 0 {
				fmt.Fprintln(os.Stderr, "weir: nobody is behind the watched interfaces (weir status says which these are)")
				return nil
			}
			return failed(daemon.WriteWorkloads(cmd.OutOrStdout(), list))
		},
	}
	a.flags(cmd)
	output = outputFlag(cmd)
	return cmd
}
