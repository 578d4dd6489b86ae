package enforce

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"weir/broker"
	"weir/engine"
)

// From the specification.
const (
	configCommand = 1
	configParams  = 2
	configMaxLen  = 3
	configMask    = 4
	configFlags   = 5

	commandBind = 1
	copyPacket  = 2

	flagFailOpen = 1
	flagGSO      = 4 // packets come as large as they are: else the kernel cuts each into segments first, which costs nine tenths of the throughput
)

// Ours.
const (
	queueLen    = 1024    // packets that wait for a verdict, at most: the kernel holds them
	queueBuffer = 4 << 20 // bytes of messages that wait to be read; the kernel doubles it
	rearmAfter  = time.Second
	tickEvery   = time.Second
)

// Stats counts a queue's packets.
type Stats struct {
	Packets uint64 // that came
	Passed  uint64
	Dropped uint64
	Cleared uint64 // whose connections need no judging any more
	Missed  uint64 // that were for the queue and did not come: they passed (open) or were lost (closed)
	TooLong uint64 // that came without their ends
	Hangs   uint64 // times that no verdict came in time
	Resets  uint64 // sockets that were closed
	Forged  uint64 // resets that went to an end in a segment's stead
	Denied  uint64 // conversations that were cut
	Waiting uint64 // packets that waited for their verdict, within the last second
}

type counters struct {
	packets, passed, dropped, cleared, missed, tooLong, hangs, resets, forged, denied, waiting atomic.Uint64
}

func (c *counters) read() Stats {
	return Stats{c.packets.Load(), c.passed.Load(), c.dropped.Load(), c.cleared.Load(), c.missed.Load(), c.tooLong.Load(), c.hangs.Load(),
		c.resets.Load(), c.forged.Load(), c.denied.Load(), c.waiting.Load()}
}

// queue is one netfilter queue. run serves it, on one goroutine.
type queue struct {
	conf     *Config
	pool     *Pool
	number   uint16
	count    counters
	failure  atomic.Uint32 // a Failure
	clears   atomic.Uint64 // in its lower half the mark that clears a connection; 0: none can be cleared. In the upper one how often that has changed: there are two marks only
	clearing sync.RWMutex  // held while it changes, and while verdicts are given that clear
	base     time.Time     // of since
	since    atomic.Int64  // ns since base when the work in hand began; 0: none
	answers  atomic.Bool   // verdicts are on their way
	closed   chan struct{}
	released chan struct{} // closed when packets are not held any more

	// run's
	b       *batch
	last    uint32 // id of the packet that came last
	read    func(fd uintptr) bool
	readErr error
	cutter  cutter
	onCut   func(*engine.Cut)
	linger  linger

	mu   sync.Mutex
	sock *socket // nil: the queue is not held
	quit bool
}

// newQueue binds a queue. Serve it with run.
func newQueue(conf *Config, pool *Pool, number uint16) (*queue, error) {
	q := &queue{conf: conf, pool: pool, number: number, base: time.Now(), closed: make(chan struct{}), released: make(chan struct{}), cutter: cutter{open: conf.Open}}
	q.failure.Store(uint32(conf.Failure))
	q.read, q.onCut = q.readable, q.noteCut
	if err := q.bind(); err != nil {
		return nil, err
	}
	return q, nil
}

// bind opens a socket and makes the kernel bring the queue's packets to it.
func (q *queue) bind() error {
	s, err := q.conf.Open.socket(broker.Netfilter)
	if err != nil {
		return fmt.Errorf("queue %d: %w", q.number, err)
	}
	q.last = 0
	err = q.configure(s)
	if err == nil {
		q.mu.Lock()
		if q.quit {
			err = net.ErrClosed
		} else {
			q.sock = s
			s.f.SetReadDeadline(q.nextTick())
		}
		q.mu.Unlock()
	}
	if err != nil {
		s.Close()
	}
	return err
}

