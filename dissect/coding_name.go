package dissect

import "bytes"

// codingName names a coding by its letters and digits alone, as lenient receivers do; exact reports whether that is how
// it was spelled.
func codingName(b []byte) (k codingKind, exact bool) {
	var buf [16]byte
	n := 0
	exact = true
	for _, c := range b {
		if httpChars[c]&isAlnum == 0 {
			exact = exact && c == '-'
			continue
		}
		if n == len(buf) {
			return codingUnknown, false
		}
		buf[n] = lower(c)
		n++
	}
	name := buf[:n]
	switch string(name) {
	case "gzip", "xgzip":
		return codingGzip, exact
	case "deflate", "xdeflate":
		return codingDeflate, exact
	case "chunked":
		return codingChunked, exact && len(b) == 7
	case "identity", "none", "binary":
		return codingIdentity, exact
	case "compress", "xcompress":
		return codingIdentity, exact // nobody sends it any more; what is in it stays as it came
	case "br", "brotli":
		return codingBrotli, exact
	case "zstd":
		return codingZstd, exact
	}
	for _, x := range [...]struct {
		in string
		k  codingKind
	}{{"chunked", codingChunked}, {"gzip", codingGzip}, {"deflate", codingDeflate}, {"zstd", codingZstd}} {
		if bytes.Contains(name, []byte(x.in)) {
			return x.k, false
		}
	}
	return codingUnknown, false
}
