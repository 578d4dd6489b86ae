package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"weir/daemon"
	"weir/edm"
)

func dlpEDMCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "edm",
		Args:    cobra.NoArgs,
		RunE:    needsCommand,
		Short:   "Exact data: sets of the values of your own tables",
		Example: "  weir dlp edm build --csv customers.csv --columns name,email,iban --key-file edm.key -o customers.edm",
	}
	cmd.AddCommand(dlpEDMBuildCommand())
	return cmd
}

func dlpEDMBuildCommand() *cobra.Command {
	var b setBuilder
	cmd := &cobra.Command{
		Use:   "build",
		Short: "Make a set of a table: keyed tokens of its values, never the values",
		Long: `The first line of the CSV names its columns, separated by commas, semicolons, tabs or bars; case does not count. The set takes its place when it is whole: a set that rules name may be built anew while they
are in force, and is used from the next reload on. The key is any 32 bytes or more: head -c 32 /dev/urandom > edm.key. Who has the set and the key
can try values; who has only one of them cannot. Values that can not be found are counted, and named by line.`,
		Example: `  weir dlp edm build --csv customers.csv --columns name,email,iban --key-file edm.key -o customers.edm
  psql shop -c "copy customers to stdout with csv header" | weir dlp edm build --csv - --columns name,iban --key-file edm.key -o customers.edm`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, unix.SIGTERM)
			defer stop()
			return failed(b.run(ctx, cmd.OutOrStdout()))
		},
	}
	f := cmd.Flags()
	f.StringVar(&b.csv, "csv", "", "the table; - is standard input")
	f.StringSliceVar(&b.columns, "columns", nil, "columns that go into the set")
	f.StringVar(&b.key, "key-file", "", "file with the key")
	f.StringVarP(&b.out, "output", "o", "", "the set")
	for _, name := range []string{"csv", "columns", "key-file", "output"} {
		_ = cmd.MarkFlagRequired(name) // it is there
	}
	return cmd
}

// setBuilder is what a set is built of.
type setBuilder struct {
	csv, key, out string
	columns       []string
}

func (b *setBuilder) run(ctx context.Context, stdout io.Writer) error {
	key, err := edm.ReadKey(b.key)
	if err != nil {
		return fmt.Errorf("dlp edm build: --key-file: %w", err)
	}
	if edm.Exposed(b.key) {
		complain(slog.LevelWarn, fmt.Sprintf("%s: warning: everybody on this host may read this key (chmod 600 %s)", b.key, b.key))
	}
	in := os.Stdin
	if b.csv != "-" {
		if in, err = os.Open(b.csv); err != nil {
			return fmt.Errorf("dlp edm build: --csv: %w", err)
		}
		defer in.Close()
	}
	bar := newBuildBar(in)
	built, err := edm.Build(ctx, in, b.out, edm.Options{Columns: b.columns, Key: key, Progress: bar.show})
	bar.end()
	var at *edm.CSVError
	switch {
	case errors.As(err, &at):
		return fmt.Errorf("%s:%d: %s (nothing was written)", b.csv, at.Line, at.Why)
	case errors.Is(err, context.Canceled):
		return errors.New("dlp edm build: interrupted (nothing was written)")
	case err != nil:
		return fmt.Errorf("dlp edm build: %w (nothing was written)", err)
	}
	for _, l := range built.LeftOut {
		complain(slog.LevelWarn, fmt.Sprintf("%s:%d: warning: column %q: values that cannot be found: %d, here the first (%s)", b.csv, l.Line, l.Column, l.Count, l.Why))
	}
	for _, c := range built.Few {
		complain(slog.LevelWarn, fmt.Sprintf("%s: warning: column %q has few different values: it says little of a row, leave it out", b.csv, c))
	}
	_, err = fmt.Fprintf(stdout, "%s: rows: %d, values: %d, size: %s\n", b.out, built.Rows, built.Cells, daemon.Size(built.Size))
	return err
}

// buildBar shows a person how far a build is. It is silent where nobody looks.
type buildBar struct {
	progress
	size int64 // bytes of the table; 0: nobody knows
}

func newBuildBar(in *os.File) *buildBar {
	bar := &buildBar{progress: *newProgress()}
	if fi, err := in.Stat(); err == nil && fi.Mode().IsRegular() {
		bar.size = fi.Size()
	}
	return bar
}

func (b *buildBar) show(p edm.Progress) {
	now := time.Now()
	if b.next.IsZero() || now.Before(b.next) && p.Step == "read" {
		return
	}
	b.next, b.shown = now.Add(progressEvery), true
	const width = 30
	text := fmt.Sprintf("%d rows", p.Rows)
	switch {
	case p.Step != "read":
		text += ", sorting"
	case b.size > 0:
		n := int(min(p.Read, b.size) * width / b.size)
		text = "[" + strings.Repeat("#", n) + strings.Repeat(" ", width-n) + "] " + text
	}
	fmt.Fprintf(os.Stderr, "\r\x1b[K%s", text)
}