func (q *queue) configure(s *socket) error {
	err := s.raw.Control(func(fd uintptr) {
		if unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, queueBuffer) != nil {
			unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, queueBuffer) // as much as anybody may have
		}
	})
	if err != nil {
		return err
	}
	m := &s.out
	m.netfilter(subsysQueue, queueConfig, unix.NLM_F_ACK, unix.AF_UNSPEC, q.number)
	m.attr(configCommand, commandBind, 0, 0, 0)
	m.attr(configParams, 0, 0, 0xff, 0xff, copyPacket) // copy range, in network order, and mode
	m.u32(configMaxLen, queueLen)
	q.flags(m)
	m.end()
	var early []uint32
	err = s.do(func(typ uint16, body []byte) {
		if len(body) > familyLen {
			if kind, data, _, ok := attribute(body[familyLen:]); ok && kind == packetHeader && len(data) >= 4 {
				early = append(early, network.Uint32(data))
			}
		}
	})
	switch {
	case errors.Is(err, unix.EBUSY), errors.Is(err, unix.EPERM):
		return fmt.Errorf("queue %d: another program holds it in this namespace, or CAP_NET_ADMIN is missing: %w (is another weir running?)", q.number, err)
	case err != nil:
		return fmt.Errorf("queue %d: bind: %w (the kernel needs CONFIG_NETFILTER_NETLINK_QUEUE)", q.number, err)
	}
	if len(early) == 0 {
		return nil
	}
	// They came before everything was set, perhaps without their bytes. They come once more.
	var b batch
	for _, id := range early {
		b.verdict(q.number, id, verdictRepeat)
	}
	q.count.packets.Add(uint64(len(early)))
	q.last = early[len(early)-1]
	s.out.b = append(s.out.b, b.verdicts.b...)
	return s.send()
}

// flags adds how the kernel is to treat packets.
func (q *queue) flags(m *messages) {
	flags := uint32(flagGSO)
	if Failure(q.failure.Load()) == Open {
		flags |= flagFailOpen
	}
	m.u32(configMask, flagGSO|flagFailOpen)
	m.u32(configFlags, flags)
}

// setFailure changes what becomes of packets for which there is no room.
func (q *queue) setFailure(f Failure) error {
	q.failure.Store(uint32(f))
	s := q.holds()
	if s == nil {
		return nil // the next bind says it
	}
	var m messages
	m.netfilter(subsysQueue, queueConfig, 0, unix.AF_UNSPEC, q.number)
	q.flags(&m)
	m.end()
	var failed error
	err := s.raw.Write(func(fd uintptr) bool {
		_, failed = unix.Write(int(fd), m.b)
		return failed != unix.EAGAIN
	})
	if errors.Is(err, os.ErrClosed) {
		return nil
	}
	return errors.Join(err, failed)
}

// run serves the queue until close.
func (q *queue) run() {
	defer q.cutter.close()
	q.hold()
	for q.serve() {
	}
	q.spare()
	if q.conf.End != nil {
		b := <-q.pool.free
		q.conf.End(b.lane)
		q.pool.put(b)
	}
}

// serve waits for packets and deals with them. It reports whether to go on.
func (q *queue) serve() bool {
	s := q.holds()
	if s == nil {
		return q.rearm(nil)
	}
	err := s.raw.Read(q.read)
	if err == nil {
		err = q.readErr
	} else if errors.Is(err, os.ErrDeadlineExceeded) {
		q.spare() // a tick takes one, too
		if q.conf.Tick != nil {
			q.tick()
		}
		s.f.SetReadDeadline(q.nextTick())
		return true
	}
	b := q.b
	q.b, q.readErr = nil, nil
	switch {
	case b == nil && err == nil: // there is something to read, but no batch for it
		if q.b = q.pool.wait(q.closed); q.b == nil {
			return false
		}
		q.b.reset()
	case err == nil:
		if err = q.work(s, b); err == nil {
			return true
		}
	case b != nil:
		q.pool.put(b)
	}
	if err == nil && q.holds() == s {
		return true
	}
	q.spare()
	q.since.Store(0)
	if q.letGo(s) {
		return q.rearm(err)
	}
	return q.rearm(nil)
}

// spare gives back the batch that was got for what waits, if there is one.
func (q *queue) spare() {
	if q.b != nil {
		q.pool.put(q.b)
		q.b = nil
	}
}

// work has the packets of b judged, and answers unless that took too long.
func (q *queue) work(s *socket, b *batch) error {
	defer q.pool.put(b)
	start := q.since.Load()
	q.judge(b)
	q.answers.Store(true)
	defer q.answers.Store(false)
	if start <= 0 || !q.since.CompareAndSwap(start, 0) {
		return net.ErrClosed
	}
	return q.answer(s, b)
}

func (q *queue) holds() *socket {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.sock
}

