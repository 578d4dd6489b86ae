package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"golang.org/x/sys/unix"

	"weir/rules"
)

// ours
const (
	clientTimeout = 30 * time.Second // for an answer; a reload compiles rules
	maxAnswer     = learnMost        // bytes of one answer; the longest is what was learned
)

// Client asks a running daemon over its control socket. Its errors say what to do next.
type Client struct {
	socket string
	http   http.Client
}

// Dial returns a Client for the socket at the given path. It connects with each call.
func Dial(socket string) *Client {
	c := &Client{socket: socket}
	c.http.Transport = &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", socket)
		},
		DisableKeepAlives:  true,
		DisableCompression: true,
	}
	return c
}

// Status asks for the daemon's status.
func (c *Client) Status() (*Status, error) {
	var s Status
	err := c.ask(http.MethodGet, "/status", nil, &s)
	if err != nil {
		return nil, err
	}
	return &s, nil
}

// Reload has the daemon read its configuration and rules again, and returns what is wrong with them. With an error
// among the problems the old ones stay in force.
func (c *Client) Reload() (rules.Problems, error) {
	var a reloadAnswer
	err := c.ask(http.MethodPost, "/reload", nil, &a)
	return a.Problems, err
}

// ask sends a request, with body as JSON unless it is nil, and decodes the answer into v.
func (c *Client) ask(method, path string, body, v any) error {
	ctx, cancel := context.WithTimeout(context.Background(), clientTimeout)
	defer cancel()
	r, err := c.send(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusOK && r.StatusCode != http.StatusUnprocessableEntity {
		return c.refused(r)
	}
	whole := &io.LimitedReader{R: r.Body, N: maxAnswer}
	err = json.NewDecoder(whole).Decode(v)
	switch {
	case err != nil && whole.N == 0:
		return c.failed(fmt.Sprintf("the answer is longer than %s", Size(maxAnswer)), "is it Weir that listens there?")
	case errors.Is(err, context.DeadlineExceeded):
		return c.failed("the answer did not end: the daemon hangs?", "systemctl status weir; journalctl -u weir")
	case err != nil:
		return fmt.Errorf("control socket %s: the answer makes no sense: %w (is the daemon of the same version? weir version)", c.socket, err)
	}
	return nil
}

func (c *Client) send(ctx context.Context, method, path string, body any) (*http.Response, error) {
	var text io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("control socket %s: %w", c.socket, err)
		}
		text = bytes.NewReader(b)
	}
	q, err := http.NewRequestWithContext(ctx, method, "http://weir"+path, text)
	if err != nil {
		return nil, fmt.Errorf("control socket %s: %w", c.socket, err)
	}
	r, err := c.http.Do(q)
	switch {
	case err == nil:
		return r, nil
	case errors.Is(err, unix.ENOENT):
		return nil, notRunning{c.failed("no such file: is the daemon running?", "systemctl status weir")}
	case errors.Is(err, unix.ECONNREFUSED):
		return nil, notRunning{c.failed("nobody listens: the daemon has died?", "systemctl status weir; journalctl -u weir")}
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		return nil, c.failed("permission denied", "run as root")
	case errors.Is(err, context.DeadlineExceeded):
		return nil, c.failed("no answer: the daemon hangs?", "systemctl status weir; journalctl -u weir")
	}
	return nil, fmt.Errorf("control socket %s: %w", c.socket, err)
}

// notRunning is an error that says that there is no daemon.
type notRunning struct{ error }

// IsNotRunning reports whether a Client's error means that there is no daemon.
func IsNotRunning(err error) bool { return errors.As(err, new(notRunning)) }

func (c *Client) failed(why, next string) error {
	return fmt.Errorf("control socket %s: %s (%s)", c.socket, why, next)
}

// refused makes an error of an answer that is one.
func (c *Client) refused(r *http.Response) error {
	var a errorAnswer
	if json.NewDecoder(io.LimitReader(r.Body, maxAnswer)).Decode(&a) != nil || a.Error == "" {
		a.Error = r.Status
	}
	if r.StatusCode == http.StatusConflict {
		return errors.New(clean(a.Error))
	}
	if r.StatusCode == http.StatusForbidden {
		return c.failed(clean(a.Error), "run as root")
	}
	return c.failed(clean(a.Error), "is the daemon of the same version? weir version")
}
