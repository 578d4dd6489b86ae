package weir_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// asked is a connection on which something is asked for and answered.
func asked(t *testing.T, port int, line, status string) [][]byte {
	t.Helper()
	return dialogueFrames(t, fmt.Sprintf("tcp %d 80\n> %s HTTP/1.1\\r\\nHost: shop\\r\\n\\r\\n\n< HTTP/1.1 %s\\r\\nContent-Length: 0\\r\\n\\r\\n", port, line, status))
}

// TestLivePolicy: what is seen is learned, proposed and approved; then what is new is told, and nothing else is.
func TestLivePolicy(t *testing.T) {
	needs(t, "ip", "tcpreplay")
	ns := veth(t)
	d := startDaemon(t, buildWeir(t), ns, liveRules(t))
	d.stop()
	folder := filepath.Join(d.dir, "policy.d")
	d.replace("[capture]", fmt.Sprintf("policy = %q\n[capture]", folder))
	d.launch(ns)
	port, proposal := 20000, ""
	until(t, "a proposal", func() bool {
		var frames [][]byte
		for i := range 3 {
			port++
			frames = append(frames, asked(t, port, fmt.Sprintf("GET /orders/%d", port+i), "200 OK")...)
		}
		for c := 'a'; c <= 'i'; c++ { // a scan
			port++
			frames = append(frames, asked(t, port, fmt.Sprintf("GET /secret-%c", c), "404 x")...)
		}
		d.send(ns, frames)
		proposal, _, _ = d.weir("policy", "learn", "--since", "1h")
		return strings.Contains(proposal, `"http.path" = ["/orders/{id}"]`) && strings.Contains(proposal, "left out, always refused: /secret-a")
	})
	for _, want := range []string{`match = ["address=10.1.0.1"]`, `ports = ["tcp/80"]`, `protocol = "http"`, `"http.method" = ["GET"]`, `"http.host" = ["shop"]`} {
		if !strings.Contains(proposal, want) {
			t.Errorf("the proposal lacks %s:\n%s", want, proposal)
		}
	}
	if out, stderr, status := d.weir("policy", "approve", "--name", "20-shop.toml"); status != 0 || !strings.Contains(out, "in force: 1 rules") {
		t.Fatalf("approve: %d, %q, %q", status, out, stderr)
	}
	if out, stderr, status := d.weir("policy", "mode", "default", "monitor"); status != 0 {
		t.Fatalf("mode: %d, %q, %q", status, out, stderr)
	}
	if _, err := os.Stat(filepath.Join(folder, "20-shop.toml")); err != nil {
		t.Error(err)
	}
	if out, stderr, status := d.weir("policy", "simulate", "--since", "1h"); status != 0 || !strings.Contains(out, "http.path /secret-a is new: rule 10.1.0.1-to-10.1.0.2-http allows /orders/{id}") || strings.Contains(out, "/orders/{id} http") {
		t.Errorf("simulate: %d, %s, %q", status, out, stderr)
	}
	events := ""
	until(t, "what is new to be told", func() bool {
		port += 2
		d.send(ns, append(asked(t, port, "GET /orders/5", "200 OK"), asked(t, port+1, "DELETE /orders/5", "200 OK")...))
		events, _, _ = d.weir("observe", "--verdict", "denied", "--last", "100", "-o", "json")
		return strings.Contains(events, "http.method DELETE is new: rule 10.1.0.1-to-10.1.0.2-http allows GET")
	})
	for line := range strings.Lines(events) {
		if strings.Contains(line, `"event_type":"alert"`) && !strings.Contains(line, "DELETE") {
			t.Errorf("what is allowed is told: %s", line)
		}
	}
	if out, _, _ := d.weir("policy", "show"); !strings.Contains(out, "10.1.0.1-to-10.1.0.2-http  allow ") || strings.Contains(out, "10.1.0.1-to-10.1.0.2-http  allow    0 ") {
		t.Errorf("show counts no hits:\n%s", out)
	}
	d.stop()
	if out, stderr, _ := d.weir("policy", "graph", "-o", "dot"); !strings.Contains(out, `"10.1.0.1" -> "10.1.0.2" [label="http tcp/80"]`) || !strings.Contains(stderr, "does not run") {
		t.Errorf("after the end: %s %s", out, stderr)
	}
}
