package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"weir/translate"
)

func policyImportCommand() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "import " + strings.Join(translate.PolicySources, "|") + " FILE...",
		Short: "Make a policy file of another program's objects",
		Long: `FILE is YAML: objects, several documents, or a List as kubectl get -o yaml writes it. Give all objects that there are at once: what they allow depends
on each other. What cannot be said is left out, and told on stderr and in a comment, with its place: nothing is allowed that they do not allow. Nothing is
put in force. Exit status: 2 if something is wrong in a file.`,
		Example: `  kubectl get networkpolicies -A -o yaml > np.yaml; weir policy import networkpolicy np.yaml -w 20-imported.toml
  weir policy import cilium cnp.yaml ccnp.yaml
  weir policy import neuvector nv.yaml`,
		Args: cobra.MatchAll(cobra.MinimumNArgs(2), func(_ *cobra.Command, args []string) error {
			if !slices.Contains(translate.PolicySources, args[0]) {
				return fmt.Errorf("policy import: %q is no format that is read: name %s", args[0], strings.Join(translate.PolicySources, ", "))
			}
			return nil
		}),
		ValidArgs: translate.PolicySources,
		RunE: func(cmd *cobra.Command, args []string) error {
			var files []translate.Source
			for _, name := range args[1:] {
				text, err := readSource(name)
				if err != nil {
					return failed(fmt.Errorf("policy import: %w", err))
				}
				files = append(files, translate.Source{Name: name, Text: text})
			}
			text, made, problems := translate.ReadPolicy(args[0], files)
			if err := report(problems); err != nil {
				return err
			}
			complain(slog.LevelInfo, fmt.Sprintf("weir: rules: %d, not translated: %d", made, len(problems)))
			if out == "" {
				_, err := cmd.OutOrStdout().Write(text)
				return failed(err)
			}
			return failed(os.WriteFile(out, text, 0o644))
		},
	}
	cmd.Flags().StringVarP(&out, "write", "w", "", "write it to this file (default: standard output)")
	return cmd
}

// readSource reads a file that is no larger than what is read of one.
func readSource(path string) ([]byte, error) {
	fi, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case !fi.Mode().IsRegular():
		return nil, errors.New(path + ": not a regular file")
	case fi.Size() > translate.MaxPolicySource:
		return nil, fmt.Errorf("%s has %d bytes, more than %d: split it", path, fi.Size(), translate.MaxPolicySource)
	}
	return os.ReadFile(path)
}
