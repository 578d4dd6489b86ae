package dlp

import (
	"errors"
	"io"

	"weir/dissect"
)

// scanPiece is how much of a file is read at once.
const scanPiece = 64 << 10 // bytes

// plain returns what bytes by themselves are: a file's, or those of a flow that nobody recognises.
func (s *Scanner) plain() (*dissect.Protocol, dissect.Field) {
	if s.db.files {
		return &dissect.OnDisk, dissect.OnDiskContent
	}
	return &dissect.Raw, dissect.RawBytes
}

// ScanReader looks for the rules' patterns in all that r yields, as if it were a file, or the bytes of a flow that nobody
// recognises. It appends what it found; the error is r's own.
func (s *Scanner) ScanReader(r io.Reader, hits []Hit) ([]Hit, error) {
	var st State
	buf := make([]byte, scanPiece)
	p, field := s.plain()
	m := dissect.Message{Protocol: p, ID: 1, Tx: 1}
	part := dissect.Part{Field: field, Value: 1, More: true}
	m.Parts = []dissect.Part{part}
	for {
		n, err := io.ReadFull(r, buf)
		m.Parts[0].Bytes = buf[:n]
		hits = s.Inspect(&st, &m, hits)
		m.Parts[0].Off += int64(n)
		if err != nil {
			hits = s.Close(&st, hits)
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				err = nil
			}
			return hits, err
		}
	}
}

// ScanBytes looks for the rules' patterns in b as a whole, and appends what it found.
func (s *Scanner) ScanBytes(b []byte, hits []Hit) []Hit {
	var st State
	p, field := s.plain()
	m := dissect.Message{Protocol: p, ID: 1, Tx: 1, End: true}
	m.Parts = []dissect.Part{{Field: field, Value: 1, Bytes: b}}
	return s.Close(&st, s.Inspect(&st, &m, hits))
}
