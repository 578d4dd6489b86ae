package dissect

import "weir/wire"

// pairs are the exchanges that wait for their answer, found again by a number that the request and its answer have in common. Of too many the
// oldest is forgotten: its answer is an exchange of its own then.
type pairs struct {
	list []pair
}

type pair struct {
	key uint64
	tx  uint64
	was uint32 // what the protocol remembers of the request
	dir wire.Dir
}

// ours
const (
	maxPairs = 128
	pairSize = 24 // bytes
)

// asked remembers a request.
func (p *pairs) asked(dir wire.Dir, key, tx uint64, was uint32) {
	if len(p.list) == maxPairs {
		p.list = append(p.list[:0], p.list[1:]...)
	}
	p.list = append(p.list, pair{key, tx, was, dir})
}

// answered takes the request that an answer in dir belongs to.
func (p *pairs) answered(dir wire.Dir, key uint64) (pair, bool) {
	for i, q := range p.list {
		if q.key == key && q.dir != dir {
			p.list = append(p.list[:i], p.list[i+1:]...)
			return q, true
		}
	}
	return pair{}, false
}

func (p *pairs) empty() bool { return len(p.list) == 0 }
func (p *pairs) size() int   { return pairSize * cap(p.list) }
