// Package flow keeps one bounded table of flows per tap and puts their bytes back in order: IP
// fragments, TCP segments, gaps, overlaps. It knows nothing of layer 7; what its owner keeps with
// each flow is the type parameter S.
package flow

import (
	"time"

	"weir/wire"
)

// Overlap is the answer to segments or fragments that overlap with different bytes: which of them the receiver
// keeps (Novak and Sturges, "Target-Based TCP Stream Reassembly"). For TCP it decides only between bytes that are held out of
// order and a segment that arrives; what has been delivered stays. The segment that came first keeps its bytes, except:
type Overlap uint8

const (
	Linux    Overlap = iota // one that begins before it, or at the same byte and ends after it, takes them
	BSD                     // one that begins before it
	BSDRight                // one that begins before it, or at the same byte and does not end before it (also old Linux)
	Windows                 // one that begins before it and ends after it (until 2003; later ones are First)
	Solaris                 // one that covers it, or that begins within it and ends after it
	First                   // none
	Last                    // any
)

// ChecksumMode says what is done with a segment whose checksum is wrong.
type ChecksumMode uint8

const (
	ChecksumAuto   ChecksumMode = iota // judged once that flow direction has shown a valid one, else accepted and counted
	ChecksumVerify                     // wrong ones are never accepted
	ChecksumIgnore                     // never looked at
)

// Limits bound a Table. At a limit the stated thing happens, and is counted.
type Limits struct {
	Flows        int // flows in the table; then one is evicted, see Evicted
	HeldPerFlow  int // bytes held for one flow, out of order or unfinished, with what it costs to hold them; then the oldest hole is told as a gap
	HeldPerTable int // bytes held in all; then holes are told as gaps at once
	Holes        int // holes per direction; then the oldest is told as a gap
	Fragments    int // bytes of incomplete IP datagrams; then the oldest datagram is dropped
}

// DefaultLimits are the limits in force unless configuration says otherwise.
var DefaultLimits = Limits{
	Flows:        1 << 20,
	HeldPerFlow:  8 << 20,
	HeldPerTable: 128 << 20,
	Holes:        256,
	Fragments:    16 << 20,
}

// Timeouts, after the last packet of a flow.
const (
	IdleTCP     = 30 * time.Minute // established; evicted earlier only under pressure
	IdleOpening = 60 * time.Second // no answer to SYN yet
	IdleClosing = 10 * time.Second // both FINs or a valid RST seen; late segments still belong to it
	IdleOther   = 60 * time.Second // UDP and all else
	FragmentAge = 30 * time.Second // Linux ipfrag_time
)

// Reason says why a flow ended.
type Reason uint8

const (
	Ended   Reason = iota // closed by its ends
	Idle                  // timed out
	Evicted               // the table was full: of the least valuable kind that fills more than a part of it, the one idle longest
	Drained               // the table was closed
)

// Anomaly is a set of oddities seen in a flow, each told once per flow.
type Anomaly uint32

const (
	OverlapDiffers Anomaly = 1 << iota // overlapping segments carry different bytes
	BadChecksum                        // a segment was not accepted for its checksum
	ForgedACK                          // an ACK for bytes that were never sent
	ForgedRST                          // an RST outside the window (RFC 5961 section 3)
	ForgedSYN                          // a SYN inside a connection (RFC 5961 section 4)
	OutOfWindow                        // data outside the window
	OldTimestamp                       // a segment failing PAWS (RFC 7323 section 5)
	Midstream                          // picked up without its handshake
	SYNData                            // data in the SYN
	GapTold                            // bytes were lost
	BudgetReached                      // bytes given up because a limit was reached
	UrgentData                         // urgent pointer in use
	DataAfterClose                     // data after FIN or RST that the receiver may still take
	BadFlags                           // impossible flag combination
	Unaccepted                         // bytes that were held in doubt and that their receiver never acknowledged
)

// Chunk is bytes of one direction, in order. Data is borrowed until the next Push, Tick or Close: it points into the packet or into
// held bytes. Gap bytes were lost before Data. End: the direction is finished after Data. A FIN may be forged, so data that the receiver
// acknowledges in spite of it still follows in later chunks (DataAfterClose).
//
// Refused: Data was sent, but as far as is known its receiver did not take it, or took other bytes in its place. It is no part of the stream, and
// stands by itself: another receiver might have read it.
type Chunk struct {
	Dir     wire.Dir
	Seq     wire.Seq // of the first byte of Data, or of the one that would come next; of TCP only
	Data    []byte
	Gap     int
	End     bool
	Refused bool
}

// State is how far a flow's life has come. Other than TCP, flows are StateNew until both ends have sent.
type State uint8

const (
	StateNew         State = iota // no full handshake yet
	StateEstablished              // handshake seen, or picked up without it
	StateClosing                  // a FIN in order, or a valid RST
	StateClosed                   // both FINs in order
)

// Info is what is known of a flow, apart from what its owner keeps with it. Its owner only reads it, but for Fresh. Directions are
// counted from the initiator: the sender of the SYN; without one, the end with the higher port (for UDP and SCTP: only if
// the other's is well known, below 1024); else the first sender.
//
// A table may hold a million of them: with 16 bytes of S a Flow fills one of the allocator's classes.
type Info struct {
	Key         wire.Key
	AInitiates  bool // the initiator is (Key.A, Key.APort)
	State       State
	NVLAN       uint8  // VLAN tags of the first packet, outer first
	class       class  // where place is
	ID          uint64 // made from key, first packet and a counter: never 0, below 2^53, the same in a replay
	Start, Last int64  // ns since the epoch: first and latest packet
	Dirs        [2]Direction
	x           *extra    // nil unless something is held or in doubt
	VLAN        [2]uint16 // identifiers
	Anomalies   Anomaly   // all seen so far
	Fresh       Anomaly   // of these, not told yet: the owner clears it

	side  [2]side
	place place
}

// Flow is one conversation and what its owner keeps with it. It is valid from the Push that returned it until OnEnd returns; then
// its memory is used for another flow.
type Flow[S any] struct {
	Info
	S S
}

// Dir returns the direction that p, a packet of this flow, goes in.
func (f *Info) Dir(p *wire.Packet) wire.Dir {
	if p.FromA == f.AInitiates {
		return wire.ToServer
	}
	return wire.ToClient
}

// note remembers that a was seen, and that it is to be told if it is new.
func (f *Info) note(a Anomaly) {
	f.Fresh |= a &^ f.Anomalies
	f.Anomalies |= a
}

// Direction is what is counted for one direction of a flow.
type Direction struct {
	Packets, Bytes uint64 // Bytes: as on the wire, from the link layer on
	Payload        uint64 // bytes delivered in chunks
	Lost           uint64 // bytes told as gaps
	Gaps           uint32
	BadChecksums   uint32
	Refused        uint32        // bytes told in chunks that are Refused; it stops at the top
	Encap          wire.Encap    // all encapsulations that packets were taken out of
	Flags          wire.TCPFlags // all TCP flags seen
}
