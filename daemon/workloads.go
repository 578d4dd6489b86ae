package daemon

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"weir/workload"
)

// maxShownAddresses is how many addresses of one workload a table shows; ours.
const maxShownAddresses = 4

// WorkloadStatus is what is known of a workload; empty members are not known.
type WorkloadStatus struct {
	ID        string `json:"id"` // of the container, or a pod's oldest one: its sandbox
	Name      string `json:"name"`
	Pod       string `json:"pod"`
	Namespace string `json:"namespace"`
	Image     string `json:"image"`
}

func newWorkloadStatus(w *workload.Workload) WorkloadStatus {
	return WorkloadStatus{ID: w.ID, Name: w.Name, Pod: w.Pod, Namespace: w.Namespace, Image: w.Image}
}

// InterfaceWorkload is the workload at the other end of a watched interface.
type InterfaceWorkload struct {
	Interface string `json:"interface"`
	WorkloadStatus
	Labels    map[string]string `json:"labels,omitempty"`
	Addresses []netip.Addr      `json:"addresses"`
	Attached  []string          `json:"attached"` // where it is listened to: "host" or "netns", and "loopback"
	NotSeen   []string          `json:"not_seen"` // what of its traffic is not seen, and why
	Groups    []string          `json:"groups"`   // of the policy
	Mode      string            `json:"mode"`     // discover, monitor, protect; "": there is no policy
	Gate      *GateStatus       `json:"gate"`     // null: its packets are not to be held
}

// Workloads says what is behind the watched interfaces, in order of their names. It may be called from any goroutine.
func (d *Daemon) Workloads() []InterfaceWorkload {
	list := []InterfaceWorkload{}
	all := d.naming.all() // it has a lock of its own
	gates, law := map[uint64]*GateStatus{}, d.compiled.Load()
	if g := d.gates.Load(); g != nil {
		gates, _ = g.states()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, k := range all {
		w := InterfaceWorkload{Interface: k.iface.Name, WorkloadStatus: newWorkloadStatus(k.who), Labels: k.who.Labels, Addresses: k.addresses}
		w.Attached, w.NotSeen = d.attached(k.iface)
		w.Groups, w.Mode = standing(law, &k)
		if way, ok := d.ways[k.iface.Index]; ok {
			w.Gate = gates[way.inode]
		}
		if w.Addresses == nil {
			w.Addresses = []netip.Addr{}
		}
		list = append(list, w)
	}
	return list
}

// attached says where what is behind an interface is listened to, and what of it is not seen. d.mu is held.
func (d *Daemon) attached(i workload.Interface) (at, not []string) {
	at, not = []string{}, []string{}
	for _, e := range []end{hostEnd, podEnd, loopback} {
		if d.taps[tapID{i.Index, e}] != nil {
			at = append(at, e.String())
		}
	}
	if !slices.Contains(at, hostEnd.String()) && !slices.Contains(at, podEnd.String()) {
		not = append(not, "what it says to others: "+cmp.Or(d.blind[i.Name], "not listened on yet"))
	}
	w, known := d.ways[i.Index]
	why := ""
	switch {
	case slices.Contains(at, loopback.String()) || known && !w.first: // of several interfaces the first shows it
		return at, not
	case d.conf.Capture.Attach == AttachHost || !d.conf.Capture.Loopback:
		why = "switched off ([capture] attach, loopback)"
	case d.spaces == nil:
		why = d.outside
	case !known:
		why = "no way into its network namespace is known (it has no name, and no process in it)"
	default:
		why = cmp.Or(d.blind[i.Name+loopbackName], "not listened on yet")
	}
	return at, append(not, "what is said inside, on lo: "+why)
}

func (c *Control) workloads(w http.ResponseWriter, r *http.Request) {
	writeJSON(w, http.StatusOK, c.h.Workloads())
}

// Workloads asks for the workloads that the daemon knows.
func (c *Client) Workloads() (list []InterfaceWorkload, err error) {
	err = c.ask(http.MethodGet, "/workloads", nil, &list)
	return list, err
}

// WriteWorkloads writes workloads for people.
func WriteWorkloads(w io.Writer, list []InterfaceWorkload) error {
	var b bytes.Buffer
	t := table(&b)
	fmt.Fprintln(t, "INTERFACE\tNAME\tPOD\tNAMESPACE\tIMAGE\tCONTAINER\tATTACHED\tMODE\tGROUPS\tGATE\tADDRESSES")
	for _, x := range list {
		addresses := ""
		for i, a := range x.Addresses {
			if i == maxShownAddresses {
				addresses += fmt.Sprintf(" and %d more", len(x.Addresses)-i)
				break
			}
			addresses += " " + a.String()
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", clean(x.Interface), shown(x.Name), shown(x.Pod), shown(x.Namespace), shown(x.Image),
			shown(shortID(x.ID)), shown(strings.Join(x.Attached, "+")), cmp.Or(x.Mode, "no policy"), shown(strings.Join(x.Groups, ",")), x.Gate.shown(), cmp.Or(addresses, " -")[1:])
	}
	t.Flush()
	for _, x := range list {
		for _, what := range x.NotSeen {
			fmt.Fprintf(&b, "%s: not seen: %s\n", clean(x.Interface), clean(what))
		}
		if x.Gate != nil && x.Gate.Why != "" {
			fmt.Fprintf(&b, "%s: not protected: %s\n", clean(x.Interface), clean(x.Gate.Why))
		}
	}
	_, err := w.Write(b.Bytes())
	return err
}

// shown is a name from outside in a table.
func shown(s string) string { return clean(cmp.Or(s, "-")) }

func shortID(id string) string { return (&workload.Workload{ID: id}).ShortID() }
