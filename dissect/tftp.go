package dissect

import (
	"bytes"

	"weir/wire"
)

// TFTP is the Trivial File Transfer Protocol: RFC 1350, options RFC 2347. The server answers from another port: that flow is known by what was
// asked for in the first.
var TFTP = Protocol{
	Name: "tftp",
	About: "TFTP (RFC 1350, RFC 2347). A request has an event `tftp`. The file comes in a flow of its own, between the client's port and a new " +
		"one of the server's: its blocks are inspected, in order, as one value.",
	Carrier: Datagram, Ports: []uint16{69}, Probe: probeTFTP, Expected: expectTFTP, PerMessage: true, New: newTFTP,
	Fields: []FieldSpec{
		tftpPacket: {Name: "tftp.packet", Doc: "`read` or `write`", EVE: "packet", Derived: true},
		tftpFile:   {Name: "tftp.file", Doc: "name of the file", EVE: "file"},
		tftpMode:   {Name: "tftp.mode", Doc: "`octet` or `netascii`", EVE: "mode", Derived: true},
		tftpOption: {Name: "tftp.option", Doc: "options, names and values in turn; a value for each"},
		tftpError:  {Name: "tftp.error", Doc: "what went wrong"},
		tftpData:   {Name: "tftp.data", Doc: "the file", File: File},
		tftpName:   {Name: "tftp.transfer", Doc: "name of the file, where it is transferred", Derived: true, File: FileName},
	},
}

// Fields of TFTP.
const (
	tftpPacket Field = iota
	tftpFile
	tftpMode
	tftpOption
	tftpError
	tftpData
	tftpName
)

// from the specification
const (
	tftpRead  = 1
	tftpWrite = 2
	tftpBlock = 3
	tftpAck   = 4
	tftpFault = 5
	tftpOAck  = 6
)

// tftp parses one flow.
type tftp struct {
	p     *Protocol
	env   *Env
	name  string // of the file that the flow was announced for
	id    uint64
	file  [2]unit   // of the blocks of both directions; id 0: none yet
	off   [2]int64  // bytes of the file that came
	block [2]uint16 // number of the last block
}

func newTFTP(p *Protocol, env *Env) Dissector { return &tftp{p: p, env: env, name: env.Announced} }

func probeTFTP(_ wire.Dir, head []byte) Guess {
	_, _, _, ok := tftpRequest(head)
	if ok {
		return Yes
	}
	return No
}

// tftpRequest takes a request apart: a name, and a mode that is known.
func tftpRequest(b []byte) (op uint8, file, mode []byte, ok bool) {
	if len(b) < 6 || b[0] != 0 || b[1] != tftpRead && b[1] != tftpWrite || b[len(b)-1] != 0 {
		return 0, nil, nil, false
	}
	file, rest, _ := bytes.Cut(b[2:], []byte{0})
	mode, _, ok = bytes.Cut(rest, []byte{0})
	if !ok || len(file) == 0 {
		return 0, nil, nil, false
	}
	for _, m := range []string{"octet", "netascii", "mail", "binary"} {
		if bytes.EqualFold(mode, []byte(m)) {
			return b[1], file, mode, true
		}
	}
	return 0, nil, nil, false
}

// expectTFTP says Yes to what comes first in the flow of a transfer: a first block, its acknowledgement, options or an error.
func expectTFTP(_ wire.Dir, b []byte) Guess {
	c := wire.Cut(b)
	op, n := c.U16(), c.U16()
	switch {
	case op == tftpOAck && len(b) > 4 && b[len(b)-1] == 0, op == tftpBlock && n == 1, op == tftpAck && n <= 1 && len(b) == 4,
		op == tftpFault && n <= 8 && len(b) > 4 && b[len(b)-1] == 0:
		return Yes
	}
	return No
}

// Feed implements Dissector.
func (d *tftp) Feed(dir wire.Dir, b []byte, emit func(*Message)) (Progress, error) {
	if op, file, mode, ok := tftpRequest(b); ok {
		d.id++
		u := unit{id: d.id, tx: d.id}
		t := d.env.teller(d.p, dir, &u, emit)
		t.addString(tftpPacket, [...]string{tftpRead: "read", tftpWrite: "write"}[op])
		t.add(tftpFile, file)
		t.add(tftpMode, mode)
		d.options(t, b[2+len(file)+1+len(mode)+1:])
		t.expect(Expectation{Protocol: d.p, Side: dir, Name: string(file)})
		t.flush(true, true)
		return Progress{Used: len(b)}, nil
	}
	c := wire.Cut(b)
	op, n := c.U16(), c.U16()
	if c.Short() && op != tftpOAck || op < tftpBlock || op > tftpOAck {
		return Progress{}, errDatagram
	}
	switch op {
	case tftpBlock:
		d.data(dir, n, c.Rest(), emit)
	case tftpFault, tftpOAck:
		d.id++
		u := unit{id: d.id, tx: d.id}
		t := d.env.teller(d.p, dir, &u, emit)
		if op == tftpFault {
			t.padded(tftpError, c.Rest())
		} else {
			d.options(t, b[2:])
		}
		t.flush(true, true)
	}
	return Progress{Used: len(b)}, nil
}

func (d *tftp) options(t *teller, b []byte) {
	for len(b) > 0 {
		var v []byte
		v, b, _ = bytes.Cut(b, []byte{0})
		if len(v) > 0 {
			t.add(tftpOption, v)
		}
	}
}

// data tells a block. A repetition is not told; a block that does not follow the last one is a value of its own.
func (d *tftp) data(dir wire.Dir, n uint16, b []byte, emit func(*Message)) {
	u := &d.file[dir]
	if u.id != 0 && n == d.block[dir] {
		return
	}
	if u.id == 0 || n != d.block[dir]+1 {
		d.end(dir, emit)
		d.id++
		*u, d.off[dir] = unit{id: d.id, tx: d.id, values: 1}, 0
	}
	d.block[dir] = n
	t := d.env.teller(d.p, dir, u, emit)
	if d.off[dir] == 0 && d.name != "" {
		t.addString(tftpName, d.name)
	}
	if t.wants(tftpData) && len(b) > 0 {
		t.part(Part{Field: tftpData, Value: 1, Off: d.off[dir], Bytes: b, More: true})
	}
	d.off[dir] += int64(len(b))
	t.flush(false, false)
}

// end ends the file of a direction.
func (d *tftp) end(dir wire.Dir, emit func(*Message)) {
	u := &d.file[dir]
	if u.id == 0 {
		return
	}
	t := d.env.teller(d.p, dir, u, emit)
	if t.wants(tftpData) {
		t.part(Part{Field: tftpData, Value: 1, Off: d.off[dir]})
	}
	t.flush(true, true)
	u.id = 0
}

// Gap implements Dissector.
func (d *tftp) Gap(wire.Dir, int, func(*Message)) bool { return true }

// Close implements Dissector.
func (d *tftp) Close(dir wire.Dir, emit func(*Message)) { d.end(dir, emit) }

// Rest implements Dissector.
func (d *tftp) Rest() (Rest, bool) { return Rest{}, false }

// Size implements Dissector.
func (d *tftp) Size() int { return 160 }
