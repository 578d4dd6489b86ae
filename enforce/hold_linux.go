package enforce

import (
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Release ends a Hold: packets that wait are judged, and those that come. It may be called more than once.
func (g *Guard) Release() { g.queue.release() }

func (q *queue) release() {
	q.mu.Lock()
	defer q.mu.Unlock()
	select {
	case <-q.released:
		return
	default:
	}
	close(q.released)
	if q.sock != nil {
		q.sock.f.SetReadDeadline(time.Unix(1, 0)) // whoever waits for a packet looks up
	}
}

// hold returns when the queue is released, or the first packet has waited long enough. Nothing is read until then: the kernel keeps what it brought, as many packets as may wait.
func (q *queue) hold() {
	if q.conf.Hold == 0 {
		return
	}
	q.await()
	if s := q.holds(); s != nil {
		s.f.SetReadDeadline(q.nextTick())
	}
}

// await waits for the first packet, tells of it, and waits for the release, but not for ever.
func (q *queue) await() {
	for {
		s := q.holds()
		if s == nil {
			return
		}
		s.f.SetReadDeadline(time.Time{})
		if q.let() { // looked at after the deadline is gone: the release sets one
			return
		}
		err := s.raw.Read(func(fd uintptr) bool {
			var one [1]byte
			_, _, err := unix.Recvfrom(int(fd), one[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
			return err != unix.EAGAIN
		})
		if err == nil {
			break
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
	}
	if q.conf.Waits != nil {
		q.conf.Waits()
	}
	patience := time.NewTimer(q.conf.Hold)
	defer patience.Stop()
	select {
	case <-q.released:
	case <-q.closed:
	case <-patience.C:
	}
}

// let reports whether the queue was released.
func (q *queue) let() bool {
	select {
	case <-q.released:
		return true
	default:
		return false
	}
}

// nextTick is the deadline for reading after which Tick is called; zero: there is none.
func (q *queue) nextTick() time.Time {
	if q.conf.Tick == nil {
		return time.Time{}
	}
	return time.Now().Add(tickEvery)
}
