package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"weir/broker"
)

func brokerCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "broker",
		Short: "Open sockets in workloads' network namespaces for the daemon (systemd starts it so)",
		Long: `Serves the socket that weir-broker.socket listens on: it opens packet and netlink sockets in the network namespaces that the daemon names,
and hands them over. So the daemon, which parses traffic, cannot enter namespaces itself. Root alone is served, and the broker's own user.`,
		Example: "  systemctl start weir-broker.socket\n  weir broker",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := broker.Permitted(); err != nil {
				return failed(err)
			}
			l, err := broker.Inherited()
			if err != nil {
				return failed(err)
			}
			return failed(broker.Listen(l, func(err error) { fmt.Fprintln(cmd.ErrOrStderr(), "weir: broker:", err) }))
		},
	}
}
