package dissect

import "weir/wire"

// mysqlPacked is what is open in a direction of the compressed protocol.
type mysqlPacked struct {
	left int // bytes of the compressed packet in hand that are still to come
	un   unpacker
	on   bool   // un is in use
	lost bool   // the packet in hand does not decode
	held []byte // decoded bytes of an unfinished packet
}

func (p *mysqlPacked) open() bool { return p.left > 0 || p.on || len(p.held) > 0 }

func (p *mysqlPacked) close(env *Env) {
	if p.on {
		p.un.stop(env)
		p.on = false
	}
}

// unpack takes packets of the compressed protocol from the front of b: each has a header of 7 bytes, and a length of 0 in it if it is not compressed.
func (d *mysql) unpack(dir wire.Dir, t *teller, b []byte) (used, need, passed int, err error) {
	s := &d.side[dir]
	p := &s.packed
	for used < len(b) && err == nil {
		c := b[used:]
		if p.left == 0 {
			if len(c) < 7 {
				return used, 7 - len(c), passed, nil
			}
			size, plain := mysqlLength(c), mysqlLength(c[4:])
			used += 7
			p.left, p.lost = size, false
			if size == 0 {
				continue
			}
			kind := d.pack
			if plain == 0 {
				kind, plain = packNone, size
			}
			if p.on = p.un.start(d.env, kind, int64(plain)); !p.on {
				d.undecodable(dir, s, t)
			}
			continue
		}
		c = c[:min(len(c), p.left)]
		if p.lost {
			passed += len(c)
		} else if !p.un.push(d.env, c, func(plain []byte) {
			if err == nil {
				err = d.inner(dir, t, plain)
			}
		}) {
			d.undecodable(dir, s, t)
		}
		used += len(c)
		if p.left -= len(c); p.left == 0 {
			p.close(d.env)
		}
	}
	return used, 0, passed, err
}

// undecodable notes that the compressed packet in hand is not to be decoded.
func (d *mysql) undecodable(dir wire.Dir, s *mysqlSide, t *teller) {
	s.packed.lost = true
	s.packed.close(d.env)
	s.packed.held = nil
	s.left, s.more = 0, false
	tx := d.lastTx
	if len(d.pending) > 0 && dir == wire.ToClient {
		tx = d.pending[0].tx
	}
	d.begin(s, max(tx, 1))
	t.note(mysqlNotePacked)
	t.flush(false, false)
}

// inner takes decoded bytes.
func (d *mysql) inner(dir wire.Dir, t *teller, b []byte) error {
	p := &d.side[dir].packed
	if len(p.held) > 0 {
		p.held = append(p.held, b...)
		b = p.held
	}
	used, _, _, err := d.packets(dir, t, b)
	t.flush(false, false)
	switch rest := b[used:]; {
	case len(rest) == 0:
		p.held = p.held[:0]
		if cap(p.held) > 2*mysqlHold {
			p.held = nil
		}
	case len(p.held) > 0:
		p.held = p.held[:copy(p.held, rest)]
	default:
		p.held = append(p.held[:0], rest...)
	}
	return err
}
