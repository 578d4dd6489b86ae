package dissect

import (
	"fmt"
	"strings"
	"testing"

	"weir/wire"
)

// TestExchanges plays cases of protocols whose answers are found by a number or by their order: which message belongs to which exchange, and where
// that ends.
func TestExchanges(t *testing.T) {
	for _, c := range loadCases(t) {
		want, ok := map[string]string{
			"cassandra-v4":      ">1 <1. >3 <3. >5 <5. >7 <7. >9 <9.",
			"cassandra-v5":      ">1 <1. >3 >4 <3.",
			"memcached-binary":  ">1 <1. >2 <2.",
			"memcached-text":    ">1 <1. >2 <2 <2. >3 >4 <3. <4. >5 <5.",
			"couchbase-get":     ">1 <1. >2 <2.",
			"tds-batch":         ">1 <1. >3 <3. >5 <5. >7 <7.",
			"zookeeper-session": ">1 <1. >3 <3. >5 <5. >7 <7.",
		}[strings.TrimSuffix(c.path[strings.LastIndex(c.path, "/")+1:], ".txtar")]
		if !ok {
			continue
		}
		var got []string
		d := c.protocol.New(c.protocol, newEnv())
		hear := func(m *Message) {
			if m.End {
				s := fmt.Sprint(string("><"[m.Dir]), m.Tx)
				if m.TxEnd {
					s += "."
				}
				got = append(got, s)
			}
		}
		var left [2]string
		for _, tn := range c.turns {
			in := left[tn.dir] + tn.data
			pr, err := d.Feed(tn.dir, []byte(in), hear)
			if err != nil {
				t.Errorf("%s: %v", c.path, err)
			}
			left[tn.dir] = in[pr.Used:]
		}
		for dir := range wire.Dir(2) {
			d.Close(dir, hear)
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("%s: got %s, want %s", c.path, s, want)
		}
	}
}
