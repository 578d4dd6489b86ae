package dissect

import (
	"bytes"

	"weir/wire"
)

// redisLine returns the line at the front of b, and its length with its end; n is 0 if it is not whole.
func redisLine(b []byte) (line []byte, n int) {
	i := bytes.IndexByte(b, '\n')
	if i < 0 {
		return nil, 0
	}
	return bytes.TrimSuffix(b[:i], []byte("\r")), i + 1
}

// redisNumber reads the number of a line; ok is false if it is none.
func redisNumber(b []byte) (n int64, ok bool) {
	minus := len(b) > 0 && b[0] == '-'
	if minus {
		b = b[1:]
	}
	if len(b) == 0 || len(b) > 12 {
		return 0, false
	}
	for _, c := range b {
		if !isDigit(c) {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	if minus {
		n = -n
	}
	return n, true
}

// request takes what is at the front of b: the head of a command or of an argument, or a command written as a line.
func (d *redis) request(s *redisSide, t *teller, b []byte) (n, need int, err error) {
	line, n := redisLine(b)
	if n == 0 {
		if len(b) > redisMaxLine || d.args > 0 && len(b) > 16 {
			return 0, 0, errRedis
		}
		return 0, 1, nil
	}
	switch {
	case d.args > 0:
		size, ok := int64(0), len(line) > 1 && line[0] == '$'
		if ok {
			size, ok = redisNumber(line[1:])
		}
		if !ok || size < 0 || size > redisMaxBulk {
			return 0, 0, errRedis
		}
		s.bulk, s.value = true, pieces{left: size}
		if d.arg > 0 && size == 0 {
			d.argument(s, t, nil, true)
		}
		return n, 0, nil
	case len(line) > 0 && line[0] == '*':
		count, ok := redisNumber(line[1:])
		if !ok || count > redisMaxArgs {
			return 0, 0, errRedis
		}
		if count > 0 {
			d.command(s)
			d.args = count
		}
		return n, 0, nil
	case len(bytes.TrimSpace(line)) == 0:
		return n, 0, nil
	}
	if !isText(line) && d.lastTx == 0 {
		return 0, 0, errRedis
	}
	d.command(s)
	for word := range bytes.FieldsSeq(line) {
		if d.arg == 0 {
			d.name(s, t, word)
		} else {
			d.argument(s, t, word, true)
		}
		d.arg++
	}
	d.commandEnd(s, t)
	return n, 0, nil
}

// command takes a command in hand.
func (d *redis) command(s *redisSide) {
	d.lastTx++
	d.begin(s, d.lastTx)
	d.arg, d.nwords, d.kind, d.n = 0, 0, redisKeyed, 1
}

// name tells a command's name.
func (d *redis) name(s *redisSide, t *teller, b []byte) {
	s.say(t, redisRequest, " ", b, true)
	if len(b) > redisMaxName {
		d.kind = redisKeyless
		return
	}
	var buf [redisMaxName]byte
	up := appendUpper(buf[:0], b)
	d.kind = redisKinds[string(up)]
	if t.wants(redisCommand) {
		t.add(redisCommand, t.write(func(to []byte) []byte { return append(to, up...) }))
	}
	if d.kind == redisSync {
		d.sync = true
	}
}

// argument tells a piece of an argument; first says that it is its first.
func (d *redis) argument(s *redisSide, t *teller, b []byte, first bool) {
	f := redisRequest
	if d.kind == redisSecret {
		f = redisPassword
	}
	s.say(t, f, " ", b, first)
	if d.arg == 1 && (d.kind == redisKeyed || d.kind == redisSubscribe) {
		if first && t.wants(redisKey) {
			s.key = pieces{field: redisKey, value: t.value()}
		}
		s.key.more(t, b, false)
	}
	if d.kind == redisClient && d.arg <= 2 {
		if first && d.nwords > 0 && d.nwords < redisWords {
			d.words[d.nwords] = ' '
			d.nwords++
		}
		up := appendUpper(d.words[:d.nwords], b[:min(len(b), redisWords-int(d.nwords))])
		d.nwords = uint8(len(up))
	}
}

// commandEnd ends the command in hand.
func (d *redis) commandEnd(s *redisSide, t *teller) {
	if s.key.value != 0 {
		s.key.more(t, nil, true)
	}
	n := int32(1)
	switch d.kind {
	case redisSubscribe:
		d.listens = true
		n = int32(max(1, d.arg-1))
	case redisClient:
		switch string(d.words[:d.nwords]) {
		case "REPLY OFF":
			d.quiet = true
		case "REPLY ON":
			d.quiet = false
		case "REPLY SKIP":
			d.skip, n = true, 0
		}
	}
	if d.quiet || n > 0 && d.skip {
		n = 0
		d.skip = false
	}
	tx := s.u.tx
	d.end(s, t, n == 0)
	if n > 0 {
		d.ask(tx, n)
	}
	d.args, d.arg = 0, 0
}

// bulk takes what there is of a bulk string.
func (d *redis) bulk(dir wire.Dir, s *redisSide, t *teller, b []byte) (n, need int, err error) {
	if d.endless {
		s.say(t, redisReply, "\t", b, false)
		return len(b), 0, nil
	}
	if s.value.left > 0 {
		n = int(min(int64(len(b)), s.value.left))
		if dir == wire.ToServer && d.arg == 0 { // the command's name is needed whole
			if s.value.left > int64(n) && s.value.left <= redisMaxName {
				return 0, int(s.value.left) - n, nil
			}
			if s.value.off == 0 {
				d.name(s, t, b[:n])
			} else {
				s.say(t, redisRequest, " ", b[:n], false)
			}
		} else if dir == wire.ToServer {
			d.argument(s, t, b[:n], s.value.off == 0)
		} else {
			d.leaf(s, t, b[:n], s.value.off == 0)
		}
		s.value.left -= int64(n)
		s.value.off += int64(n)
		if s.value.left > 0 || !s.bare {
			return n, 0, nil
		}
	} else if !s.bare {
		if len(b) < 2 {
			return 0, 1, nil
		}
		if b[0] != '\r' || b[1] != '\n' {
			return 0, 0, errRedis
		}
		n = 2
	}
	s.bulk, s.bare = false, false
	if dir == wire.ToClient {
		d.element(s, t)
		return n, 0, nil
	}
	d.arg++
	if d.args--; d.args == 0 {
		d.commandEnd(s, t)
	}
	return n, 0, nil
}

// leaf tells a piece of an element of a reply; first says that it is its first.
func (d *redis) leaf(s *redisSide, t *teller, b []byte, first bool) {
	if s.fails {
		s.say(t, redisError, "\t", b, first)
	} else {
		s.say(t, redisReply, "\t", b, first)
	}
}

// reply takes what is at the front of b: an element, or the head of a larger one.
func (d *redis) reply(s *redisSide, t *teller, b []byte) (n, need int, err error) {
	line, n := redisLine(b)
	if n == 0 {
		if len(b) > redisMaxLine {
			return 0, 0, errRedis
		}
		return 0, 1, nil
	}
	if len(line) == 0 {
		return n, 0, nil
	}
	if s.u.id == 0 {
		if need := d.replyBegins(s, line, b[n:]); need > 0 {
			return 0, need, nil
		}
	}
	s.fails = false
	switch line[0] {
	case '+', ':', ',', '(', '#':
		d.leaf(s, t, line[1:], true)
		d.element(s, t)
	case '-':
		s.fails = true
		d.leaf(s, t, line[1:], true)
		d.element(s, t)
	case '_':
		d.element(s, t)
	case '$', '!', '=':
		if d.sync && bytes.HasPrefix(line, []byte("$EOF:")) {
			d.endless, s.bulk = true, true
			return n, 0, nil
		}
		size, ok := redisNumber(line[1:])
		if !ok || size > redisMaxBulk && !d.sync {
			return 0, 0, errRedis
		}
		if size < 0 {
			d.element(s, t)
			return n, 0, nil
		}
		s.fails = line[0] == '!'
		s.bulk, s.value, s.bare = true, pieces{left: size}, d.sync && d.depth == 0
		if s.bare && size == 0 {
			s.bulk = false
			d.element(s, t)
		}
	case '*', '%', '~', '>', '|':
		return n, 0, d.aggregate(s, t, line)
	default:
		return 0, 0, errRedis
	}
	return n, 0, nil
}

// aggregate takes the head of an array, map, set, push or attribute.
func (d *redis) aggregate(s *redisSide, t *teller, line []byte) error {
	count, ok := redisNumber(line[1:])
	if !ok || count > redisMaxElements {
		return errRedis
	}
	if line[0] == '%' || line[0] == '|' {
		count *= 2
	}
	if line[0] == '|' { // it stands in front of an element, and is none
		if d.depth > 0 {
			d.left[d.depth-1] += count
			return nil
		}
		count++
	}
	if count <= 0 {
		d.element(s, t)
		return nil
	}
	if d.depth == redisMaxDepth {
		t.note(redisNoteDeep)
		t.flush(false, false)
		return errRedis
	}
	d.left[d.depth] = count
	d.depth++
	return nil
}

// element counts an element of the reply in hand, which ends with its last.
func (d *redis) element(s *redisSide, t *teller) {
	for d.depth > 0 {
		if d.left[d.depth-1]--; d.left[d.depth-1] > 0 {
			return
		}
		d.depth--
	}
	tx := s.u.tx
	over := true
	if d.first < len(d.pending) && d.pending[d.first].tx == tx {
		q := &d.pending[d.first]
		if q.n--; q.n > 0 {
			over = false
		} else {
			d.first++
		}
	}
	d.end(s, t, over)
}

// replyBegins takes a reply in hand, whose first line is line. It returns how many bytes more are needed to know what it is.
func (d *redis) replyBegins(s *redisSide, line, rest []byte) (need int) {
	push := line[0] == '>'
	if d.listens && (line[0] == '*' || line[0] == '>') && len(line) == 2 && (line[1] == '3' || line[1] == '4') {
		_, n := redisLine(rest)
		if n == 0 || len(rest) < n+8 {
			return 1
		}
		word := rest[n:]
		push = bytes.HasPrefix(word, []byte("message")) || bytes.HasPrefix(word, []byte("pmessage")) || bytes.HasPrefix(word, []byte("smessage"))
	}
	if push || d.first == len(d.pending) {
		d.lastTx++
		d.begin(s, d.lastTx)
		return 0
	}
	d.begin(s, d.pending[d.first].tx)
	return 0
}
