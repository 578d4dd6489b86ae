package weir_test

import (
	"cmp"
	"encoding/json"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"weir/alert"
)

// sameField says that a field of another suite holds the same as one of Weir's events. To compare one more is one more line in a table.
type sameField struct {
	theirs string              // path in what they tell of a flow or an exchange
	ours   string              // path in Weir's event: "http.http_method", "dns.answers.rdata"; a list stands for its elements
	alike  func(string) string // writes a value as both write it; nil: they write it alike. "" is no value
}

// seenFlow is a flow of a capture with its events, as who reads eve.json sees them.
type seenFlow struct {
	ends   flowEnds
	flow   map[string]any // its event "flow"; nil: it has none
	events map[string][]map[string]any
	names  []string
}

// seenFlows groups events by flow, in the order of their beginning.
func seenFlows(t *testing.T, events []*alert.Event) (list []*seenFlow) {
	t.Helper()
	byID := map[uint64]*seenFlow{}
	for i, o := range eveObjects(t, events) {
		ev := events[i]
		if ev.FlowID == 0 || !ev.Src.IsValid() {
			continue
		}
		f := byID[ev.FlowID]
		if f == nil {
			f = &seenFlow{ends: newFlowEnds(ev.Proto, ev.Src, ev.Dst), events: map[string][]map[string]any{}, names: slices.Clone(ipNames[ev.Proto])}
			byID[ev.FlowID] = f
			list = append(list, f)
		}
		o["time"] = float64(ev.Time)
		for _, name := range append([]string{ev.AppProto, ev.AppProtoOrig, ev.AppProtoTS, ev.AppProtoTC}, ev.Weir.Inside...) {
			if name != "" && !slices.Contains(f.names, name) {
				f.names = append(f.names, name)
			}
		}
		if ev.Type == "flow" {
			f.flow = o
		}
		f.events[ev.Type] = append(f.events[ev.Type], o)
	}
	return list
}

// between returns the flows that have these ends.
func between(list []*seenFlow, ends flowEnds) (out []*seenFlow) {
	for _, f := range list {
		if f.ends == ends {
			out = append(out, f)
		}
	}
	return out
}

// endsOf makes ends of what a table says; ok is false if it says none.
func endsOf(proto uint8, a string, aPort any, b string, bPort any) (ends flowEnds, ok bool) {
	x, err := netip.ParseAddr(a)
	y, err2 := netip.ParseAddr(b)
	p, _ := aPort.(float64)
	q, _ := bPort.(float64)
	return newFlowEnds(proto, netip.AddrPortFrom(x, uint16(p)), netip.AddrPortFrom(y, uint16(q))), err == nil && err2 == nil
}

// textsAt returns the values at a path as text; lists stand for their elements, on the way too.
func textsAt(v any, path string) (out []string) {
	if list, ok := v.([]any); ok {
		for _, e := range list {
			out = append(out, textsAt(e, path)...)
		}
		return out
	}
	if path == "" {
		switch v := v.(type) {
		case string:
			return []string{v}
		case float64:
			return []string{strconv.FormatFloat(v, 'f', -1, 64)}
		case bool:
			return []string{strconv.FormatBool(v)}
		}
		return nil
	}
	o, _ := v.(map[string]any)
	if e, ok := o[path]; ok { // their keys may have dots in them
		return textsAt(e, "")
	}
	name, rest, _ := strings.Cut(path, ".")
	return textsAt(o[name], rest)
}

