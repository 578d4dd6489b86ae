package dissect

import (
	"bytes"

	"weir/wire"
)

// SSDP is the Simple Service Discovery Protocol of UPnP: HTTP's messages in datagrams.
var SSDP = Protocol{
	Name:    "ssdp",
	About:   "SSDP (UPnP Device Architecture 2.0): searches, notifications and answers. Each datagram has an event `ssdp`.",
	Carrier: Datagram, Ports: []uint16{1900}, Probe: probeSSDP, PerMessage: true, New: eachDatagram(tellSSDP), Resume: eachAgain(tellSSDP),
	Fields: []FieldSpec{
		ssdpMethod: {Name: "ssdp.method", Doc: "method, or `HTTP/1.1 200 OK` of an answer", EVE: "method", Derived: true},
		ssdpTarget: {Name: "ssdp.target", Doc: "what is searched for or told of: the header ST or NT", EVE: "target", Derived: true},
		ssdpData:   {Name: "ssdp.message", Doc: "the message"},
	},
}

// Fields of SSDP.
const (
	ssdpMethod Field = iota
	ssdpTarget
	ssdpData
)

func probeSSDP(_ wire.Dir, head []byte) Guess {
	switch {
	case bytes.HasPrefix(head, []byte("M-SEARCH * HTTP/")), bytes.HasPrefix(head, []byte("NOTIFY * HTTP/")):
		return Yes
	case bytes.HasPrefix(head, []byte("HTTP/1.1 200 OK\r\n")), bytes.HasPrefix(head, []byte("HTTP/1.0 200 OK\r\n")):
		return yes(len(ssdpHeader(head, "st")) > 0 || len(ssdpHeader(head, "usn")) > 0)
	}
	return No
}

// ssdpHeader returns the value of a header; name is in lower case.
func ssdpHeader(b []byte, name string) []byte {
	for len(b) > 0 {
		var line []byte
		line, b, _ = bytes.Cut(b, []byte("\n"))
		if len(line) > len(name) && line[len(name)] == ':' && bytes.EqualFold(line[:len(name)], []byte(name)) {
			return bytes.TrimSpace(line[len(name)+1:])
		}
	}
	return nil
}

func tellSSDP(t *teller, dir wire.Dir, b []byte) bool {
	if probeSSDP(dir, b) != Yes {
		return false
	}
	line, _, _ := bytes.Cut(b, []byte("\r\n"))
	if !bytes.HasPrefix(line, []byte("HTTP/")) {
		line, _, _ = bytes.Cut(line, []byte(" "))
	}
	t.add(ssdpMethod, line)
	for _, name := range []string{"st", "nt"} {
		if v := ssdpHeader(b, name); len(v) > 0 {
			t.add(ssdpTarget, v)
			break
		}
	}
	t.add(ssdpData, b)
	return true
}
