package dissect

import "weir/wire"

// feedStream takes the messages of a stream, each behind a 2-byte length.
func (d *dns) feedStream(dir wire.Dir, data []byte, emit func(*Message)) (Progress, error) {
	s := &d.side[dir]
	s.left, s.whole = 0, 0
	c := wire.Cut(data)
	if n := min(s.skip, c.Len()); n > 0 {
		s.skip -= n
		d.bytes(dir, c.Bytes(n), dnsNoteTruncated, emit)
	}
	for c.Len() > 0 {
		rest := c // until the message is whole
		n := int(c.U16())
		if !c.Short() && n < dnsHeaderLen {
			return Progress{Used: len(data) - rest.Len()}, errDNSLength
		}
		msg := c.Bytes(n)
		if !c.Short() {
			if err := d.framed(dir, s, msg, emit); err != nil {
				return Progress{Used: len(data) - c.Len()}, err
			}
			continue
		}
		if s.closed {
			d.unfinished(dir, rest.Rest(), emit)
			return Progress{Used: len(data)}, nil
		}
		s.left, s.whole = rest.Len(), 0
		need := 2 - s.left
		if s.left >= 2 {
			s.whole = 2 + n
			need = s.whole - s.left
		}
		return Progress{Used: len(data) - s.left, Need: need}, nil
	}
	return Progress{Used: len(data)}, nil
}

// framed takes a message of a stream. What is none is told as bytes: its length tells where the next one begins.
func (d *dns) framed(dir wire.Dir, s *dnsSide, msg []byte, emit func(*Message)) error {
	if dnsPlausible(msg) {
		s.bad = 0
		d.message(dir, msg, false, emit)
		return nil
	}
	d.bytes(dir, msg, dnsNoteMalformed, emit)
	if s.bad++; s.bad >= dnsMaxBad {
		return errDNS
	}
	return nil
}

// unfinished takes what there is of the last message of a stream, length included.
func (d *dns) unfinished(dir wire.Dir, rest []byte, emit func(*Message)) {
	if len(rest) > 2 && dnsPlausible(rest[2:]) {
		d.message(dir, rest[2:], true, emit)
		return
	}
	d.bytes(dir, rest, dnsNoteTruncated, emit)
}

// bytes tells what cannot be told apart, as an exchange of its own.
func (d *dns) bytes(dir wire.Dir, b []byte, why dnsNote, emit func(*Message)) {
	x := d.env.dnsParser()
	x.begin(d.p, d.env, b, emit)
	d.lastID++
	d.lastTx++
	x.m.ID, x.m.Tx, x.m.Dir = d.lastID, d.lastTx, dir
	x.note(why)
	x.raw(b)
	x.flush(true, true)
}

// Gap implements Dissector. A stream goes on if the message that lost bytes tells where it ends.
func (d *dns) Gap(dir wire.Dir, n int, emit func(*Message)) bool {
	if !d.stream {
		return true
	}
	s := &d.side[dir]
	end := s.skip
	if s.left > 0 {
		end = s.whole - s.left
	}
	s.left, s.whole, s.skip = 0, 0, 0
	if n > end || end == 0 {
		return false
	}
	s.skip = end - n
	return true
}
