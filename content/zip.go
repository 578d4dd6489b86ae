package content

import (
	"bytes"
	"compress/bzip2"
	"encoding/binary"
	"hash/crc32"
	"io"
)

// from the specification, APPNOTE 6.3.10
const (
	zipLocal      = "PK\x03\x04"
	zipCentral    = "PK\x01\x02"
	zipEnd        = "PK\x05\x06"
	zipEnd64      = "PK\x06\x06"
	zipEnd64At    = "PK\x06\x07"
	zipDescriptor = "PK\x07\x08"
	zipSpanned    = "PK00" // in front of the first header of an archive that was to be split

	zipLocalSize   = 30 // bytes
	zipCentralSize = 46
	zipEndSize     = 22

	zipEncrypted = 1 << 0 // flags
	zipSizeLater = 1 << 3

	zipExtra64 = 0x0001 // extra field with sizes of 64 bits

	zipStore   = 0
	zipDeflate = 8
	zipBzip2   = 12
	zipLZMA    = 14
	zipZstd    = 93
	zipAES     = 99
)

// zipMember is what a local header says.
type zipMember struct {
	name   string
	flags  uint16
	method uint16
	crc    uint32
	size   int64 // compressed; of no use if it comes later
	plain  int64
	wide   bool // sizes have 64 bits
}

// later reports whether the sizes stand behind the member.
func (m *zipMember) later() bool { return m.flags&zipSizeLater != 0 && m.size == 0 }

// readZip takes an archive apart by the headers in front of its members, not by the directory at its end: that comes too late, and who reads
// members where it says is the one who reads the same bytes a thousand times.
func readZip(in *input, out *output) error {
	if b, _ := in.Peek(4); len(b) == 4 && (string(b) == zipSpanned || string(b) == zipDescriptor) {
		in.Discard(4)
	}
	in.book = newBook(in.speaks)
	for {
		b, err := in.Peek(4)
		if err != nil {
			return err
		}
		switch string(b) {
		case zipLocal:
			err = readZipMember(in, out)
		case zipCentral:
			err = skipZipRecord(in, zipCentralSize, 28, 30, 32)
		case zipEnd:
			err = skipZipRecord(in, zipEndSize, 20)
		case zipEnd64:
			var head [12]byte
			if err = in.full(head[:]); err == nil {
				err = in.skip(int64(min(binary.LittleEndian.Uint64(head[4:]), maxZipExtra)))
			}
		case zipEnd64At:
			err = in.skip(20)
		default: // a header that lied, or what somebody put between members: the next one counts
			err = seekZip(in)
		}
		if err != nil {
			return err
		}
	}
}

// maxZipExtra bounds what is read over of the records at the end.
const maxZipExtra = 1 << 20 // bytes

// skipZipRecord reads over a record of a fixed size and what two-byte lengths at these offsets say.
func skipZipRecord(in *input, size int, lengths ...int) error {
	var head [zipCentralSize]byte
	if err := in.full(head[:size]); err != nil {
		return err
	}
	n := 0
	for _, at := range lengths {
		n += int(binary.LittleEndian.Uint16(head[at:]))
	}
	return in.skip(int64(n))
}

// seekZip reads up to the next local header, or the end.
func seekZip(in *input) error { return in.until(zipLocal, nil) }

func readZipMember(in *input, out *output) error {
	m, err := readZipHeader(in)
	if err != nil {
		return err
	}
	out.begin(m.name)
	out.tee = in.book.member(m.name, out.total)
	err = m.read(in, out)
	out.tee = nil
	if why := faultOf(err); why != noFault {
		if err = out.unreadable(why, m.size); err == nil {
			err = seekZip(in)
		}
	}
	if e := out.end(); e != nil {
		return e
	}
	if e := in.book.show(m.name, out); e != nil {
		return e
	}
	return err
}

// readZipHeader reads a local header.
func readZipHeader(in *input) (m zipMember, err error) {
	var head [zipLocalSize]byte
	if err = in.full(head[:]); err != nil {
		return m, err
	}
	le := binary.LittleEndian
	m = zipMember{flags: le.Uint16(head[6:]), method: le.Uint16(head[8:]), crc: le.Uint32(head[14:]), size: int64(le.Uint32(head[18:])), plain: int64(le.Uint32(head[22:]))}
	rest := make([]byte, int(le.Uint16(head[26:]))+int(le.Uint16(head[28:])))
	if err = in.full(rest); err != nil {
		return m, err
	}
	n := int(le.Uint16(head[26:]))
	m.name = string(rest[:n])
	m.extra(rest[n:])
	return m, nil
}

// extra takes sizes of 64 bits from the extra fields.
func (m *zipMember) extra(b []byte) {
	le := binary.LittleEndian
	for len(b) >= 4 {
		kind, n := le.Uint16(b), int(le.Uint16(b[2:]))
		b = b[4:]
		if n > len(b) {
			return
		}
		if kind == zipExtra64 {
			m.wide = true
			f := b[:n]
			for _, v := range []*int64{&m.plain, &m.size} {
				if *v == 0xffffffff && len(f) >= 8 {
					*v = int64(le.Uint64(f) & (1<<62 - 1))
					f = f[8:]
				}
			}
		}
		b = b[n:]
	}
}

