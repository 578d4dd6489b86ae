package daemon

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestPodman: a container and a pod of Podman get their names.
func TestPodman(t *testing.T) {
	if !box(t, "podman", "runc", "busybox") {
		return
	}
	furnishPodman(t)
	d := startDaemon(t)
	servePodman(t)
	id := command(t, "podman", "run", "-d", "--name", "web", "--label", "tier=front", "--cgroup-parent", boxCgroup(), boxImage)
	w := d.workload(func(w *InterfaceWorkload) bool { return w.Name == "web" && len(w.Addresses) > 0 })
	if w.ID != id || w.Image != boxImage || w.Labels["tier"] != "front" || w.Pod != "" {
		t.Errorf("of a container: got %+v", w)
	}
	d.soon("a new name", func() { command(t, "podman", "rename", "web", "front") }, "front")
	command(t, "podman", "pod", "create", "--name", "shop", "--cgroup-parent", boxCgroup(), "--infra-command", "/bin/busybox sleep 100000")
	command(t, "podman", "run", "-d", "--pod", "shop", "--name", "cart", boxImage)
	w = d.workload(func(w *InterfaceWorkload) bool { return w.Pod == "shop" && w.Name != "" && len(w.Addresses) > 0 })
	if w.Name != "cart" || w.Image != boxImage {
		t.Errorf("of a pod: got %+v", w)
	}
	command(t, "podman", "pod", "rm", "-f", "-t", "0", "shop")
	command(t, "podman", "rm", "-f", "-t", "0", "front")
	until(t, "the containers to be forgotten", func() bool { return len(d.workloads()) == 0 })
	d.stop()
}

// furnishPodman configures Podman as it can run in the box.
func furnishPodman(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"containers.conf": "[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]\nlog_driver = \"k8s-file\"\n" +
			"[engine]\nruntime = \"runc\"\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\ninfra_image = \"" + boxImage + "\"\n",
		"storage.conf": "[storage]\ndriver = \"overlay\"\ngraphroot = \"/run/podman-root\"\nrunroot = \"/run/podman-run\"\n",
		"policy.json":  `{"default": [{"type": "insecureAcceptAnything"}]}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("CONTAINERS_CONF", filepath.Join(dir, "containers.conf"))
	t.Setenv("CONTAINERS_STORAGE_CONF", filepath.Join(dir, "storage.conf"))
	if err := os.MkdirAll("/run/podman", 0o755); err != nil {
		t.Fatal(err)
	}
}

// servePodman has Podman answer on its socket, and know the image.
func servePodman(t *testing.T) {
	t.Helper()
	program(t, "podman", "system", "service", "--time=0", "unix:///run/podman/podman.sock")
	command(t, "podman", "load", "-i", image(t))
}

// TestDocker: a container of Docker gets its name, also one that comes while Docker is restarted.
func TestDocker(t *testing.T) {
	if !box(t, "dockerd", "docker", "containerd", "runc", "busybox") {
		return
	}
	start := furnishDocker(t)
	d := startDaemon(t)
	end := start()
	command(t, "docker", "load", "-i", image(t))
	id := command(t, "docker", "run", "-d", "--name", "web", "--label", "tier=front", boxImage)
	w := d.workload(func(w *InterfaceWorkload) bool { return w.Name == "web" && len(w.Addresses) > 0 })
	if w.ID != id || w.Image != boxImage || w.Labels["tier"] != "front" {
		t.Errorf("got %+v", w)
	}
	d.soon("a new name", func() { command(t, "docker", "rename", "web", "front") }, "front")
	d.soon("a name that goes back", func() { command(t, "docker", "rename", "front", "web") }, "web")
	end()
	if w = d.workload(func(w *InterfaceWorkload) bool { return w.ID == id }); w.Name != "web" {
		t.Errorf("while Docker is away: got %+v", w)
	}
	start()
	id = command(t, "docker", "run", "-d", "--name", "api", boxImage)
	if w = d.workload(func(w *InterfaceWorkload) bool { return w.Name == "api" }); w.ID != id {
		t.Errorf("after a restart: got %+v", w)
	}
	d.soon("a new name after a restart", func() { command(t, "docker", "rename", "api", "pay") }, "pay")
	command(t, "docker", "rm", "-f", "web", "pay")
	until(t, "the containers to be forgotten", func() bool { return len(d.workloads()) == 0 })
	d.stop()
}

// furnishDocker configures Docker as it can run in the box, and returns what starts it.
func furnishDocker(t *testing.T) (start func() (end func())) {
	t.Helper()
	dir := t.TempDir()
	config := text(t, map[string]any{
		"data-root": "/run/docker-root", "exec-root": "/run/docker-exec", "pidfile": "/run/docker.pid", "hosts": []string{"unix:///run/docker.sock"},
		"cgroup-parent": boxCgroup(), "live-restore": true, "log-driver": "none",
		"default-ulimits": map[string]any{"nofile": map[string]any{"Name": "nofile", "Hard": 1024, "Soft": 1024}},
	})
	if err := os.WriteFile(filepath.Join(dir, "daemon.json"), config, 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("DOCKER_HOST", "unix:///run/docker.sock")
	t.Setenv("HOME", dir)
	return func() (end func()) {
		end = program(t, "dockerd", "--log-level", "error", "--config-file", filepath.Join(dir, "daemon.json"))
		until(t, "Docker", func() bool { return run("docker", "version") == nil })
		return end
	}
}

// soon does something with a container and expects a workload to have its name well within a second: that is looked for every ten minutes where nobody tells.
func (d *boxedDaemon) soon(what string, do func(), name string) *InterfaceWorkload {
	d.t.Helper()
	do()
	began := time.Now()
	w := d.workload(func(w *InterfaceWorkload) bool { return w.Name == name })
	took := time.Since(began)
	d.t.Logf("%s is known %s after it was there", what, took.Round(time.Millisecond))
	if took > time.Second {
		d.t.Errorf("%s was known after %s", what, took)
	}
	return w
}
