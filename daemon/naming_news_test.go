package daemon

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"weir/workload"
)

// fakeEngine is a container engine that says what the test has it say.
type fakeEngine struct {
	t        *testing.T
	path     string
	asked    atomic.Int64
	streams  atomic.Int64
	mu       sync.Mutex
	names    map[string]string
	server   *http.Server
	news     func(w http.ResponseWriter, r *http.Request) // of a stream; nil: nothing comes
	followed chan bool
}

func newFakeEngine(t *testing.T) *fakeEngine {
	e := &fakeEngine{t: t, path: filepath.Join(t.TempDir(), "s"), names: map[string]string{}, followed: make(chan bool, 100)}
	t.Cleanup(e.stop)
	return e
}

func (e *fakeEngine) start() {
	e.t.Helper()
	l, err := net.Listen("unix", e.path)
	if err != nil {
		e.t.Fatal(err)
	}
	e.server = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/events") {
			e.streams.Add(1)
			w.(http.Flusher).Flush()
			e.followed <- true
			if e.news != nil {
				e.news(w, r)
			} else {
				<-r.Context().Done()
			}
			return
		}
		e.asked.Add(1)
		var f map[string][]string
		json.Unmarshal([]byte(r.URL.Query().Get("filters")), &f)
		e.mu.Lock()
		defer e.mu.Unlock()
		if name := e.names[f["id"][0]]; name != "" {
			fmt.Fprintf(w, `[{"Id": %q, "Names": [%q], "State": "running"}]`, f["id"][0], "/"+name)
		} else {
			fmt.Fprint(w, `[]`)
		}
	})}
	go e.server.Serve(l)
}

func (e *fakeEngine) stop() {
	if e.server != nil {
		e.server.Close()
	}
}

func (e *fakeEngine) call(id, name string) {
	e.mu.Lock()
	e.names[id] = name
	e.mu.Unlock()
}

// as returns the engine as one of the runtimes that are known.
func (e *fakeEngine) as(name string) []workload.Runtime {
	for _, r := range workload.Runtimes() {
		if r.Name == name {
			r.Sockets = []string{e.path}
			return []workload.Runtime{r}
		}
	}
	panic(name)
}

func happened(id string) string { return fmt.Sprintf("{\"Actor\":{\"ID\":%q}}\n", id) }

// TestNews: a name that changes is known when it is told, a stream that ends is followed again, and a runtime that is away, too, once it is there.
func TestNews(t *testing.T) {
	e := newFakeEngine(t)
	e.call(testID, "web")
	say := make(chan string)
	e.news = func(w http.ResponseWriter, r *http.Request) {
		for {
			select {
			case id := <-say:
				if id == "" {
					return
				}
				fmt.Fprint(w, happened(id))
				w.(http.Flusher).Flush()
			case <-r.Context().Done():
				return
			}
		}
	}
	e.start()
	x := testNaming(t, e.as("Docker")...)
	pod := space(t)
	join(t, x.host, pod, "v1")
	addAddress(t, pod, "ev1", "10.9.0.2/24")
	contained(t, pod, testID)
	named := func(name string) {
		t.Helper()
		began := time.Now()
		until(t, "the name "+name, func() bool { w := x.at("10.9.0.2"); return w != nil && w.Name == name })
		t.Logf("%s after %v", name, time.Since(began).Round(time.Millisecond))
	}
	named("web")
	<-e.followed
	e.call(testID, "front")
	say <- testID
	named("front")
	say <- "" // the stream ends: what was missed meanwhile is asked for
	e.call(testID, "back")
	<-e.followed
	named("back")
	e.stop()
	e.call(testID, "away")
	e.start()
	<-e.followed
	named("away")
	x.close()
	if n := strings.Count(x.said.String(), "no news of containers come"); n != 1 {
		t.Errorf("that the stream ended was told %d times:\n%s", n, &x.said)
	}
}

