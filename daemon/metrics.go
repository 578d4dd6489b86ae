package daemon

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"weir/engine"
)

// Snapshot is what is counted, at one moment. Maps are keyed by the label's value; its values are from fixed lists,
// never names of pods, addresses or URLs: a label must not grow with traffic.
type Snapshot struct {
	Packets        map[string]uint64 // by class of interface: veth, lo, other
	Drops          map[string]uint64 // frames, by reason: see lossKinds
	Freezes        uint64
	Interfaces     int
	AttachFailures map[string]uint64 // by reason
	Flows          int
	Held           int64             // bytes that reassembly holds
	Gaps           uint64            // holes in streams that were told
	Uninspected    map[string]uint64 // bytes, by reason
	Native         map[string]int64  // bytes outside Go's heap, by owner: hyperscan, ring
	Recent         int64             // bytes of recent packets
	Memory         int64             // bytes that Weir takes, rings included
	MemoryBudget   int64             // bytes that it may
	Shed           map[string]uint64 // times that something was given up for want of memory, by step
	Evicted        uint64            // flows that ended because there was no room for more
	GivenUp        uint64            // flows whose inspection was given up for want of memory
	Latency        Latency
	Alerts         map[AlertLabels]uint64
	Suppressed     uint64            // alerts that a rate limit held back
	NotRaised      map[string]uint64 // findings, by why
	EventsDropped  uint64            // events that a sink had no room for
	EventsFailed   uint64            // events that could not be written to eve.json, and found no room to wait
	Slices         uint64            // written
	SlicesFailed   uint64
	SliceBytes     int64 // that the store takes now
	SliceQuota     int64
	Rules          int
	RulesLoaded    time.Time
	Panics         uint64 // errors inside Weir that were survived

	Counters engine.Counters // all that taps counted
	Uptime   time.Duration
}

// AlertLabels are the labels of an alert counter.
type AlertLabels struct{ Engine, Action string }

// Latency is a histogram of the time from the arrival of the packet that raised an alert to its event.
type Latency struct {
	Count   uint64
	Sum     float64            // s
	Buckets map[float64]uint64 // upper bound in s: how many were no longer
}

// metric names one metric, and says what of a Snapshot it tells.
type metric struct {
	name, help string
	kind       prometheus.ValueType
	labels     []string
	tell       func(s *Snapshot, put func(v float64, labels ...string))
}

