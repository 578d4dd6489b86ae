package workload

import (
	"context"

	"google.golang.org/protobuf/encoding/protowire"
)

// From the Container Runtime Interface, runtime/v1/api.proto, and from containerd, api/services/events/v1/events.proto and
// api/events/task.proto: the methods and the numbers of the fields that are used. containerd's own news are there in all its versions, and come before a container's first instruction.
const (
	criNews        = "/runtime.v1.RuntimeService/GetContainerEvents"
	containerdNews = "/containerd.services.events.v1.Events/Subscribe"

	criNewsID   = 1 // of ContainerEventResponse
	criNewsType = 2 // ContainerEventType
	criStarted  = 1 // made is 0; stopped and deleted are more

	subscribeFilters  = 1 // of SubscribeRequest, repeated
	envelopeNamespace = 2 // of Envelope
	envelopeTopic     = 3
	envelopeEvent     = 4 // Any
	anyValue          = 2
	taskContainer     = 1 // of TaskCreate and TaskStart

	criSpace = "k8s.io" // containerd's namespace for what it does for Kubernetes
)

// What is asked for. What ends is none of it: a pod that is taken down would get the name of whichever of its containers ends last.
const (
	topicCreate = "/tasks/create" // there is a process, which waits
	topicStart  = "/tasks/start"
)

func followCRI(ctx context.Context, c *client, f *follower) error {
	return c.stream(ctx, criNews, nil, f, parseCRINews)
}

func followContainerd(ctx context.Context, c *client, f *follower) error {
	var query []byte
	for _, topic := range []string{topicCreate, topicStart} {
		query = protowire.AppendTag(query, subscribeFilters, protowire.BytesType)
		query = protowire.AppendString(query, "namespace=="+criSpace+`,topic=="`+topic+`"`)
	}
	return c.stream(ctx, containerdNews, query, f, parseContainerdNews)
}

// parseCRINews returns whom a ContainerEventResponse is about; "": nothing that matters.
func parseCRINews(b []byte) (id string, err error) {
	what := uint64(0)
	err = fields(b, func(n protowire.Number, v []byte, number uint64) error {
		switch n {
		case criNewsID:
			id = string(v)
		case criNewsType:
			what = number
		}
		return nil
	})
	if what > criStarted {
		return "", err
	}
	return id, err
}

// parseContainerdNews returns whom an Envelope is about; "": none of ours, or nothing that matters.
func parseContainerdNews(b []byte) (id string, err error) {
	space, topic := "", ""
	err = fields(b, func(n protowire.Number, v []byte, _ uint64) error {
		switch n {
		case envelopeNamespace:
			space = string(v)
		case envelopeTopic:
			topic = string(v)
		case envelopeEvent:
			return fields(v, func(n protowire.Number, v []byte, _ uint64) error {
				if n != anyValue {
					return nil
				}
				return fields(v, func(n protowire.Number, v []byte, _ uint64) error {
					if n == taskContainer {
						id = string(v)
					}
					return nil
				})
			})
		}
		return nil
	})
	if space != criSpace || topic != topicCreate && topic != topicStart {
		return "", err
	}
	return id, err
}
