// Package workload says who is behind an interface or an address: it watches the host's interfaces and addresses come
// and go, finds the container, pod or network namespace at the other end of a veth, and asks container runtimes what
// they call it. It captures nothing, and does nothing of its own accord: who calls it, and when, is the daemon's matter.
package workload

// Workload is a container, a pod or a named network namespace. Empty fields are not known. Once handed out it does not
// change.
type Workload struct {
	ID        string            // the container's id, 64 hexadecimal digits; of a pod, its oldest container's: the sandbox
	Name      string            // the container's name, or of a namespace made with `ip netns add NAME`, NAME; of a pod, that of its oldest container but the sandbox
	Pod       string            // Kubernetes or Podman pod name
	Namespace string            // Kubernetes namespace
	Image     string            // image of the container that Name names, as the runtime calls it
	Labels    map[string]string // a Kubernetes pod's, else the container's; a pod's unique id is in LabelPodUID
	NetNS     string            // a path that opens the network namespace, valid as long as the workload lives
	Space     uint64            // inode of the network namespace that NetNS opens; 0: not known
	Mark      string            // what the container's runtime calls itself in the names of cgroups; "": nothing
}

// String returns what people call the workload: "namespace/pod", or a name; "" if it has none.
func (w *Workload) String() string {
	switch {
	case w.Pod != "" && w.Namespace != "":
		return w.Namespace + "/" + w.Pod
	case w.Pod != "":
		return w.Pod
	}
	return w.Name
}

// ShortID returns as much of the id as people use; "" if there is none.
func (w *Workload) ShortID() string { return w.ID[:min(len(w.ID), 12)] }

// LabelPodUID is the label that holds a pod's unique id, as container runtimes call it.
const LabelPodUID = "io.kubernetes.pod.uid"

// Interface is one of the host's network interfaces.
type Interface struct {
	Index     int // in the host's network namespace
	Name      string
	Kind      string // "veth", "bridge", ..., as `ip -d link` names it; "device" for hardware and loopback
	PeerIndex int    // of a veth: its other end's index in the peer's namespace; 0: none
	NSID      int    // the id that the host gave to the peer's network namespace; -1: the same namespace, or none
	Up        bool
}
