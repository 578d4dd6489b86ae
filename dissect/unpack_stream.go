package dissect

import (
	"io"
	"sync"
)

// unpackRatio is more than DEFLATE can.
const unpackRatio = 1 << 10 // bytes per byte

// unpackInflaters are not in use.
var unpackInflaters sync.Pool

// unpacker undoes one compressed message as its bytes come. The zero value is none.
type unpacker struct {
	kind    packing
	taken   int // bytes that are counted
	head    int // bytes of a zlib header still to come
	in, out int64
	max     int64 // bytes that the message may decode to
	inf     *inflater
	pull    puller
	done    bool
}

// start prepares for a message that decodes to no more than max bytes. It reports false if there is no memory for it.
func (u *unpacker) start(env *Env, kind packing, max int64) bool {
	*u = unpacker{kind: kind, max: max}
	switch kind {
	case packZlib:
		u.taken = inflaterSize
	case packZstd:
		u.taken = maxWindow + pullerSize
	}
	if !env.take(u.taken) {
		*u = unpacker{}
		return false
	}
	switch kind {
	case packZlib:
		u.head = 2
		if u.inf, _ = unpackInflaters.Get().(*inflater); u.inf == nil {
			u.inf = new(inflater)
		}
		u.inf.reset()
	case packZstd:
		u.pull = newZstd()
	}
	return true
}

// stop gives back what was taken.
func (u *unpacker) stop(env *Env) {
	if u.inf != nil {
		unpackInflaters.Put(u.inf)
	}
	if u.pull != nil {
		u.pull.stop()
	}
	env.give(u.taken)
	*u = unpacker{}
}

// push decodes b, and gives what comes of it to out: it is valid during the call. It reports false if the bytes are no such data, or decode
// to more than they may.
func (u *unpacker) push(env *Env, b []byte, out func([]byte)) bool {
	u.in += int64(len(b))
	switch u.kind {
	case packNone:
		out(b)
	case packZlib:
		return u.inflate(env, b, out)
	case packZstd:
		return u.pullAll(env, b, out)
	}
	return true
}

func (u *unpacker) inflate(env *Env, b []byte, out func([]byte)) bool {
	for ; u.head > 0 && len(b) > 0; u.head-- {
		if u.head == 2 && b[0]&0x0f != 8 {
			return false
		}
		b = b[1:]
	}
	for !u.done {
		rest, done, err := u.inf.push(b)
		if !u.give(env, u.inf.out[u.inf.from:u.inf.pos], out) {
			return false
		}
		u.inf.from = u.inf.pos
		if err != nil {
			return false
		}
		if u.done = done; len(rest) == 0 && !u.inf.full {
			return true
		}
		b = rest
	}
	return true // a checksum follows
}

func (u *unpacker) pullAll(env *Env, b []byte, out func([]byte)) bool {
	for u.pull.push(b); !u.done; {
		got, err := safely(u.pull)
		if !u.give(env, got, out) {
			return false
		}
		switch {
		case err == errMoreInput:
			return true
		case err == io.EOF:
			u.done = true
		case err != nil:
			return false
		}
	}
	return true
}

// give gives decoded bytes on, if the budget allows.
func (u *unpacker) give(env *Env, b []byte, out func([]byte)) bool {
	u.out += int64(len(b))
	if u.out > u.max || u.out > int64(env.Limits.DecodeFree)+u.in*unpackRatio {
		return false
	}
	if len(b) > 0 {
		out(b)
	}
	return true
}
