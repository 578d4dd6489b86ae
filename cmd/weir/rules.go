package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"weir/daemon"
	"weir/rules"
	"weir/scan"
)

func rulesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "rules",
		Args:    cobra.NoArgs,
		RunE:    needsCommand,
		Short:   "List, explain and test rules",
		Example: "  weir rules list\n  weir rules explain pci.pan\n  weir rules test my-rules.toml",
	}
	cmd.AddCommand(rulesListCommand(), rulesExplainCommand(), rulesTestCommand(), rulesImportCommand())
	return cmd
}

// ruleSource is the choice of rules that the commands share.
type ruleSource struct {
	paths     []string
	noBuiltin bool
	config    string
}

func (s *ruleSource) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringArrayVarP(&s.paths, "rules", "r", nil, "rules file or folder (repeatable); default: those of the configuration")
	f.BoolVar(&s.noBuiltin, "no-builtin", false, "leave the built-in rules out")
	f.StringVar(&s.config, "config", daemon.DefaultConfigPath, "configuration file")
}

func (s *ruleSource) load(cmd *cobra.Command) (*rules.Set, error) { return s.loadWith(cmd) }

// loadWide loads the wide packs too, unless the built-in rules are to be left out: nil then.
func (s *ruleSource) loadWide(cmd *cobra.Command) *rules.Set {
	if s.noBuiltin {
		return nil
	}
	set, err := s.loadWith(cmd, rules.Wide)
	if err != nil {
		return nil // it was said when the others were loaded
	}
	return set
}

func (s *ruleSource) loadWith(cmd *cobra.Command, more ...string) (*rules.Set, error) {
	paths, builtin := s.paths, !s.noBuiltin
	if len(paths) == 0 {
		conf, problems := daemon.LoadConfig(s.config, cmd.Flags().Changed("config"))
		if err := report(problems); err != nil {
			return nil, err
		}
		paths = conf.RulePaths()
		builtin = builtin && conf.Rules.Builtin
	}
	set, problems := daemon.LoadRules(slices.Concat(more, paths), builtin)
	return set, report(problems)
}

// listedRule is a rule as programs get it.
type listedRule struct {
	ID          string   `json:"id"`
	Severity    string   `json:"severity"`
	Engine      string   `json:"engine"`
	Action      string   `json:"action"`
	Fields      []string `json:"fields"` // none: every field, or that of a rule which is part of Weir
	Own         bool     `json:"part_of_weir"`
	Description string   `json:"description"`
}

func listedRules(set *rules.Set) []listedRule {
	out := []listedRule{}
	for _, r := range set.Rules {
		out = append(out, listedRule{r.ID, fmt.Sprint(r.Severity), fmt.Sprint(r.Engine), fmt.Sprint(r.Action), append([]string{}, r.Fields...), false, r.Description})
	}
	for _, r := range daemon.OwnRules(set) {
		out = append(out, listedRule{r.ID, fmt.Sprint(r.Severity), fmt.Sprint(r.Engine), fmt.Sprint(r.Action), []string{}, true, r.Is})
	}
	return out
}

func rulesListCommand() *cobra.Command {
	var src ruleSource
	var output *choice
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the rules in force, and those that are part of Weir",
		Long:    "List the rules in force, and those that are part of Weir. The wide packs, which are read where they are asked for, are listed with -r builtin:wide.",
		Example: "  weir rules list\n  weir rules list -o json\n  weir rules list --no-builtin -r my-rules.toml",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			set, err := src.load(cmd)
			if err != nil {
				return err
			}
			list := listedRules(set)
			if output.word == "json" {
				return failed(writeJSON(cmd.OutOrStdout(), list))
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 8, 2, ' ', 0)
			fmt.Fprintln(w, "ID\tSEVERITY\tENGINE\tACTION\tFIELDS\tDESCRIPTION")
			for _, r := range list {
				fields := cmp.Or(strings.Join(r.Fields, ","), "every")
				if r.Own {
					fields = "(part of Weir)"
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", r.ID, r.Severity, r.Engine, r.Action, fields, r.Description)
			}
			return failed(w.Flush())
		},
	}
	src.flags(cmd)
	output = outputFlag(cmd)
	return cmd
}

// explainedRule is what is said of a rule, as programs get it: the same, line by line.
type explainedRule struct {
	listedRule
	Explained []explainedLine `json:"explained"`
}

type explainedLine struct {
	About string `json:"about"` // rule, is, finds, looks at, only if ...
	Text  string `json:"text"`
}

// explainedAt is where the text begins in the lines of what explains a rule.
const explainedAt = 12

func explained(set *rules.Set, id, text string) explainedRule {
	out := explainedRule{listedRule: listedRule{ID: id, Engine: "policy", Fields: []string{}}, Explained: []explainedLine{}}
	for _, r := range listedRules(set) {
		if r.ID == id {
			out.listedRule = r
		}
	}
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		n := min(explainedAt, len(line))
		if about := strings.TrimSpace(line[:n]); about != "" || len(out.Explained) == 0 {
			out.Explained = append(out.Explained, explainedLine{about, line[n:]})
		} else {
			out.Explained[len(out.Explained)-1].Text += "\n" + line[n:]
		}
	}
	return out
}