// metricTable lists all metrics but the histogram. To add one, add a line here and a field to Snapshot.
var metricTable = []metric{
	{"weir_capture_packets_total", "Frames read, by class of interface.", prometheus.CounterValue, []string{"iface_class"},
		func(s *Snapshot, put func(float64, ...string)) { each(s.Packets, put) }},
	{"weir_capture_drops_total", "Frames lost, by reason.", prometheus.CounterValue, []string{"reason"},
		func(s *Snapshot, put func(float64, ...string)) { each(s.Drops, put) }},
	{"weir_ring_freeze_total", "Times that a ring stood full.", prometheus.CounterValue, nil,
		func(s *Snapshot, put func(float64, ...string)) { put(float64(s.Freezes)) }},
	{"weir_interfaces", "Interfaces that are watched.", prometheus.GaugeValue, nil,
		func(s *Snapshot, put func(float64, ...string)) { put(float64(s.Interfaces)) }},
	{"weir_attach_failures_total", "Interfaces that could not be watched, by reason.", prometheus.CounterValue, []string{"reason"},
		func(s *Snapshot, put func(float64, ...string)) { each(s.AttachFailures, put) }},
	{"weir_flows_active", "Flows in all tables.", prometheus.GaugeValue, nil,
		func(s *Snapshot, put func(float64, ...string)) { put(float64(s.Flows)) }},
	{"weir_reassembly_bytes", "Bytes held until they are in order.", prometheus.GaugeValue, nil,
		func(s *Snapshot, put func(float64, ...string)) { put(float64(s.Held)) }},
	{"weir_reassembly_gaps_total", "Holes in streams that were never filled.", prometheus.CounterValue, nil,
		func(s *Snapshot, put func(float64, ...string)) { put(float64(s.Gaps)) }},
	{"weir_uninspected_bytes_total", "Bytes seen but not looked at, by reason.", prometheus.CounterValue, []string{"reason"},
		func(s *Snapshot, put func(float64, ...string)) { each(s.Uninspected, put) }},
	{"weir_native_memory_bytes", "Memory outside Go's heap, by owner.", prometheus.GaugeValue, []string{"owner"},
		func(s *Snapshot, put func(float64, ...string)) { each(s.Native, put) }},
	{"weir_recent_bytes", "Memory for recent packets.", prometheus.GaugeValue, nil,
		func(s *Snapshot, put func(float64, ...string)) { put(float64(s.Recent)) }},
	{"weir_memory_bytes", "Memory that Weir takes, capture rings included.", prometheus.GaugeValue, nil,
		func(s *Snapshot, put func(float64, ...string)) { put(float64(s.Memory)) }},
	{"weir_memory_budget_bytes", "Memory that Weir may take: [budget] memory.", prometheus.GaugeValue, nil,
		func(s *Snapshot, put func(float64, ...string)) { put(float64(s.MemoryBudget)) }},
	{"weir_shed_total", "Times that something was given up because memory was short, by step.", prometheus.CounterValue, []string{"step"},
		func(s *Snapshot, put func(float64, ...string)) { each(s.Shed, put) }},
	{"weir_flows_evicted_total", "Flows that ended because there was no room for more.", prometheus.CounterValue, nil,
		func(s *Snapshot, put func(float64, ...string)) { put(float64(s.Evicted)) }},
	{"weir_flows_given_up_total", "Flows whose inspection was given up for want of memory.", prometheus.CounterValue, nil,
		func(s *Snapshot, put func(float64, ...string)) { put(float64(s.GivenUp)) }},
	{"weir_alerts_total", "Alerts, by engine and action.", prometheus.CounterValue, []string{"ruleset", "action"},
		func(s *Snapshot, put func(float64, ...string)) {
			for l, v := range s.Alerts {
				put(float64(v), l.Engine, l.Action)
			}
		}},
	{"weir_alerts_suppressed_total", "Alerts that a rate limit held back.", prometheus.CounterValue, nil,
		func(s *Snapshot, put func(float64, ...string)) { put(float64(s.Suppressed)) }},
	{"weir_findings_not_raised_total", "Findings that raised nothing, by why: less sure than their rule asks for, dropped by an allow-list, in bytes that another rule was surer of, between other ends.", prometheus.CounterValue, []string{"why"},
		func(s *Snapshot, put func(float64, ...string)) { each(s.NotRaised, put) }},
	{"weir_events_dropped_total", "Events that a sink had no room for.", prometheus.CounterValue, nil,
		func(s *Snapshot, put func(float64, ...string)) { put(float64(s.EventsDropped)) }},
	{"weir_events_failed_total", "Events that are lost: they could not be written to eve.json, and found no room to wait.", prometheus.CounterValue, nil,
		func(s *Snapshot, put func(float64, ...string)) { put(float64(s.EventsFailed)) }},
	{"weir_slices_written_total", "Packet slices written.", prometheus.CounterValue, nil,
		func(s *Snapshot, put func(float64, ...string)) { put(float64(s.Slices)) }},
	{"weir_slices_failed_total", "Packet slices given up: disk or quota.", prometheus.CounterValue, nil,
		func(s *Snapshot, put func(float64, ...string)) { put(float64(s.SlicesFailed)) }},
	{"weir_slice_bytes", "Disk space that packet slices take.", prometheus.GaugeValue, nil,
		func(s *Snapshot, put func(float64, ...string)) { put(float64(s.SliceBytes)) }},
	{"weir_slice_quota_bytes", "Disk space that packet slices may take.", prometheus.GaugeValue, nil,
		func(s *Snapshot, put func(float64, ...string)) { put(float64(s.SliceQuota)) }},
	{"weir_rules_loaded", "Rules in force.", prometheus.GaugeValue, nil,
		func(s *Snapshot, put func(float64, ...string)) { put(float64(s.Rules)) }},
	{"weir_rules_reload_timestamp_seconds", "When the rules in force were loaded.", prometheus.GaugeValue, nil,
		func(s *Snapshot, put func(float64, ...string)) { put(float64(s.RulesLoaded.UnixMilli()) / 1e3) }},
	{"weir_panics_total", "Errors inside Weir that were survived; each is worth a report.", prometheus.CounterValue, nil,
		func(s *Snapshot, put func(float64, ...string)) { put(float64(s.Panics)) }},
}

