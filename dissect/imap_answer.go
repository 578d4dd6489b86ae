package dissect

import (
	"bytes"

	"weir/wire"
)

// answer takes a line of the server, or a piece of one. up says that the flow is TLS from behind it on.
func (d *imap) answer(s *imapSide, b []byte, whole bool, emit func(*Message)) (up bool, err error) {
	line := bytes.TrimRight(b, "\r\n")
	size := literalSize(line)
	goes := s.goes || s.long
	s.goes, s.long = size > 0 && whole, !whole
	if s.goes {
		s.literal, s.bol, s.value, s.off = size, true, 0, 0
		if s.mail = isBody(line); s.mail {
			d.beginMail(s)
		}
	}
	tag, rest := cutWord(line)
	word, _ := cutWord(rest)
	status := foldEqual(word, "ok") || foldEqual(word, "no") || foldEqual(word, "bad")
	untagged := len(tag) == 1 && (tag[0] == '*' || tag[0] == '+')
	if !d.greeted && !goes && !untagged && !status {
		return false, errIMAP
	}
	d.greeted = true
	i := -1
	if !goes && !untagged && status {
		i = d.find(tag)
	}
	if i < 0 {
		if d.tx == 0 {
			d.tx = d.next()
		}
		t := d.message(wire.ToClient, d.tx, emit)
		t.add(imapReply, line)
		if !s.goes && !s.long && d.unit[wire.ToClient].values > 32 && len(d.pending) == 0 {
			d.over(wire.ToClient, false, emit)
		}
		return false, nil
	}
	q := d.pending[i]
	if u := d.unit[wire.ToClient]; u.id != 0 && u.tx != q.tx {
		d.over(wire.ToClient, false, emit)
	}
	t := d.message(wire.ToClient, q.tx, emit)
	t.add(imapReply, line)
	t.add(imapStatus, t.write(func(out []byte) []byte { return append(out, bytes.ToUpper(word)...) }))
	d.pending = append(d.pending[:i], d.pending[i+1:]...)
	if q.auth {
		d.secret = false
	}
	if q.tls {
		d.tls.waits = false
		if foldEqual(word, "ok") {
			d.upgrade(wire.ToClient, emit)
			return true, nil
		}
	}
	d.over(wire.ToClient, true, emit)
	return false, nil
}

// isBody reports whether a line announces a mail, or a header of one, as its literal.
func isBody(line []byte) bool {
	i := bytes.LastIndexByte(line, '{')
	at := line[max(0, i-300):i]
	return indexFold(at, "body[]") >= 0 || indexFold(at, "body[header") >= 0 || indexFold(at, "rfc822 ") >= 0 || indexFold(at, "rfc822.header") >= 0
}

// find returns the place of the command with a tag, -1 if there is none.
func (d *imap) find(tag []byte) int {
	for i := range d.pending {
		if q := &d.pending[i]; bytes.Equal(q.tag[:q.n], tag[:min(len(tag), maxTag)]) {
			return i
		}
	}
	return -1
}

// Gap implements Dissector.
func (d *imap) Gap(dir wire.Dir, n int, emit func(*Message)) bool {
	s := &d.side[dir]
	if s.literal <= int64(n) {
		return false
	}
	s.literal -= int64(n)
	s.bol, s.off = false, s.off+int64(n)
	return true
}

// Close implements Dissector.
func (d *imap) Close(dir wire.Dir, emit func(*Message)) {
	d.closed[dir] = true
	if s := &d.side[dir]; s.literal > 0 && s.mail {
		s.mime.end(d.message(dir, d.tx, emit), false)
		s.literal, s.mail = 0, false
	}
	d.over(dir, false, emit)
	if dir == wire.ToClient {
		for _, q := range d.pending {
			d.unanswered(dir, q.tx, emit)
		}
		d.pending = nil
	}
}

// Rest implements Dissector.
func (d *imap) Rest() (Rest, bool) { return Rest{}, false }

// Size implements Dissector.
func (d *imap) Size() int {
	n := 384 + 64*cap(d.pending)
	for i := range d.side {
		if m := d.side[i].mime; m != nil {
			n += m.size()
		}
	}
	return n
}
