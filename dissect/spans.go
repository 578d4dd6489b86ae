package dissect

// spans are bytes of a handshake that come in any order, as QUIC and DTLS bring them. The zero spans are empty.
type spans struct {
	buf  []byte
	have []span // apart from each other, ascending
}

type span struct{ from, to int }

// add puts data at off. What lies beyond most bytes, or would make more than pieces spans, is dropped. Of bytes that come twice the first count.
func (s *spans) add(off uint64, data []byte, most, pieces int) {
	if off > uint64(most) || len(data) == 0 || int(off)+len(data) > most {
		return
	}
	from, to := int(off), int(off)+len(data)
	if n := to - len(s.buf); n > 0 {
		s.buf = append(s.buf, make([]byte, n)...)
	}
	at := from
	i := 0
	for ; i < len(s.have) && s.have[i].to < from; i++ {
	}
	j := i
	for ; j < len(s.have) && s.have[j].from <= to; j++ { // those it touches
		if s.have[j].from > at {
			copy(s.buf[at:s.have[j].from], data[at-from:])
		}
		at = max(at, s.have[j].to)
	}
	if j == i && len(s.have) >= pieces {
		return
	}
	if at < to {
		copy(s.buf[at:to], data[at-from:])
	}
	if j > i {
		from, to = min(from, s.have[i].from), max(to, s.have[j-1].to)
		s.have[i] = span{from, to}
		s.have = append(s.have[:i+1], s.have[j:]...)
		return
	}
	s.have = append(s.have, span{})
	copy(s.have[i+1:], s.have[i:])
	s.have[i] = span{from, to}
}

// message returns the handshake message at the front, nil if it is not whole yet.
func (s *spans) message() []byte {
	if len(s.have) == 0 || s.have[0].from > 0 || s.have[0].to < tlsMessage {
		return nil
	}
	n := tlsMessage + (int(s.buf[1])<<16 | int(s.buf[2])<<8 | int(s.buf[3]))
	if s.have[0].to < n {
		return nil
	}
	return s.buf[:n]
}

func (s *spans) size() int { return cap(s.buf) + 16*cap(s.have) }
