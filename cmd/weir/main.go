// Command weir is the daemon and every command that talks to it or works without it. Commands are thin: what they
// do stands in package daemon and below.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
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
	err := root.Execute()
	if err == nil {
		return 0
	}
	code := exitUsage // what cobra itself refuses is wrong usage
	var e exit
	if errors.As(err, &e) {
		code = e.code
	}
	if text := err.Error(); text != "" {
		fmt.Fprintln(os.Stderr, "weir:", text)
	}
	return code
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
	root.AddCommand(runCommand(), replayCommand(), checkCommand(), rulesCommand(), alertsCommand(), statusCommand(),
		reloadCommand(), versionCommand())
	return root
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
