package weir_test

import (
	"bufio"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/alert"
	"weir/capture"
	"weir/dissect"
	"weir/dlp"
	"weir/engine"
	"weir/flow"
	"weir/rules"
)

// replayFile takes a capture through an engine and gives every event to emit. It returns a panic's stack, if there was
// one.
func replayFile(t testing.TB, path string, db *dlp.Database, mode flow.ChecksumMode, events []string, emit func(*alert.Event)) (panicked string) {
	t.Helper()
	src, err := capture.OpenFile(path)
	if err != nil {
		return "" // no capture: told by the reader's own tables
	}
	defer src.Close()
	wanted := map[string]bool{}
	for _, e := range events {
		wanted[e] = true
	}
	e := engine.New(engine.Config{Flow: flow.DefaultLimits, Dissect: dissect.DefaultLimits, Checksum: mode, Events: wanted, Emit: emit})
	e.SetRules(db)
	lane := e.NewLane()
	defer lane.Free()
	lane.Poison = true
	lane.OnPanic = func(stack string) { panicked = stack }
	tap := e.NewTap(engine.TapConfig{Interfaces: src.Interfaces})
	for {
		frames, err := src.Next()
		lane.Block(tap, frames)
		if err != nil {
			if !errors.Is(err, io.EOF) {
				t.Logf("%s: %v", path, err)
			}
			break
		}
	}
	lane.Close(tap)
	return panicked
}

// contentCase is a row of content/cases.jsonl.
type contentCase struct {
	Test      string `json:"test"`
	Pcap      string `json:"pcap"`
	Where     string `json:"where"`
	Hex       string `json:"bytes_hex"`
	Nocase    bool   `json:"nocase"`
	Direction string `json:"direction"`
	Detect    bool   `json:"detect"`
	Args      string `json:"args"`
	Inline    bool   `json:"inline_mode"`
	Family    string `json:"family"`
}

// contentFields says which of Weir's fields a place of the cases stands for; nil: every field.
var contentFields = map[string][]string{
	"http.uri":           {"http.uri"},
	"http.method":        {"http.method"},
	"http.request_line":  {"http.request_line"},
	"http.host":          {"http.host"},
	"http.header":        {"http.request.header", "http.response.header"},
	"http.cookie":        {"http.cookie"},
	"http.user_agent":    {"http.user_agent"},
	"http.stat_code":     {"http.status"},
	"http.stat_msg":      {"http.reason"},
	"http.server":        {"http.response.header"},
	"http.request_body":  {"http.request.body"},
	"http.response_body": {"http.response.body"},
	"dns.query":          {"dns.query"},
	"tls.sni":            {"tls.sni"},
	"tls.cert_subject":   {"tls.subject"},
	"tls.cert_issuer":    {"tls.issuerdn"},
	"decoded_body":       nil,
	"stream":             anyField(),
}

// anyField are all fields of all protocols, those too that only rules see which name them.
func anyField() []string {
	names := slices.Clone(dissect.FieldNames)
	slices.Sort(names)
	return slices.Compact(names)
}

// expression writes bytes as a regular expression that matches just them.
func expression(b []byte, nocase bool) string {
	var s strings.Builder
	if nocase {
		s.WriteString("(?i)")
	}
	for _, c := range b {
		if c < 0x80 {
			fmt.Fprintf(&s, `\x%02x`, c)
		} else {
			s.WriteString(`[^\x00-\x7f]`) // RE2 has no escape for a byte beyond ASCII
		}
	}
	return s.String()
}

func (c *contentCase) rule(id string) *rules.Rule {
	b, _ := hex.DecodeString(c.Hex)
	r := &rules.Rule{ID: id, SID: rules.SIDOf(id), Regex: expression(b, c.Nocase), Fields: contentFields[c.Where], MinDistinct: 1,
		Engine: rules.Signature, Severity: rules.Medium, Mask: "text"}
	switch {
	case strings.Contains(c.Direction, "to_server"):
		r.Direction = rules.Request
	case strings.Contains(c.Direction, "to_client"):
		r.Direction = rules.Response
	}
	return r
}

func TestConformanceContent(t *testing.T) {
	dir := corpus(t)
	byPcap := map[string][]*contentCase{}
	var order []string
	eachLine(t, dir+"/content/cases.jsonl", func(line []byte) {
		c := &contentCase{}
		if err := json.Unmarshal(line, c); err != nil {
			t.Fatal(err)
		}
		key := c.Pcap + " " + c.Args
		if byPcap[key] == nil {
			order = append(order, key)
		}
		byPcap[key] = append(byPcap[key], c)
	})
	var met, all, evMet, evAll, quiet, quietAll int
	for _, key := range order {
		list := byPcap[key]
		found := contentHits(t, dir, list)
		for i, c := range list {
			ok := found[fmt.Sprint("case.", i)] == c.Detect
			switch {
			case c.Family == "http-evader" && c.Detect:
				evAll++
				if ok {
					evMet++
				} else {
					t.Logf("http-evader missed: %s %s", c.Test, c.Pcap)
				}
			case c.Detect:
				all++
				if ok {
					met++
				} else {
					t.Logf("missed: %s %s %s", c.Test, c.Where, c.Pcap)
				}
			case c.Inline: // what an inline engine dropped: a tap sees what was sent
			default:
				quietAll++
				if ok {
					quiet++
				} else {
					t.Logf("false hit: %s %s %s", c.Test, c.Where, c.Pcap)
				}
			}
		}
	}
	score(t, "content", met, all)
	score(t, "content_quiet", quiet, quietAll)
	score(t, "http_evader", evMet, evAll)
}

