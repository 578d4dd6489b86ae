package dissect

import "weir/wire"

// Telnet is the Telnet protocol.
var Telnet = Protocol{
	Name:    "telnet",
	About:   "Telnet: RFC 854, RFC 855. What both ends say is one value each, without the negotiation of options, which would cut what is looked for in two.",
	Carrier: Stream,
	Ports:   []uint16{23, 2323, 992},
	Probe:   probeTelnet,
	Fields: []FieldSpec{
		telnetInput:  {Name: "telnet.input", Doc: "what the client sends; never shown", Privacy: Sealed},
		telnetOutput: {Name: "telnet.output", Doc: "what the server sends"},
		telnetSub:    {Name: "telnet.option", Doc: "bytes of a subnegotiation, as the terminal's type"},
	},
	New: func(p *Protocol, env *Env) Dissector { return &telnet{p: p, env: env} },
}

// Fields of Telnet, in the order of Telnet.Fields.
const (
	telnetInput Field = iota
	telnetOutput
	telnetSub
)

// ours
const maxTelnetSub = 512 // bytes of a subnegotiation that are waited for; the rest is told as a further one

// telnet parses one flow.
type telnet struct {
	p      *Protocol
	env    *Env
	unit   [2]unit
	value  [2]uint32
	off    [2]int64
	sub    [2]bool // in a subnegotiation
	closed [2]bool
}

// Feed implements Dissector.
func (d *telnet) Feed(dir wire.Dir, data []byte, emit func(*Message)) (pr Progress, err error) {
	u := &d.unit[dir]
	if u.id == 0 {
		*u = unit{id: uint64(dir) + 1, tx: uint64(dir) + 1}
	}
	t := d.env.teller(d.p, dir, u, emit)
	for pr.Used < len(data) {
		b := data[pr.Used:]
		var n int
		if d.sub[dir] {
			n = d.option(t, dir, b)
		} else {
			n = d.text(t, dir, b)
		}
		if n == 0 {
			break
		}
		pr.Used += n
	}
	t.flush(false, false)
	return pr, nil
}

// text takes what is said up to the next command, or a command.
func (d *telnet) text(t *teller, dir wire.Dir, b []byte) (n int) {
	for n < len(b) && b[n] != telnetIAC {
		n++
	}
	if n > 0 {
		d.said(t, dir, b[:n])
		return n
	}
	switch {
	case len(b) < 2:
		return d.rest(dir, b)
	case b[1] == telnetIAC: // the byte itself
		d.said(t, dir, b[:1])
		return 2
	case b[1] < telnetSB:
		return 2
	case len(b) < 3:
		return d.rest(dir, b)
	}
	d.sub[dir] = b[1] == telnetSB
	return 3
}

// rest takes what is left when no more will come.
func (d *telnet) rest(dir wire.Dir, b []byte) int {
	if d.closed[dir] {
		return len(b)
	}
	return 0
}

// said tells of bytes that an end said.
func (d *telnet) said(t *teller, dir wire.Dir, b []byte) {
	f := telnetInput + Field(dir)
	if t.wants(f) {
		if d.value[dir] == 0 {
			d.value[dir] = t.value()
		}
		t.run(f, d.value[dir], d.off[dir], b)
	}
	d.off[dir] += int64(len(b))
}

// option takes a subnegotiation up to its end.
func (d *telnet) option(t *teller, dir wire.Dir, b []byte) int {
	for i := 0; i+1 < len(b) && i < maxTelnetSub; i++ {
		if b[i] == telnetIAC && b[i+1] != telnetIAC {
			t.add(telnetSub, b[:i])
			d.sub[dir] = false
			return i + 2
		}
		if b[i] == telnetIAC {
			i++
		}
	}
	if len(b) > maxTelnetSub+1 {
		t.add(telnetSub, b[:maxTelnetSub])
		return maxTelnetSub
	}
	return d.rest(dir, b)
}

// Gap implements Dissector.
func (d *telnet) Gap(dir wire.Dir, n int, emit func(*Message)) bool {
	d.sub[dir] = false
	d.off[dir] += int64(n)
	return true
}

// Close implements Dissector.
func (d *telnet) Close(dir wire.Dir, emit func(*Message)) {
	if d.closed[dir] {
		return
	}
	d.closed[dir] = true
	if u := &d.unit[dir]; u.id != 0 {
		t := d.env.teller(d.p, dir, u, emit)
		if v := d.value[dir]; v != 0 {
			t.part(Part{Field: telnetInput + Field(dir), Value: v, Off: d.off[dir]})
		}
		t.flush(true, true)
	}
}

// Rest implements Dissector.
func (d *telnet) Rest() (Rest, bool) { return Rest{}, false }

// Size implements Dissector.
func (d *telnet) Size() int { return 160 }
