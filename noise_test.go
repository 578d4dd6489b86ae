package weir_test

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"weir/alert"
	"weir/daemon"
	"weir/dissect"
	"weir/dlp"
	"weir/engine"
	"weir/flow"
	"weir/rules"
	"weir/wire"
)

// noise makes what services really say, with digits everywhere and no card, account or person in it: a document of a kind after the other,
// always the same for the same seed.
type noise struct {
	*rand.Rand
	b strings.Builder
}

func newNoise(seed uint64) *noise { return &noise{Rand: rand.New(rand.NewPCG(seed, 2))} }

// ours
const (
	noiseDocument = 64 << 10 // bytes of one document, or a little more
	noiseShare    = 32 << 20 // bytes of noise in an ordinary run of the tests
)

// document returns the next document, and its type.
func (n *noise) document() (body, typ string) {
	n.b.Reset()
	typ = n.noiseKind()
	return n.b.String(), typ
}

func (n *noise) noiseKind() (typ string) {
	kinds := []struct {
		typ   string
		begin string
		one   func(n *noise)
		end   string
	}{
		{"application/json", `{"data":[`, (*noise).record, `null]}`},
		{"application/json", `[`, (*noise).measurement, `0]`},
		{"text/html", "<html><head><title>Orders</title></head><body>\n", (*noise).element, "</body></html>\n"},
		{"text/plain", "", (*noise).logLine, ""},
		{"text/csv", "id,created,amount,lat,lon,sku,hash\n", (*noise).row, ""},
		{"application/octet-stream", "", (*noise).base64, ""},
		{"text/plain", "", (*noise).metric, ""},
		{"text/plain", "", (*noise).hexdump, ""},
		{"application/xml", "<items>\n", (*noise).xml, "</items>\n"},
		{"application/x-www-form-urlencoded", "a=1", (*noise).pair, ""},
		{"text/plain", "", (*noise).bare, ""},
	}
	k := kinds[n.IntN(len(kinds))]
	n.b.WriteString(k.begin)
	for n.b.Len() < noiseDocument {
		k.one(n)
	}
	n.b.WriteString(k.end)
	return k.typ
}

func (n *noise) f(format string, a ...any) { fmt.Fprintf(&n.b, format, a...) }

// digits returns a number of so many digits that does not begin with 0.
func (n *noise) digits(count int) string {
	b := make([]byte, count)
	for i := range b {
		b[i] = byte('0' + n.IntN(10))
	}
	if b[0] == '0' {
		b[0] = byte('1' + n.IntN(9))
	}
	return string(b)
}

func (n *noise) bytes(count int) []byte {
	b := make([]byte, count)
	for i := range b {
		b[i] = byte(n.IntN(256))
	}
	return b
}

func (n *noise) hex(count int) string { return hex.EncodeToString(n.bytes((count + 1) / 2))[:count] }

func (n *noise) uuid() string {
	return n.hex(8) + "-" + n.hex(4) + "-4" + n.hex(3) + "-a" + n.hex(3) + "-" + n.hex(12)
}

func (n *noise) upper(count int) string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	b := make([]byte, count)
	for i := range b {
		b[i] = letters[n.IntN(len(letters))]
	}
	return string(b)
}

func (n *noise) word() string {
	words := strings.Fields("card account order customer shop table chair lamp garden visa-free payment total status number code value item detail access token key secretary passport social account-manager")
	return words[n.IntN(len(words))]
}

func (n *noise) millis() int64 { return 1_700_000_000_000 + n.Int64N(100_000_000_000) }
func (n *noise) float() string {
	return strconv.FormatFloat(n.Float64()*pick(n, 1.0, 180, 1e6, 1e12), 'f', -1, 64)
}
func (n *noise) phone() string {
	return pick(n, "+1 "+n.digits(3)+" 555 01"+n.digits(2), "+49 30 "+n.digits(8), "("+n.digits(3)+") 555-01"+n.digits(2), "00"+n.digits(11))
}

func pick[T any](n *noise, of ...T) T { return of[n.IntN(len(of))] }

