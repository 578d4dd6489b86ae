// Package policy says who may talk to whom, and in which words. It reads policy files into a Set, compiles a Set into a Policy, and that decides. Deciding is pure: no I/O,
// no clock, no allocation. What a verdict is good for — telling, stopping — is others' business.
package policy

import (
	"net/netip"

	"weir/rules"
)

// Action is what becomes of a conversation, or of a message.
type Action uint8

const (
	Undecided Action = iota // not known yet: ask again when more of it is
	Allow
	Deny
)

// Actions names the actions, by value, as events write them; files know the last two.
var Actions = []string{"undecided", "allow", "deny"}

func (a Action) String() string { return name(Actions, int(a)) }

// Mode is what is done with verdicts. A greater one is stricter.
type Mode uint8

const (
	Discover Mode = iota // nothing is told: what is said is learned
	Monitor              // what would be denied is told
	Protect              // and stopped
)

// Modes names the modes, by value.
var Modes = []string{"discover", "monitor", "protect"}

func (m Mode) String() string { return name(Modes, int(m)) }

// Failure is what becomes of traffic that nobody can judge.
type Failure uint8

const (
	Open   Failure = iota // it passes
	Closed                // it is stopped
)

// Failures names them, by value.
var Failures = []string{"open", "closed"}

func (f Failure) String() string { return name(Failures, int(f)) }

func name(names []string, i int) string {
	if i < len(names) {
		return names[i]
	}
	return "?"
}

// Default is the key of Set.Modes and Set.Failure for the groups that have none of their own. It is no group's name.
const Default = "default"

// The groups that are built in.
const (
	External = "external" // addresses beyond private networks that belong to no workload of this host
	Host     = "host"     // the host itself
	Unknown  = "unknown"  // no workload, not the host, not external, in no group of the files: nobody knows who it is
)

// Builtin are the groups that are built in: no file may define one.
var Builtin = []string{External, Host, Unknown}

// Set is what policy files say, validated. It is immutable.
type Set struct {
	Groups  []Group            // in file order
	Rules   []Rule             // likewise: the first that matches decides
	Modes   map[string]Mode    // by group; Default is the key of the default, which is Discover if there is none
	Failure map[string]Failure // likewise; the default of the default is Open
	Files   []string           // what was read, in order
}

// Group is one [[groups]] table: ends of conversations that have something in common.
type Group struct {
	Name    string
	Match   []rules.Ends // one line must hold; a group without any has no members
	Comment string
	Pos     rules.Pos
}

// Rule is one [[policy]] table.
type Rule struct {
	ID        string
	From      []string // groups; empty: anybody
	To        []string
	Ports     []Port      // empty: any
	Protocol  string      // "": any
	Where     []Condition // in file order; all must hold
	Action    Action      // Allow or Deny
	Undecided Deadline    // what becomes of a flow for which it is not known in time whether the rule matches
	Comment   string
	Owner     string
	Expires   string // last day on which it applies, YYYY-MM-DD, UTC; "" never ends
	Pos       rules.Pos
}

// Port is a range of ports of an IP protocol. ICMP has types and codes in place of ports: type<<8 | code.
type Port struct {
	Proto    uint8 // IP protocol
	Low, Top uint16
}

// Condition is what a rule asks of a message's field. The message must have it, unless one of the patterns is "". Of a rule that allows, every value of the field
// must match one of the patterns; of one that denies, one value.
type Condition struct {
	Field    string
	Patterns []string
}

// Deadline says how long a flow may stay undecided, and what then becomes of it.
type Deadline struct {
	Bytes   int // of the initiator, held or passed
	Seconds int // since its first byte: a connection on which nothing is said may wait
	Action  Action
}

// DefaultDeadline is that of rules which do not say.
var DefaultDeadline = Deadline{Bytes: 4096, Seconds: 5, Action: Deny}

// Subject is one end of a conversation.
type Subject struct {
	Name, Pod, Namespace, Image string
	Labels                      map[string]string
	Addr                        netip.Addr
	Names                       []string // DNS names that were seen to lead to Addr
	Workload                    bool     // a container, pod or network namespace of this host
	Host                        bool     // the host itself
}

// Identity is a set of groups: subjects in the same groups have the same. It belongs to the Policy that gave it. Nobody is the group `unknown` alone.
type Identity uint32

// Nobody is the Identity of an end about which nothing is known.
const Nobody Identity = 0

// Protocol numbers of a Context beside those of dissect.
const (
	AppNone    = -1 // not known yet
	AppUnknown = -2 // nobody understands it: final
)

// Context is what is known of a conversation when the policy is asked. It is borrowed; Decide keeps nothing of it.
type Context struct {
	From, To Identity // initiator, responder
	Proto    uint8    // IP protocol
	Port     uint16   // the responder's; ICMP: type<<8 | code; 0 where there are none
	App      int      // number of the protocol, as protocolOf gives it; AppNone, AppUnknown
	Could    []uint64 // with AppNone, what it may still be: bit n for protocol n; nil: anything
	Fields   *Fields  // of the present message of the initiator; nil: none is there yet
}

// Verdict is what a policy says to a Context.
type Verdict struct {
	Action Action
	Mode   Mode
	// Final: whatever the flow says later, in whatever protocol, the action is the same.
	Final bool
	// Settled: so it is as long as the flow stays with its protocol.
	Settled bool
	Rule    int32  // index into Set.Rules of the rule that decides; if undecided, of the first that cannot be judged; -1: none, no rule matches
	Why     string // constant
}
