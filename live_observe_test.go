package weir_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// weir runs a command that asks d, and returns what it prints on both ways out, and its exit status.
func (d *daemonProcess) weir(args ...string) (stdout, stderr string, status int) {
	d.t.Helper()
	cmd := exec.Command(d.bin, append(args, "--config", d.conf)...)
	var out, err bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &err
	var exit *exec.ExitError
	if e := cmd.Run(); e != nil && !errors.As(e, &exit) {
		d.t.Fatal(e)
	}
	return out.String(), err.String(), cmd.ProcessState.ExitCode()
}

// reader is a command that follows d, and what it has printed so far.
type reader struct {
	cmd *exec.Cmd
	mu  sync.Mutex
	out []string
}

// follow starts a command that goes on until it is interrupted.
func (d *daemonProcess) follow(args ...string) *reader {
	d.t.Helper()
	r := &reader{cmd: exec.Command(d.bin, append(args, "--config", d.conf)...)}
	pipe, err := r.cmd.StdoutPipe()
	if err != nil {
		d.t.Fatal(err)
	}
	r.cmd.Stderr = os.Stderr
	if err := r.cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { r.cmd.Process.Kill() })
	go func() {
		lines := bufio.NewScanner(pipe)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			r.mu.Lock()
			r.out = append(r.out, lines.Text())
			r.mu.Unlock()
		}
	}()
	return r
}

func (r *reader) text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.out, "\n")
}

// stop interrupts the command, as a user does who has seen enough.
func (r *reader) stop(t *testing.T) {
	t.Helper()
	if err := r.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Wait(); err != nil {
		t.Errorf("after an interrupt: %v", err)
	}
}

// dialogueFrames are the frames of a dialogue.
func dialogueFrames(t *testing.T, text string) [][]byte {
	t.Helper()
	d, err := parseDialogue(text)
	if err != nil {
		t.Fatal(err)
	}
	return play(t, d, ways[0], wrappings()[0])
}

const query = `udp 40001 53
> \x124\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x03org\x00\x00\x01\x00\x01
< \x124\x81\x83\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x03org\x00\x00\x01\x00\x01`

// TestLiveObserve follows all events, and those that filters let through, while they happen.
func TestLiveObserve(t *testing.T) {
	needs(t, "ip", "tcpreplay")
	ns := veth(t)
	d := startDaemon(t, buildWeir(t), ns, liveRules(t))
	if _, stderr, status := d.weir("observe"); status != 0 || !strings.Contains(stderr, "no events: the daemon's memory has none, and it reaches back to ") {
		t.Errorf("before anything was seen: %d, %q", status, stderr)
	}
	all, dns, alerts := d.follow("observe", "-f"), d.follow("observe", "-f", "--protocol", "dns", "-o", "json"), d.follow("alerts", "-f", "--severity", "high")
	frames := append(dialogueFrames(t, query), request(t, 30001)...)
	sent := 0
	until(t, "the first events", func() bool { // the followers may come later than the packets
		d.send(ns, frames)
		sent += len(frames)
		return strings.Contains(all.text(), "NXDOMAIN") && strings.Contains(all.text(), "POST a/") && strings.Contains(all.text(), "test.token: ") && dns.text() != "" && alerts.text() != ""
	})
	for _, want := range []string{
		`(?m)^[0-9:. -]{18}  allowed   10\.1\.0\.1:40001 → 10\.1\.0\.2:53 +dns +A example\.org$`,
		`(?m)^[0-9:. -]{18}  allowed   10\.1\.0\.2:53 → 10\.1\.0\.1:40001 +dns +A example\.org NXDOMAIN$`,
		`(?m)^[0-9:. -]{18}  allowed   10\.1\.0\.1:30001 → 10\.1\.0\.2:80 +http +POST a/ 204`,
		`(?m)^[0-9:. -]{18}  high      10\.1\.0\.1:30001 → 10\.1\.0\.2:80 +http +test\.token: http\.request\.body .* slice [0-9a-f]{16}$`,
	} {
		if !regexp.MustCompile(want).MatchString(all.text()) {
			t.Errorf("weir observe -f: no line as %s in\n%s", want, all.text())
		}
	}
	for line := range strings.Lines(dns.text()) {
		var ev struct {
			Type string `json:"event_type"`
			App  string `json:"app_proto"`
		}
		if err := json.Unmarshal([]byte(line), &ev); err != nil || ev.App != "dns" {
			t.Errorf("weir observe --protocol dns: %v: %s", err, line)
		}
	}
	all.stop(t)
	dns.stop(t)
	alerts.stop(t)
	past, _, _ := d.weir("observe", "--since", "5m")
	last, _, _ := d.weir("observe", "--last", "2")
	if n := strings.Count(last, "\n"); n != 3 || !strings.Contains(past, "NXDOMAIN") {
		t.Errorf("of the past: %d lines, want a head and 2:\n%s\nof 5 minutes:\n%s", n, last, past)
	}
	if out, stderr, _ := d.weir("observe", "--protocol", "tls"); out != "" || !strings.Contains(stderr, "meets --protocol tls (protocols there are: dns, http)") {
		t.Errorf("a filter that nothing meets: %q, %q", out, stderr)
	}
	for name, text := range map[string]string{"observe": all.text() + past, "json": dns.text(), "alerts": alerts.text()} {
		if strings.Contains(text, "WEIRTOKEN-7f3a91") {
			t.Errorf("%s shows what was found", name)
		}
	}
	// Alerts outlive the daemon.
	d.stop()
	if out, stderr, status := d.weir("alerts", "--since", "1h"); status != 0 || !strings.Contains(out, "test.token") || !strings.Contains(stderr, "the daemon does not run") {
		t.Errorf("without the daemon: %d, %q, %q", status, out, stderr)
	}
	d.launch(ns)
	if out, stderr, status := d.weir("alerts", "--since", "1h"); status != 0 || !strings.Contains(out, "test.token") || strings.Contains(stderr, "does not run") {
		t.Errorf("after a restart: %d, %q, %q", status, out, stderr)
	}
	stats(t, d.stop(), sent)
}

