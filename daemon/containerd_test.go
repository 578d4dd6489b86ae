package daemon

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"weir/alert"
)

const containerdSocket = "/run/containerd/containerd.sock"

// startContainerd starts containerd in the box, with a bridge for its pods, and returns what ends it.
func startContainerd(t *testing.T) (end func()) {
	t.Helper()
	dir := "/run/containerd-test"
	config := fmt.Sprintf(`version = 2
root = "%[1]s/root"
state = "%[1]s/state"
[grpc]
  address = %[2]q
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = %[3]q
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "%[1]s/net.d"
`, dir, containerdSocket, boxImage)
	network := `{"cniVersion": "0.4.0", "name": "pods", "plugins": [{"type": "bridge", "bridge": "cni0", "isGateway": true, "hairpinMode": true,
"ipam": {"type": "host-local", "ranges": [[{"subnet": "10.88.0.0/16"}], [{"subnet": "fd00:88::/64"}]]}}, {"type": "loopback"}]}`
	if err := os.MkdirAll(dir+"/net.d", 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"config.toml": config, "net.d/pods.conflist": network} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	end = program(t, "containerd", "--log-level", "error", "--config", dir+"/config.toml")
	until(t, "containerd", func() bool { _, err := dialCRI(t).try("Version", nil); return err == nil })
	return end
}

// cri makes pods, as a kubelet does.
type cri struct {
	t    *testing.T
	http http.Client
}

func dialCRI(t *testing.T) *cri {
	var p http.Protocols
	p.SetUnencryptedHTTP2(true)
	return &cri{t, http.Client{Transport: &http.Transport{Protocols: &p, DialContext: func(context.Context, string, string) (net.Conn, error) {
		return net.Dial("unix", containerdSocket)
	}}}}
}

// call makes a call of the RuntimeService and returns the first field of the answer.
func (c *cri) call(method string, message []byte) string {
	c.t.Helper()
	v, err := c.try(method, message)
	if err != nil {
		c.t.Fatalf("%s: %v", method, err)
	}
	return v
}

func (c *cri) try(method string, message []byte) (string, error) {
	b := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message)))
	req, err := http.NewRequest(http.MethodPost, "http://localhost/runtime.v1.RuntimeService/"+method, bytes.NewReader(append(b, message...)))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/grpc")
	req.Header.Set("TE", "trailers")
	r, err := c.http.Do(req)
	if err != nil {
		return "", err
	}
	defer r.Body.Close()
	if b, err = io.ReadAll(r.Body); err != nil {
		return "", err
	}
	if status := r.Trailer.Get("Grpc-Status") + r.Header.Get("Grpc-Status"); status != "0" {
		return "", fmt.Errorf("status %s: %s", status, r.Trailer.Get("Grpc-Message")+r.Header.Get("Grpc-Message"))
	}
	if len(b) <= 5 {
		return "", nil
	}
	_, _, n := protowire.ConsumeTag(b[5:])
	v, _ := protowire.ConsumeBytes(b[5+n:])
	return string(v), nil
}

// message writes a protobuf message whose fields are bytes: number, value, number, value...
func message(list ...any) (b []byte) {
	for i := 0; i < len(list); i += 2 {
		b = protowire.AppendTag(b, protowire.Number(list[i].(int)), protowire.BytesType)
		b = protowire.AppendBytes(b, []byte(list[i+1].(string)))
	}
	return b
}

type pod struct {
	c      *cri
	id     string
	config []byte
}

// pod makes a pod's sandbox.
func (c *cri) pod(namespace, name, uid string, labels ...string) *pod {
	c.t.Helper()
	config := message(1, string(message(1, name, 2, uid, 3, namespace)), 8, string(message(1, boxCgroup()+"/kubepods/besteffort/pod"+uid)))
	for i := 0; i < len(labels); i += 2 {
		config = append(config, message(6, string(message(1, labels[i], 2, labels[i+1])))...)
	}
	return &pod{c, c.call("RunPodSandbox", message(1, string(config))), config}
}

