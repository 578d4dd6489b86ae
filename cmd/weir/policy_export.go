package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"weir/daemon"
	"weir/translate"
)

func policyExportCommand() *cobra.Command {
	var config, out string
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write the policy on disk for another program",
		Long: `Writes the rules of the policy on disk as NetworkPolicy of Kubernetes, as CiliumNetworkPolicy, as NvSecurityRule of NeuVector, or all of it as one file of
its own. What the format cannot say exactly is left out whole, and said on stderr and in a comment: nothing is allowed there that the policy does not
allow. Exit status: 1 if nothing could be written.`,
		Example: "  weir policy export -f networkpolicy -w np.yaml\n  weir policy export -f cilium -w cnp.yaml\n  weir policy export -f neuvector -w nv.yaml\n  weir policy export -f toml -w policy.toml",
		Args:    cobra.NoArgs,
	}
	format := choiceFlag(cmd, "format", "f", "", strings.Join(translate.PolicyFormats, " or "), translate.PolicyFormats...)
	cmd.Flags().StringVarP(&out, "write", "w", "-", "write to this file; - is stdout")
	cmd.Flags().StringVar(&config, "config", daemon.DefaultConfigPath, "configuration file")
	_ = cmd.MarkFlagRequired("format")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		conf, problems := daemon.LoadConfig(config, cmd.Flags().Changed("config"))
		if err := report(problems); err != nil {
			return err
		}
		set, problems := daemon.LoadPolicy(conf.PolicyPaths())
		if err := report(problems); err != nil {
			return err
		}
		text, left, err := translate.WritePolicy(set, format.word, time.Now())
		if err != nil {
			return failed(err)
		}
		for _, l := range left {
			note(fmt.Sprintf("left out: %s: %s", l.Rule, l.Why))
		}
		if format.word != "toml" && !bytes.Contains(text, []byte("\nkind: ")) {
			return failed(fmt.Errorf("nothing of %d rules can be said as %s", len(set.Rules), format.word))
		}
		if out == "-" {
			_, err = cmd.OutOrStdout().Write(text)
		} else {
			err = os.WriteFile(out, text, 0o644)
		}
		return failed(err)
	}
	return cmd
}
