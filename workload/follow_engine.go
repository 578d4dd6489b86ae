package workload

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"net/url"
)

// From Docker's Engine API, and Podman's, which tells news as Docker does.
const (
	dockerNews = "/events"
	podmanNews = "/v4.0.0/libpod/events"
)

// engineFilters says what is asked for: nothing of what happens inside a container, as of health checks, which never end, and nothing of what ends.
var engineFilters = map[string][]string{"type": {"container"}, "event": {"create", "start", "rename"}}

var errNewsJSON = errors.New("a piece of news is no JSON object")

func followDocker(ctx context.Context, c *client, f *follower) error {
	return f.engine(ctx, c, dockerNews)
}

func followPodman(ctx context.Context, c *client, f *follower) error {
	return f.engine(ctx, c, podmanNews)
}

// engine takes news as Docker tells them: one JSON object a line.
func (f *follower) engine(ctx context.Context, c *client, path string) error {
	b, _ := json.Marshal(engineFilters) // cannot fail
	u := url.URL{Scheme: "http", Host: "localhost", Path: path, RawQuery: url.Values{"filters": {string(b)}, "stream": {"true"}}.Encode()}
	req, err := http.NewRequestWithContext(f.trace(ctx), http.MethodGet, u.String(), nil)
	if err != nil {
		return err
	}
	r, err := c.http.Do(req) // of Podman's older versions, the head of the answer comes with the first piece of news
	if err != nil {
		return plain(err)
	}
	defer r.Body.Close()
	switch r.StatusCode {
	case http.StatusOK:
		return f.lines(r.Body, parseDockerNews)
	case http.StatusNotFound:
		return ErrAbsent
	}
	return fmt.Errorf("GET %s: HTTP status %d", path, r.StatusCode)
}

// trace has it told that the request is out: the answer may come much later, with the first piece of news.
func (f *follower) trace(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteRequest: func(i httptrace.WroteRequestInfo) {
		if i.Err == nil {
			f.begun()
		}
	}})
}

// parseDockerNews returns whom a piece of news is about.
func parseDockerNews(line []byte) (id string, err error) {
	var n struct {
		ID    string `json:"id"`
		Actor struct{ ID string }
	}
	if json.Unmarshal(line, &n) != nil {
		return "", errNewsJSON
	}
	if n.Actor.ID != "" {
		return n.Actor.ID, nil
	}
	return n.ID, nil
}
