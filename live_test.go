package weir_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
)

// needs skips the test where it cannot run, saying why.
func needs(t testing.TB, tools ...string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, for network namespaces and packet sockets")
	}
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs %s: %v", tool, err)
		}
	}
}

// command runs a program to its end.
func command(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// veth makes a namespace with a pair of veths, removed with the test.
func veth(t *testing.T) (ns string) {
	ns = fmt.Sprintf("weir-live-%d", os.Getpid())
	command(t, "ip", "netns", "add", ns)
	t.Cleanup(func() { command(t, "ip", "netns", "del", ns) })
	command(t, "ip", "netns", "exec", ns, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1")
	command(t, "ip", "-n", ns, "link", "add", "veth0", "type", "veth", "peer", "name", "far0")
	command(t, "ip", "-n", ns, "link", "set", "veth0", "mtu", "9000", "up")
	command(t, "ip", "-n", ns, "link", "set", "far0", "mtu", "9000", "up")
	return ns
}

// daemonProcess is a running `weir run` of a test.
type daemonProcess struct {
	t    testing.TB
	bin  string
	dir  string
	conf string
	cmd  *exec.Cmd
	log  chan string // its lines on stderr
	done chan error
}

// startDaemon starts the daemon in a namespace and waits until it is ready. capture is lines for that table.
func startDaemon(t testing.TB, bin, ns, rules string, capture ...string) *daemonProcess {
	d := &daemonProcess{t: t, bin: bin, dir: t.TempDir(), log: make(chan string, 1000), done: make(chan error, 1)}
	d.conf = filepath.Join(d.dir, "weir.toml")
	list := ""
	if rules != "" {
		list = fmt.Sprintf("%q", rules)
	}
	text := fmt.Sprintf("[paths]\nstate = %q\nlog = %q\nrun = %q\nrules = [%s]\n[capture]\ninclude = [\"veth*\"]\n%s\n[metrics]\nlisten = \"\"\n[alerts]\nburst = 100000\n",
		d.dir+"/state", d.dir+"/log", d.dir+"/run", list, strings.Join(capture, "\n"))
	if err := os.WriteFile(d.conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	fetchRules(t, d.dir+"/state")
	d.launch(ns)
	keepRules(t, d.dir+"/state")
	return d
}

// launch starts the daemon as it is configured, and waits until it is ready.
func (d *daemonProcess) launch(ns string) {
	d.t.Helper()
	if ok := <-d.begin(ns); !ok {
		d.t.Fatalf("the daemon did not become ready:\n%s", d.lines())
	}
}

// begin starts the daemon as it is configured. The channel says whether it became ready.
func (d *daemonProcess) begin(ns string) <-chan bool {
	t := d.t
	t.Helper()
	d.cmd = exec.Command("ip", "netns", "exec", ns, d.bin, "run", "--config", d.conf)
	cmd := d.cmd
	pipe, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	ready := make(chan bool, 1)
	go func() {
		for s := bufio.NewScanner(pipe); s.Scan(); {
			if strings.Contains(s.Text(), "msg=ready") {
				ready <- true
			}
			select {
			case d.log <- s.Text():
			default:
			}
		}
		close(ready)
		d.done <- cmd.Wait()
	}()
	return ready
}

// replace changes the configuration, for the next launch.
func (d *daemonProcess) replace(old, text string) {
	d.t.Helper()
	conf, err := os.ReadFile(d.conf)
	if err == nil && !strings.Contains(string(conf), old) {
		err = fmt.Errorf("%q is not in the configuration", old)
	}
	if err == nil {
		err = os.WriteFile(d.conf, []byte(strings.Replace(string(conf), old, text, 1)), 0o600)
	}
	if err != nil {
		d.t.Fatal(err)
	}
}

func (d *daemonProcess) lines() string {
	var b strings.Builder
	for {
		select {
		case line := <-d.log:
			b.WriteString(line + "\n")
		default:
			return b.String()
		}
	}
}

// waitPackets waits until the daemon has read n packets.
func (d *daemonProcess) waitPackets(n int) {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	for tick := time.NewTicker(50 * time.Millisecond); ; {
		var s struct {
			Interfaces []struct{ Packets, Drops int }
		}
		out := command(d.t, d.bin, "status", "--config", d.conf, "-o", "json")
		if err := json.Unmarshal([]byte(out), &s); err != nil {
			d.t.Fatal(err)
		}
		if len(s.Interfaces) > 0 && s.Interfaces[0].Packets+s.Interfaces[0].Drops >= n {
			if s.Interfaces[0].Drops > 0 {
				d.t.Fatalf("the ring dropped %d of %d frames", s.Interfaces[0].Drops, n)
			}
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			d.t.Fatalf("%d packets were sent, the daemon says: %s\n%s", n, out, d.lines())
		}
	}
}

// stop ends the daemon as systemd does, and returns eve.json.
func (d *daemonProcess) stop() []byte {
	d.t.Helper()
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		d.t.Fatal(err)
	}
	if err := <-d.done; err != nil {
		d.t.Fatalf("the daemon ended with %v\n%s", err, d.lines())
	}
	eve, err := os.ReadFile(d.dir + "/log/eve.json")
	if err != nil {
		d.t.Fatal(err)
	}
	return eve
}

// writePcap writes frames as a capture file.
func writePcap(t testing.TB, path string, frames [][]byte) {
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := pcapgo.NewWriter(f)
	if err := w.WriteFileHeader(1<<18, layers.LinkTypeEthernet); err != nil {
		t.Fatal(err)
	}
	for i, data := range frames {
		ci := gopacket.CaptureInfo{Timestamp: time.Unix(1_700_000_000, int64(i)*1000), CaptureLength: len(data), Length: len(data)}
		if err := w.WritePacket(ci, data); err != nil {
			t.Fatal(err)
		}
	}
}

// TestCasesLive plays the cases with tcpreplay onto a veth that the daemon watches: the same alerts as from a file.
func TestCasesLive(t *testing.T) {
	needs(t, "ip", "tcpreplay")
	bin := buildWeir(t)
	groups := map[string][]*testCase{}
	for _, c := range loadCases(t) {
		if c.policy != nil { // a daemon has one policy: see TestCasesHeld
			continue
		}
		groups[string(c.rulesText())] = append(groups[string(c.rulesText())], c)
	}
	for _, list := range groups {
		t.Run(list[0].name, func(t *testing.T) { playLive(t, bin, list) })
	}
}

type livePlay struct {
	c    *testCase
	what string
}

func playLive(t *testing.T, bin string, list []*testCase) {
	ns := veth(t)
	plays := map[uint16]livePlay{} // by client port
	var frames [][]byte
	port := uint16(10000)
	for _, c := range list {
		for _, wrap := range wrappings() {
			for _, w := range ways {
				// Every way over plain IPv4 and IPv6, every wrapping whole: the rest from files is enough.
				if w.name != "whole" && !strings.HasPrefix(wrap.name, "plain") {
					continue
				}
				if c.dialogue.udp && w.name != "whole" || c.dialogue.not == w.name {
					continue
				}
				if strings.HasPrefix(c.name, "tunnel-dns-") && wrap.name != "plain/v4" {
					continue // a domain is told of once, whoever asks for its names
				}
				port++
				d := *c.dialogue
				d.client = port
				plays[port] = livePlay{c, wrap.name + ", " + w.name}
				frames = append(frames, play(t, &d, w, wrap)...)
			}
		}
	}
	d := startDaemon(t, bin, ns, list[0].rules)
	file := filepath.Join(t.TempDir(), "cases.pcap")
	writePcap(t, file, frames)
	command(t, "ip", "netns", "exec", ns, "tcpreplay", "-q", "-i", "far0", "--pps=20000", file)
	d.waitPackets(len(frames))
	got := map[uint16][]expectation{}
	for line := range strings.Lines(string(d.stop())) {
		var ev struct {
			Type    string `json:"event_type"`
			App     string `json:"app_proto"`
			SrcPort uint16 `json:"src_port"`
			Weir    struct {
				Rule    string
				Matches []struct{ Field string }
			}
		}
		if err := json.Unmarshal([]byte(line), &ev); err != nil {
			t.Fatalf("eve.json: %v", err)
		}
		if ev.Type != "alert" && ev.Type != "info" {
			continue
		}
		x := expectation{Type: ev.Type, Rule: ev.Weir.Rule, App: ev.App}
		if len(ev.Weir.Matches) > 0 {
			x.Field = ev.Weir.Matches[0].Field
		}
		x.forgetApp()
		got[ev.SrcPort] = append(got[ev.SrcPort], x)
	}
	for port, p := range plays {
		if want := sorted(p.c.want); !reflect.DeepEqual(sorted(got[port]), want) {
			t.Errorf("%s, %s:\n got %s\nwant %s", p.c.name, p.what, text(sorted(got[port])), text(want))
		}
	}
	t.Logf("%d conversations, %d frames", len(plays), len(frames))
}