// run starts a container in the pod.
func (p *pod) run(name string, args ...string) (id string) {
	p.c.t.Helper()
	config := message(1, string(message(1, name)), 2, string(message(1, boxImage)))
	for _, a := range args {
		config = append(config, message(3, a)...)
	}
	return p.start(config)
}

// start starts a container, as it is configured, in the pod.
func (p *pod) start(config []byte) (id string) {
	p.c.t.Helper()
	id = p.c.call("CreateContainer", message(1, p.id, 2, string(config), 3, string(p.config)))
	p.c.call("StartContainer", message(1, id))
	return id
}

func (p *pod) remove() {
	p.c.t.Helper()
	p.c.call("StopPodSandbox", message(1, p.id))
	p.c.call("RemovePodSandbox", message(1, p.id))
}

// TestContainerd runs the daemon beside a containerd that comes after it, is restarted, and has neighbours that hang or talk
// nonsense: pods get their names, and both ends of what they say to each other.
func TestContainerd(t *testing.T) {
	if !box(t, "containerd", "ctr", "runc", "busybox", "nsenter") {
		return
	}
	hangs := listenUnix(t, "/run/docker.sock")
	go answerRaw(listenUnix(t, "/run/crio/crio.sock"), []byte("\x00\x00\x06\x04\x00\x00\x00\x00\x00\xff\xff"))
	d := startDaemon(t)
	end := startContainerd(t)
	command(t, "ctr", "-n", "k8s.io", "images", "import", image(t))
	c := dialCRI(t)

	cart := c.pod("shop", "cart-0", "11111111-2222-3333-4444-555555555555", "app", "cart")
	w := d.workload(func(w *InterfaceWorkload) bool { return w.Pod == "cart-0" && len(w.Addresses) == 2 })
	if w.ID != cart.id || w.Name != "" || w.Namespace != "shop" || w.Image != "" || w.Labels["app"] != "cart" {
		t.Errorf("of a pod without containers: got %+v", w)
	}
	first := ""
	w = d.soon("the name of an idle container", func() { first = cart.run("init") }, "init")
	c.call("StopContainer", message(1, first))
	d.soon("the name of the container that follows", func() { cart.run("cart") }, "cart")
	cart.run("proxy")
	w = d.workload(func(w *InterfaceWorkload) bool { return w.Name != "" && w.Pod == "cart-0" })
	if w.Name != "cart" || w.Image != boxImage || w.ID != cart.id || w.Labels["io.kubernetes.pod.uid"] != "11111111-2222-3333-4444-555555555555" {
		t.Errorf("of a pod with containers: got %+v", w)
	}

	end()
	startContainerd(t)
	pay := c.pod("pay", "pay-0", "66666666-7777-8888-9999-000000000000")
	pay.run("pay", "/bin/busybox", "httpd", "-f", "-h", "/")
	server := d.workload(func(w *InterfaceWorkload) bool { return w.Name == "pay" && len(w.Addresses) == 2 })
	if w := d.workload(func(w *InterfaceWorkload) bool { return w.Pod == "cart-0" }); w.Name != "cart" {
		t.Errorf("after a restart of containerd: got %+v", w)
	}
	for _, a := range server.Addresses {
		url := "http://" + netip.AddrPortFrom(a, 80).String() + "/bin/sh"
		until(t, "an answer from "+url, func() bool { // an IPv6 address is checked before it is used
			return exec.Command("nsenter", "--net="+processOf(t, w.ID)+"/ns/net", "busybox", "wget", "-q", "-O", "/dev/null", "-U", "WEIRTOKEN-7f3a91", url).Run() == nil
		})
	}
	pay.remove()
	until(t, "a pod to be forgotten", func() bool { return len(d.workloads()) == 1 })
	var status *Status
	until(t, "the status to say who hangs", func() (ok bool) {
		var err error
		if status, err = d.client.Status(); err != nil {
			t.Fatal(err)
		}
		return strings.Contains(strings.Join(status.Warnings, "\n"), "names of containers are missing: Docker: no answer")
	})
	if i := status.Interfaces; len(i) != 2 || i[1].Name != i[0].Name+"/lo" || i[0].Workload != "shop/cart-0" || i[0].Who.Image != boxImage || i[0].Who.ID != cart.id {
		t.Errorf("status: got %+v", i)
	}
	eve := d.stop() // while a pod is taken down it goes by whichever of its containers is left
	cart.remove()
	hangs.Close()
	seen := map[string]int{}
	for line := range bytes.Lines(eve) {
		ev, err := alert.ParseEVE(line)
		if err != nil {
			t.Fatal(err)
		}
		if ev.Dst.Port() != 80 {
			continue
		}
		seen[ev.Type+fmt.Sprint(ev.Dst.Addr().Is4())]++
		src, dst := ev.Weir.Src, ev.Weir.Dst
		if src == nil || dst == nil || src.Name != "cart" || src.Pod != "cart-0" || src.Namespace != "shop" || src.Labels["app"] != "cart" ||
			dst.Name != "pay" || dst.Pod != "pay-0" || dst.Namespace != "pay" || dst.Image != boxImage {
			t.Errorf("%s: the ends are not named: %s", ev.Type, line)
		}
	}
	for _, typ := range []string{"alert", "http", "flow"} {
		if seen[typ+"true"] == 0 || seen[typ+"false"] == 0 {
			t.Errorf("no %s over IPv4 and over IPv6: %v", typ, seen)
		}
	}
}

