package weir_test

import (
	"cmp"
	"encoding/json"
	"path"
	"slices"
	"strings"
	"testing"

	"weir/flow"
)

// deepflowFields are the fields of DeepFlow's messages that are compared, by its name of the protocol: their values in order with those of
// Weir's events in order. Protocols whose event Weir does not have are left out.
var deepflowFields = map[string]struct {
	event  string
	fields []sameField
}{
	"http": {"http", []sameField{
		{"method", "http.http_method", strings.ToUpper},
		{"path", "http.url", nil},
		{"host", "http.hostname", withoutPort},
		{"status_code", "http.status", nil},
		{"stream_id", "http.http2.stream_id", nil},
	}},
	"dns": {"dns", []sameField{
		{"request_id", "dns.id", nil},
		{"request_type", "dns.queries.rrtype", nil},
		{"request_resource", "dns.queries.rrname", nil},
	}},
	"grpc": {"grpc", []sameField{
		{"path", "grpc.path", nil},
		{"host", "grpc.host", withoutPort},
		{"service_name", "grpc.service", nil},
		{"grpc_status_code", "grpc.status", nil},
	}},
	"mysql": {"mysql", []sameField{
		{"request_resource", "mysql.query", deepflowStatement},
		{"sql_affected_rows", "mysql.affected_rows", nil},
	}},
	"postgresql": {"pgsql", []sameField{
		{"request_resource", "pgsql.request.simple_query", nil},
	}},
	"redis": {"redis", []sameField{
		{"request_type", "redis.command", strings.ToLower},
		{"error", "redis.error", redisError},
	}},
	"kafka": {"kafka", []sameField{
		{"correlation_id", "kafka.correlation_id", nil},
		{"api_key", "kafka.api", nil},
		{"client_id", "kafka.client_id", nil},
		{"topic_name", "kafka.topics", nil},
		{"group_id", "kafka.group", nil},
	}},
	"nats": {"nats", []sameField{
		{"subject", "nats.subject", nil},
	}},
	"amqp": {"amqp", []sameField{
		{"channel_id", "amqp.channel", nil},
		{"req_type", "amqp.method", nil},
		{"vhost", "amqp.vhost", nil},
		{"exchange", "amqp.exchange", nil},
		{"routing_key", "amqp.routing_key", nil},
	}},
	"mqtt": {"mqtt", []sameField{
		{"client_id", "mqtt.connect.client_id", nil},
		{"endpoint", "mqtt.publish.topic mqtt.subscribe.topics.topic", nil},
	}},
	"dubbo": {"dubbo", []sameField{
		{"request_id", "dubbo.request_id", nil},
		{"service_name", "dubbo.service", nil},
		{"method_name", "dubbo.method", nil},
	}},
	"pulsar": {"pulsar", []sameField{
		{"topic", "pulsar.topic", path.Base},
	}},
}

// deepflowNames are its names of protocols that are called otherwise here.
var deepflowNames = map[string]string{"http": "http http2", "grpc": "grpc http2"}

// TestConformanceDeepflow looks for the protocol of each of DeepFlow's captures, then for the fields of its messages, in order.
func TestConformanceDeepflow(t *testing.T) {
	dir := corpus(t)
	type capture struct {
		Pcap, Protocol string
		Messages       []map[string]any
	}
	var list []capture
	var plain []playing
	eachLine(t, dir+"/events/deepflow_l7.jsonl", func(line []byte) {
		c := capture{}
		if err := json.Unmarshal(line, &c); err != nil {
			t.Fatal(err)
		}
		list = append(list, c)
		plain = append(plain, playing{pcap: c.Pcap, mode: flow.ChecksumIgnore})
	})
	runs := playAll(t, dir, plain)
	named := 0
	met, all := tally{}, tally{}
	for i, c := range list {
		flows := seenFlows(t, runs[plain[i]].events)
		if right := strings.Fields(cmp.Or(deepflowNames[c.Protocol], c.Protocol)); slices.ContainsFunc(flows, func(f *seenFlow) bool {
			return slices.ContainsFunc(f.names, func(n string) bool { return slices.Contains(right, n) })
		}) {
			named++
		} else {
			t.Logf("%s: not named %s", c.Pcap, c.Protocol)
		}
		m := deepflowFields[c.Protocol]
		if !everyEvent()[m.event] {
			continue
		}
		var events []map[string]any
		for _, f := range flows {
			events = append(events, f.events[m.event]...)
		}
		slices.SortStableFunc(events, func(a, b map[string]any) int { return cmp.Compare(a["time"].(float64), b["time"].(float64)) })
		for k := range m.fields {
			f := &m.fields[k]
			want, got := f.sequence(c.Messages, f.theirs), f.sequence(events, f.ours)
			n := commonLength(want, got)
			met[c.Protocol+"."+f.theirs] += n
			all[c.Protocol+"."+f.theirs] += len(want)
			if n < len(want) {
				w, _ := json.Marshal(want)
				g, _ := json.Marshal(got)
				t.Logf("%s: %s: got %s, want %s", c.Pcap, f.theirs, g, w)
			}
		}
	}
	score(t, "deepflow_named", named, len(list))
	(&fieldScore{met, all}).tell(t, "deepflow_fields")
}

// sequence returns the values at a path in order. The same value again and again is one: Weir tells a request and its answer in one event.
func (f *sameField) sequence(list []map[string]any, paths string) (out []string) {
	for _, o := range list {
		for _, v := range textsAtAll(o, paths) {
			if f.alike != nil {
				v = f.alike(v)
			}
			if v != "" && (len(out) == 0 || out[len(out)-1] != v) {
				out = append(out, v)
			}
		}
	}
	return out
}

// textsAtAll returns the values at several paths; lists of names that DeepFlow writes as one text stand for their elements.
func textsAtAll(o map[string]any, paths string) (out []string) {
	for _, p := range strings.Fields(paths) {
		for _, v := range textsAt(o, p) {
			if p == "endpoint" {
				out = append(out, strings.Split(v, ",")...)
			} else {
				out = append(out, v)
			}
		}
	}
	return out
}

// deepflowStatement leaves out what DeepFlow writes of a login as if it were a statement.
func deepflowStatement(s string) string {
	if strings.HasPrefix(s, "Login username: ") {
		return ""
	}
	return s
}

func redisError(s string) string { return strings.TrimPrefix(s, "-") }

// commonLength returns how many elements of a stand in b in the same order.
func commonLength(a, b []string) int {
	row := make([]int, len(b)+1)
	for _, x := range a {
		last := 0
		for i, y := range b {
			above := row[i+1]
			if x == y {
				row[i+1] = last + 1
			} else {
				row[i+1] = max(row[i+1], row[i])
			}
			last = above
		}
	}
	return row[len(b)]
}
