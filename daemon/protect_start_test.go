package daemon

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// firstWords runs a container whose first breath is to say something, once: the command's exit status comes into a file of /srv, which is returned.
func (p *pod) firstWords(srv, name, command string) (status func() string) {
	p.c.t.Helper()
	file := fmt.Sprintf("%s/%s-%s", srv, p.id[:12], name)
	p.serve(name, srv, []string{"/bin/sh", "-c", "/bin/busybox " + command + `; echo $? > /srv/new; /bin/busybox mv /srv/new ` + strings.Replace(file, srv, "/srv", 1) + "; exec /bin/busybox sleep 100000"})
	return func() (text string) {
		until(p.c.t, "the first word of "+name, func() bool {
			b, err := os.ReadFile(file)
			text = strings.TrimSpace(string(b))
			return err == nil
		})
		return text
	}
}

// TestProtectStart: a container that starts under a policy is covered from its first packet, also where its runtime has to be asked first who it is: nothing that is denied goes
// out, and nothing that is allowed is stopped.
func TestProtectStart(t *testing.T) {
	if !box(t, "containerd", "ctr", "runc", "busybox", "nsenter", "nft", "nginx", "redis-server") {
		return
	}
	startContainerd(t)
	command(t, "ctr", "-n", "k8s.io", "images", "import", image(t))
	srv := serverFiles(t)
	c := dialCRI(t)
	d := startDaemon(t)
	web := c.pod("shop", "web-0", "11111111-2222-3333-4444-555555555502", "app", "web")
	web.serve("nginx", srv, serveHTTP)
	web.serve("redis", srv, serveRedis)
	at, _ := d.addresses("web-0")
	get := "wget -q -O /dev/null http://" + at + "/orders/1"
	before := c.pod("shop", "before", "11111111-2222-3333-4444-555555555699")
	began := time.Now()
	before.firstWords(srv, "before", get)()
	t.Logf("without a policy: its first word was said %s after its start was asked for", time.Since(began).Round(time.Millisecond))
	before.remove()
	d.write("10-test.toml", []byte(`
[modes]
web = "protect"
worker = "protect"
[[groups]]
name = "web"
match = ["label:app=web"]
[[groups]]
name = "worker"
match = ["name=worker*"]
[[groups]]
name = "shop"
match = ["name=shop*"]
[[policy]]
id = "read"
from = ["shop", "worker"]
to = ["web"]
ports = ["tcp/80"]
protocol = "http"
where = { "http.method" = ["GET"], "http.path" = ["/orders/{id}"] }
action = "allow"
`))
	until(t, "the rules in the namespace of a pod", func() bool { return tables(t, processOf(t, web.id)) == 1 })
	for i, x := range []struct{ name, says, want string }{
		{"shop-a", get, "0"},
		{"worker-a", get, "0"},
		{"worker-b", "nc -w 2 " + at + " 6379 </dev/null", "1"},
		{"shop-b", "nc -w 2 " + at + " 6379 </dev/null", "1"},
		{"other", get, "1"}, // in no group
	} {
		uid := fmt.Sprintf("11111111-2222-3333-4444-5555555556%02d", i)
		asked := time.Now()
		pod := c.pod("shop", x.name, uid)
		started := time.Now()
		got := pod.firstWords(srv, x.name, x.says)()
		took := time.Since(started)
		if got != x.want {
			t.Errorf("%s: %s ended with %s, want %s", x.name, x.says, got, x.want)
		}
		t.Logf("%s: sandbox %s, its first word was judged %s after its start was asked for", x.name, started.Sub(asked).Round(time.Millisecond), took.Round(time.Millisecond))
		if !strings.HasPrefix(x.name, "worker") {
			proc := processOf(t, pod.id)
			until(t, "the rules of a pod that is not protected to be taken out", func() bool { return tables(t, proc) == 0 })
		} else if tables(t, processOf(t, pod.id)) != 1 {
			t.Errorf("%s is not protected", x.name)
		}
		pod.remove()
	}
	blocked := 0
	for _, ev := range parse(t, d.stop(), "alert") {
		if blocked++; ev.Alert.Action != "blocked" || ev.Dst.Port() != 6379 && ev.Weir.Why != "a workload in no group is new to web: rule read allows shop, worker" {
			t.Errorf("%s %s: %s -> %s: %s", ev.Weir.Rule, ev.Alert.Action, ev.Src, ev.Dst, ev.Weir.Why)
		}
	}
	if blocked != 3 {
		t.Errorf("%d alerts, want one for each of the three that are not allowed", blocked)
	}
	d.waited()
}

// waited tells how long packets were held until it was known whose they are. The daemon has ended.
func (d *boxedDaemon) waited() {
	d.t.Helper()
	for line := range strings.Lines(d.log.String()) {
		_, after, _ := strings.Cut(line, "msg=protected workload=")
		if name, _, _ := strings.Cut(after, " "); strings.Contains(after, "waited=") {
			_, took, _ := strings.Cut(strings.TrimSpace(after), "waited=")
			d.t.Logf("%s: its first packet waited %s until its name was known", name, took)
		}
		if strings.Contains(line, "msg=unnamed") {
			d.t.Error(line)
		}
	}
}
