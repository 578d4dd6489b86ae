package daemon

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestProtectPodman and TestProtectDocker: a container of either is protected by what was learned of it, and covered as it starts.
func TestProtectPodman(t *testing.T) {
	if !box(t, "podman", "runc", "busybox", "nsenter", "nft", "nginx") {
		return
	}
	furnishPodman(t)
	servePodman(t)
	protectContainer(t, "podman")
}

func TestProtectDocker(t *testing.T) {
	if !box(t, "dockerd", "docker", "containerd", "runc", "busybox", "nsenter", "nft", "nginx") {
		return
	}
	furnishDocker(t)()
	command(t, "docker", "load", "-i", image(t))
	protectContainer(t, "docker")
}

// protectContainer protects a container that serves HTTP.
func protectContainer(t *testing.T, engine string) {
	srv := serverFiles(t)
	run := func(name string, args ...string) (id string) {
		list := []string{"run", "-d", "--name", name, "--label", "app=" + strings.TrimRight(name, "-0123456789"), "--cgroup-parent", boxCgroup(), "-v", srv + ":/srv"}
		for _, dir := range hostFolders {
			at, err := filepath.EvalSymlinks(dir)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, "-v", at+":"+dir+":ro")
		}
		return command(t, engine, append(append(list, boxImage), args...)...)
	}
	d := startDaemon(t)
	web := run("web", serveHTTP...)
	at := d.workload(func(w *InterfaceWorkload) bool { return w.Name == "web" && len(w.Addresses) > 0 }).Addresses[0].String()
	visitor := newTalker(t, run("shop"))
	d.workload(func(w *InterfaceWorkload) bool { return w.Name == "shop" && len(w.Addresses) > 0 })
	host := net.JoinHostPort(at, "80")
	say := func(n int) error { return visitor.ask("GET", host, "/orders/%d", n) }
	until(t, "the server", func() bool { return say(1) == nil })
	proposal := d.approve(func(text string) bool {
		return strings.Contains(text, `"/orders/{id}"`) || say(20) != nil
	})
	if !strings.Contains(proposal, `name = "web"`) {
		t.Fatalf("no group web is proposed:\n%s", proposal)
	}
	d.mode("web", "protect")
	d.mode("shop", "protect")
	proc := processOf(t, web)
	until(t, "the rules in the container's namespace", func() bool { return tables(t, proc) == 1 })
	if err := say(1000); err != nil {
		t.Errorf("what was learned is stopped: %v", err)
	}
	if visitor.ask("GET", host, "/admin", 1) == nil {
		t.Error("a new path was not stopped")
	}
	// One more of either group, and one of none: each says what it has to say with its first breath.
	for _, x := range []struct{ name, path, want string }{{"shop-2", "orders/2", "0"}, {"shop-3", "admin", "1"}, {"other", "orders/2", "1"}} {
		file := filepath.Join(srv, x.name)
		run(x.name, "/bin/sh", "-c", "/bin/busybox wget -q -O /dev/null http://"+host+"/"+x.path+"; echo $? > /srv/new; /bin/busybox mv /srv/new /srv/"+x.name+"; exec /bin/busybox sleep 100000")
		got := ""
		until(t, "the first word of "+x.name, func() bool {
			b, err := os.ReadFile(file)
			got = strings.TrimSpace(string(b))
			return err == nil
		})
		if got != x.want {
			t.Errorf("%s: asking for /%s ended with %s, want %s", x.name, x.path, got, x.want)
		}
	}
	blocked := map[string]int{}
	for _, ev := range parse(t, d.stop(), "alert") {
		if ev.Alert.Action != "blocked" {
			t.Errorf("%s %s: %s -> %s: %s", ev.Weir.Rule, ev.Alert.Action, ev.Src, ev.Dst, ev.Weir.Why)
		}
		blocked[ev.Weir.Why]++
	}
	for why, n := range map[string]int{"http.path /admin is new: rule shop-to-web-http allows /orders/{id}": 2, "a workload in no group is new to web: rule shop-to-web-http allows shop": 1} {
		if blocked[why] < n { // a client that is not used to it asks once more
			t.Errorf("%d were stopped for %q", blocked[why], why)
		}
		delete(blocked, why)
	}
	if len(blocked) > 0 {
		t.Errorf("stopped as well: %v", blocked)
	}
	d.waited()
	if n := tables(t, proc); n > 0 {
		t.Errorf("%d tables are left", n)
	}
	command(t, engine, append(map[string][]string{"podman": {"rm", "-f", "-t", "0"}, "docker": {"rm", "-f"}}[engine], "web", "shop", "shop-2", "shop-3", "other")...)
}
