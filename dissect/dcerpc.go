package dissect

import (
	"errors"
	"strconv"

	"weir/wire"
)

// DCERPC is DCE/RPC over TCP.
var DCERPC = Protocol{
	Name: "dcerpc",
	About: "DCE/RPC over TCP: C706, MS-RPCE. A bind or a request with its answer is an exchange with an event `dcerpc`: interfaces, operation, sizes. What is " +
		"sent with a request is seen as it comes; strings in it are UTF-16. Packets that are encrypted are counted as not looked into.",
	Carrier: Stream,
	Ports:   []uint16{135, 593, 49152},
	Probe:   probeDCERPC,
	Fields: []FieldSpec{
		rpcCallID:    {Name: "dcerpc.call_id", Doc: "number of the call", EVE: "call_id", Number: true, Derived: true},
		rpcVersion:   {Name: "dcerpc.rpc_version", Doc: "version of the protocol", EVE: "rpc_version", Derived: true},
		rpcRequest:   {Name: "dcerpc.request", Doc: "`BIND`, `ALTER_CONTEXT` or `REQUEST`", EVE: "request", Derived: true},
		rpcResponse:  {Name: "dcerpc.response", Doc: "`BINDACK`, `BINDNAK`, `ALTER_CONTEXT_RESP`, `RESPONSE` or `FAULT`", EVE: "response", Derived: true},
		rpcOperation: {Name: "dcerpc.opnum", Doc: "number of the operation", EVE: "req/opnum", Number: true, Derived: true},
		rpcReqFrags:  {Name: "dcerpc.request_fragments", Doc: "fragments of the request", EVE: "req/frag_cnt", Number: true, Derived: true},
		rpcReqSize:   {Name: "dcerpc.request_size", Doc: "bytes that are sent with it", EVE: "req/stub_data_size", Number: true, Derived: true},
		rpcResFrags:  {Name: "dcerpc.response_fragments", Doc: "fragments of the answer", EVE: "res/frag_cnt", Number: true, Derived: true},
		rpcResSize:   {Name: "dcerpc.response_size", Doc: "bytes that are sent with it", EVE: "res/stub_data_size", Number: true, Derived: true},
		rpcUUID:      {Name: "dcerpc.interface", Doc: "UUID of an interface that is bound, a value for each", EVE: "interfaces.uuid", Derived: true},
		rpcIfVersion: {Name: "dcerpc.interface_version", Doc: "its version", EVE: "interfaces.version", Derived: true},
		rpcService:   {Name: "dcerpc.service", Doc: "name of the interface, if it is well known, of requests too", EVE: "interfaces.service", Derived: true},
		rpcUser:      {Name: "dcerpc.ntlmssp.user", Doc: "domain and user that the client logs in as, in NTLM's messages", EVE: "ntlmssp/user"},
		rpcHost:      {Name: "dcerpc.ntlmssp.host", Doc: "what it calls itself", EVE: "ntlmssp/host"},
		rpcStub:      {Name: "dcerpc.stub", Doc: "what is sent with a request or an answer"},
	},
	New: func(p *Protocol, env *Env) Dissector { return &dcerpc{chat: chat{p: p, env: env}} },
}

// DCERPCUDP is DCE/RPC over UDP.
var DCERPCUDP = Protocol{
	Name:    "dcerpc",
	About:   "DCE/RPC over UDP (C706): flows are named by packets' headers.",
	Carrier: Datagram,
	Ports:   []uint16{135, 34964},
	Probe:   probeDCERPCUDP,
}

// Fields of DCERPC, in the order of its Fields.
const (
	rpcCallID Field = iota
	rpcVersion
	rpcRequest
	rpcResponse
	rpcOperation
	rpcReqFrags
	rpcReqSize
	rpcResFrags
	rpcResSize
	rpcUUID
	rpcIfVersion
	rpcService
	rpcUser
	rpcHost
	rpcStub
)

// from the specification
const (
	rpcPtRequest  = 0
	rpcPtResponse = 2
	rpcPtFault    = 3
	rpcPtBind     = 11
	rpcPtAuth3    = 16
	rpcLast       = 2    // flag of the last fragment
	rpcHasObject  = 0x80 // flag of a request
	rpcPrivacy    = 6    // level of authentication that encrypts
)

// ours
const (
	maxRPCPending  = 64 // calls that wait for their answers
	maxRPCContexts = 16 // interfaces that are remembered by their numbers
)

var errDCERPC = errors.New("dcerpc: not a packet")

// rpcCall is a call under way.
type rpcCall struct {
	id     uint32
	tx     uint64
	frags  [2]int64
	bytes  [2]int64
	opnum  int64
	member string // its interface
}

type rpcContext struct {
	id   uint16
	name string
}

// dcerpc parses one flow.
type dcerpc struct {
	chat
	pending  []rpcCall
	contexts []rpcContext
	stub     [2]uint32 // number of the value that fragments make up; 0: none has come
	off      [2]int64
}

