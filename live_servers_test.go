package weir_test

import (
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// serverAddr is where the servers are, as bridged has it.
const serverAddr = "10.98.0.2"

// liveServer is a real server and what a real client says to it.
type liveServer struct {
	name   string
	port   string // half of them stand where nobody expects them: names do not depend on ports
	app    string // what its flows must be named
	fields string // all in which the token must be found, an expression
	events []string
	talk   func(t *testing.T, lab serverLab)
}

// serverLab is where a server and its client run.
type serverLab struct {
	clients, servers string // namespaces
	dir              string // the server's own, open to the user that it runs as
	port             string
}

// TestLiveServers lets real clients talk to real servers: each is named for what it is, what is said stands in its events, the token that
// is planted in rows, values and messages is found where it is, and nothing else is.
func TestLiveServers(t *testing.T) {
	needs(t, liveNeeds...)
	host, loads := bridged(t, 2)
	d := startDaemon(t, buildWeir(t), host, liveRules(t), "loopback = false") // whether a server listens already is asked from its own namespace
	talkToAll(t, "talk", loads)
	eve := string(d.stop())
	for _, s := range liveServers {
		s.check(t, eve)
	}
}

// liveNeeds are the programs that liveServers takes.
var liveNeeds = []string{"ip", "setpriv", "psql", "mariadbd", "redis-server", "mosquitto", "mosquitto_pub", "nats-server", "epmd", "amqp-publish",
	"memcached", "nginx", "openssl", "curl", "sshd", "ssh", "dnsmasq", "dig", "swaks"}

// talkToAll has clients in the first namespace talk to all of liveServers in the second, at the same time, and waits until the last process has gone.
func talkToAll(t *testing.T, name string, loads []string) {
	t.Run(name, func(t *testing.T) {
		for _, s := range liveServers {
			t.Run(s.name, func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				for _, open := range []string{filepath.Dir(dir), dir} {
					if err := os.Chmod(open, 0o777); err != nil {
						t.Fatal(err)
					}
				}
				s.talk(t, serverLab{clients: loads[0], servers: loads[1], dir: dir, port: s.port})
			})
		}
	})
	until(t, "the end of all that was started", func() bool {
		left := strings.Fields(command(t, "ip", "netns", "pids", loads[1]))
		return len(slices.DeleteFunc(left, func(pid string) bool { return pid == strconv.Itoa(os.Getpid()) })) == 0
	})
}

// check looks at the events of a server's flows.
func (s *liveServer) check(t *testing.T, eve string) {
	t.Helper()
	var fields []string
	missing := slices.Clone(s.events)
	flows := 0
	for line := range strings.Lines(eve) {
		var ev struct {
			Type    string      `json:"event_type"`
			App     string      `json:"app_proto"`
			SrcPort json.Number `json:"src_port"`
			DstPort json.Number `json:"dest_port"`
			Anomaly struct{ Event string }
			Weir    struct {
				Rule    string
				Matches []struct{ Field string }
			}
		}
		if err := json.Unmarshal([]byte(line), &ev); err != nil {
			t.Fatalf("eve.json: %v: %q", err, line)
		}
		if ev.SrcPort.String() != s.port && ev.DstPort.String() != s.port {
			continue
		}
		switch ev.Type {
		case "flow":
			flows++
			if ev.App != s.app {
				t.Errorf("%s: a flow is named %q, want %q: %s", s.name, ev.App, s.app, line)
			}
		case "anomaly":
			t.Errorf("%s: anomaly %s: %s", s.name, ev.Anomaly.Event, line)
		case "alert":
			if ev.Weir.Rule != "test.token" {
				t.Errorf("%s: an alert of %s: %s", s.name, ev.Weir.Rule, line)
				continue
			}
			for _, m := range ev.Weir.Matches {
				fields = append(fields, m.Field)
			}
		}
		missing = slices.DeleteFunc(missing, func(want string) bool { return regexp.MustCompile(want).MatchString(line) })
	}
	slices.Sort(fields)
	if got := strings.Join(slices.Compact(fields), " "); !regexp.MustCompile("^(" + s.fields + ")$").MatchString(got) {
		t.Errorf("%s: the token was found in %q, want %q", s.name, got, s.fields)
	}
	if flows == 0 {
		t.Errorf("%s: no flow", s.name)
	}
	for _, want := range missing {
		t.Errorf("%s: no event has %s", s.name, want)
	}
}

// client runs a program in the clients' namespace to its end.
func (l serverLab) client(t *testing.T, args ...string) string {
	t.Helper()
	return command(t, "ip", append([]string{"netns", "exec", l.clients}, args...)...)
}

// file writes a file into the server's folder.
func (l serverLab) file(t *testing.T, name, text string) (path string) {
	t.Helper()
	path = filepath.Join(l.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// serve starts a server until the test ends, and waits until it answers at its port, asked from where it is: no watched interface sees that.
func (l serverLab) serve(t *testing.T, stop syscall.Signal, args ...string) {
	t.Helper()
	cmd := exec.Command("ip", append([]string{"netns", "exec", l.servers}, args...)...)
	cmd.Dir = l.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	log, err := os.Create(filepath.Join(l.dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	log.Close()
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		syscall.Kill(-cmd.Process.Pid, stop)
		select {
		case <-ended:
		case <-time.After(20 * time.Second):
			t.Errorf("%s does not end when it is told to", args[0])
			syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		}
		if t.Failed() {
			text, _ := os.ReadFile(log.Name())
			t.Logf("%v: %s", args, text)
		}
	})
	for end := time.Now().Add(90 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		open := false
		inside(t, l.servers, func() error {
			c, err := net.DialTimeout("tcp", net.JoinHostPort(serverAddr, l.port), time.Second)
			if err == nil {
				open = true
				c.Close()
			}
			return nil
		})
		if open {
			return
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("%s ended: %v", args[0], err)
		default:
		}
		if time.Now().After(end) {
			t.Fatalf("%s does not answer", args[0])
		}
	}
}

// say connects to the server from the clients' namespace, says lines and reads until each answer that is wanted has come.
func (l serverLab) say(t *testing.T, steps ...[2]string) {
	t.Helper()
	inside(t, l.clients, func() error {
		c, err := net.DialTimeout("tcp", net.JoinHostPort(serverAddr, l.port), 10*time.Second)
		if err != nil {
			return err
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(30 * time.Second))
		buf := make([]byte, 4096)
		for _, s := range steps {
			if _, err := c.Write([]byte(s[0])); err != nil {
				return err
			}
			for got := ""; !strings.Contains(got, s[1]); {
				n, err := c.Read(buf)
				if err != nil {
					return err
				}
				got += string(buf[:n])
			}
		}
		return nil
	})
}
