package translate

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"weir/policy"
	"weir/rules"
)

type criterion struct{ key, op, value string }

// selects says whether NeuVector takes a workload for one of a group: of the criteria of one key, and of all labels, one must hold, or all if all are negated; who lacks a label
// does not have what is asked of it, nor its opposite.
func selects(all []criterion, s *policy.Subject) bool {
	holds, positive := map[string]bool{}, map[string]bool{}
	for _, c := range all {
		class, value, has := c.key, s.Namespace, true
		if c.key != "domain" {
			class = "label"
			value, has = s.Labels[c.key]
		}
		not := strings.HasPrefix(c.op, "!")
		ok := false
		switch strings.TrimPrefix(c.op, "!") {
		case "=":
			ok = regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(c.value), `\*`, ".*") + "$").MatchString(value)
		case "contains":
			ok = strings.Contains(value, c.value)
		case "prefix":
			ok = strings.HasPrefix(value, c.value)
		case "regex":
			ok = regexp.MustCompile(c.value).MatchString(value)
		}
		ok = ok != not
		if !has {
			ok, not = false, false
		}
		before, twice := holds[class]
		switch {
		case !twice:
			holds[class] = ok
		case not && !positive[class]:
			holds[class] = before && ok
		default:
			holds[class] = before || ok
		}
		positive[class] = positive[class] || !not
	}
	for _, ok := range holds {
		if !ok {
			return false
		}
	}
	return len(holds) > 0
}

// TestCriteriaAreTheSame: a group that is read has no member to allow, and lacks none to deny, that NeuVector would not take for one.
func TestCriteriaAreTheSame(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	read, differ := 0, 0
	for range 3000 {
		var all []criterion
		var words []string
		for range 1 + r.IntN(4) {
			c := criterion{pick("domain", "app", "tier"), pick("=", "=", "!=", "contains", "prefix", "regex", "!regex"), pick("web", "test", "shop", "s*", "o", "ops")}
			if strings.Contains(c.value, "*") && !strings.HasSuffix(c.op, "=") {
				c.value = "^s"
				if !strings.HasSuffix(c.op, "regex") {
					c.value = "s"
				}
			}
			all = append(all, c)
			words = append(words, fmt.Sprintf("{key: %s, op: '%s', value: '%s'}", c.key, c.op, c.value))
		}
		var doc yaml.Node
		if err := yaml.Unmarshal([]byte("{name: g, criteria: ["+strings.Join(words, ", ")+"]}"), &doc); err != nil {
			t.Fatal(err)
		}
		for _, deny := range []bool{false, true} {
			im := importer{}
			p, why := nvParty(&tree{"x", &im.problems}, doc.Content[0], deny)
			if why != "" {
				continue
			}
			read++
			var lines []rules.Ends
			for _, l := range p.pods {
				e, what, _ := rules.ParseEnds(l)
				if what != "" {
					t.Fatalf("%s: %s", l, what)
				}
				lines = append(lines, e)
			}
			for _, s := range subjects() {
				if !s.Workload {
					continue
				}
				got, want := s.IsOne(lines), selects(all, &s)
				if got != want {
					differ++
				}
				if got && !want && !deny || want && !got && deny {
					t.Fatalf("%v, to deny: %v: %+v: got %v, want %v: %q", all, deny, s, got, want, p.pods)
				}
			}
		}
	}
	t.Logf("%d groups are read, of members %d are others", read, differ)
	if read < 3000 {
		t.Errorf("%d groups are read", read)
	}
}
