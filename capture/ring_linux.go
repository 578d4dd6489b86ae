package capture

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"weir/wire"
)

// Ring captures from one interface through a TPACKET_V3 ring, memory that the kernel writes frames into and that is
// mapped here. It is a Source. Frames point into the ring.
//
// Any goroutine may call Close, Drain, Resize, Split and Fold. Because frames point into mapped memory, that memory is given
// back only once the reader cannot be reading it any more: the reader goes on calling Next until it returns an error,
// and then the ring is freed.
type Ring struct {
	conf  RingConfig
	iface Interface
	group *group

	// The reader's. Others read sock too, under mu.
	sock   *socket
	loss   bool // the next frame comes after lost ones
	down   bool // the interface was taken down
	gone   bool // the interface was taken off the socket
	togo   int  // blocks that are still to be given back before the mark; -1: not counted yet
	frames []wire.Frame

	cut  atomic.Uint64 // frames
	lost atomic.Bool   // somebody read of drops: the kernel marks no block for them any more

	mu     sync.Mutex
	closed bool
	ended  bool       // read to its end: nothing follows
	inside bool       // Next is running
	lent   bool       // frames of the last Next may be in use
	parked *sync.Cond // of mu: the reader has left Next, or waits there until it is let go
	asked  requests
	stats  Stats
	bypass []bpf.RawInstruction // the filter of flows that are left out; nil: none are
	last   bool                 // Drain keeps everything out
	done   chan struct{}        // closed by Close
}

// requests are what others ask of a ring's reader. It follows them between two blocks.
type requests struct {
	hold  chan struct{} // return no frames before this is closed; nil: go on
	mark  chan struct{} // close this once all that is in the ring now has been returned and dealt with; nil: nobody asks
	quiet bool          // nothing comes to the socket any more: read it to its end
	next  *socket       // then go on with this one; nil: that is the end
	spent chan struct{} // close this once the socket was read to its end and its last frames dealt with
}

// Stats counts a ring's frames since it was opened, those of all the sockets it had.
type Stats struct {
	Packets uint64 // that came to the ring, the lost ones included
	Drops   uint64 // lost because the ring was full
	Freezes uint64 // times the ring was found full
	Cut     uint64 // longer than a block holds: their ends are lost
}

// Add adds t to s.
func (s *Stats) Add(t Stats) {
	s.Packets += t.Packets
	s.Drops += t.Drops
	s.Freezes += t.Freezes
	s.Cut += t.Cut
}

// Next returns frames of one block, at most 512; they are valid until the next call of Next, which gives the block back
// to the kernel once all of it was returned. It waits for a block no longer than the tick, then returns no frames and
// no error. io.EOF says that the interface is gone, or that capture was ended by Drain or Fold, and everything captured was
// returned; net.ErrClosed comes after Close. Call it from one goroutine at a time.
func (r *Ring) Next() ([]wire.Frame, error) {
	if !r.enter() {
		return nil, net.ErrClosed
	}
	frames, err := r.next()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.inside = false
	r.parked.Broadcast()
	if r.closed {
		r.free()
		return nil, net.ErrClosed
	}
	r.lent = len(frames) > 0
	return frames, err
}

// enter begins a Next: the frames of the one before are done with. It reports whether the ring is open still.
func (r *Ring) enter() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lent = false
	if r.closed {
		r.free()
		return false
	}
	r.inside = true
	return true
}

func (r *Ring) next() ([]wire.Frame, error) {
	for {
		s := r.sock
		if s.taken && s.left > 0 {
			return r.read()
		}
		if s.taken {
			s.giveBack()
			r.passed()
		}
		hold, quiet := r.heed()
		switch {
		case hold != nil:
			if !r.rest(hold) {
				return nil, nil
			}
		case s.ready():
			r.take()
		case !quiet && !r.gone:
			if more, err := r.wait(); err != nil || !more {
				return nil, err
			}
		case s.open():
			s.take()
		case !r.follow():
			return nil, io.EOF
		}
	}
}

// heed takes up what is asked. hold is what to wait for before anything else; quiet says that nothing comes any more.
func (r *Ring) heed() (hold chan struct{}, quiet bool) {
	r.sock.kicked.Store(false)
	r.mu.Lock()
	defer r.mu.Unlock()
	o := &r.asked
	if o.hold != nil {
		r.inside = false // as good as: it takes no block
		r.parked.Broadcast()
	}
	if o.mark != nil && r.togo < 0 {
		if r.togo = r.sock.pending(); r.togo == 0 {
			r.reach()
		}
	}
	return o.hold, o.quiet
}

