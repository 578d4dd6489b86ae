package weir_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"weir/alert"
	"weir/flow"
)

// Weir writes EVE, so a field of Suricata's stands under its own name unless the tables below say otherwise, and what Weir lacks is a miss. A
// check is left out if its kind of event belongs to a protocol that Weir does not parse, or if nothing of it is left by suricataNone.
// `EVENT=dns go test -v -run ConformanceSuricata .` looks at one kind of event alone.

// suricataKinds are kinds of events that are not called like their protocol, and those that belong to none; "": the same name.
var suricataKinds = map[string]string{
	"flow": "", "anomaly": "", "fileinfo": "",
	"rfb": "vnc", "bittorrent_dht": "bittorrent", "doh2": "dns", "mdns": "dns", "llmnr": "dns",
}

// suricataNone are fields that say nothing of the traffic, or nothing that another engine could say: they are left out of checks.
var suricataNone = map[string]string{
	"snmp.community":  "a password: not told",
	"pkt_src":         "where in Suricata the event was made",
	"flow.alerted":    "of the test's own rules",
	"dns.version":     "of the format",
	"dns.tx_id":       "each message is a transaction of its own there",
	"fileinfo.tx_id":  "numbered from 0 there",
	"fileinfo.stored": "whether Suricata stored the file",
}

// suricataNames are fields under other names. A field of a kind that is not called like its protocol is renamed by suricataKinds.
var suricataNames = map[string]string{
	"dns.answers[0].a": "dns.answers[0].rdata", // of LLMNR
	"dns.rrname":       "dns.queries[0].rrname",
	"dns.rrtype":       "dns.queries[0].rrtype",
}

// suricataValues are values that are called otherwise, by field.
var suricataValues = map[string]map[string]any{
	"llmnr.queries[0].rrtype": {"a": "A", "aaaa": "AAAA", "any": "ANY"},
	"dns.type":                {"query": "request", "answer": "response"},
	"app_proto_orig":          {"krb5": "kerberos", "pgsql": "postgresql"},
	"app_proto":               {"krb5": "kerberos", "pgsql": "postgresql", "doh2": "http2", "rfb": "vnc", "bittorrent-dht": "bittorrent"},
	"tcp.state":               {"last_ack": "closed", "time_wait": "closed", "fin_wait1": "closed", "fin_wait2": "closed", "close_wait": "closed", "closing": "closed"},
	"anomaly.event": {
		"REQUEST_LINE_MISSING_PROTOCOL": "http.version_0_9",
		"invalid_opcode":                "dns.reserved_bit",
		"long_frame_data":               "http2.frame_too_large",
	},
}

// suricataMapped reports whether a value can be compared. Anomalies are left out where Weir has no code of that meaning: engines judge differently what is odd.
func suricataMapped(field string, want any) bool {
	if field != "anomaly.event" {
		return true
	}
	_, ok := suricataValues[field][fmt.Sprint(want)]
	return ok
}

type suricataCheck struct {
	Test   string
	Pcap   string
	Event  string
	Count  int
	Match  map[string]any
	Args   string
	Custom bool `json:"custom_config"`
	Inline bool `json:"inline_mode"`
}

// eveType returns the type of Weir's events that a kind of Suricata's stands for; "": it is not parsed.
func eveType(kind string) string {
	name, ok := suricataKinds[kind]
	name = cmp.Or(name, kind)
	if ok && name == kind || everyEvent()[name] {
		return name
	}
	return ""
}

// translate makes a check's match one of Weir's fields. It reports whether the check can be compared.
func (c *suricataCheck) translate() (map[string]any, bool) {
	typ, out := eveType(c.Event), map[string]any{}
	if typ == "" {
		return nil, false
	}
	for field, want := range c.Match {
		path, op, _ := strings.Cut(field, "__")
		if suricataNone[path] != "" || path == "app_proto" && want == "failed" { // it may well be known here
			continue
		}
		if text, ok := want.(string); ok && strings.HasPrefix(text, "{'") { // an object, as Python writes it
			_ = json.Unmarshal([]byte(strings.ReplaceAll(text, "'", `"`)), &want)
		}
		if path == "has-key" || path == "not-has-key" {
			out[path] = want
			continue
		}
		if !suricataMapped(path, want) {
			return nil, false
		}
		if v, ok := suricataValues[path][fmt.Sprint(want)]; ok {
			want = v
		}
		if kind := strings.SplitN(path, ".", 2); kind[0] == c.Event && len(kind) == 2 {
			path = typ + "." + kind[1]
		}
		path = cmp.Or(suricataNames[path], path)
		if op != "" {
			path += "__" + op
		}
		out[path] = want
	}
	if c.Match["dns.type"] == "answer" { // version 2: the ends of the flow, not of the message
		for _, ends := range [][2]string{{"src_ip", "dest_ip"}, {"src_port", "dest_port"}} {
			a, b := out[ends[0]], out[ends[1]]
			if a != nil && b != nil {
				out[ends[0]], out[ends[1]] = b, a
			}
		}
	}
	return out, len(out) > 0 || len(c.Match) == 0
}

