package weir_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/daemon"
)

// guestUnit makes the watchdog and restarts quick, and never gives up.
const guestUnit = `[Unit]
StartLimitIntervalSec=0
[Service]
WatchdogSec=6s
RestartSec=200ms
Environment=GOMAXPROCS=2
`

// TestGuest installs Weir on a machine with systemd and has it do there what a unit does: start, reload, restart, stop, come back after a
// crash, after a stop of the whole process and after a lane that hangs.
func TestGuest(t *testing.T) {
	needs(t, "systemd-nspawn", "nsenter", "unshare", "ip", "tcpreplay", "make")
	dir := t.TempDir()
	installTree(t, dir+"/tree")
	command(t, "go", "build", "-o", dir+"/tree/usr/local/bin/hang", "./testdata/hang")
	w := guestWeir{bootGuest(t, dir)}

	w.run("test ! -e /run/weir/weir.sock && systemctl start weir && test -S /run/weir/weir.sock")
	if got := w.status(); got != "watching 0 interfaces, 208 rules" {
		t.Errorf("status after the start: %s", got)
	}
	w.plug("shop", "veth0", "10.1.0.1/24")
	w.until("the veth to be watched", func() bool { return w.status() == "watching 1 interfaces, 208 rules" })

	for _, part := range []struct {
		name string
		show func()
	}{
		{"watches", w.watches}, {"reloads", w.reloads}, {"restarts", w.restarts}, {"brokers", w.brokers}, {"is sandboxed", w.sandboxed}, {"drains", w.drains},
		{"comes back", w.comesBack}, {"hangs", w.hangs},
	} {
		begun := time.Now()
		part.show()
		t.Logf("%s: %s", part.name, time.Since(begun).Round(100*time.Millisecond))
	}
}

// installTree is `make install` into a folder, with the test's rule and drop-in, and frames to send.
func installTree(t *testing.T, tree string) {
	command(t, "make", "-s", "install", "DESTDIR="+tree)
	writeTree(t, tree+"/etc/weir/rules.d/test.toml", evasionRule)
	writeTree(t, tree+"/etc/systemd/system/weir.service.d/test.conf", guestUnit)
	folder := tree + "/usr/local/share/frames/"
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	for port := range uint16(20) {
		writePcap(t, fmt.Sprintf("%s%d.pcap", folder, 30000+port), request(t, 30000+port))
	}
	open := request(t, 31000)
	writePcap(t, folder+"open.pcap", open[:len(open)-7]) // neither answered nor closed
	d, err := parseDialogue("tcp 31001 80\n> POST / HTTP/1.1\\r\\nHost: a\\r\\nContent-Length: 16\\r\\n\\r\\nHANG HERE please")
	if err != nil {
		t.Fatal(err)
	}
	writePcap(t, folder+"hang.pcap", play(t, d, ways[0], wrappings()[0]))
}

type guestWeir struct{ *guest }

// plug makes a network namespace with a veth to the host.
func (w guestWeir) plug(ns, host, address string) {
	w.t.Helper()
	w.run(fmt.Sprintf(`ip netns add %[1]s && ip link add %[2]s type veth peer name eth0 netns %[1]s && ip -n %[1]s addr add %[3]s dev eth0 &&
		ip netns exec %[1]s sysctl -qw net.ipv6.conf.all.disable_ipv6=1 && sysctl -qw net.ipv6.conf.%[2]s.disable_ipv6=1 &&
		ip link set %[2]s up && ip -n %[1]s link set eth0 up`, ns, host, address))
}

func (w guestWeir) send(ns, frames string) {
	w.t.Helper()
	w.run(fmt.Sprintf("ip netns exec %s tcpreplay -q -i eth0 /usr/local/share/frames/%s.pcap", ns, frames))
}

// guestAlert is what the test reads of an alert.
type guestAlert struct {
	Type        string `json:"event_type"`
	Iface       string `json:"in_iface"`
	SrcPort     uint16 `json:"src_port"`
	CaptureFile string `json:"capture_file"`
	Flow        *struct{ Reason string }
	Weir        struct {
		Rule, Slice string
		Src         struct{ Name string }
	}
}

