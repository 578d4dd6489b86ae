package weir_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestQuarantineByRule: a rule cuts the workload off that sent what it finds, once; what was sent did not arrive, whom the rule allows is spoken with still, a daemon that was
// killed leaves it so and its successor knows, and it ends when somebody lifts it.
func TestQuarantineByRule(t *testing.T) {
	w := newTown(t)
	web, shop := fmt.Sprintf("wweb-%d", os.Getpid()), fmt.Sprintf("wshop-%d", os.Getpid())
	w.workload(web, 2)
	w.workload(shop, 3)
	s := &counter{came: make(chan bool, 100), errs: make(chan error, 100)}
	w.listen(web, ":81", s.take)
	w.listen(web, ":82", s.take)
	bin := buildWeir(t)
	file := filepath.Join(t.TempDir(), "rules.toml")
	if err := os.WriteFile(file, []byte(`
[[rules]]
id = "test.token"
regex = '''WEIRTOKEN-[0-9a-f]{6}'''
action = "quarantine"
quarantine_allow = ["10.77.0.2/tcp/82"]
`), 0o600); err != nil {
		t.Fatal(err)
	}
	d := startDaemon(t, bin, w.host, file)
	d.stop()
	dir := filepath.Join(d.dir, "policy.d")
	if err := os.MkdirAll(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "a.toml"), []byte("[modes]\nweb = \"protect\"\n[[groups]]\nname = \"web\"\nmatch = [\"name=wweb*\"]\n[[policy]]\nid = \"any\"\naction = \"allow\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d.replace("[capture]", fmt.Sprintf("policy = %q\n[capture]", dir))
	d.launch(w.host)
	w.eventually("the gate is there", func() bool { return w.tables(web) > 0 })
	offend := func(to string) {
		c, err := w.dial(shop, to)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprintf(c, "a secret WEIRTOKEN-0a1b2c\n")
		c.SetReadDeadline(time.Now().Add(5 * time.Second))
		if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the client is not told: %v", err)
		}
	}
	var u net.Conn // a datagram may be anybody's: it goes nowhere, and nobody is cut off
	inNamespace(t, shop, func() (err error) { u, err = net.Dial("udp", "10.77.0.2:83"); return err })
	fmt.Fprint(u, "a secret WEIRTOKEN-0a1b2d")
	u.Close()
	offend("10.77.0.2:81")
	listed := func() string {
		out, text, code := d.weir("quarantine")
		if code != 0 {
			t.Fatal(text)
		}
		return out
	}
	cutOff := func() {
		t.Helper()
		w.eventually("it is cut off", func() bool { out := listed(); return strings.Contains(out, "cut off") && !strings.Contains(out, "NOT") })
		if out := listed(); !strings.Contains(out, shop) || !strings.Contains(out, "rule test.token") || !strings.Contains(out, "10.77.0.2/tcp/82") || strings.Contains(out, web) {
			t.Errorf("listed: %s", out)
		}
		if c, err := w.dial(shop, "10.77.0.2:81"); err == nil {
			c.Close()
			t.Error("who is cut off connected")
		}
	}
	cutOff()
	if out, _, _ := d.weir("workloads"); !strings.Contains(out, "fails open") || !strings.Contains(out, "quarantine") || !strings.Contains(out, "protect") || !strings.Contains(out, "discover") {
		t.Errorf("workloads: %s", out)
	}
	var status struct {
		Gates struct{ Protected, Quarantined, Denied, Packets, Rules int }
	}
	out, _, _ := d.weir("status", "-o", "json")
	if err := json.Unmarshal([]byte(out), &status); err != nil || status.Gates.Protected != 1 || status.Gates.Quarantined != 1 || status.Gates.Denied != 2 || status.Gates.Packets == 0 || status.Gates.Rules != 1 {
		t.Errorf("status: %+v, %v", status.Gates, err)
	}
	offend("10.77.0.2:82") // whom the rule allows; the workload is in quarantine, and stays so, once
	if got := s.text(); got != "" {
		t.Errorf("the server has %q", got)
	}
	if out := listed(); strings.Count(out, shop) != 1 {
		t.Errorf("listed: %s", out)
	}
	if err := d.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-d.done
	if c, err := w.dial(shop, "10.77.0.2:81"); err == nil {
		c.Close()
		t.Error("who is cut off connected while no daemon runs")
	}
	d.launch(w.host)
	cutOff()
	if _, text, code := d.weir("quarantine", shop, "--lift"); code != 0 {
		t.Fatal(text)
	}
	c, err := w.dial(shop, "10.77.0.2:81")
	if err != nil {
		t.Fatalf("let in again: %v", err)
	}
	c.Close()
	put, lifted, alerts, forgeable := 0, 0, 0, 0
	for line := range strings.Lines(string(d.stop())) {
		switch {
		case strings.Contains(line, "cut off from everybody but 10.77.0.2/tcp/82, by rule test.token"):
			put++
		case strings.Contains(line, "let in again, by user"):
			lifted++
		case strings.Contains(line, "another one may have sent this"):
			if strings.Contains(line, `"proto":"ICMP"`) { // the error that quotes it
				break
			}
			if forgeable++; !strings.Contains(line, `"action":"blocked"`) || !strings.Contains(line, `"proto":"UDP"`) || strings.Contains(line, `"quarantine":`) {
				t.Errorf("alert of a datagram: %s", line)
			}
		case strings.Contains(line, `"rule":"test.token"`):
			if alerts++; !strings.Contains(line, `"action":"blocked"`) || !strings.Contains(line, `"quarantine":"`+shop+`"`) {
				t.Errorf("alert: %s", line)
			}
		}
	}
	if put != 1 || lifted != 1 || alerts != 2 || forgeable != 1 {
		t.Errorf("%d put into quarantine, %d let in again, %d alerts, %d of a datagram; want 1, 1, 2, 1", put, lifted, alerts, forgeable)
	}
}