// stats looks for the events with counters that a daemon writes at its end.
func stats(t *testing.T, eve []byte, packets int) {
	t.Helper()
	for line := range bytes.Lines(eve) {
		var ev struct {
			Type  string `json:"event_type"`
			Stats struct {
				Uptime  *int
				Capture struct {
					Packets int  `json:"kernel_packets"`
					Drops   *int `json:"kernel_drops"`
				}
			}
		}
		if err := json.Unmarshal(line, &ev); err != nil {
			t.Fatal(err)
		}
		if ev.Type == "stats" {
			if ev.Stats.Uptime == nil || ev.Stats.Capture.Drops == nil || ev.Stats.Capture.Packets < packets {
				t.Errorf("stats: %s, want %d packets", line, packets)
			}
			return
		}
	}
	t.Error("no stats event")
}

// workloadNS makes a namespace with a veth into ns and an address, removed with the test.
func workloadNS(t *testing.T, ns, iface, addr string) (name string) {
	name = fmt.Sprintf("weir-shop-%d", os.Getpid())
	command(t, "ip", "netns", "add", name)
	t.Cleanup(func() { command(t, "ip", "netns", "del", name) })
	command(t, "ip", "netns", "exec", name, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1")
	command(t, "ip", "-n", ns, "link", "add", iface, "type", "veth", "peer", "name", "eth0", "netns", name)
	command(t, "ip", "-n", name, "addr", "add", addr, "dev", "eth0")
	command(t, "ip", "-n", name, "link", "set", "eth0", "mtu", "9000", "up")
	command(t, "ip", "-n", ns, "link", "set", iface, "mtu", "9000", "up")
	return name
}

// TestLivePull pulls packets that no alert was raised by, and those of an alert whose slice is still being written.
func TestLivePull(t *testing.T) {
	needs(t, "ip", "tcpreplay", "tshark")
	ns := veth(t)
	shop := workloadNS(t, ns, "veth1", "10.1.0.1/24")
	d := startDaemon(t, buildWeir(t), ns, liveRules(t), "[pcap]\npost = \"10m\"\n")
	plain := dialogueFrames(t, "tcp 30001 80\n> GET /nothing HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n\n< HTTP/1.1 204 x\\r\\n\\r\\n")
	d.send(ns, plain) // on veth0, whose other end nobody is
	file := filepath.Join(t.TempDir(), "shop.pcap")
	found := request(t, 30002)
	found = found[:len(found)-3] // the connection stays open, and with it the slice
	writePcap(t, file, append(dialogueFrames(t, query), found...))
	command(t, "ip", "netns", "exec", shop, "tcpreplay", "-q", "-i", "eth0", "--pps=20000", file)
	until(t, "the alert", func() bool { return alerts(t, d.eve(), "test.token") == 1 })
	until(t, "all packets", func() bool { return d.packets("veth0") == len(plain) && d.packets("veth1") == len(found)+2 })

	alert := d.alert("test.token")
	out := filepath.Join(t.TempDir(), "out.pcapng")
	for _, c := range []struct {
		args []string
		want int
	}{
		{[]string{"port 30001"}, len(plain)},
		{[]string{"host 10.1.0.1 and not udp"}, len(plain) + len(found)},
		{[]string{"workload " + shop}, len(plain) + len(found) + 2}, // by the address it has, and by its interface
		{[]string{"workload " + shop + " and udp"}, 2},
		{[]string{fmt.Sprintf("flow %d", alert.FlowID)}, len(found)},
		{[]string{fmt.Sprintf("community-id %q", alert.CommunityID)}, len(found)},
		{[]string{"rule test.token"}, len(found)},
		{[]string{"--alert", alert.Weir.Slice}, len(found)},
		{[]string{"after 10m ago"}, len(plain) + len(found) + 2},
	} {
		stdout, stderr, status := d.weir(append([]string{"pcap", "pull", "-w", out}, c.args...)...)
		if want := fmt.Sprintf("packets: %d,", c.want); status != 0 || !strings.Contains(stdout, want) {
			t.Errorf("pull %v: %d, %s%swant %s", c.args, status, stdout, stderr, want)
		}
		if c.args[0] == "--alert" && !strings.Contains(stderr, "still being written: 1 slice;") {
			t.Errorf("pull %v: that it is not complete is not said: %q", c.args, stderr)
		}
		if n := strings.Count(command(t, "tshark", "-r", out), "\n"); n < c.want { // root is warned on top
			t.Errorf("pull %v: tshark reads %d packets, want %d", c.args, n, c.want)
		}
	}
	if text := command(t, "tshark", "-r", out, "-T", "fields", "-e", "frame.interface_name", "-e", "frame.interface_description"); !strings.Contains(text, "veth1\t"+shop) || !strings.Contains(text, "veth0") {
		t.Errorf("interfaces: %.2000s", text)
	}
	if stdout, _, _ := d.weir("pcap", "pull", "--alert", alert.Weir.Slice, "--format", "table"); !strings.Contains(stdout, "test.token: http.request.body") || strings.Contains(stdout, "WEIRTOKEN-7f3a91") {
		t.Errorf("as a table:\n%s", stdout)
	}
	d.emptyPulls(shop)
	if log := d.lines(); !regexp.MustCompile(`packets pulled" from=memory packets=\d+ looked=\d+ uid=0 pid=\d+ query="rule test.token"`).MatchString(log) ||
		!regexp.MustCompile(`packets pulled" from=slices packets=\d+ looked=\d+ uid=0 pid=\d+ query="alert `+alert.Weir.Slice).MatchString(log) {
		t.Errorf("who pulled what is not in the log:\n%s", log)
	}
	d.stop()
	stdout, stderr, status := d.weir("pcap", "pull", "-w", out, "--alert", alert.Weir.Slice)
	if want := fmt.Sprintf("packets: %d, slices: 1, only in memory: 0", len(found)); status != 0 || !strings.Contains(stdout, want) || stderr != "" {
		t.Errorf("after the daemon's end: %d, %q, %q, want %s", status, stdout, stderr, want)
	}
	if stdout, _, _ = d.weir("pcap", "ls", "-o", "json"); !strings.Contains(stdout, `"reach": "20`) || !strings.Contains(stdout, `"overwritten": 0`) {
		t.Errorf("how far the slice goes back is not told: %s", stdout)
	}
}

// emptyPulls pulls what is not there: each answer says why.
func (d *daemonProcess) emptyPulls(shop string) {
	d.t.Helper()
	for _, c := range []struct{ query, want string }{
		{"host 192.0.2.99", `in memory [0-9]+ packets of 3 interfaces were looked at, back to: veth[01] .* ago, veth[01] .* ago, veth1/lo nothing yet`},
		{"before 1d ago", `is outside the retention: the oldest packet of a slice is from .*; in memory`},
		{"workload web-99", `no slice has workload web-99, and no interface of it is watched \(watched are: veth0, ` + shop + `\)`},
		{"workload " + shop + "x", `did you mean ` + shop + `\?`},
		{"alert 0123456789abcdef", `no slice has alert 0123456789abcdef`},
	} {
		stdout, stderr, status := d.weir("pcap", "pull", "-w", filepath.Join(d.dir, "none"), c.query)
		if status != 1 || stdout != "" || !regexp.MustCompile(c.want).MatchString(stderr) {
			d.t.Errorf("pull %s: %d, %q, %q, want %s", c.query, status, stdout, stderr, c.want)
		}
	}
}

func (d *daemonProcess) eve() []byte {
	d.t.Helper()
	b, err := os.ReadFile(d.dir + "/log/eve.json")
	if err != nil {
		d.t.Fatal(err)
	}
	return b[:bytes.LastIndexByte(b, '\n')+1]
}

// liveAlert is what tests look at of an alert.
type liveAlert struct {
	FlowID      uint64 `json:"flow_id"`
	CommunityID string `json:"community_id"`
	Weir        struct{ Rule, Slice string }
}

// alert returns the first alert of a rule.
func (d *daemonProcess) alert(rule string) (out liveAlert) {
	d.t.Helper()
	for line := range bytes.Lines(d.eve()) {
		var ev liveAlert
		if err := json.Unmarshal(line, &ev); err != nil {
			d.t.Fatal(err)
		}
		if ev.Weir.Rule == rule && ev.Weir.Slice != "" {
			return ev
		}
	}
	d.t.Fatalf("no alert of %s", rule)
	return out
}

// packets returns how many packets an interface has had.
func (d *daemonProcess) packets(iface string) int {
	d.t.Helper()
	var s struct {
		Interfaces []struct {
			Name    string
			Packets int
		}
	}
	if err := json.Unmarshal([]byte(command(d.t, d.bin, "status", "--config", d.conf, "-o", "json")), &s); err != nil {
		d.t.Fatal(err)
	}
	for _, i := range s.Interfaces {
		if i.Name == iface {
			return i.Packets
		}
	}
	return -1
}

// TestLiveDrops holds the daemon up until its ring overflows: the loss is told, with its number and its interface, in an event, in the status
// and in the counters at the end.
func TestLiveDrops(t *testing.T) {
	needs(t, "ip", "tcpreplay")
	ns := veth(t)
	d := startDaemon(t, buildWeir(t), ns, liveRules(t))
	big := dialogueFrames(t, "tcp 30001 80\n> POST / HTTP/1.1\\r\\nHost: a\\r\\nContent-Length: 40000000\\r\\n\\r\\n\n> \"x\"*200000")
	file := filepath.Join(t.TempDir(), "big.pcap")
	writePcap(t, file, big)
	pid := d.pid()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	out := command(t, "ip", "netns", "exec", ns, "tcpreplay", "-q", "-t", "--loop=100", "-i", "far0", file)
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	var lost, before uint64
	until(t, "the event of the loss", func() bool {
		for line := range bytes.Lines(d.eve()) {
			var ev struct {
				Iface   string `json:"in_iface"`
				Anomaly struct{ Event string }
				Weir    struct {
					Lost   uint64
					Before uint64 `json:"drops_before"`
				}
			}
			if err := json.Unmarshal(line, &ev); err != nil {
				t.Fatal(err)
			}
			if ev.Anomaly.Event == "capture.drops" && ev.Iface == "veth0" {
				lost, before = ev.Weir.Lost, ev.Weir.Before
				return true
			}
		}
		return false
	})
	var s struct {
		Interfaces []struct{ Packets, Drops uint64 }
		Lost       []struct {
			Reason  string
			Count   uint64
			Percent float64
		}
	}
	text := command(t, d.bin, "status", "--config", d.conf, "-o", "json")
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		t.Fatal(err)
	}
	if lost == 0 || lost != before || s.Interfaces[0].Drops < lost || s.Lost[0].Reason != "ring" || s.Lost[0].Count < lost || s.Lost[0].Percent <= 0 {
		t.Errorf("told: %d lost, %d before; status: %s\n%s", lost, before, text, out)
	}
	if table := command(t, d.bin, "status", "--config", d.conf); !regexp.MustCompile(`(?m)^ring +[1-9][0-9]* \([0-9.]+%\)`).MatchString(table) {
		t.Errorf("status:\n%s", table)
	}
	eve := d.stop()
	if !regexp.MustCompile(fmt.Sprintf(`"kernel_drops":%d,`, s.Interfaces[0].Drops)).Match(eve) {
		t.Errorf("the counters at the end do not have the %d drops", s.Interfaces[0].Drops)
	}
}

// pid returns the daemon's own process: ip netns exec becomes it.
func (d *daemonProcess) pid() int { return d.cmd.Process.Pid }