// events are the events that have reached the file, of one type and client's port.
func (w guestWeir) events(typ string, port uint16) (out []guestAlert) {
	w.t.Helper()
	for line := range strings.Lines(w.run("cat /var/log/weir/eve.json")) {
		var a guestAlert
		if err := json.Unmarshal([]byte(line), &a); err != nil {
			if strings.HasSuffix(line, "\n") {
				w.t.Fatalf("eve.json: %v: %q", err, line)
			}
			continue // it is being written
		}
		if a.Type == typ && a.SrcPort == port {
			out = append(out, a)
		}
	}
	return out
}

// finds sends a token from a namespace and waits for the alert.
func (w guestWeir) finds(ns string, port uint16) guestAlert {
	w.t.Helper()
	w.send(ns, fmt.Sprint(port))
	var found []guestAlert
	w.until(fmt.Sprintf("the alert of port %d from %s", port, ns), func() bool {
		found = w.events("alert", port)
		return len(found) > 0
	})
	if a := found[0]; len(found) > 1 || a.Weir.Rule != "test.token" {
		w.t.Errorf("port %d: got %+v", port, found)
	}
	return found[0]
}

// says is what weir status says.
func (w guestWeir) says() (s daemon.Status) {
	w.t.Helper()
	if err := json.Unmarshal([]byte(w.run("weir status -o json")), &s); err != nil {
		w.t.Fatal(err)
	}
	return s
}

// watches shows that the sandbox leaves Weir what it needs: rings, names, events, slices, the control socket and metrics.
func (w guestWeir) watches() {
	w.t.Helper()
	w.until("the veth to be named", func() bool { return w.says().Interfaces[0].Workload == "shop" })
	a := w.finds("shop", 30000)
	if a.Iface != "veth0" || a.Weir.Src.Name != "shop" {
		w.t.Errorf("the alert says %+v: want the interface and the workload's name", a)
	}
	w.until("weir status to show what was seen", func() bool {
		s := w.says()
		return s.Ready && s.Interfaces[0].Name == "veth0" && s.Interfaces[0].Packets > 0
	})
	out := w.run(`exec 3<>/dev/tcp/127.0.0.1/9477 && printf 'GET /metrics HTTP/1.0\r\n\r\n' >&3 && cat <&3`)
	if !strings.Contains(out, "\nweir_interfaces 1\n") {
		w.t.Errorf("metrics:\n%.500s", out)
	}
	if out := w.run("journalctl -u weir -o cat -p warning"); out != "" {
		w.t.Errorf("warnings in the journal:\n%s", out)
	}
	if out := w.run("journalctl -u weir -o cat -p info"); !strings.Contains(out, "\nmsg=ready status=") {
		w.t.Errorf("the journal has no plain line of the start:\n%s", out)
	}
}