// Feed implements Dissector.
func (d *dcerpc) Feed(dir wire.Dir, data []byte, emit func(*Message)) (pr Progress, err error) {
	for pr.Used < len(data) {
		b := data[pr.Used:]
		if len(b) >= 2 && (b[0] != 5 || b[1] > 1) {
			return pr, errDCERPC
		}
		n := rpcHeader
		if len(b) >= rpcHeader {
			if n = int(rpcOrder(b[4]).Uint16(b[8:])); n < rpcHeader {
				return pr, errDCERPC
			}
		}
		if len(b) < n {
			if d.closed[dir] {
				return pr, nil // what is no packet is inspected raw
			}
			pr.Need = n - len(b)
			return pr, nil
		}
		opaque, passed := d.packet(dir, b[:n], emit)
		pr.Opaque += opaque
		pr.Passed += passed
		pr.Used += n
	}
	return pr, nil
}

// packet takes a packet, which is a fragment of a call or its answer. It returns how much of it is ciphertext, and
// how much says nothing.
func (d *dcerpc) packet(dir wire.Dir, b []byte, emit func(*Message)) (opaque, passed int) {
	order := rpcOrder(b[4])
	typ, flags, id, auth := b[2], b[3], order.Uint32(b[12:]), int(order.Uint16(b[10:]))
	end := len(b)
	if auth > 0 && auth+8 <= end-rpcHeader {
		end -= auth + 8
	} else {
		auth = 0
	}
	response := typ == rpcPtResponse || typ == rpcPtFault || typ > rpcPtBind && typ != 14 && typ < 16
	i := d.call(id)
	if i < 0 {
		if len(d.pending) >= maxRPCPending {
			d.pending = d.pending[:copy(d.pending, d.pending[1:])]
		}
		d.pending = append(d.pending, rpcCall{id: id, tx: d.next(), opnum: -1})
		i = len(d.pending) - 1
	}
	q := &d.pending[i]
	if u := &d.unit[dir]; u.id != 0 && u.tx != q.tx { // fragments of another call
		d.over(dir, false, emit)
	}
	if d.unit[dir].id == 0 {
		d.stub[dir] = 0
	}
	t := d.message(dir, q.tx, emit)
	if q.frags == [2]int64{} {
		t.number(rpcCallID, int64(id))
		t.addString(rpcVersion, "5."+strconv.Itoa(int(b[1])))
	}
	side := 0
	if response {
		side = 1
	}
	name := rpcNames[typ%20]
	if q.frags[side]++; q.frags[side] == 1 && name != "" {
		t.addString(rpcRequest+Field(side), name)
	}
	level := byte(0)
	if auth > 0 {
		level = b[end+1]
		d.ntlm(t, b[end+8:])
	}
	at := 24
	switch typ {
	case rpcPtBind, 14:
		d.bind(t, b)
	case rpcPtRequest:
		if flags&rpcHasObject != 0 {
			at = 40
		}
		if len(b) >= 24 && q.frags[0] == 1 {
			q.opnum, q.member = int64(order.Uint16(b[22:])), d.contextName(order.Uint16(b[20:]))
			t.number(rpcOperation, q.opnum)
			if q.member != "" {
				ldapCell(t, t.value(), rpcService, []byte(q.member))
			}
		}
		fallthrough
	case rpcPtResponse:
		if stub := end - at; stub > 0 {
			if level == rpcPrivacy {
				opaque = stub
			} else if t.wants(rpcStub) {
				if d.stub[dir] == 0 {
					d.stub[dir], d.off[dir] = t.value(), 0
				}
				t.part(Part{Field: rpcStub, Value: d.stub[dir], Off: d.off[dir], Bytes: b[at:end], More: flags&rpcLast == 0})
				d.off[dir] += int64(stub)
			}
			q.bytes[side] += int64(stub)
		}
	case rpcPtFault, 12, 13, 15, rpcPtAuth3:
	default: // there is none such, or nothing in it
		passed = len(b) - rpcHeader
	}
	if flags&rpcLast == 0 {
		t.flush(false, false)
		return opaque, passed
	}
	if typ == rpcPtRequest || typ == rpcPtResponse {
		t.number(rpcReqFrags+Field(2*side), q.frags[side])
		t.number(rpcReqSize+Field(2*side), q.bytes[side])
	}
	ends := response || typ == rpcPtAuth3
	if ends {
		d.pending = append(d.pending[:i], d.pending[i+1:]...)
	}
	d.over(dir, ends, emit)
	return opaque, passed
}

// rpcNames are the names of packets.
var rpcNames = [20]string{0: "REQUEST", 2: "RESPONSE", 3: "FAULT", 11: "BIND", 12: "BINDACK", 13: "BINDNAK", 14: "ALTER_CONTEXT", 15: "ALTER_CONTEXT_RESP", 16: "AUTH3"}

func (d *dcerpc) call(id uint32) int {
	for i := range d.pending {
		if d.pending[i].id == id {
			return i
		}
	}
	return -1
}

