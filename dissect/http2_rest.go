package dissect

// ours
const (
	http2Size       = 1152 // bytes that an http2 is counted for
	http2StreamSize = 2048 // bytes of a stream and of the views of its bodies
	hpackEntrySize  = 12   // bytes of an entry, without what stands in it
)

// Rest implements Dissector: a connection always has tables of headers to remember.
func (d *http2) Rest() (Rest, bool) { return Rest{}, false }

// Size implements Dissector.
func (d *http2) Size() int {
	n := http2Size + http2StreamSize*len(d.streams) + d.kept
	for i := range d.side {
		s := &d.side[i]
		n += cap(s.table.mem) + hpackEntrySize*cap(s.table.ents) + cap(s.block.buf)
	}
	if d.doh != nil {
		n += d.doh.d.Size()
	}
	return n
}
