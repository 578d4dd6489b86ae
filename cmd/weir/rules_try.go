package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"weir/alert"
	"weir/daemon"
	"weir/rules"
	"weir/scan"
)

// trial is what `weir rules test` holds rules against beside their own examples.
type trial struct {
	texts, files, captures []string
}

func (t *trial) asked() bool { return len(t.texts)+len(t.files)+len(t.captures) > 0 }

const (
	maxTried  = 20 // findings of a rule, and refusals for one reason, that are shown of a capture
	triedForm = "%-8s  %-14s  %4s  %-28s  %s\n"
)

// run tells what the rules find, and what they refuse and why.
func (t *trial) run(set *rules.Set, w io.Writer, asJSON bool) error {
	p := &printer{w: w, set: set}
	if asJSON {
		p.w, p.told = io.Discard, &triedRules{Rules: len(set.Rules), Tried: []triedRow{}}
	}
	if len(t.texts)+len(t.files) > 0 {
		db, err := daemon.CompileAnywhere(set)
		if err != nil {
			return usage(err)
		}
		defer db.Close()
		for i, text := range t.texts {
			p.title(fmt.Sprintf("text %d", i+1), fmt.Sprintf(", %d bytes", len(text)))
			if _, err := scan.Run(db, scan.Options{Paths: []string{"-"}, Stdin: strings.NewReader(text), Jobs: 1, Explain: true}, p); err != nil {
				return err
			}
		}
		for _, name := range t.files {
			if _, err := os.Stat(name); err != nil {
				return usage(fmt.Errorf("rules test: %w", err))
			}
			p.title(name, "")
			if _, err := scan.Run(db, scan.Options{Paths: []string{name}, Stdin: os.Stdin, Explain: true}, &scan.Complaints{Reporter: p, W: os.Stderr}); err != nil {
				return err
			}
		}
	}
	for _, name := range t.captures {
		p.title(name, "")
		tried, err := daemon.TryCapture(set, name, maxTried)
		if err != nil {
			return err
		}
		for i := range tried {
			p.packet(&tried[i])
		}
	}
	if asJSON {
		p.told.Found, p.told.Refused = p.found, p.refused
		return writeJSON(w, p.told)
	}
	fmt.Fprintf(w, "\n%d rules: %d found, %d refused (what is not listed does not match a rule's expression: weir rules explain ID)\n", len(set.Rules), p.found, p.refused)
	return nil
}

// printer is a scan.Reporter for who tests rules.
type printer struct {
	w              io.Writer
	set            *rules.Set
	found, refused int
	titles         int
	source         string
	told           *triedRules // for programs; nil: it is for people
}

// triedRules is what rules find and refuse, as programs get it.
type triedRules struct {
	Rules   int        `json:"rules"`
	Found   int        `json:"found"`
	Refused int        `json:"refused"`
	Tried   []triedRow `json:"tried"`
}

type triedRow struct {
	Source  string `json:"source"`  // text 1, or a file
	Verdict string `json:"verdict"` // found, refused, few, test
	Place   string `json:"place"`   // LINE:COL, @OFFSET, packet N, inside
	Sure    string `json:"confidence"`
	Rule    string `json:"rule"`
	What    string `json:"what"` // masked
}

// title begins what is found in a text or file; more says what people are to know of it.
func (p *printer) title(source, more string) {
	p.source = source
	if p.titles++; p.titles > 1 {
		fmt.Fprintln(p.w)
	}
	fmt.Fprintln(p.w, alert.Shown(source+more))
	fmt.Fprintf(p.w, triedForm, "VERDICT", "PLACE", "SURE", "RULE", "WHAT")
}

// Result implements scan.Reporter.
func (p *printer) Result(r *scan.Result) error {
	for i := range r.Findings {
		f := &r.Findings[i]
		verdict, what := "found", f.Excerpt
		switch {
		case f.Test:
			verdict, what = "test", what+": a published test value, no alert"
		case f.Few:
			verdict, what = "few", fmt.Sprintf("%s: it asks for %d different ones in a message", what, f.Rule.MinDistinct)
		default:
			p.found++
			if len(f.Rule.Validate) > 0 {
				what += ": valid by " + strings.Join(f.Rule.Validate, ", ")
			}
		}
		p.row(verdict, place(&f.Place), fmt.Sprintf("%d%%", f.Confidence), f.Rule.ID, what+p.only(f.Rule.ID))
	}
	for _, m := range r.More {
		p.found += m.Count
		p.row("found", "", "", m.Rule.ID, fmt.Sprintf("%d more", m.Count))
	}
	for i := range r.Refused {
		f := &r.Refused[i]
		p.refused++
		p.row("refused", place(&f.Place), "", f.Rule.ID, f.Masked+": "+f.Why+p.only(f.Rule.ID))
	}
	return nil
}

// End implements scan.Reporter.
func (p *printer) End(*scan.Summary) error { return nil }

// packet tells of something in a capture.
func (p *printer) packet(t *daemon.Tried) {
	verdict, sure, what := "found", fmt.Sprintf("%d%%", t.Confidence), t.Excerpt
	if t.Why != "" {
		p.refused++
		verdict, sure, what = "refused", "", what+": "+t.Why
	} else {
		p.found++
	}
	p.row(verdict, fmt.Sprintf("packet %d", t.Frame), sure, t.Rule, fmt.Sprintf("%s  %s  (%s → %s)", t.Field, what, t.Src, t.Dst))
}

func (p *printer) row(verdict, place, sure, rule, what string) {
	if p.told != nil {
		p.told.Tried = append(p.told.Tried, triedRow{p.source, verdict, place, sure, rule, what})
		return
	}
	fmt.Fprintf(p.w, triedForm, verdict, place, sure, rule, alert.Shown(what))
}

// only says where a rule looks in traffic, if not everywhere: a text is held against all rules.
func (p *printer) only(id string) string {
	r := p.set.Rule(id)
	if r == nil || len(r.Fields) == 0 && r.Direction == rules.Any {
		return ""
	}
	where := "every field"
	if len(r.Fields) > 0 {
		where = strings.Join(r.Fields, ", ")
	}
	if r.Direction != rules.Any {
		where += " of a " + r.Direction.String()
	}
	return "  [in traffic: " + where + "]"
}

func place(p *scan.Place) string {
	switch {
	case p.Line > 0:
		return fmt.Sprintf("%d:%d", p.Line, p.Col)
	case p.Off >= 0:
		return fmt.Sprintf("@%d", p.Off)
	}
	return "inside"
}
