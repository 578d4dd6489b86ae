package doctor

import (
	"bytes"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/daemon"
	"weir/workload"
)

// hostOf is a host with these files.
func hostOf(t *testing.T, files map[string]string) *host {
	t.Helper()
	h := &host{root: t.TempDir(), now: func() (bool, error) { return true, nil }}
	for name, text := range files {
		path := filepath.Join(h.root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

// wantFinding fails unless f is as it should be: what is not ok says what to do.
func wantFinding(t *testing.T, f Finding, want Result, text string) {
	t.Helper()
	if f.Result != want || !strings.Contains(f.Found, text) || (f.Next == "") != (want == OK) {
		t.Errorf("got %+v, want %s with %q", f, want, text)
	}
}

func TestHost(t *testing.T) {
	file := func(name, text string) map[string]string { return map[string]string{name: text} }
	kernel := func(release string) *host { return hostOf(t, file("proc/sys/kernel/osrelease", release+"\n")) }
	wantFinding(t, kernel("6.1.0-28-amd64").kernel(), OK, "6.1.0-28-amd64")
	wantFinding(t, kernel("5.4.0").kernel(), Warning, "5.4.0")
	wantFinding(t, kernel("3.10.0-1160.el7").kernel(), Problem, "3.10")
	wantFinding(t, kernel("next").kernel(), Warning, `"next"`)

	caps := func(hex string) Finding {
		return hostOf(t, file("proc/self/status", "Name:\tweir\nCapEff:\t"+hex+"\n")).capabilities()
	}
	wantFinding(t, caps("000001ffffffffff"), OK, "all")
	wantFinding(t, caps("0000000000000000"), Problem, "CAP_NET_RAW (nothing can be watched); CAP_NET_ADMIN")
	wantFinding(t, caps("0000000000002000"), Warning, "lacks CAP_NET_ADMIN")
	wantFinding(t, hostOf(t, nil).capabilities(), Warning, "/proc/self/status")

	wantFinding(t, hostOf(t, file("run/weir-broker.sock", "")).namespaces(), OK, "broker")
	wantFinding(t, hostOf(t, nil).namespaces(), Warning, "no broker")
	wantFinding(t, hostOf(t, file("proc/net/netfilter/nfnetlink_queue", "")).holding(), OK, "nfnetlink_queue")
	wantFinding(t, hostOf(t, nil).holding(), Warning, "nothing can be stopped")
	wantFinding(t, hostOf(t, file("proc/sys/net/netfilter/nf_conntrack_events", "2\n")).translation(), OK, "service")
	wantFinding(t, hostOf(t, file("proc/sys/net/netfilter/nf_conntrack_events", "0\n")).translation(), Warning, "no names")
	wantFinding(t, hostOf(t, nil).translation(), OK, "no connection is tracked")

	h := hostOf(t, nil)
	wantFinding(t, h.clock(), OK, "synchronised")
	h.now = func() (bool, error) { return false, nil }
	wantFinding(t, h.clock(), Warning, "not synchronised")
	h.now = func() (bool, error) { return false, errors.New("not permitted") }
	wantFinding(t, h.clock(), Warning, "not permitted")

	memory := map[string]string{"proc/meminfo": "MemTotal: 8388608 kB\nMemFree: 1 kB\nMemAvailable: 4194304 kB\n"}
	wantFinding(t, hostOf(t, memory).memory(1<<30), OK, "8GiB, 4GiB of it")
	wantFinding(t, hostOf(t, memory).memory(5<<30), Warning, "more than half")
	memory["sys/fs/cgroup/system.slice/weir.service/memory.max"] = "1073741824\n"
	wantFinding(t, hostOf(t, memory).memory(1<<30), Warning, "ends the daemon at 1GiB")
	memory["sys/fs/cgroup/system.slice/weir.service/memory.max"] = "max\n"
	wantFinding(t, hostOf(t, memory).memory(1<<30), OK, "budget.memory is 1GiB")
	wantFinding(t, hostOf(t, nil).memory(1<<30), Warning, "/proc/meminfo")
}

func TestDisk(t *testing.T) {
	dir := t.TempDir()
	if f := disk("state", filepath.Join(dir, "not/there/yet"), 0); f.Result == Problem || !strings.Contains(f.Found, dir) {
		t.Errorf("a folder that is to be made: %+v", f)
	}
	wantFinding(t, disk("state", dir, 1<<50), Warning, "less than pcap.quota (1024TiB)")
	wantFinding(t, disk("state", "/proc", 0), Problem, "0B free")
	if _, err := os.Stat("/dev/shm"); err == nil {
		wantFinding(t, disk("state", "/dev/shm", 0), Warning, "tmpfs")
	}
}

func TestLinks(t *testing.T) {
	type list = []workload.Interface
	veth := func(name string) workload.Interface { return workload.Interface{Name: name, Kind: "veth", NSID: 3} }
	device := workload.Interface{Name: "eth0", Kind: "device", NSID: -1}
	for _, c := range []struct {
		name    string
		list    list
		exclude string
		attach  daemon.Attach
		want    []Result
		text    string
	}{
		{"nothing", list{device}, "", daemon.AttachAuto, []Result{OK}, "none is there yet"},
		{"watched", list{device, veth("veth1"), veth("cali2")}, "", daemon.AttachAuto, []Result{OK}, "2 veth watched"},
		{"left", list{veth("veth1"), veth("tap7")}, "", daemon.AttachAuto, []Result{Warning}, "1 veth watched; not watched though a workload seems to be behind: tap7"},
		{"netkit", list{{Name: "nk0", Kind: "netkit", NSID: 0}}, "", daemon.AttachAuto, []Result{Warning}, "nk0"},
		{"both ends here", list{{Name: "up0", Kind: "veth", NSID: -1}}, "", daemon.AttachAuto, []Result{OK}, "none is there yet"},
		{"excluded", list{veth("veth1"), veth("veth2")}, "veth2", daemon.AttachAuto, []Result{OK, OK}, "veth2: nothing is seen"},
		{"ipvlan", list{{Name: "ipvl0", Kind: "ipvlan", NSID: -1}}, "", daemon.AttachHost, []Result{OK, Warning}, "1 of ipvlan"},
		{"ipvlan, inside", list{{Name: "ipvl0", Kind: "ipvlan", NSID: -1}}, "", daemon.AttachAuto, []Result{OK}, "1 ipvlan"},
		{"Cilium", list{{Name: "cilium_host", Kind: "veth", NSID: -1}, veth("lxc12ab")}, "", daemon.AttachAuto, []Result{OK, OK}, "the pod's own end is watched"},
		{"Cilium, host", list{{Name: "cilium_host", Kind: "veth", NSID: -1}, veth("lxc12ab")}, "", daemon.AttachHost, []Result{OK, Warning}, "one direction alone"},
	} {
		conf := daemon.DefaultConfig().Capture
		conf.Attach = c.attach
		if c.exclude != "" {
			conf.Exclude = []string{c.exclude}
		}
		got := judgeLinks(c.list, &conf)
		var results []Result
		text := ""
		for _, f := range got {
			results = append(results, f.Result)
			text += f.Found + "\n"
		}
		if !slices.Equal(results, c.want) || !strings.Contains(text, c.text) {
			t.Errorf("%s: got %v\n%swant %v with %q", c.name, results, text, c.want, c.text)
		}
	}
}

// TestRuntimes: a runtime that asking would start is not asked.
func TestRuntimes(t *testing.T) {
	for _, r := range workload.Runtimes() {
		if !r.Starts() {
			continue
		}
		path := filepath.Join(t.TempDir(), "s")
		r.Sockets = []string{path}
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		for _, f := range runtimes(t.Context(), []workload.Runtime{r}) {
			wantFinding(t, f, OK, r.Name)
		}
		l.SetDeadline(time.Now().Add(20 * time.Millisecond))
		if c, err := l.Accept(); err == nil {
			c.Close()
			t.Errorf("%s was asked", r.Name)
		}
	}
}

func TestStatus(t *testing.T) {
	for _, c := range []struct {
		status daemon.Status
		want   string
	}{
		{daemon.Status{Version: "v1", Ready: true, Rules: 3}, "daemon ok"},
		{daemon.Status{Version: "v0", Ready: true}, "daemon warning"},
		{daemon.Status{Version: "v1"}, "daemon warning"},
		{daemon.Status{Version: "v1", Ready: true, NotWatched: []daemon.NotWatched{{Interface: "veth1", Why: "no memory"}}}, "daemon ok, not watched warning"},
		{daemon.Status{Version: "v1", Ready: true, Interfaces: []daemon.InterfaceStatus{{Packets: 997, Drops: 2, LeftOut: 1}}}, "daemon ok, loss warning"},
		{daemon.Status{Version: "v1", Ready: true, Interfaces: []daemon.InterfaceStatus{{Packets: 9999, Drops: 1}}}, "daemon ok"},
		{daemon.Status{Version: "v1", Ready: true, Warnings: []string{"the disk is full"}}, "daemon ok, warning warning"},
	} {
		var got []string
		for _, f := range judgeStatus(&c.status, "v1") {
			got = append(got, f.Check+" "+string(f.Result))
		}
		if text := strings.Join(got, ", "); text != c.want {
			t.Errorf("%+v: got %s, want %s", c.status, text, c.want)
		}
	}
}

func TestRules(t *testing.T) {
	conf := daemon.DefaultConfig()
	dir := t.TempDir()
	conf.Paths.Policy, conf.Paths.Rules = dir, []string{dir}
	wantFinding(t, rulesAndPolicy(conf), OK, "0 groups")
	if err := os.WriteFile(filepath.Join(dir, "bad.toml"), []byte("[[rules]]\nid = 'a'\nregexp = 'x'\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	wantFinding(t, rulesAndPolicy(conf), Problem, "bad.toml:3")
}

func TestWriteTable(t *testing.T) {
	var b bytes.Buffer
	if err := WriteTable(&b, []Finding{ok("kernel", "Linux 6"), bad("clock", Warning, "wrong", "run chrony")}); err != nil {
		t.Fatal(err)
	}
	const want = "CHECK   RESULT   FOUND\nkernel  ok       Linux 6\nclock   warning  wrong\n                 -> run chrony\n\n1 ok, 1 warnings, 0 problems\n"
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
	if Failed([]Finding{{Result: Warning}}) || !Failed([]Finding{{Result: OK}, {Result: Problem}}) {
		t.Error("Failed is wrong")
	}
}

func TestSome(t *testing.T) {
	if got := some(strings.Fields("a b c d e f g h i j")); got != "a, b, c, d, e, f, g, h and 2 more" {
		t.Error(got)
	}
	if got := some(nil); got != "none" {
		t.Error(got)
	}
}
