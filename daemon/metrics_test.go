package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"weir/alert"
)

// lockThread keeps the goroutine on a thread that ends with it.
func lockThread() { runtime.LockOSThread() }

func testSnapshot() Snapshot {
	return Snapshot{
		Packets: map[string]uint64{"veth": 10, "lo": 2}, Drops: map[string]uint64{"ring": 3}, Freezes: 1, Interfaces: 4,
		AttachFailures: map[string]uint64{"permission": 1}, Flows: 5, Held: 6, Gaps: 7, Uninspected: map[string]uint64{"tls": 8},
		Native: map[string]int64{"hyperscan": 9}, Recent: 10, Latency: Latency{3, 0.5, map[float64]uint64{0.001: 1, 0.1: 2}},
		Alerts: map[AlertLabels]uint64{{"dlp", "allowed"}: 11}, Suppressed: 12, NotRaised: map[string]uint64{"allowed": 26}, EventsDropped: 13, Slices: 14, SlicesFailed: 15,
		SliceBytes: 16, SliceQuota: 17, Rules: 18, RulesLoaded: time.UnixMilli(1500), Panics: 19, EventsFailed: 20,
		Memory: 21, MemoryBudget: 22, Shed: map[string]uint64{"caches": 23}, Evicted: 24, GivenUp: 25,
	}
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(b)
}

func TestMetrics(t *testing.T) {
	var sick error
	m, err := ServeMetrics("127.0.0.1:0", testSnapshot, func() error { return sick })
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	url := "http://" + m.Addr().String()
	_, body := get(t, url+"/metrics")
	var got []string
	for line := range strings.Lines(body) {
		if strings.HasPrefix(line, "weir_") {
			got = append(got, line)
		}
	}
	want, err := os.ReadFile("testdata/metrics.txt")
	if *update {
		want, err = []byte(strings.Join(got, "")), os.WriteFile("testdata/metrics.txt", []byte(strings.Join(got, "")), 0o644)
	}
	if err != nil || strings.Join(got, "") != string(want) {
		t.Errorf("%v: got\n%s\nwant\n%s", err, strings.Join(got, ""), want)
	}
	for _, name := range []string{"go_goroutines", "process_resident_memory_bytes"} {
		if !strings.Contains(body, "\n"+name+" ") {
			t.Errorf("no %s", name)
		}
	}
	if code, body := get(t, url+"/healthz"); code != 200 || body != "ok\n" {
		t.Errorf("healthz: got %d %q", code, body)
	}
	sick = errors.New("veth1 hangs")
	if code, body := get(t, url+"/healthz"); code != 503 || body != "veth1 hangs\n" {
		t.Errorf("healthz: got %d %q", code, body)
	}
	if _, err := ServeMetrics(m.Addr().String(), testSnapshot, nil); err == nil || !strings.Contains(err.Error(), "change [metrics] listen") {
		t.Errorf("address in use: got %v", err)
	}
}

// suggested are the metrics that operators' dashboards are made for, with their labels.
var suggested = map[string][]string{
	"weir_capture_packets_total": {"iface_class"}, "weir_capture_drops_total": {"reason"}, "weir_ring_freeze_total": nil, "weir_flows_active": nil,
	"weir_reassembly_bytes": nil, "weir_reassembly_gaps_total": nil, "weir_native_memory_bytes": {"owner"}, "weir_detect_latency_seconds": nil,
	"weir_alerts_total": {"ruleset", "action"}, "weir_alerts_suppressed_total": nil, "weir_slices_written_total": nil, "weir_slice_bytes": nil,
	"weir_rules_loaded": nil, "weir_rules_reload_timestamp_seconds": nil, "weir_attach_failures_total": {"reason"}, "weir_build_info": {"version"},
}

// TestMetricsLint holds all metrics to Prometheus' own rules of naming, and looks for the suggested ones.
func TestMetricsLint(t *testing.T) {
	w := httptest.NewRecorder()
	metricsHandler(testSnapshot, nil).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	problems, err := promlint.New(strings.NewReader(w.Body.String())).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "weir_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
	for name, labels := range suggested {
		line := regexp.MustCompile(`(?m)^` + name + `(_count)?(\{.*\})? `).FindString(w.Body.String())
		if line == "" {
			t.Errorf("no %s", name)
		}
		for _, l := range labels {
			if !strings.Contains(line, l+`="`) {
				t.Errorf("%s has no label %s: %s", name, l, line)
			}
		}
	}
}

// Failures to watch an interface are counted, and never go down.
func TestAttachFailures(t *testing.T) {
	d := &Daemon{blind: map[string]string{}, failures: map[string]uint64{}, log: slog.New(slog.DiscardHandler), queue: alert.NewQueue(nil, false)}
	for _, c := range []struct {
		err  error
		want string
	}{
		{errNoRoom, "no_room"}, {fmt.Errorf("veth1: %w", syscall.ENOMEM), "no_room"}, {fmt.Errorf("veth1: %w", syscall.EPERM), "permission"},
		{fmt.Errorf("veth1: %w", syscall.ENODEV), "gone"}, {errors.New("x"), "other"},
	} {
		d.notWatched("veth1", c.err)
		if d.failures[c.want] == 0 {
			t.Errorf("%v: counted as %v, want %s", c.err, d.failures, c.want)
		}
	}
	delete(d.blind, "veth1") // it is watched after all
	if d.failures["no_room"] != 2 {
		t.Errorf("got %v", d.failures)
	}
}

func TestMetricNames(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range metricTable {
		if seen[m.name] || !regexp.MustCompile(`^weir_[a-z_]+$`).MatchString(m.name) || !strings.HasSuffix(m.help, ".") {
			t.Errorf("%s: named twice, badly named, or without help", m.name)
		}
		seen[m.name] = true
		for _, l := range m.labels {
			if l == "pod" || l == "ip" || l == "url" || l == "namespace" || l == "workload" {
				t.Errorf("%s: label %q grows with traffic", m.name, l)
			}
		}
	}
}

func TestNotifier(t *testing.T) {
	var got []string
	n := &Notifier{send: func(s string) { got = append(got, s) }}
	n.Ready("4 taps\nWATCHDOG=0")
	n.Status("x")
	n.Reloading()
	n.Stopping()
	tick := make(chan time.Time)
	ctx, cancel := context.WithCancel(context.Background())
	answers := []error{nil, errors.New("tap 3"), nil}
	done := make(chan struct{})
	go func() {
		defer close(done)
		n.watch(ctx, tick, func() error { e := answers[0]; answers = answers[1:]; return e }, func() string { return "4 taps" })
	}()
	tick <- time.Time{}
	tick <- time.Time{}
	cancel()
	<-done
	want := `^READY=1\nSTATUS=4 taps WATCHDOG=0\|STATUS=x\|RELOADING=1\nMONOTONIC_USEC=[0-9]+\|STOPPING=1\|WATCHDOG=1\|STATUS=hangs: tap 3\|WATCHDOG=1\|STATUS=4 taps$`
	if text := strings.Join(got, "|"); !regexp.MustCompile(want).MatchString(text) {
		t.Errorf("got %q", text)
	}
}

func TestTally(t *testing.T) {
	n := newTally()
	n.count(AlertLabels{"dlp", "allowed"})
	n.count(AlertLabels{"policy", "blocked"})
	got := n.read()
	if len(got) != 4 || got[AlertLabels{"dlp", "allowed"}] != 1 || got[AlertLabels{"policy", "blocked"}] != 1 || n.total() != 2 {
		t.Errorf("got %v", got)
	}
}
