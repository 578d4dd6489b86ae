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

// maxImport is the size of a file that is read, ours.
const maxImport = 64 << 20 // bytes

func rulesImportCommand() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "import " + strings.Join(translate.Formats, "|") + " FILE",
		Short: "Make rules of another program's rules",
		Long: `FILE is a gitleaks.toml (which is a rules file as it is: it is checked only), NeuVector's NvDlpSecurityRule and NvWafSecurityRule in YAML, or rules
of Suricata. What cannot be said in a rule of Weir is left out whole and named with its line and the reason, on stderr and in a comment of the
result. Exit status: 1 if nothing could be translated.`,
		Example: `  weir rules import suricata local.rules -o /etc/weir/rules.d/local.toml
  kubectl get nvdlpsecurityrules,nvwafsecurityrules -o yaml > nv.yaml; weir rules import neuvector nv.yaml -o nv.toml
  weir rules import gitleaks gitleaks.toml -o gitleaks-checked.toml`,
		Args: cobra.MatchAll(cobra.ExactArgs(2), func(_ *cobra.Command, args []string) error {
			if !slices.Contains(translate.Formats, args[0]) {
				return fmt.Errorf("rules import: %q is no format that is read: name %s", args[0], strings.Join(translate.Formats, ", "))
			}
			return nil
		}),
		ValidArgs: translate.Formats,
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := readImport(args[1])
			if err != nil {
				return failed(fmt.Errorf("rules import: %w", err))
			}
			result, err := translate.Read(args[0], args[1], text)
			if err != nil {
				return usage(err)
			}
			for _, l := range result.Left {
				complain(slog.LevelWarn, args[1]+":"+l.String())
			}
			if result.Rules == 0 {
				return failed(fmt.Errorf("rules import: %s: none of %d rules could be translated", args[1], len(result.Left)))
			}
			complain(slog.LevelInfo, fmt.Sprintf("weir: %s: rules: %d, not translated: %d", args[1], result.Rules, len(result.Left)))
			if out == "" {
				_, err = cmd.OutOrStdout().Write(result.TOML)
				return failed(err)
			}
			return failed(os.WriteFile(out, result.TOML, 0o644))
		},
	}
	cmd.Flags().StringVarP(&out, "output", "o", "", "the rules file (default: standard output)")
	return cmd
}

func readImport(path string) ([]byte, error) {
	fi, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case !fi.Mode().IsRegular():
		return nil, errors.New(path + ": not a regular file")
	case fi.Size() > maxImport:
		return nil, fmt.Errorf("%s has %d bytes, more than %d: split it", path, fi.Size(), maxImport)
	}
	return os.ReadFile(path)
}
