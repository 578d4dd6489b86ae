package daemon

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"
)

// boxedDaemon is a daemon that runs in the box as it would on a host: with the default configuration.
type boxedDaemon struct {
	t      *testing.T
	client *Client
	cancel context.CancelFunc
	done   chan error
	log    bytes.Buffer // to be read once it has ended
}

// startDaemon starts the daemon, with a rule that finds WEIRTOKEN- and six digits, and waits until it is ready. change says what is configured
// otherwise.
func startDaemon(t *testing.T, change ...func(*Config)) *boxedDaemon {
	t.Helper()
	rule := "[[rules]]\nid = \"test.token\"\nregex = '''WEIRTOKEN-[0-9a-f]{6}'''\n"
	if err := os.MkdirAll("/etc/weir/rules.d", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("/etc/weir/rules.d/test.toml", []byte(rule), 0o644); err != nil {
		t.Fatal(err)
	}
	conf := DefaultConfig()
	conf.Metrics.Listen = ""
	for _, c := range change {
		c(conf)
	}
	ctx, cancel := context.WithCancel(context.Background())
	d := &boxedDaemon{t: t, client: Dial(conf.Paths.Socket()), cancel: cancel, done: make(chan error, 1)}
	go func() { d.done <- Run(ctx, conf, slog.New(slog.NewTextHandler(&d.log, nil))) }()
	t.Cleanup(func() {
		cancel()
		if t.Failed() {
			t.Logf("the daemon:\n%s", d.log.Bytes())
		}
	})
	until(t, "the daemon", func() bool {
		select {
		case err := <-d.done:
			t.Fatalf("the daemon ended: %v", err)
		default:
		}
		_, err := d.client.Status()
		return err == nil
	})
	return d
}

// stop ends the daemon and returns what it wrote into eve.json.
func (d *boxedDaemon) stop() []byte {
	d.t.Helper()
	d.cancel()
	if err := <-d.done; err != nil {
		d.t.Errorf("the daemon ended: %v", err)
	}
	eve, err := os.ReadFile("/var/log/weir/eve.json")
	if err != nil {
		d.t.Fatal(err)
	}
	return eve
}

func (d *boxedDaemon) workloads() []InterfaceWorkload {
	d.t.Helper()
	list, err := d.client.Workloads()
	if err != nil {
		d.t.Fatal(err)
	}
	return list
}

// workload waits for a workload as it is asked for.
func (d *boxedDaemon) workload(is func(*InterfaceWorkload) bool) (found *InterfaceWorkload) {
	d.t.Helper()
	var list []InterfaceWorkload
	defer func() {
		if found == nil {
			d.t.Logf("there is %+v", list)
		}
	}()
	until(d.t, "a workload", func() bool {
		list = d.workloads()
		for i := range list {
			if is(&list[i]) {
				found = &list[i]
			}
		}
		return found != nil
	})
	return found
}

// processOf returns the folder of a process of a container in /proc.
func processOf(t *testing.T, id string) string {
	t.Helper()
	files, _ := filepath.Glob("/proc/[0-9]*/cgroup")
	for _, f := range files {
		if text, err := os.ReadFile(f); err == nil && bytes.Contains(text, []byte(id)) {
			return filepath.Dir(f)
		}
	}
	t.Fatalf("no process of container %s", id)
	return ""
}

// listenUnix listens on a socket and takes no connection.
func listenUnix(t *testing.T, path string) net.Listener {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// answerRaw answers every connection with the same bytes.
func answerRaw(l net.Listener, answer []byte) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		c.Write(answer)
		c.Close()
	}
}
