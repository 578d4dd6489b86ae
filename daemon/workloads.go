package daemon

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"net/http"
	"net/netip"

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
}

// Workloads says what is behind the watched interfaces, in order of their names. It may be called from any goroutine.
func (d *Daemon) Workloads() []InterfaceWorkload {
	list := []InterfaceWorkload{}
	for _, k := range d.naming.all() {
		w := InterfaceWorkload{Interface: k.iface.Name, WorkloadStatus: newWorkloadStatus(k.who), Labels: k.who.Labels, Addresses: k.addresses}
		if w.Addresses == nil {
			w.Addresses = []netip.Addr{}
		}
		list = append(list, w)
	}
	return list
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
	fmt.Fprintln(t, "INTERFACE\tNAME\tPOD\tNAMESPACE\tIMAGE\tCONTAINER\tADDRESSES")
	for _, x := range list {
		addresses := ""
		for i, a := range x.Addresses {
			if i == maxShownAddresses {
				addresses += fmt.Sprintf(" and %d more", len(x.Addresses)-i)
				break
			}
			addresses += " " + a.String()
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", clean(x.Interface), shown(x.Name), shown(x.Pod), shown(x.Namespace), shown(x.Image),
			shown(shortID(x.ID)), cmp.Or(addresses, " -")[1:])
	}
	t.Flush()
	_, err := w.Write(b.Bytes())
	return err
}

// shown is a name from outside in a table.
func shown(s string) string { return clean(cmp.Or(s, "-")) }

func shortID(id string) string { return (&workload.Workload{ID: id}).ShortID() }
