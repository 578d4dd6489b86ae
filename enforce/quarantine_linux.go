package enforce

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"weir/broker"
)

// From the specification.
const priorityQuarantine = -20 // before Weir's queue, after the workload's own translation of addresses

const quarantineTable = "weir-quarantine"

// Allow names whom a workload in quarantine may still speak with.
type Allow struct {
	Peer  netip.Prefix
	Proto uint8  // IP protocol; 0: any
	Port  uint16 // of either end, of TCP, UDP or SCTP; 0: any
}

// Quarantine cuts the workload of a namespace off from everybody but those who are allowed, until Lift, whether or not anything of Weir runs meanwhile. Of a workload that is
// in quarantine it replaces the list, at once. Ends of connections that are open get a reset, or an ICMP error, when they send next.
func Quarantine(open Opener, allowed []Allow) error {
	conn, err := open.socket(broker.Netfilter)
	if err != nil {
		return err
	}
	defer conn.Close()
	r := beginRules(&conn.out, quarantineTable)
	r.newTable()
	r.newCounter(counterName)
	r.newBranch("ours")
	r.newChain("input", hookIn, priorityQuarantine)
	r.newChain("forward", hookForward, priorityQuarantine)
	r.newChain("output", hookOut, priorityQuarantine)
	r.flush()
	r.ours()
	for chain, key := range map[string]uint32{"input": metaInType, "output": metaOutType} {
		r.add(chain, loadMeta(key), compare(opEqual, native.AppendUint16(nil, typeLoopback)...), verdict(codeAccept, ""))
		r.neighbours(chain)
		for _, a := range allowed {
			r.allow(chain, a, chain == "input")
		}
	}
	r.ownErrors("output")
	r.add("output", append(resets(), verdict(codeJump, "ours"))...)
	for _, chain := range []string{"input", "forward", "output"} {
		r.add(chain, append(append([]func(*ruleset){count(counterName)}, ofProto(protoTCP)...), reject(rejectReset))...)
		r.add(chain, reject(rejectICMP))
		r.add(chain, verdict(codeDrop, ""))
	}
	r.commit()
	if err := conn.do(nil); err != nil {
		return fmt.Errorf("quarantine: %w (the kernel needs nf_tables with `reject`)", err)
	}
	return nil
}

// Lift ends a quarantine, if there is one.
func Lift(open Opener) error {
	conn, err := open.socket(broker.Netfilter)
	if err != nil {
		return err
	}
	defer conn.Close()
	return drop(conn, quarantineTable)
}

// Quarantined reports whether the workload of a namespace is in quarantine: after a restart the namespace knows.
func Quarantined(open Opener) (bool, error) {
	conn, err := open.socket(broker.Netfilter)
	if err != nil {
		return false, err
	}
	defer conn.Close()
	m := &conn.out
	m.netfilter(subsysTables, tablesGetTable, 0, familyInet, 0)
	m.text(1, quarantineTable)
	m.end()
	m.ask()
	err = conn.do(nil)
	if errors.Is(err, unix.ENOENT) {
		return false, nil
	}
	return err == nil, err
}

// allow adds the rules for one peer.
func (r *ruleset) allow(chain string, a Allow, source bool) {
	matches := inPrefix(a.Peer, source)
	if a.Proto != 0 {
		matches = append(matches, ofProto(a.Proto)...)
	}
	if a.Port == 0 {
		r.add(chain, append(matches, verdict(codeAccept, ""))...)
		return
	}
	protos := []uint8{a.Proto}
	if a.Proto == 0 { // others have no ports there
		protos = []uint8{protoTCP, protoUDP, protoSCTP}
	}
	for _, proto := range protos {
		for _, offset := range []uint32{0, 2} {
			e := append(inPrefix(a.Peer, source), ofProto(proto)...)
			r.add(chain, append(e, loadBytes(baseTransport, offset, 2), compare(opEqual, byte(a.Port>>8), byte(a.Port)), verdict(codeAccept, ""))...)
		}
	}
}
