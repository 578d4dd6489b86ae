package dissect

import (
	"fmt"
	"slices"
	"sort"
	"strings"
	"testing"

	"weir/wire"
)

// heard collects what an HTTP dissector says: a line for each value and note, in the order in which their messages began.
type heard struct {
	values map[string]string
	keys   []string
	notes  map[string]bool
	ends   map[uint64]int
	alerts bool
	raw    strings.Builder
	up     bool
	off    map[string]int64
}

func newHeard() *heard {
	return &heard{values: map[string]string{}, notes: map[string]bool{}, ends: map[uint64]int{}, off: map[string]int64{}}
}

func (e *heard) hear(m *Message) {
	for _, p := range m.Parts {
		k := fmt.Sprintf("%d %s %d/%d", m.ID, m.Protocol.Fields[p.Field].Name, p.Value, p.View)
		if _, ok := e.values[k]; !ok {
			e.keys = append(e.keys, k)
			e.values[k] = ""
		}
		if off := e.off[k]; off != p.Off {
			e.values[k] += fmt.Sprintf("<%d>", p.Off)
		}
		e.values[k] += string(p.Bytes)
		e.off[k] = p.Off + int64(len(p.Bytes))
	}
	for _, n := range m.Notes {
		e.notes[fmt.Sprintf("%d %s", m.ID, n.Code)] = true
		e.alerts = e.alerts || n.Alert
	}
	if m.End {
		e.ends[m.ID]++
	}
	e.up = e.up || m.Upgrade
}

// lines returns values of fields by name, in order; "" for all.
func (e *heard) lines(fields ...string) []string {
	var out []string
	for _, k := range e.keys {
		if f := strings.Fields(k)[1]; len(fields) == 0 || slices.Contains(fields, f) {
			out = append(out, k+" "+e.values[k])
		}
	}
	return out
}

func (e *heard) codes() []string {
	var out []string
	for n := range e.notes {
		out = append(out, n)
	}
	sort.Strings(out)
	return out
}

func everything() Wants {
	w := make(Wants, len(FieldNames))
	for i := range w {
		w[i] = true
	}
	return w
}

func newEnv() *Env { return &Env{Want: everything(), Limits: DefaultLimits} }

// turn is bytes of one direction.
type turn struct {
	dir  wire.Dir
	data string
}

// play feeds turns in pieces of at most size bytes, as the engine would, and closes both directions.
func play(t testing.TB, env *Env, turns []turn, size int) (*heard, error) {
	e := newHeard()
	d := HTTP.New(&HTTP, env)
	var left [2][]byte
	for _, tn := range turns {
		data := []byte(tn.data)
		for len(data) > 0 {
			n := len(data)
			if size > 0 {
				n = min(n, size)
			}
			in := append(slices.Clone(left[tn.dir]), data[:n]...)
			data = data[n:]
			p, err := d.Feed(tn.dir, in, e.hear)
			if p.Used < 0 || p.Used > len(in) {
				t.Fatalf("Used %d of %d", p.Used, len(in))
			}
			left[tn.dir] = slices.Clone(in[p.Used:])
			for i := range in {
				in[i] = 0xee
			}
			if err != nil || e.up {
				e.raw.Write(left[tn.dir])
				e.raw.Write(data)
				return e, err
			}
		}
	}
	for _, dir := range []wire.Dir{wire.ToServer, wire.ToClient} {
		d.Close(dir, e.hear)
		if len(left[dir]) > 0 {
			p, err := d.Feed(dir, left[dir], e.hear)
			if err != nil {
				return e, err
			}
			if p.Used != len(left[dir]) {
				t.Fatalf("after Close: used %d of %d", p.Used, len(left[dir]))
			}
		}
	}
	return e, nil
}

const (
	toS = wire.ToServer
	toC = wire.ToClient
)

func TestHTTPFirst(t *testing.T) {
	e, err := play(t, newEnv(), []turn{
		{toS, "GET /a?b=%41 HTTP/1.1\r\nHost: X.example:80\r\nUser-Agent: u\r\n\r\n"},
		{toC, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Type: text/plain\r\n\r\nhello"},
	}, 0)
	t.Log(err, strings.Join(e.lines(), "\n"), e.codes())
}
