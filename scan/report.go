package scan

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strconv"

	"weir/alert"
)

// Ours: widths of the table's columns, in characters. What is longer shifts the rest of its line.
const (
	placeWidth = 40
	ruleWidth  = 28
)

// Table is a Reporter for people: a line for each finding.
type Table struct {
	w        *bufio.Writer
	terminal bool
	begun    bool
}

// NewTable returns a Table that writes to w, with colours if terminal is set.
func NewTable(w io.Writer, terminal bool) *Table {
	return &Table{w: bufio.NewWriter(w), terminal: terminal}
}

// Result implements Reporter.
func (t *Table) Result(r *Result) error {
	if len(r.Findings)+len(r.More) == 0 {
		return nil
	}
	if !t.begun {
		t.begun = true
		fmt.Fprintf(t.w, "%-*s  %-8s  %4s  %-*s  %s\n", placeWidth, "FILE:LINE:COL", "SEVERITY", "SURE", ruleWidth, "RULE", "WHAT")
	}
	for i := range r.Findings {
		f := &r.Findings[i]
		severity, what := f.Rule.Severity.String(), f.Excerpt
		if f.Test {
			severity, what = "info", what+"  (a published test value)"
		}
		t.row(where(r.Path, f), severity, fmt.Sprintf("%d%%", f.Confidence), f.Rule.ID, what)
	}
	for _, m := range r.More {
		t.row(r.Path, m.Rule.Severity.String(), "", m.Rule.ID, fmt.Sprintf("%d more in this file", m.Count))
	}
	return t.w.Flush()
}

func (t *Table) row(place, severity, sure, rule, what string) {
	severity = fmt.Sprintf("%-8s", severity)
	if t.terminal {
		severity = alert.Coloured(severity)
	}
	fmt.Fprintf(t.w, "%-*s  %s  %4s  %-*s  %s\n", placeWidth, alert.Shown(place), severity, sure, ruleWidth, rule, alert.Shown(what))
}

// End implements Reporter.
func (t *Table) End(*Summary) error { return t.w.Flush() }

// where says where a finding stands: FILE:LINE:COL, in what is no text FILE@BYTE.
func where(path string, f *Finding) string {
	switch p := &f.Place; {
	case f.Field == nameField:
		return path + " (its name)"
	case p.Line > 0:
		return path + ":" + strconv.Itoa(p.Line) + ":" + strconv.Itoa(p.Col)
	case p.Off >= 0:
		return path + "@" + strconv.FormatInt(p.Off, 10)
	}
	if f.Member != "" {
		return path + " (inside " + f.Member + ")"
	}
	return path + " (inside)"
}

// JSON is a Reporter that writes an object in a line for each finding, for each file that was not looked at whole, and for the run.
type JSON struct {
	w *bufio.Writer
	e *json.Encoder
}

// NewJSON returns a JSON that writes to w.
func NewJSON(w io.Writer) *JSON {
	b := bufio.NewWriter(w)
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	return &JSON{b, e}
}

type jsonFinding struct {
	Type        string   `json:"type"`
	Path        string   `json:"path"`
	Field       string   `json:"field"`
	Line        int      `json:"line,omitempty"`
	Column      int      `json:"column,omitempty"`
	EndLine     int      `json:"end_line,omitempty"`
	Member      string   `json:"member,omitempty"`
	Offset      *int64   `json:"offset,omitempty"`
	Length      int64    `json:"length,omitempty"`
	Rule        string   `json:"rule"`
	Description string   `json:"description"`
	Severity    string   `json:"severity"`
	Category    string   `json:"category,omitempty"`
	Tags        []string `json:"tags,omitempty"`
	Confidence  int      `json:"confidence"`
	Excerpt     string   `json:"excerpt"`
	Fingerprint string   `json:"fingerprint,omitempty"`
	Test        bool     `json:"test,omitempty"`
}

type jsonMore struct {
	Type     string `json:"type"`
	Path     string `json:"path"`
	Rule     string `json:"rule"`
	Severity string `json:"severity"`
	Count    int    `json:"count"`
}

type jsonFile struct {
	Type   string `json:"type"`
	Path   string `json:"path"`
	Why    string `json:"why"`
	Detail string `json:"detail,omitempty"`
	Bytes  int64  `json:"bytes,omitempty"`
}

type jsonSummary struct {
	Type       string         `json:"type"`
	Files      int            `json:"files"`
	Bytes      int64          `json:"bytes"`
	Findings   int            `json:"findings"`
	Tests      int            `json:"test_values"`
	With       int            `json:"files_with_findings"`
	Skipped    map[string]int `json:"skipped"`
	Blind      int            `json:"files_not_looked_at_whole"`
	Unreadable int            `json:"unreadable"`
	Seconds    float64        `json:"seconds"`
}

// Result implements Reporter.
func (o *JSON) Result(r *Result) error {
	for i := range r.Findings {
		f := &r.Findings[i]
		j := jsonFinding{
			Type: "finding", Path: r.Path, Field: f.Field, Line: f.Place.Line, Column: f.Place.Col, EndLine: f.Place.EndLine, Member: f.Member, Length: f.Length,
			Rule: f.Rule.ID, Description: f.Rule.Description, Severity: f.Rule.Severity.String(), Category: f.Rule.Category, Tags: f.Rule.Tags,
			Confidence: f.Confidence, Excerpt: f.Excerpt, Fingerprint: f.Fingerprint, Test: f.Test,
		}
		if f.Test {
			j.Severity = "info"
		}
		if f.Place.Off >= 0 && f.Field != nameField {
			j.Offset = &f.Place.Off
		}
		if err := o.e.Encode(&j); err != nil {
			return err
		}
	}
	for _, m := range r.More {
		if err := o.e.Encode(&jsonMore{"more", r.Path, m.Rule.ID, m.Rule.Severity.String(), m.Count}); err != nil {
			return err
		}
	}
	for _, f := range aside(r) {
		if err := o.e.Encode(&f); err != nil {
			return err
		}
	}
	return o.w.Flush()
}

// aside lists what was not looked at of a file.
func aside(r *Result) (out []jsonFile) {
	if r.Skipped != "" {
		out = append(out, jsonFile{Type: "skipped", Path: r.Path, Why: r.Skipped})
	}
	if r.Err != nil {
		out = append(out, jsonFile{Type: "unreadable", Path: r.Path, Why: r.Err.Error()})
	}
	for _, b := range r.Blind {
		out = append(out, jsonFile{"not_looked_at", r.Path, b.Why, b.Detail, b.Bytes})
	}
	return out
}

// End implements Reporter.
func (o *JSON) End(s *Summary) error {
	err := o.e.Encode(&jsonSummary{"summary", s.Files, s.Bytes, s.Found, s.Tests, s.With, s.Skipped, s.Blind, s.Failed, s.Elapsed.Seconds()})
	if err != nil {
		return err
	}
	return o.w.Flush()
}
