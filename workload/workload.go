// Package workload says who is behind an interface or an address: it watches the host's interfaces come and go, and
// finds the container, pod or network namespace at the other end of a veth. It captures nothing and asks no container
// runtime.
package workload

// Workload is a container, a pod or a named network namespace. Empty fields are not known. Once handed out it does not
// change.
type Workload struct {
	ID        string            // the container's id, 64 hexadecimal digits; of a pod, its oldest container's
	Name      string            // the container's name, or of a namespace made with `ip netns add NAME`, NAME
	Pod       string            // Kubernetes pod name
	Namespace string            // Kubernetes namespace
	Image     string            // image as the runtime names it
	Labels    map[string]string // a pod's unique id is in LabelPodUID
	NetNS     string            // a path that opens the network namespace, valid as long as the workload lives
}

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
