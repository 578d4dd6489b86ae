package content

import (
	"bufio"
	"io"
)

// pdfHex undoes ASCIIHexDecode.
type pdfHex struct{ r *bufio.Reader }

func (h *pdfHex) Read(p []byte) (int, error) {
	for n := 0; n < len(p); n++ {
		v := byte(0)
		for k := 0; k < 2; {
			c, err := h.r.ReadByte()
			if err == nil && c == '>' {
				err = io.EOF
			}
			if err != nil {
				if n > 0 {
					return n, nil
				}
				return 0, err
			}
			if d, ok := hexDigit(c); ok {
				v = v<<4 | byte(d)
				k++
			}
		}
		p[n] = v
	}
	return len(p), nil
}

// pdf85 undoes ASCII85Decode.
type pdf85 struct {
	r    *bufio.Reader
	have [4]byte
	n    int // bytes of have that wait
	at   int
	end  bool
}

func (a *pdf85) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		if a.at == a.n {
			if err := a.group(); err != nil {
				if n > 0 {
					return n, nil
				}
				return 0, err
			}
		}
		k := copy(p[n:], a.have[a.at:a.n])
		a.at += k
		n += k
	}
	return n, nil
}

// group reads five letters, or what is left of them at the end.
func (a *pdf85) group() error {
	a.at, a.n = 0, 0
	if a.end {
		return io.EOF
	}
	v, k := uint32(0), 0
	for k < 5 {
		c, err := a.r.ReadByte()
		if err == io.EOF || err == nil && c == '~' {
			a.end = true
			break
		}
		if err != nil {
			return err
		}
		switch {
		case c == 'z' && k == 0:
			a.have, a.n = [4]byte{}, 4
			return nil
		case c >= '!' && c <= 'u':
			v = v*85 + uint32(c-'!')
			k++
		}
	}
	if k < 2 {
		return io.EOF
	}
	for i := k; i < 5; i++ {
		v = v*85 + 84
	}
	a.have, a.n = [4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)}, k-1
	return nil
}
