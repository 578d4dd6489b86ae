package enforce

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"weir/broker"
	"weir/wire"
)

// From the specification: linux/inet_diag.h, linux/sock_diag.h, net/tcp_states.h.
const (
	diagByFamily = 20
	diagDestroy  = 21
	diagListen   = 10
	diagIDLen    = 48 // struct inet_diag_sockid, bytes
)

// cutter closes TCP sockets in a namespace. Both ends then know at once: the kernel tells the local application, and sends a reset.
type cutter struct {
	open Opener
	sock *socket // nil: not needed yet
	lame error   // the kernel cannot do it; told once

	// cut names the connections that were cut last: for what comes of them still.
	cut  [64]severed
	next int
}

type severed struct {
	key  wire.Key
	here bool // sockets of it were closed
	told bool // something of it was refused since
}

func (c *cutter) close() {
	if c.sock != nil {
		c.sock.Close()
		c.sock = nil
	}
}

// destroy closes the sockets of a connection that are in this namespace, and returns how many.
func (c *cutter) destroy(k *wire.Key) (n int, err error) {
	if c.lame != nil {
		return 0, nil
	}
	if c.sock == nil {
		if c.sock, err = c.open.socket(broker.SockDiag); err != nil {
			return 0, err
		}
	}
	for _, end := range []struct {
		local, remote         *[16]byte
		localPort, remotePort uint16
	}{{&k.A, &k.B, k.APort, k.BPort}, {&k.B, &k.A, k.BPort, k.APort}} {
		id, family := sockID(end.local, end.remote, end.localPort, end.remotePort)
		id, ok, err := c.find(family, id)
		if err == nil && ok {
			c.request(diagDestroy, family, id)
			err = c.sock.do(nil)
		}
		switch {
		case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ESTALE): // it ended by itself
		case errors.Is(err, unix.EOPNOTSUPP):
			c.lame = fmt.Errorf("close sockets: %w (the kernel needs CONFIG_INET_DIAG_DESTROY)", err)
			return n, c.lame
		case err != nil:
			c.close()
			return n, fmt.Errorf("close sockets: %w", err)
		case ok:
			n++
		}
	}
	return n, nil
}

// find returns the identity of the one socket of a connection. Without that, a connection that is over already, or none yet, would stand for
// the listening socket of its port: the kernel takes that where it finds no other.
func (c *cutter) find(family uint8, id [diagIDLen]byte) (found [diagIDLen]byte, ok bool, err error) {
	c.request(diagByFamily, family, id)
	err = c.sock.do(func(typ uint16, body []byte) {
		if typ == diagByFamily && len(body) >= 4+diagIDLen && body[1] != diagListen {
			found = [diagIDLen]byte(body[4:])
			ok = [4]byte(found[:4]) == [4]byte(id[:4]) // the ports: a listening socket has no remote one
		}
	})
	return found, ok, err
}

func (c *cutter) request(typ uint16, family uint8, id [diagIDLen]byte) {
	m := &c.sock.out
	m.b = m.b[:0]
	m.begin(typ, unix.NLM_F_ACK)
	m.b = append(m.b, family, wire.ProtoTCP, 0, 0)
	m.b = native.AppendUint32(m.b, ^uint32(0)) // states
	m.b = append(m.b, id[:]...)
	m.end()
}

// sockID is a struct inet_diag_sockid of any interface, and of no certain cookie.
func sockID(local, remote *[16]byte, localPort, remotePort uint16) (id [diagIDLen]byte, family uint8) {
	network.PutUint16(id[0:], localPort)
	network.PutUint16(id[2:], remotePort)
	if isV4(local) && isV4(remote) {
		copy(id[4:], local[12:])
		copy(id[20:], remote[12:])
		family = unix.AF_INET
	} else {
		copy(id[4:], local[:])
		copy(id[20:], remote[:])
		family = unix.AF_INET6
	}
	for i := 40; i < diagIDLen; i++ {
		id[i] = 0xff
	}
	return id, family
}

func isV4(a *[16]byte) bool { return [12]byte(a[:12]) == [12]byte{10: 0xff, 11: 0xff} }

// end ends the conversations of b that have to, for both ends.
func (q *queue) end(b *batch) {
	for i := range b.cuts {
		c := &b.cuts[i]
		if c.Proto != wire.ProtoTCP || c.Scope != 0 { // inside of a tunnel there is no socket
			continue
		}
		k := wire.Key{A: c.Client.Addr().As16(), B: c.Server.Addr().As16(), APort: c.Client.Port(), BPort: c.Server.Port(), Proto: c.Proto}
		var h header
		if c.Frame >= 0 && c.Frame < len(b.frames) && h.parse(b.frames[c.Frame].Data) && h.of(&k) && h.flags.Has(wire.SYN) {
			continue // there is no connection yet, and who asks for it is refused
		}
		q.cut(&k)
	}
}

func (q *queue) cut(k *wire.Key) {
	c := &q.cutter
	n, err := c.destroy(k)
	q.count.resets.Add(uint64(n))
	if err != nil {
		q.tell(Event{Code: NoReset, Err: err})
	}
	for i := range c.cut {
		if c.cut[i].key == *k {
			c.cut[i].here = c.cut[i].here || n > 0
			return
		}
	}
	c.cut[c.next] = severed{key: *k, here: n > 0}
	c.next = (c.next + 1) % len(c.cut)
}

// refuseSegment refuses a segment of a connection. The kernel has told the ends whose sockets it closed, and sent a reset to the other one: but that one may have missed
// what was refused before it, and then it asks, or waits. So whoever is not told for certain gets a reset in the segment's stead, or for the next one that he sends.
func (q *queue) refuseSegment(b *batch, p *packet, f *wire.Frame, h *header) {
	for i := range q.cutter.cut {
		s := &q.cutter.cut[i]
		if !h.of(&s.key) {
			continue
		}
		first := !s.told
		s.told = true
		switch {
		case s.here && h.empty && p.hook != hookOutput: // it asks; the kernel answers that there is no such connection
			b.verdict(q.number, p.id, verdictAccept)
		case first && (p.hook == hookOutput || !s.here) && len(f.Data) >= h.l4+20:
			q.count.forged.Add(1)
			b.replaced(q.number, p.id, h.reset(f.Data))
		case first:
			b.verdict(q.number, p.id, verdictDrop)
		default:
			b.marked(q.number, p.id, p.mark&^markMask|markReject)
		}
		return
	}
	b.verdict(q.number, p.id, verdictDrop)
}