// sandboxed looks at the process from outside, and at the file system with its eyes.
func (w guestWeir) sandboxed() {
	w.t.Helper()
	unit, err := os.ReadFile("systemd/weir.service")
	if err != nil {
		w.t.Fatal(err)
	}
	bits := map[string]int{"CAP_DAC_READ_SEARCH": 2, "CAP_NET_BROADCAST": 11, "CAP_NET_ADMIN": 12, "CAP_NET_RAW": 13, "CAP_SYS_PTRACE": 19}
	caps := uint64(0)
	list := regexp.MustCompile(`(?m)^CapabilityBoundingSet=(.*)$`).FindSubmatch(unit)
	for c := range strings.FieldsSeq(string(list[1])) {
		bit, known := bits[c]
		if !known {
			w.t.Errorf("the unit has %s: is it needed? then add it here too", c)
		}
		caps |= 1 << bit
	}
	proc := w.run("cat /proc/" + w.pid() + "/status")
	for _, c := range []string{"CapPrm", "CapEff", "CapBnd"} {
		if want := fmt.Sprintf("%s:\t%016x\n", c, caps); !strings.Contains(proc, want) {
			w.t.Errorf("/proc/PID/status has not %q:\n%s", want, proc)
		}
	}
	if !strings.Contains(proc, "\nNoNewPrivs:\t1\n") || !strings.Contains(proc, "\nSeccomp:\t2\n") {
		w.t.Errorf("new privileges or every system call are allowed:\n%s", proc)
	}
	limits := w.run("cat /proc/" + w.pid() + "/limits /proc/" + w.pid() + "/oom_score_adj")
	if !regexp.MustCompile(`Max core file size +0 +0 `).MatchString(limits) || !regexp.MustCompile(`Max open files +16384 `).MatchString(limits) ||
		!strings.HasSuffix(limits, "\n500\n") {
		w.t.Errorf("limits:\n%s", limits)
	}
	if got := w.show("MemoryMax,TasksMax,Type,NRestarts"); got != "Type=notify\nNRestarts=0\nMemoryMax=1610612736\nTasksMax=512\n" {
		w.t.Errorf("the unit in force:\n%s", got)
	}
	for _, d := range []string{"/", "/etc", "/etc/weir", "/etc/weir/rules.d", "/usr", "/usr/share/weir/rules", "/boot", "/srv", "/opt", "/var", "/var/lib", "/var/log",
		"/run", "/run/lock", "/run/netns", "/run/systemd", "/home", "/root", "/sys", "/sys/kernel", "/dev", "/dev/shm", "/dev/mqueue"} {
		if _, err := w.try("test -d " + d); err != nil {
			continue
		}
		if out, err := w.try("nsenter -t " + w.pid() + " -m touch " + filepath.Join(d, "weir-was-here")); err == nil || !strings.Contains(out, "Read-only file system") {
			w.t.Errorf("it can write to %s: %s", d, out)
		}
	}
	if out, err := w.try("nsenter -t " + w.pid() + " -m sh -c 'echo 0 >/proc/sys/net/ipv4/ip_forward'"); err == nil || !strings.Contains(out, "Read-only file system") {
		w.t.Errorf("it can set a kernel parameter: %s", out)
	}
	for _, d := range []string{"/var/lib/weir", "/var/log/weir", "/run/weir", "/tmp"} {
		if out, err := w.try(fmt.Sprintf("nsenter -t %[1]s -m sh -c 'touch %[2]s/x && rm %[2]s/x'", w.pid(), d)); err != nil {
			w.t.Errorf("it cannot write to %s: %s", d, out)
		}
	}
	if got, want := w.run("stat -c '%n %a %U' /var/lib/weir /var/lib/weir/pcap /var/log/weir /var/log/weir/eve.json /run/weir /run/weir/weir.sock /etc/weir"),
		"/var/lib/weir 700 root\n/var/lib/weir/pcap 700 root\n/var/log/weir 750 root\n/var/log/weir/eve.json 640 root\n/run/weir 755 root\n"+
			"/run/weir/weir.sock 660 root\n/etc/weir 755 root\n"; got != want {
		w.t.Errorf("modes:\n%swant\n%s", got, want)
	}
}

// reloads puts another rule in force, then a broken one, which leaves things as they are and is told.
func (w guestWeir) reloads() {
	w.t.Helper()
	pid := w.pid()
	w.run(`sed 's/test.token/test.other/; s/WEIRTOKEN/OTHERTOKEN/' /etc/weir/rules.d/test.toml >/etc/weir/rules.d/other.toml && systemctl reload weir`)
	if got := w.status(); got != "watching 1 interfaces, 209 rules" {
		w.t.Errorf("status after a reload: %s", got)
	}
	w.run(`printf '[[rules]]\nid = "broken"\nregex = "("\n' >/etc/weir/rules.d/broken.toml`)
	if out, err := w.try("systemctl reload weir"); err == nil {
		w.t.Errorf("a reload of a broken rule says nothing is wrong: %s", out)
	}
	if got := w.status(); !strings.Contains(got, "209 rules; the last reload failed, the old rules are in force") {
		w.t.Errorf("status after a reload of a broken rule: %s", got)
	}
	if out := w.run("journalctl -u weir -o cat -p err; weir status"); strings.Count(out, "/etc/weir/rules.d/broken.toml:3:") < 2 {
		w.t.Errorf("neither the journal nor the status say where the broken rule is:\n%s", out)
	}
	w.finds("shop", 30001)
	w.run("rm /etc/weir/rules.d/broken.toml /etc/weir/rules.d/other.toml; kill -HUP " + pid)
	w.until("the reload after SIGHUP", func() bool { return w.status() == "watching 1 interfaces, 208 rules" })
	if got := w.pid(); got != pid {
		w.t.Errorf("it is another process after reloads: %s, was %s", got, pid)
	}
}

