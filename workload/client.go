package workload

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"

	"golang.org/x/sys/unix"
)

const maxHead = 64 << 10 // bytes of the head of an answer; ours

// client asks one runtime over its Unix socket.
type client struct {
	http http.Client

	mu     sync.Mutex // guards what follows
	conns  []net.Conn // all that were made: what of a request that is given up is left to the transport it may keep for the next one, after close
	closed bool
}

// newClient returns a client for a socket, with HTTP/2 from the first byte on as gRPC has it, or with HTTP/1.1.
func newClient(socket string, http2 bool) *client {
	var p http.Protocols
	p.SetHTTP1(!http2)
	p.SetUnencryptedHTTP2(http2)
	c := &client{}
	c.http = http.Client{
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				var d net.Dialer
				conn, err := d.DialContext(ctx, "unix", socket)
				if err != nil {
					return nil, err
				}
				return c.keep(conn)
			},
			Protocols:              &p,
			HTTP2:                  &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout},
			MaxResponseHeaderBytes: maxHead,
			DisableCompression:     true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c
}

// keep notes a connection, for close.
func (c *client) keep(conn net.Conn) (net.Conn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		conn.Close()
		return nil, net.ErrClosed
	}
	c.conns = append(c.conns, conn)
	return conn, nil
}

// close ends all connections.
func (c *client) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for _, conn := range c.conns {
		conn.Close()
	}
}

// refused reports whether err says that nobody listens.
func (c *client) refused(err error) bool {
	return errors.Is(err, unix.ECONNREFUSED) || errors.Is(err, unix.ENOENT)
}

var errTooLong = fmt.Errorf("the answer is longer than %d bytes", maxAnswer)

// body reads an answer to its end.
func body(r *http.Response) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r.Body, maxAnswer+1))
	if err == nil && len(b) > maxAnswer {
		err = errTooLong
	}
	return b, err
}

// get asks for JSON.
func (c *client) get(ctx context.Context, path string, query url.Values) ([]byte, error) {
	u := url.URL{Scheme: "http", Host: "localhost", Path: path, RawQuery: query.Encode()}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	r, err := c.http.Do(req)
	if err != nil {
		return nil, plain(err)
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET %s: HTTP status %d", path, r.StatusCode)
	}
	return body(r)
}

// plain takes the request off an error: it says nothing that its reader could use.
func plain(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("no answer within %v", askTimeout)
	}
	return err
}

// filters writes the filters of a list of containers, as Docker and Podman take them.
func filters(key, value string, states []string) url.Values {
	b, _ := json.Marshal(map[string][]string{key: {value}, "status": states}) // cannot fail
	return url.Values{"filters": {string(b)}}
}
