package daemon

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"weir/rules"
)

func TestChanged(t *testing.T) {
	a, b := DefaultConfig(), DefaultConfig()
	b.File, b.looked, b.Capture.Exclude = "x", "x", []string{} // as a file says what is the default
	if got := changed(a, b); len(got) > 0 {
		t.Errorf("got %q, want nothing", got)
	}
	b.Capture.Exclude, b.Paths.Policy, b.Budget.Flows = []string{"v*"}, "/x", 7
	if got, want := fmt.Sprint(changed(a, b)), "[paths.policy capture.exclude budget.flows]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestReconfigure changes the configuration of a running daemon, and reloads: other interfaces are watched, those that stay are not touched;
// what is not taken up is told; a file that is wrong changes nothing.
func TestReconfigure(t *testing.T) {
	if !ownNetwork(t) {
		return
	}
	dir := t.TempDir()
	file := dir + "/weir.toml"
	write := func(include, rest string) {
		t.Helper()
		text := fmt.Sprintf("[paths]\nstate = %q\nlog = %q\nrun = %q\nrules = []\n[rules]\nbuiltin = false\n[metrics]\nlisten = \"\"\n[capture]\nattach = \"host\"\ninclude = %s\n%s",
			dir+"/state", dir+"/log", dir+"/run", include, rest)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"wa", "wb"} {
		v := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: "p" + name}
		if err := netlink.LinkAdd(v); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{name, "p" + name} {
			if l, err := netlink.LinkByName(name); err != nil || netlink.LinkSetUp(l) != nil {
				t.Fatal(err)
			}
		}
	}
	write(`["wa", "wb"]`, "")
	conf, problems := LoadConfig(file, true)
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- Run(ctx, conf, testLog(t)) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	until(t, "the daemon", func() bool { _, err := os.Stat(conf.Paths.Socket()); return err == nil })
	client := Dial(conf.Paths.Socket())
	status := func() Status {
		t.Helper()
		s, err := client.Status()
		if err != nil {
			t.Fatal(err)
		}
		return *s
	}
	watching := func(want ...string) {
		t.Helper()
		until(t, fmt.Sprint(want), func() bool {
			var got []string
			for _, i := range status().Interfaces {
				got = append(got, i.Name)
			}
			return slices.Equal(got, want)
		})
	}
	reload := func() rules.Problems {
		t.Helper()
		problems, err := client.Reload()
		if err != nil {
			t.Fatal(err)
		}
		return problems
	}
	watching("wa", "wb")
	seen := func(name string) uint64 {
		for _, i := range status().Interfaces {
			if i.Name == name {
				return i.Packets
			}
		}
		return 0
	}
	until(t, "packets of wa", func() bool { return seen("wa") > 0 }) // IPv6 announces itself

	write(`["wa", "pw*"]`, "[budget]\nflows = 5000\n")
	if p := reload(); p.Failed() || !strings.Contains(fmt.Sprint(p), file+":14:1: warning: budget.flows has changed") {
		t.Errorf("got %v", p)
	}
	watching("pwa", "pwb", "wa")
	if seen("wa") == 0 {
		t.Error("what stays is watched anew")
	}
	if w := fmt.Sprint(status().Warnings); !strings.Contains(w, "budget.flows has changed") {
		t.Errorf("status warns of %s", w)
	}

	write(`["w*"]`, "exclud = []\n")
	if p := reload(); !p.Failed() || !strings.Contains(fmt.Sprint(p), file+":13:") {
		t.Errorf("got %v", p)
	}
	watching("pwa", "pwb", "wa")

	write(`["*w*"]`, "exclude = [\"pwa\"]\n")
	if p := reload(); len(p) > 0 {
		t.Errorf("got %v", p)
	}
	watching("pwb", "wa", "wb")
	if l, err := netlink.LinkByName("wb"); err != nil || netlink.LinkDel(l) != nil { // news are followed still
		t.Error(err)
	}
	watching("wa")
	until(t, "all watches but the last to end", func() bool {
		stacks := make([]byte, 1<<20)
		return strings.Count(string(stacks[:runtime.Stack(stacks, true)]), "workload.(*watcher).run(") == 1
	})
	if w := status().Warnings; strings.Contains(fmt.Sprint(w), "changed") {
		t.Errorf("status warns of %q", w)
	}
}
