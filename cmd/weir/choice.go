package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// choice is the value of a flag that takes one of a few words. The zero value of word is none of them: the flag was not given.
type choice struct {
	word  string
	words []string
}

// Set is pflag.Value's: what is none of the words is wrong usage.
func (c *choice) Set(word string) error {
	if !slices.Contains(c.words, word) {
		return fmt.Errorf("choose %s", strings.Join(c.words, " or "))
	}
	c.word = word
	return nil
}

// String is pflag.Value's.
func (c *choice) String() string { return c.word }

// Type is pflag.Value's: how help names the value.
func (c *choice) Type() string { return "string" }

// index returns the place of the word among the words.
func (c *choice) index() int { return slices.Index(c.words, c.word) }

// outputFlag adds -o, that most commands have.
func outputFlag(cmd *cobra.Command) *choice {
	return choiceFlag(cmd, "output", "o", "table", "table or json", "table", "json")
}

// choiceFlag adds the flag -short, --name, that takes one of words; word is what holds where it is not given.
func choiceFlag(cmd *cobra.Command, name, short, word, help string, words ...string) *choice {
	c := &choice{word, words}
	cmd.Flags().VarP(c, name, short, help)
	_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
	return c
}
