package doctor

import (
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"weir/daemon"
	"weir/workload"
)

// interfaces looks for those of workloads: which of them are watched, and which look as if they should be.
func interfaces(ctx context.Context, conf *daemon.CaptureConfig) []Finding {
	const check = "interfaces"
	list, err := links(ctx)
	if err != nil {
		return []Finding{bad(check, Problem, err.Error(), "see whether `ip link` works here")}
	}
	return judgeLinks(list, conf)
}

// links returns the interfaces that are there.
func links(ctx context.Context) (list []workload.Interface, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	events, err := workload.Watch(ctx, []string{"*"}, nil)
	if err != nil {
		return nil, err
	}
	for e := range events {
		switch e.Kind {
		case workload.Listed:
			return list, nil
		case workload.Failed:
			return nil, e.Err
		case workload.Arrived:
			list = append(list, e.Interface)
		}
	}
	return nil, fmt.Errorf("list interfaces: %w", ctx.Err())
}

// within are kinds of interfaces whose traffic never comes by an end in the host's namespace, or not as frames of a veth.
var within = []string{"ipvlan", "ipvtap", "macvlan", "macvtap"}

func judgeLinks(list []workload.Interface, conf *daemon.CaptureConfig) []Finding {
	const check = "interfaces"
	kinds, watched, left, excluded := map[string]int{}, map[string]int{}, []string{}, []string{}
	cilium := false
	for _, l := range list {
		kinds[l.Kind]++
		cilium = cilium || l.Name == "cilium_host"
		switch {
		case matches(conf.Exclude, l.Name):
			excluded = append(excluded, l.Name)
		case matches(conf.Include, l.Name):
			watched[l.Kind]++
		case (l.Kind == "veth" || l.Kind == "netkit") && l.NSID >= 0:
			left = append(left, l.Name)
		}
	}
	var out []Finding
	switch {
	case len(left) > 0:
		out = append(out, bad(check, Warning, fmt.Sprintf("%s watched; not watched though a workload seems to be behind: %s", tally(watched), some(left)),
			"add a pattern for them to [capture] include, now "+some(conf.Include)))
	case len(watched) == 0:
		out = append(out, ok(check, "none is there yet that [capture] include names (%s); there are %s", some(conf.Include), tally(kinds)))
	default:
		out = append(out, ok(check, "%s watched", tally(watched)))
	}
	if len(excluded) > 0 {
		out = append(out, ok("excluded", "%s: nothing is seen of what is behind them", some(excluded)))
	}
	for _, k := range within {
		if kinds[k] > 0 && conf.Attach == daemon.AttachHost {
			out = append(out, bad("attach", Warning, fmt.Sprintf("%d of %s: the host has no end of such interfaces", kinds[k], k), `set [capture] attach = "auto"`))
		}
	}
	if cilium {
		out = append(out, datapath(conf))
	}
	return out
}

// datapath: with Cilium's eBPF host routing what goes to a pod does not come by the host's end of its interface.
func datapath(conf *daemon.CaptureConfig) Finding {
	const check = "Cilium"
	if conf.Attach == daemon.AttachHost {
		return bad(check, Warning, "with its eBPF host routing the host's end of a pod's interface shows one direction alone",
			`set [capture] attach = "auto": then the pod's own end is watched`)
	}
	return ok(check, "where the host's end of a pod's interface shows one direction alone, the pod's own end is watched")
}

func tally(kinds map[string]int) string {
	var text []string
	for _, k := range slices.Sorted(maps.Keys(kinds)) {
		text = append(text, fmt.Sprintf("%d %s", kinds[k], k))
	}
	if len(text) == 0 {
		return "none"
	}
	return strings.Join(text, ", ")
}

func matches(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { is, _ := path.Match(p, name); return is }) // the configuration was checked
}
