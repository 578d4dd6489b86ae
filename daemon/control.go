package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"weir/pcapstore"
	"weir/rules"
)

// ours
const (
	controlClients  = 64               // connections at once; further ones wait
	controlFollow   = 48               // of them those that follow events; further ones are refused, so that others need not wait for them
	controlRead     = 5 * time.Second  // for a request to arrive
	controlWrite    = 10 * time.Second // for a client to take one answer or line
	controlHeader   = 8 << 10          // bytes of a request's head
	controlMode     = 0o660            //
	controlShutdown = time.Second      // for answers under way when the daemon ends
)

// ControlHandlers is what the control socket gives access to.
type ControlHandlers struct {
	Status func() Status
	Reload func() rules.Problems // reads configuration and rules again; with an error among the problems the old ones stay in force
	Events *EventLog             // of all types
	Alerts *EventLog
	// Workloads says what is behind the watched interfaces.
	Workloads func() []InterfaceWorkload

	Policy  func() PolicyStatus    // in force
	Learned func() ([]byte, error) // as policy.Learner.Restore reads it

	Quarantines func() []Quarantine
	Quarantine  func(Quarantine) (Quarantine, error)

	Packets func(context.Context, io.Writer, *pcapstore.Query) (RecentAnswer, error) // writes those that are in memory
	Audit   func(PullRecord)                                                         // writes down who was given packets
}

// Control is the daemon's control socket: HTTP/1.1 with JSON over a unix socket, for root and the daemon's own user.
//
//	GET  /status             a Status
//	GET  /workloads          a list of InterfaceWorkload
//	GET  /events             a line with what there is (Seen), then the last events, EVE lines; ?follow=1 and all that come;
//	                         ?last=N, ?pod= &workload= &protocol= ... as a Filter has them
//	GET  /alerts             the same for alerts alone
//	GET  /policy             a PolicyStatus
//	GET  /policy/learned     what was learned, as policy.Learner has it
//	GET  /quarantine         a list of Quarantine
//	POST /quarantine         a Quarantine: cuts a workload off, or lets it in again; 409 if that cannot be
//	GET  /packets            ?query=QUERY: recent packets as pcapng; the trailer Weir-Recent holds a RecentAnswer
//	POST /pulled             a client tells what it read of slices: for the log
//	POST /reload             {"problems": [...]}; 422 if the old configuration stays in force
type Control struct {
	path   string
	inode  uint64
	server *http.Server
	done   chan struct{}
	h      ControlHandlers

	readers   chan struct{} // those who go through a log
	followers chan struct{} // those who follow one
}

// ServeControl opens the control socket at path. Call it once the daemon is ready: that the socket is there says so. It
// appears with its final mode at once; a dead daemon's is replaced, a living one's is an error.
func ServeControl(path string, h ControlHandlers) (*Control, error) {
	c, l, err := listenControl(path)
	if err != nil {
		return nil, fmt.Errorf("control socket %s: %w", path, err)
	}
	c.h = h
	c.readers, c.followers = make(chan struct{}, logReaders), make(chan struct{}, controlFollow)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", c.status)
	mux.HandleFunc("GET /workloads", c.workloads)
	mux.HandleFunc("GET /events", c.stream(h.Events))
	mux.HandleFunc("GET /alerts", c.stream(h.Alerts))
	mux.HandleFunc("GET /policy", c.policy)
	mux.HandleFunc("GET /policy/learned", c.learned)
	mux.HandleFunc("GET /quarantine", c.quarantines)
	mux.HandleFunc("POST /quarantine", c.quarantine)
	mux.HandleFunc("GET /packets", c.packets)
	mux.HandleFunc("POST /pulled", c.pulled)
	mux.HandleFunc("POST /reload", c.reload)
	c.server = &http.Server{
		Handler:           c.authorise(mux),
		ReadHeaderTimeout: controlRead,
		ReadTimeout:       controlRead,
		MaxHeaderBytes:    controlHeader,
		ConnContext:       withPeer,
	}
	c.done = make(chan struct{})
	go func() {
		defer close(c.done)
		c.server.Serve(l) // always ends with an error; Close is the only cause
	}()
	return c, nil
}

func listenControl(path string) (*Control, *peerListener, error) {
	if err := freeSocket(path); err != nil {
		return nil, nil, err
	}
	hidden := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".new")
	os.Remove(hidden) // a crash may have left it
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: hidden, Net: "unix"})
	if err != nil {
		if errors.Is(err, unix.EINVAL) {
			return nil, nil, errors.New("the path is too long for a socket (shorten [paths] run)")
		}
		return nil, nil, err
	}
	l.SetUnlinkOnClose(false)
	var st unix.Stat_t
	err = os.Chmod(hidden, controlMode)
	if err == nil {
		err = unix.Lstat(hidden, &st)
	}
	if err == nil {
		err = os.Rename(hidden, path)
	}
	if err != nil {
		os.Remove(hidden)
		l.Close()
		return nil, nil, err
	}
	return &Control{path: path, inode: st.Ino}, &peerListener{l, make(chan struct{}, controlClients)}, nil
}

// Close ends the connections and removes the socket, unless another one has taken its place.
func (c *Control) Close() error {
	var st unix.Stat_t
	if unix.Lstat(c.path, &st) == nil && st.Ino == c.inode {
		os.Remove(c.path)
	}
	ctx, cancel := context.WithTimeout(context.Background(), controlShutdown)
	defer cancel()
	err := c.server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = c.server.Close() // followers stay until they are sent away
	}
	<-c.done
	return err
}

// authorise lets root and the daemon's own user in: the group may connect, but what there is to read here are findings.
func (c *Control) authorise(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, ok := r.Context().Value(peerKey{}).(*peerConn)
		switch {
		case !ok || p.err != nil:
			writeError(w, http.StatusForbidden, "the kernel does not say who is asking")
		case p.uid != 0 && p.uid != uint32(os.Geteuid()):
			writeError(w, http.StatusForbidden, fmt.Sprintf("user %d may not: only root and the daemon's own user", p.uid))
		default:
			next.ServeHTTP(w, r)
		}
	})
}

func (c *Control) status(w http.ResponseWriter, r *http.Request) {
	s := c.h.Status()
	s.normalise()
	writeJSON(w, http.StatusOK, &s)
}

func (c *Control) reload(w http.ResponseWriter, r *http.Request) {
	problems := c.h.Reload()
	code := http.StatusOK
	if problems.Failed() {
		code = http.StatusUnprocessableEntity
	}
	writeJSON(w, code, reloadAnswer{problems})
}

type reloadAnswer struct {
	Problems rules.Problems `json:"problems"`
}

func writeJSON(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.Encode(v) // an error means that the client has gone
}

func writeError(w http.ResponseWriter, code int, text string) {
	writeJSON(w, code, errorAnswer{text})
}

type errorAnswer struct {
	Error string `json:"error"`
}
