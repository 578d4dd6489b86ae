package weir_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// send plays frames onto the far end of the watched veth.
func (d *daemonProcess) send(ns string, frames [][]byte) {
	d.t.Helper()
	file := filepath.Join(d.t.TempDir(), "send.pcap")
	writePcap(d.t, file, frames)
	command(d.t, "ip", "netns", "exec", ns, "tcpreplay", "-q", "-i", "far0", "--pps=20000", file)
}

// reload asks for a reload, and returns what it says and whether it failed.
func (d *daemonProcess) reload() (string, error) {
	out, err := exec.Command(d.bin, "reload", "--config", d.conf).CombinedOutput()
	return string(out), err
}

// alerts counts the alerts of a rule in the log.
func alerts(t *testing.T, eve []byte, rule string) (n int) {
	t.Helper()
	for line := range bytes.Lines(eve) {
		var ev struct {
			Type string `json:"event_type"`
			Weir struct{ Rule string }
		}
		if err := json.Unmarshal(line, &ev); err != nil {
			t.Fatalf("eve.json: %v: %q", err, line)
		}
		if ev.Type == "alert" && ev.Weir.Rule == rule {
			n++
		}
	}
	return n
}

func (d *daemonProcess) status() (s struct {
	Interfaces []struct{ Name string }
	Evidence   json.RawMessage
}) {
	d.t.Helper()
	if err := json.Unmarshal([]byte(command(d.t, d.bin, "status", "--config", d.conf, "-o", "json")), &s); err != nil {
		d.t.Fatal(err)
	}
	return s
}

func (d *daemonProcess) descriptors() int {
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", d.cmd.Process.Pid))
	if err != nil {
		d.t.Fatal(err)
	}
	return len(list)
}

// request is the frames of a request with the token, from a client port.
func request(t *testing.T, port uint16) [][]byte {
	d, err := parseDialogue(fmt.Sprintf("tcp %d 80\n> POST / HTTP/1.1\\r\\nHost: a\\r\\nContent-Length: 16\\r\\n\\r\\nWEIRTOKEN-7f3a91\n< HTTP/1.1 204 x\\r\\n\\r\\n", port))
	if err != nil {
		t.Fatal(err)
	}
	return play(t, d, ways[1], wrappings()[0])
}

func liveRules(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "rules.toml")
	if err := os.WriteFile(path, []byte(evasionRule), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestLiveReload reloads in the middle of a token, many times at once, with rules that are wrong, then with right ones.
func TestLiveReload(t *testing.T) {
	needs(t, "ip", "tcpreplay")
	rules := liveRules(t)
	ns := veth(t)
	d := startDaemon(t, buildWeir(t), ns, rules)
	frames := request(t, 30001)
	half := len(frames) - 14 // the token's last bytes are not sent yet
	d.send(ns, frames[:half])
	d.waitPackets(half)
	if err := os.WriteFile(rules, []byte("[[rules]]\nid = \"test.token\"\nregex = '''(unclosed'''\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := d.reload()
	if err == nil || !strings.Contains(out, rules+":3:") {
		t.Errorf("a reload of wrong rules: %v, %q", err, out)
	}
	if err := os.WriteFile(rules, []byte(evasionRule), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if err := d.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := d.reload(); err != nil {
		t.Errorf("reload: %v, %s", err, out)
	}
	d.send(ns, frames[half:])
	d.waitPackets(len(frames))
	d.send(ns, request(t, 30002))
	d.waitPackets(2 * len(frames))
	if got := alerts(t, d.stop(), "test.token"); got != 2 {
		t.Errorf("%d alerts, want 2: one of them cut by the reload", got)
	}
}

// TestLiveKill kills the daemon while a slice is being written, and starts it again on what is left. A second daemon is
// refused and harms nothing.
func TestLiveKill(t *testing.T) {
	needs(t, "ip", "tcpreplay")
	ns := veth(t)
	d := startDaemon(t, buildWeir(t), ns, liveRules(t))
	frames := request(t, 30001)
	d.send(ns, frames)
	d.waitPackets(len(frames))
	out, err := exec.Command("ip", "netns", "exec", ns, d.bin, "run", "--config", d.conf).CombinedOutput()
	if err == nil || !bytes.Contains(out, []byte("another weir")) {
		t.Errorf("a second daemon on the same folders: %v, %s", err, out)
	}
	until(t, "a slice on disk", func() bool { return slicePackets(t, d.dir) > 0 })
	if err := d.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-d.done
	d.launch(ns)
	if n := slicePackets(t, d.dir); n == 0 {
		t.Error("nothing of the slice was salvaged")
	}
	d.send(ns, request(t, 30002))
	d.waitPackets(len(frames))
	if got := alerts(t, d.stop(), "test.token"); got != 2 {
		t.Errorf("%d alerts, want 2: before and after", got)
	}
}

// slicePackets counts the bytes of slices.
func slicePackets(t *testing.T, dir string) (n int64) {
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err == nil && !info.IsDir() && strings.Contains(path, ".pcapng") {
			n += info.Size()
		}
		if os.IsNotExist(err) {
			return nil // renamed meanwhile
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	end := time.After(20 * time.Second)
	for tick := time.NewTicker(20 * time.Millisecond); !ok(); {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// TestLiveDiskFull fills the disk under the log and the slices: the daemon lives, tells it, and writes again when there is
// room.
func TestLiveDiskFull(t *testing.T) {
	needs(t, "ip", "tcpreplay", "mount")
	ns := veth(t)
	d := &daemonProcess{}
	*d = *startDaemon(t, buildWeir(t), ns, liveRules(t))
	d.stop()
	disk := d.dir + "/log"
	command(t, "mount", "-t", "tmpfs", "-o", "size=256k", "weir-test", disk)
	t.Cleanup(func() { exec.Command("umount", disk).Run() })
	d.launch(ns)
	fill := filepath.Join(disk, "fill")
	exec.Command("dd", "if=/dev/zero", "of="+fill, "bs=4k").Run() // until it is full
	frames := request(t, 30001)
	n := 0
	for i := range 40 {
		f := request(t, uint16(30100+i))
		n += len(f)
		frames = append(frames, f...)
	}
	d.send(ns, frames)
	d.waitPackets(len(frames))
	if err := os.Remove(fill); err != nil {
		t.Fatal(err)
	}
	d.send(ns, request(t, 30900))
	d.waitPackets(len(frames) + len(request(t, 30900)))
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-d.done
	eve, err := os.ReadFile(disk + "/eve.json")
	if err != nil {
		t.Fatal(err)
	}
	if log := d.lines(); !bytes.Contains(eve, []byte(":30900,")) || !strings.Contains(log, "no space") && !bytes.Contains(eve, []byte("dropped")) {
		t.Errorf("after the disk was full: %d bytes of events, log:\n%s\n%.3000s", len(eve), log, eve)
	}
}
