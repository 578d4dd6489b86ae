package dissect

import "weir/wire"

// Modbus is Modbus over TCP: the Modbus Messaging on TCP/IP Implementation Guide, and the Modbus Application Protocol 1.1b3.
var Modbus = Protocol{
	Name:    "modbus",
	About:   "Modbus over TCP (Modbus Application Protocol 1.1b3). Each message has an event `modbus`.",
	Carrier: Stream, Ports: []uint16{502}, Probe: probeModbus, PerMessage: true, New: newModbus, Resume: resumeModbus,
	Fields: []FieldSpec{
		modbusID:        {Name: "modbus.transaction", Doc: "number of the exchange", EVE: "transaction_id", Number: true, Derived: true},
		modbusUnit:      {Name: "modbus.unit", Doc: "unit that is spoken to", EVE: "unit_id", Number: true, Derived: true},
		modbusFunction:  {Name: "modbus.function", Doc: "what is asked for, as `read_coils`", EVE: "function", Derived: true},
		modbusException: {Name: "modbus.exception", Doc: "why it was refused, as `illegal_function`", EVE: "exception", Derived: true},
		modbusData:      {Name: "modbus.data", Doc: "what follows the function"},
	},
}

// Fields of Modbus.
const (
	modbusID Field = iota
	modbusUnit
	modbusFunction
	modbusException
	modbusData
)

// from the specification
const (
	modbusHeader = 7   // bytes, unit included
	modbusMax    = 254 // bytes that a length says at most
	modbusFault  = 0x80
)

var modbusFunctions = []string{1: "read_coils", "read_discrete_inputs", "read_holding_registers", "read_input_registers", "write_coil", "write_register",
	"read_exception_status", "diagnostic", 11: "event_counter", "event_log", 15: "write_coils", "write_registers", "server_id", 20: "read_file",
	"write_file", "mask_write_register", "read_write_registers", "read_fifo", 43: "encapsulated_interface"}

var modbusExceptions = []string{1: "illegal_function", "illegal_data_address", "illegal_data_value", "server_failure", "acknowledge", "server_busy",
	8: "memory_parity_error", 10: "gateway_path_unavailable", "gateway_target_failed"}

// modbusFixed are lengths behind the function of requests that have always the same.
var modbusFixed = [...]int{1: 4, 2: 4, 3: 4, 4: 4, 5: 4, 6: 4, 8: 4, 22: 6, 24: 2}

func probeModbus(dir wire.Dir, head []byte) Guess {
	if len(head) > 2 && head[2] != 0 || len(head) > 3 && head[3] != 0 || len(head) > 4 && head[4] != 0 {
		return No
	}
	if len(head) < modbusHeader+1 {
		return Maybe
	}
	n, function := int(head[4])<<8|int(head[5]), int(head[7])
	if n < 2 || n > modbusMax {
		return No
	}
	if function > modbusFault {
		return yes(n == 3 && function&0x7f < len(modbusFunctions) && modbusFunctions[function&0x7f] != "" && head[0]|head[1]|head[6] != 0)
	}
	if function >= len(modbusFunctions) || modbusFunctions[function] == "" {
		return No
	}
	fixed := 0
	if function < len(modbusFixed) {
		fixed = modbusFixed[function]
	}
	if n == 2+fixed && fixed > 0 {
		return Yes
	}
	if len(head) < modbusHeader+2 {
		return Maybe
	}
	switch count := int(head[8]); function {
	case 1, 2, 3, 4, 12, 17, 20, 21, 23: // answers, and requests with a count first
		return yes(n == 3+count || function == 23 && n >= 11)
	case 15, 16:
		return yes(n == 6 || n > 8)
	case 7:
		return yes(n == 2 || n == 3)
	case 11:
		return yes(n == 2 || n == 6)
	case 43:
		return yes(count == 14 || count == 13)
	}
	return No
}

// modbus parses one flow.
type modbus struct {
	p    *Protocol
	env  *Env
	last uint64
}

func newModbus(p *Protocol, env *Env) Dissector { return &modbus{p: p, env: env} }

func resumeModbus(p *Protocol, env *Env, r Rest) Dissector {
	return &modbus{p: p, env: env, last: r.ID}
}

// Feed implements Dissector.
func (d *modbus) Feed(dir wire.Dir, data []byte, emit func(*Message)) (pr Progress, err error) {
	for {
		b := data[pr.Used:]
		if len(b) < modbusHeader+1 {
			if len(b) > 0 {
				pr.Need = modbusHeader + 1 - len(b)
			}
			return pr, nil
		}
		n := int(b[4])<<8 | int(b[5])
		if b[2]|b[3] != 0 || n < 2 || n > modbusMax {
			return pr, errDatagram
		}
		if len(b) < 6+n {
			pr.Need = 6 + n - len(b)
			return pr, nil
		}
		d.message(dir, b[:6+n], emit)
		pr.Used += 6 + n
	}
}

func (d *modbus) message(dir wire.Dir, b []byte, emit func(*Message)) {
	d.last++
	u := unit{id: d.last, tx: d.last}
	t := d.env.teller(d.p, dir, &u, emit)
	t.number(modbusID, int64(b[0])<<8|int64(b[1]))
	t.number(modbusUnit, int64(b[6]))
	t.named(modbusFunction, modbusFunctions, int(b[7]&^modbusFault))
	rest := b[8:]
	if b[7]&modbusFault != 0 && len(rest) == 1 {
		t.named(modbusException, modbusExceptions, int(rest[0]))
	}
	if len(rest) > 0 {
		t.add(modbusData, rest)
	}
	t.flush(true, true)
}

// Gap implements Dissector.
func (d *modbus) Gap(wire.Dir, int, func(*Message)) bool { return false }

// Close implements Dissector.
func (d *modbus) Close(wire.Dir, func(*Message)) {}

// Rest implements Dissector.
func (d *modbus) Rest() (Rest, bool) { return Rest{ID: d.last, Tx: d.last}, true }

// Size implements Dissector.
func (d *modbus) Size() int { return 48 }
