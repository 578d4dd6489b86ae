package weir_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"weir/dissect"
	"weir/wire"
)

// httpMessage is what was heard of one message.
type httpMessage struct {
	dir                          wire.Dir
	method, uri, status, host    string
	head                         string
	body, length                 string
	notes                        []string
	alert, end, upgrade, request bool
}

// httpTalk collects messages in the order in which they began.
type httpTalk struct {
	byID map[uint64]*httpMessage
	list []*httpMessage
	err  error
}

func (k *httpTalk) hear(m *dissect.Message) {
	h := k.byID[m.ID]
	if h == nil {
		h = &httpMessage{dir: m.Dir}
		k.byID[m.ID] = h
		k.list = append(k.list, h)
	}
	for _, p := range m.Parts {
		if p.View != dissect.ViewPlain {
			continue
		}
		switch v := string(p.Bytes); m.Protocol.Fields[p.Field].Name {
		case "http.method":
			h.method, h.request = v, true
		case "http.uri":
			h.uri = v
		case "http.status":
			h.status = v
		case "http.host":
			h.host = v
		case "http.request.header", "http.response.header":
			h.head += v
		case "http.request.body", "http.response.body":
			h.body += v
		case "http.length":
			h.length = v
		}
	}
	for _, n := range m.Notes {
		h.notes = append(h.notes, n.Code)
		h.alert = h.alert || n.Alert
	}
	h.end = h.end || m.End
	h.upgrade = h.upgrade || m.Upgrade
}

// some returns messages for which is holds.
func (k *httpTalk) some(is func(*httpMessage) bool) []*httpMessage {
	var out []*httpMessage
	for _, m := range k.list {
		if is(m) {
			out = append(out, m)
		}
	}
	return out
}

func (k *httpTalk) notes() []string {
	var out []string
	for _, m := range k.list {
		out = append(out, m.notes...)
	}
	return out
}

func (k *httpTalk) alert() bool {
	return len(k.some(func(m *httpMessage) bool { return m.alert })) > 0
}

type httpTurn struct {
	dir  wire.Dir
	data []byte
}

// talkHTTP plays turns to the HTTP dissector as the engine does.
func talkHTTP(turns []httpTurn) *httpTalk {
	env := &dissect.Env{Limits: dissect.DefaultLimits, Want: make(dissect.Wants, len(dissect.FieldNames))}
	for i := range env.Want {
		env.Want[i] = true
	}
	k := &httpTalk{byID: map[uint64]*httpMessage{}}
	d := dissect.HTTP.New(&dissect.HTTP, env)
	var left [2][]byte
	for _, tn := range turns {
		in := append(left[tn.dir], tn.data...)
		p, err := d.Feed(tn.dir, in, k.hear)
		left[tn.dir] = in[p.Used:]
		if err != nil {
			k.err = err
			return k
		}
		if n := len(k.list); n > 0 && k.list[n-1].upgrade {
			return k
		}
	}
	for _, dir := range []wire.Dir{wire.ToServer, wire.ToClient} {
		d.Close(dir, k.hear)
		if len(left[dir]) > 0 {
			if _, err := d.Feed(dir, left[dir], k.hear); err != nil {
				k.err = err
			}
		}
	}
	return k
}