func (n *noise) record() {
	n.f(`{"id":%s,"uuid":"%s","created_at":%d,"orderNumber":"%s","order_id":"%s","customer_id":%s,`, n.digits(16), n.uuid(), n.millis(), n.digits(16), n.digits(pick(n, 13, 15, 16, 19)), n.digits(pick(n, 8, 12, 16)))
	n.f(`"type":"%s","price":%d.%s,"weight":%s,"lat":%s,"lon":-%s,`, n.word(), n.IntN(1000), n.digits(2), n.float(), n.float(), n.float())
	n.f(`"trace_id":"%s","span_id":"%s","etag":"%s","sha256":"%s","ean":"%s","sku":"%s","phone":"%s","tracking_number":"%s","ts":%d%s,"version":"%d.%d.%d","seq":%s},`,
		n.hex(32), n.hex(16), n.hex(40), n.hex(64), n.digits(13), n.upper(pick(n, 8, 12, 20, 22)), n.phone(), n.digits(pick(n, 12, 16, 18, 20)), n.millis(), n.digits(6), n.IntN(20), n.IntN(100), n.IntN(1000), n.digits(pick(n, 9, 16)))
}

func (n *noise) measurement() {
	n.f(`[%d,%s,%s],`, n.millis(), n.float(), n.float())
}

func (n *noise) element() {
	n.f(`<div class="card card-body" id="row-%s" data-id="%s" data-ts="%d"><a href="/orders/%s?ref=%s&amp;t=%d">%s %s</a>`, n.digits(8), n.digits(16), n.millis(), n.digits(16), n.hex(16), n.millis(), n.word(), n.digits(pick(n, 4, 6, 9)))
	n.f(`<span style="width:%s%%">%s</span><img src="data:image/png;base64,%s"><td>%s</td><td>%d</td></div>`+"\n", n.float(), n.float(), base64.StdEncoding.EncodeToString(n.bytes(300+n.IntN(600))), n.phone(), n.millis())
}

func (n *noise) logLine() {
	n.f("2024-0%d-1%dT1%d:2%d:3%d.%sZ INFO [%s] request_id=%s user=%s took=%s ms bytes=%s order=%s path=/v1/%s/%s ip=10.%d.%d.%d pid=%d\n", 1+n.IntN(9), n.IntN(9), n.IntN(9), n.IntN(9), n.IntN(9), n.digits(pick(n, 3, 6, 9)),
		n.hex(16), n.uuid(), n.digits(8), n.float(), n.digits(pick(n, 4, 9)), n.digits(pick(n, 10, 13, 16)), n.word(), n.digits(pick(n, 6, 9, 16)), n.IntN(256), n.IntN(256), n.IntN(256), n.IntN(99999))
}

func (n *noise) row() {
	n.f("%s,%d,%d.%s,%s,%s,%s,%s\n", n.digits(pick(n, 7, 9, 10, 11)), n.millis(), n.IntN(10000), n.digits(2), n.float(), n.float(), n.upper(10), n.hex(32))
}

func (n *noise) base64() {
	n.b.WriteString(base64.StdEncoding.EncodeToString(n.bytes(57)))
	n.b.WriteByte('\n')
}

func (n *noise) metric() {
	n.f("http_requests_total{code=\"%d\",instance=\"10.0.%d.%d:%d\",id=\"%s\"} %s %d\n", 200+n.IntN(300), n.IntN(256), n.IntN(256), n.IntN(65536), n.hex(12), n.float(), n.millis())
}

func (n *noise) hexdump() {
	n.f("%08x ", n.IntN(1<<31))
	for range 16 {
		n.f(" %02x", n.IntN(256))
	}
	n.b.WriteByte('\n')
}

func (n *noise) xml() {
	n.f("<item id=\"%s\"><orderId>%s</orderId><created>%d</created><span>%s</span><hash>%s</hash><size>%s</size></item>\n", n.digits(16), n.digits(16), n.millis(), n.digits(16), n.hex(40), n.digits(9))
}