// rest waits until the reader is let go; false: the tick was over before, or the ring was closed.
func (r *Ring) rest(hold chan struct{}) bool {
	tick := time.NewTimer(r.conf.Tick)
	defer tick.Stop()
	select {
	case <-hold:
	case <-tick.C:
		return false
	case <-r.done:
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed { // and freed, perhaps
		return false
	}
	if r.asked.hold == hold {
		r.asked.hold = nil
	}
	r.inside = true
	return true
}

// passed counts a block that was given back.
func (r *Ring) passed() {
	if r.togo <= 0 {
		return
	}
	if r.togo--; r.togo == 0 {
		r.mu.Lock()
		r.reach()
		r.mu.Unlock()
	}
}

// reach tells that the mark is reached. mu is held.
func (r *Ring) reach() {
	if r.asked.mark != nil {
		close(r.asked.mark)
		r.asked.mark = nil
	}
	r.togo = -1
}

// take begins to read the current block, which is ready.
func (r *Ring) take() {
	r.sock.take()
	if r.sock.status()&unix.TP_STATUS_LOSING != 0 || r.lost.Swap(false) {
		r.loss = true
		r.Stats() // the kernel marks every block until its counters are read
		r.lost.Store(false)
	}
}

// read returns the next frames of the current block.
func (r *Ring) read() ([]wire.Frame, error) {
	s := r.sock
	r.frames = r.frames[:min(int(s.left), batchFrames)]
	for i := range r.frames {
		f := &r.frames[i]
		if err := s.read(f, r.iface.Link); err != nil {
			return nil, fmt.Errorf("%s: %w", r.iface.Name, err)
		}
		if int(f.Len) > len(f.Data) {
			r.cut.Add(1)
		}
		if r.loss {
			f.Flag |= wire.FlagLoss
			r.loss = false
		}
	}
	return r.frames, nil
}

// wait waits for a block. It returns whether there is something to do, and does not when the tick is over.
func (r *Ring) wait() (more bool, err error) {
	s := r.sock
	tick := r.conf.Tick
	if r.down { // a removal comes in two steps, and only the first wakes us
		tick = min(tick, removal)
		r.down = false
	}
	if err := s.wait(tick); err != nil {
		return false, r.fail(err)
	}
	switch {
	case s.ready() || s.kicked.Load():
		return true, nil
	case s.err != 0 && s.err != unix.ENETDOWN && s.err != unix.ENODEV:
		return false, r.fail(s.err)
	}
	r.down = s.err != 0
	r.gone = s.removed()
	return r.gone, nil
}

// follow leaves a socket that was read to its end. It reports whether there is one to go on with.
func (r *Ring) follow() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	drops := r.stats.Drops
	r.readStats(r.sock)
	r.reach() // nothing is left before it
	o := &r.asked
	if o.spent != nil {
		close(o.spent)
		o.spent = nil
	}
	if o.next == nil {
		r.ended = true
		return false
	}
	r.loss = r.loss || r.stats.Drops > drops
	r.sock, o.next, o.quiet = o.next, nil, false
	return true
}

func (r *Ring) fail(err error) error {
	if errors.Is(err, os.ErrClosed) || errors.Is(err, net.ErrClosed) || r.over() {
		return net.ErrClosed
	}
	return fmt.Errorf("%s: %w", r.iface.Name, err)
}

// over reports whether the ring was closed.
func (r *Ring) over() bool {
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

// Interfaces returns the one interface.
func (r *Ring) Interfaces() []Interface { return []Interface{r.iface} }

// Stats returns the frames counted since OpenRing. It may be called from any goroutine, also after Close. It costs one
// system call.
func (r *Ring) Stats() (Stats, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var err error
	if !r.closed {
		err = r.readStats(r.sock)
		if n := r.asked.next; n != nil {
			err = errors.Join(err, r.readStats(n))
		}
	}
	s := r.stats
	s.Cut = r.cut.Load()
	return s, err
}

// readStats adds a socket's counters, which the kernel sets to zero when they are read. mu is held.
func (r *Ring) readStats(s *socket) error {
	var n *unix.TpacketStatsV3
	var inner error
	err := s.raw.Control(func(fd uintptr) {
		n, inner = unix.GetsockoptTpacketStatsV3(int(fd), unix.SOL_PACKET, unix.PACKET_STATISTICS)
	})
	if err = errors.Join(err, inner); err != nil {
		return fmt.Errorf("%s: ring counters: %w", r.iface.Name, err)
	}
	if n.Drops > 0 {
		r.lost.Store(true)
	}
	r.stats.Packets += uint64(n.Packets)
	r.stats.Drops += uint64(n.Drops)
	r.stats.Freezes += uint64(n.Freeze_q_cnt)
	return nil
}

// LeaveOut keeps the frames of some flows, of MaxBypass at most, from coming into the ring, until it is called again; without flows all
// come. What stands in the ring already comes still. The reader may call it.
func (r *Ring) LeaveOut(flows []wire.Key) error {
	var p []bpf.RawInstruction
	if len(flows) > 0 {
		var err error
		if p, err = bypass(flows); err != nil {
			return fmt.Errorf("%s: leave out flows: %w", r.iface.Name, err)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.closed:
		return net.ErrClosed
	case r.last:
		return nil
	}
	r.bypass = p
	err := r.sock.filter(p)
	if n := r.asked.next; n != nil {
		err = errors.Join(err, n.filter(p))
	}
	return err
}

// Close ends capture at once and makes Next return net.ErrClosed; what was captured and not returned yet is lost: see Drain.
// The last frames stay readable until that next call of Next, which frees the ring; if there are none, Close itself frees
// it. It takes as long as the kernel's readers take to leave the socket, some ten milliseconds.
func (r *Ring) Close() error {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return net.ErrClosed
	}
	sockets := []*socket{r.sock}
	if n := r.asked.next; n != nil {
		sockets = append(sockets, n)
	}
	for _, s := range sockets {
		r.readStats(s)
	}
	r.closed = true
	close(r.done)
	r.reach()
	r.parked.Broadcast()
	if !r.inside && !r.lent {
		r.free()
	}
	r.mu.Unlock()
	var err error
	for _, s := range sockets {
		err = errors.Join(err, s.file.Close())
	}
	return err
}

// free gives the mapped memory back, once. Nobody may be reading frames. mu is held.
func (r *Ring) free() {
	r.sock.unmap()
	if n := r.asked.next; n != nil {
		n.unmap()
	}
}
