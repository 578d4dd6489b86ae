package pcapstore

import (
	"errors"
	"io"

	"weir/capture"
	"weir/wire"
)

// Format is a format of capture files.
type Format uint8

const (
	PcapNG Format = iota // draft-ietf-opsawg-pcapng: interfaces, names, comments, loss, nanoseconds
	Pcap                 // libpcap's, with microseconds: one link type, nothing but the packets; for old tools
	Table                // a line of text for each packet, for people: nothing of what it carries
)

// Errors of a Writer.
var (
	ErrLinkType   = errors.New("pcap holds one link type only (write pcapng instead)")
	ErrInterfaces = errors.New("too many interfaces for one file")
)

// ours
const (
	maxInterfaces = 4096     // per written file
	writerBuffer  = 64 << 10 // bytes
	spareBuffers  = 32       // buffers that wait to be filled again
)

// Writer writes a capture file. It is owned by one goroutine.
type Writer struct {
	w      io.Writer
	format Format
	app    string
	buf    []byte
	ifaces []capture.Interface
	stats  []Stats
	rows   rows // of a Table
	err    error
}

// NewWriter returns a Writer that says app ("weir VERSION") and comment in the file's head, which it writes with the first
// packet or at Close. Close does not close w.
func NewWriter(w io.Writer, f Format, app, comment string) *Writer {
	n := &Writer{w: w, format: f, app: app}
	if f == PcapNG {
		n.buf = appendSection(make([]byte, 0, writerBuffer+4096), app, comment)
	}
	return n
}

// Interface declares an interface and returns its number; one that was declared before, with equal name, description and link
// type, keeps its number. Errors: ErrLinkType, ErrInterfaces.
func (w *Writer) Interface(i capture.Interface) (int, error) {
	for n := range w.ifaces {
		if w.ifaces[n] == i {
			return n, nil
		}
	}
	if len(w.ifaces) == maxInterfaces {
		return 0, ErrInterfaces
	}
	switch {
	case w.format == PcapNG:
		w.buf = appendInterface(w.buf, &i)
	case w.format == Pcap && len(w.ifaces) == 0:
		w.buf = appendPcapHead(w.buf, i.Link)
	case w.format == Pcap && w.ifaces[0].Link != i.Link:
		return 0, ErrLinkType
	}
	w.ifaces = append(w.ifaces, i)
	w.stats = append(w.stats, Stats{})
	return len(w.ifaces) - 1, nil
}

// Packet writes a frame of a declared interface. One with a comment is handed on at once, with all before it.
func (w *Writer) Packet(iface int, f *wire.Frame, n Note) error {
	if w.err != nil {
		return w.err
	}
	switch w.format {
	case PcapNG:
		w.buf = appendPacket(w.buf, uint32(iface), f, &n)
	case Pcap:
		w.buf = appendPcapPacket(w.buf, f)
	case Table:
		w.buf = w.rows.append(w.buf, w.ifaces[iface].Name, f, &n)
	}
	s := &w.stats[iface]
	if s.Written == 0 || f.Time < s.Start {
		s.Start = f.Time
	}
	s.End = max(s.End, f.Time)
	s.Written++
	s.Dropped += n.Dropped
	if len(w.buf) >= writerBuffer || n.Comment != "" { // what was told of must outlive a crash
		return w.flush()
	}
	return nil
}

// Count sets what the capture counted on an interface, for the file's end. Without it the sum of Note.Dropped is told, and as
// received what was written.
func (w *Writer) Count(iface int, received, dropped uint64) {
	w.stats[iface].Received, w.stats[iface].Dropped = received, dropped
}

// Close writes the statistics of the interfaces and whatever is buffered.
func (w *Writer) Close() error {
	if w.err != nil {
		return w.err
	}
	switch {
	case w.format == PcapNG:
		for i := range w.stats {
			w.stats[i].Received = max(w.stats[i].Received, w.stats[i].Written)
			w.buf = appendStats(w.buf, uint32(i), &w.stats[i])
		}
	case w.format == Pcap && len(w.ifaces) == 0:
		w.buf = appendPcapHead(w.buf, wire.LinkEthernet)
	}
	return w.flush()
}

func (w *Writer) flush() error {
	w.err = writeAll(w.w, w.buf)
	w.buf = w.buf[:0]
	return w.err
}

func appendPcapHead(b []byte, l wire.Link) []byte {
	b = u32(b, pcapMagic)
	b = u16(u16(b, 2), 4) // version 2.4
	b = u64(b, 0)         // time zone, accuracy: always 0
	b = u32(b, maxCaptured)
	return u32(b, uint32(l))
}

func appendPcapPacket(b []byte, f *wire.Frame) []byte {
	captured, onWire := lengths(f)
	t := max(f.Time, 0)
	b = u32(b, uint32(t/1e9))
	b = u32(b, uint32(t%1e9/1e3))
	b = u32(u32(b, captured), onWire)
	return appendFrame(b, f, captured)
}
