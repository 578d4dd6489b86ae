// Package alert holds what Weir tells: the Event, and the sinks that write it, one file per sink. An
// Event is owned: it shares no packet memory and may be kept. It decides nothing.
package alert

import (
	"net/netip"
	"strings"
)

// Event is one event in the terms of Suricata's EVE JSON, with what EVE has no name for under
// "weir".
type Event struct {
	Time     int64  // ns since the epoch, of the packet that caused it
	Type     string // event_type: alert, info, flow, fileinfo, anomaly, drop, stats, or a protocol's name
	FlowID   uint64 // 0: the event belongs to no flow
	Iface    string
	Src, Dst netip.AddrPort // the initiator's end first; ports of ICMP are type and code
	Proto    uint8          // IP protocol
	AppProto string

	AppProtoTS, AppProtoTC string // what goes to the server and to the client, where they differ
	AppProtoOrig           string // flow: the first protocol, where the flow carried another one later
	CommunityID            string
	VLAN                   []uint16
	TxID                   uint64 // valid iff one of App, Alert and File is there
	PcapCnt                uint64 // number of the frame in a file; 0 live

	Alert   *Alert
	App     *App // the protocol's own object: http, dns, tls ...
	Flow    *Flow
	Anomaly *Anomaly
	Drop    *Drop
	File    *FileInfo
	Stats   map[string]any
	Weir    Weir
}

// Ours: bytes that parts of an event are counted for, with what Go's memory management adds.
const (
	eventSize = 512
	partSize  = 192
)

// size returns about how many bytes of memory e takes.
func (e *Event) size() int {
	n := eventSize + len(e.CommunityID)
	if a := e.Alert; a != nil {
		n += partSize
	}
	if e.Flow != nil {
		n += partSize
	}
	if e.Anomaly != nil {
		n += partSize + len(e.Anomaly.Detail)
	}
	if e.Drop != nil {
		n += partSize
	}
	if e.File != nil {
		n += partSize + len(e.File.Name)
	}
	if e.App != nil {
		n += partSize + len(e.App.Text)
	}
	for i := range e.Weir.Matches {
		n += partSize + len(e.Weir.Matches[i].Excerpt)
	}
	for _, w := range [...]*Workload{e.Weir.Src, e.Weir.Dst} {
		if w != nil {
			n += partSize
		}
	}
	return n + len(e.Weir.Why) + len(e.Weir.CaptureFile) + partSize*len(e.Weir.Counts)
}

// Alert is the object "alert".
type Alert struct {
	Action      string // allowed or blocked
	GID         uint32
	SignatureID uint32
	Rev         int
	Signature   string
	Category    string
	Severity    int // 1 is highest
	Metadata    map[string][]string
}

// Flow is the object "flow".
type Flow struct {
	PktsToServer, PktsToClient   uint64
	BytesToServer, BytesToClient uint64
	Start, End                   int64  // ns since the epoch
	State                        string // new, established, closed
	Reason                       string // shutdown, timeout, forced
	Alerted                      bool
	TxCount                      uint64
	TCP                          *TCP  // nil: another protocol
	ICMP                         *ICMP // nil: another protocol, or no answer was seen
}

// TCP is the object "tcp" of a flow: which flags were seen.
type TCP struct {
	State              string // as Flow.State
	ToServer, ToClient uint8  // flag bits, RFC 9293 section 3.1
}

// ICMP is what the answers of a flow are: members response_icmp_type and response_icmp_code.
type ICMP struct{ Type, Code uint8 }

// FileInfo is the object "fileinfo".
type FileInfo struct {
	Name  string
	State string // CLOSED; TRUNCATED: not all of it was seen
	Gaps  bool   // bytes within it were never seen
	Size  uint64 // bytes up to the last that was seen
	TxID  uint64 // exchange that carried it
}

