package translate

import (
	"cmp"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"weir/policy"
	"weir/rules"
)

// PolicySources are the names of what a policy can be made of.
var PolicySources = []string{"networkpolicy", "cilium", "neuvector"}

// Source is a file of another program.
type Source struct {
	Name string
	Text []byte
}

// MaxPolicySource is how many bytes of a file are read, ours; see maxPieces too.
const MaxPolicySource = 4 << 20

// ReadPolicy makes a policy file of other programs' objects, which must be all that there are: what they allow depends on each other. What cannot be said is
// told (as a warning, and in a comment) and is not allowed; where it denies, more is denied than it says. If one of the problems is an error, there is no text.
func ReadPolicy(format string, files []Source) (toml []byte, made int, problems rules.Problems) {
	im := importer{groups: map[string]string{}, names: map[string]bool{}, ids: map[string]bool{}, modes: map[string]policy.Mode{}}
	for _, name := range append(policy.Builtin, policy.Default, "any") {
		im.names[name] = true
	}
	read := map[string]func(*tree, *yaml.Node){"networkpolicy": im.networkPolicy, "cilium": im.cilium, "neuvector": im.neuvector}[format]
	for _, f := range files {
		t := &tree{f.Name, &im.problems}
		if len(f.Text) > MaxPolicySource {
			t.wrong(nil, fmt.Sprintf("%d bytes, more than %d", len(f.Text), MaxPolicySource), "split it")
			continue
		}
		t.documents(f.Text, func(n *yaml.Node) { read(t, n) })
	}
	if len(im.objects) == 0 && len(im.nv) == 0 && !im.problems.Failed() {
		return nil, 0, append(im.problems, rules.Problem{Level: rules.Error, What: "there is no object of " + format + " in what was given"})
	}
	im.arrange()
	im.arrangeNeuVector()
	if im.problems.Failed() {
		return nil, 0, im.problems
	}
	toml = im.text(format, files)
	if _, wrong := policy.Parse("what was made", toml, policy.Options{}); wrong.Failed() {
		wrong[0].Hint = "give fewer objects at once"
		return nil, 0, append(im.problems, wrong[0])
	}
	return toml, len(im.rules), im.problems
}

// importer gathers a policy.
type importer struct {
	groups   map[string]string // names by line
	lines    []string          // of groups, in order
	names    map[string]bool
	ids      map[string]bool
	rules    []madeRule
	modes    map[string]policy.Mode
	problems rules.Problems
	objects  []kubeObject
	nv       []nvMade
	over     bool
}

// madeRule is a rule with what is to be said about it.
type madeRule struct {
	policy.Rule
	notes []string
}

// madeMost is how many rules are made, ours: as many as a policy may have.
const madeMost = 50000

func (im *importer) add(r policy.Rule, notes ...string) {
	if len(im.rules) == madeMost {
		if !im.over {
			im.over = true
			im.problems = append(im.problems, rules.Problem{Level: rules.Error, What: fmt.Sprintf("that would be more than %d rules", madeMost), Hint: "give fewer objects at once"})
		}
		return
	}
	id := r.ID
	if len(id) > 160 { // of 200
		id = id[:160]
	}
	r.ID = unique(id, im.ids)
	im.rules = append(im.rules, madeRule{r, notes})
}

// party is one end of a rule.
type party struct {
	anybody bool
	pods    []string // lines about workloads
	others  []string // lines about addresses and names, which are no workload's
	builtin []string
}

func (p *party) nobody() bool {
	return !p.anybody && len(p.pods) == 0 && len(p.others) == 0 && len(p.builtin) == 0
}

// group returns the name of the group of a line.
func (im *importer) group(line string) string {
	name, ok := im.groups[line]
	if !ok {
		name = slug(strings.NewReplacer("namespace=", "", "label:", "").Replace(line))
		for strings.Contains(name, "--") {
			name = strings.ReplaceAll(name, "--", "-")
		}
		switch name = strings.Trim(name, "-."); {
		case line == "name=*":
			name = "workloads"
		case line == "namespace=*" || name == "":
			name = "pods"
		}
		name = unique(name, im.names)
		im.groups[line] = name
		im.lines = append(im.lines, line)
	}
	return name
}

// named returns the groups of a party.
func (im *importer) named(p *party) (out []string) {
	for _, line := range slices.Concat(p.pods, p.others) {
		if g := im.group(line); !slices.Contains(out, g) {
			out = append(out, g)
		}
	}
	return append(out, p.builtin...)
}

// both returns the line for whom two lines hold; ok is false if that is nobody.
func both(a, b string) (line string, ok bool) {
	terms := slices.Concat(cutLine(a), cutLine(b))
	slices.Sort(terms)
	terms = slices.Compact(terms)
	value := map[string]string{}
	for _, t := range terms {
		k, v, exact := strings.Cut(t, "=")
		if !exact || strings.HasSuffix(k, "!") || strings.Contains(k, "~") || strings.Contains(v, "*") {
			continue
		}
		if old, twice := value[k]; twice && old != v {
			return "", false
		}
		value[k] = v
	}
	return strings.Join(terms, ","), true
}

// cutLine takes a line apart at its commas. No value that is made here has one outside of quotes.
func cutLine(line string) (out []string) {
	quoted, from := false, 0
	for i := range len(line) {
		switch {
		case line[i] == '\'':
			quoted = !quoted
		case line[i] == ',' && !quoted:
			out = append(out, line[from:i])
			from = i + 1
		}
	}
	return append(out, line[from:])
}

