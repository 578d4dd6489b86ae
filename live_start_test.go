package weir_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"weir/alert"
	"weir/daemon"
)

// refused starts the daemon where it cannot work, and returns its exit status and what it says.
func (d *daemonProcess) refused(wrap ...string) (status int, said string) {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	args := append(wrap, d.bin, "run", "--config", d.conf)
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil || bytes.Contains(out, []byte("msg=ready")) {
		d.t.Fatalf("it runs: %v\n%s", err, out)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

// TestLiveStartRefused starts the daemon where it could not do its work: it says what is wrong, where, and what to do, and does not say that
// it is ready.
func TestLiveStartRefused(t *testing.T) {
	needs(t, "ip", "mount", "setpriv")
	ns := veth(t)
	d := startDaemon(t, buildWeir(t), ns, liveRules(t))
	d.stop()
	conf, err := os.ReadFile(d.conf)
	if err != nil {
		t.Fatal(err)
	}
	inNS := []string{"ip", "netns", "exec", ns}
	full := mountSmall(t, "size=64k")
	if err := fillDisk(full + "/fill"); err != nil {
		t.Fatal(err)
	}
	readOnly := mountSmall(t, "size=64k,ro")
	folder := t.TempDir()
	broken := filepath.Join(folder, "broken.toml")
	writeTree(t, broken, "[[rules]]\nid = \"broken\"\nregex = \"(\"\n")
	var taken net.Listener
	inNamespace(t, ns, func() (err error) {
		if err = exec.Command("ip", "link", "set", "lo", "up").Run(); err == nil {
			taken, err = net.Listen("tcp", "127.0.0.1:0")
		}
		return err
	})
	defer taken.Close()
	for _, c := range []struct {
		name, old, text string
		wrap            []string
		status          int
		want            []string
	}{
		{"no permission for packet sockets", "", "", append([]string{"setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw"}, inNS...), 1,
			[]string{"weir: packet sockets may not be opened", "CAP_NET_RAW"}},
		{"a log that cannot be written", d.dir + "/log", readOnly, inNS, 1, []string{"weir: ", readOnly + "/eve.json", "read-only file system", "[paths]"}},
		{"a file in place of the log's folder", d.dir + "/log", d.conf, inNS, 1, []string{"weir: ", d.conf, "not a directory", "[paths]"}},
		{"a first start on a full disk", d.dir + "/state", full + "/state", inNS, 1, []string{"weir: ", full + "/state", "no space left on device", "make room"}},
		{"an unknown key", "[metrics]", "[metrics]\nlisen = \"\"", inNS, 2, []string{d.conf + ":", `did you mean "listen"`}},
		{"a value that is none", `listen = ""`, `listen = "nowhere"`, inNS, 2, []string{d.conf + ":", "metrics.listen"}},
		{"a broken rule", `rules = [`, `rules = ["` + broken + `", `, inNS, 2, []string{broken + ":3:"}},
		{"metrics where somebody else listens", `listen = ""`, `listen = "` + taken.Addr().String() + `"`, inNS, 1, []string{"weir: metrics: ", "address already in use", "[metrics] listen"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := strings.Replace(string(conf), c.old, c.text, 1)
			if c.old != "" && text == string(conf) {
				t.Fatalf("%q is not in the configuration", c.old)
			}
			if err := os.WriteFile(d.conf, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			status, said := d.refused(c.wrap...)
			if status != c.status {
				t.Errorf("exit status %d, want %d", status, c.status)
			}
			for _, want := range c.want {
				if !strings.Contains(said, want) {
					t.Errorf("it says %q, want %q in it", said, want)
				}
			}
			if left, _ := filepath.Glob(d.dir + "/run/*"); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
	// What was wrong has done no harm.
	if err := os.WriteFile(d.conf, conf, 0o600); err != nil {
		t.Fatal(err)
	}
	d.launch(ns)
	d.stop()
}

// mountSmall mounts a file system of its own, removed with the test.
func mountSmall(t *testing.T, options string) string {
	t.Helper()
	dir := t.TempDir()
	command(t, "mount", "-t", "tmpfs", "-o", options, "weir-test", dir)
	t.Cleanup(func() { exec.Command("umount", dir).Run() })
	return dir
}

// fillDisk writes a file until no byte of it fits any more.
func fillDisk(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	for size := 64 << 10; size > 0; size /= 2 {
		for err = nil; err == nil; {
			_, err = f.Write(make([]byte, size))
		}
	}
	if pathError := err.(*os.PathError); pathError.Err != syscall.ENOSPC {
		return err
	}
	return nil
}

// TestLiveRestartOnFullDisk starts the daemon anew when there is no room any more: it watches, and says that nothing can be kept.
func TestLiveRestartOnFullDisk(t *testing.T) {
	needs(t, "ip", "mount", "tcpreplay")
	ns := veth(t)
	d := startDaemon(t, buildWeir(t), ns, liveRules(t))
	d.stop()
	disk := mountSmall(t, "size=64m")
	d.replace(d.dir+"/state", disk+"/state")
	d.replace(d.dir+"/log", disk+"/log")
	d.replace("[metrics]", "[pcap]\npost = \"500ms\"\n[metrics]")
	d.launch(ns)
	if err := d.cmd.Process.Kill(); err != nil { // with a socket that nobody answers at, too
		t.Fatal(err)
	}
	<-d.done
	fill := disk + "/fill"
	if err := fillDisk(fill); err != nil {
		t.Fatal(err)
	}
	d.launch(ns)
	client := daemon.Dial(d.dir + "/run/weir.sock")
	d.send(ns, request(t, 30001))
	var warnings string
	until(t, "a warning in the status", func() bool {
		s, err := client.Status()
		if err != nil {
			t.Fatal(err)
		}
		warnings = strings.Join(s.Warnings, "\n")
		return strings.Contains(warnings, disk+"/log/eve.json cannot be written to, events wait in memory: ")
	})
	until(t, "the error in the log", func() bool {
		return strings.Contains(d.lines(), `msg="an output fails: inspection goes on" output=events`)
	})
	if s, err := client.Status(); err != nil || s.Events.Failed > 0 {
		t.Errorf("%d events are said to be lost (%v): they wait", s.Events.Failed, err)
	}
	found, slice := 0, ""
	if err := client.Events(context.Background(), daemon.Ask{Alerts: true, Last: -1}, func(*daemon.Seen) error { return nil }, func(line []byte) error {
		if bytes.Contains(line, []byte(`"src_port":30001,`)) {
			found++
		}
		ev, err := alert.ParseEVE(line)
		if err == nil {
			slice = ev.Weir.Slice
		}
		return err
	}); err != nil || found == 0 {
		t.Errorf("%d alerts are told on the control socket (%v), want one: inspection goes on", found, err)
	}
	until(t, "what became of the slice", func() bool { // memory knows which packets are its until its time is over
		said, _ := exec.Command(d.bin, "pcap", "pull", "--config", d.conf, "--alert", slice, "-w", d.dir+"/pulled").CombinedOutput()
		return strings.Contains(string(said), "the slice of this alert (test.token, ") && strings.Contains(string(said), "weir pcap pull 'flow ")
	})
	if err := os.Remove(fill); err != nil {
		t.Fatal(err)
	}
	d.send(ns, request(t, 30002))
	until(t, "events in the file", func() bool {
		eve, err := os.ReadFile(disk + "/log/eve.json")
		return err == nil && bytes.Contains(eve, []byte(`"src_port":30002,`))
	})
	d.cmd.Process.Signal(syscall.SIGTERM)
	<-d.done
	if eve, err := os.ReadFile(disk + "/log/eve.json"); err != nil || alerts(t, eve, "test.token") < 2 {
		t.Errorf("what was found while the disk was full is not in the file (%v)", err)
	}
}

// TestLiveLogRemoved removes eve.json and tells nobody: it is made anew, and events are in it.
func TestLiveLogRemoved(t *testing.T) {
	needs(t, "ip", "tcpreplay")
	ns := veth(t)
	d := startDaemon(t, buildWeir(t), ns, liveRules(t))
	eve := d.dir + "/log/eve.json"
	if err := os.Remove(eve); err != nil {
		t.Fatal(err)
	}
	until(t, "the file", func() bool {
		_, err := os.Stat(eve)
		return err == nil
	})
	d.send(ns, request(t, 30001))
	until(t, "the alert in the file", func() bool {
		b, err := os.ReadFile(eve)
		return err == nil && bytes.Contains(b, []byte(`"src_port":30001,`))
	})
	if said := d.lines(); !strings.Contains(said, "eve.json was renamed or removed") {
		t.Errorf("it says nothing of it:\n%s", said)
	}
	d.stop()
}

// TestLiveStuckOutput has nobody take the events: the daemon says so, lives, and inspects; and tells all of it once they are taken again.
func TestLiveStuckOutput(t *testing.T) {
	needs(t, "ip", "tcpreplay")
	ns := veth(t)
	command(t, "ip", "-n", ns, "link", "set", "lo", "up")
	d := startDaemon(t, buildWeir(t), ns, liveRules(t))
	d.stop()
	d.replace(`listen = ""`, `listen = "127.0.0.1:9477"`)
	eve := d.dir + "/log/eve.json"
	if err := os.Remove(eve); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(eve, 0o600); err != nil {
		t.Fatal(err)
	}
	pipe, err := os.OpenFile(eve, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	d.launch(ns)
	client := daemon.Dial(d.dir + "/run/weir.sock")
	const n = 200
	var frames [][]byte
	for port := range uint16(n) {
		frames = append(frames, whole(t, 30000+port)...)
	}
	d.send(ns, frames)
	until(t, "the write that does not come back to be told", func() bool {
		s, err := client.Status()
		if err != nil {
			t.Fatal(err)
		}
		return strings.Contains(strings.Join(s.Warnings, "\n"), "events to "+eve+": a write has not come back for ")
	})
	until(t, "the error in the log", func() bool {
		return strings.Contains(d.lines(), `msg="an output fails: inspection goes on" output=events`)
	})
	d.waitPackets(len(frames))
	inNamespace(t, ns, func() error {
		conn, err := net.Dial("tcp", "127.0.0.1:9477")
		if err != nil {
			return err
		}
		defer conn.Close()
		fmt.Fprint(conn, "GET /healthz HTTP/1.0\r\n\r\n")
		if answer, err := io.ReadAll(conn); err != nil || !bytes.Contains(answer, []byte("200 OK")) {
			t.Errorf("a stuck output is no reason to start anew: %s, %v", answer, err)
		}
		return nil
	})
	found := make(chan bool)
	go func() {
		seen := map[string]bool{}
		for lines := bufio.NewScanner(pipe); len(seen) < n && lines.Scan(); {
			if line := lines.Text(); strings.Contains(line, `"event_type":"alert"`) {
				_, rest, _ := strings.Cut(line, `"src_port":`)
				port, _, _ := strings.Cut(rest, ",")
				seen[port] = true
			}
		}
		found <- len(seen) == n
		io.Copy(io.Discard, pipe)
	}()
	select {
	case <-found:
	case <-time.After(20 * time.Second):
		t.Error("not all alerts are told once they are taken again")
	}
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := <-d.done; err != nil {
		t.Errorf("the daemon ended with %v", err)
	}
}

// TestLiveStopDrains stops the daemon as soon as the last frame is sent: all that was sent is inspected and told.
func TestLiveStopDrains(t *testing.T) {
	needs(t, "ip", "tcpreplay")
	ns := veth(t)
	d := startDaemon(t, buildWeir(t), ns, liveRules(t))
	const n = 500
	var frames [][]byte
	for port := range uint16(n) {
		frames = append(frames, whole(t, 30000+port)...)
	}
	d.send(ns, frames)
	if got := alerts(t, d.stop(), "test.token"); got != n {
		t.Errorf("%d requests were sent before the stop, %d alerts told", n, got)
	}
}
