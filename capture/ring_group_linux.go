package capture

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"weir/wire"
)

// group is the fanout group that the sockets of an interface's rings are members of. The kernel runs the group's program
// once for each frame and gives the frame to the member that it names. So frames can be sent to other rings from one
// moment to the next, for all processors: none is lost and none comes twice. Members are in the order in which their
// sockets were opened, also after the interface was down.
type group struct {
	mu    sync.Mutex // one change at a time; guards what follows
	id    int        // the kernel's
	alone error      // why there is no group: an only ring goes without
	other bool       // the program sends frames to a member after the last: see Resize
	rings []*Ring
}

// admit makes the socket a member, and takes off the filter that kept frames out so far.
func (g *group) admit(fd int, c RingConfig, link wire.Link) error {
	arg := g.id | unix.PACKET_FANOUT_CBPF<<16
	if c.IgnoreOutgoing { // the group has its own hook: what is set for the socket does not count
		arg |= unix.PACKET_FANOUT_FLAG_IGNORE_OUTGOING << 16
	}
	if len(g.rings) > 0 {
		if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_FANOUT, arg); err != nil {
			return fmt.Errorf("join the ring's group: %w", err)
		}
		// On another processor a frame may still be on its way to the socket itself, which came to the group already. That
		// the program is set waits for it; only then may the filter go.
		if err := setProgram(fd, spread(link, len(g.rings))); err != nil {
			return err
		}
	} else if err := g.found(fd, arg); err != nil {
		g.alone = err
	}
	return setFilter(fd, nil)
}

// found makes the group, with its first member.
func (g *group) found(fd, arg int) error {
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_FANOUT, arg|unix.PACKET_FANOUT_FLAG_UNIQUEID<<16); err != nil {
		return fmt.Errorf("no fanout group (of an interface that is down, Linux 5.18 has one): %w", err)
	}
	v, err := unix.GetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_FANOUT)
	if err != nil {
		return fmt.Errorf("fanout group: %w", err)
	}
	g.id = v & 0xffff
	return setProgram(fd, always(0))
}

// program sets the group's program. When it returns, no frame is under way any more that the program before has sent
// somewhere: the kernel waits for them before it frees that one.
func (g *group) program(s *socket, p []bpf.RawInstruction) error {
	var inner error
	if err := s.raw.Control(func(fd uintptr) { inner = setProgram(int(fd), p) }); err != nil {
		return err
	}
	return inner
}

func setProgram(fd int, p []bpf.RawInstruction) error {
	if err := attach(fd, unix.SOL_PACKET, unix.PACKET_FANOUT_DATA, p); err != nil {
		return fmt.Errorf("program of the ring's group: %w", err)
	}
	return nil
}

// setFilter lets only those frames through to a socket that the filter accepts; nil: all.
func setFilter(fd int, p []bpf.RawInstruction) error {
	var err error
	if p == nil {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0)
	} else {
		err = attach(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, p)
	}
	if err != nil && !(p == nil && errors.Is(err, unix.ENOENT)) { // there was none
		return fmt.Errorf("filter: %w", err)
	}
	return nil
}

func (s *socket) filter(p []bpf.RawInstruction) error {
	var inner error
	if err := s.raw.Control(func(fd uintptr) { inner = setFilter(int(fd), p) }); err != nil {
		return err
	}
	return inner
}

// attach gives a program to a socket.
func attach(fd, level, opt int, p []bpf.RawInstruction) error {
	prog := unix.SockFprog{Len: uint16(len(p)), Filter: (*unix.SockFilter)(unsafe.Pointer(&p[0]))}
	return unix.SetsockoptSockFprog(fd, level, opt, &prog)
}

// Resize gives the ring another size in memory, in bytes, while frames come: none is lost or comes twice, and they stay in
// order. Both rings stand at the same time for a while. It returns once the old one was read to its end and freed, or
// net.ErrClosed. A ring that has cut frames gets blocks of 1 MiB, two at least, which hold all there are. A ring that was split cannot
// be resized. The calling thread is in the interface's network namespace.
func (r *Ring) Resize(bytes int) error {
	g := r.group
	g.mu.Lock()
	unlock := g.mu.Unlock
	defer func() { unlock() }()
	if err := g.mayChange(r); err != nil {
		return err
	}
	if len(g.rings) > 1 {
		return fmt.Errorf("%s: a ring that was split keeps its size", r.iface.Name)
	}
	c := r.conf
	c.Bytes = bytes
	if r.cut.Load() > 0 {
		c.Block = mostBlock
	}
	s, _, err := openSocket(c, g)
	if err != nil {
		return err
	}
	if err := g.program(s, always(1)); err != nil {
		s.close()
		return err
	}
	spent := make(chan struct{})
	old, ok := r.replace(s, spent)
	if !ok {
		s.close()
		return net.ErrClosed
	}
	select {
	case <-spent:
	case <-r.done: // Close closes the one that is read
		select {
		case <-spent:
			old.close()
		default:
		}
		return net.ErrClosed
	}
	old.close() // the new one takes its place as member 0; member 1 of one is member 0, too
	r.mu.Lock()
	r.conf.Bytes, r.conf.Block = c.Bytes, c.Block
	r.mu.Unlock()
	g.other = true
	unlock = func() {}
	go func() { // the next change waits for it, nobody else need
		defer g.mu.Unlock()
		g.settle(s)
	}()
	return nil
}

// settle has the program name the only member by its number. mu is held.
func (g *group) settle(s *socket) error {
	err := g.program(s, always(0))
	g.other = err != nil
	return err
}

