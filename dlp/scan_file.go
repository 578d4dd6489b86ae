package dlp

import (
	"errors"
	"io"

	"weir/dissect"
)

// scanPiece is how much of a file is read at once.
const scanPiece = 64 << 10 // bytes

// ScanReader looks for the rules' patterns in all that r yields, as if it were the bytes of a flow that nobody
// recognises. It appends what it found; the error is r's own.
func (s *Scanner) ScanReader(r io.Reader, hits []Hit) ([]Hit, error) {
	var st State
	buf := make([]byte, scanPiece)
	m := dissect.Message{Protocol: &dissect.Raw, ID: 1, Tx: 1}
	part := dissect.Part{Field: dissect.RawBytes, Value: 1, More: true}
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
	m := dissect.Message{Protocol: &dissect.Raw, ID: 1, Tx: 1, End: true}
	m.Parts = []dissect.Part{{Field: dissect.RawBytes, Value: 1, Bytes: b}}
	return s.Close(&st, s.Inspect(&st, &m, hits))
}
