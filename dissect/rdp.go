package dissect

import (
	"bytes"
	"encoding/binary"
	"errors"

	"weir/wire"
)

// RDP is the Remote Desktop Protocol.
var RDP = Protocol{
	Name: "rdp",
	About: "RDP: MS-RDPBCGR. What both ends agree on before anything else is one exchange with an event `rdp`; what follows is looked at anew where that is TLS, else " +
		"inspected as it is.",
	Carrier: Stream,
	Ports:   []uint16{3389},
	Probe:   probeRDP,
	Fields: []FieldSpec{
		rdpCookie:    {Name: "rdp.cookie", Doc: "user that the client names for the balancing of load", EVE: "cookie"},
		rdpOffered:   {Name: "rdp.offered", Doc: "kinds of security that it offers, a value for each: `tls`, `credssp`, `rdstls`, `credssp_early`", EVE: "offered[]", Derived: true},
		rdpProtocol:  {Name: "rdp.protocol", Doc: "what the server chose: one of those, or `rdp`", EVE: "protocol", Derived: true},
		rdpErrorCode: {Name: "rdp.error_code", Doc: "number of the reason why it refused", EVE: "error_code", Number: true, Derived: true},
		rdpData:      {Name: "rdp.data", Doc: "what follows without TLS, in messages as they came"},
	},
	New: func(p *Protocol, env *Env) Dissector { return &rdp{chat: chat{p: p, env: env}} },
}

// RDPUDP is RDP over UDP.
var RDPUDP = Protocol{
	Name:    "rdp",
	About:   "RDP over UDP: MS-RDPEUDP. Flows are named by the first datagram.",
	Carrier: Datagram,
	Ports:   []uint16{3389},
	Probe:   probeRDPUDP,
}

// Fields of RDP, in the order of RDP.Fields.
const (
	rdpCookie Field = iota
	rdpOffered
	rdpProtocol
	rdpErrorCode
	rdpData
)

var (
	errRDP   = errors.New("rdp: not a message")
	rdpKinds = [...]string{"tls", "credssp", "rdstls", "credssp_early"}
)

// rdp parses one flow.
type rdp struct {
	chat
	begun [2]bool // the first message was seen
	value [2]uint32
	off   [2]int64
}

// Feed implements Dissector.
func (d *rdp) Feed(dir wire.Dir, data []byte, emit func(*Message)) (pr Progress, err error) {
	if !d.begun[dir] {
		var up bool
		if pr, up, err = d.first(dir, data, emit); err != nil || up || !d.begun[dir] || pr.Used == len(data) {
			return pr, err
		}
		data = data[pr.Used:]
	}
	t := d.message(dir, uint64(dir)+2, emit)
	if t.wants(rdpData) {
		if d.value[dir] == 0 {
			d.value[dir] = t.value()
		}
		t.run(rdpData, d.value[dir], d.off[dir], data)
	}
	d.off[dir] += int64(len(data))
	t.flush(false, false)
	return Progress{Used: pr.Used + len(data)}, nil
}

// first takes the message that a connection begins with. up says that TLS follows.
func (d *rdp) first(dir wire.Dir, data []byte, emit func(*Message)) (pr Progress, up bool, err error) {
	n := tpktHeader + cotpFixed
	if len(data) >= n {
		if n = int(binary.BigEndian.Uint16(data[2:])); data[0] != 3 || n < tpktHeader+cotpFixed {
			return pr, false, errRDP
		}
	}
	if len(data) < n {
		if d.closed[dir] {
			return Progress{}, false, nil // it is inspected raw
		}
		return Progress{Need: n - len(data)}, false, nil
	}
	d.begun[dir] = true
	t := d.message(dir, 1, emit)
	rest := data[tpktHeader+cotpFixed : n]
	if i := bytes.Index(rest, []byte("mstshash=")); i >= 0 && dir == wire.ToServer {
		name, _, _ := bytes.Cut(rest[i+len("mstshash="):], []byte("\r\n"))
		t.add(rdpCookie, name)
	}
	if len(rest) >= 8 {
		neg := rest[len(rest)-8:]
		kind := binary.LittleEndian.Uint32(neg[4:])
		switch {
		case dir == wire.ToServer && neg[0] == 1:
			for i, name := range rdpKinds {
				if kind>>i&1 != 0 {
					t.addString(rdpOffered, name)
				}
			}
		case dir == wire.ToClient && neg[0] == 2:
			name := "rdp"
			for i := range rdpKinds {
				if kind == 1<<i {
					name, up = rdpKinds[i], true
				}
			}
			t.addString(rdpProtocol, name)
		case dir == wire.ToClient && neg[0] == 3:
			t.number(rdpErrorCode, int64(kind))
		}
	} else if dir == wire.ToClient {
		t.addString(rdpProtocol, "rdp")
	}
	if up {
		d.upgrade(dir, emit)
	} else {
		d.over(dir, dir == wire.ToClient, emit)
	}
	return Progress{Used: n}, up, nil
}

// Gap implements Dissector.
func (d *rdp) Gap(dir wire.Dir, n int, emit func(*Message)) bool {
	d.off[dir] += int64(n)
	return d.begun[dir]
}

// Close implements Dissector.
func (d *rdp) Close(dir wire.Dir, emit func(*Message)) {
	if d.closed[dir] {
		return
	}
	d.closed[dir] = true
	if u := &d.unit[dir]; u.id != 0 {
		if v := d.value[dir]; v != 0 {
			d.message(dir, 0, emit).part(Part{Field: rdpData, Value: v, Off: d.off[dir]})
		}
		d.over(dir, true, emit)
	}
}

// Rest implements Dissector.
func (d *rdp) Rest() (Rest, bool) { return Rest{}, false }

// Size implements Dissector.
func (d *rdp) Size() int { return 160 }