// eachJSON calls f for each line of a JSON lines file.
func eachJSON[T any](t *testing.T, path string, f func(T)) {
	t.Helper()
	eachLine(t, path, func(line []byte) {
		var v T
		if err := json.Unmarshal(line, &v); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		f(v)
	})
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

type llhttpCase struct {
	ID       string `json:"id"`
	Kind     string
	Raw      string `json:"raw_hex"`
	Valid    bool
	Error    string
	Complete int `json:"messages_complete"`
	Method   []string
	URL      string
	Status   []int
	Headers  [][2]string
	Body     string
}

// TestLLHTTP: valid messages are parsed the same, invalid ones are noted or refused.
func TestConformanceLLHTTP(t *testing.T) {
	dir := corpus(t)
	met, all := 0, 0
	eachJSON(t, dir+"/http/llhttp_cases.jsonl", func(c llhttpCase) {
		all++
		raw := unhex(t, c.Raw)
		// The cases lost the empty line at their end.
		if bytes.HasSuffix(raw, []byte("\r\n")) && !bytes.HasSuffix(raw, []byte("\r\n\r\n")) {
			raw = append(raw, "\r\n"...)
		}
		k := talkHTTP([]httpTurn{{map[string]wire.Dir{"request": wire.ToServer, "response": wire.ToClient}[c.Kind], raw}})
		var why string
		if c.Valid || strings.HasPrefix(c.Error, "Pause on") {
			why = c.differs(k)
		} else if k.err == nil && len(k.notes()) == 0 {
			why = "not noted"
		}
		if why == "" {
			met++
			return
		}
		t.Logf("%s: %s; notes %v", c.ID, why, k.notes())
	})
	score(t, "llhttp", met, all)
}

// differs says what was not parsed as llhttp does; "" if nothing.
func (c *llhttpCase) differs(k *httpTalk) string {
	if k.err != nil {
		if strings.Contains(c.Error, "PRI") {
			return ""
		}
		return k.err.Error()
	}
	var methods, head []string
	var url, body string
	done := 0
	for _, m := range k.list {
		if m.request {
			methods = append(methods, m.method)
		}
		url += m.uri
		body += m.body
		head = append(head, m.head)
		if m.end && !slices.Contains(m.notes, "http.truncated") {
			done++
		}
	}
	unescape := strings.NewReplacer(`\"`, `"`, `\\`, `\`)
	switch all := strings.Join(head, ""); {
	case c.Kind == "request" && !slices.Equal(methods, c.Method):
		return fmt.Sprintf("methods %q, want %q", methods, c.Method)
	case !strings.HasPrefix(url, c.URL) && !strings.HasPrefix(url, unescape.Replace(c.URL)):
		return fmt.Sprintf("url %q, want %q", url, c.URL)
	case c.Valid && !strings.HasPrefix(body, c.Body) && !strings.HasPrefix(unescape.Replace(strings.Join(strings.Fields(body), "")), unescape.Replace(strings.Join(strings.Fields(c.Body), ""))):
		return fmt.Sprintf("body %q, want %q", body, c.Body)
	case c.Valid && done < c.Complete:
		return fmt.Sprintf("%d messages, want %d", done, c.Complete)
	default:
		for _, kv := range c.Headers {
			value := strings.Trim(strings.ReplaceAll(kv[1], `\t`, "\t"), " \t") // what is around a value is no part of it, RFC 9112 section 5
			if text := latin1(all); !strings.Contains(text, kv[0]) || !strings.Contains(text, value) {
				return fmt.Sprintf("no header %q in %q", kv, all)
			}
		}
	}
	for i, want := range c.Status {
		if i < len(k.list) && k.list[i].status != strconv.Itoa(want) {
			return fmt.Sprintf("status %s, want %d", k.list[i].status, want)
		}
	}
	return ""
}

// latin1 reads bytes as ISO 8859-1, as the cases do.
func latin1(s string) string {
	r := make([]rune, 0, len(s))
	for i := range len(s) {
		r = append(r, rune(s[i]))
	}
	return string(r)
}

type desyncCase struct {
	ID, Name, Tier, Reason string
	Raw                    string `json:"raw_hex"`
}

// TestDesync: what is ambiguous or worse raises an alert, what is compliant or acceptable does not.
func TestConformanceDesync(t *testing.T) {
	dir := corpus(t)
	met, all := 0, 0
	table := map[string][2]int{}
	eachJSON(t, dir+"/http/desync.jsonl", func(c desyncCase) {
		all++
		k := talkHTTP([]httpTurn{{wire.ToServer, unhex(t, c.Raw)}})
		got, want := k.alert() || k.err != nil, c.Tier == "Ambiguous" || c.Tier == "Severe"
		row := table[c.Tier]
		if got {
			row[1]++
		} else {
			row[0]++
		}
		table[c.Tier] = row
		if got == want {
			met++
			return
		}
		t.Logf("%s %s %s %q: alert %v, notes %v, %v", c.ID, c.Tier, c.Reason, c.Name, got, k.notes(), k.err)
	})
	for _, tier := range []string{"Compliant", "Acceptable", "Ambiguous", "Severe"} {
		fmt.Printf("desync %-10s no alert %2d, alert %2d\n", tier, table[tier][0], table[tier][1])
	}
	score(t, "desync", met, all)
}

// TestSmuggling: doubtful spellings of Transfer-Encoding beside Content-Length are flagged.
func TestConformanceSmuggling(t *testing.T) {
	dir := corpus(t)
	met, all := 0, 0
	eachJSON(t, dir+"/http/smuggling.jsonl", func(c desyncCase) {
		all++
		k := talkHTTP([]httpTurn{{wire.ToServer, unhex(t, c.Raw)}})
		if k.alert() || k.err != nil {
			met++
			return
		}
		t.Logf("%s: notes %v", c.ID, k.notes())
	})
	score(t, "smuggling", met, all)
}

type libhtpCase struct {
	File   string
	Expect []struct {
		Name         string
		Transactions *int
		Method       []string `json:"request_method"`
		URI          []string `json:"request_uri"`
		Hostname     []string
		Flags        []string
		Request      []string `json:"request_progress"`
		Response     []string `json:"response_progress"`
		Message      []int    `json:"message_len"`
		Entity       []int    `json:"entity_len"`
	}
}

// libhtpTurns reads a transcript: lines ">>>" and "<<<" begin what client and server send. The line end before them
// belongs to them.
func libhtpTurns(b []byte) []httpTurn {
	var out []httpTurn
	for len(b) > 0 {
		line, rest, _ := bytes.Cut(b, []byte("\n"))
		switch mark := strings.TrimSpace(string(line)); {
		case mark == ">>>" || mark == "<<<":
			if n := len(out); n > 0 {
				d := bytes.TrimSuffix(out[n-1].data, []byte("\n"))
				out[n-1].data = bytes.TrimSuffix(d, []byte("\r"))
			}
			dir := wire.ToServer
			if mark == "<<<" {
				dir = wire.ToClient
			}
			out = append(out, httpTurn{dir: dir})
		case len(out) > 0:
			n := len(line)
			if len(rest) > 0 || b[len(b)-1] == '\n' {
				n++
			}
			out[len(out)-1].data = append(out[len(out)-1].data, b[:n]...)
		}
		b = rest
	}
	return out
}

// libhtpFlags says which of our notes say what a flag of libhtp says; flags that are not here are about how it parses.
var libhtpFlags = map[string][]string{
	"HTP_HOST_AMBIGUOUS":       {"http.host_differs"},
	"HTP_HOST_MISSING":         {"http.host_missing"},
	"HTP_HOSTH_INVALID":        {"http.bad_host"},
	"HTP_HOSTU_INVALID":        {"http.bad_host"},
	"HTP_HOST_INVALID":         {"http.bad_host"},
	"HTP_REQUEST_INVALID":      {"http.bad_content_length", "http.bad_transfer_coding"},
	"HTP_REQUEST_INVALID_C_L":  {"http.bad_content_length"},
	"HTP_REQUEST_INVALID_T_E":  {"http.bad_transfer_coding"},
	"HTP_REQUEST_SMUGGLING":    {"http.length_and_transfer_coding"},
	"HTP_AUTH_INVALID":         {"http.bad_authorization"},
	"HTP_PATH_UTF8_OVERLONG":   {"http.uri_utf8"},
	"HTP_PATH_UTF8_INVALID":    {"http.uri_utf8"},
	"HTP_PATH_HALF_FULL_RANGE": {"http.uri_utf8"},
}

// TestLibhtp: the assertions of libhtp's tests hold, where they are about the traffic.
func TestConformanceLibhtp(t *testing.T) {
	dir := corpus(t)
	met, all := 0, 0
	eachJSON(t, dir+"/http/libhtp_expected.jsonl", func(c libhtpCase) {
		raw, err := os.ReadFile(dir + "/" + c.File)
		if err != nil {
			t.Fatal(err)
		}
		k := talkHTTP(libhtpTurns(raw))
		requests := k.some(func(m *httpMessage) bool { return m.request })
		answers := k.some(func(m *httpMessage) bool { return m.dir == wire.ToClient && m.status != "" && m.status != "100" })
		check := func(name string, ok bool, got, want any) {
			all++
			if ok {
				met++
				return
			}
			t.Logf("%s: %s is %v, want %v; notes %v, %v", c.File, name, got, want, k.notes(), k.err)
		}
		for _, x := range c.Expect {
			if x.Transactions != nil {
				n := max(len(requests), len(answers))
				check("transactions", n == *x.Transactions, n, *x.Transactions)
			}
			for i, want := range x.Method {
				got := ""
				if i < len(requests) {
					got = requests[i].method
				}
				check("method", got == want, got, want)
			}
			for i, want := range x.URI {
				check("uri", i < len(requests) && requests[i].uri == want, requests, want)
			}
			for _, want := range x.Hostname {
				ok := slices.ContainsFunc(requests, func(m *httpMessage) bool { return m.host == want })
				check("host", ok, k.list, want)
			}
			for _, flag := range x.Flags {
				if codes, known := libhtpFlags[flag]; known {
					ok := slices.ContainsFunc(codes, func(code string) bool { return slices.Contains(k.notes(), code) })
					check(flag, ok, k.notes(), codes)
				}
			}
			for i, want := range x.Request {
				if want == "HTP_REQUEST_COMPLETE" {
					check("request", i < len(requests) && requests[i].end, len(requests), want)
				}
			}
			for i, want := range x.Response {
				if want == "HTP_RESPONSE_COMPLETE" {
					bodies := k.some(func(m *httpMessage) bool { return m.dir == wire.ToClient && m.end })
					check("response", i < len(bodies), len(bodies), want)
				}
			}
			for _, want := range x.Message {
				check("length", len(answers) > 0 && answers[0].length == strconv.Itoa(want), answers[0].length, want)
			}
			for _, want := range x.Entity {
				check("entity", len(answers) > 0 && len(answers[0].body) == want, len(answers[0].body), want)
			}
		}
	})
	score(t, "libhtp", met, all)
}