func each[N int64 | uint64](m map[string]N, put func(float64, ...string)) {
	for label, v := range m {
		put(float64(v), label)
	}
}

// collector makes metrics of a Snapshot each time it is asked.
type collector struct {
	snapshot func() Snapshot
	descs    []*prometheus.Desc // as metricTable
	latency  *prometheus.Desc
}

func newCollector(snapshot func() Snapshot) *collector {
	c := &collector{
		snapshot: snapshot,
		latency:  prometheus.NewDesc("weir_detect_latency_seconds", "Time from a packet's arrival to its alert.", nil, nil),
	}
	for _, m := range metricTable {
		c.descs = append(c.descs, prometheus.NewDesc(m.name, m.help, m.labels, nil))
	}
	return c
}

// Describe is prometheus.Collector's.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		out <- d
	}
	out <- c.latency
}

// Collect is prometheus.Collector's.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	s := c.snapshot()
	for i, m := range metricTable {
		m.tell(&s, func(v float64, labels ...string) {
			out <- prometheus.MustNewConstMetric(c.descs[i], m.kind, v, labels...)
		})
	}
	out <- prometheus.MustNewConstHistogram(c.latency, s.Latency.Count, s.Latency.Sum, s.Latency.Buckets)
}

// ours
const (
	metricsRead     = 5 * time.Second  // for a request to arrive
	metricsWrite    = 10 * time.Second // for an answer to be taken
	metricsHeader   = 8 << 10          // bytes of a request's head
	metricsInFlight = 4                // scrapes at once
)

// MetricsServer answers /metrics and /healthz over HTTP.
type MetricsServer struct {
	addr   net.Addr
	server *http.Server
	done   chan struct{}
}

// ServeMetrics listens on an address, HOST:PORT. snapshot and healthy are called from any goroutine; healthy returns
// liveHeap is what the last garbage collection left: go_gc_heap_live_bytes.
var liveHeap = collectors.GoRuntimeMetricsRule{Matcher: regexp.MustCompile("^/gc/heap/live:bytes$")}

// why not, else nil.
func ServeMetrics(listen string, snapshot func() Snapshot, healthy func() error) (*MetricsServer, error) {
	l, err := listenMetrics(listen)
	if err != nil {
		return nil, err
	}
	m := &MetricsServer{addr: l.Addr(), done: make(chan struct{})}
	m.server = &http.Server{
		Handler:           metricsHandler(snapshot, healthy),
		ReadHeaderTimeout: metricsRead,
		ReadTimeout:       metricsRead,
		WriteTimeout:      metricsWrite,
		MaxHeaderBytes:    metricsHeader,
	}
	go func() {
		defer close(m.done)
		m.server.Serve(l) // always ends with an error; Close is the only cause
	}()
	return m, nil
}

func listenMetrics(listen string) (net.Listener, error) {
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return nil, fmt.Errorf("metrics: %w (change [metrics] listen, or set it to \"\" for no metrics)", err)
	}
	return l, nil
}

func metricsHandler(snapshot func() Snapshot, healthy func() error) http.Handler {
	registry := prometheus.NewRegistry()
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "weir_build_info", Help: "Always 1; the label tells the version.", ConstLabels: prometheus.Labels{"version": release},
	})
	info.Set(1)
	registry.MustRegister(newCollector(snapshot), info, collectors.NewGoCollector(collectors.WithGoCollectorRuntimeMetrics(liveHeap)),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: metricsInFlight}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		if err := healthy(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	return mux
}

// Addr returns the address that is listened on.
func (m *MetricsServer) Addr() net.Addr { return m.addr }

// Close stops listening and ends all connections.
func (m *MetricsServer) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), controlShutdown)
	defer cancel()
	err := m.server.Shutdown(ctx)
	if err != nil {
		err = m.server.Close()
	}
	<-m.done
	return err
}