// TestPodInside: what the containers of one pod say to each other is found, and the first word of a container that has just been started.
func TestPodInside(t *testing.T) {
	if !box(t, "containerd", "ctr", "runc", "busybox", "nsenter") {
		return
	}
	startContainerd(t)
	command(t, "ctr", "-n", "k8s.io", "images", "import", image(t))
	c := dialCRI(t)
	d := startDaemon(t)
	began := time.Now()
	pod := c.pod("shop", "cart-0", "11111111-2222-3333-4444-555555555555")
	var heard time.Time
	until(t, "both ends to be listened on", func() bool {
		s, err := d.client.Status()
		heard = time.Now()
		return err == nil && len(s.Interfaces) == 2
	})
	t.Logf("a pod's veth and loopback are listened on %s after it was asked for, sandbox and network included", heard.Sub(began).Round(time.Millisecond))
	pod.run("web", "/bin/busybox", "httpd", "-f", "-h", "/", "-p", "8080")
	// It speaks with its first breath, and until it is answered: the other container may still be starting.
	started := time.Now()
	pod.run("client", "/bin/busybox", "sh", "-c", "until /bin/busybox wget -q -O /dev/null -U WEIRTOKEN-7f3a91 http://127.0.0.1:8080/bin/sh; do :; done; exec /bin/busybox sleep 100000")
	until(t, "the alert", func() bool {
		eve, _ := os.ReadFile("/var/log/weir/eve.json")
		return bytes.Contains(eve, []byte("\"event_type\":\"alert\""))
	})
	w := d.workload(func(w *InterfaceWorkload) bool { return w.Pod == "cart-0" && w.Name != "" })
	if strings.Join(w.Attached, " ") != "host loopback" || len(w.NotSeen) > 0 {
		t.Errorf("attached %v, not seen %v", w.Attached, w.NotSeen)
	}
	pod.remove()
	until(t, "the pod to be forgotten", func() bool { return len(d.workloads()) == 0 })
	eve := d.stop()
	alerts := parse(t, eve, "alert")
	if len(alerts) == 0 {
		t.Fatal("no alert")
	}
	for _, ev := range alerts {
		if src, dst := ev.Weir.Src, ev.Weir.Dst; src == nil || dst == nil || src.Pod != "cart-0" || dst.Pod != "cart-0" || !strings.HasSuffix(ev.Iface, loopbackName) {
			t.Errorf("on %s from %+v to %+v", ev.Iface, src, dst)
		}
	}
	first := time.Unix(0, alerts[0].Time)
	t.Logf("the first word of a container was seen %s after its start was asked for", first.Sub(started).Round(time.Millisecond))
	for _, ev := range parse(t, eve, "flow") { // none began before it was seen
		if strings.HasSuffix(ev.Iface, loopbackName) && ev.Src.Port() == 8080 {
			t.Errorf("a flow was met in its middle: %+v", ev.Flow)
		}
	}
}
