package daemon

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"weir/alert"
	"weir/pcapstore"
	"weir/rules"
)

func serve(t *testing.T, h ControlHandlers) (*Control, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "weir.sock")
	c, err := ServeControl(path, h)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c, path
}

func TestControlRoundTrip(t *testing.T) {
	problems := rules.Problems{{Pos: rules.Pos{File: "/a.toml", Line: 3, Col: 1}, Level: rules.Warning, What: "odd", Hint: "even"}}
	want := testStatus()
	_, path := serve(t, ControlHandlers{Status: func() Status { return want }, Reload: func() rules.Problems { return problems }})
	st, err := os.Stat(path)
	if err != nil || st.Mode().Perm() != 0o660 {
		t.Errorf("socket: %v, %v", st.Mode(), err)
	}
	c := Dial(path)
	got, err := c.Status()
	if err != nil {
		t.Fatal(err)
	}
	if got.Slices.Warning != slicesWarning {
		t.Errorf("warning: got %q", got.Slices.Warning)
	}
	want.normalise()
	if !reflect.DeepEqual(*got, want) {
		t.Errorf("got  %+v\nwant %+v", *got, want)
	}
	for range 2 {
		p, err := c.Reload()
		if err != nil || !reflect.DeepEqual(p, problems) {
			t.Errorf("reload: got %v, %v", p, err)
		}
		problems[0].Level = rules.Error
	}
}

func TestControlLists(t *testing.T) {
	_, path := serve(t, ControlHandlers{Status: func() Status { return Status{} }})
	h := http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return net.Dial("unix", path) }}}
	defer h.CloseIdleConnections()
	r, err := h.Get("http://weir/status")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, _ := io.ReadAll(r.Body)
	for _, want := range []string{`"interfaces":[]`, `"not_inspected":[]`} {
		if !strings.Contains(string(b), want) {
			t.Errorf("no %s in %s", want, b)
		}
	}
}

// told adds an event to a log, as the sink does.
func told(t *testing.T, log *EventLog, ev *alert.Event) {
	t.Helper()
	line, err := alert.AppendEVE(nil, ev)
	if err != nil {
		t.Fatal(err)
	}
	log.Add(ev, line)
}

// numbered is an event that can be told from others.
func numbered(n int) *alert.Event {
	return &alert.Event{Time: int64(n) * int64(time.Second), Type: "flow", FlowID: uint64(n)}
}

// numberOf reads it back.
func numberOf(t *testing.T, line []byte) int {
	t.Helper()
	if n, ok := Missed(line); ok {
		return -int(n)
	}
	ev, err := alert.ParseEVE(line)
	if err != nil {
		t.Fatal(err)
	}
	return int(ev.FlowID)
}