// TestConformanceSuricata counts the events that fit each check of Suricata's own tests.
func TestConformanceSuricata(t *testing.T) {
	dir := corpus(t)
	only := os.Getenv("EVENT")
	var checks []*suricataCheck
	var plain []playing
	eachLine(t, dir+"/events/suricata_checks.jsonl", func(line []byte) {
		c := &suricataCheck{}
		if err := json.Unmarshal(line, c); err != nil {
			t.Fatal(err)
		}
		if c.Custom || c.Inline || strings.Contains(c.Args, "--set") || only != "" && c.Event != only {
			return
		}
		p := playing{pcap: c.Pcap, mode: flow.ChecksumAuto}
		if strings.Contains(c.Args, "-k none") {
			p.mode = flow.ChecksumIgnore
		}
		checks, plain = append(checks, c), append(plain, p)
	})
	runs := playAll(t, dir, plain)
	said := map[playing][]map[string]any{}
	met, all, unmapped := tally{}, tally{}, tally{}
	for i, c := range checks {
		match, ok := c.translate()
		if !ok {
			unmapped[c.Event]++
			continue
		}
		if said[plain[i]] == nil {
			said[plain[i]] = eveObjects(t, runs[plain[i]].events)
		}
		all[c.Event]++
		n, closest := countFitting(said[plain[i]], eveType(c.Event), match)
		if n == c.Count {
			met[c.Event]++
		} else {
			t.Logf("%s: %s: %s: want %d, got %d; the closest differs%s", c.Event, c.Test, c.Pcap, c.Count, n, closest)
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(all)) {
		t.Logf("%-10s %d/%d", kind, met[kind], all[kind])
	}
	t.Log("not mapped: ", unmapped)
	if only == "" {
		score(t, "suricata", met.sum(), all.sum())
	}
}

// tally counts by name.
type tally map[string]int

func (c tally) sum() (n int) {
	for _, v := range c {
		n += v
	}
	return n
}

// eveObjects returns events as who reads eve.json sees them.
func eveObjects(t *testing.T, events []*alert.Event) (out []map[string]any) {
	t.Helper()
	out = []map[string]any{}
	for _, ev := range events {
		line, err := alert.AppendEVE(nil, ev)
		if err != nil {
			t.Fatal(err)
		}
		m := map[string]any{}
		if err := json.Unmarshal(line, &m); err != nil {
			t.Fatal(err)
		}
		out = append(out, m)
	}
	return out
}

// countFitting counts the events of a type that match. closest are the fields in which the one that fits best differs.
func countFitting(events []map[string]any, typ string, match map[string]any) (n int, closest string) {
	least, nearest := -1, map[string]any(nil)
	for _, ev := range events {
		if ev["event_type"] != typ || typ == "anomaly" && fieldAt(ev, "anomaly.type") != "applayer" {
			continue // Suricata tells others only if asked to
		}
		differ := 0
		for path, want := range match {
			if !fits(ev, path, want) {
				differ++
			}
		}
		if differ == 0 {
			n++
		}
		if least < 0 || differ < least {
			least, nearest = differ, ev
		}
	}
	for _, path := range slices.Sorted(maps.Keys(match)) {
		if nearest != nil && !fits(nearest, path, match[path]) {
			got, _ := json.Marshal(fieldAt(nearest, strings.SplitN(path, "__", 2)[0]))
			want, _ := json.Marshal(match[path])
			closest += fmt.Sprintf("; %s %s, want %s", path, got, want)
		}
	}
	return n, closest
}

var pathStep = regexp.MustCompile(`^([^.\[\]]+)|^\[(\d+)\]|^\.`)

// fieldAt returns the value at a path like "dns.queries[0].rrname"; nil if there is none.
func fieldAt(v any, path string) any {
	for path != "" {
		m := pathStep.FindStringSubmatch(path)
		if m == nil {
			return nil
		}
		path = path[len(m[0]):]
		switch {
		case m[1] != "":
			o, _ := v.(map[string]any)
			v = o[m[1]]
		case m[2] != "":
			list, _ := v.([]any)
			i, _ := strconv.Atoi(m[2])
			if i >= len(list) {
				return nil
			}
			v = list[i]
		}
	}
	return v
}

// fits reports whether an event has what a check wants of a path, with the operator that may follow it.
func fits(ev map[string]any, path string, want any) bool {
	switch path {
	case "has-key", "not-has-key":
		keys, ok := want.([]any)
		if !ok {
			keys = []any{want}
		}
		return !slices.ContainsFunc(keys, func(k any) bool {
			return (fieldAt(ev, fmt.Sprint(k)) != nil) != (path == "has-key")
		})
	}
	path, op, _ := strings.Cut(path, "__")
	got := fieldAt(ev, path)
	text, is := got.(string)
	part := fmt.Sprint(want)
	switch op {
	case "":
		return reflect.DeepEqual(got, want)
	case "endswith":
		return is && strings.HasSuffix(text, part)
	case "startswith":
		return is && strings.HasPrefix(text, part)
	case "contains", "find":
		return is && strings.Contains(text, part)
	case "len":
		list, _ := got.([]any)
		return float64(len(list)) == want
	}
	return false
}
