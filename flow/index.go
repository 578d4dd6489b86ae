package flow

// index finds flows by the hash of their key: open addressing with linear probing, in a power of two of slots. It holds
// no keys, so it is small; flows are numbered from 1.
type index struct {
	slots []slot
	n     int
}

type slot struct {
	hash uint32
	flow uint32 // 0: free
}

const indexMin = 64 // slots

// first returns where to begin looking for hash.
func (x *index) first(hash uint32) int { return int(hash) & (len(x.slots) - 1) }

func (x *index) next(i int) int { return (i + 1) & (len(x.slots) - 1) }

// add enters a flow that is not in it.
func (x *index) add(hash, flow uint32) {
	if 4*(x.n+1) > 3*len(x.slots) {
		x.grow()
	}
	x.n++
	x.put(slot{hash, flow})
}

func (x *index) put(s slot) {
	i := x.first(s.hash)
	for x.slots[i].flow != 0 {
		i = x.next(i)
	}
	x.slots[i] = s
}

func (x *index) grow() {
	old := x.slots
	x.slots = make([]slot, max(indexMin, 2*len(old)))
	for _, s := range old {
		if s.flow != 0 {
			x.put(s)
		}
	}
}

// remove takes a flow out, and closes the gap that it leaves.
func (x *index) remove(hash, flow uint32) {
	i := x.first(hash)
	for x.slots[i].flow != flow {
		if x.slots[i].flow == 0 {
			return
		}
		i = x.next(i)
	}
	x.n--
	for j := x.next(i); x.slots[j].flow != 0; j = x.next(j) {
		home := x.first(x.slots[j].hash)
		if (j-home)&(len(x.slots)-1) >= (j-i)&(len(x.slots)-1) { // it may move to i and still be found
			x.slots[i] = x.slots[j]
			i = j
		}
	}
	x.slots[i] = slot{}
}
