package daemon

import (
	"cmp"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"time"

	"weir/alert"
	"weir/capture"
	"weir/engine"
	"weir/pcapstore"
	"weir/wire"
	"weir/workload"
)

// RecentAnswer says what a daemon looked at among its recent packets.
type RecentAnswer struct {
	Interfaces  int    `json:"interfaces"`
	Looked      uint64 `json:"looked"`      // packets
	Packets     uint64 `json:"packets"`     // of them written
	Overwritten uint64 `json:"overwritten"` // bytes that were gone before they could be read
}

// recentTap is a tap whose recent packets are read.
type recentTap struct {
	tap   *engine.Tap
	iface capture.Interface
	names []string // of the workload behind it
	more  bool     // another tap of the same interface
}

// recentTaps returns the taps there are, by name of interface.
func (d *Daemon) recentTaps() []recentTap {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := make([]recentTap, 0, len(d.taps))
	for _, t := range d.taps {
		for i, m := range t.members() {
			out = append(out, recentTap{m.tap, d.interfaces(t)[0], workloadNames(d.naming.of(t.iface.Index)), i > 0})
		}
	}
	slices.SortStableFunc(out, func(a, b recentTap) int { return cmp.Compare(a.iface.Name, b.iface.Name) })
	return out
}

// workloadNames returns what a query may call a workload.
func workloadNames(w *workload.Workload) []string {
	return (&alert.Workload{Name: w.Name, Pod: w.Pod, Namespace: w.Namespace}).Names()
}

// Packets writes the recent packets for which q holds to w, as pcapng, one interface after the other. One call at a time is served: it takes
// memory for a copy of the greatest tap's packets, and at most one processor's time.
func (d *Daemon) Packets(ctx context.Context, w io.Writer, q *pcapstore.Query) (a RecentAnswer, err error) {
	select {
	case d.reading <- struct{}{}:
		defer func() { <-d.reading }()
	case <-ctx.Done():
		return a, ctx.Err()
	}
	out := pcapstore.NewWriter(w, pcapstore.PcapNG, "weir "+Version(), "weir recent packets: "+q.String())
	var c pcapstore.RecentCopy
	for _, t := range d.recentTaps() {
		if err := ctx.Err(); err != nil {
			return a, err
		}
		if !t.more {
			a.Interfaces++
		}
		looked, err := t.tap.Packets(q, t.names, &c, func(f *wire.Frame) error {
			i := t.iface
			i.Link = f.Link
			id, err := out.Interface(i)
			if err != nil {
				return err
			}
			a.Packets++
			return out.Packet(id, f, pcapstore.Note{})
		})
		a.Looked += looked
		a.Overwritten += c.Overwritten()
		if err != nil {
			return a, err
		}
	}
	return a, out.Close()
}

// packetsTrailer is the trailer of an answer that says what was looked at; without it the answer is cut short.
const packetsTrailer = "Weir-Recent"

// packets answers GET /packets. Whoever gets packets is written down.
func (c *Control) packets(w http.ResponseWriter, r *http.Request) {
	text := r.URL.Query().Get("query")
	q, err := pcapstore.ParseQuery(text, time.Now())
	if err != nil {
		writeError(w, http.StatusBadRequest, "query: "+err.Error())
		return
	}
	w.Header().Set("Content-Type", "application/x-pcapng")
	w.Header().Set("Trailer", packetsTrailer)
	a, err := c.h.Packets(r.Context(), timely{w, http.NewResponseController(w)}, q)
	c.audit(r, PullRecord{From: "memory", Query: q.String(), Packets: a.Packets, Looked: a.Looked, Err: err})
	if err != nil {
		panic(http.ErrAbortHandler) // what was written is not all
	}
	trailer, _ := json.Marshal(a)
	w.Header().Set(packetsTrailer, string(trailer))
}

// timely is a writer that gives a client so much time for each piece.
type timely struct {
	io.Writer
	out *http.ResponseController
}

func (t timely) Write(b []byte) (int, error) {
	if err := t.out.SetWriteDeadline(time.Now().Add(controlWrite)); err != nil {
		return 0, err
	}
	return t.Writer.Write(b)
}

// pulled answers POST /pulled: who has read packets of slices says so. Root alone could leave that out, and root may read the folder anyhow.
func (c *Control) pulled(w http.ResponseWriter, r *http.Request) {
	var p pulledSlices
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, controlHeader)).Decode(&p); err != nil {
		writeError(w, http.StatusBadRequest, err.Error())
		return
	}
	c.audit(r, PullRecord{From: "slices", Query: clean(p.Query), Packets: p.Packets, Looked: p.Looked})
	writeJSON(w, http.StatusOK, struct{}{})
}

// pulledSlices is what a client says that it read.
type pulledSlices struct {
	Query   string `json:"query"`
	Packets uint64 `json:"packets"`
	Looked  uint64 `json:"looked"`
}

// PullRecord says who was given which packets.
type PullRecord struct {
	UID             uint32
	PID             int32
	From            string // memory or slices
	Query           string
	Packets, Looked uint64
	Err             error // why not all of them; nil: all
}

func (c *Control) audit(r *http.Request, p PullRecord) {
	p.UID, p.PID = peer(r.Context())
	c.h.Audit(p)
}

// audit writes down who pulled packets.
func (d *Daemon) audit(p PullRecord) {
	args := []any{"from", p.From, "packets", p.Packets, "looked", p.Looked, "uid", p.UID, "pid", p.PID, "query", p.Query}
	if p.Err != nil {
		args = append(args, "ended", p.Err.Error())
	}
	d.log.Info("packets pulled", args...)
}
