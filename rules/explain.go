package rules

import (
	"fmt"
	"slices"
	"strings"
)

// Explain tells people what a rule does: what it finds and where, how that is confirmed, what it ignores, what follows,
// and where it is defined. Lines end with a newline. global are the allow-lists outside of rules.
func Explain(r *Rule, global []Allowlist) string {
	var e explainer
	e.line("rule", r.ID)
	e.line("is", r.Description)
	e.finds(r)
	e.line("looks at", looksAt(r))
	e.confirms(r)
	for _, a := range r.Allow {
		e.line("ignores", ignores(&a))
	}
	for _, a := range global {
		if len(a.TargetRules) == 0 || slices.Contains(a.TargetRules, r.ID) {
			e.line("ignores", ignores(&a))
		}
	}
	e.line("raises", raises(r))
	e.line("mask", r.Mask)
	e.line("tags", strings.Join(r.Tags, ", "))
	e.line("examples", examples(r))
	e.line("sid", fmt.Sprintf("%d, revision %d", r.SID, r.Rev))
	e.line("defined at", r.Pos.String())
	return e.String()
}

// explainer writes lines of a name and a text; those without a text are left out.
type explainer struct{ strings.Builder }

func (e *explainer) line(name, text string) {
	if text != "" {
		fmt.Fprintf(e, "%-12s%s\n", name, text)
	}
}

func (e *explainer) finds(r *Rule) {
	if r.Regex != "" {
		e.line("finds", r.Regex)
	}
	if r.SecretGroup > 0 {
		e.line("", fmt.Sprintf("of which group %d is the value", r.SecretGroup))
	}
	if r.Path != "" {
		e.line("in files", "whose name matches "+r.Path)
	}
}

func (e *explainer) confirms(r *Rule) {
	if len(r.Keywords) > 0 {
		e.line("only if", "the message has "+either(r.Keywords))
	}
	if len(r.Validate) > 0 {
		e.line("only if", "valid by "+strings.Join(r.Validate, " and "))
	}
	if r.Entropy > 0 {
		e.line("only if", fmt.Sprintf("its entropy is above %g bits per byte", r.Entropy))
	}
	for _, q := range r.Required {
		e.line("only if", "rule "+q.ID+" finds something"+near(q))
	}
	if r.MinDistinct > 1 {
		e.line("only if", fmt.Sprintf("there are %d different values %s", r.MinDistinct, countedIn(r)))
	}
	if r.MinConfidence > Unsure {
		e.line("only if", r.MinConfidence.String()+" confidence, or more")
	}
	if len(r.From) > 0 {
		e.line("only from", endsText(r.From))
	}
	if len(r.To) > 0 {
		e.line("only to", endsText(r.To))
	}
	if len(r.Context) > 0 {
		text := fmt.Sprintf("%s within %d bytes", either(r.Context), r.Within)
		if r.ContextRequired {
			e.line("only with", text)
		} else {
			e.line("surer with", text)
		}
	}
}

func countedIn(r *Rule) string {
	switch r.Per {
	case PerFlow:
		return "in a flow"
	case PerWindow:
		return fmt.Sprintf("from one workload or address within %s", r.Window)
	}
	return "in a message"
}

func endsText(list []Ends) string {
	lines := make([]string, len(list))
	for i := range list {
		lines[i] = list[i].Text
	}
	return strings.Join(lines, " or ")
}

func near(q Required) string {
	var parts []string
	if q.WithinLines >= 0 {
		parts = append(parts, fmt.Sprintf("%d lines", q.WithinLines))
	}
	if q.WithinColumns >= 0 {
		parts = append(parts, fmt.Sprintf("%d columns", q.WithinColumns))
	}
	if parts == nil {
		return " in the same message"
	}
	return " within " + strings.Join(parts, " and ")
}

func looksAt(r *Rule) string {
	where := "every field"
	if len(r.Fields) > 0 {
		where = strings.Join(r.Fields, ", ")
	}
	switch r.Direction {
	case Request:
		where += " of requests"
	case Response:
		where += " of responses"
	}
	return where
}

func ignores(a *Allowlist) string {
	var parts []string
	if len(a.Regexes) > 0 {
		parts = append(parts, "a "+a.Target+" that matches "+strings.Join(a.Regexes, " or "))
	}
	if len(a.Stopwords) > 0 {
		parts = append(parts, "a value with "+either(a.Stopwords))
	}
	if len(a.Paths) > 0 {
		parts = append(parts, "a file name that matches "+strings.Join(a.Paths, " or "))
	}
	join := "; or "
	if a.And {
		join = "; and "
	}
	text := strings.Join(parts, join)
	if why := strings.TrimSpace(a.Description + " " + a.Reason); why != "" {
		text += " (" + why + ")"
	}
	if a.Owner != "" {
		text += ", by " + a.Owner
	}
	if a.Expires != "" {
		text += ", until " + a.Expires
	}
	if a.Expired {
		text = "no longer " + text
	}
	return text
}

func raises(r *Rule) string {
	if r.SkipReport {
		return "nothing by itself: other rules require it"
	}
	text := fmt.Sprintf("an alert of severity %s, engine %s, category %s", r.Severity, r.Engine, r.Category)
	if r.Action == Block {
		text += ", and asks to block"
	}
	return text
}

func examples(r *Rule) string {
	if len(r.Test.Match)+len(r.Test.NoMatch) == 0 {
		return ""
	}
	return fmt.Sprintf("%d that it finds, %d that it does not", len(r.Test.Match), len(r.Test.NoMatch))
}

// either lists words, not more than are read.
func either(words []string) string {
	const maxShown = 8
	if len(words) > maxShown {
		return fmt.Sprintf("%s or %d more", strings.Join(words[:maxShown], ", "), len(words)-maxShown)
	}
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}
