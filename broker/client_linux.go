package broker

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Client asks a broker for sockets. Any goroutine may use it.
type Client struct {
	dial func() (*net.UnixConn, error)
	here bool

	mu   sync.Mutex
	conn *net.UnixConn // nil: none
}

// Connect returns a client of the broker at a socket, of one in this process where nobody listens there, and an error where this
// process may not enter namespaces either. A broker that is restarted is found again.
func Connect(socket string) (*Client, error) {
	c := &Client{dial: func() (*net.UnixConn, error) {
		return net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: socket, Net: "unixpacket"})
	}}
	var err error
	if c.conn, err = c.dial(); err == nil {
		return c, nil
	}
	if err := Permitted(); err != nil {
		return nil, err
	}
	return &Client{dial: within, here: true}, nil
}

// Here reports whether the broker is in this process.
func (c *Client) Here() bool { return c.here }

// within connects to a broker in this process.
func within() (*net.UnixConn, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("socketpair: %w", err)
	}
	var ends [2]*net.UnixConn
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "broker")
		c, e := net.FileConn(f)
		f.Close()
		if e != nil {
			err = e
			continue
		}
		ends[i] = c.(*net.UnixConn)
	}
	if err != nil {
		for _, c := range ends {
			if c != nil {
				c.Close()
			}
		}
		return nil, err
	}
	go Serve(ends[1]) // it ends with its peer, and its peer is this client
	return ends[0], nil
}

// Close ends the connection. Sockets that were opened stay open.
func (c *Client) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.hangUp()
}

func (c *Client) hangUp() error {
	if c.conn == nil {
		return nil
	}
	err := c.conn.Close()
	c.conn = nil
	return err
}

// Open opens a socket in the network namespace that a path names: ErrPath says that the path may not name one, ErrOwn that it is the
// host's; fs.ErrNotExist that there is none. The file is the caller's to close. It waits for the broker, some ten seconds at most.
func (c *Client) Open(netns string, kind Kind) (*os.File, error) {
	if !valid(netns) || !kind.valid() {
		return nil, fmt.Errorf("%s: %w", netns, ErrPath)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	known := c.conn != nil
	fd, err := c.ask(netns, kind)
	if known && c.conn == nil && err != nil { // the broker has been restarted: nothing was answered
		fd, err = c.ask(netns, kind)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %v socket: %w", netns, kind, err)
	}
	return os.NewFile(uintptr(fd), fmt.Sprintf("%v socket in %s", kind, netns)), nil
}

// ask asks once. If the connection does not work it is given up. c.mu is held.
func (c *Client) ask(netns string, kind Kind) (fd int, err error) {
	if c.conn == nil {
		if c.conn, err = c.dial(); err != nil {
			c.conn = nil
			return -1, fmt.Errorf("the broker is not there: %w (systemctl status weir-broker.socket)", err)
		}
	}
	c.conn.SetDeadline(time.Now().Add(askTime))
	buf, oob := make([]byte, maxAnswer), make([]byte, unix.CmsgSpace(4*4))
	n, on := 0, 0
	if _, _, err = c.conn.WriteMsgUnix(append([]byte{byte(kind)}, netns...), nil, nil); err == nil {
		n, on, _, _, err = c.conn.ReadMsgUnix(buf, oob)
	}
	if err == nil && n < 4 {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		c.hangUp()
		closeRights(oob[:on])
		return -1, fmt.Errorf("the broker does not answer: %w", err)
	}
	if no := unix.Errno(binary.LittleEndian.Uint32(buf)); no != 0 {
		closeRights(oob[:on])
		if no == unix.EXDEV {
			return -1, ErrOwn
		}
		return -1, no
	}
	if fd, err = theOne(oob[:on]); err != nil {
		c.hangUp()
	}
	return fd, err
}

// theOne returns the one descriptor that came with a message.
func theOne(oob []byte) (fd int, err error) {
	if list, err := unix.ParseSocketControlMessage(oob); err == nil && len(list) == 1 {
		if fds, err := unix.ParseUnixRights(&list[0]); err == nil && len(fds) == 1 {
			return fds[0], nil
		}
	}
	closeRights(oob)
	return -1, errors.New("the broker's answer holds no socket")
}
