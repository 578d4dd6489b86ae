package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"weir/daemon"
)

func quarantineCommand() *cobra.Command {
	var a asker
	var output *choice
	var q daemon.Quarantine
	cmd := &cobra.Command{
		Use:   "quarantine [NAME]",
		Short: "Cut a workload off from everybody but whom it is allowed; without a name: who is cut off",
		Long: "Cut a workload off, by rules in its own network namespace: they hold with the daemon dead, and again when a workload of that name comes anew, until they are lifted. " +
			"What it says to itself on lo goes on.",
		Example: "  weir quarantine shop/web-1\n  weir quarantine shop/web-1 --allow 10.0.0.7/tcp/22 --allow 10.0.0.0/28\n  weir quarantine shop/web-1 --lift\n  weir quarantine",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, text := range q.Allow {
				if _, err := daemon.ParseAllow(text); err != nil {
					return usage(fmt.Errorf("--allow %w", err))
				}
			}
			c, err := a.dial(cmd)
			if err != nil {
				return err
			}
			if len(args) == 1 {
				q.Name = args[0]
				answer, err := c.Quarantine(&q)
				if err == nil && answer.Starting {
					doing := "cut off (weir quarantine says once it is)"
					if q.Lift {
						doing = "let in again"
					}
					fmt.Fprintf(os.Stderr, "weir: %s: starting: it is being %s\n", q.Name, doing)
				}
				return failed(err)
			}
			if q.Lift || len(q.Allow) > 0 {
				return usage(errors.New("whom? name a workload (weir workloads has them)"))
			}
			list, err := c.Quarantines()
			if err != nil {
				return failed(err)
			}
			if output.word == "json" {
				return failed(writeJSON(cmd.OutOrStdout(), list))
			}
			if len(list) == 0 {
				fmt.Fprintln(os.Stderr, "weir: nobody is in quarantine")
				return nil
			}
			return failed(daemon.WriteQuarantines(cmd.OutOrStdout(), list))
		},
	}
	cmd.Flags().StringArrayVar(&q.Allow, "allow", nil, "whom it may still speak with: an address or network, perhaps with /tcp/PORT; repeatable")
	cmd.Flags().BoolVar(&q.Lift, "lift", false, "let it in again")
	a.flags(cmd)
	output = choiceFlag(cmd, "output", "o", "table", "table or json", "table", "json")
	return cmd
}
