package dissect

import "weir/wire"

// RFB is the Remote Framebuffer protocol of VNC.
var RFB = Protocol{
	Name:    "rfb",
	About:   "RFB, the protocol of VNC: RFC 6143.",
	Carrier: Stream,
	Ports:   []uint16{5900, 5901, 5902},
	Probe:   probeRFB,
}

// probeRFB recognises the version, which is the same in both directions.
func probeRFB(_ wire.Dir, head []byte) Guess {
	const shape = "RFB 000.000\n"
	for i, c := range head[:min(len(head), len(shape))] {
		if shape[i] == '0' && (c < '0' || c > '9') || shape[i] != '0' && c != shape[i] {
			return No
		}
	}
	if len(head) < len(shape) {
		return Maybe
	}
	return Yes
}
