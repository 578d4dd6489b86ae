package weir_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"weir/daemon"
)

// ours
const (
	stormTime  = 20 * time.Second
	stormEvery = 200 * time.Millisecond
	stormLeast = 50    // reloads; a machine that is slow gets more time
	stormRate  = 5_000 // frames a second: a machine with other things to do carries them too
)

const stormRules = evasionRule + "[[rules]]\nid = \"test.mark\"\nregex = '''WEIRMARK-[0-9]'''\n"

// TestLiveReloadStorm reloads five times a second under load, with rules that change and some that are wrong: no frame is lost, and what is
// cut in two by a reload is found.
func TestLiveReloadStorm(t *testing.T) {
	needs(t, "ip", "tcpreplay")
	ns := veth(t)
	command(t, "ip", "-n", ns, "link", "add", "veth1", "type", "veth", "peer", "name", "far1")
	command(t, "ip", "-n", ns, "link", "set", "veth1", "up")
	command(t, "ip", "-n", ns, "link", "set", "far1", "up")
	s := storm{rules: filepath.Join(t.TempDir(), "rules.toml"), to: openWire(t, ns, "far1"), told: make(chan string, 1000)}
	if err := os.WriteFile(s.rules, []byte(stormRules), 0o600); err != nil {
		t.Fatal(err)
	}
	d := startDaemon(t, buildWeir(t), ns, s.rules)
	s.d, s.client = d, daemon.Dial(d.dir+"/run/weir.sock")
	go s.client.Events(context.Background(), daemon.Ask{Alerts: true, Follow: true, Last: -1}, func(*daemon.Seen) error { return nil }, func(line []byte) error {
		s.told <- string(line)
		return nil
	})
	until(t, "both veths to be watched", func() bool { return len(s.status().Interfaces) == 2 })
	s.reload(1) // compiled once, both sets are kept
	before := map[string]uint64{"veth0": s.packets("veth0"), "veth1": s.packets("veth1")}
	h := links(t, ns)
	sent := map[string]uint64{"veth0": sentBy(t, h, "far0"), "veth1": sentBy(t, h, "far1")}

	stopLoad := loadInLoop(t, ns, stormLoad(t), stormRate)
	tick := time.NewTicker(stormEvery)
	defer tick.Stop()
	n := 0
	begun := time.Now()
	for time.Since(begun) < stormTime || n < stormLeast && time.Since(begun) < 3*stormTime {
		s.cut(n)
		n++
		<-tick.C
	}
	took := time.Since(begun)
	stopLoad()
	sent["veth0"], sent["veth1"] = sentBy(t, h, "far0")-sent["veth0"], sentBy(t, h, "far1")-sent["veth1"]
	until(t, "all frames to be read", func() bool {
		return s.packets("veth0")-before["veth0"]+s.drops() >= sent["veth0"] && s.packets("veth1")-before["veth1"] >= sent["veth1"]
	})
	for name, want := range sent {
		if got := s.packets(name) - before[name]; got != want {
			t.Errorf("%s: %d frames were sent, %d read", name, want, got)
		}
	}
	if drops := s.drops(); drops > 0 {
		t.Errorf("%d frames were dropped", drops)
	}
	if got := alerts(t, d.stop(), "test.token"); got != n || n < stormLeast {
		t.Errorf("%d reloads, each in the middle of a token: %d were found", n, got)
	}
	t.Logf("%d reloads in %s, %d of broken rules, the slowest took %s; %d frames of load", n, took.Round(time.Second), s.broken,
		s.slowest.Round(time.Millisecond), sent["veth0"])
}

// stormLoad is a capture of conversations without a token.
func stormLoad(t *testing.T) string {
	var frames [][]byte
	for port := range uint16(100) {
		d, err := parseDialogue(fmt.Sprintf("tcp %d 80\n> GET /%d HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n\n< HTTP/1.1 200 x\\r\\nContent-Length: 200\\r\\n\\r\\n\n< \"y\"*200\n", 20000+port, port))
		if err != nil {
			t.Fatal(err)
		}
		frames = append(frames, play(t, d, ways[0], wrappings()[0])...)
	}
	file := filepath.Join(t.TempDir(), "storm.pcap")
	writePcap(t, file, frames)
	return file
}

type storm struct {
	d       *daemonProcess
	client  *daemon.Client
	rules   string
	to      *wireEnd
	told    chan string // alerts
	broken  int
	slowest time.Duration
}

// cut sends a token on a connection of its own, with a reload in its middle. A mark before the token tells that its beginning was looked at.
func (s *storm) cut(n int) {
	t := s.d.t
	t.Helper()
	port := 1024 + n
	d, err := parseDialogue(fmt.Sprintf("tcp %d 80\n> POST / HTTP/1.1\\r\\nHost: a\\r\\nContent-Length: 28\\r\\n\\r\\nWEIRMARK-1, WEIRTOKEN-7f\n> 3a91\n"+
		"< HTTP/1.1 204 x\\r\\n\\r\\n", port))
	if err != nil {
		t.Fatal(err)
	}
	const half = 4 // frames: a handshake and the token's beginning
	frames := play(t, d, ways[0], wrappings()[0])
	s.to.send(frames[:half])
	for mark := fmt.Sprintf(`"src_port":%d,`, port); ; {
		select {
		case line := <-s.told:
			if !strings.Contains(line, mark) {
				continue
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("the beginning of request %d was not looked at\n%s", n, s.d.lines())
		}
		break
	}
	s.reload(n)
	s.to.send(frames[half:])
}

// reload puts another set of rules in force, by the control socket or by signal; each fifth is broken, and asked for by command.
func (s *storm) reload(n int) {
	t := s.d.t
	t.Helper()
	text := stormRules
	if n%2 == 1 {
		text += "[[rules]]\nid = \"test.other\"\nregex = '''OTHERTOKEN-[0-9a-f]{6}'''\n"
	}
	if n%5 == 4 {
		text += "[[rules]]\nid = \"test.broken\"\nregex = '''('''\n"
	}
	if err := os.WriteFile(s.rules, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	defer func() { s.slowest = max(s.slowest, time.Since(begun)) }()
	switch {
	case n%5 == 4:
		s.broken++
		if out, err := s.d.reload(); err == nil || !strings.Contains(out, s.rules+":") {
			t.Errorf("a reload of a broken rule: %v, %s", err, out)
		}
	case n%4 < 2:
		if problems, err := s.client.Reload(); err != nil || problems.Failed() {
			t.Errorf("reload: %v, %v", err, problems.Err())
		}
	default:
		before := s.status().RulesLoaded
		if err := s.d.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		until(t, "the reload after SIGHUP", func() bool { return s.status().RulesLoaded.After(before) })
	}
}

func (s *storm) status() *daemon.Status {
	s.d.t.Helper()
	status, err := s.client.Status()
	if err != nil {
		s.d.t.Fatalf("%v\n%s", err, s.d.lines())
	}
	return status
}

func (s *storm) packets(name string) uint64 {
	for _, i := range s.status().Interfaces {
		if i.Name == name {
			return i.Packets
		}
	}
	s.d.t.Fatalf("%s is not watched", name)
	return 0
}

func (s *storm) drops() (n uint64) {
	for _, i := range s.status().Interfaces {
		n += i.Drops
	}
	return n
}
