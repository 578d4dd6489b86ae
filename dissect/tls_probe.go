package dissect

import "weir/wire"

// probeTLS recognises a hello or an alert in either direction, and records of ciphertext that line up.
func probeTLS(dir wire.Dir, head []byte) Guess {
	if len(head) == 0 {
		return Maybe
	}
	if head[0]&0x80 != 0 {
		if len(head) < 5 {
			return Maybe
		}
		if probeSSL2(head) {
			return Yes
		}
		return No
	}
	if head[0] < recordCCS || head[0] > recordBeat {
		return No
	}
	if len(head) > 1 && head[1] != 3 || len(head) > 2 && head[2] > 4 {
		return No
	}
	if len(head) < tlsHeader {
		return Maybe
	}
	typ, size, ok := tlsRecord(head)
	if !ok {
		return No
	}
	switch typ {
	case recordShake:
		return probeHello(head[tlsHeader:], size, head)
	case recordAlert:
		return probeAlert(head, size)
	}
	return probeNext(head, size)
}

// probeHello looks at the beginning of a handshake record.
func probeHello(b []byte, size int, head []byte) Guess {
	if size == 0 {
		return No
	}
	if len(b) == 0 {
		return Maybe
	}
	if b[0] != clientHello && b[0] != serverHello {
		return probeNext(head, size) // midway: encrypted, or the rest of a handshake
	}
	if size < tlsMessage { // cut into small records: the next one must line up
		return probeNext(head, size)
	}
	if len(b) < tlsMessage+2 {
		return Maybe
	}
	n := int(b[1])<<16 | int(b[2])<<8 | int(b[3])
	if n < 34 || n > maxTLSMessage {
		return probeNext(head, size)
	}
	if v := b[4]; size >= tlsMessage+2 && v != 3 && v != 0x7f && v != 0xfb {
		return No
	}
	return Yes
}

// probeAlert looks at an alert record, which is in the clear if it has 2 bytes.
func probeAlert(head []byte, size int) Guess {
	if size != 2 {
		return probeNext(head, size)
	}
	if len(head) < tlsHeader+2 {
		return Maybe
	}
	if level := head[5]; level != 1 && level != 2 || alertNames[head[6]] == "" {
		return No
	}
	return Yes
}

// probeNext asks that the record ends where the next one begins, or where the bytes do.
func probeNext(head []byte, size int) Guess {
	if size == 0 && head[0] != recordData || head[0] == recordCCS && size != 1 {
		return No
	}
	next := tlsHeader + size
	switch {
	case len(head) == next && size > 0:
		return Yes
	case len(head) < next+tlsHeader:
		return Maybe
	}
	if _, _, ok := tlsRecord(head[next:]); ok {
		return Yes
	}
	return No
}

// probeSSL2 recognises the first 5 bytes of an SSL 2.0 hello.
func probeSSL2(b []byte) bool {
	size := int(b[0]&0x7f)<<8 | int(b[1])
	switch b[2] {
	case ssl2Hello:
		return size >= 9+3 && size <= 2048 && (b[3] == 3 && b[4] <= 4 || b[3] == 0 && b[4] == 2)
	case ssl2Answer: // session id hit, certificate type
		return size >= 11 && b[3] <= 1 && b[4] <= 1
	}
	return false
}
