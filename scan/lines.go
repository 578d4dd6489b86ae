package scan

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"unicode/utf8"
)

// Place is where something stands in a file.
type Place struct {
	Off       int64 // bytes before it; -1: it has no place of its own there, as what stands in an archive
	Line, Col int   // from 1, Col in bytes; 0: the file is no text, or it is not known
	Char      int   // as Col, in characters
	EndLine   int   // of the byte behind it; 0: not known
	EndChar   int
}

func (p *Place) compare(o *Place) int { return cmp.Compare(uint64(p.Off), uint64(o.Off)) }

// lines reads a file in pieces and knows where its lines begin. Of pieces that are gone it keeps how many lines there were. Line ends are counted
// when somebody asks, or a piece goes.
type lines struct {
	again  io.ReaderAt // reads pieces that are gone; nil: nothing does
	buf    [2][]byte   // the piece at hand and the one before, in turn
	at     int         // which one is at hand
	pieces []mark      // what stands before each piece
	binary bool
	old    []byte // a piece that is read again
	oldAt  int    // which one, -1 none
}

// mark is what stands before a piece.
type mark struct {
	lines int   // line ends
	begin int64 // offset of the line that goes on in the piece
}

const (
	binaryHead = 8000 // bytes of a file in which a NUL says that it is no text, as git has it
	noPlace    = 1 << 40
)

func newLines() lines {
	return lines{buf: [2][]byte{make([]byte, 0, piece), make([]byte, 0, piece)}, oldAt: -1}
}

func (l *lines) reset(again io.ReaderAt) {
	l.again, l.oldAt, l.pieces, l.binary = again, -1, append(l.pieces[:0], mark{}), false
	l.buf[0], l.buf[1] = l.buf[0][:0], l.buf[1][:0]
	l.at = 1
}

// fill reads the next piece. left is what is expected to come, less than 0 if nobody knows. last says that nothing comes after it.
func (l *lines) fill(r io.Reader, left int64) (b []byte, last bool, err error) {
	if len(l.buf[l.at]) > 0 {
		l.count()
	}
	l.at = 1 - l.at
	b = l.buf[l.at][:piece]
	n := 0
	for n < piece && err == nil {
		var k int
		k, err = r.Read(b[n:])
		n += k
		if err == nil && k > 0 && n < piece && int64(n) == left {
			break // all that the file had when it was opened
		}
	}
	b = b[:n]
	l.buf[l.at] = b
	if len(l.pieces) == 1 {
		l.binary = bytes.IndexByte(b[:min(n, binaryHead)], 0) >= 0
	}
	if errors.Is(err, io.EOF) {
		return b, true, nil
	}
	return b, err != nil || n < piece, err
}

// count notes what stands before the piece that comes next.
func (l *lines) count() {
	b := l.buf[l.at]
	m := l.pieces[len(l.pieces)-1]
	if k := bytes.LastIndexByte(b, '\n'); k >= 0 {
		m.begin = int64(len(l.pieces)-1)*piece + int64(k) + 1
		m.lines += bytes.Count(b[:k+1], newline)
	}
	l.pieces = append(l.pieces, m)
}

var newline = []byte{'\n'}

// place returns where [off, end) stands.
func (l *lines) place(off, end int64) Place {
	if off >= noPlace {
		return Place{Off: -1}
	}
	p := Place{Off: off}
	if l.binary {
		return p
	}
	p.Line, p.Col, p.Char = l.find(off)
	p.EndLine, _, p.EndChar = l.find(end)
	return p
}

// find returns line and column of an offset, 0 for what is not known.
func (l *lines) find(off int64) (line, col, char int) {
	k := min(int(off/piece), len(l.pieces)-1) // what ends with a piece stands in it
	b := l.piece(k)
	if b == nil {
		return 0, 0, 0
	}
	base := int64(k) * piece
	b = b[:min(off-base, int64(len(b)))]
	line, begin := l.pieces[k].lines+1, l.pieces[k].begin
	if i := bytes.LastIndexByte(b, '\n'); i >= 0 {
		line += bytes.Count(b[:i+1], newline)
		begin = base + int64(i) + 1
	}
	col = int(off-begin) + 1
	switch {
	case begin >= base:
		char = 1 + utf8.RuneCount(b[begin-base:])
	case begin >= base-piece:
		if before := l.piece(k - 1); before != nil {
			char = 1 + utf8.RuneCount(before[begin-base+piece:]) + utf8.RuneCount(b)
		}
	}
	return line, col, char
}

// piece returns the k-th piece; nil if it is gone.
func (l *lines) piece(k int) []byte {
	switch k {
	case len(l.pieces) - 1:
		return l.buf[l.at]
	case len(l.pieces) - 2:
		return l.buf[1-l.at]
	case l.oldAt:
		return l.old
	}
	if l.again == nil {
		return nil
	}
	if l.old == nil {
		l.old = make([]byte, piece)
	}
	l.oldAt = -1
	if n, err := l.again.ReadAt(l.old[:piece], int64(k)*piece); err != nil || n < piece {
		return nil
	}
	l.old, l.oldAt = l.old[:piece], k
	return l.old
}