// contentHits returns which of the cases of one capture hit.
func contentHits(t *testing.T, dir string, list []*contentCase) map[string]bool {
	set := &rules.Set{}
	for i, c := range list {
		set.Rules = append(set.Rules, c.rule(fmt.Sprint("case.", i)))
	}
	db, err := dlp.Compile(set, dlp.Options{FingerprintKey: make([]byte, 32)})
	if err != nil {
		t.Fatalf("%s: %v", list[0].Test, err)
	}
	defer db.Close()
	mode := flow.ChecksumAuto
	if strings.Contains(list[0].Args, "-k none") {
		mode = flow.ChecksumIgnore
	}
	found := map[string]bool{}
	stack := replayFile(t, filepath.Join(dir, list[0].Pcap), db, mode, []string{"alert"}, func(ev *alert.Event) { found[ev.Weir.Rule] = true })
	if stack != "" {
		t.Errorf("%s: panic: %s", list[0].Pcap, stack)
	}
	return found
}

func eachLine(t testing.TB, path string, fn func(line []byte)) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s := bufio.NewScanner(f)
	s.Buffer(nil, 16<<20)
	for s.Scan() {
		fn(s.Bytes())
	}
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
}

func table(t testing.TB, path string) (rows []map[string]string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all, err := csv.NewReader(f).ReadAll()
	if err != nil || len(all) == 0 {
		t.Fatalf("%s: %v", path, err)
	}
	for _, rec := range all[1:] {
		row := map[string]string{}
		for i, name := range all[0] {
			row[name] = rec[i]
		}
		rows = append(rows, row)
	}
	return rows
}

// hangs is how long one capture of the corpus may take; the largest has some megabytes.
const hangs = 30 * time.Second

// TestConformanceMalformed takes every capture of the corpus through everything: no crash, no hang, nothing held at the
// end.
func TestConformanceMalformed(t *testing.T) {
	dir := corpus(t)
	set, problems := rules.Load(nil, rules.Options{Builtin: true})
	if problems.Failed() {
		t.Fatal(problems.Err())
	}
	db, err := dlp.Compile(set, dlp.Options{FingerprintKey: make([]byte, 32)})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows := table(t, dir+"/malformed/expected.csv")
	var paths []string
	for _, row := range rows {
		paths = append(paths, filepath.Join(dir, row["pcap"]))
	}
	met := sound(t, db, paths)
	score(t, "malformed", met, len(paths))
	more, err := filepath.Glob(dir + "/pcaps/*/*")
	if err != nil {
		t.Fatal(err)
	}
	score(t, "pcaps_sound", sound(t, db, more), len(more))
}

func sound(t *testing.T, db *dlp.Database, paths []string) (met int) {
	for _, path := range paths {
		begin := time.Now()
		stack := replayFile(t, path, db, flow.ChecksumAuto, []string{"alert", "anomaly", "flow", "http", "dns", "tls"}, func(ev *alert.Event) {
			if _, err := alert.AppendEVE(nil, ev); err != nil {
				t.Errorf("%s: %v", path, err)
			}
		})
		switch took := time.Since(begin); {
		case stack != "":
			t.Errorf("%s: panic: %s", path, stack)
		case took > hangs:
			t.Errorf("%s: took %s", path, took)
		default:
			met++
		}
	}
	return met
}

// TestConformanceCommunityIDs compares the ids of flow events with those that other suites tell of the same captures.
func TestConformanceCommunityIDs(t *testing.T) {
	dir := corpus(t)
	want := map[string][]string{}
	for _, row := range table(t, dir+"/community_id/expected_pcaps.csv") {
		want[row["pcap"]] = append(want[row["pcap"]], row["community_id"])
	}
	met, all := 0, 0
	for path, ids := range want {
		var got []string
		replayFile(t, filepath.Join(dir, path), nil, flow.ChecksumAuto, []string{"flow"}, func(ev *alert.Event) { got = append(got, ev.CommunityID) })
		for _, id := range ids {
			all++
			if slices.Contains(got, id) {
				met++
			} else {
				t.Logf("%s: no flow has %s", path, id)
			}
		}
	}
	score(t, "community_id_pcaps", met, all)
}
