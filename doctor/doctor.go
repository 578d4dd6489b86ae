// Package doctor looks at a host before Weir runs there, and while it does: whether the kernel, the interfaces, the container runtimes, the clock, the
// disk and the daemon let Weir do all that it is asked for, and if not, what to do. It changes nothing and captures nothing.
package doctor

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"weir/daemon"
	"weir/workload"
)

// Result says how well something is.
type Result string

const (
	OK      Result = "ok"
	Warning Result = "warning" // some of what Weir can do is not to be had
	Problem Result = "problem" // Weir cannot do what it is for
)

// Finding is what one look showed.
type Finding struct {
	Check  string `json:"check"`
	Result Result `json:"result"`
	Found  string `json:"found"`
	Next   string `json:"next,omitempty"` // what to do; "" where Result is OK
}

// ours
const (
	patience  = 5 * time.Second // for all that is asked of anybody
	maxListed = 8               // of what there may be many of, are named
)

// host is where the files stand that tell of a host; tests have others.
type host struct {
	root string // before /proc, /sys and /run
	now  func() (synchronised bool, err error)
}

// Examine looks at the host as far as it matters to a daemon with this configuration, whose control socket is at socket. It takes some seconds at the most.
func Examine(ctx context.Context, conf *daemon.Config, socket string) []Finding {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	h := &host{now: synchronised}
	var out []Finding
	add := func(fs ...Finding) { out = append(out, fs...) }
	add(h.kernel(), processor(), h.capabilities(), packets())
	add(interfaces(ctx, &conf.Capture)...)
	add(h.namespaces(), h.holding(), h.translation())
	add(runtimes(ctx, workload.Runtimes())...)
	add(h.clock(), h.memory(int64(conf.Budget.Memory)))
	add(disk("state", conf.Paths.State, int64(conf.Pcap.Quota)), disk("events", conf.Paths.Log, 0))
	add(rulesAndPolicy(conf))
	add(running(daemon.Dial(socket))...)
	return out
}

// Failed reports whether one of the findings is a problem.
func Failed(fs []Finding) bool {
	for i := range fs {
		if fs[i].Result == Problem {
			return true
		}
	}
	return false
}

// WriteTable writes findings for people.
func WriteTable(w io.Writer, fs []Finding) error {
	var b bytes.Buffer
	t := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "CHECK\tRESULT\tFOUND")
	count := map[Result]int{}
	for i := range fs {
		f := &fs[i]
		count[f.Result]++
		fmt.Fprintf(t, "%s\t%s\t%s\n", f.Check, f.Result, f.Found)
		if f.Next != "" {
			fmt.Fprintf(t, "\t\t-> %s\n", f.Next)
		}
	}
	t.Flush()
	fmt.Fprintf(&b, "\n%d ok, %d warnings, %d problems\n", count[OK], count[Warning], count[Problem])
	_, err := w.Write(b.Bytes())
	return err
}

func ok(check, format string, args ...any) Finding {
	return Finding{Check: check, Result: OK, Found: fmt.Sprintf(format, args...)}
}

func bad(check string, r Result, found, next string) Finding {
	return Finding{Check: check, Result: r, Found: found, Next: next}
}

// some names as many of a list as are read.
func some(list []string) string {
	text, more := "", len(list)-maxListed
	for i, s := range list[:min(len(list), maxListed)] {
		if i > 0 {
			text += ", "
		}
		text += s
	}
	if more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return cmp.Or(text, "none")
}
