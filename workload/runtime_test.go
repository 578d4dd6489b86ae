package workload

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
)

// recorded reads an answer that a real runtime gave: containerd 1.6.20, Podman 4.3.1, Docker 20.10.24.
func recorded(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const testImage = "localhost/weir-test:1"

func TestParseCRI(t *testing.T) {
	const id = "4565d434ae64e0b3d2881a77476e96ff27a9602548f97acb9d8b4d850185092a"
	s, err := parseSandbox(recorded(t, "cri-sandbox.bin")[grpcHead:], id)
	want := Description{Pod: "cart-0", Namespace: "shop", Labels: map[string]string{"app": "cart", LabelPodUID: "11111111-2222-3333-4444-555555555555"}}
	if err != nil || s == nil || !reflect.DeepEqual(s.d, want) {
		t.Errorf("sandbox: got %+v, %v, want %+v", s, err, want)
	}
	if s, err := parseSandbox(recorded(t, "cri-sandbox.bin")[grpcHead:], id[:60]); s != nil || err != nil {
		t.Errorf("of an id cut short: got %+v, %v", s, err)
	}
	list, err := parseContainers(recorded(t, "cri-containers.bin")[grpcHead:])
	if err != nil || len(list) != 2 {
		t.Fatalf("containers: got %v, %v", list, err)
	}
	for key, c := range list {
		// "proxy" was about to be started.
		if c.id != key || c.sandbox != id || c.image != testImage || c.running != (c.name == "cart") || c.created == 0 {
			t.Errorf("container: got %+v", c)
		}
	}
	if o := oldest(list); o == nil || o.name != "cart" {
		t.Errorf("oldest that runs: got %+v", o)
	}
	for _, c := range list {
		c.running = true
	}
	if o := oldest(list); o == nil || o.name != "cart" {
		t.Errorf("oldest: got %+v", o)
	}
	for _, b := range []string{"\x0a", "\x0a\x05ab", "\x0a\x02\x0a\xff", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"} {
		if _, err := parseContainers([]byte(b)); err == nil {
			t.Errorf("%q was taken for a list of containers", b)
		}
	}
}

func TestParseEngines(t *testing.T) {
	docker, err := parseDocker(recorded(t, "docker-container.json"))
	if err != nil || len(docker) != 1 {
		t.Fatalf("Docker: got %v, %v", docker, err)
	}
	want := &Description{Name: "web", Image: testImage, Labels: map[string]string{"tier": "front"}}
	if got := docker[0].describe(); !reflect.DeepEqual(got, want) {
		t.Errorf("Docker: got %+v, want %+v", got, want)
	}
	podman, err := parsePodman(recorded(t, "podman-pod.json"))
	if err != nil || len(podman) != 2 || !podman[0].IsInfra || podman[0].PodName != "shop" {
		t.Fatalf("Podman: got %+v, %v", podman, err)
	}
	if o := oldestPodman(podman); o == nil || ownName(o.Names) != "cart" || o.Image != testImage {
		t.Errorf("Podman, oldest: got %+v", o)
	}
	podman, err = parsePodman(recorded(t, "podman-container.json"))
	if err != nil || len(podman) != 1 || podman[0].IsInfra || podman[0].PodName != "" || podman[0].Labels["tier"] != "front" {
		t.Errorf("Podman: got %+v, %v", podman, err)
	}
	for _, b := range []string{"", "{}", "[", `[{"Id": 1}]`, `["x"]`, `[{"Labels": []}]`} {
		if _, err := parseDocker([]byte(b)); err == nil {
			t.Errorf("Docker: %q was taken for a list of containers", b)
		}
		if _, err := parsePodman([]byte(b)); err == nil {
			t.Errorf("Podman: %q was taken for a list of containers", b)
		}
	}
	for want, names := range map[string][]string{"web": {"/other/alias", "/web"}, "a": {"a", "b"}, "": {"/x/y", "/", ""}} {
		if got := ownName(names); got != want {
			t.Errorf("%v: got %q, want %q", names, got, want)
		}
	}
}

func TestBound(t *testing.T) {
	long := strings.Repeat("é", 600)
	d := Description{Name: "a\x1b[2J\u202eb\xff\n", Pod: long, Image: long, Labels: map[string]string{
		"b": long, "\x00": "\u200b", strings.Repeat("k", maxLabelKey+1): "left out",
	}}
	d.bound()
	if d.Name != "a?[2J?b??" || len(d.Pod) > maxName+1 || len(d.Image) > maxImage+1 || len(d.Labels) != 2 || d.Labels["?"] != "?" || len(d.Labels["b"]) > maxLabel+1 {
		t.Errorf("got %+v", d)
	}
	for i := range 500 {
		d.Labels[fmt.Sprintf("%03d", i)] = strings.Repeat("x", i)
	}
	d.bound()
	size := 0
	for k, v := range d.Labels {
		size += len(k) + len(v)
	}
	if len(d.Labels) != maxLabels || d.Labels["000"] != "" || d.Labels["001"] != "x" {
		t.Errorf("got %d labels", len(d.Labels))
	}
	for i := range 500 {
		d.Labels[fmt.Sprintf("%03d", i)] = long
	}
	d.bound()
	if n := len(d.Labels); n != maxLabelText/(maxLabel+3) {
		t.Errorf("got %d long labels", n)
	}
	w := Workload{ID: testID, Name: "red", Labels: map[string]string{LabelPodUID: testUID}}
	got := w.With(&Description{Pod: "p", Namespace: "n", Labels: map[string]string{"a": "b"}})
	want := Workload{ID: testID, Pod: "p", Namespace: "n", Labels: map[string]string{"a": "b", LabelPodUID: testUID}}
	if !reflect.DeepEqual(got, want) || len(w.Labels) != 1 {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := w.With(nil); !reflect.DeepEqual(got, w) {
		t.Errorf("of nothing: got %+v", got)
	}
	if got := w.With(&Description{Image: "i"}); got.Name != "red" {
		t.Errorf("of a container without a name: got %+v", got)
	}
}

func TestMayKnow(t *testing.T) {
	for mark, want := range map[string]string{
		"": "containerd, containerd of k3s, CRI-O, Docker", "docker": "Docker", "libpod": "Podman", "crio": "CRI-O", "cri-containerd": "containerd, containerd of k3s",
	} {
		var got []string
		for _, r := range Runtimes() {
			if r.MayKnow(mark) {
				got = append(got, r.Name)
			}
		}
		if s := strings.Join(got, ", "); s != want {
			t.Errorf("%q: got %s, want %s", mark, s, want)
		}
	}
}

// at returns one of the known runtimes, with its socket elsewhere.
func at(name, socket string) Runtime {
	for _, r := range Runtimes() {
		if r.Name == name {
			r.Sockets = []string{filepath.Join(filepath.Dir(socket), "none"), socket}
			return r
		}
	}
	panic(name)
}

func socket(t *testing.T) (path string, l net.Listener) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return path, l
}

func TestAbsent(t *testing.T) {
	path, l := socket(t)
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	for _, name := range []string{"containerd", "Docker", "Podman"} {
		r := at(name, path)
		if d, err := r.Describe(context.Background(), testID); d != nil || err != ErrAbsent {
			t.Errorf("%s, nobody listens: got %v, %v", name, d, err)
		}
		r.Sockets = r.Sockets[:1]
		if d, err := r.Describe(context.Background(), testID); d != nil || err != ErrAbsent {
			t.Errorf("%s, no socket: got %v, %v", name, d, err)
		}
		if d, err := r.Describe(context.Background(), "x"); d != nil || err != nil {
			t.Errorf("%s, no id: got %v, %v", name, d, err)
		}
		r.Sockets = []string{"/proc/self/stat/x"}
		if _, err := r.Describe(context.Background(), testID); err == nil || !strings.HasPrefix(err.Error(), name+": ") {
			t.Errorf("%s, no way there: got %v", name, err)
		}
	}
}

// TestHostile asks servers that answer nothing, too much, too slowly, or nonsense: an error comes in time.
func TestHostile(t *testing.T) {
	endless := func(begin string) func(net.Conn) {
		return func(c net.Conn) {
			c.Write([]byte(begin))
			for b := make([]byte, 64<<10); ; {
				if _, err := c.Write(b); err != nil {
					return
				}
			}
		}
	}
	hang := func(c net.Conn) { c.Read(make([]byte, 1<<16)); time.Sleep(2 * askTimeout) }
	const ok = "HTTP/1.1 200 OK\r\n"
	var all sync.WaitGroup
	defer all.Wait()
	say := func(s string) func(net.Conn) { return func(c net.Conn) { c.Write([]byte(s)) } }
	for _, c := range []struct {
		name string
		do   func(net.Conn)
	}{
		{"hangs", hang},
		{"hangs in the body", func(c net.Conn) { say(ok + "Content-Length: 10\r\n\r\n[")(c); hang(c) }},
		{"drips", func(c net.Conn) {
			for say(ok + "Content-Length: 1000\r\n\r\n")(c); ; time.Sleep(20 * time.Millisecond) {
				if _, err := c.Write([]byte(" ")); err != nil {
					return
				}
			}
		}},
		{"endless head", endless(ok + "X: ")},
		{"endless body", endless(ok + "Connection: close\r\n\r\n")},
		{"endless frame", endless("\x00\x00\x00\x04\x00\x00\x00\x00\x00")},
		{"nonsense", say("\x00\x01\x02\n\n\r\n\r\n")},
		{"no list", say(ok + "Content-Length: 2\r\n\r\n{}")},
		{"an error", say("HTTP/1.1 500 no\r\nContent-Length: 0\r\n\r\n")},
		{"elsewhere", say("HTTP/1.1 302 no\r\nLocation: http://192.0.2.1/\r\nContent-Length: 0\r\n\r\n")},
		{"closes", func(net.Conn) {}},
	} {
		for _, name := range []string{"containerd", "Docker", "Podman"} {
			path, l := socket(t)
			go func() {
				for {
					n, err := l.Accept()
					if err != nil {
						return
					}
					go func() { defer n.Close(); n.Read(make([]byte, 1)); c.do(n) }()
				}
			}()
			r := at(name, path)
			all.Go(func() { // at once: many of them take as long as they may
				start := time.Now()
				d, err := r.Describe(context.Background(), testID)
				if d != nil || err == nil || errors.Is(err, ErrAbsent) {
					t.Errorf("%s, %s: got %+v, %v", c.name, name, d, err)
				} else if strings.Contains(err.Error(), "filters") {
					t.Errorf("%s, %s: the request stands in the error: %v", c.name, name, err)
				}
				if took := time.Since(start); took > 10*askTimeout {
					t.Errorf("%s, %s: it took %v", c.name, name, took)
				}
			})
		}
	}
}

// TestHostileGRPC asks servers that speak HTTP/2, but no gRPC.
func TestHostileGRPC(t *testing.T) {
	for _, c := range []struct {
		name, want string
		answer     func(w http.ResponseWriter)
	}{
		{"no status", "no gRPC", func(w http.ResponseWriter) { w.Write(make([]byte, grpcHead)) }},
		{"a wrong length", "no gRPC", func(w http.ResponseWriter) {
			w.Write([]byte{0, 0, 0, 0, 9, 1})
			w.Header().Set(http.TrailerPrefix+"Grpc-Status", "0")
		}},
		{"compressed", "no gRPC", func(w http.ResponseWriter) {
			w.Write([]byte{1, 0, 0, 0, 0})
			w.Header().Set(http.TrailerPrefix+"Grpc-Status", "0")
		}},
		{"no protobuf", "no protobuf", func(w http.ResponseWriter) {
			w.Write([]byte{0, 0, 0, 0, 1, 0xff})
			w.Header().Set(http.TrailerPrefix+"Grpc-Status", "0")
		}},
		{"an error", "gRPC status 2: no?[2J", func(w http.ResponseWriter) {
			w.Header().Set("Grpc-Status", "2")
			w.Header().Set("Grpc-Message", "no\u009b[2J")
		}},
		{"not there", "not there", func(w http.ResponseWriter) { w.Header().Set("Grpc-Status", "12") }},
		{"too long", "longer than", func(w http.ResponseWriter) { w.Write(make([]byte, 2*maxAnswer)) }},
		{"HTTP's status", "HTTP status 418", func(w http.ResponseWriter) { w.WriteHeader(http.StatusTeapot) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			path, l := socket(t)
			var p http.Protocols
			p.SetUnencryptedHTTP2(true)
			s := http.Server{Protocols: &p, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { c.answer(w) })}
			go s.Serve(l)
			defer s.Close()
			r := at("containerd", path)
			d, err := r.Describe(context.Background(), testID)
			if d != nil || err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %+v, %v, want %s", d, err, c.want)
			}
		})
	}
}

