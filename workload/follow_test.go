package workload

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// bytesOf writes a protobuf message whose fields are bytes: number, value, number, value...
func bytesOf(list ...any) string {
	var b []byte
	for i := 0; i < len(list); i += 2 {
		b = protowire.AppendTag(b, protowire.Number(list[i].(int)), protowire.BytesType)
		b = protowire.AppendString(b, list[i+1].(string))
	}
	return string(b)
}

// frame is a message of gRPC.
func frame(message string) string {
	return string(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message)))) + message
}

func envelope(space, topic string, event ...any) string {
	return bytesOf(1, "\x08\x01", envelopeNamespace, space, envelopeTopic, topic, envelopeEvent, bytesOf(1, "containerd.events."+topic, anyValue, bytesOf(event...)))
}

func dockerEvent(id string) string {
	return fmt.Sprintf(`{"status":"start","id":%q,"from":"web:1","Type":"container","Action":"start","Actor":{"ID":%[1]q,"Attributes":{"image":"web:1","name":"web"}},"scope":"local","time":1}`+"\n", id)
}

// telling serves news: of each request, what say writes.
func telling(t *testing.T, l net.Listener, say func(w http.ResponseWriter, r *http.Request)) {
	t.Helper()
	var p http.Protocols
	p.SetHTTP1(true)
	p.SetUnencryptedHTTP2(true)
	s := http.Server{Protocols: &p, Handler: http.HandlerFunc(say)}
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
}

// TestFollow: what happens is told as it comes, of whom it concerns and of nobody else.
func TestFollow(t *testing.T) {
	exec := strings.Repeat("e", idLen)
	for name, c := range map[string]struct{ path, ask, say string }{
		"containerd": {containerdNews, `namespace==k8s.io,topic=="/tasks/create"`, frame(envelope("moby", topicStart, taskContainer, exec)) + frame(envelope(criSpace, topicCreate, taskContainer, testID, 2, "/run/x")) +
			frame(envelope(criSpace, "/tasks/exit", taskContainer, exec)) + frame(envelope(criSpace, topicStart, taskContainer, otherID)) + frame(envelope(criSpace, "/images/create", 1, exec))},
		"CRI-O":  {criNews, "", frame(bytesOf(criNewsID, testID, 4, "x")) + frame(bytesOf(criNewsID, "")) + frame(bytesOf(criNewsID, exec)+"\x10\x02") + frame(bytesOf(criNewsID, otherID))},
		"Docker": {dockerNews, `"type":["container"]`, dockerEvent(testID) + dockerEvent("short") + strings.Replace(dockerEvent(otherID), `"name"`, strings.Repeat(" ", 2*followBuffer)+`"name"`, 1)},
		"Podman": {podmanNews, `"rename"`, dockerEvent(testID) + "{}\n" + strings.Replace(dockerEvent(otherID), `"id"`, `"Id"`, 1)},
	} {
		t.Run(name, func(t *testing.T) {
			path, l := socket(t)
			goOn := make(chan bool)
			telling(t, l, func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				if r.URL.Path != c.path || !strings.Contains(r.URL.Query().Get("filters")+string(body), c.ask) {
					t.Errorf("asked for %s %q", r.URL, body)
				}
				for i := range len(c.say) { // as it may be cut
					io.WriteString(w, c.say[i:i+1])
					if i%1000 == 5 {
						w.(http.Flusher).Flush()
					}
				}
				w.(http.Flusher).Flush()
				<-goOn
			})
			r := at(name, path)
			ctx, cancel := context.WithCancel(context.Background())
			begun, got := make(chan bool, 1), make(chan string, 10)
			done := make(chan error)
			go func() { done <- r.Follow(ctx, func() { begun <- true }, func(id string) { got <- id }) }()
			<-begun
			for _, want := range []string{testID, otherID} {
				if id := <-got; id != want {
					t.Errorf("got %s, want %s", id, want)
				}
			}
			cancel()
			if err := <-done; err == nil {
				t.Error("a stream that was left ended without an error")
			}
			close(goOn)
			if len(got) > 0 {
				t.Errorf("got %s too", <-got)
			}
		})
	}
}

