package dissect

import (
	"encoding/binary"

	"weir/wire"
)

// DNP3 is the Distributed Network Protocol: IEEE 1815, over TCP.
var DNP3 = Protocol{
	Name:    "dnp3",
	About:   "DNP3 (IEEE 1815) over TCP and UDP, by frames whose checksum is right. Each frame has an event `dnp3`; what it carries is inspected without its checksums.",
	Carrier: Stream, Ports: []uint16{20000}, Probe: probeDNP3, PerMessage: true, New: newEnveloped(&dnp3Envelope), Resume: resumeEnveloped(&dnp3Envelope),
	Fields: dnp3Fields,
}

// DNP3UDP is DNP3 over UDP.
var DNP3UDP = Protocol{
	Name: "dnp3", Carrier: Datagram, Ports: []uint16{20000}, PerMessage: true, New: newEnveloped(&dnp3Envelope), Resume: resumeEnveloped(&dnp3Envelope), Fields: dnp3Fields,
	Probe: func(dir wire.Dir, head []byte) Guess { return yes(probeDNP3(dir, head) == Yes) },
}

var dnp3Fields = []FieldSpec{
	dnp3Type:        {Name: "dnp3.type", Doc: "`request` of a master, or `response`", EVE: "type", Derived: true},
	dnp3Source:      {Name: "dnp3.source", Doc: "address of the sender", EVE: "src", Number: true, Derived: true},
	dnp3Destination: {Name: "dnp3.destination", Doc: "address of the receiver", EVE: "dst", Number: true, Derived: true},
	dnp3Function:    {Name: "dnp3.function", Doc: "what is asked for, or the answer, as `write`, `operate`, `response`", EVE: "function", Derived: true},
	dnp3Code:        {Name: "dnp3.function_code", Doc: "its number", EVE: "application/function_code", Number: true, Derived: true},
	dnp3Data:        {Name: "dnp3.data", Doc: "what the frame carries, without checksums"},
}

// Fields of DNP3, in the order of dnp3Fields.
const (
	dnp3Type Field = iota
	dnp3Source
	dnp3Destination
	dnp3Function
	dnp3Code
	dnp3Data
)

// from the specification
const (
	dnp3Header = 10   // bytes of a frame's header, its checksum included
	dnp3Block  = 16   // bytes that have a checksum each
	dnp3Master = 0x80 // bit of the control byte: the sender is a master
	dnp3First  = 0x40 // bit of the transport's byte: a message begins
)

var dnp3Functions = []string{"confirm", "read", "write", "select", "operate", "direct_operate", "direct_operate_no_answer", "freeze", "freeze_no_answer", "freeze_clear",
	"freeze_clear_no_answer", "freeze_at_time", "freeze_at_time_no_answer", "cold_restart", "warm_restart", "initialize_data", "initialize_application",
	"start_application", "stop_application", "save_configuration", "enable_unsolicited", "disable_unsolicited", "assign_class", "delay_measurement",
	"record_current_time", "open_file", "close_file", "delete_file", "get_file_info", "authenticate_file", "abort_file", "activate_configuration",
	"authenticate_request", "authenticate_error", 129: "response", 130: "unsolicited_response", 131: "authenticate_response"}

var dnp3Envelope = enveloping{head: dnp3Header, size: dnp3Size, tell: dnp3Tell, data: dnp3Data}

func dnp3Size(_ *enveloped, _ wire.Dir, b []byte) int {
	if !isDNP3(b) {
		return 0
	}
	n := int(b[2]) - 5 // bytes behind the header
	return dnp3Header + n + (n+dnp3Block-1)/dnp3Block*2
}

func dnp3Tell(_ *enveloped, t *teller, _ wire.Dir, b []byte) (n int, sealed bool) {
	if b[3]&dnp3Master != 0 {
		t.addString(dnp3Type, "request")
	} else {
		t.addString(dnp3Type, "response")
	}
	t.number(dnp3Destination, int64(binary.LittleEndian.Uint16(b[4:])))
	t.number(dnp3Source, int64(binary.LittleEndian.Uint16(b[6:])))
	data := t.write(func(out []byte) []byte {
		for rest := b[dnp3Header:]; len(rest) > 2; {
			k := min(dnp3Block, len(rest)-2)
			out, rest = append(out, rest[:k]...), rest[k+2:]
		}
		return out
	})
	if len(data) >= 3 && data[0]&dnp3First != 0 {
		t.named(dnp3Function, dnp3Functions, int(data[2]))
		t.number(dnp3Code, int64(data[2]))
	}
	if len(data) > 0 {
		t.add(dnp3Data, data)
	}
	return len(b), false
}

// isDNP3 reports whether b begins with the header of a frame whose checksum is right.
func isDNP3(b []byte) bool {
	return b[0] == 0x05 && b[1] == 0x64 && b[2] >= 5 && crcDNP(b[:8]) == binary.LittleEndian.Uint16(b[8:])
}

// probeDNP3 says Yes to the header of a frame whose checksum is right.
func probeDNP3(_ wire.Dir, head []byte) Guess {
	switch {
	case len(head) > 0 && head[0] != 0x05, len(head) > 1 && head[1] != 0x64, len(head) > 2 && head[2] < 5:
		return No
	case len(head) < dnp3Header:
		return Maybe
	}
	return yes(isDNP3(head))
}

// crcDNP is CRC-16/DNP, IEEE 1815 section 9.2.4.
func crcDNP(b []byte) uint16 {
	crc := uint16(0)
	for _, c := range b {
		crc ^= uint16(c)
		for range 8 {
			if crc&1 != 0 {
				crc = crc>>1 ^ 0xa6bc
			} else {
				crc >>= 1
			}
		}
	}
	return ^crc
}
