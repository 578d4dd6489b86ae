package dissect

import (
	"encoding/binary"

	"weir/wire"
)

// ours
const (
	maxFirstSettings = 300     // bytes of a first SETTINGS frame
	maxProbeStream   = 1 << 24 // no stream is numbered higher, for the probe
	enoughEvidence   = 3       // see frameEvidence
)

// probeHTTP2 says Yes to the client's preface, and to frames that follow one another as only frames do; Maybe to what
// may become either.
func probeHTTP2(_ wire.Dir, head []byte) Guess {
	if n := min(len(head), len(http2Preface)); string(head[:n]) == http2Preface[:n] {
		if n == len(http2Preface) {
			return Yes
		}
		return Maybe
	}
	evidence, frames := 0, 0
	for b := head; ; frames++ {
		if len(b) < http2HeadSize {
			return probeRest(b)
		}
		f := http2FrameAt(b)
		payload := b[http2HeadSize:]
		payload = payload[:min(len(payload), f.length)]
		e := frameEvidence(f, b[5], payload)
		if e == 0 {
			return No
		}
		evidence += e
		doubt := len(payload) < f.length && (f.kind == frameSettings || f.kind == frameWindow) // what is not there may be nonsense
		if evidence >= enoughEvidence && frames > 0 && !doubt {
			return Yes
		}
		if len(b) <= http2HeadSize+f.length {
			return Maybe
		}
		b = b[http2HeadSize+f.length:]
	}
}

// opensHTTP2: section 3.4.
func opensHTTP2(dir wire.Dir, head []byte) bool {
	n := min(len(head), len(http2Preface))
	return dir == wire.ToClient || string(head[:n]) == http2Preface[:n]
}

// probeRest judges the beginning of a frame's header.
func probeRest(b []byte) Guess {
	switch {
	case len(b) > 0 && b[0] != 0, len(b) > 1 && b[1] > http2FrameSize>>8, len(b) > 3 && b[3] > frameContinuation, len(b) > 5 && b[5] != 0:
		return No
	}
	return Maybe
}

// frameEvidence weighs a frame of which the front of the payload is there: 0 if it is none, 1 if it may be, 2 if it
// hardly is anything else.
func frameEvidence(f http2Frame, top uint8, payload []byte) int {
	flags := [...]uint8{
		frameData: flagEndStream | flagPadded, frameHeaders: flagEndStream | flagEndHeaders | flagPadded | flagPriority,
		framePush: flagEndHeaders | flagPadded, frameSettings: flagAck, framePing: flagAck, frameContinuation: flagEndHeaders,
	}
	if f.length > http2FrameSize || top != 0 || f.kind > frameContinuation || f.flags&^flags[f.kind] != 0 ||
		f.stream > maxProbeStream || !f.sized() || !f.placed() {
		return 0
	}
	whole := len(payload) == f.length
	switch f.kind {
	case frameSettings:
		if f.flags&flagAck != 0 {
			return 2
		}
		if f.length > maxFirstSettings {
			return 0
		}
		for len(payload) >= 6 {
			if id := binary.BigEndian.Uint16(payload); id == 0 || id > 16 {
				return 0
			}
			payload = payload[6:]
		}
		return 2
	case frameWindow:
		if whole && binary.BigEndian.Uint32(payload)<<1 == 0 {
			return 0
		}
		return 2
	case frameHeaders:
		if f.flags&flagPadded == 0 && f.length == 0 {
			return 0
		}
		return 1
	case framePing, framePriority, frameReset:
		return 2
	}
	return 1
}

// opens reports whether the frame may be a server's first: its SETTINGS, section 3.4.
func (f http2Frame) opens() bool {
	return f.kind == frameSettings && f.flags&flagAck == 0 && f.stream == 0
}
