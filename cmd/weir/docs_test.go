package main

import (
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// shape parses a command line as weir would, without running it, and returns its command with the names of its flags.
func shape(line string) (string, error) {
	root := rootCommand()
	cmd, rest, err := root.Find(strings.Fields(line)[1:])
	if err == nil {
		err = cmd.ParseFlags(rest)
	}
	if err == nil {
		err = cmd.ValidateArgs(cmd.Flags().Args())
	}
	var flags []string
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if f.Name != "config" && f.Name != "socket" { // which daemon, not what of it
			flags = append(flags, "--"+f.Name)
		}
	})
	sort.Strings(flags)
	return strings.Join(append([]string{cmd.CommandPath()}, flags...), " "), err
}

// commandLines finds weir's command lines in a text: at the start of a line of code, after a prompt, in a pipe or in a substitution.
var commandLines = regexp.MustCompile(`(?m)^ +(?:\S.*[|(] ?|\$ )?(weir [a-z][^#|)\n]*)`)

// TestDocumentedCommands: every command line of the documents and of --help parses, and one with the same flags is run in a script.
func TestDocumentedCommands(t *testing.T) {
	ran := map[string]bool{}
	scripts, err := filepath.Glob("testdata/script/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range scripts {
		text := read(t, name)
		for _, m := range regexp.MustCompile(`(?m)^(?:! )?exec (weir [^&\n]*)`).FindAllStringSubmatch(text, -1) {
			if s, err := shape(m[1]); err == nil {
				ran[s] = true
			}
		}
	}
	texts := map[string]string{}
	for _, pattern := range []string{"../../*.md", "../../docs/*.md"} {
		files, _ := filepath.Glob(pattern)
		for _, name := range files {
			texts[filepath.Base(name)] = read(t, name)
		}
	}
	walk(rootCommand(), func(c *cobra.Command) {
		texts[c.CommandPath()+" --help"] = c.Example
		if c.Example == "" {
			t.Errorf("%s --help has no example", c.CommandPath())
		}
	})
	for where, text := range texts {
		for _, m := range commandLines.FindAllStringSubmatch(text, -1) {
			s, err := shape(m[1])
			if err != nil {
				t.Errorf("%s: %s: %v", where, m[1], err)
			} else if !ran[s] {
				t.Errorf("%s: %s: no script runs such a command (%s)", where, m[1], s)
			}
		}
		for _, m := range regexp.MustCompile("`(weir [a-z][^`]*)`").FindAllStringSubmatch(text, -1) {
			if _, err := shape(m[1]); err != nil && !strings.Contains(err.Error(), "arg(s)") {
				t.Errorf("%s: %s: %v", where, m[1], err)
			}
		}
	}
}

func walk(c *cobra.Command, visit func(*cobra.Command)) {
	visit(c)
	for _, sub := range c.Commands() {
		walk(sub, visit)
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
