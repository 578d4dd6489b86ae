package policy

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// crowd is a policy of 10,000 rules over 1,000 groups, and contexts of 5,000 workloads that talk to some of each other.
func crowd(t testing.TB) (p *Policy, contexts []Context) {
	const groups, workloads, conversations = 1000, 5000, 20000
	r := rand.New(rand.NewPCG(3, 4))
	var b strings.Builder
	for g := range groups {
		fmt.Fprintf(&b, "[[groups]]\nname='g%d'\nmatch=['namespace=n%d,name=app%d-*']\n", g, g%50, g)
	}
	peers := map[int][]int{}
	for i := range 10 * groups {
		from, to := r.IntN(groups), i/10
		peers[to] = append(peers[to], from)
		fmt.Fprintf(&b, "[[policy]]\nid='r%d'\nfrom=['g%d']\nto=['g%d']\naction='allow'\n", i, from, to)
		switch i % 4 {
		case 0:
			fmt.Fprintf(&b, "ports=['tcp/%d']\n", 8000+to%10)
		case 1:
			fmt.Fprintf(&b, "ports=['tcp/%d']\nprotocol='redis'\nwhere={'redis.command'=['GET','SET','MGET']}\n", 8000+to%10)
		default:
			fmt.Fprintf(&b, "ports=['tcp/%d']\nprotocol='http'\nwhere={'http.method'=['GET','HEAD'],'http.path'=['/healthz','/orders%d/{id}','/items/{id}/price','/static%d/*']}\n", 8000+to%10, to, i)
		}
	}
	p = compile(t, b.String())
	ids := make([]Identity, workloads)
	for i := range ids {
		g := i % groups
		ids[i] = p.Identify(&Subject{Workload: true, Namespace: fmt.Sprint("n", g%50), Name: fmt.Sprintf("app%d-%d", g, i)})
	}
	http, redis := number(t, known.Protocols, "http"), number(t, known.Protocols, "redis")
	set := message(t, "redis.command=SET")
	var gets []*Fields // a message is fresh when it is judged
	for range 16 {
		gets = append(gets, message(t, "http.method=GET", fmt.Sprintf("http.path=/items/%d/price", r.IntN(1000))))
	}
	for range conversations {
		to := r.IntN(groups)
		from := peers[to][r.IntN(len(peers[to]))]
		c := Context{From: ids[from+groups*r.IntN(5)], To: ids[to+groups*r.IntN(5)], Proto: 6, Port: uint16(8000 + to%10), App: http}
		switch r.IntN(4) {
		case 0:
			c.App = AppNone
		case 1:
			c.App, c.Fields = redis, set
		default:
			c.Fields = gets[r.IntN(len(gets))]
		}
		contexts = append(contexts, c)
	}
	return p, contexts
}

// BenchmarkDecide: a decision about a conversation that has been asked about, among 10,000 rules and 5,000 workloads.
func BenchmarkDecide(b *testing.B) {
	p, contexts := crowd(b)
	for i := range contexts {
		p.Decide(&contexts[i])
	}
	b.ReportAllocs()
	began := processorTime()
	i := 0
	for ; b.Loop(); i++ {
		p.Decide(&contexts[i%len(contexts)])
	}
	b.ReportMetric(float64(processorTime()-began)/float64(i), "cpu-ns/op")
}

// processorTime is what this thread has taken, ns: others may be busy, too.
func processorTime() int64 {
	runtime.LockOSThread()
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		panic(err)
	}
	return t.Nano()
}

// BenchmarkDecideFirst: the first decision about it.
func BenchmarkDecideFirst(b *testing.B) {
	p, contexts := crowd(b)
	for i := 0; b.Loop(); i++ {
		c := &contexts[i%len(contexts)]
		p.newBucket(c, p.ports.class(c.Proto, c.Port))
	}
}

// BenchmarkReadings: a message whose path has to be read at length, noted and judged.
func BenchmarkReadings(b *testing.B) {
	p, contexts := crowd(b)
	c := contexts[0]
	c.App, c.Fields = number(b, known.Protocols, "http"), &Fields{Complete: true}
	method, path := number(b, known.Fields, "http.method"), number(b, known.Fields, "http.path")
	b.ReportAllocs()
	for b.Loop() {
		c.Fields.Reset()
		c.Fields.Complete = true
		c.Fields.Add(method, 1, []byte("GET"), false, false)
		c.Fields.Add(path, 2, []byte("/items/%2e%2e/orders/caf%C3%A9"), false, false)
		p.Decide(&c)
	}
}

func TestDecideAllocatesNothing(t *testing.T) {
	p, contexts := crowd(t)
	for i := range contexts {
		p.Decide(&contexts[i])
	}
	i := 0
	if n := testing.AllocsPerRun(len(contexts), func() { p.Decide(&contexts[i%len(contexts)]); i++ }); n > 0 {
		t.Errorf("%v allocations for a decision", n)
	}
}
