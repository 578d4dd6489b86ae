package workload

import (
	"context"
	"encoding/json"
	"time"
)

// podmanList is from Podman's own API: what it says like Docker does not tell pods.
const podmanList = "/v4.0.0/libpod/containers/json"

// podmanContainer is one row of the list, as Podman writes it.
type podmanContainer struct {
	ID      string `json:"Id"`
	Names   []string
	Image   string
	Created time.Time
	Labels  map[string]string
	Pod     string // its id
	PodName string
	IsInfra bool // it holds the pod's namespaces and does nothing
}

// askPodman asks Podman.
func askPodman(ctx context.Context, c *client, id string) (*Description, error) {
	b, err := c.get(ctx, podmanList, filters("id", id))
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
		if x.IsInfra {
			if b, err = c.get(ctx, podmanList, filters("pod", x.Pod)); err != nil {
				return nil, err
			}
			if list, err = parsePodman(b); err != nil {
				return nil, err
			}
			o = oldestPodman(list)
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

func oldestPodman(list []podmanContainer) (o *podmanContainer) {
	for i := range list {
		if c := &list[i]; !c.IsInfra && (o == nil || c.Created.Before(o.Created) || c.Created.Equal(o.Created) && c.ID < o.ID) {
			o = c
		}
	}
	return o
}
