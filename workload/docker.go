package workload

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
)

// From Docker's Engine API, and from Kubernetes: how cri-dockerd labels the containers of pods.
const (
	dockerList = "/containers/json"

	labelPod       = "io.kubernetes.pod.name"
	labelNamespace = "io.kubernetes.pod.namespace"
	labelContainer = "io.kubernetes.container.name"
	labelSandbox   = "io.kubernetes.sandbox.id"
	labelType      = "io.kubernetes.docker.type"
	typeSandbox    = "podsandbox"
)

// dockerStates are those of containers that have not ended: one that is about to run has its name before it says anything.
var dockerStates = []string{"created", "running", "paused", "restarting"}

// dockerContainer is one row of the list, as Docker writes it.
type dockerContainer struct {
	ID      string `json:"Id"`
	Names   []string
	Image   string
	Created int64 // s since the epoch
	State   string
	Labels  map[string]string
}

// askDocker asks Docker. Its list is asked for, not the container: that would tell its environment, which is nobody's
// business.
func askDocker(ctx context.Context, c *client, id string) (*Description, error) {
	b, err := c.get(ctx, dockerList, filters("id", id, dockerStates))
	if err != nil {
		return nil, err
	}
	list, err := parseDocker(b)
	if err != nil {
		return nil, err
	}
	for _, x := range list {
		if x.ID != id {
			continue
		}
		d := x.describe()
		if x.Labels[labelType] == typeSandbox {
			if b, err = c.get(ctx, dockerList, filters("label", labelSandbox+"="+id, dockerStates)); err != nil {
				return nil, err
			}
			if list, err = parseDocker(b); err != nil {
				return nil, err
			}
			if o := oldestDocker(list); o != nil {
				d.Name, d.Image = o.Labels[labelContainer], o.Image
			}
			for i := range list {
				if c := &list[i]; c.Labels[labelType] != typeSandbox {
					d.Members = append(d.Members, Member{c.Labels[labelContainer], c.Image})
				}
			}
		}
		return d, nil
	}
	return nil, nil
}

func parseDocker(b []byte) (list []dockerContainer, err error) {
	if json.Unmarshal(b, &list) != nil {
		return nil, errJSON
	}
	return list[:min(len(list), maxListed)], nil
}

var errJSON = errors.New("the answer is no list of containers")

// describe returns what a container is called: one of a pod by what its pod calls it, a sandbox by nothing.
func (x *dockerContainer) describe() *Description {
	d := &Description{Name: ownName(x.Names), Image: x.Image, Labels: x.Labels, Pod: x.Labels[labelPod], Namespace: x.Labels[labelNamespace], Sandbox: x.Labels[labelSandbox]}
	switch {
	case x.Labels[labelType] == typeSandbox:
		d.Name, d.Image = "", ""
	case d.Pod != "" && x.Labels[labelContainer] != "":
		d.Name = x.Labels[labelContainer]
	}
	return d
}

// ownName picks a container's name; the others are what containers with links to it call it: "/other/alias".
func ownName(names []string) string {
	for _, n := range names {
		if n = strings.TrimPrefix(n, "/"); n != "" && !strings.Contains(n, "/") {
			return n
		}
	}
	return ""
}

// oldestDocker returns the oldest container of a pod that runs; if none does, the oldest that is about to; nil if there is none.
func oldestDocker(list []dockerContainer) (o *dockerContainer) {
	for i := range list {
		c := &list[i]
		if c.Labels[labelType] == typeSandbox {
			continue
		}
		if o == nil || c.made() != o.made() && o.made() || c.made() == o.made() && (c.Created < o.Created || c.Created == o.Created && c.ID < o.ID) {
			o = c
		}
	}
	return o
}

// made reports whether the container has not run yet.
func (x *dockerContainer) made() bool { return x.State == "created" }
