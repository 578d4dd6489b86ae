package pcapstore

import (
	"bufio"
	"encoding/binary"
	"io"
	"io/fs"
	"os"
)

// ours
const maxBlock = maxCaptured + 2*maxText + 4096 // bytes; no block that a Slice writes is longer

// salvage finishes what a crash left unfinished: a hidden file is cut behind its last whole block and gets its name, or is
// removed if no packet is in it.
func (s *Store) salvage() error {
	list, err := fs.ReadDir(s.root.FS(), ".")
	if err != nil {
		return err
	}
	for _, d := range list {
		name := openedName(d.Name())
		if sliceID(name) == "" || !d.Type().IsRegular() {
			continue
		}
		if err := s.salvageFile(d.Name(), name); err != nil {
			return err
		}
	}
	return s.lock.Sync()
}

func (s *Store) salvageFile(hidden, name string) error {
	f, err := s.root.OpenFile(hidden, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	whole, packets := wholeBlocks(f)
	if packets == 0 {
		return s.root.Remove(hidden)
	}
	if err := f.Truncate(whole); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	s.saved.Add(1)
	return s.root.Rename(hidden, name)
}

// wholeBlocks returns the length of the whole blocks at the front of a file, and how many of them are packets.
func wholeBlocks(r io.Reader) (length int64, packets int) {
	b := bufio.NewReaderSize(r, 64<<10)
	for {
		head, err := b.Peek(8)
		if err != nil {
			return length, packets
		}
		kind, n := binary.LittleEndian.Uint32(head), binary.LittleEndian.Uint32(head[4:])
		if n < 12 || n > maxBlock || n%4 != 0 || (length == 0) != (kind == blockSection) {
			return length, packets
		}
		if _, err := b.Discard(int(n) - 4); err != nil {
			return length, packets
		}
		var end [4]byte
		if _, err := io.ReadFull(b, end[:]); err != nil || binary.LittleEndian.Uint32(end[:]) != n {
			return length, packets
		}
		length += int64(n)
		if kind == blockPacket {
			packets++
		}
	}
}
