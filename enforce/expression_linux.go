package enforce

import "net/netip"

// From the specification: linux/netfilter/nf_tables.h, linux/netfilter.h.
const (
	tablesNewTable = 0 // message types
	tablesGetTable = 1
	tablesDelTable = 2
	tablesNewChain = 3
	tablesGetChain = 4
	tablesNewRule  = 6
	tablesDelRule  = 8
	tablesNewObj   = 18
	tablesGetObj   = 19

	familyInet = 1 // IPv4 and IPv6

	hookIn      = 1
	hookForward = 2
	hookOut     = 3

	metaMark    = 3
	metaInType  = 8
	metaOutType = 9
	metaUser    = 10
	metaFamily  = 15
	metaProto   = 16

	ctStatus    = 2
	ctMark      = 3
	ctConfirmed = 8

	baseNetwork   = 1
	baseTransport = 2

	opEqual   = 0
	opNot     = 1
	opAtMost  = 3
	opAtLeast = 5

	rejectReset      = 1
	rejectICMP       = 2 // of either family
	rejectProhibited = 3 // administratively

	codeDrop   = 0
	codeAccept = 1
	codeReturn = -5
	codeJump   = -3

	register = 1 // the one that is used, 16 bytes

	typeLoopback = 772 // ARPHRD_LOOPBACK
	icmpV4       = 1
	icmpV6       = 58
	protoTCP     = 6
	protoUDP     = 17
	protoSCTP    = 132
)

// ruleset builds a table of rules in a batch of netlink messages.
type ruleset struct {
	*messages
	table string
	list  int // the open list of the present rule
	rule  int // begin of its message
}

// begin starts a batch, that is carried out whole or not at all.
func beginRules(m *messages, table string) *ruleset {
	m.netfilter(0, batchBegin, 0, 0, subsysTables)
	m.end()
	return &ruleset{messages: m, table: table}
}

// commit ends the batch, the last message of which asks for an acknowledgement.
func (r *ruleset) commit() {
	r.ask()
	seq := r.seq
	r.netfilter(0, batchEnd, 0, 0, subsysTables)
	r.end()
	r.seq = seq // the one that is answered
}

func (r *ruleset) newTable() {
	r.netfilter(subsysTables, tablesNewTable, flagCreate, familyInet, 0)
	r.text(1, r.table)
	r.end()
}

// newCounter makes a counter that rules share, and that outlives them.
func (r *ruleset) newCounter(name string) {
	r.netfilter(subsysTables, tablesNewObj, flagCreate, familyInet, 0)
	r.text(1, r.table)
	r.text(2, name)
	r.u32(3, 1) // NFT_OBJECT_COUNTER
	r.messages.close(r.nest(4))
	r.end()
}

// newChain makes a chain at a hook.
func (r *ruleset) newChain(name string, hook uint32, priority int32) {
	r.netfilter(subsysTables, tablesNewChain, flagCreate, familyInet, 0)
	r.text(1, r.table)
	r.text(3, name)
	at := r.nest(4)
	r.u32(1, hook)
	r.u32(2, uint32(priority))
	r.messages.close(at)
	r.u32(5, codeAccept)
	r.text(7, "filter")
	r.end()
}

// newBranch makes a chain that rules may go to.
func (r *ruleset) newBranch(name string) {
	r.netfilter(subsysTables, tablesNewChain, flagCreate, familyInet, 0)
	r.text(1, r.table)
	r.text(3, name)
	r.end()
}

// flush takes all rules out of the table.
func (r *ruleset) flush() {
	r.netfilter(subsysTables, tablesDelRule, 0, familyInet, 0)
	r.text(1, r.table)
	r.end()
}

func (r *ruleset) remove() {
	r.netfilter(subsysTables, tablesDelTable, 0, familyInet, 0)
	r.text(1, r.table)
	r.end()
}

// add adds a rule to a chain: its expressions, in order.
func (r *ruleset) add(chain string, expressions ...func(*ruleset)) {
	r.netfilter(subsysTables, tablesNewRule, flagCreate|flagAppend, familyInet, 0)
	r.text(1, r.table)
	r.text(2, chain)
	list := r.nest(4)
	for _, e := range expressions {
		e(r)
	}
	r.messages.close(list)
	r.end()
}

const (
	flagCreate = 0x400
	flagAppend = 0x800
)

// expression adds an expression by its name and attributes.
func (r *ruleset) expression(name string, attributes func()) {
	at := r.nest(1)
	r.text(1, name)
	data := r.nest(2)
	attributes()
	r.messages.close(data)
	r.messages.close(at)
}