// replace tells the reader to read its socket, which is quiet, to the end, and to go on with s. It is not ok if the reader has
// come to an end already.
func (r *Ring) replace(s *socket, spent chan struct{}) (old *socket, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || r.ended {
		return nil, false
	}
	if s != nil && r.bypass != nil {
		s.filter(r.bypass) // else what is left out is inspected, which does no harm
	}
	r.asked.quiet, r.asked.next, r.asked.spent = true, s, spent
	r.sock.kick()
	return r.sock, true
}

// Bytes returns the ring's size in memory.
func (r *Ring) Bytes() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	req := ringRequest(r.conf)
	return int(req.Block_size) * int(req.Block_nr)
}

// Split doubles the rings of an interface that one ring, or as many as there are, cannot serve fast enough: r is the
// first. It returns the new ones, of the same size. Ring i gets the frames that Member says, with both directions of
// a flow, and what ring i gave up goes to ring i of the new ones. It returns once each ring was read up to the moment of the
// split, so that the new ones begin where the old ones left off. They are the caller's to read and close.
func (r *Ring) Split() ([]*Ring, error) {
	g := r.group
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.mayChange(r); err != nil {
		return nil, err
	}
	if 2*len(g.rings) > MaxRings {
		return nil, fmt.Errorf("%s: %d rings are as many as there may be", r.iface.Name, len(g.rings))
	}
	var fresh []*Ring
	for range g.rings {
		s, link, err := openSocket(r.conf, g)
		if err != nil {
			closeRings(fresh)
			return nil, err
		}
		fresh = append(fresh, newRing(r.conf, link, g, s))
	}
	if err := g.program(fresh[0].sock, spread(r.iface.Link, 2*len(g.rings))); err != nil {
		closeRings(fresh)
		return nil, err
	}
	for _, old := range g.rings {
		select {
		case <-old.marked():
		case <-old.done:
		}
	}
	g.rings = append(g.rings, fresh...)
	return fresh, nil
}

// marked returns a channel that is closed once all that is in the ring now was read and dealt with.
func (r *Ring) marked() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	mark := make(chan struct{})
	if r.closed || r.ended {
		close(mark)
		return mark
	}
	r.asked.mark = mark
	r.sock.kick()
	return mark
}

// Fold undoes the last Split: the rings that it made end, each with io.EOF once it was read to its end, and the frames
// go where they went before. Until then the others return no frames, so that the order is kept. It closes the rings that
// end.
func (r *Ring) Fold() error {
	g := r.group
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.mayChange(r); err != nil {
		return err
	}
	n := len(g.rings) / 2
	if n == 0 {
		return fmt.Errorf("%s: one ring cannot be folded", r.iface.Name)
	}
	hold := make(chan struct{})
	defer close(hold)
	for _, stays := range g.rings[:n] {
		stays.pause(hold)
	}
	if err := g.program(r.sockNow(), spread(r.iface.Link, n)); err != nil {
		return err
	}
	for _, ends := range g.rings[n:] {
		ends.finish()
	}
	closeRings(g.rings[n:])
	clear(g.rings[n:])
	g.rings = g.rings[:n]
	return nil
}

// pause lets the reader return no more frames until hold is closed, and waits until it has none under way.
func (r *Ring) pause(hold chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked.hold = hold
	r.sock.kick()
	for r.inside && !r.closed {
		r.parked.Wait()
	}
}

// finish tells the reader that nothing comes any more, and waits until it has read its ring to the end.
func (r *Ring) finish() {
	spent := make(chan struct{})
	if _, ok := r.replace(nil, spent); !ok {
		return
	}
	select {
	case <-spent:
	case <-r.done:
	}
}

// Drain ends capture: Next returns what was captured until now, then io.EOF. It returns once all of it was read, and leaves the ring
// to be closed.
func (r *Ring) Drain() error {
	g := r.group
	g.mu.Lock()
	defer g.mu.Unlock()
	r.mu.Lock()
	r.last = true
	s := r.sock
	r.mu.Unlock()
	err := s.filter(always(0))
	switch {
	case err != nil:
	case g.alone != nil:
		time.Sleep(removal)
	default:
		err = g.program(s, spread(r.iface.Link, len(g.rings))) // for its waiting
	}
	if err != nil {
		return r.fail(err)
	}
	r.finish()
	return nil
}

func (r *Ring) sockNow() *socket {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sock
}

// ErrFixed says that the kernel let a ring's socket into no group, so that it can neither be given another size nor be split.
var ErrFixed = errors.New("its ring stays as it is")

// mayChange returns why the group cannot change. mu is held.
func (g *group) mayChange(r *Ring) error {
	switch {
	case g.alone != nil:
		return fmt.Errorf("%s: %w: %w", r.iface.Name, ErrFixed, g.alone)
	case len(g.rings) == 0 || g.rings[0] != r:
		return fmt.Errorf("%s: only the first ring of an interface can be changed", r.iface.Name)
	}
	if r.over() {
		return net.ErrClosed
	}
	if g.other {
		return g.settle(r.sockNow())
	}
	return nil
}

// closeRings closes the last members of a group, the last first: so the others keep their places.
func closeRings(rings []*Ring) {
	for i := len(rings) - 1; i >= 0; i-- {
		rings[i].Close()
	}
}

// close closes a socket that nobody reads.
func (s *socket) close() error {
	s.unmap()
	return s.file.Close()
}
