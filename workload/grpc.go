package workload

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
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
	defer r.Body.Close()
	if r.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: HTTP status %d", method, r.StatusCode)
	}
	b, err = body(r)
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
