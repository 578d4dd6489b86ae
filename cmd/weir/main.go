// Command weir is the daemon and every command that talks to it or works without it. Commands are thin: what they
// do stands in package daemon and below.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"weir/daemon"
)

// Exit statuses, as documented.
const (
	exitFailed = 1
	exitUsage  = 2 // wrong usage, configuration or rules
	exitFound  = 3 // something was found and --fail-on asked
)

// exit is an error with its exit status. An empty text prints nothing: all was said.
type exit struct {
	code int
	err  error
}

func (e exit) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e exit) Unwrap() error { return e.err }

func usage(err error) error { return exit{exitUsage, err} }

func main() { os.Exit(run(os.Args[1:])) }

// run executes one command line and returns its exit status.
func run(args []string) int {
	root := rootCommand()
	root.SetArgs(args)
	cmd, err := root.ExecuteC()
	if err == nil {
		return 0
	}
	var e exit
	if !errors.As(err, &e) { // what cobra itself refuses is wrong usage
		text := strings.Join(strings.Fields(err.Error()), " ") // what it suggests stands in lines of its own
		if strings.Contains(text, "arg(s)") {
			text = "wrong number of arguments: want " + cmd.UseLine()
		}
		complain(slog.LevelError, fmt.Sprintf("weir: %s (see: %s --help)", text, cmd.CommandPath()))
		return exitUsage
	}
	if text := err.Error(); text != "" {
		complain(slog.LevelError, "weir: "+text)
	}
	return e.code
}

// complain writes text to stderr; where that is the journal, each line with its priority.
func complain(l slog.Level, text string) {
	p := daemon.Priority(os.Stderr, l)
	fmt.Fprintln(os.Stderr, p+strings.ReplaceAll(text, "\n", "\n"+p))
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "weir",
		Short: "See, understand, keep and stop what containers say to each other",
		Long: `Weir watches the traffic of a host's containers, understands it up to layer 7, finds what must not be in it,
and keeps the packets that prove it.`,
		Example: `  weir replay capture.pcap
  weir run --config /etc/weir/weir.toml
  weir status`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.AddCommand(runCommand(), brokerCommand(), replayCommand(), checkCommand(), rulesCommand(), alertsCommand(), observeCommand(), statusCommand(), workloadsCommand(), doctorCommand(), quarantineCommand(),
		dlpCommand(), pcapCommand(), policyCommand(), reloadCommand(), manCommand(), versionCommand())
	ownExamples(root)
	return root
}

// needsCommand is for commands that only hold others: alone they explain themselves, anything else is wrong usage.
func needsCommand(cmd *cobra.Command, _ []string) error { return cmd.Help() }

// ownExamples gives the commands that cobra adds an example too.
func ownExamples(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		switch cmd.Name() {
		case "help":
			cmd.Example = "  weir help rules test"
		case "completion":
			cmd.Example = "  source <(weir completion bash)"
			cmd.Args, cmd.RunE = cobra.NoArgs, needsCommand
			for _, shell := range cmd.Commands() {
				shell.Example = "  weir completion " + shell.Name()
			}
		}
	}
}

// failed turns an error of a command's work into exit status 1.
func failed(err error) error {
	if err == nil {
		return nil
	}
	var e exit
	if errors.As(err, &e) {
		return err
	}
	return exit{exitFailed, err}
}

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