// read gives the member's content.
func (m *zipMember) read(in *input, out *output) error {
	if m.flags&zipEncrypted != 0 || m.method == zipAES {
		if err := out.unreadable(faultEncrypted, m.size); err != nil {
			return err
		}
		return m.over(in)
	}
	if m.method == zipStore {
		if m.later() {
			return m.storedUntilDescriptor(in, out)
		}
		if err := copyStored(in, out, m.size); err != nil || m.flags&zipSizeLater == 0 {
			return err
		}
		return m.descriptor(in)
	}
	return m.unpack(in, out)
}

// over reads over a member whose content is not read.
func (m *zipMember) over(in *input) error {
	if m.later() {
		return seekZip(in)
	}
	return in.skip(m.size)
}

// unpack gives the content of a compressed member. How much there is to be read its data say; a header may say anything.
func (m *zipMember) unpack(in *input, out *output) error {
	from, known := in.at(), m.flags&zipSizeLater == 0
	var err error
	switch {
	case m.method == zipDeflate:
		err = inflate(in, out)
	case m.method == zipLZMA:
		var head [9]byte // version, length of the properties, the properties
		if err = in.full(head[:]); err == nil {
			size := m.plain
			if !known {
				size = -1
			}
			err = alone(in, out, head[4], size)
		}
	case m.method == zipBzip2 && known: // whose readers read on beyond the end
		err = out.all(bzip2.NewReader(io.LimitReader(in, m.size)))
	case m.method == zipZstd && known:
		err = unzstd(io.LimitReader(in, m.size), out)
	default:
		if err := out.unreadable(faultMethod, m.size); err != nil {
			return err
		}
		return m.over(in)
	}
	if err != nil {
		return err
	}
	if !known {
		return m.descriptor(in)
	}
	if n := m.size - (in.at() - from); n > 0 {
		return in.skip(n)
	}
	return nil
}

// descriptor reads over the sizes behind a member.
func (m *zipMember) descriptor(in *input) error {
	n := int64(12)
	if m.wide {
		n = 20
	}
	b, err := in.Peek(4)
	if err != nil {
		return err
	}
	if string(b) == zipDescriptor {
		n += 4
	} else if string(b) == zipLocal || string(b) == zipCentral {
		return nil
	}
	if b, _ := in.Peek(int(n) + 12); len(b) == int(n)+12 && !bytes.HasPrefix(b[n:], []byte("PK")) && bytes.HasPrefix(b[n+8:], []byte("PK")) {
		n += 8 // sizes of 64 bits without the extra field that says so
	}
	return in.skip(n)
}

// copyStored gives n bytes as they are.
func copyStored(in *input, out *output, n int64) error {
	for n > 0 {
		if _, err := in.Peek(1); err != nil {
			return err
		}
		at := in.at()
		b, _ := in.Peek(int(min(n, int64(in.Buffered()))))
		if err := out.give(b, at); err != nil {
			return err
		}
		in.Discard(len(b))
		n -= int64(len(b))
	}
	return nil
}

// storedUntilDescriptor gives a member that is stored and whose size stands behind it: its end is where the sizes and the sum there are right.
func (m *zipMember) storedUntilDescriptor(in *input, out *output) error {
	var n int64
	sum := uint32(0)
	for {
		if _, err := in.Peek(1); err != nil {
			return err
		}
		at := in.at()
		b, _ := in.Peek(in.Buffered())
		k := bytes.Index(b, []byte("PK"))
		if k == 0 {
			over, err := m.endsHere(in, n, sum)
			if err != nil || over {
				return err
			}
			b, _ = in.Peek(1)
		} else if k > 0 {
			b = b[:k]
		} else if k = len(b) - 1; k > 0 && b[k] == 'P' {
			b = b[:k]
		} else if k == 0 && b[0] == 'P' {
			if b, _ = in.Peek(2); len(b) == 2 && b[1] == 'K' {
				continue
			}
			b = b[:1]
		}
		sum = crc32.Update(sum, crc32.IEEETable, b)
		if err := out.give(b, at); err != nil {
			return err
		}
		in.Discard(len(b))
		n += int64(len(b))
	}
}

// endsHere reports whether a descriptor of n bytes with this sum comes now, and reads over it if so. One without its signature is not found: what
// comes after it then counts as the member's.
func (m *zipMember) endsHere(in *input, n int64, sum uint32) (bool, error) {
	b, _ := in.Peek(24)
	le := binary.LittleEndian
	switch {
	case len(b) < 16 || string(b[:4]) != zipDescriptor || le.Uint32(b[4:]) != sum:
	case int64(le.Uint32(b[8:])) == n && int64(le.Uint32(b[12:])) == n:
		return true, in.skip(16)
	case len(b) == 24 && int64(le.Uint64(b[8:])) == n && int64(le.Uint64(b[16:])) == n:
		return true, in.skip(24)
	}
	return false, nil
}
