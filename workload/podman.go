package workload

import (
	"context"
	"encoding/json"
	"slices"
	"time"
)

// podmanList is from Podman's own API: what it says like Docker does not tell pods.
const podmanList = "/v4.0.0/libpod/containers/json"

// podmanStates are those of containers that have not ended: one that is about to run has its name before it says anything.
var podmanStates = []string{"created", "initialized", "running", "paused"}

// podmanContainer is one row of the list, as Podman writes it.
type podmanContainer struct {
	ID      string `json:"Id"`
	Names   []string
	Image   string
	Created time.Time
	Labels  map[string]string
	State   string
	Pod     string // its id
	PodName string
	IsInfra bool // it holds the pod's namespaces and does nothing
}

// askPodman asks Podman.
func askPodman(ctx context.Context, c *client, id string) (*Description, error) {
	b, err := c.get(ctx, podmanList, filters("id", id, podmanStates))
	if err != nil {
		return nil, err
	}
	list, err := parsePodman(b)
	if err != nil {
		return nil, err
	}
	for _, x := range list {
		if x.ID != id {
			continue
		}
		d := &Description{Pod: x.PodName}
		o := &x
		if x.Pod != "" {
			if b, err = c.get(ctx, podmanList, filters("pod", x.Pod, podmanStates)); err != nil {
				return nil, err
			}
			if list, err = parsePodman(b); err != nil {
				return nil, err
			}
			if x.IsInfra {
				o = oldestPodman(list)
				for i := range list {
					if c := &list[i]; !c.IsInfra {
						d.Members = append(d.Members, Member{ownName(c.Names), c.Image})
					}
				}
			} else if i := slices.IndexFunc(list, func(c podmanContainer) bool { return c.IsInfra }); i >= 0 {
				d.Sandbox = list[i].ID
			}
		}
		if o != nil {
			d.Name, d.Image, d.Labels = ownName(o.Names), o.Image, o.Labels
		}
		return d, nil
	}
	return nil, nil
}

func parsePodman(b []byte) (list []podmanContainer, err error) {
	if json.Unmarshal(b, &list) != nil {
		return nil, errJSON
	}
	return list[:min(len(list), maxListed)], nil
}

// oldestPodman returns the oldest container of a pod that runs; if none does, the oldest that is about to; nil if there is none.
func oldestPodman(list []podmanContainer) (o *podmanContainer) {
	for i := range list {
		c := &list[i]
		if c.IsInfra {
			continue
		}
		if o == nil || c.made() != o.made() && o.made() || c.made() == o.made() && (c.Created.Before(o.Created) || c.Created.Equal(o.Created) && c.ID < o.ID) {
			o = c
		}
	}
	return o
}

// made reports whether the container has not run yet.
func (c *podmanContainer) made() bool { return c.State == "created" || c.State == "initialized" }