// letGo gives the queue up if it is held by s. What waits in it is lost, and what comes later meets no queue: the rules say what becomes of that.
func (q *queue) letGo(s *socket) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if s == nil || q.sock != s {
		return false
	}
	q.sock = nil
	s.Close()
	return true
}

// rearm takes the queue up again after it was let go of, for an error or because its verdicts were late.
func (q *queue) rearm(why error) bool {
	for told := error(nil); ; {
		select {
		case <-q.closed:
			return false
		default:
		}
		if why != nil && told == nil {
			told = why
			q.tell(Event{Code: Broken, Err: why})
		}
		if why = q.bind(); why == nil {
			q.tell(Event{Code: Rearmed})
			return true
		}
		select {
		case <-q.closed:
			return false
		case <-time.After(rearmAfter):
		}
	}
}

func (q *queue) tell(e Event) {
	if q.conf.Tell != nil {
		q.conf.Tell(e)
	}
}

// close lets go of the queue for good.
func (q *queue) close() {
	q.mu.Lock()
	s := q.sock
	if !q.quit {
		q.quit = true
		close(q.closed)
	}
	q.mu.Unlock()
	q.letGo(s)
}

// readable reads what the queue holds, as much as a batch takes. Verdicts are given when there is nothing more to read: to wait for a number of packets
// would stall a sender that waits for its answer.
func (q *queue) readable(fd uintptr) bool {
	b := q.b
	if b == nil {
		if b = q.pool.try(); b == nil {
			return q.waits(fd)
		}
		b.reset()
	}
	if q.since.Load() == 0 {
		q.since.Store(int64(time.Since(q.base)))
	}
	for b.room() {
		n, err := receive(fd, b.space(), 0)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.ENOBUFS: // the kernel could not bring some: ids tell how many
			continue
		case err == unix.EAGAIN:
			if len(b.packets) == 0 && len(b.verdicts.b) == 0 {
				q.pool.put(b)
				q.b = nil
				q.since.Store(0)
				return q.lingers(fd) // then there is no batch yet
			}
			q.b = b
			return true
		case err != nil:
			q.b, q.readErr = b, os.NewSyscallError("read from the queue", err)
			return true
		}
		q.take(b, b.space()[:n])
	}
	q.b = b
	return true
}

// waits reports whether there is something to read, and says since when it waits.
func (q *queue) waits(fd uintptr) bool {
	var one [1]byte
	if _, err := receive(fd, one[:], unix.MSG_PEEK); err == unix.EAGAIN {
		return false
	}
	q.since.CompareAndSwap(0, int64(time.Since(q.base)))
	return true
}

// idle reports whether every packet that was sent to the queue has come, and has its verdict.
func (q *queue) idle() (idle bool) {
	if s := q.holds(); s != nil && q.since.Load() == 0 {
		s.raw.Control(func(fd uintptr) {
			var one [1]byte
			_, _, err := unix.Recvfrom(int(fd), one[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
			idle = err == unix.EAGAIN
		})
	}
	return idle && !q.answers.Load() && q.since.Load() == 0
}

// take keeps the packets of a datagram.
func (q *queue) take(b *batch, datagram []byte) {
	typ, _, body, _, ok := message(datagram)
	if !ok || typ != subsysQueue<<8|queuePacket {
		return // an error: the verdict on a packet that is gone
	}
	p, bare, ok := b.keep(body, len(datagram))
	if !ok {
		return
	}
	q.count.packets.Add(1)
	if lost := p.id - q.last - 1; lost < 1<<31 {
		q.count.missed.Add(uint64(lost))
	}
	q.last = p.id
	if bare {
		b.verdict(q.number, p.id, verdictRepeat)
	}
}

// tick lets time pass where no packets come.
func (q *queue) tick() {
	b := q.pool.try()
	if b == nil {
		return // next time
	}
	defer q.pool.put(b)
	b.reset()
	q.since.CompareAndSwap(0, int64(time.Since(q.base)))
	q.b = b
	q.conf.Tick(b.lane, time.Now().UnixNano(), q.onCut)
	q.b = nil
	q.end(b)
	if since := q.since.Load(); since > 0 {
		q.since.CompareAndSwap(since, 0)
	}
}

// setClears says which mark clears connections from now on; 0: none.
func (q *queue) setClears(mark uint32) {
	q.clearing.Lock()
	defer q.clearing.Unlock()
	if was := q.clears.Load(); uint32(was) != mark {
		q.clears.Store((was>>32+1)<<32 | uint64(mark))
	}
}
