package workload

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"time"
	"unicode"
)

// Ours: a runtime repeats what its users have written.
const (
	askTimeout   = 2 * time.Second // for all that is asked about one container
	maxAnswer    = 1 << 20         // bytes of one answer
	maxListed    = 1024            // containers, or labels of one, of an answer that are looked at
	maxName      = 253             // bytes of a name; longer ones are cut
	maxImage     = 512             // bytes of an image's name
	maxLabels    = 64              // labels of one workload; the first in order of their keys are taken
	maxLabelKey  = 317             // bytes, as of Kubernetes; longer ones are left out
	maxLabel     = 256             // bytes of a label's value; longer ones are cut
	maxLabelText = 8 << 10         // bytes of all labels of one workload
)

// Runtime is a container runtime that can be asked what it calls its containers.
type Runtime struct {
	Name    string   // for people
	Sockets []string // where it listens; the first one that is there is asked
	mark    string   // one of marks: what it calls itself in the names of cgroups
	marks   bool     // it always does
	ask     func(ctx context.Context, c *client, id string) (*Description, error)
	follow  func(ctx context.Context, c *client, f *follower) error
	http2   bool
}

// Runtimes returns the runtimes that are known, with the sockets that they have by default. To add one, add a row, and its
// mark to marks.
func Runtimes() []Runtime {
	return []Runtime{
		{Name: "containerd", Sockets: []string{"/run/containerd/containerd.sock"}, mark: "cri-containerd", ask: askCRI, follow: followContainerd, http2: true},
		{Name: "containerd of k3s", Sockets: []string{"/run/k3s/containerd/containerd.sock"}, mark: "cri-containerd", ask: askCRI, follow: followContainerd, http2: true},
		{Name: "CRI-O", Sockets: []string{"/run/crio/crio.sock"}, mark: "crio", ask: askCRI, follow: followCRI, http2: true},
		{Name: "Docker", Sockets: []string{"/run/docker.sock", "/var/run/docker.sock"}, mark: "docker", ask: askDocker, follow: followDocker},
		// Where systemd listens for it, asking starts it: that is done for its own containers only.
		{Name: "Podman", Sockets: []string{"/run/podman/podman.sock"}, mark: "libpod", marks: true, ask: askPodman, follow: followPodman},
	}
}

// Description is what a runtime calls a container. All of it is bounded and printable.
type Description struct {
	Name, Pod, Namespace, Image string
	Labels                      map[string]string
	Members                     []Member // of a pod, where all of it was asked for: its containers that run or are about to, the sandbox excepted
	Sandbox                     string   // of a container in a pod: the id of the pod's sandbox, whose network it may have; it may be made up
}

// ErrAbsent says that a runtime is not there: none of its sockets is, nobody listens, or not for what is asked.
var ErrAbsent = errors.New("not there")

// MayKnow reports whether it makes sense to ask r for a container that bears a mark.
func (r *Runtime) MayKnow(mark string) bool { return mark == r.mark || mark == "" && !r.marks }

// Describe asks r for the container with an id. It returns nil for one that r does not know, ErrAbsent where there is no
// such runtime, and takes askTimeout at the most. It may be called from any goroutine, and leaves no connection open.
func (r *Runtime) Describe(ctx context.Context, id string) (*Description, error) {
	if len(id) != idLen {
		return nil, nil
	}
	socket, err := r.socket()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	c := newClient(socket, r.http2)
	defer c.close()
	d, err := r.ask(ctx, c, id)
	if err != nil {
		if c.refused(err) || errors.Is(err, ErrAbsent) {
			return nil, ErrAbsent
		}
		return nil, r.failed(err)
	}
	if d != nil {
		d.bound()
	}
	return d, nil
}

// socket returns where r listens, ErrAbsent if nowhere.
func (r *Runtime) socket() (string, error) {
	for _, s := range r.Sockets {
		if _, err := os.Stat(s); err == nil {
			return s, nil
		} else if !errors.Is(err, fs.ErrNotExist) {
			return "", r.failed(err)
		}
	}
	return "", ErrAbsent
}

func (r *Runtime) failed(err error) error { return fmt.Errorf("%s: %w", r.Name, err) }

// With returns w as d describes it.
func (w Workload) With(d *Description) Workload {
	if d == nil {
		return w
	}
	if d.Name != "" || d.Pod != "" {
		w.Name = d.Name
	}
	w.Pod, w.Namespace, w.Image = d.Pod, d.Namespace, d.Image
	if len(d.Labels) > 0 {
		uid := w.Labels[LabelPodUID]
		w.Labels = maps.Clone(d.Labels)
		if uid != "" {
			w.Labels[LabelPodUID] = uid
		}
	}
	return w
}

// bound makes d as long as it may be.
func (d *Description) bound() {
	for _, s := range []*string{&d.Name, &d.Pod, &d.Namespace, &d.Sandbox} {
		*s = printable(*s, maxName)
	}
	d.Image = printable(d.Image, maxImage)
	slices.SortFunc(d.Members, func(a, b Member) int { return strings.Compare(a.Name, b.Name) })
	d.Members = d.Members[:min(len(d.Members), maxMembers)]
	for i := range d.Members {
		m := &d.Members[i]
		m.Name, m.Image = printable(m.Name, maxName), printable(m.Image, maxImage)
	}
	labels, size := map[string]string{}, 0
	for _, k := range slices.Sorted(maps.Keys(d.Labels)) {
		if len(k) > maxLabelKey {
			continue
		}
		key, value := printable(k, maxLabelKey), printable(d.Labels[k], maxLabel)
		if size += len(key) + len(value); len(labels) == maxLabels || size > maxLabelText {
			break
		}
		labels[key] = value
	}
	d.Labels = labels
}

// printable cuts s to n bytes, and replaces what is no UTF-8 and what cannot be seen: control characters, and those that
// turn the direction of writing.
func printable(s string, n int) string {
	s = strings.ToValidUTF8(s[:min(len(s), n)], "?")
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}
