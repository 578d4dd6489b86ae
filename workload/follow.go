package workload

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// Ours: a runtime tells what its users do, as often as they do it.
const (
	maxNews      = 1 << 20          // bytes of one piece of news
	followBuffer = 32 << 10         // bytes that are read at once
	newsMost     = 10_000           // pieces of news within newsFor; a stream that brings more is left
	newsFor      = 10 * time.Second //
	pingAfter    = 30 * time.Second // of silence on a stream of HTTP/2: whether somebody is there still is asked
	pingTimeout  = 15 * time.Second // for the answer to that
)

var (
	errNewsLong = fmt.Errorf("a piece of news is longer than %d bytes", maxNews)
	errNewsMany = fmt.Errorf("more than %d pieces of news came within %v", newsMost, newsFor)
	errNewsEnd  = errors.New("the stream ended")
	errNewsNone = errors.New("it tells no news of containers")
)

// Follow has r tell what happens to its containers: it calls begun when r was asked for that, and news with the id of each container that is made, started or renamed, until ctx or the
// stream ends. It returns ErrAbsent where there is no such runtime, and never nil. What happened before begun was called is not told; what is told is not more than that
// something happened: r is to be asked what. It may be called from any goroutine, and leaves no connection open.
func (r *Runtime) Follow(ctx context.Context, begun func(), news func(id string)) error {
	socket, err := r.socket()
	if err != nil {
		return err
	}
	c := newClient(socket, r.http2)
	defer c.close()
	f := &follower{begun: begun, news: news, since: time.Now()}
	if err = r.follow(ctx, c, f); err == nil {
		err = errNewsEnd
	}
	switch {
	case c.refused(err):
		return ErrAbsent
	case errors.Is(err, ErrAbsent):
		err = errNewsNone
	}
	return r.failed(err)
}

// Starts reports whether asking r may start it: then it is to be followed only while one of its containers is there.
func (r *Runtime) Starts() bool { return r.marks }

// follower takes news off a stream.
type follower struct {
	begun func()
	news  func(id string)
	since time.Time
	count int // of what came since then
}

// take passes on what happened to a container. What is no container's id is none of ours: containerd calls others' as they like.
func (f *follower) take(id string) error {
	now := time.Now()
	if now.Sub(f.since) >= newsFor {
		f.since, f.count = now, 0
	}
	if f.count++; f.count > newsMost {
		return errNewsMany
	}
	if fromID, _ := lastID(id); len(id) == idLen && fromID == id {
		f.news(id)
	}
	return nil
}

// lines takes the news that one line each of a text has.
func (f *follower) lines(r io.Reader, parse func(line []byte) (id string, err error)) error {
	b := bufio.NewReaderSize(r, followBuffer)
	var long []byte // what does not fit into the buffer
	for {
		line, err := b.ReadSlice('\n')
		if long = append(long, line...); len(long) > maxNews {
			return errNewsLong
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil {
			return ended(err)
		}
		id, err := parse(long)
		if err != nil {
			return err
		}
		if err := f.take(id); err != nil {
			return err
		}
		if long = long[:0]; cap(long) > followBuffer {
			long = nil
		}
	}
}

// ended is how a stream ended that was read to its end.
func ended(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errNewsEnd
	}
	return plain(err)
}