// TestDockerPods: what Docker says of the pods that cri-dockerd has it run. No such thing can be had here, so the answers are made up
// from how it labels them.
func TestDockerPods(t *testing.T) {
	labels := func(more ...string) map[string]string {
		m := map[string]string{labelPod: "cart-0", labelNamespace: "shop", LabelPodUID: testUID}
		for i := 0; i < len(more); i += 2 {
			m[more[i]] = more[i+1]
		}
		return m
	}
	sandbox := dockerContainer{testID, []string{"/k8s_POD_cart-0_shop"}, "registry/pause:3.9", 10, "running", labels(labelType, typeSandbox, labelContainer, "POD")}
	young := dockerContainer{"1", []string{"/k8s_proxy_cart-0_shop"}, "proxy:1", 30, "running", labels(labelContainer, "proxy", labelSandbox, testID)}
	old := dockerContainer{"2", []string{"/k8s_cart_cart-0_shop"}, "cart:1", 20, "running", labels(labelContainer, "cart", labelSandbox, testID)}
	path, l := socket(t)
	all := []dockerContainer{sandbox}
	s := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var f map[string][]string
		json.Unmarshal([]byte(r.URL.Query().Get("filters")), &f)
		list := []dockerContainer{}
		for _, c := range all {
			if len(f["id"]) > 0 && c.ID == f["id"][0] || len(f["label"]) > 0 && f["label"][0] == labelSandbox+"="+c.Labels[labelSandbox] {
				list = append(list, c)
			}
		}
		json.NewEncoder(w).Encode(list)
	})}
	go s.Serve(l)
	defer s.Close()
	r := at("Docker", path)
	for _, c := range []struct {
		add        dockerContainer
		name, want string
	}{{sandbox, "", ""}, {young, "proxy", "proxy:1"}, {old, "cart", "cart:1"}} {
		all = append(all, c.add)
		d, err := r.Describe(context.Background(), testID)
		if err != nil || d == nil || d.Name != c.name || d.Image != c.want || d.Pod != "cart-0" || d.Namespace != "shop" {
			t.Errorf("got %+v, %v, want %s", d, err, c.name)
		}
	}
	if d, err := r.Describe(context.Background(), otherID); d != nil || err != nil {
		t.Errorf("of an id that it does not know: got %+v, %v", d, err)
	}
}