func (r *ruleset) data(typ uint16, value []byte) {
	at := r.nest(typ)
	r.attr(1, value...)
	r.messages.close(at)
}

func loadMeta(key uint32) func(*ruleset) {
	return func(r *ruleset) {
		r.expression("meta", func() { r.u32(2, key); r.u32(1, register) })
	}
}

func setMeta(key uint32) func(*ruleset) {
	return func(r *ruleset) {
		r.expression("meta", func() { r.u32(2, key); r.u32(3, register) })
	}
}

func loadCt(key uint32) func(*ruleset) {
	return func(r *ruleset) {
		r.expression("ct", func() { r.u32(2, key); r.u32(1, register) })
	}
}

func setCt(key uint32) func(*ruleset) {
	return func(r *ruleset) {
		r.expression("ct", func() { r.u32(2, key); r.u32(4, register) })
	}
}

func loadBytes(base, offset, n uint32) func(*ruleset) {
	return func(r *ruleset) {
		r.expression("payload", func() { r.u32(1, register); r.u32(2, base); r.u32(3, offset); r.u32(4, n) })
	}
}

// mask keeps the bits of keep, and flips those of flip then.
func mask(keep, flip []byte) func(*ruleset) {
	return func(r *ruleset) {
		r.expression("bitwise", func() {
			r.u32(1, register)
			r.u32(2, register)
			r.u32(3, uint32(len(keep)))
			r.data(4, keep)
			r.data(5, flip)
		})
	}
}

func compare(op uint32, value ...byte) func(*ruleset) {
	return func(r *ruleset) {
		r.expression("cmp", func() { r.u32(1, register); r.u32(2, op); r.data(3, value) })
	}
}

// end with a verdict.
func verdict(code int32, chain string) func(*ruleset) {
	return func(r *ruleset) {
		r.expression("immediate", func() {
			r.u32(1, 0) // the verdict's register
			at := r.nest(2)
			v := r.nest(2)
			r.u32(1, uint32(code))
			if chain != "" {
				r.text(2, chain)
			}
			r.messages.close(v)
			r.messages.close(at)
		})
	}
}

func count(counter string) func(*ruleset) {
	return func(r *ruleset) {
		r.expression("objref", func() { r.u32(1, 1); r.text(2, counter) })
	}
}

func reject(typ uint32) func(*ruleset) {
	return func(r *ruleset) {
		r.expression("reject", func() { r.u32(1, typ); r.attr(2, rejectProhibited) })
	}
}

// native32 is a value as the kernel holds it in a register.
func native32(v uint32) []byte { return native.AppendUint32(nil, v) }

// toQueue sends packets to a queue. Kernels without the expression `queue` have the target of iptables, which means the same.
func toQueue(number uint16, bypass, target bool) func(*ruleset) {
	flags := uint16(0)
	if bypass {
		flags = 1
	}
	return func(r *ruleset) {
		if !target {
			r.expression("queue", func() { r.u16(1, number); r.u16(2, 1); r.u16(3, flags) })
			return
		}
		r.expression("target", func() {
			r.text(1, "NFQUEUE")
			r.u32(2, 3)
			info := native.AppendUint16(nil, number)
			info = native.AppendUint16(info, 1) // queues
			info = native.AppendUint16(info, flags)
			r.attr(3, append(info, 0, 0)...)
		})
	}
}

// ofFamily matches packets of a prefix's family.
func ofFamily(v6 bool) []func(*ruleset) {
	family := byte(2)
	if v6 {
		family = 10
	}
	return []func(*ruleset){loadMeta(metaFamily), compare(opEqual, family)}
}

// ofProto matches packets of a protocol.
func ofProto(proto uint8) []func(*ruleset) {
	return []func(*ruleset){loadMeta(metaProto), compare(opEqual, proto)}
}

// inPrefix matches packets whose source, or destination, is in a prefix.
func inPrefix(p netip.Prefix, source bool) []func(*ruleset) {
	p = p.Masked()
	addr := p.Addr().AsSlice()
	offset := uint32(12)
	if p.Addr().Is6() {
		offset = 8
	}
	if !source {
		offset += uint32(len(addr))
	}
	e := append(ofFamily(p.Addr().Is6()), loadBytes(baseNetwork, offset, uint32(len(addr))))
	if p.Bits() < p.Addr().BitLen() {
		keep := make([]byte, len(addr))
		for i := range p.Bits() {
			keep[i/8] |= 0x80 >> (i % 8)
		}
		e = append(e, mask(keep, make([]byte, len(addr))))
	}
	return append(e, compare(opEqual, addr...))
}
