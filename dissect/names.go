package dissect

import (
	"encoding/binary"

	"weir/wire"
)

// onlyNamed makes the entry of a protocol that is told by its content, and not parsed.
func onlyNamed(name, what string, over Carrier, probe func(wire.Dir, []byte) Guess, ports ...uint16) Protocol {
	return Protocol{Name: name, Carrier: over, Ports: ports, Probe: probe, About: what + ". It is only named: its bytes are inspected raw."}
}

// begins makes a probe that says Yes to what begins with one of some texts.
func begins(texts ...string) func(wire.Dir, []byte) Guess {
	return func(_ wire.Dir, head []byte) Guess {
		out := No
		for _, s := range texts {
			n := min(len(s), len(head))
			switch {
			case string(head[:n]) != s[:n]:
			case n == len(s):
				return Yes
			default:
				out = Maybe
			}
		}
		return out
	}
}

// datagram makes a probe of what holds of a whole datagram.
func datagram(is func(b []byte) bool) func(wire.Dir, []byte) Guess {
	return func(_ wire.Dir, head []byte) Guess { return yes(is(head)) }
}

// stream makes a probe of a first message that begins with one of some texts: its first n bytes decide.
func stream(n int, is func(b []byte) bool, texts ...string) func(wire.Dir, []byte) Guess {
	first := begins(texts...)
	return func(dir wire.Dir, head []byte) Guess {
		if g := first(dir, head); g != Yes {
			return g
		}
		if len(head) < n {
			return Maybe
		}
		return yes(is(head[:n]))
	}
}

// beginning reports whether b begins with text, or is the beginning of it.
func beginning(b []byte, text string) bool {
	n := min(len(b), len(text))
	return string(b[:n]) == text[:n]
}

// oneLine reports whether b is text of one line.
func oneLine(b []byte) bool {
	for _, c := range b {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return true
}

// zeros reports whether b is nothing but zeros.
func zeros(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// numbers of a protocol's header, whose bytes are known to be there
func u16be(b []byte) int { return int(binary.BigEndian.Uint16(b)) }
func u32be(b []byte) int { return int(binary.BigEndian.Uint32(b)) }
func u16le(b []byte) int { return int(binary.LittleEndian.Uint16(b)) }
func u32le(b []byte) int { return int(binary.LittleEndian.Uint32(b)) }

// berBody returns what stands behind tag and length in BER, and how long it is to be; n < 0: that is no such value, or too long. What is not
// there yet is missing in body.
func berBody(b []byte) (body []byte, n int) {
	if len(b) < 2 {
		return nil, -1
	}
	switch l := b[1]; {
	case l < 0x80:
		return b[2:], int(l)
	case l == 0x81 && len(b) > 2:
		return b[3:], int(b[2])
	case l == 0x82 && len(b) > 3:
		return b[4:], u16be(b[2:])
	}
	return nil, -1
}
