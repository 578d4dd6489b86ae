package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"weir/alert"
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
				if err == nil {
					fmt.Fprintf(os.Stderr, "weir: %s\n", quarantined(&q, &answer))
					if answer.Unkept != "" {
						err = fmt.Errorf("%s: this is not written down, and ends with the daemon: %s (make room, then say it again)", alert.Shown(q.Name), answer.Unkept)
					}
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
	output = outputFlag(cmd)
	return cmd
}

// quarantined says what became of a workload, and what may be done next.
func quarantined(q *daemon.Quarantine, answer *daemon.Quarantine) string {
	name := alert.Shown(q.Name)
	switch {
	case q.Lift && answer.Starting:
		return name + ": starting: it is being let in again"
	case q.Lift:
		return name + ": it is let in again"
	case answer.Starting:
		return name + ": starting: it is being cut off (weir quarantine says once it is)"
	case !answer.Now:
		return name + ": no such workload is there now; one that comes by that name is cut off (lift it with: weir quarantine " + shellWord(name) + " --lift)"
	}
	but := "everybody"
	if len(q.Allow) > 0 {
		but += " but " + alert.Shown(strings.Join(q.Allow, ", "))
	}
	return fmt.Sprintf("%s: it is cut off from %s (lift it with: weir quarantine %s --lift)", name, but, shellWord(name))
}

// shellWord writes a word as a shell reads it.
func shellWord(s string) string {
	if strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:@") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
