package workload

import (
	"context"
	"errors"

	"google.golang.org/protobuf/encoding/protowire"
)

// From the Container Runtime Interface, runtime/v1/api.proto: the methods and the numbers of the fields that are used.
const (
	criContainers = "/runtime.v1.RuntimeService/ListContainers"
	criSandboxes  = "/runtime.v1.RuntimeService/ListPodSandbox"

	criFilter        = 1 // of ListContainersRequest, ListPodSandboxRequest
	criFilterID      = 1 // of ContainerFilter, PodSandboxFilter
	criFilterSandbox = 3 // of ContainerFilter
	criItems         = 1 // of ListContainersResponse, ListPodSandboxResponse

	criID        = 1  // of Container and PodSandbox
	criMetadata  = 3  // of Container: ContainerMetadata
	criSandboxID = 2  // of Container
	criImage     = 4  // of Container: ImageSpec
	criImageRef  = 5  // of Container
	criState     = 6  // of Container
	criCreated   = 7  // of Container, ns since the epoch
	criName      = 1  // of ContainerMetadata and PodSandboxMetadata
	criPod       = 2  // of PodSandbox: PodSandboxMetadata
	criUID       = 2  // of PodSandboxMetadata
	criNamespace = 3  // of PodSandboxMetadata
	criPodLabels = 5  // of PodSandbox: map<string, string>
	criSpecImage = 1  // of ImageSpec
	criUserImage = 18 // of ImageSpec: as the pod's author wrote it
	criMapKey    = 1
	criMapValue  = 2
	criMade      = 0 // of ContainerState
	criRunning   = 1
)

var errProtobuf = errors.New("the answer is no protobuf message")

// container is one container as its runtime lists it.
type container struct {
	id, sandbox, name, image string
	created                  int64 // any unit
	running, made            bool  // made: it is about to run
}

// sandbox is one pod as its runtime lists it.
type sandbox struct {
	id string
	d  Description
}

// askCRI asks a runtime that Kubernetes can use. An id may be a sandbox's, or of a container in one.
func askCRI(ctx context.Context, c *client, id string) (*Description, error) {
	pod, err := criSandbox(ctx, c, id)
	if err != nil {
		return nil, err
	}
	if pod == nil {
		list, err := criList(ctx, c, criFilterID, id)
		if err != nil || list[id] == nil {
			return nil, err
		}
		if pod, err = criSandbox(ctx, c, list[id].sandbox); err != nil || pod == nil {
			return nil, err
		}
	}
	list, err := criList(ctx, c, criFilterSandbox, pod.id)
	if err != nil {
		return nil, err
	}
	if o := oldest(list); o != nil {
		pod.d.Name, pod.d.Image = o.name, o.image
	}
	for _, c := range list {
		if c.running || c.made {
			pod.d.Members = append(pod.d.Members, Member{c.name, c.image})
		}
	}
	if pod.id != id {
		pod.d.Sandbox = pod.id
	}
	return &pod.d, nil
}

// oldest returns the oldest container that runs; if none does, the oldest that is about to; nil if there is none.
func oldest(list map[string]*container) (o *container) {
	for _, c := range list {
		if !c.running && !c.made {
			continue
		}
		if o == nil || c.running && !o.running || c.running == o.running && (c.created < o.created || c.created == o.created && c.id < o.id) {
			o = c
		}
	}
	return o
}

// criSandbox asks for the sandbox with an id, nil if there is none.
func criSandbox(ctx context.Context, c *client, id string) (*sandbox, error) {
	b, err := c.call(ctx, criSandboxes, criQuery(criFilterID, id))
	if err != nil {
		return nil, err
	}
	return parseSandbox(b, id)
}

// criList asks for the containers that a field of a ContainerFilter lets through.
func criList(ctx context.Context, c *client, filter protowire.Number, id string) (map[string]*container, error) {
	b, err := c.call(ctx, criContainers, criQuery(filter, id))
	if err != nil {
		return nil, err
	}
	return parseContainers(b)
}