// FuzzAnswers reads what runtimes and the kernel answer.
func FuzzAnswers(f *testing.F) {
	f.Add(recorded(f, "cri-sandbox.bin")[grpcHead:])
	f.Add(recorded(f, "cri-containers.bin")[grpcHead:])
	for _, name := range []string{"docker-container.json", "podman-container.json", "podman-pod.json"} {
		f.Add(recorded(f, name))
	}
	f.Add([]byte("\x02\x18\x80\x00\x02\x00\x00\x00\x08\x00\x0a\x00\x00\x00\x00\x00\x08\x00\x01\x00\x0a\x09\x00\x02\x08\x00\x02\x00\x0a\x09\x00\x02"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if list, err := parseContainers(b); err == nil {
			oldest(list)
		}
		if s, err := parseSandbox(b, ""); err == nil && s != nil {
			bounded(t, &s.d)
		}
		if list, err := parseDocker(b); err == nil {
			oldestDocker(list)
			for i := range list {
				bounded(t, list[i].describe())
			}
		}
		if list, err := parsePodman(b); err == nil {
			oldestPodman(list)
		}
		if a, _ := parseAddress(b); a.Is4In6() {
			t.Errorf("got %v", a)
		}
	})
}

// bounded checks that nothing of a description can be long or command a terminal.
func bounded(t *testing.T, d *Description) {
	d.bound()
	texts := []string{d.Name, d.Pod, d.Namespace, d.Image}
	for k, v := range d.Labels {
		texts = append(texts, k, v)
	}
	if len(texts) > 4+2*maxLabels {
		t.Errorf("%d labels", len(d.Labels))
	}
	for _, s := range texts {
		if len(s) > maxImage+1 || printable(s, len(s)) != s {
			t.Errorf("got %q", s)
		}
	}
}
