package scan

import (
	"fmt"
	"io"
	"strings"

	"weir/alert"
	"weir/dissect"
	"weir/dlp"
	"weir/rules"
)

// As rules name the fields of files.
var (
	nameField    = dissect.OnDisk.Fields[dissect.OnDiskName].Name
	contentField = dissect.OnDisk.Fields[dissect.OnDiskContent].Name
)

// maxTold bounds the files that are named to people one by one because they were not looked at.
const maxTold = 20

// Complaints is a Reporter beside another one: it tells people which files were not looked at whole, in lines on w.
type Complaints struct {
	Reporter
	W    io.Writer
	told int
}

// Result implements Reporter.
func (c *Complaints) Result(r *Result) error {
	for _, f := range aside(r) {
		if f.Type == "skipped" {
			continue
		}
		if c.told++; c.told > maxTold {
			break
		}
		text := f.Why
		if f.Detail != "" {
			text += ": " + f.Detail
		}
		if f.Bytes > 0 {
			text += fmt.Sprintf(" (%d bytes)", f.Bytes)
		}
		what := "cannot be read"
		if f.Type != "unreadable" {
			what = "not all of it was looked at"
		}
		fmt.Fprintf(c.W, "weir: %s: %s: %s\n", alert.Shown(r.Path), what, alert.Shown(text))
	}
	return c.Reporter.Result(r)
}

// End implements Reporter.
func (c *Complaints) End(s *Summary) error {
	if c.told > maxTold {
		fmt.Fprintf(c.W, "weir: and %d more of that kind (-o json has them all)\n", c.told-maxTold)
	}
	return c.Reporter.End(s)
}

// String says in a line what was done, and what was not.
func (s *Summary) String() string {
	var b strings.Builder
	seconds := max(s.Elapsed.Seconds(), 1e-3)
	fmt.Fprintf(&b, "files: %d, %s in %.1f s (%.0f MB/s); findings: %d", s.Files, size(s.Bytes), seconds, float64(s.Bytes)/1e6/seconds, s.Found)
	if s.With > 0 {
		fmt.Fprintf(&b, " in %d files", s.With)
	}
	if s.Tests > 0 {
		fmt.Fprintf(&b, "; published test values: %d", s.Tests)
	}
	for _, why := range sorted(s.Skipped) {
		fmt.Fprintf(&b, "; left out: %d %s", s.Skipped[why], why)
	}
	if s.Blind > 0 {
		fmt.Fprintf(&b, "; not looked at whole: %d", s.Blind)
	}
	if s.Failed > 0 {
		fmt.Fprintf(&b, "; unreadable: %d", s.Failed)
	}
	return b.String()
}

// InWords returns what packages below say of a rule, for rules.Explain.
func InWords(r *rules.Rule) rules.Words {
	content, name := r.Regex != "" && dlp.ForFiles(r, contentField), dlp.ForFiles(r, nameField)
	w := rules.Words{Validator: dlp.ValidatorInWords}
	switch {
	case r.Regex == "": // told by what it finds
	case content && name:
		w.Files = "content and names"
	case content:
		w.Files = "content"
	case name:
		w.Files = "names"
	default:
		w.Files = "nothing: it is about traffic"
	}
	return w
}