func (w guestWeir) restarts() {
	w.t.Helper()
	pid := w.pid()
	w.run("systemctl restart weir")
	if got := w.pid(); got == pid || w.status() != "watching 1 interfaces, 208 rules" {
		w.t.Errorf("after a restart: process %s, was %s; %s", got, pid, w.status())
	}
	w.finds("shop", 30002)
	a := w.events("alert", 30000)[0] // its slice has ended with the process
	if out := w.run("weir pcap pull --alert " + a.Weir.Slice + " -w - | weir replay --rules /etc/weir/rules.d --events alert -"); !strings.Contains(out, "test.token") {
		w.t.Errorf("the slice, replayed:\n%s", out)
	}
}

// drains stops the daemon while a flow is open: all of it is told.
func (w guestWeir) drains() {
	w.t.Helper()
	w.send("shop", "open")
	w.until("the alert of the open flow", func() bool { return len(w.events("alert", 31000)) == 1 })
	w.run("systemctl stop weir && test ! -e /run/weir")
	if out := w.run("journalctl -u weir -o cat -n 3"); !strings.Contains(out, "Deactivated successfully") {
		w.t.Errorf("after the stop:\n%s", out)
	}
	if flows := w.events("flow", 31000); len(flows) != 1 {
		w.t.Errorf("the end of the open flow is not told: %+v", flows)
	}
	a := w.events("alert", 31000)[0]
	w.run("test -s " + a.CaptureFile)
	if out := w.run("ls -A /var/lib/weir/pcap | grep -v '^[0-9].*pcapng$' || true; tail -c1 /var/log/weir/eve.json | od -An -tx1"); out != " 0a\n" {
		w.t.Errorf("left by the stop: %s", out)
	}
	w.run("systemctl start weir")
	w.finds("shop", 30003)
}

// comesBack kills the daemon, then stops all of it: systemd starts it anew.
func (w guestWeir) comesBack() {
	w.t.Helper()
	w.run("kill -9 " + w.pid())
	w.restarted(1)
	w.finds("shop", 30004)
	w.run("kill -STOP " + w.pid())
	w.restarted(2)
	if out := w.run("journalctl -u weir -o cat"); !strings.Contains(out, "Watchdog timeout") || !strings.Contains(out, "Failed with result 'watchdog'") {
		w.t.Errorf("not the watchdog ended what was stopped:\n%s", out)
	}
	w.finds("shop", 30005)
}

// restarted waits until systemd has started the unit anew for the n-th time, and it is ready.
func (w guestWeir) restarted(n int) {
	w.t.Helper()
	want := []string{"ActiveState=active", fmt.Sprintf("NRestarts=%d", n)}
	w.until(fmt.Sprintf("start number %d by systemd", n), func() bool {
		got := strings.Fields(w.show("NRestarts,ActiveState"))
		slices.Sort(got)
		return slices.Equal(got, want)
	})
}

// hangs has one lane hang, in a dissector: what the other lane serves is inspected until systemd ends it all, saying why.
func (w guestWeir) hangs() {
	w.t.Helper()
	w.run(`printf '[Service]\nExecStart=\nExecStart=/usr/local/bin/hang\n' >/etc/systemd/system/weir.service.d/hang.conf && systemctl daemon-reload && systemctl restart weir`)
	w.plug("bank", "veth1", "10.1.0.3/24")
	w.until("two veths to be watched", func() bool { return w.status() == "watching 2 interfaces, 208 rules" })
	w.finds("shop", 30006)
	begun := time.Now()
	w.send("shop", "hang")
	w.finds("bank", 30007)
	w.until("the hang to be told", func() bool { return strings.HasPrefix(w.status(), "hangs: veth0 has not been served for") })
	w.finds("bank", 30008)
	w.restarted(1)
	w.t.Logf("a lane that hangs is ended and started anew after %s", time.Since(begun).Round(100*time.Millisecond))
	log := w.run("journalctl -u weir -o cat --since=-2min")
	for _, want := range []string{`msg="hangs: systemd starts it anew if that goes on" problem="veth0 has not been served for`, "Failed with result 'watchdog'", "main.hanging.Feed"} {
		if !strings.Contains(log, want) {
			w.t.Errorf("the journal has not %q:\n%.8000s", want, log)
		}
	}
	w.finds("shop", 30009)
	w.finds("bank", 30010)
}
