package enforce

import (
	"errors"
	"fmt"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"weir/broker"
)

// Names in a workload's namespace.
const (
	table       = "weir"
	counterName = "queued"
	queueNumber = 22359 // a number that nobody else takes; every namespace has its own queues
)

// Bits of marks. They were chosen to be nobody else's: Kubernetes takes 0xc000 of a packet's mark, Istio 0x539, AWS's CNI 0x80, Cilium 0xf00 and the
// upper half, which Calico takes too. No other bit is ever changed, neither of a packet's mark nor of a connection's.
const (
	markMask   = 0x3000
	markEpochA = 0x1000 // cleared, and the rules have not changed since
	markEpochB = 0x2000 // likewise: Rejudge goes from one to the other
	markReject = 0x3000 // of a packet alone: refused, and its sender is to be told
)

const (
	priorityQueue  = -10 // before the workload's own filters, after its translation of addresses
	priorityMarked = -5
)

// rules says what is in a namespace.
type rules struct {
	bypass bool
	clear  uint32 // the connection mark that needs no judging; 0: there is no connection tracking
	target bool   // the kernel has no `queue` expression
	icmp   bool   // the kernel sends ICMP errors for us: they are let out
}

// lacksQueue is set once the kernel turned out to have no `queue` expression: it is the same in all namespaces.
var lacksQueue atomic.Bool

// put puts the rules in, in place of what is there, at once for all packets. Packets that wait for their verdict are not touched: chains stay where they are.
func (s rules) put(conn *socket) error {
	m := &conn.out
	m.b = m.b[:0]
	r := beginRules(m, table)
	r.newTable()
	r.newCounter(counterName)
	r.newBranch("ours")
	hooks := []struct {
		name string
		hook uint32
	}{{"input", hookIn}, {"forward", hookForward}, {"output", hookOut}}
	for _, h := range hooks {
		r.newChain(h.name, h.hook, priorityQueue)
		r.newChain(h.name+"-marked", h.hook, priorityMarked)
	}
	r.flush()
	r.ours()
	for _, h := range hooks {
		if h.hook == hookIn { // what goes over loopback is judged as it leaves
			r.add(h.name, loadMeta(metaInType), compare(opEqual, native.AppendUint16(nil, typeLoopback)...), verdict(codeAccept, ""))
		}
		if s.clear != 0 {
			r.add(h.name, loadCt(ctMark), mask(native32(markMask), native32(0)), compare(opEqual, native32(s.clear)...), verdict(codeAccept, ""))
		}
		if h.hook != hookForward {
			r.neighbours(h.name)
		}
		if h.hook == hookOut {
			s.ownAnswers(r, h.name)
		}
		r.add(h.name, count(counterName), toQueue(queueNumber, s.bypass, s.target))
		s.marked(r, h.name+"-marked")
	}
	r.commit()
	return conn.do(nil)
}

// marked adds what becomes of packets that come back from the queue with a mark.
func (s rules) marked(r *ruleset, chain string) {
	is := func(mark uint32) []func(*ruleset) {
		return []func(*ruleset){loadMeta(metaMark), mask32(markMask), compare(opEqual, native32(mark)...)}
	}
	and := func(a []func(*ruleset), b ...func(*ruleset)) []func(*ruleset) { return append(a, b...) }
	r.add(chain, and(and(is(markReject), ofProto(protoTCP)...), reject(rejectReset))...)
	r.add(chain, and(is(markReject), reject(rejectICMP))...)
	r.add(chain, and(is(markReject), verdict(codeDrop, ""))...)
	if s.clear == 0 {
		return
	}
	r.add(chain, and(is(s.clear), loadCt(ctMark), mask(native32(^uint32(markMask)), native32(s.clear)), setCt(ctMark))...)
	for _, epoch := range []uint32{markEpochA, markEpochB} { // the other one's verdict came too late to count
		r.add(chain, and(is(epoch), loadMeta(metaMark), mask32(^uint32(markMask)), setMeta(metaMark))...)
	}
}

func mask32(keep uint32) func(*ruleset) { return mask(native32(keep), native32(0)) }

// neighbours lets through what keeps IPv6 itself alive on a link: neighbour discovery (RFC 4861: a hop limit of 255) and multicast listener reports
// (RFC 2710, RFC 3810: of 1), neither of which any router forwards.
func (r *ruleset) neighbours(chain string) {
	for _, t := range []struct{ from, to, hops byte }{{133, 137, 255}, {130, 132, 1}, {143, 143, 1}} {
		e := append(ofFamily(true), ofProto(icmpV6)...)
		e = append(e, loadBytes(baseNetwork, 7, 1), compare(opEqual, t.hops),
			loadBytes(baseTransport, 0, 1), compare(opAtLeast, t.from), compare(opAtMost, t.to), verdict(codeAccept, ""))
		r.add(chain, e...)
	}
}

