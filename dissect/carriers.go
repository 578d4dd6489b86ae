package dissect

import "weir/wire"

// Protocols that carry packets. Those are taken out before anybody is asked what a flow is: what carries them is a flow of its own, which has the
// name alone.
var (
	VXLAN  = carrierOf("vxlan", "VXLAN (RFC 7348)", Datagram, probeVXLAN, 4789)
	Geneve = carrierOf("geneve", "Geneve (RFC 8926)", Datagram, probeNone, 6081)
	Teredo = carrierOf("teredo", "Teredo (RFC 4380)", Datagram, probeNone, 3544)
	AYIYA  = carrierOf("ayiya", "AYIYA (draft-massar-v6ops-ayiya-02)", Datagram, probeNone, 5072)
	GRE    = carrierOf("gre", "GRE (RFC 2784, RFC 2890), and version 1 of it (RFC 2637)", 0, probeNone)
	IPIP   = carrierOf("ipip", "IP in IP (RFC 2003, RFC 4213)", 0, probeNone)
)

// probeVXLAN says Yes to the header of VXLAN before a frame with ARP: there is no packet to take out of it.
func probeVXLAN(_ wire.Dir, head []byte) Guess {
	const frame, arp = 8, 8 + 14
	return yes(len(head) >= arp+28 && head[0] == 8 && head[1]|head[2]|head[3]|head[7] == 0 && string(head[frame+12:arp+6]) == "\x08\x06\x00\x01\x08\x00\x06\x04")
}

func carrierOf(name, what string, over Carrier, probe func(wire.Dir, []byte) Guess, ports ...uint16) Protocol {
	return Protocol{
		Name: name, Carrier: over, Ports: ports, Probe: probe,
		About: what + ". Packets inside are flows of their own, whose events name it in `weir.inside`; the flow that carries them has the name alone.",
	}
}