// TestFollowAbsent: where nobody listens, that is told so that it can be looked for again cheaply; a refusal is told as one.
func TestFollowAbsent(t *testing.T) {
	for _, name := range []string{"containerd", "CRI-O", "Docker", "Podman"} {
		path, l := socket(t)
		l.Close()
		follow := func() error {
			r := at(name, path)
			return r.Follow(context.Background(), func() {}, func(string) { t.Errorf("%s: news of nobody", name) })
		}
		if err := follow(); err != ErrAbsent {
			t.Errorf("%s, no socket: got %v", name, err)
		}
		l, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		telling(t, l, func(w http.ResponseWriter, r *http.Request) {
			if r.ProtoMajor == 1 {
				w.WriteHeader(http.StatusNotFound)
			}
			w.Header().Set("Grpc-Status", "12")
		})
		if err := follow(); err == nil || !strings.Contains(err.Error(), name+": it tells no news") {
			t.Errorf("%s, refused: got %v", name, err)
		}
	}
}

// TestFollowHostile follows servers that tell nothing, too much, or nonsense: it ends with an error, or with who follows, and takes no memory to speak of.
func TestFollowHostile(t *testing.T) {
	many := strings.Repeat(dockerEvent(testID), 100)
	manyFrames := strings.Repeat(frame(envelope(criSpace, topicStart, taskContainer, testID)), 100)
	forever := func(text string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			for {
				if _, err := io.WriteString(w, text); err != nil {
					return
				}
			}
		}
	}
	once := func(text string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) { io.WriteString(w, text) }
	}
	deep := strings.Repeat("[", 100_000)
	var all sync.WaitGroup
	defer all.Wait()
	for _, c := range []struct {
		name, runtime, want string
		say                 func(http.ResponseWriter)
	}{
		{"a line without end", "Docker", "longer than", forever(strings.Repeat("x", 1000))},
		{"events without end", "Docker", "more than", forever(many)},
		{"empty lines without end", "Podman", "no JSON", forever("\n")},
		{"JSON without end", "Podman", "longer than", forever(`{"Actor":{"Attributes":`)},
		{"deep JSON", "Docker", "no JSON", once(deep + "\n")},
		{"a list", "Docker", "no JSON", once("[]\n")},
		{"a number for an id", "Podman", "no JSON", once(`{"Actor":{"ID":7}}` + "\n")},
		{"half a line", "Docker", "ended", once(`{"Actor":`)},
		{"nothing", "Docker", "ended", once("")},
		{"a frame without end", "containerd", "longer than", forever("\x00\xff\xff\xff\xff")},
		{"frames without end", "containerd", "more than", forever(manyFrames)},
		{"empty frames without end", "CRI-O", "more than", forever(strings.Repeat("\x00\x00\x00\x00\x00", 100))},
		{"half a frame", "containerd", "ended", once("\x00\x00\x00\x00\x09ab")},
		{"half a head", "CRI-O", "ended", once("\x00\x00")},
		{"compressed frames", "CRI-O", "no gRPC", forever("\x01\x00\x00\x00\x01x")},
		{"no protobuf", "containerd", "no protobuf", once(frame("\xff\xff"))},
		{"no status", "containerd", "no gRPC", once("")},
		{"an error of HTTP", "Docker", "HTTP status 500", func(w http.ResponseWriter) { w.WriteHeader(http.StatusInternalServerError) }},
		{"an error of gRPC", "CRI-O", "gRPC status 2", func(w http.ResponseWriter) { w.Header().Set("Grpc-Status", "2") }},
		{"elsewhere", "Docker", "HTTP status 302", func(w http.ResponseWriter) {
			w.Header().Set("Location", "http://192.0.2.1/")
			w.WriteHeader(http.StatusFound)
		}},
	} {
		path, l := socket(t)
		telling(t, l, func(w http.ResponseWriter, _ *http.Request) { c.say(w) })
		r := at(c.runtime, path)
		all.Go(func() {
			err := r.Follow(context.Background(), func() {}, func(id string) {
				if id != testID {
					t.Errorf("%s: got %q", c.name, id)
				}
			})
			if err == nil || !strings.HasPrefix(err.Error(), c.runtime+": ") || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: got %v, want %q", c.name, err, c.want)
			}
		})
	}
	for _, name := range []string{"containerd", "Docker", "Podman"} {
		for what, do := range map[string]func(net.Conn){"never answers": func(c net.Conn) { io.Copy(io.Discard, c) }, "closes": func(net.Conn) {}, "nonsense": func(c net.Conn) { io.WriteString(c, "\x00\x01\n\n") }} {
			path, l := socket(t)
			go func() {
				for {
					c, err := l.Accept()
					if err != nil {
						return
					}
					go func() { defer c.Close(); do(c) }()
				}
			}()
			ctx, cancel := context.WithCancel(context.Background())
			time.AfterFunc(200*time.Millisecond, cancel)
			r := at(name, path)
			all.Go(func() {
				defer cancel()
				if err := r.Follow(ctx, func() {}, func(id string) {}); err == nil || what == "never answers" && !errors.Is(err, context.Canceled) {
					t.Errorf("%s %s: got %v", name, what, err)
				}
			})
		}
	}
}

