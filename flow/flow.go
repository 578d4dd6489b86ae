// Package flow keeps one bounded table of flows per tap and puts their bytes back in order: IP
// fragments, TCP segments, gaps, overlaps. It knows nothing of layer 7; what its owner keeps with
// each flow is the type parameter S.
package flow

import (
	"time"

	"weir/wire"
)

// Overlap is the answer to segments or fragments that overlap with different bytes: which of them the receiver
// keeps (Novak and Sturges, "Target-Based TCP Stream Reassembly").
type Overlap uint8

const (
	Linux Overlap = iota
	BSD
	BSDRight
	Windows
	Solaris
	First
	Last
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
	Flows        int // flows in the table; the flow idle longest is evicted
	HeldPerFlow  int // bytes held for one flow, out of order or unfinished; then the oldest hole is told as a gap
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
	IdleUDP     = 60 * time.Second
	IdleOther   = 60 * time.Second
	FragmentAge = 30 * time.Second // Linux ipfrag_time
)

// Reason says why a flow ended.
type Reason uint8

const (
	Ended   Reason = iota // closed by its ends
	Idle                  // timed out
	Evicted               // the table was full
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
)

// Chunk is bytes of one direction, in order. Data is borrowed until the next Push, Tick or Close: it points into the packet or into
// held bytes. Gap bytes were lost before Data. End: the direction is finished after Data.
type Chunk struct {
	Dir  wire.Dir
	Data []byte
	Gap  int
	End  bool
}

// Direction is what is counted for one direction of a flow.
type Direction struct {
	Packets, Bytes uint64 // Bytes: as on the wire, from the link layer on
	Payload        uint64 // bytes delivered in chunks
	Lost           uint64 // bytes told as gaps
	Gaps           uint32
	BadChecksums   uint32
	Flags          wire.TCPFlags // all TCP flags seen
}

// Counters count what a Table did; read by its owner.
type Counters struct {
	Flows, Evicted           uint64
	Active                   int
	Held                     int // bytes held now
	Gaps, GapBytes           uint64
	BudgetGaps               uint64 // of Gaps, those told because a limit was reached
	BadChecksums             uint64
	UnjudgedChecksums        uint64 // wrong, but accepted because the direction never showed a valid one
	Rejected                 uint64 // segments that did not fit: window, PAWS, flags
	Overlaps, OverlapsDiffer uint64
	Midstream                uint64
	Fragments, FragmentsOK   uint64
	FragmentsDropped         uint64
	FragmentOverlaps         uint64
}
