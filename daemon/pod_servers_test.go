package daemon

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// hostFolders are what a container is lent of the host, so that the host's servers run in there.
var hostFolders = []string{"/usr", "/lib", "/lib64", "/etc/passwd", "/etc/group"}

// serverFiles makes a folder with what servers need to read, at /srv in their containers.
func serverFiles(t *testing.T) (dir string) {
	t.Helper()
	dir = "/run/srv" // not a folder of the test: PostgreSQL's user must reach it
	temp := ""
	for _, what := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		temp += what + "_temp_path /tmp/" + what + ";\n"
	}
	nginx := "user root; daemon off; pid /tmp/pid; worker_processes 1; events {}\nhttp { access_log off; keepalive_requests 1000000;\n" + temp +
		"server { listen [::]:80 ipv6only=off; location / { return 200 'ok\\n'; } } }\n"
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	const grpc = `version = 2
root = "/tmp/root"
state = "/tmp/state"
[grpc]
  address = "/tmp/grpc.sock"
  tcp_address = "[::]:50051"
[plugins."io.containerd.grpc.v1.cri"]
  disable_tcp_service = false
  disable_apparmor = true
  disable_cgroup = true
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "native"
`
	for name, text := range map[string]string{"nginx.conf": nginx, "grpc.toml": grpc} {
		if err := os.WriteFile(dir+"/"+name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

var (
	serveHTTP  = []string{"/usr/sbin/nginx", "-c", "/srv/nginx.conf", "-p", "/tmp", "-e", "stderr"}
	serveRedis = []string{"/usr/bin/redis-server", "--bind", "*", "-::*", "--protected-mode", "no", "--save", ""}
	serveGRPC  = []string{"/usr/bin/containerd", "--log-level", "error", "--config", "/srv/grpc.toml"} // a server of grpc-go; nobody asks it for a container
	serveDNS   = []string{"/usr/sbin/dnsmasq", "--keep-in-foreground", "--no-resolv", "--no-hosts", "--user=root", "--pid-file=", "--address=/cart.test/10.1.2.3", "--address=/pay.test/10.1.2.4"}
)

// servePostgres returns what serves a database, which it makes.
func servePostgres(t *testing.T, dir string) []string {
	t.Helper()
	bins, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	if len(bins) == 0 {
		t.Fatal("PostgreSQL is not installed")
	}
	bin := bins[len(bins)-1]
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	as := []string{"/usr/bin/setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--"}
	command(t, as[0], append(as[1:], bin+"/initdb", "--no-sync", "-A", "trust", "-U", "postgres", "-D", dir+"/data")...)
	hba := "host all all all trust\n"
	if err := os.WriteFile(dir+"/data/pg_hba.conf", []byte(hba), 0o644); err != nil {
		t.Fatal(err)
	}
	return append(as, bin+"/postgres", "-D", "/srv/data", "-k", "/srv/data", "-h", "*", "-c", "fsync=off", "-c", "shared_buffers=16MB", "-c", "dynamic_shared_memory_type=mmap", "-c", "autovacuum=off")
}

// dialFrom connects from the network namespace of a process, named by its folder in /proc.
func dialFrom(proc, network, to string) (c net.Conn, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread ends with it
		f, e := os.Open(proc + "/ns/net")
		if err = e; err != nil {
			return
		}
		defer f.Close()
		if err = unix.Setns(int(f.Fd()), unix.CLONE_NEWNET); err == nil {
			c, err = net.DialTimeout(network, to, 5*time.Second)
		}
	}()
	<-done
	return c, err
}

// talker says things from inside a container's network namespace, on connections that it keeps.
type talker struct {
	t    *testing.T
	proc string // of a process of the container
	http http.Client
}

func newTalker(t *testing.T, id string) *talker {
	proc := processOf(t, id)
	x := &talker{t: t, proc: proc}
	x.http.Timeout = 10 * time.Second
	x.http.Transport = &http.Transport{DialContext: func(_ context.Context, network, to string) (net.Conn, error) { return dialFrom(proc, network, to) }}
	t.Cleanup(x.http.CloseIdleConnections)
	return x
}

// ask asks for a path n times.
func (x *talker) ask(method, host, path string, n int) error {
	for i := range n {
		p := path
		if strings.Contains(p, "%d") {
			p = fmt.Sprintf(p, i)
		}
		req, err := http.NewRequest(method, "http://"+host+p, nil)
		if err != nil {
			return err
		}
		r, err := x.http.Do(req)
		if err != nil {
			return fmt.Errorf("request %d: %w", i, err)
		}
		_, err = io.Copy(io.Discard, r.Body)
		r.Body.Close()
		if err != nil || r.StatusCode != http.StatusOK {
			return fmt.Errorf("request %d: status %d, %v", i, r.StatusCode, err)
		}
	}
	return nil
}

// grpc makes n calls of a method with an empty message, on a connection of their own.
func (x *talker) grpc(host, method string, n int) error {
	var p http.Protocols
	p.SetUnencryptedHTTP2(true)
	c := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{Protocols: &p, DialContext: func(_ context.Context, network, to string) (net.Conn, error) { return dialFrom(x.proc, network, to) }}}
	defer c.CloseIdleConnections()
	for i := range n {
		req, err := http.NewRequest(http.MethodPost, "http://"+net.JoinHostPort(host, "50051")+method, strings.NewReader("\x00\x00\x00\x00\x00"))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "application/grpc")
		req.Header.Set("TE", "trailers")
		r, err := c.Do(req)
		if err != nil {
			return fmt.Errorf("call %d: %w", i, err)
		}
		_, err = io.Copy(io.Discard, r.Body)
		r.Body.Close()
		if status := r.Trailer.Get("Grpc-Status") + r.Header.Get("Grpc-Status"); err != nil || status != "0" {
			return fmt.Errorf("call %d: status %q, %v", i, status, err)
		}
	}
	return nil
}