func rulesExplainCommand() *cobra.Command {
	var src ruleSource
	var output *choice
	cmd := &cobra.Command{
		Use:     "explain ID",
		Short:   "Say what a rule finds, where, how it is validated, what it ignores, and what to do next",
		Long:    "Say what a rule finds, where, how it is validated, what it ignores, and what to do next: of any id that an alert has, also of rules that are part of Weir, and of the policy's.",
		Example: "  weir rules explain pci.pan\n  weir rules explain tunnel.dns\n  weir rules explain pci.pan -o json",
		Args:    cobra.ExactArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return known(func(s *rules.Set) (ids []string) {
				for _, r := range s.Rules {
					ids = append(ids, r.ID+"\t"+r.Description)
				}
				for _, r := range daemon.OwnRules(s) {
					ids = append(ids, r.ID+"\t"+r.Is)
				}
				return ids
			})
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			set, err := src.load(cmd)
			if err != nil {
				return err
			}
			text := explain(set, args[0])
			if text == "" {
				text = cmp.Or(daemon.ExplainOwn(set, args[0]), src.explainPolicy(args[0]))
			}
			if text == "" {
				if wide := src.loadWide(cmd); wide != nil {
					set = wide
					text = explain(set, args[0])
				}
				if text != "" {
					text += fmt.Sprintf("%-12snot in force: the wide packs are read where they are named: -r %s, or rules of [paths] in weir.toml\n", "now", rules.Wide)
				}
			}
			switch {
			case text == "":
				return usage(noRule(set, args[0]))
			case output.word == "json":
				return failed(writeJSON(cmd.OutOrStdout(), explained(set, args[0], text)))
			}
			_, err = fmt.Fprint(cmd.OutOrStdout(), text)
			return failed(err)
		},
	}
	src.flags(cmd)
	output = outputFlag(cmd)
	return cmd
}

// explain tells people of a rule of a set; "" if it has none of that id.
func explain(set *rules.Set, id string) string {
	r := set.Rule(id)
	if r == nil {
		return ""
	}
	return rules.Explain(r, set.Allow, scan.InWords(r)) + rules.Examples(r) + rules.Next(r)
}

// explainPolicy tells people of a rule of the policy; "" if there is none of that id.
func (s *ruleSource) explainPolicy(id string) string {
	conf, _ := daemon.LoadConfig(s.config, false)
	if conf == nil {
		return ""
	}
	law, _ := daemon.LoadPolicy(conf.PolicyPaths())
	if law == nil {
		return ""
	}
	for _, r := range law.Rules {
		if r.ID == id {
			return fmt.Sprintf("%-12s%s\n%-12sa rule of the policy: %s\n%-12s%s\n%-12s%s\n", "rule", id, "is", cmp.Or(r.Comment, "no comment says what for"),
				"defined at", r.Pos, "then", "weir policy show says what it does, whose it is, and how often it decided; its alerts: weir alerts --rule "+id)
		}
	}
	return ""
}

func noRule(set *rules.Set, id string) error {
	ids := make([]string, len(set.Rules))
	for i, r := range set.Rules {
		ids[i] = r.ID
	}
	ids = append(ids, daemon.OwnRuleIDs()...)
	hint := "list them with: weir rules list; codes of anomalies stand in docs/events.md"
	if near := rules.Nearest(id, ids); near != "" {
		hint = "did you mean " + near + "?"
	}
	return fmt.Errorf("rules explain: no rule %q (%s)", id, hint)
}

func rulesTestCommand() *cobra.Command {
	var src ruleSource
	var try trial
	var output *choice
	cmd := &cobra.Command{
		Use:   "test [PATH...]",
		Short: "Run the examples that rules carry, or try rules on a text, a file or a capture",
		Long: `Every text in "match" of [rules.test] must raise its rule, no text in "no_match" may. With PATH the rules of those files are tested, else
those in force.

With --text, --file or --pcap it is told instead which rules find what there, masked, where and how surely, and what matches a rule's
expression and is refused nevertheless: by which validator, for want of which context, by whose allow-list. A text or file is held against all
rules, whatever fields they name; a capture goes through the same pipeline as traffic.`,
		Example: `  weir rules test
  weir rules test my-rules.toml
  weir rules test --text 'card: 4556 7375 8689 9856'
  weir rules test my-rules.toml --file export.csv
  weir rules test --pcap some.pcap
  weir rules test -o json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				src.paths, src.noBuiltin = append(src.paths, args...), true
			}
			set, err := src.load(cmd)
			if err != nil {
				return err
			}
			if try.asked() {
				return failed(try.run(set, cmd.OutOrStdout(), output.word == "json"))
			}
			return testExamples(set, cmd.OutOrStdout(), output.word == "json")
		},
	}
	src.flags(cmd)
	f := cmd.Flags()
	f.StringArrayVar(&try.texts, "text", nil, "a text to try the rules on (repeatable)")
	f.StringArrayVar(&try.files, "file", nil, "a file to try the rules on (repeatable)")
	f.StringArrayVar(&try.captures, "pcap", nil, "a capture to try the rules on (repeatable)")
	output = outputFlag(cmd)
	return cmd
}

// testedExamples is what came of the examples that rules carry, as programs get it.
type testedExamples struct {
	Rules    int      `json:"rules"`
	Examples int      `json:"examples"`
	Without  int      `json:"rules_without"` // examples
	Failures []string `json:"failures"`
}

// testExamples runs the examples that the rules carry.
func testExamples(set *rules.Set, w io.Writer, asJSON bool) error {
	result, err := daemon.TestRules(set)
	if err != nil {
		return usage(err)
	}
	if asJSON {
		err = writeJSON(w, testedExamples{len(set.Rules), result.Examples, result.Without, append([]string{}, result.Failures...)})
	} else {
		for _, f := range result.Failures {
			fmt.Fprintln(w, f)
		}
		_, err = fmt.Fprintf(w, "%d rules, %d examples, %d failed; %d rules without examples\n",
			len(set.Rules), result.Examples, len(result.Failures), result.Without)
	}
	if err != nil {
		return failed(err)
	}
	if len(result.Failures) > 0 {
		return exit{code: exitFailed}
	}
	return nil
}
