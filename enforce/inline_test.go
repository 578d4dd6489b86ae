package enforce

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"weir/dissect"
	"weir/engine"
	"weir/flow"
	"weir/policy"
)

// engineFor returns an engine with a policy.
func engineFor(t testing.TB, text string) *engine.Engine {
	t.Helper()
	set, problems := policy.Parse("policy.toml", []byte(text), policy.Options{Fields: dissect.FieldNames})
	for _, p := range problems {
		t.Fatal(p)
	}
	p, problems := policy.Compile(set, time.Time{}, engine.FieldNumber, engine.ProtocolNumber)
	for _, p := range problems {
		t.Fatal(p)
	}
	e := engine.New(engine.Config{Flow: flow.DefaultLimits, Dissect: dissect.DefaultLimits})
	e.SetPolicy(p)
	return e
}

// inline enforces with an engine in the namespace, until the test ends.
func (s *space) inline(t testing.TB, e *engine.Engine, conf Config) *Guard {
	t.Helper()
	lanes := []*engine.Lane{e.NewLane(), e.NewLane()}
	pool := NewPool(lanes)
	conf.Open = s.open
	Inline(e, engine.TapConfig{}, &conf)
	g, err := Start(conf, pool)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
		g.Wait()
		pool.Each((*engine.Lane).Free)
		pool.Close()
		s.wantNoRules(t)
	})
	return g
}

const httpPolicy = `
[modes]
default = "protect"
[[policy]]
id = "ok"
protocol = "http"
where = { "http.method" = ["GET"], "http.path" = ["/ok", "/orders/{id}"] }
action = "allow"
`

// web makes an HTTP server in the namespace, that counts requests.
func (s *space) web(t testing.TB, addr string) (url string, served *atomic.Uint64) {
	served = new(atomic.Uint64)
	l := s.listen(t, addr)
	go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/ok" && !strings.HasPrefix(r.URL.Path, "/orders/") {
			served.Add(1 << 32)
		}
		served.Add(1)
		io.WriteString(w, "ok")
	}))
	return "http://" + l.Addr().String(), served
}

// browser makes a client in the namespace.
func (s *space) browser(t testing.TB) *http.Client {
	tr := &http.Transport{Dial: func(network, addr string) (net.Conn, error) {
		a, err := net.ResolveTCPAddr(network, addr)
		if err != nil {
			return nil, err
		}
		return s.dial(a)
	}}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: patience}
}

// TestPolicy holds that what a policy allows passes without a reset, and that nothing else does, in whichever way it comes.
func TestPolicy(t *testing.T) {
	ways(t, func(t *testing.T, client, pod *space, addr string) {
		g := pod.inline(t, engineFor(t, httpPolicy), Config{Unreachable: true})
		url, served := pod.web(t, addr)
		b := client.browser(t)
		const n = 500
		for i := range n {
			resp, err := b.Get(fmt.Sprintf("%s/orders/%d", url, i))
			if err != nil {
				t.Fatalf("request %d: %v", i, err)
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
		if s := g.Stats(); s.Dropped > 0 || s.Resets > 0 || s.Missed > 0 {
			t.Errorf("allowed requests: counted %+v", s)
		}
		if resp, err := b.Get(url + "/admin"); !isReset(err) && !errors.Is(err, io.EOF) {
			t.Errorf("a path that nobody allows: %v %v", resp, err)
		}
		if resp, err := b.Post(url+"/ok", "text/plain", strings.NewReader("x")); !isReset(err) && !errors.Is(err, io.EOF) {
			t.Errorf("a method that nobody allows: %v %v", resp, err)
		}
		if got := served.Load(); got != n {
			t.Errorf("the server served %d requests, %d of them not allowed", got&(1<<32-1), got>>32)
		}
		udp := pod.packets(t, addr)
		var conn net.Conn
		client.do(t, func() (err error) {
			conn, err = net.Dial("udp", udp.LocalAddr().String())
			return err
		})
		defer conn.Close()
		io.WriteString(conn, "hello")
		conn.SetReadDeadline(time.Now().Add(patience))
		if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, unix.EHOSTUNREACH) && !errors.Is(err, unix.EACCES) {
			t.Errorf("a datagram that nobody allows: %v", err)
		}
	})
}

// TestPolicySilent holds that what is undecided does not stay so: a client that says what nobody understands, to a server that is silent.
func TestPolicySilent(t *testing.T) {
	client, pod := pair(t)
	pod.inline(t, engineFor(t, strings.Replace(httpPolicy, `action = "allow"`, `action = "allow"
undecided = { bytes = 4096, seconds = 1, action = "deny" }`, 1)), Config{})
	l := pod.listen(t, "10.9.0.2")
	got := make(chan []byte, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		b, _ := io.ReadAll(c)
		got <- b
	}()
	conn := client.mustDial(t, l.Addr())
	io.WriteString(conn, "G")
	begin := time.Now()
	if _, err := conn.Read(make([]byte, 1)); !isReset(err) {
		t.Errorf("the client was told: %v", err)
	}
	if d := time.Since(begin); d > 5*time.Second {
		t.Errorf("after %v", d)
	}
	if b := <-got; len(b) > 1 {
		t.Errorf("the server received %q", b)
	}
}

// TestPolicyClear holds that a connection of which the policy has nothing more to say leaves the queue.
func TestPolicyClear(t *testing.T) {
	client, pod := pair(t)
	g := pod.inline(t, engineFor(t, "[modes]\ndefault = \"protect\"\n[[policy]]\nid = \"all\"\naction = \"allow\"\n"), Config{})
	server := newSink(t, pod, "10.9.0.2")
	conn := client.mustDial(t, server.Addr())
	for range 500 {
		if err := ask(conn, "hello"); err != nil {
			t.Fatal(err)
		}
	}
	if s := g.Stats(); s.Packets > 20 || s.Cleared == 0 {
		t.Errorf("counted %+v", s)
	}
}
