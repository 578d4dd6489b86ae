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
	"syscall"
	"testing"
	"time"

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

func TestControlAlerts(t *testing.T) {
	log := NewAlertLog()
	log.Add([]byte(`{"n":0}`))
	control, path := serve(t, ControlHandlers{Alerts: log})
	c := Dial(path)
	var got []string
	if err := c.Alerts(context.Background(), false, func(l []byte) error { got = append(got, string(l)); return nil }); err != nil {
		t.Fatal(err)
	}
	stop := errors.New("enough")
	err := c.Alerts(context.Background(), true, func(l []byte) error {
		got = append(got, string(l))
		log.Add(fmt.Appendf(nil, `{"n":%d}`, len(got)))
		if len(got) == 5 {
			return stop
		}
		return nil
	})
	if want := `{"n":0} {"n":0} {"n":2} {"n":3} {"n":4}`; strings.Join(got, " ") != want || err != stop {
		t.Errorf("got %v, %v, want %s", got, err, want)
	}
	ctx, cancel := context.WithCancel(context.Background())
	if err := c.Alerts(ctx, true, func([]byte) error { cancel(); return nil }); err != nil {
		t.Errorf("after the caller's end: got %v", err)
	}
	closed := make(chan error)
	err = c.Alerts(context.Background(), true, func([]byte) error {
		go func() { closed <- control.Close() }()
		<-control.done // the follower is still there: Close must not wait for it for ever
		return nil
	})
	if e := <-closed; e != nil || err == nil || !strings.Contains(err.Error(), "the daemon has ended") {
		t.Errorf("after the daemon's end: got %v, %v", err, e)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is still there: %v", err)
	}
}

func TestAlertLogIsBounded(t *testing.T) {
	log := NewAlertLog()
	_, f := log.snapshot(true)
	for i := range 3 * alertLogLines {
		log.Add(fmt.Append(nil, i))
	}
	lines, _ := log.snapshot(false)
	if len(lines) != alertLogLines || string(lines[0]) != fmt.Sprint(2*alertLogLines) {
		t.Errorf("got %d lines from %s", len(lines), lines[0])
	}
	for range followQueue {
		<-f.lines
	}
	log.Add([]byte("next"))
	missed := 3*alertLogLines - followQueue
	if got, want := string(<-f.lines), fmt.Sprintf(`{"event_type":"missed","weir":{"missed":%d}}`, missed); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := string(<-f.lines); got != "next" {
		t.Errorf("got %s, want next", got)
	}
	log.leave(f)
	for range 10 {
		log.Add(make([]byte, alertLogBytes/3))
	}
	if lines, _ := log.snapshot(false); len(lines) != 3 {
		t.Errorf("got %d long lines, want 3", len(lines))
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
	c := &Control{h: ControlHandlers{Status: func() Status { return Status{Version: "secret"} }}}
	for _, x := range []struct {
		name string
		peer net.Conn
		want int
	}{
		{"root", &peerConn{uid: 0}, 200},
		{"the daemon's user", &peerConn{uid: uint32(os.Geteuid())}, 200},
		{"another user", &peerConn{uid: 4242}, 403},
		{"unknown", &peerConn{err: errors.New("no")}, 403},
		{"no unix socket", nil, 403},
	} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest("GET", "/status", nil)
		c.authorise(http.HandlerFunc(c.status)).ServeHTTP(w, r.WithContext(withPeer(r.Context(), x.peer)))
		if w.Code != x.want || (x.want == 403) == strings.Contains(w.Body.String(), "secret") {
			t.Errorf("%s: got %d %s, want %d", x.name, w.Code, w.Body, x.want)
		}
	}
}

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
