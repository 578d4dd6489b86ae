package workload

import (
	"context"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

// From the Container Runtime Interface, runtime/v1/api.proto, and from containerd, api/services/events/v1/events.proto and
// api/events/task.proto: the methods and the numbers of the fields that are used. containerd's own news are there in all its versions, and come before a container's first instruction.
const (
	criNews        = "/runtime.v1.RuntimeService/GetContainerEvents"
	containerdNews = "/containerd.services.events.v1.Events/Subscribe"

	criNewsID = 1 // of ContainerEventResponse

	subscribeFilters  = 1 // of SubscribeRequest, repeated
	envelopeNamespace = 2 // of Envelope
	envelopeTopic     = 3
	envelopeEvent     = 4 // Any
	anyValue          = 2
	taskContainer     = 1 // of TaskCreate, TaskStart and TaskExit
	taskExitID        = 2 // of TaskExit: of the process

	criSpace = "k8s.io" // containerd's namespace for what it does for Kubernetes
)

const (
	topicCreate = "/tasks/create" // there is a process, which waits
	topicStart  = "/tasks/start"
	topicExit   = "/tasks/exit" // also of what is run in a container beside its first process
)

func followCRI(ctx context.Context, c *client, f *follower) error {
	return c.stream(ctx, criNews, nil, f, parseCRINews)
}

func followContainerd(ctx context.Context, c *client, f *follower) error {
	var query []byte
	for _, topic := range []string{topicCreate, topicStart, topicExit} {
		query = protowire.AppendTag(query, subscribeFilters, protowire.BytesType)
		query = protowire.AppendString(query, "namespace=="+criSpace+`,topic=="`+topic+`"`)
	}
	return c.stream(ctx, containerdNews, query, f, parseContainerdNews)
}

// parseCRINews returns whom a ContainerEventResponse is about.
func parseCRINews(b []byte) (id string, err error) {
	err = fields(b, func(n protowire.Number, v []byte, _ uint64) error {
		if n == criNewsID {
			id = string(v)
		}
		return nil
	})
	return id, err
}

// parseContainerdNews returns whom an Envelope is about; "": none of ours, or nothing that matters.
func parseContainerdNews(b []byte) (id string, err error) {
	space, topic, process := "", "", ""
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
					switch n {
					case taskContainer:
						id = string(v)
					case taskExitID:
						process = string(v)
					}
					return nil
				})
			})
		}
		return nil
	})
	if space != criSpace || !strings.HasPrefix(topic, "/tasks/") || topic == topicExit && process != id {
		return "", err
	}
	return id, err
}