// joint returns the lines for whom one of each hold.
func joint(a, b []string) (out []string) {
	for _, x := range a {
		for _, y := range b {
			if line, ok := both(x, y); ok && !slices.Contains(out, line) {
				out = append(out, line)
			}
		}
	}
	return out
}

// names of Kubernetes, and values of labels.
var (
	kubeName  = regexp.MustCompile(`^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$`)
	kubeValue = regexp.MustCompile(`^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$`)
	kubeKey   = regexp.MustCompile(`^[A-Za-z0-9][-A-Za-z0-9_./]{0,316}$`)
)

// is writes the condition that a label, or the namespace, has one of some values; not, none of them.
func is(key string, not bool, values ...string) []string {
	op := map[bool]string{true: "!", false: ""}[not]
	if len(values) == 1 && values[0] != "" {
		return []string{key + op + "=" + values[0]}
	}
	if not && !slices.Contains(values, "") {
		var out []string
		for _, v := range values {
			out = append(out, key+"!="+v)
		}
		return out
	}
	quoted := make([]string, len(values))
	for i, v := range values {
		quoted[i] = regexp.QuoteMeta(v)
	}
	return []string{key + op + "~'^(" + strings.Join(quoted, "|") + ")$'"}
}

// selected reads a LabelSelector; keyOf says what a key stands for in a line.
func selected(t *tree, n *yaml.Node, keyOf func(string) (key, why string)) (terms []string, why string) {
	m := t.mapping(n)
	if s := strange(m, "matchLabels", "matchExpressions"); s != "" {
		return nil, fmt.Sprintf("%s of a selector is not known", s)
	}
	labels := t.mapping(m["matchLabels"])
	keys := make([]string, 0, len(labels))
	for k := range labels {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		key, why := keyOf(k)
		v := t.text(labels[k])
		if why == "" && !kubeValue.MatchString(v) {
			why = fmt.Sprintf("%q is no value of a label", short(v))
		}
		if why != "" {
			return nil, why
		}
		terms = append(terms, is(key, false, v)...)
	}
	for _, e := range t.list(m["matchExpressions"]) {
		f := t.mapping(e)
		key, why := keyOf(t.text(f["key"]))
		values := t.texts(f["values"])
		if s := strange(f, "key", "operator", "values"); s != "" {
			why = fmt.Sprintf("%s of an expression is not known", s)
		}
		if i := slices.IndexFunc(values, func(v string) bool { return !kubeValue.MatchString(v) }); i >= 0 {
			why = fmt.Sprintf("%q is no value of a label", short(values[i]))
		}
		op := t.text(f["operator"])
		switch {
		case why != "":
			return nil, why
		case (op == "In" || op == "NotIn") && len(values) > 0:
			terms = append(terms, is(key, op == "NotIn", values...)...)
		case op == "Exists" && len(values) == 0:
			terms = append(terms, key+"=*")
		case op == "DoesNotExist" && len(values) == 0:
			terms = append(terms, key+"!=*")
		default:
			return nil, fmt.Sprintf("the operator %q is not known, or its values are wrong", short(op))
		}
	}
	return terms, ""
}

// lineOf makes a line of conditions.
func lineOf(terms ...string) string {
	slices.Sort(terms)
	return strings.Join(slices.Compact(terms), ",")
}

// block writes the condition for an address block without some others.
func block(cidr string, except []string) (line, why string) {
	var p netip.Prefix
	for i, text := range append([]string{cidr}, except...) {
		q, err := netip.ParsePrefix(text)
		if err != nil || q.Addr().Zone() != "" || q.Addr().Is4In6() {
			return "", fmt.Sprintf("%q is no address block", short(text))
		}
		if q = q.Masked(); i == 0 {
			p, line = q, "address="+q.String()
		} else if p.Overlaps(q) {
			line += ",address!=" + q.String()
		}
	}
	return line, ""
}

// text writes all of it as a policy file.
func (im *importer) text(format string, files []Source) []byte {
	var w writer
	var names []string
	for _, f := range files {
		names = append(names, f.Name)
	}
	fmt.Fprintf(&w, "# Made of %s: %s.\n# What no rule allows is denied. Look at it before you approve it: weir policy diff says what it would change.\n", format, oneLine(short(strings.Join(names, " "))))
	for _, p := range im.problems {
		fmt.Fprintf(&w, "# not translated: %s\n", oneLine(p.String()))
	}
	used := map[string]bool{}
	for i := range im.rules {
		for _, g := range slices.Concat(im.rules[i].From, im.rules[i].To) {
			used[g] = true
		}
	}
	for _, line := range im.lines {
		if name := im.groups[line]; used[name] {
			w.WriteString("\n[[groups]]\n")
			w.text("name", name)
			w.list("match", []string{line})
		}
	}
	for i := range im.rules {
		r := &im.rules[i]
		w.WriteString("\n")
		for _, n := range r.notes {
			fmt.Fprintf(&w, "# %s\n", oneLine(n))
		}
		w.Write(policy.AppendRule(nil, &r.Rule))
	}
	var modes []string
	for g := range im.modes {
		if used[g] {
			modes = append(modes, g)
		}
	}
	slices.SortFunc(modes, cmp.Compare[string])
	if len(modes) > 0 {
		w.WriteString("\n# monitor tells what would be denied, protect stops it.\n[modes]\n")
	}
	for _, g := range modes {
		fmt.Fprintf(&w, "%s = %q\n", quote(g), im.modes[g])
	}
	return w.Bytes()
}
