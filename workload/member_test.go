package workload

import (
	"fmt"
	"strings"
	"testing"
)

// TestNameOfPod: which container a pod goes by while its containers come and go; what is there is given oldest first, as runtimes' answers name it by the oldest.
func TestNameOfPod(t *testing.T) {
	for _, c := range []struct{ there, want string }{
		{"web | web,proxy | web,proxy | proxy | proxy", "web web web web web"},            // taken down
		{"web | proxy,web", "web web"},                                                    // one that was made before begins later
		{"web,proxy | proxy | proxy,web", "web web web"},                                  // started again
		{"web,proxy | proxy | proxy,debug | debug", "web web web web"},                    // somebody looks into it
		{"first | second | web | web,proxy | proxy", "first second web web web"},          // prepared by others
		{"web,proxy | other", "web other"},                                                // nobody is left
		{"web:1,proxy:1 | web:2,proxy:1 | proxy:1", "web:1 web:2 web:2"},                  // images
		{"a/web | b/web2", "web web2"}, {"web | /web2", "web web2"}, {"/x | /y,x", "x y"}, // another pod; no pod
	} {
		var before *Description
		var got []string
		for _, step := range strings.Split(c.there, " | ") {
			d := &Description{Pod: "p", Namespace: "n"}
			if pod, rest, ok := strings.Cut(step, "/"); ok {
				d.Pod, step = pod, rest
			}
			for _, m := range strings.Split(step, ",") {
				name, image, _ := strings.Cut(m, ":")
				d.Members = append(d.Members, Member{name, image})
			}
			d.Name, d.Image = d.Members[0].Name, d.Members[0].Image
			d.After(before)
			before = d
			got = append(got, strings.TrimSuffix(d.Name+":"+d.Image, ":"))
		}
		if got := strings.Join(got, " "); got != c.want {
			t.Errorf("%s: got %s, want %s", c.there, got, c.want)
		}
	}
	many := Description{}
	for i := range 2 * maxMembers {
		many.Members = append(many.Members, Member{Name: fmt.Sprint(i) + "\x1b"})
	}
	if many.bound(); len(many.Members) != maxMembers || many.Members[0].Name != "0?" {
		t.Errorf("got %d containers, the first is %q", len(many.Members), many.Members[0].Name)
	}
}