func (n *noise) pair() {
	n.f("&order=%s&t=%d&x=%s&session=%s&n=%s", n.digits(16), n.millis(), n.float(), n.hex(32), n.digits(pick(n, 9, 10, 11)))
}

// bare are numbers of which nothing says what they are.
func (n *noise) bare() {
	n.f("%s %s\n", n.digits(pick(n, 8, 9, 10, 11, 12, 13, 14, 15, 17, 18, 20)), n.float())
}

// noiseBytes is how much noise is made: NOISE, or a share.
func noiseBytes(t *testing.T) int64 {
	if s := os.Getenv("NOISE"); s != "" {
		var v daemon.Size
		if err := v.UnmarshalText([]byte(s)); err != nil {
			t.Fatalf("NOISE: %v", err)
		}
		return int64(v)
	}
	return noiseShare
}

// noiseAlerts plays noise as answers over HTTP, and returns its alerts by level and rule, with an excerpt of some.
func noiseAlerts(t *testing.T, db *dlp.Database, total int64) (byLevel map[string]map[string]int, some []string) {
	byLevel = map[string]map[string]int{}
	e := engine.New(engine.Config{
		Flow: flow.DefaultLimits, Dissect: dissect.DefaultLimits, Events: map[string]bool{"alert": true},
		Emit: func(ev *alert.Event) {
			level := "none"
			for _, m := range ev.Weir.Matches {
				level = m.Level
				if len(some) < 300 {
					some = append(some, fmt.Sprintf("%s %s %d %%: %s", ev.Weir.Rule, m.Field, m.Confidence, m.Excerpt))
				}
			}
			if byLevel[level] == nil {
				byLevel[level] = map[string]int{}
			}
			byLevel[level][ev.Weir.Rule]++
		},
	})
	e.SetRules(db)
	lane := e.NewLane()
	defer lane.Free()
	lane.OnPanic = func(stack string) { t.Errorf("panic: %s", stack) }
	tap := e.NewTap(engine.TapConfig{})
	now := int64(1_700_000_000_000_000_000)
	n := newNoise(1)
	for sum, port := int64(0), 0; sum < total; port++ {
		d := &dialogue{client: uint16(20000 + port%40000), srv: 80}
		for range 16 {
			body, typ := n.document()
			sum += int64(len(body))
			answer := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", typ, len(body), body)
			d.actions = append(d.actions, action{kind: "data", client: true, data: "GET /a HTTP/1.1\r\nHost: shop.example\r\n\r\n"}, action{kind: "data", data: answer})
		}
		for _, data := range play(t, d, way{size: 32 << 10, isn: 1000}, wrappings()[0]) {
			now += 1e6
			lane.Block(tap, []wire.Frame{{Data: data, Time: now, Len: uint32(len(data)), Link: wire.LinkEthernet}})
		}
	}
	lane.Close(tap)
	return byLevel, some
}

// noiseRules compiles the built-in rules.
func noiseRules(t testing.TB) *dlp.Database {
	t.Helper()
	set, problems := daemon.LoadRules([]string{rules.Wide}, true)
	if problems.Failed() {
		t.Fatal(problems.Err())
	}
	db, err := dlp.Compile(set, dlp.Options{FingerprintKey: make([]byte, 32)})
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// TestNoise: in noise nothing is found surely, and hardly anything else.
func TestNoise(t *testing.T) {
	db := noiseRules(t)
	defer db.Close()
	total := noiseBytes(t)
	byLevel, some := noiseAlerts(t, db, total)
	for _, line := range some {
		t.Log(line)
	}
	for _, level := range []string{"high", "medium", "low"} {
		n := 0
		for _, times := range byLevel[level] {
			n += times
		}
		scored["noise_"+level] = scoring{n, int(total >> 20)}
	}
	for _, level := range slices.Sorted(maps.Keys(byLevel)) {
		t.Logf("%s: %v", level, byLevel[level])
	}
	if n := byLevel["high"]; len(n) > 0 {
		t.Errorf("alerts of high confidence in %d MB of noise: %v", total>>20, n)
	}
}
