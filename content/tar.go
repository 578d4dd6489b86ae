package content

import (
	"bytes"
	"encoding/binary"
	"strconv"
)

// from POSIX.1-1988 (ustar), POSIX.1-2001 (pax) and GNU tar
const (
	tarBlock    = 512
	tarNameSize = 100
	tarSizeAt   = 124
	tarSumAt    = 148
	tarTypeAt   = 156
	tarMagicAt  = 257
	tarTold     = 262 // bytes that tell what it is
	tarPrefixAt = 345
)

// ours
const maxTarName = 4 << 10 // bytes of a name or an extended header that is read; the rest is read over

// isTar knows the magic of ustar and GNU tar; older ones have none.
func isTar(head []byte) bool {
	return len(head) >= tarTold && string(head[tarMagicAt:tarTold]) == "ustar"
}

// readTar takes an archive apart. Members are whole in it, so where their bytes stand is known.
func readTar(in *input, out *output) error {
	var head [tarBlock]byte
	var long string // name of the next member, if it is given apart
	size := int64(-1)
	for {
		if err := in.full(head[:]); err != nil {
			return err
		}
		if allZero(head[:]) {
			continue // two end an archive, but another one may follow
		}
		if !tarSum(head[:]) {
			if err := out.unreadable(faultBroken, -1); err != nil {
				return err
			}
			if err := seekTar(in); err != nil {
				return err
			}
			continue
		}
		n := tarNumber(head[tarSizeAt : tarSizeAt+12])
		if n < 0 {
			return errBroken
		}
		switch kind := head[tarTypeAt]; kind {
		case 'L', 'K', 'x', 'g', 'X':
			b, err := tarText(in, n)
			if err != nil {
				return err
			}
			if kind == 'L' {
				long = tarString(b)
			} else if kind == 'x' || kind == 'X' {
				if path, ok := paxRecord(b, "path"); ok {
					long = path
				}
				if s, ok := paxRecord(b, "size"); ok {
					size = parseSize(s)
				}
			}
			continue
		case '1', '2', '3', '4', '5', '6': // links, devices and folders have no content
			n = 0
		case 'S': // a sparse file's map goes on in further blocks
			if err := skipSparse(in, head[:]); err != nil {
				return err
			}
		}
		if size >= 0 {
			n = size
		}
		name := long
		if name == "" {
			name = tarName(head[:])
		}
		long, size = "", -1
		out.begin(name)
		if err := copyStored(in, out, n); err != nil {
			return err
		}
		if err := out.end(); err != nil {
			return err
		}
		if err := in.skip(-n & (tarBlock - 1)); err != nil {
			return err
		}
	}
}

// seekTar reads up to a header, block by block.
func seekTar(in *input) error {
	for {
		b, err := in.Peek(tarBlock)
		if err != nil {
			return err
		}
		if isTar(b) && tarSum(b) {
			return nil
		}
		in.Discard(tarBlock)
	}
}

// tarText reads n bytes that name something, and what pads them.
func tarText(in *input, n int64) ([]byte, error) {
	b := make([]byte, min(n, maxTarName))
	if err := in.full(b); err != nil {
		return nil, err
	}
	return b, in.skip(n - int64(len(b)) + -n&(tarBlock-1))
}

func skipSparse(in *input, head []byte) error {
	const more, moreAgain = 482, 504
	next := head[more] == 1
	var b [tarBlock]byte
	for next {
		if err := in.full(b[:]); err != nil {
			return err
		}
		next = b[moreAgain] == 1
	}
	return nil
}

// tarSum reports whether a header's checksum is right: its bytes are summed as if those of the sum were spaces, by some writers as signed ones.
func tarSum(head []byte) bool {
	want := tarNumber(head[tarSumAt : tarSumAt+8])
	var sum, signed int64
	for i, c := range head {
		if i >= tarSumAt && i < tarSumAt+8 {
			c = ' '
		}
		sum += int64(c)
		signed += int64(int8(c))
	}
	return want == sum || want == signed
}

// tarNumber reads a number in octal, or in GNU's binary form; -1: it is none.
func tarNumber(b []byte) int64 {
	if b[0]&0x80 != 0 {
		if b[0] != 0x80 || !allZero(b[1:max(1, len(b)-8)]) {
			return -1
		}
		if n := binary.BigEndian.Uint64(b[len(b)-8:]); n < 1<<62 {
			return int64(n)
		}
		return -1
	}
	b = bytes.Trim(b, " \x00")
	if i := bytes.IndexAny(b, " \x00"); i >= 0 {
		b = b[:i]
	}
	if len(b) == 0 {
		return 0
	}
	n, err := strconv.ParseInt(string(b), 8, 62)
	if err != nil || n < 0 {
		return -1
	}
	return n
}

func tarString(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b)
}

func tarName(head []byte) string {
	name := tarString(head[:tarNameSize])
	if string(head[tarMagicAt:tarMagicAt+6]) == "ustar\x00" {
		if prefix := tarString(head[tarPrefixAt : tarPrefixAt+155]); prefix != "" {
			return prefix + "/" + name
		}
	}
	return name
}

// paxRecord finds a record, as "30 path=name\n" with its length in front.
func paxRecord(b []byte, key string) (string, bool) {
	for len(b) > 0 {
		sp := bytes.IndexByte(b, ' ')
		if sp < 0 {
			return "", false
		}
		n, err := strconv.Atoi(string(b[:sp]))
		if err != nil || n <= sp+1 || n > len(b) {
			return "", false
		}
		k, v, ok := bytes.Cut(bytes.TrimSuffix(b[sp+1:n], []byte("\n")), []byte("="))
		if ok && string(k) == key {
			return string(v), true
		}
		b = b[n:]
	}
	return "", false
}

func parseSize(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 62)
	if err != nil || n < 0 {
		return -1
	}
	return n
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