// redis says n commands on a connection of their own.
func (x *talker) redis(host string, n int, words ...string) error {
	c, err := dialFrom(x.proc, "tcp", net.JoinHostPort(host, "6379"))
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	line := fmt.Sprintf("*%d\r\n", len(words))
	for _, w := range words {
		line += fmt.Sprintf("$%d\r\n%s\r\n", len(w), w)
	}
	r := bufio.NewReader(c)
	for i := range n {
		if _, err := io.WriteString(c, line); err != nil {
			return fmt.Errorf("command %d: %w", i, err)
		}
		answer, err := r.ReadString('\n')
		if err == nil && answer[0] == '$' && answer != "$-1\r\n" {
			_, err = r.ReadString('\n')
		}
		if err != nil || answer[0] == '-' {
			return fmt.Errorf("command %d: %q, %w", i, answer, err)
		}
	}
	return nil
}

// resolve asks a DNS server n times.
func (x *talker) resolve(host, name string, n int) error {
	r := net.Resolver{PreferGo: true, Dial: func(_ context.Context, network, _ string) (net.Conn, error) {
		return dialFrom(x.proc, network, net.JoinHostPort(host, "53"))
	}}
	for i := range n {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		_, err := r.LookupNetIP(ctx, "ip4", name+".")
		cancel()
		if err != nil {
			return fmt.Errorf("question %d: %w", i, err)
		}
	}
	return nil
}

// sql says n statements, one after the other, on a connection of their own.
func (x *talker) sql(host string, n int, statement string) error {
	cmd := exec.Command("nsenter", "--net="+x.proc+"/ns/net", "psql", "-X", "-q", "-t", "-h", host, "-U", "postgres", "-v", "ON_ERROR_STOP=1")
	cmd.Env = append(os.Environ(), "PGCONNECT_TIMEOUT=10")
	cmd.Stdin = strings.NewReader(strings.Repeat(statement+";\n", n))
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out[:min(len(out), 500)])
	}
	return nil
}