// bind tells of the interfaces that a client binds.
func (d *dcerpc) bind(t *teller, b []byte) {
	order := rpcOrder(b[4])
	if len(b) < 28 {
		return
	}
	at := 28
	for range min(int(b[24]), maxRPCContexts) {
		if at+24 > len(b) {
			return
		}
		row := t.value()
		id, n := order.Uint16(b[at:]), int(b[at+2])
		uuid := t.write(func(out []byte) []byte { return appendUUID(out, b[at+4:at+20], b[4]&0x10 != 0) })
		ldapCell(t, row, rpcUUID, uuid)
		ldapCell(t, row, rpcIfVersion, t.write(func(out []byte) []byte {
			out = strconv.AppendUint(out, uint64(order.Uint16(b[at+20:])), 10)
			return strconv.AppendUint(append(out, '.'), uint64(order.Uint16(b[at+22:])), 10)
		}))
		if name := rpcInterfaces[string(uuid)]; name != "" {
			ldapCell(t, row, rpcService, []byte(name))
			if len(d.contexts) < maxRPCContexts {
				d.contexts = append(d.contexts, rpcContext{id, name})
			}
		}
		at += 24 + 20*n
	}
}

func (d *dcerpc) contextName(id uint16) string {
	for i := len(d.contexts) - 1; i >= 0; i-- {
		if d.contexts[i].id == id {
			return d.contexts[i].name
		}
	}
	return ""
}

// appendUUID writes 16 bytes as a UUID.
func appendUUID(out, b []byte, little bool) []byte {
	const digits = "0123456789abcdef"
	order := [...]int{0, 1, 2, 3, 4, 5, 6, 7}
	if little {
		order = [...]int{3, 2, 1, 0, 5, 4, 7, 6}
	}
	for i := range 16 {
		at := i
		if i < len(order) {
			at = order[i]
		}
		if i == 4 || i == 6 || i == 8 || i == 10 {
			out = append(out, '-')
		}
		out = append(out, digits[b[at]>>4], digits[b[at]&15])
	}
	return out
}

// ntlm tells of the user in NTLM's messages.
func (d *dcerpc) ntlm(t *teller, b []byte) {
	if n, ok := readNTLM(b); ok && n.typ == ntlmAuthenticate {
		t.add(rpcUser, t.write(n.appendFull))
		t.add(rpcHost, t.write(func(out []byte) []byte { return n.appendName(out, n.host) }))
	}
}

// rpcInterfaces are the names of well-known interfaces.
var rpcInterfaces = map[string]string{
	"e1af8308-5d1f-11c9-91a4-08002b14a0fa": "epmapper", "afa8bd80-7d8a-11c9-bef4-08002b102989": "mgmt", "e3514235-4b06-11d1-ab04-00c04fc2dcd2": "drsuapi",
	"12345678-1234-abcd-ef00-01234567cffb": "netlogon", "12345778-1234-abcd-ef00-0123456789ab": "lsarpc", "12345778-1234-abcd-ef00-0123456789ac": "samr",
	"367abb81-9844-35f1-ad32-98f038001003": "svcctl", "4b324fc8-1670-01d3-1278-5a47bf6ee188": "srvsvc", "6bffd098-a112-3610-9833-46c3f87e345a": "wkssvc",
	"338cd001-2244-31f1-aaaa-900038001003": "winreg", "1ff70682-0a51-30e8-076d-740be8cee98b": "atsvc", "86d35949-83c9-4044-b424-db363231fd0c": "itaskscheduler",
	"c681d488-d850-11d0-8c52-00c04fd90f7e": "efsrpc", "df1941c5-fe89-4e79-bf10-463657acf44d": "efsr", "3919286a-b10c-11d0-9ba8-00c04fd92ef5": "dssetup",
	"12345678-1234-abcd-ef00-0123456789ab": "spoolss", "000001a0-0000-0000-c000-000000000046": "isystemactivator", "99fcfec4-5260-101b-bbcb-00aa0021347a": "ioxidresolver",
	"00000131-0000-0000-c000-000000000046": "iremunknown", "00000143-0000-0000-c000-000000000046": "iremunknown2", "4fc742e0-4a10-11cf-8273-00aa004ae673": "netdfs",
}

// Gap implements Dissector.
func (d *dcerpc) Gap(dir wire.Dir, n int, emit func(*Message)) bool { return false }

// Close implements Dissector.
func (d *dcerpc) Close(dir wire.Dir, emit func(*Message)) {
	d.closed[dir] = true
	d.over(dir, false, emit)
	if d.closed[dir.Other()] {
		for _, q := range d.pending {
			d.unanswered(dir, q.tx, emit)
		}
		d.pending = nil
	}
}

// Rest implements Dissector.
func (d *dcerpc) Rest() (Rest, bool) { return Rest{}, false }

// Size implements Dissector.
func (d *dcerpc) Size() int { return 200 + 96*cap(d.pending) + 32*cap(d.contexts) }