// valuesAt are the different values at a path in several objects, in order.
func (f *sameField) valuesAt(list []map[string]any, path string) (out []string) {
	for _, o := range list {
		for _, p := range strings.Fields(path) {
			for _, v := range textsAt(o, p) {
				if f.alike != nil {
					v = f.alike(v)
				}
				if v != "" {
					out = append(out, v)
				}
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// agrees compares what they tell with what Weir's events of that type tell. known is false where they tell nothing.
func (f *sameField) agrees(theirs, ours []map[string]any) (got, want []string, known bool) {
	want = f.valuesAt(theirs, f.theirs)
	return f.valuesAt(ours, f.ours), want, len(want) > 0
}

// fieldScore counts fields that agree, by field.
type fieldScore struct {
	met, all tally
}

func newFieldScore() *fieldScore { return &fieldScore{tally{}, tally{}} }

// compare compares all fields of one object of theirs with the events of Weir's that are given.
func (s *fieldScore) compare(t *testing.T, where string, fields []sameField, theirs map[string]any, ours []map[string]any) {
	for i := range fields {
		f := &fields[i]
		got, want, known := f.agrees([]map[string]any{theirs}, ours)
		if known {
			s.count(t, where, f.theirs, slices.Equal(got, want), got, want)
		}
	}
}

func (s *fieldScore) count(t *testing.T, where, field string, ok bool, got, want []string) {
	s.all[field]++
	if ok {
		s.met[field]++
		return
	}
	g, _ := json.Marshal(got)
	w, _ := json.Marshal(want)
	t.Logf("%s: %s: got %s, want %s", where, field, g, w)
}

// best returns which of several objects agrees in most fields, -1 if there are none.
func best(fields []sameField, theirs map[string]any, ours []map[string]any) int {
	at, most := -1, -1
	for i, o := range ours {
		n := 0
		for k := range fields {
			if got, want, known := fields[k].agrees([]map[string]any{theirs}, []map[string]any{o}); known && slices.Equal(got, want) {
				n++
			}
		}
		if n > most {
			at, most = i, n
		}
	}
	return at
}

// tell lists what is missed by field, the most first, and scores.
func (s *fieldScore) tell(t *testing.T, name string) {
	t.Helper()
	var fields []string
	for f := range s.all {
		fields = append(fields, f)
	}
	slices.SortFunc(fields, func(a, b string) int {
		return cmp.Or(cmp.Compare(s.all[b]-s.met[b], s.all[a]-s.met[a]), cmp.Compare(a, b))
	})
	for _, f := range fields {
		t.Logf("%-40s %4d/%d", f, s.met[f], s.all[f])
	}
	score(t, name, s.met.sum(), s.all.sum())
}

// neutralNames are the neutral names of a suite's own labels of protocols.
func neutralNames(t *testing.T, dir, suite string) map[string]string {
	t.Helper()
	names := map[string]string{}
	for _, row := range table(t, dir+"/protocols/label_map.csv") {
		if label, ok := strings.CutPrefix(row["peer_label"], suite+":"); ok {
			names[label] = row["neutral"]
		}
	}
	return names
}

// How values are written alike.

// hexDigits leaves the digits of a hexadecimal number, without leading zeros.
func hexDigits(s string) string {
	return strings.TrimLeft(strings.ToLower(strings.ReplaceAll(s, ":", "")), "0")
}

// distinguishedName orders the attributes of a name: which comes first is a matter of taste.
func distinguishedName(s string) string {
	s = strings.NewReplacer(`\x2c`, ",", `\,`, ",", ", ", ",").Replace(s)
	parts := strings.Split(s, ",")
	slices.Sort(parts)
	return strings.Join(parts, ",")
}

// seconds writes a time as seconds since the epoch: "1397045108.000000", 1584947742000 (ms), "2014-04-09T12:05:08".
func seconds(s string) string {
	if at, err := time.Parse("2006-01-02T15:04:05", s); err == nil {
		return strconv.FormatInt(at.Unix(), 10)
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return s
	}
	if f > 1e11 {
		f /= 1000
	}
	return strconv.FormatInt(int64(f), 10)
}

// withoutPort leaves out a port behind a host.
func withoutPort(s string) string {
	if host, port, ok := strings.Cut(s, ":"); ok && !strings.Contains(port, ":") {
		return host
	}
	return s
}

// httpVersion leaves the number of a version.
func httpVersion(s string) string { return strings.TrimPrefix(s, "HTTP/") }

// bareName leaves out the dot of the root and letter case.
func bareName(s string) string {
	if s == "<root>" {
		return "."
	}
	return strings.ToLower(cmp.Or(strings.TrimSuffix(s, "."), s))
}

// plainNumber writes a number without leading zeros or an empty fraction.
func plainNumber(s string) string {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return s
	}
	return strconv.FormatFloat(f, 'f', -1, 64)
}
