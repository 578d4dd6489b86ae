package daemon

import (
	"bufio"
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
	maxAnswer     = 64 << 20         // bytes of one answer
	maxEVELine    = 4 << 20          // bytes
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
	err := c.ask(http.MethodGet, "/status", &s)
	if err != nil {
		return nil, err
	}
	return &s, nil
}

// Reload has the daemon read its configuration and rules again, and returns what is wrong with them. With an error
// among the problems the old ones stay in force.
func (c *Client) Reload() (rules.Problems, error) {
	var a reloadAnswer
	err := c.ask(http.MethodPost, "/reload", &a)
	return a.Problems, err
}

// Alerts calls fn with each of the last events, an EVE line without its newline, oldest first; if follow, also with
// those that come, until ctx ends, the daemon ends or fn returns an error, which comes back. The line is borrowed. A
// line with event_type "missed" says how many lines the caller was too slow for.
func (c *Client) Alerts(ctx context.Context, follow bool, fn func(line []byte) error) error {
	path := "/alerts"
	if follow {
		path += "?follow=1"
	}
	r, err := c.send(ctx, http.MethodGet, path)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusOK {
		return c.refused(r)
	}
	lines := bufio.NewScanner(r.Body)
	lines.Buffer(make([]byte, 0, 64<<10), maxEVELine)
	lines.Split(wholeLines)
	for lines.Scan() {
		if err := fn(lines.Bytes()); err != nil {
			return err
		}
	}
	switch err := lines.Err(); {
	case ctx.Err() != nil:
		return nil
	case err == nil && follow, errors.Is(err, io.ErrUnexpectedEOF):
		return c.failed("the daemon has ended", "systemctl status weir")
	case err != nil:
		return fmt.Errorf("control socket %s: %w", c.socket, err)
	}
	return nil
}

// wholeLines is bufio.ScanLines without the end of a line that the daemon did not live to finish.
func wholeLines(data []byte, end bool) (int, []byte, error) {
	if end && bytes.IndexByte(data, '\n') < 0 {
		return len(data), nil, nil
	}
	return bufio.ScanLines(data, false)
}

// ask sends a request and decodes the answer into v.
func (c *Client) ask(method, path string, v any) error {
	ctx, cancel := context.WithTimeout(context.Background(), clientTimeout)
	defer cancel()
	r, err := c.send(ctx, method, path)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusOK && r.StatusCode != http.StatusUnprocessableEntity {
		return c.refused(r)
	}
	if err := json.NewDecoder(io.LimitReader(r.Body, maxAnswer)).Decode(v); err != nil {
		return fmt.Errorf("control socket %s: the answer makes no sense: %w (is the daemon of the same version? weir version)", c.socket, err)
	}
	return nil
}

func (c *Client) send(ctx context.Context, method, path string) (*http.Response, error) {
	q, err := http.NewRequestWithContext(ctx, method, "http://weir"+path, nil)
	if err != nil {
		return nil, fmt.Errorf("control socket %s: %w", c.socket, err)
	}
	r, err := c.http.Do(q)
	switch {
	case err == nil:
		return r, nil
	case errors.Is(err, unix.ENOENT):
		return nil, c.failed("no such file: is the daemon running?", "systemctl status weir")
	case errors.Is(err, unix.ECONNREFUSED):
		return nil, c.failed("nobody listens: the daemon has died?", "systemctl status weir; journalctl -u weir")
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		return nil, c.failed("permission denied", "run as root")
	case errors.Is(err, context.DeadlineExceeded):
		return nil, c.failed("no answer: the daemon hangs?", "systemctl status weir; journalctl -u weir")
	}
	return nil, fmt.Errorf("control socket %s: %w", c.socket, err)
}

func (c *Client) failed(why, next string) error {
	return fmt.Errorf("control socket %s: %s (%s)", c.socket, why, next)
}

// refused makes an error of an answer that is one.
func (c *Client) refused(r *http.Response) error {
	var a errorAnswer
	if json.NewDecoder(io.LimitReader(r.Body, maxAnswer)).Decode(&a) != nil || a.Error == "" {
		a.Error = r.Status
	}
	if r.StatusCode == http.StatusForbidden {
		return c.failed(clean(a.Error), "run as root")
	}
	return c.failed(clean(a.Error), "is the daemon of the same version? weir version")
}