func TestControlFollow(t *testing.T) {
	log := NewEventLog(1 << 20)
	told(t, log, numbered(100))
	told(t, log, numbered(1))
	control, path := serve(t, ControlHandlers{Alerts: log, Events: log})
	c := Dial(path)
	var got []int
	var seen *Seen
	head := func(s *Seen) error { seen = s; return nil }
	ask := Ask{Last: -1, Filter: Filter{Since: time.Unix(50, 0)}}
	if err := c.Events(context.Background(), ask, head, func(l []byte) error { got = append(got, numberOf(t, l)); return nil }); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(got) != "[100]" || seen.Events != 1 || seen.Matched != 1 || !seen.Last.Equal(time.Unix(1, 0)) {
		t.Errorf("got %v, %+v", got, seen)
	}
	stop := errors.New("enough")
	got = nil
	err := c.Events(context.Background(), Ask{Alerts: true, Last: 1, Follow: true}, head, func(l []byte) error {
		got = append(got, numberOf(t, l))
		if len(got) == 5 {
			return stop
		}
		told(t, log, numbered(len(got)+1))
		return nil
	})
	if fmt.Sprint(got) != "[1 2 3 4 5]" || err != stop {
		t.Errorf("got %v, %v", got, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ask = Ask{Last: -1, Follow: true}
	if err := c.Events(ctx, ask, head, func([]byte) error { cancel(); return nil }); err != nil {
		t.Errorf("after the caller's end: got %v", err)
	}
	closed := make(chan error)
	begin := sync.OnceFunc(func() { go func() { closed <- control.Close() }() })
	err = c.Events(context.Background(), ask, head, func([]byte) error { begin(); return nil }) // Close must not wait for a follower for ever
	if e := <-closed; e != nil || err == nil || !strings.Contains(err.Error(), "the daemon has ended") {
		t.Errorf("after the daemon's end: got %v, %v", err, e)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is still there: %v", err)
	}
}

// What a client may not ask is refused with the reason.
func TestControlFollowErrors(t *testing.T) {
	log := NewEventLog(1 << 10)
	_, path := serve(t, ControlHandlers{Alerts: log, Events: log})
	err := Dial(path).Events(context.Background(), Ask{Filter: Filter{Protocol: "htpt"}}, nil, nil)
	if err == nil || !strings.Contains(err.Error(), "did you mean http?") {
		t.Errorf("got %v", err)
	}
}

func TestControlErrors(t *testing.T) {
	dir := t.TempDir()
	dead := filepath.Join(dir, "dead.sock")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: dead, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	none := filepath.Join(dir, "none.sock")
	_, old := serve(t, ControlHandlers{})
	for _, c := range []struct{ path, want string }{
		{none, "control socket " + none + ": no such file: is the daemon running? (systemctl status weir)"},
		{dead, "control socket " + dead + ": nobody listens: the daemon has died? (systemctl status weir; journalctl -u weir)"},
	} {
		if _, err := Dial(c.path).Status(); err == nil || err.Error() != c.want {
			t.Errorf("got  %v\nwant %s", err, c.want)
		}
	}
	if _, err := ServeControl(old, ControlHandlers{}); err == nil || !strings.HasSuffix(err.Error(), "another weir answers there (stop it first: systemctl stop weir)") {
		t.Errorf("living daemon: got %v", err)
	}
	c, err := ServeControl(dead, ControlHandlers{Status: func() Status { return Status{Version: "x"} }})
	if err != nil {
		t.Fatalf("in place of a dead one: %v", err)
	}
	defer c.Close()
	if s, err := Dial(dead).Status(); err != nil || s.Version != "x" {
		t.Errorf("in place of a dead one: got %v, %v", s, err)
	}
	long := filepath.Join(dir, strings.Repeat("x", 120))
	if _, err := ServeControl(long, ControlHandlers{}); err == nil || !strings.HasSuffix(err.Error(), "the path is too long for a socket (shorten [paths] run)") {
		t.Errorf("long path: got %v", err)
	}
}

// Who is neither root nor the daemon's user gets nothing, even where the file mode lets them connect.
func TestControlAsksWhoItIs(t *testing.T) {
	log := NewEventLog(1 << 10)
	told(t, log, &alert.Event{Type: "flow", AppProto: "secret"})
	var audited []PullRecord
	c, _ := serve(t, ControlHandlers{
		Status: func() Status { return Status{Version: "secret"} },
		Reload: func() rules.Problems { return rules.Problems{{What: "secret", Level: rules.Warning}} },
		Events: log, Alerts: log,
		Packets: func(_ context.Context, w io.Writer, _ *pcapstore.Query) (RecentAnswer, error) {
			_, err := io.WriteString(w, "secret")
			return RecentAnswer{Packets: 3, Looked: 9, Interfaces: 1}, err
		},
		Audit: func(p PullRecord) { audited = append(audited, p) },
	})
	for _, path := range []string{"GET /status", "GET /events", "GET /alerts", "GET /packets?query=host+10.0.0.1", "POST /reload", "POST /pulled"} {
		for _, x := range []struct {
			name string
			peer net.Conn
			want int
		}{
			{"root", &peerConn{uid: 0, pid: 77}, 200},
			{"the daemon's user", &peerConn{uid: uint32(os.Geteuid()), pid: 77}, 200},
			{"another user", &peerConn{uid: 4242}, 403},
			{"unknown", &peerConn{err: errors.New("no")}, 403},
			{"no unix socket", nil, 403},
		} {
			audited = nil
			method, target, _ := strings.Cut(path, " ")
			w := deadliner{httptest.NewRecorder()}
			r := httptest.NewRequest(method, target, strings.NewReader(`{"query":"tcp","packets":3,"looked":9}`))
			c.server.Handler.ServeHTTP(w, r.WithContext(withPeer(r.Context(), x.peer)))
			if w.Code != x.want || x.want == 403 && (strings.Contains(w.Body.String(), "secret") || len(audited) > 0) ||
				x.want == 200 && path != "POST /pulled" && !strings.Contains(w.Body.String(), "secret") {
				t.Errorf("%s, %s: got %d %s, want %d", path, x.name, w.Code, w.Body, x.want)
			}
			if x.want == 200 && strings.Contains(path, "/p") && (len(audited) != 1 || audited[0].PID != 77 || audited[0].Packets != 3) {
				t.Errorf("%s: written down: %+v", path, audited)
			}
		}
	}
}

// deadliner is a recorder that may be given deadlines.
type deadliner struct{ *httptest.ResponseRecorder }

func (deadliner) SetWriteDeadline(time.Time) error { return nil }

func TestControlRefusesOtherUsers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not root: cannot become another user")
	}
	_, path := serve(t, ControlHandlers{Status: func() Status { return Status{} }})
	for p := path; len(p) > len(os.TempDir()); p = filepath.Dir(p) {
		os.Chmod(p, 0o777)
	}
	// Credentials are those of the thread that connects; this one ends with the test's goroutine.
	done := make(chan string)
	go func() {
		lockThread()
		const nobody = 65534
		if _, _, e := syscall.RawSyscall(syscall.SYS_SETRESUID, nobody, nobody, nobody); e != 0 {
			done <- "skip"
			return
		}
		fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
		if err == nil {
			err = syscall.Connect(fd, &syscall.SockaddrUnix{Name: path})
		}
		if err != nil {
			done <- err.Error()
			return
		}
		syscall.Write(fd, []byte("GET /status HTTP/1.0\r\n\r\n"))
		f := os.NewFile(uintptr(fd), "socket")
		defer f.Close()
		line, _ := bufio.NewReader(f).ReadString('\n')
		done <- line
	}()
	select {
	case got := <-done:
		if got == "skip" {
			t.Skip("may not become another user")
		}
		if !strings.Contains(got, "403") {
			t.Errorf("got %q, want 403", got)
		}
	case <-time.After(10 * time.Second):
		t.Error("no answer")
	}
}
