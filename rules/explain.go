package rules

import (
	"fmt"
	"slices"
	"strings"
)

// Words is what packages that know more than this one say of rules, for Explain.
type Words struct {
	Validator func(name string) string // what a validator asks for; "" if its name says it; nil: nobody knows
	Files     string                   // what of files the rule looks at; "" is not told
}

// Explain tells people what a rule does: what it finds and where, how that is confirmed, what it ignores, what follows,
// and where it is defined. Lines end with a newline. global are the allow-lists outside of rules.
func Explain(r *Rule, global []Allowlist, words Words) string {
	var e explainer
	e.line("rule", r.ID)
	e.line("is", r.Description)
	e.finds(r)
	e.line("looks at", looksAt(r))
	e.line("of files", words.Files)
	e.confirms(r, words)
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
	if r.EDM != nil {
		e.line("finds", explainEDM(r.EDM))
	}
	if r.SecretGroup > 0 {
		e.line("", fmt.Sprintf("of which group %d is the value", r.SecretGroup))
	}
	if r.Path != "" {
		e.line("in files", "whose name matches "+r.Path)
	}
}

func (e *explainer) confirms(r *Rule, words Words) {
	if len(r.Keywords) > 0 {
		e.line("only if", "the message has "+either(r.Keywords))
	}
	for _, name := range r.Validate {
		text := "valid by " + name
		if words.Validator != nil {
			if more := words.Validator(name); more != "" {
				text += ": " + more
			}
		}
		e.line("only if", text)
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
	switch r.Action {
	case Block:
		text += "; what it finds does not arrive, where packets are held (weir policy mode GROUP protect)"
	case Quarantine:
		text += "; the workload that sent it is cut off (weir quarantine)"
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

// Next tells what to do about a rule's findings, and about the rule: lines for people.
func Next(r *Rule) string {
	var e explainer
	e.line("then", nextSteps[r.Category])
	if r.Regex != "" {
		e.line("try it", "weir rules test --text TEXT, or --file FILE, says what it finds there, what it refuses and why")
	}
	e.line("its finds", "weir alerts --rule "+r.ID+"; the packets of one: weir pcap pull --alert ID -w FILE")
	e.line("too many?", "a file in rules.d that amends it, with an owner and a last day:")
	fmt.Fprintf(&e, "%12s[extend]\n%12suseDefault = true\n%12s[[rules]]\n%12sid = %q\n", "", "", "", "", r.ID)
	fmt.Fprintf(&e, "%12s[[rules.allowlists]]\n%12sregexes = ['''^what is to be left out$''']\n%12sowner = \"...\"\n%12sexpires = %s\n", "", "", "", "", "YYYY-MM-DD")
	return e.String()
}

// nextSteps is what follows from a finding, by category.
var nextSteps = map[string]string{
	"credential":     "revoke what was found and issue it anew: it must be taken for known; then see who had it, and keep it out of traffic and files",
	"payment-card":   "see who sends it where, and whether that needs the number: mask or tokenise it, or encrypt the way (PCI DSS 3.4, 4.2)",
	"financial-data": "see who sends it where, and whether that way is meant for it",
	"personal-data":  "see who sends it where, and whether that is agreed upon; leave out what is not needed, or encrypt the way",
	"health-data":    "see who sends it where, and whether that is allowed; encrypt the way",
	"web-attack":     "see what the server answered: it is an attempt until the answer shows more; update or shield what it is aimed at",
}

// Examples shows some texts that a rule must find and some that it must not, as they stand in its file.
func Examples(r *Rule) string {
	const most, long = 3, 120
	var e explainer
	show := func(name string, list []string) {
		for i, text := range list {
			if i == most {
				e.line("", fmt.Sprintf("and %d more", len(list)-most))
				break
			}
			q := fmt.Sprintf("%q", text)
			if len(q) > long {
				q = q[:long] + "…"
			}
			e.line(name, q)
			name = ""
		}
	}
	show("as in", r.Test.Match)
	show("not as in", r.Test.NoMatch)
	return e.String()
}
