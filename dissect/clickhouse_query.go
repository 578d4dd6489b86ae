package dissect

import (
	"bytes"
	"encoding/binary"

	"weir/wire"
)

// from the specification: revisions of the protocol from which on a query has more to say (ClickHouse, ProtocolDefines.h)
const (
	clickhouseClientInfo = 54032
	clickhouseQuota      = 54060
	clickhousePatch      = 54401
	clickhouseSettings   = 54429 // as text
	clickhouseSecret     = 54441
	clickhouseTrace      = 54442
	clickhouseForwarded  = 54443
	clickhouseReferer    = 54447
	clickhouseDepth      = 54448
	clickhouseBegan      = 54449
	clickhouseReplicas   = 54453
	clickhouseParameters = 54459
	clickhouseRoles      = 54472
	clickhouseLines      = 54475
	clickhouseToken      = 54476
)

// ours
const (
	clickhouseMaxSettings = 512      // of a query
	clickhouseMaxQuery    = 16 << 20 // bytes
	clickhouseHold        = 64 << 10 // bytes before a query's text that are waited for
	clickhouseEndless     = 1 << 62  // bytes of a value whose end is not known
)

// clickhouseThrown is how the name of an error's kind begins, behind its length.
var clickhouseThrown = []byte("\x0dDB::Exception")

// behind takes what an end says behind its hello: data, and in it queries and errors. Blocks of data do not tell how long they are, so these are
// looked for: the front of a query has two dozen values that must fit, an error its name.
func (d *clickhouse) behind(s *clickhouseSide, t *teller, dir wire.Dir, b []byte) (n, need int) {
	if s.value.field == clickhouseQuery || s.value.field == clickhouseReason {
		if n = s.value.take(t, b); s.value.left == 0 {
			d.next(s, t)
			s.value = t.stream(clickhouseData, clickhouseEndless)
		}
		return n, 0
	}
	if dir == wire.ToClient {
		return d.thrown(s, t, b)
	}
	for at := 0; ; at++ {
		i := bytes.IndexByte(b[at:], 1)
		if i < 0 {
			return s.value.take(t, b), 0
		}
		at += i
		q := clickhouseQueried{revision: d.revision}
		switch g := q.read(b[at:]); {
		case g == No, g == Maybe && (s.closed || len(b)-at > clickhouseHold):
			continue
		case g == Maybe:
			return s.value.take(t, b[:at]), 1
		}
		s.value.take(t, b[:at+q.at])
		d.next(s, t)
		text := b[at+q.at:]
		text = text[:min(len(text), q.size)]
		if len(q.user) > 0 {
			t.add(clickhouseUsers, q.user)
		}
		sqlTell(t, text, true, clickhouseVerb, clickhouseTable)
		s.value = t.stream(clickhouseQuery, int64(q.size))
		return at + q.at, 0
	}
}

// next ends the message in hand, and begins one.
func (d *clickhouse) next(s *clickhouseSide, t *teller) {
	if s.value.left > 0 && s.value.off > 0 {
		s.value.more(t, nil, true)
	}
	t.flush(true, true)
	d.open(s, true)
}

// thrown takes data of a server, and tells what it begins an error with.
func (d *clickhouse) thrown(s *clickhouseSide, t *teller, b []byte) (n, need int) {
	const head = 1 + 4 // bytes before the name: what the packet is, the number
	for from := 0; ; {
		i := bytes.Index(b[from:], clickhouseThrown)
		if i < 0 {
			break
		}
		at := from + i - head
		from += i + len(clickhouseThrown)
		if at < 0 || b[at] != 2 {
			continue
		}
		c := wire.Cut(b[from:])
		size := clickhouseVar(&c)
		code := binary.LittleEndian.Uint32(b[at+1:])
		switch {
		case c.Short() && !s.closed && len(b)-from < 9:
			return s.value.take(t, b[:at]), 1
		case c.Short() || size > clickhouseMaxQuery || size == 0:
			continue
		}
		s.value.take(t, b[:at])
		d.next(s, t)
		t.number(clickhouseError, int64(int32(code)))
		s.value = t.stream(clickhouseReason, int64(size))
		return len(b) - c.Len(), 0
	}
	for from := max(len(b)-head-len(clickhouseThrown), 0); from < len(b) && !s.closed; from++ { // it may have just begun
		if rest := b[from:]; rest[0] == 2 && (len(rest) <= head || bytes.HasPrefix(clickhouseThrown, rest[head:])) {
			return s.value.take(t, b[:from]), 1
		}
	}
	return s.value.take(t, b), 0
}

// clickhouseQueried is the front of a query.
type clickhouseQueried struct {
	revision uint64 // that it is written in
	user     []byte // who asks, where it is passed on
	at, size int    // of the text
}

// read reads what stands before a query's text. It says Maybe if more bytes are needed, with the front of the text.
func (q *clickhouseQueried) read(b []byte) Guess {
	c := wire.Cut(b)
	fits := c.U8() == 1
	text := func(since uint64) (v []byte) {
		if fits && q.revision >= since {
			if v, fits = clickhouseText(&c, clickhouseMaxText); fits && !isText(v) {
				fits = false
			}
		}
		return v
	}
	number := func(since, most uint64) (v uint64) {
		if fits && q.revision >= since {
			v = clickhouseVar(&c)
			fits = v <= most || c.Short()
		}
		return v
	}
	const any = 1<<64 - 1
	text(0) // its id
	if q.revision >= clickhouseClientInfo {
		kind := number(0, 2)
		fits = fits && (kind != 0 || c.Short())
		user := text(0)
		text(0)
		text(0)
		if fits && q.revision >= clickhouseBegan {
			c.Skip(8)
		}
		const overTCP, overHTTP = 1, 2
		through := number(0, 8)
		switch through {
		case overTCP:
			text(0)
			text(0)
			text(0)
			number(0, 1<<20)
			number(0, 1<<20)
			number(0, 1<<20)
		case overHTTP:
			number(0, 8)
			text(0)
			text(clickhouseForwarded)
			text(clickhouseReferer)
		}
		text(clickhouseQuota)
		number(clickhouseDepth, 1<<20)
		if through == overTCP {
			number(clickhousePatch, 1<<32)
		}
		if number(clickhouseTrace, 1) == 1 {
			c.Skip(24)
			text(0)
			c.Skip(1)
		}
		for range 3 {
			number(clickhouseReplicas, any)
		}
		number(clickhouseLines, any)
		number(clickhouseLines, any)
		if number(clickhouseToken, 1) == 1 {
			text(0)
		}
		if kind == 2 {
			q.user = user
		}
	}
	if q.revision < clickhouseSettings {
		return No // settings that do not tell how long they are
	}
	for range clickhouseMaxSettings {
		if name := text(0); len(name) == 0 {
			break
		}
		number(0, any)
		text(0)
	}
	if fits && q.revision >= clickhouseRoles {
		_, fits = clickhouseText(&c, clickhouseMaxText)
	}
	if fits && q.revision >= clickhouseSecret {
		_, fits = clickhouseText(&c, clickhouseMaxText) // a hash
	}
	number(0, 8) // stage
	number(0, 1) // compression
	q.size = int(number(0, clickhouseMaxQuery))
	q.at = len(b) - c.Len()
	begin := c.Rest()
	begin = begin[:min(len(begin), q.size, sqlMaxScan)]
	switch {
	case !fits:
		return No
	case c.Short():
		return Maybe
	case q.size == 0 || !isText(begin):
		return No
	case len(begin) < min(q.size, sqlMaxScan):
		return Maybe
	}
	return Yes
}
