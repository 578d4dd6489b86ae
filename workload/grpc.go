package workload

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
)

// From the protocol (gRPC over HTTP2).
const (
	grpcHead          = 5  // bytes before a message: whether it is compressed, and its length
	grpcUnimplemented = 12 // status of a method that the server does not have
)

var errGRPC = errors.New("the answer is no gRPC")

// call makes a unary call: one message there, one back. A method is "/package.Service/Method".
func (c *client) call(ctx context.Context, method string, message []byte) ([]byte, error) {
	r, err := c.post(ctx, method, message)
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	b, err := body(r)
	if err != nil {
		return nil, plain(err)
	}
	if err := grpcStatus(method, r); err != nil {
		return nil, err
	}
	if len(b) < grpcHead || b[0] != 0 || uint64(binary.BigEndian.Uint32(b[1:])) != uint64(len(b)-grpcHead) {
		return nil, errGRPC
	}
	return b[grpcHead:], nil
}

// post makes a call with one message, and returns the answer as it begins.
func (c *client) post(ctx context.Context, method string, message []byte) (*http.Response, error) {
	b := make([]byte, grpcHead, grpcHead+len(message))
	binary.BigEndian.PutUint32(b[1:], uint32(len(message)))
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://localhost"+method, bytes.NewReader(append(b, message...)))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/grpc")
	req.Header.Set("TE", "trailers")
	r, err := c.http.Do(req)
	if err != nil {
		return nil, plain(err)
	}
	if r.StatusCode != http.StatusOK {
		r.Body.Close()
		return nil, fmt.Errorf("%s: HTTP status %d", method, r.StatusCode)
	}
	return r, nil
}

// stream makes a call that is answered by messages without end, and has f take each as parse reads it.
func (c *client) stream(ctx context.Context, method string, message []byte, f *follower, parse func([]byte) (id string, err error)) error {
	r, err := c.post(f.trace(ctx), method, message) // the head of the answer may come with the first message
	if err != nil {
		return err
	}
	defer r.Body.Close()
	in := bufio.NewReaderSize(r.Body, followBuffer)
	var head [grpcHead]byte
	var b []byte
	for {
		if _, err := io.ReadFull(in, head[:]); errors.Is(err, io.EOF) {
			return grpcStatus(method, r)
		} else if err != nil {
			return ended(err)
		}
		size := binary.BigEndian.Uint32(head[1:])
		if head[0] != 0 {
			return errGRPC
		}
		if size > maxNews {
			return errNewsLong
		}
		if uint32(cap(b)) < size {
			b = make([]byte, size)
		}
		b = b[:size]
		if _, err := io.ReadFull(in, b); err != nil {
			return ended(err)
		}
		id, err := parse(b)
		if err != nil {
			return err
		}
		if err := f.take(id); err != nil {
			return err
		}
		if cap(b) > followBuffer {
			b = nil
		}
	}
}

// grpcStatus reads how a call went: from the trailer, or the head where there is no message.
func grpcStatus(method string, r *http.Response) error {
	head := r.Trailer
	if head.Get("Grpc-Status") == "" {
		head = r.Header
	}
	code, err := strconv.ParseUint(head.Get("Grpc-Status"), 10, 16)
	switch {
	case err != nil:
		return errGRPC
	case code == grpcUnimplemented: // containerd with this part of it switched off, as on Docker's hosts
		return ErrAbsent
	case code != 0:
		return fmt.Errorf("%s: gRPC status %d: %s", method, code, printable(head.Get("Grpc-Message"), maxName))
	}
	return nil
}