// Anomaly is the object "anomaly".
type Anomaly struct {
	Type     string // decode, stream, applayer
	Event    string // "http.ambiguous_length"
	Layer    string
	AppProto string
	Detail   string // for people; constant text, never bytes from the wire
}

// Drop is the object "drop": the packet at which a conversation was cut off.
type Drop struct {
	Reason string // policy, rules, uninspected
	Len    uint32 // bytes of the packet; 0: it was no packet but a deadline, and the rest is not known
	TTL    uint8
	TCP    *DropTCP // nil: it was no segment of TCP
}

// DropTCP is what the header of a dropped segment said.
type DropTCP struct {
	Seq, Ack       uint32
	Window, Urgent uint16
	Flags          uint8
}

// Weir is the object "weir"; empty members are left out.
type Weir struct {
	Src, Dst     *Workload
	Rule         string // text id of the rule
	Conversation string // of a flow: how sure its AppProto is: unknown, probable, certain, violated
	Score        int    // of a tunnel, percent
	Engine       string // dlp, waf, signature, protocol, policy, threat
	Severity     string // info low medium high critical
	Why          string // what to make of it, what to do next
	Matches      []Match
	Slice        string   // id for `weir pcap pull --alert`
	CaptureFile  string   // path of the slice
	DropsBefore  uint64   // frames that the interface lost before this event
	Lost         uint64   // capture.drops: of them, since it was told last
	Gaps         uint64   // bytes of the flow that were never seen
	Inside       []string // flow, and alert of the policy: what its packets were taken out of: vxlan, gre ...
	Uninspected  *Uninspected
	Counts       map[string]int // flow: findings per rule in the flow
	Unsure       map[string]int // flow: likewise those that were less sure than the rule asks for
	Verdict      *Verdict       // what the policy says of the conversation
	Offender     *Offender      // who is put into quarantine for it; nil: nobody
	HeldBack     uint64         // alerts of this rule and workload, or drops of this workload, that a rate limit held back before this one
}

// Workload names the container, pod or namespace at one end.
type Workload struct {
	ID, Name, Pod, Namespace, Image string
	Labels                          map[string]string
	Address                         string   // its own address and port, where the event's is one that the host translates: a service's; "": the event's
	Service                         string   // the service's address and port that the client used, where the event's is the workload's own
	Process                         *Process // that has the socket, where it is known
}

// Process is who has a socket.
type Process struct {
	PID  int    `json:"pid"`
	Comm string `json:"comm"` // as the kernel calls it
	Exe  string `json:"exe"`  // path of its program, as it sees it
}

// Names returns what a workload is called: NAMESPACE/POD if it is a pod, and its own name; the first is the one to show. A nil Workload has
// none.
func (w *Workload) Names() []string {
	var out []string
	if w == nil {
		return out
	}
	if w.Pod != "" {
		out = append(out, strings.TrimPrefix(w.Namespace+"/"+w.Pod, "/"))
	}
	if w.Name != "" {
		out = append(out, w.Name)
	}
	return out
}

// Offender is a workload that an alert's rule puts into quarantine.
type Offender struct {
	Workload
	Rule  string   // the alert's; not written
	Allow []string // whom it may still speak with, as the rule says; not written
}

// Match is one finding, masked.
type Match struct {
	Field       string
	Excerpt     string
	Count       int
	Distinct    int
	Confidence  int    // percent
	Level       string // what that means: low, medium, high
	Fingerprint string
}

// Uninspected says what of a flow was not looked at, and why.
type Uninspected struct {
	Reason string
	Bytes  uint64
}

// Verdict is what the policy says of a conversation, or of a message in it.
type Verdict struct {
	Action string // allow, deny, undecided
	Rule   string // id of the rule that decided; "default": none did, hence the mode
	Why    string
	Mode   string // discover, monitor, protect: only in the last is anything stopped
}

// Sink writes events. Write is called by one goroutine at a time and does not keep the Event. Close writes out what is
// buffered.
type Sink interface {
	Write(*Event) error
	Close() error
}
