// Package enforce carries a verdict out, inline, in a workload's own network namespace: rules that bring its packets here, the queue that
// they come by, and what ends a conversation for both ends at once. It judges nothing itself, and it opens no socket: whoever uses it gives
// netlink sockets that were opened inside the namespace.
package enforce

import (
	"os"
	"time"

	"weir/broker"
	"weir/engine"
	"weir/wire"
)

// Failure says what becomes of packets that nobody judges: after a crash, during a hang, under overload.
type Failure uint8

const (
	Open   Failure = iota // they pass
	Closed                // they do not
)

func (f Failure) String() string {
	if f == Closed {
		return "closed"
	}
	return "open"
}

// Judge says what becomes of frames: rulings[i] is for frames[i], and is Pass before. Frames are IP packets without a link layer, borrowed until it
// returns; FlagOutgoing says that the workload sent it. A frame whose Len is more than its Data was too long for the queue: what there is of it is judged. cut is told of every
// conversation that the judgement ends; a TCP connection is then reset at both ends. lane is for it alone meanwhile. It runs on the queue's goroutine, one call at a time for each queue.
type Judge func(lane *engine.Lane, frames []wire.Frame, rulings []engine.Ruling, cut func(*engine.Cut))

// Opener opens a socket inside the workload's namespace: of broker.Netfilter, broker.SockDiag or broker.Route. The file must be non-blocking, so that Go can wait
// for it; whoever called owns it.
type Opener func(kind broker.Kind) (*os.File, error)

// Config says how one workload's traffic is enforced.
type Config struct {
	Open     Opener
	Failure  Failure
	Judge    Judge                                                     // see Inline
	Tick     func(lane *engine.Lane, now int64, cut func(*engine.Cut)) // every second, now is ns since the epoch; nil: nobody asks for it
	End      func(lane *engine.Lane)                                   // after the last Judge and Tick; nil: likewise
	Deadline time.Duration                                             // that Judge has for what the queue holds; then the queue is let go of. 0: 500 ms
	// Hold keeps packets in the queue, unread, until Release, or until the first of them has waited so long: for a workload of which it is not known yet who it is.
	// Waits is told once, when the first packet waits; nil: nobody. It must not block.
	Hold  time.Duration
	Waits func()
	// Unreachable says that who sends what is dropped, and is not TCP, gets an ICMP error: administratively prohibited.
	Unreachable bool
	// Tell is told of what went by unjudged, or did not go; nil: nobody. It must not block. It may be called from any goroutine.
	Tell func(Event)
}

// Event is something that whoever relies on verdicts has to know.
type Event struct {
	Code string // constant: see the Codes
	N    uint64 // packets, where it counts some
	Err  error  // what happened, where there is one
}

// Codes of events.
const (
	Overload = "enforce.overload"  // N packets came faster than they could be judged: they passed (open) or were lost (closed)
	Hang     = "enforce.hang"      // no verdict came in time: the queue was let go of
	Rearmed  = "enforce.rearmed"   // the queue is served again
	RulesCut = "enforce.rules_cut" // somebody took the rules out of the namespace; they are put back
	TooLong  = "enforce.too_long"  // N packets were longer than the queue brings: TCP sent their ends once more, those of datagrams were not judged
	Broken   = "enforce.broken"    // Err: the queue is not served any more; what its Failure says holds
	NoReset  = "enforce.no_reset"  // Err: sockets could not be closed; ends are told by forged resets
)

// deadline is how long a verdict may take if nothing else is said.
const deadline = 500 * time.Millisecond
