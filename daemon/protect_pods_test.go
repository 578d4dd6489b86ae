package daemon

import (
	"bytes"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// podCity is pods with real servers, and the daemon beside them.
type podCity struct {
	t *testing.T
	c *cri
	d *boxedDaemon
}

// approve makes a policy of what was learned, as `weir policy approve` does, and returns it.
func (d *boxedDaemon) approve(complete func(text string) bool) string {
	d.t.Helper()
	conf := DefaultConfig()
	text := ""
	until(d.t, "a proposal with all that was said", func() bool {
		what, err := d.client.Learned()
		if err != nil {
			d.t.Fatal(err)
		}
		folder, problems := OpenPolicy(conf.Paths.Policy)
		if problems.Failed() {
			d.t.Fatal(problems)
		}
		text = string(what.Propose(folder.Set, 0).AppendTOML(nil))
		return complete(text)
	})
	d.write("50-learned.toml", []byte(text))
	return text
}

// write writes a policy file, if the policy is right with it, and has the daemon load it.
func (d *boxedDaemon) write(name string, data []byte) {
	d.t.Helper()
	folder, problems := OpenPolicy(DefaultConfig().Paths.Policy)
	if !problems.Failed() {
		_, problems = folder.With(name, data)
	}
	if problems.Failed() {
		d.t.Fatalf("%v\n%s", problems, data)
	}
	if err := folder.Write(name, data); err != nil {
		d.t.Fatal(err)
	}
	if problems, err := d.client.Reload(); err != nil || problems.Failed() {
		d.t.Fatal(err, problems)
	}
}

// mode sets a group's mode, as `weir policy mode` does.
func (d *boxedDaemon) mode(group, mode string) {
	d.t.Helper()
	folder, problems := OpenPolicy(DefaultConfig().Paths.Policy)
	if problems.Failed() {
		d.t.Fatal(problems)
	}
	name, data, err := folder.SetMode(group, mode)
	if err != nil {
		d.t.Fatal(err)
	}
	d.write(name, data)
}

// tables returns how many tables of Weir's rules are in the network namespace of a process.
func tables(t *testing.T, proc string) int {
	t.Helper()
	return strings.Count(command(t, "nsenter", "--net="+proc+"/ns/net", "nft", "list", "tables"), "weir")
}

// addresses waits until a pod's addresses are known, and returns them: IPv4 and IPv6.
func (d *boxedDaemon) addresses(pod string) (v4, v6 string) {
	d.t.Helper()
	w := d.workload(func(w *InterfaceWorkload) bool { return w.Pod == pod && w.Name != "" && len(w.Addresses) == 2 })
	for _, a := range w.Addresses {
		if a.Is4() {
			v4 = a.String()
		} else {
			v6 = a.String()
		}
	}
	return v4, v6
}

// TestProtectPods: what real clients say to real servers in pods is learned, approved and protected: then all of it passes, and what is new is stopped.
func TestProtectPods(t *testing.T) {
	if !box(t, "containerd", "ctr", "runc", "busybox", "nsenter", "nft", "nginx", "redis-server", "dnsmasq", "setpriv", "psql") {
		return
	}
	startContainerd(t)
	command(t, "ctr", "-n", "k8s.io", "images", "import", image(t))
	srv := serverFiles(t)
	postgres := servePostgres(t, srv)
	c := dialCRI(t)
	d := startDaemon(t)
	client := c.pod("shop", "client-0", "11111111-2222-3333-4444-555555555501", "app", "client")
	web := c.pod("shop", "web-0", "11111111-2222-3333-4444-555555555502", "app", "web")
	db := c.pod("shop", "db-0", "11111111-2222-3333-4444-555555555503", "app", "db")
	client.run("client")
	client.run("cron")
	web.serve("nginx", srv, serveHTTP)
	web.run("agent") // talks to its neighbour
	db.serve("redis", srv, serveRedis)
	db.serve("dns", srv, serveDNS)
	db.serve("postgres", srv, postgres)
	db.serve("grpc", srv, serveGRPC)
	var at [3][2]string
	for i, pod := range []string{"client-0", "web-0", "db-0"} {
		at[i][0], at[i][1] = d.addresses(pod)
	}
	visitor, agent := newTalker(t, client.id), newTalker(t, web.id)
	must := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	http := func(to string) string { return net.JoinHostPort(to, "80") }
	const service = "/runtime.v1.RuntimeService/"
	// said is what is said, n times over; it returns how many requests that were.
	said := func(n int) (requests int) {
		t.Helper()
		for _, v := range []int{0, 1} {
			must("HTTP", visitor.ask("GET", http(at[1][v]), "/orders/%d", 12*n))
			must("HTTP inside", agent.ask("GET", http([]string{"127.0.0.1", "::1"}[v]), "/health", 4*n))
			must("Redis", visitor.redis(at[2][v], 8*n, "SET", "cart:1", "x"))
			must("Redis", visitor.redis(at[2][v], 8*n, "GET", "cart:1"))
			must("DNS", visitor.resolve(at[2][v], "cart.test", 4*n))
			must("SQL", visitor.sql(at[2][v], 4*n, "SELECT count(*) FROM card"))
			must("gRPC", visitor.grpc(at[2][v], service+"Version", 4*n))
			requests += 44 * n
		}
		return requests
	}
	until(t, "PostgreSQL", func() bool { return agent.sql(at[2][0], 1, "CREATE TABLE IF NOT EXISTS card (id int)") == nil })
	must("SQL", agent.sql(at[2][0], 1, "CREATE TABLE payroll (id int)"))
	until(t, "the servers, over IPv6 too", func() bool {
		return visitor.ask("GET", http(at[1][1]), "/orders/1", 1) == nil && visitor.redis(at[2][1], 1, "GET", "cart:1") == nil && visitor.resolve(at[2][1], "cart.test", 1) == nil &&
			visitor.grpc(at[2][1], service+"Version", 1) == nil
	})
	said(2)
	proposal := d.approve(func(text string) bool {
		for _, want := range []string{`"/orders/{id}"`, `"/health"`, `"GET"`, `"SET"`, `"cart.test"`, `"SELECT"`, `"card"`, `"Version"`} {
			if !strings.Contains(text, want) {
				said(1)
				return false
			}
		}
		return true
	})
	for _, group := range []string{"shop-web", "shop-db"} {
		if !strings.Contains(proposal, `name = "`+group+`"`) {
			t.Fatalf("no group %s is proposed:\n%s", group, proposal)
		}
		d.mode(group, "protect")
	}
	for _, pod := range []*pod{web, db} {
		until(t, "the rules in the namespace of a pod", func() bool { return tables(t, processOf(t, pod.id)) == 1 })
	}
	began := time.Now()
	n := said(125)
	t.Logf("%d requests in %s", n, time.Since(began).Round(time.Millisecond))
	if n < 10_000 {
		t.Errorf("%d requests were made", n)
	}

	stranger := c.pod("shop", "stranger-0", "11111111-2222-3333-4444-555555555504", "app", "stranger")
	stranger.run("stranger")
	d.addresses("stranger-0")
	other := newTalker(t, stranger.id)
	var want []string // of each that is stopped, what its alert must say
	stopped := func(what string, why string, try func() error) {
		t.Helper()
		began := time.Now()
		if try() == nil {
			t.Errorf("%s was not stopped", what)
		}
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("%s: told after %s", what, took)
		}
		want = append(want, why)
	}
	for _, v := range []int{0, 1} {
		stopped("a path", "http.path /admin is new: rule shop-client-to-shop-web-http allows /orders/{id}", func() error { return visitor.ask("GET", http(at[1][v]), "/admin", 1) })
		stopped("a method inside the pod", "http.method DELETE is new: rule shop-web-to-shop-web-http allows GET", func() error { return agent.ask("DELETE", http([]string{"127.0.0.1", "::1"}[v]), "/health", 1) })
		stopped("a Redis command", "redis.command FLUSHALL is new: rule shop-client-to-shop-db-redis allows GET, SET", func() error { return visitor.redis(at[2][v], 1, "FLUSHALL") })
		stopped("an SQL verb", "postgresql.verb DROP is new: rule shop-client-to-shop-db-postgresql allows SELECT", func() error { return visitor.sql(at[2][v], 1, "DROP TABLE card") })
		stopped("a table", "postgresql.table payroll is new: rule shop-client-to-shop-db-postgresql allows card", func() error { return visitor.sql(at[2][v], 1, "SELECT count(*) FROM payroll") })
		stopped("a gRPC method", "grpc.method ListContainers is new: rule shop-client-to-shop-db-grpc allows Version", func() error { return visitor.grpc(at[2][v], service+"ListContainers", 1) })
		stopped("a name", "dns.query evil.test is new: rule shop-client-to-shop-db-dns allows cart.test", func() error { return visitor.resolve(at[2][v], "evil.test", 1) })
		stopped("a peer", "a workload in no group is new to shop-web: rule shop-client-to-shop-web-http allows shop-client", func() error { return other.ask("GET", http(at[1][v]), "/orders/1", 1) })
		stopped("a port", "tcp/6379 is new: rule shop-client-to-shop-web-http allows tcp/80", func() error { return visitor.redis(at[1][v], 1, "GET", "cart:1") })
	}
	if err := visitor.sql(at[2][0], 1, "SELECT count(*) FROM card"); err != nil {
		t.Errorf("the table is gone: %v", err)
	}
	all := []*pod{client, web, db, stranger}
	eve := d.stop()
	for _, pod := range all {
		if n := tables(t, processOf(t, pod.id)); n > 0 {
			t.Errorf("%d tables are left in a pod's namespace", n)
		}
	}
	told := map[string]int{}
	var alerts []byte
	for line := range bytes.Lines(eve) {
		if bytes.Contains(line, []byte(`"event_type":"alert"`)) {
			alerts = append(alerts, line...)
		}
	}
	for _, ev := range parse(t, alerts, "alert") {
		if ev.Weir.Engine != "policy" || ev.Alert.Action != "blocked" || ev.Weir.Rule != "policy.default" {
			t.Errorf("an alert of %s, %s: %s -> %s: %s", ev.Weir.Rule, ev.Alert.Action, ev.Src, ev.Dst, ev.Weir.Why)
			continue
		}
		if !slices.ContainsFunc(want, func(w string) bool { return strings.Contains(ev.Weir.Why, w) }) {
			t.Errorf("what is allowed was stopped, or nothing says why: %s -> %s: %s", ev.Src, ev.Dst, ev.Weir.Why)
		}
		for _, w := range want {
			if strings.Contains(ev.Weir.Why, w) {
				told[w+fmt.Sprint(ev.Dst.Addr().Is4())]++
			}
		}
	}
	for _, w := range want {
		if told[w+"true"] == 0 || told[w+"false"] == 0 {
			t.Errorf("no alert over IPv4 and over IPv6 says %q", w)
		}
	}
	for _, pod := range all {
		pod.remove()
	}
}

// serve starts a container that runs a server of the host's.
func (p *pod) serve(name, srv string, args []string) (id string) {
	p.c.t.Helper()
	config := message(1, string(message(1, name)), 2, string(message(1, boxImage)))
	for _, a := range args {
		config = append(config, message(3, a)...)
	}
	for _, dir := range hostFolders {
		at, err := filepath.EvalSymlinks(dir)
		if err != nil {
			p.c.t.Fatal(err)
		}
		config = append(config, message(7, string(append(message(1, dir, 2, at), 3<<3, 1)))...) // read-only
	}
	config = append(config, message(7, string(message(1, "/srv", 2, srv)))...)
	return p.start(config)
}