// TestNewsFlood: a runtime that tells thousands of things a second is asked about few of them, is followed no more, and still names who is there.
func TestNewsFlood(t *testing.T) {
	e := newFakeEngine(t)
	e.call(testID, "web")
	var told atomic.Int64
	e.news = func(w http.ResponseWriter, r *http.Request) {
		for i := 0; r.Context().Err() == nil; i++ {
			if _, err := fmt.Fprint(w, happened(fmt.Sprintf("%064x", i))); err != nil {
				return
			}
			told.Add(1)
		}
	}
	e.start()
	x := testNaming(t, e.as("Docker")...)
	began := time.Now()
	until(t, "a flood", func() bool { return told.Load() > 5000 })
	pod := space(t)
	join(t, x.host, pod, "v1")
	addAddress(t, pod, "ev1", "10.9.0.2/24")
	contained(t, pod, testID)
	since := time.Now()
	until(t, "a name", func() bool { w := x.at("10.9.0.2"); return w != nil && w.Name == "web" })
	took := time.Since(since)
	until(t, "the stream to be left", func() bool { return e.streams.Load() > 1 })
	x.close()
	if most := hearBurst + int64(time.Since(began)/hearEvery) + 50; e.asked.Load() > most {
		t.Errorf("it was asked %d times, want at most %d", e.asked.Load(), most)
	}
	if len(x.ahead) > aheadMost || len(x.happened) > newsKept+1 {
		t.Errorf("%d, %d are kept", len(x.ahead), len(x.happened))
	}
	t.Logf("%d pieces of news in %v, %d questions, %d streams; a name after %v", told.Load(), time.Since(began).Round(time.Millisecond), e.asked.Load(), e.streams.Load(), took.Round(time.Millisecond))
}

// TestNewsFound: what there was news of waits for the rate of questions about news no longer once somebody has found it.
func TestNewsFound(t *testing.T) {
	a := newAsker(workload.Runtime{})
	a.left, a.at = 0, time.Now()
	a.hear("a")
	a.hear("b")
	a.want("b")
	a.want("b")
	if id, news, _ := a.next(a.at); id != "b" || news {
		t.Errorf("got %q %v, want b", id, news)
	}
	if id, _, after := a.next(a.at); id != "" || after != hearEvery {
		t.Errorf("got %q after %v", id, after)
	}
	if id, news, _ := a.next(a.at.Add(hearEvery)); id != "a" || !news {
		t.Errorf("got %q %v, want a", id, news)
	}
}

// TestNewsOfOwn: a runtime that asking starts is followed while one of its containers is there, and no longer.
func TestNewsOfOwn(t *testing.T) {
	e := newFakeEngine(t)
	e.start()
	r := e.as("Podman")[0]
	m := &newsman{asker: newAsker(r), kick: make(chan struct{}, 1)}
	now := time.Now()
	left := 0
	m.stop = func() { left++ }
	for i, c := range []struct {
		after  time.Duration
		some   bool
		wanted bool
		left   int
	}{{0, false, false, 0}, {time.Second, true, true, 0}, {2 * time.Second, false, true, 0}, {newsLeave, true, true, 0}, {2*newsLeave - time.Second, false, true, 0}, {2 * newsLeave, false, false, 1}, {3 * newsLeave, false, false, 1}, {4 * newsLeave, true, true, 1}} {
		m.has(now.Add(c.after), c.some)
		if m.wanted(now.Add(c.after)) != c.wanted || left != c.left {
			t.Errorf("%d: wanted %v, left %d times", i, m.wanted(now.Add(c.after)), left)
		}
	}
	x := testNaming(t, r)
	x.settle()
	if e.streams.Load() > 0 {
		t.Error("it is followed, though none of its containers is there")
	}
	x.close()
}

// TestNewsLeaveNothing: streams that end all the time leave neither descriptors nor goroutines, and are not followed without end.
func TestNewsLeaveNothing(t *testing.T) {
	e := newFakeEngine(t)
	e.news = func(http.ResponseWriter, *http.Request) {}
	e.start()
	before := runtime.NumGoroutine()
	x := testNaming(t, e.as("Docker")...)
	for range 4 {
		<-e.followed
	}
	x.close()
	until(t, "the goroutines to end", func() bool { return runtime.NumGoroutine() <= before+3 })
}
