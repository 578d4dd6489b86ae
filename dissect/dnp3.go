package dissect

import (
	"encoding/binary"

	"weir/wire"
)

// DNP3 is the Distributed Network Protocol: IEEE 1815, over TCP.
var DNP3 = Protocol{
	Name:    "dnp3",
	About:   "DNP3 (IEEE 1815) over TCP and UDP, by frames whose checksum is right. It is only named: its bytes are inspected raw.",
	Carrier: Stream, Ports: []uint16{20000}, Probe: probeDNP3,
}

// DNP3UDP is DNP3 over UDP.
var DNP3UDP = Protocol{Name: "dnp3", Carrier: Datagram, Ports: []uint16{20000}, Probe: func(dir wire.Dir, head []byte) Guess {
	return yes(probeDNP3(dir, head) == Yes)
}}

// probeDNP3 says Yes to the header of a frame whose checksum is right.
func probeDNP3(_ wire.Dir, head []byte) Guess {
	switch {
	case len(head) > 0 && head[0] != 0x05, len(head) > 1 && head[1] != 0x64, len(head) > 2 && head[2] < 5:
		return No
	case len(head) < 10:
		return Maybe
	}
	return yes(crcDNP(head[:8]) == binary.LittleEndian.Uint16(head[8:]))
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