// ownAnswers lets out what the kernel tells for us of what was refused: ICMP errors, and resets of connections that never were. A process cannot have sent them. (A reset that
// came to the queue would be lost: it shares the entry of its connection with the packet that was refused, and the kernel does not let two of them wait before it is made.)
func (s rules) ownAnswers(r *ruleset, chain string) {
	r.ownErrors(chain)
	if s.clear != 0 {
		r.add(chain, append(resets(), loadCt(ctStatus), mask32(ctConfirmed), compare(opEqual, 0, 0, 0, 0), verdict(codeJump, "ours"))...)
	}
}

// ownErrors lets out ICMP errors for what is administratively prohibited that no process has sent.
func (r *ruleset) ownErrors(chain string) {
	for _, t := range []struct {
		v6               bool
		proto, typ, code byte
	}{{false, icmpV4, 3, 13}, {true, icmpV6, 1, 1}} {
		e := append(ofFamily(t.v6), ofProto(t.proto)...)
		e = append(e, loadBytes(baseTransport, 0, 2), compare(opEqual, t.typ, t.code), verdict(codeJump, "ours"))
		r.add(chain, e...)
	}
}

// ours fills the chain that lets go of what no process has sent.
func (r *ruleset) ours() {
	r.add("ours", loadMeta(metaUser), compare(opAtLeast, 0, 0, 0, 0), verdict(codeReturn, ""))
	r.add("ours", verdict(codeAccept, ""))
}

// resets matches TCP resets.
func resets() []func(*ruleset) {
	const rst = 4
	return append(ofProto(protoTCP), loadBytes(baseTransport, 13, 1), mask([]byte{rst}, []byte{0}), compare(opEqual, rst))
}

// install puts the rules in, by what the kernel has, and returns what they became.
func install(conn *socket, failure Failure, clear uint32) (rules, error) {
	var err error
	for _, try := range []rules{{clear: clear}, {clear: clear, target: true}, {}, {target: true}} {
		if try.clear == 0 && clear != 0 || lacksQueue.Load() && !try.target {
			continue
		}
		try.bypass = failure == Open
		if err = try.put(conn); err == nil {
			if try.clear == clear && try.target {
				lacksQueue.Store(true)
			}
			return try, nil
		}
		if !errors.Is(err, unix.ENOENT) {
			break
		}
	}
	return rules{}, fmt.Errorf("rules: %w (the kernel needs nf_tables with `queue`, or nft_compat with the target NFQUEUE, and `reject`)", err)
}

// lift takes the queue out of the rules, and leaves all else in place: packets that wait for their verdict are not lost. They would be if a hook went, that of connection tracking as
// well, which is there as long as a rule asks for it.
func (s rules) lift(conn *socket) error {
	conn.out.b = conn.out.b[:0]
	r := beginRules(&conn.out, table)
	r.flush()
	if s.clear != 0 {
		r.add("ours", loadCt(ctMark))
	}
	r.commit()
	return conn.do(nil)
}

// Remove takes the rules out of a namespace, if there are any: those that a daemon left which did not stop by itself, too. Packets that wait in a queue are lost.
func Remove(open Opener) error {
	conn, err := open.socket(broker.Netfilter)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, there, err := queued(conn); err != nil || !there {
		return err
	}
	left, err := longSizes(open, conn) // what it changed is put back, too
	return errors.Join(err, drop(conn, table), restoreSizes(open, left))
}

func drop(conn *socket, name string) error {
	conn.out.b = conn.out.b[:0]
	r := beginRules(&conn.out, name)
	r.remove()
	r.commit()
	if err := conn.do(nil); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("remove table %s: %w", name, err)
	}
	return nil
}

// queued returns how many packets the rules ever sent to the queue. ok is false if the rules are not there.
func queued(conn *socket) (n uint64, ok bool, err error) {
	m := &conn.out
	m.b = m.b[:0]
	m.netfilter(subsysTables, tablesGetObj, 0, familyInet, 0)
	m.text(1, table)
	m.text(2, counterName)
	m.u32(3, 1)
	m.end()
	m.ask()
	err = conn.do(func(typ uint16, body []byte) {
		if len(body) < familyLen {
			return
		}
		if data := within(body[familyLen:], 4); data != nil {
			if v := within(data, 2); len(v) == 8 {
				n, ok = network.Uint64(v), true
			}
		}
	})
	if errors.Is(err, unix.ENOENT) {
		err = nil
	}
	return n, ok, err
}

// within returns the attribute of a type in a list of attributes.
func within(b []byte, typ uint16) []byte {
	for {
		t, data, rest, ok := attribute(b)
		if !ok {
			return nil
		}
		if t == typ {
			return data
		}
		b = rest
	}
}
