package engine

import (
	"reflect"
	"testing"

	"weir/rules"
)

func TestMetadata(t *testing.T) {
	for _, c := range []struct {
		tags []string
		want map[string][]string
	}{
		{nil, nil},
		{[]string{"pci"}, map[string][]string{"tags": {"pci"}}},
		{[]string{"attack.T1048", "pci", "attack.t", "attack.T1552.001"},
			map[string][]string{
				"tags":               {"attack.T1048", "pci", "attack.t", "attack.T1552.001"},
				"mitre_technique_id": {"T1048", "T1552.001"},
			}},
	} {
		if got := metadata(&rules.Rule{Tags: c.tags}); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%v: got %v, want %v", c.tags, got, c.want)
		}
	}
}
