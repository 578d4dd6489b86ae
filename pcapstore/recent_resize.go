package pcapstore

import "encoding/binary"

// Full reports whether r is too small for all that came: older packets were overwritten, or some did not fit.
func (r *Recent) Full() bool {
	return r != nil && (r.head-r.begin > uint64(len(r.buf)) || r.tooBig > r.tooBigThen)
}

// Resize gives r another size, as NewRecent rounds it. The newest packets stay, as many as fit; of the oldest 1/64 may be lost. Both sizes
// are in memory while it lasts: some milliseconds for 16 MiB.
func (r *Recent) Resize(bytes int) {
	n := NewRecent(bytes)
	n.tooBig, n.tooBigThen = r.tooBig, r.tooBig
	// No position of the old ring stands for a record of the new one.
	n.head = (r.head/uint64(len(n.buf)) + 3) * uint64(len(n.buf))
	n.begin = n.head
	if first := r.oldest().at; first != 0 {
		r.each(first, func(flow uint64, b []byte) {
			f := frameOf(b)
			n.Add(&f, flow)
		})
	}
	if n.Full() { // with what it was meant to lose
		n.begin = n.head
	}
	*r = *n
}

// each calls fn with the records from position at on.
func (r *Recent) each(at uint64, fn func(flow uint64, record []byte)) {
	for at < r.head {
		b := r.record(at)
		if len(b) < recordHead || binary.LittleEndian.Uint32(b[atCap:]) == noRecord {
			at += uint64(len(b)) // the rest of the ring is empty
			continue
		}
		fn(binary.LittleEndian.Uint64(b[atFlow:]), b)
		at += recordLen(int(binary.LittleEndian.Uint32(b[atCap:])))
	}
}