// criQuery writes a request with one field of its filter.
func criQuery(field protowire.Number, value string) []byte {
	f := protowire.AppendString(protowire.AppendTag(nil, field, protowire.BytesType), value)
	return protowire.AppendBytes(protowire.AppendTag(nil, criFilter, protowire.BytesType), f)
}

// parseSandbox finds the sandbox with an id in a ListPodSandboxResponse.
func parseSandbox(b []byte, id string) (found *sandbox, err error) {
	err = items(b, func(item []byte) error {
		s := &sandbox{d: Description{Labels: map[string]string{}}}
		uid := ""
		err := fields(item, func(n protowire.Number, v []byte, _ uint64) error {
			switch n {
			case criID:
				s.id = string(v)
			case criPod:
				return fields(v, func(n protowire.Number, v []byte, _ uint64) error {
					switch n {
					case criName:
						s.d.Pod = string(v)
					case criUID:
						uid = string(v)
					case criNamespace:
						s.d.Namespace = string(v)
					}
					return nil
				})
			case criPodLabels:
				if len(s.d.Labels) == maxListed {
					return nil
				}
				key, value := "", ""
				err := fields(v, func(n protowire.Number, v []byte, _ uint64) error {
					switch n {
					case criMapKey:
						key = string(v)
					case criMapValue:
						value = string(v)
					}
					return nil
				})
				s.d.Labels[key] = value
				return err
			}
			return nil
		})
		if uid != "" {
			s.d.Labels[LabelPodUID] = uid
		}
		if s.id == id {
			found = s
		}
		return err
	})
	return found, err
}

// parseContainers reads a ListContainersResponse.
func parseContainers(b []byte) (map[string]*container, error) {
	list := map[string]*container{}
	err := items(b, func(item []byte) error {
		var c container
		state := uint64(criMade)
		ref, user := "", ""
		err := fields(item, func(n protowire.Number, v []byte, number uint64) error {
			switch n {
			case criID:
				c.id = string(v)
			case criSandboxID:
				c.sandbox = string(v)
			case criImageRef:
				ref = string(v)
			case criState:
				state = number
			case criCreated:
				c.created = int64(number)
			case criMetadata:
				return fields(v, func(n protowire.Number, v []byte, _ uint64) error {
					if n == criName {
						c.name = string(v)
					}
					return nil
				})
			case criImage:
				return fields(v, func(n protowire.Number, v []byte, _ uint64) error {
					switch n {
					case criSpecImage:
						c.image = string(v)
					case criUserImage:
						user = string(v)
					}
					return nil
				})
			}
			return nil
		})
		switch {
		case user != "":
			c.image = user
		case c.image == "":
			c.image = ref
		}
		c.running, c.made = state == criRunning, state == criMade
		list[c.id] = &c
		return err
	})
	return list, err
}

// items calls fn for each item of a list, up to maxListed.
func items(b []byte, fn func(item []byte) error) error {
	left := maxListed
	return fields(b, func(n protowire.Number, v []byte, _ uint64) error {
		if n != criItems || left == 0 {
			return nil
		}
		left--
		return fn(v)
	})
}

// fields calls fn for each field of a protobuf message that is bytes, in v, or a variable-length integer, in number.
func fields(b []byte, fn func(n protowire.Number, v []byte, number uint64) error) error {
	for len(b) > 0 {
		n, typ, size := protowire.ConsumeTag(b)
		if size < 0 {
			return errProtobuf
		}
		b = b[size:]
		var v []byte
		var number uint64
		switch typ {
		case protowire.BytesType:
			v, size = protowire.ConsumeBytes(b)
		case protowire.VarintType:
			number, size = protowire.ConsumeVarint(b)
		default:
			if size = protowire.ConsumeFieldValue(n, typ, b); size >= 0 {
				b = b[size:]
				continue
			}
		}
		if size < 0 {
			return errProtobuf
		}
		b = b[size:]
		if err := fn(n, v, number); err != nil {
			return err
		}
	}
	return nil
}
