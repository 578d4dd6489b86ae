package engine

import (
	"fmt"
	"reflect"
	"testing"

	"weir/alert"
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

func TestNames(t *testing.T) {
	for _, c := range []struct {
		w    *alert.Workload
		want string
	}{
		{nil, "[]"}, {&alert.Workload{ID: "x"}, "[]"}, {&alert.Workload{Name: "web"}, "[web]"},
		{&alert.Workload{Name: "cart", Pod: "cart-0", Namespace: "shop"}, "[shop/cart-0 cart]"},
		{&alert.Workload{Pod: "cart-0", Namespace: "shop"}, "[shop/cart-0]"}, {&alert.Workload{Name: "cart", Pod: "shop"}, "[shop cart]"},
	} {
		if got := fmt.Sprint(c.w.Names()); got != c.want {
			t.Errorf("%+v: got %s, want %s", c.w, got, c.want)
		}
	}
}