// TestFollowHangs: a runtime that has stopped is not followed for ever: over HTTP/2 it is asked whether it is there still.
func TestFollowHangs(t *testing.T) {
	path, l := socket(t)
	defer l.Close()
	go func() {
		if c, err := l.Accept(); err == nil {
			defer c.Close()
			io.WriteString(c, "\x00\x00\x00\x04\x00\x00\x00\x00\x00") // its settings, and nothing any more
			io.Copy(io.Discard, c)
		}
	}()
	c := newClient(path, true)
	defer c.close()
	h := c.http.Transport.(*http.Transport).HTTP2
	if h.SendPingTimeout != pingAfter || h.PingTimeout != pingTimeout {
		t.Errorf("got %+v", h)
	}
	h.SendPingTimeout, h.PingTimeout = 20*time.Millisecond, 20*time.Millisecond
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := followContainerd(ctx, c, &follower{begun: func() {}}); err == nil || ctx.Err() != nil {
		t.Errorf("got %v", err)
	}
}

// TestFollowLeavesNothing: streams that were followed leave neither descriptors nor goroutines.
func TestFollowLeavesNothing(t *testing.T) {
	before := -1
	for round := range 3 {
		for _, name := range []string{"containerd", "Docker"} {
			path, l := socket(t)
			telling(t, l, func(w http.ResponseWriter, r *http.Request) {
				w.(http.Flusher).Flush()
				<-r.Context().Done()
			})
			r := at(name, path)
			for range 20 {
				ctx, cancel := context.WithCancel(context.Background())
				r.Follow(ctx, cancel, func(string) {})
			}
			l.Close()
		}
		now := 0
		for end := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
			list, err := os.ReadDir("/proc/self/fd")
			if err != nil {
				t.Fatal(err)
			}
			if now = len(list); now <= before || before < 0 || time.Now().After(end) {
				break
			}
		}
		if round == 0 {
			before = now + 2
		} else if now > before {
			t.Errorf("%d descriptors, %d before", now, before)
		}
	}
}

// FuzzNews reads what runtimes tell.
func FuzzNews(f *testing.F) {
	f.Add([]byte(envelope(criSpace, topicStart, taskContainer, testID)))
	f.Add([]byte(bytesOf(criNewsID, testID, 2, "x")))
	f.Add([]byte(dockerEvent(testID)))
	f.Fuzz(func(t *testing.T, b []byte) {
		parseContainerdNews(b)
		parseCRINews(b)
		parseDockerNews(b)
		x := &follower{news: func(id string) {
			if len(id) != idLen {
				t.Errorf("news of %q", id)
			}
		}}
		if err := x.lines(strings.NewReader(string(b)), parseDockerNews); err == nil {
			t.Error("it ended without an error")
		}
	})
}
