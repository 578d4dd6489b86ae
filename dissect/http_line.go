package dissect

import (
	"bytes"

	"weir/wire"
)

// startLine parses the first line of the message in hand, without its line end.
func (h *http) startLine(s *httpSide, line []byte) {
	if s.kind == request {
		h.requestLine(s, line)
	} else {
		h.statusLine(s, line)
	}
}

// requestLine parses "method SP target SP version": RFC 9112 section 3. White space inside the target is taken for a
// part of it.
func (h *http) requestLine(s *httpSide, line []byte) {
	h.add(s, httpRequestLine, line)
	method, target, version := h.splitRequest(s, line)
	h.method(s, method)
	h.version(s, version)
	h.add(s, httpMethod, method)
	h.target(s, method, target)
	h.add(s, httpVersion, version)
	if len(version) > 0 && !commonVersion(version) {
		h.add(s, headField(s.kind), version) // what is no version may be anything
	}
	class := classOther
	switch {
	case string(method) == "HEAD":
		class = classHead
	case string(method) == "CONNECT":
		class = classConnect
	case s.frame.version == 9 && len(version) == 0:
		class = classOld
	}
	s.frame.bodyless(method)
	h.asked(s, class)
}

// splitRequest cuts a request line in three. The common form is looked for first.
func (h *http) splitRequest(s *httpSide, line []byte) (method, target, version []byte) {
	n := bytes.IndexByte(line, ' ')
	if v := len(line) - len("HTTP/1.1"); n > 0 && n < maxMethod && v > n+2 && line[v-1] == ' ' && line[v-2] > ' ' && line[n+1] > ' ' && commonVersion(line[v:]) {
		return line[:n], line[n+1 : v-1], line[v:]
	}
	if n = bytes.IndexAny(line, " \t"); n < 0 {
		n = len(line)
	}
	rest := bytes.Trim(line[n:], " \t")
	if i := bytes.LastIndexAny(rest, " \t"); i >= 0 && versionLike(rest[i+1:]) {
		rest, version = rest[:i], rest[i+1:]
	} else if len(rest) > 0 && rest[0] != '/' && len(rest) < 12 && versionLike(rest) {
		rest, version = nil, rest
	}
	target = bytes.Trim(rest, " \t")
	if len(line) > 0 && line[len(line)-1] <= ' ' || len(rest) != len(target) || n+1 < len(line) && line[n+1] == ' ' {
		h.note(s, noteURISpace)
	}
	return line[:n], target, version
}

// commonVersion reports whether v is HTTP/1.0 or HTTP/1.1.
func commonVersion(v []byte) bool { return string(v) == "HTTP/1.1" || string(v) == "HTTP/1.0" }

// versionLike reports whether the last word of a request line is meant as a version.
func versionLike(b []byte) bool {
	i := bytes.IndexByte(b, '/')
	return i >= 1 && i <= 8 && i+1 < len(b) && isDigit(b[i+1]) && httpChars[b[0]]&isAlnum != 0 && bytes.IndexByte(b[i+1:], '/') < 0
}

// bodyless remembers whether the method is one that has no body by its meaning.
func (f *httpFrame) bodyless(m []byte) {
	switch string(m) {
	case "GET", "HEAD", "CONNECT", "TRACE":
		f.noBody = true
	}
}

func (h *http) method(s *httpSide, m []byte) {
	for _, c := range m {
		if httpChars[c]&isToken == 0 {
			h.note(s, noteBadMethod)
			return
		}
	}
	if !knownMethod(m) {
		h.note(s, noteUnknownMethod)
	}
}

// version takes the version of a start line, which may be missing.
func (h *http) version(s *httpSide, v []byte) {
	f := &s.frame
	switch string(v) {
	case "HTTP/1.1":
		f.version = 11
	case "HTTP/1.0":
		f.version = 10
	case "":
		f.version = 9
		h.note(s, noteOldVersion)
	case "HTTP/0.9":
		f.version = 9
		h.note(s, noteBadVersion)
	default:
		h.note(s, noteBadVersion)
		f.version = 11
		if bytes.Contains(v, []byte("1.0")) {
			f.version = 10
		}
	}
}

// target takes the request target, in any of its forms (RFC 9112 section 3.2), as it came.
func (h *http) target(s *httpSide, method, t []byte) {
	escape := false
	for _, c := range t {
		if c <= '+' || c >= 0x7f {
			switch {
			case c >= 0x80:
				h.note(s, noteURI8Bit)
			case c == '%' || c == '+':
				escape = true
			case c == ' ':
				h.note(s, noteURISpace)
			case c < ' ' || c == 0x7f:
				h.note(s, noteURIControl)
			}
		}
	}
	h.addURI(s, t, escape)
	path := t
	if len(t) > 0 && t[0] == '/' {
		// the origin form
	} else if i := bytes.Index(t, []byte("://")); i > 0 && i < 12 {
		auth := t[i+3:]
		end := bytes.IndexAny(auth, "/?#")
		if end < 0 {
			end = len(auth)
		}
		auth, path = auth[:end], auth[end:]
		h.authority(s, auth, true)
	} else if len(t) > 0 && s.frame.version != 9 && bytes.IndexByte(t, ':') > 0 && bytes.IndexByte(t, '/') < 0 {
		h.authority(s, t, true) // CONNECT
		path = nil
	}
	if i := bytes.IndexByte(path, '#'); i >= 0 {
		path = path[:i]
	}
	query := []byte(nil)
	if i := bytes.IndexByte(path, '?'); i >= 0 {
		path, query = path[:i], path[i+1:]
	}
	if len(path) > 0 {
		h.add(s, httpPath, path)
	}
	if a, ok := containerAPI(method, path, query); ok {
		h.api(s, a)
	}
	if len(query) > 0 {
		h.add(s, httpQuery, query)
	}
}

// authority takes the host of a target or of a Host header.
func (h *http) authority(s *httpSide, a []byte, fromTarget bool) {
	if i := bytes.LastIndexByte(a, '@'); i >= 0 {
		a = a[i+1:]
	}
	host, ok := hostOf(a)
	if !ok {
		h.note(s, noteBadHost)
	}
	sum := foldSum(host)
	if !fromTarget {
		if s.frame.hosts++; s.frame.hosts > 1 {
			s.frame.hosts = 2
			h.note(s, noteHostTwice)
			return
		}
	}
	if s.frame.hostSum != 0 {
		if s.frame.hostSum != sum {
			h.note(s, noteHostDiffers)
		}
		return
	}
	s.frame.hostSum = sum
	if isMetadataHost(host) {
		h.note(s, noteMetadata)
		h.addText(s, httpAPI, "cloud-metadata")
	}
	if !h.x.wants(httpHost) || len(host) == 0 {
		return
	}
	for i, c := range host {
		if c != lower(c) {
			at := len(h.x.text)
			h.x.text = append(h.x.text, host...)
			host = h.x.text[at:]
			for j := i; j < len(host); j++ {
				host[j] = lower(host[j])
			}
			break
		}
	}
	h.add(s, httpHost, host)
}

// isMetadataHost reports whether a host is where clouds tell machines about themselves: AWS, Azure, Google and others; ECS; Alibaba.
func isMetadataHost(host []byte) bool {
	switch string(host) {
	case "169.254.169.254", "[fd00:ec2::254]", "metadata.google.internal", "169.254.170.2", "100.100.100.200":
		return true
	}
	return false
}

// hostOf cuts the port off and reports whether host and port are well formed: RFC 3986 section 3.2.
func hostOf(a []byte) (host []byte, ok bool) {
	if len(a) > 0 && a[0] == '[' {
		i := bytes.IndexByte(a, ']')
		if i < 0 {
			return a, false
		}
		for _, c := range a[1:i] {
			if httpChars[c]&isHost == 0 && c != ':' && c != '%' {
				return a[:i+1], false
			}
		}
		return a[:i+1], i > 2 && goodPort(a[i+1:])
	}
	host, ok = a, true
	if i := bytes.IndexByte(a, ':'); i >= 0 {
		host, ok = a[:i], goodPort(a[i:])
	}
	for i, c := range host {
		if httpChars[c]&isHost == 0 || c == '.' && i+1 < len(host) && host[i+1] == '.' {
			return host, false
		}
	}
	return host, ok && len(host) <= 255
}

// goodPort reports whether p is empty, or ':' and a port number.
func goodPort(p []byte) bool {
	if len(p) == 0 {
		return true
	}
	n, ok := decimal(p[1:])
	return p[0] == ':' && ok && n > 0 && n < 1<<16
}

// foldSum is FNV-1a over b in lower case, never 0: enough to tell whether two hosts of one message differ.
func foldSum(b []byte) uint32 {
	sum := uint32(2166136261)
	for _, c := range b {
		sum = (sum ^ uint32(lower(c))) * 16777619
	}
	return sum | 1
}

// statusLine parses "version SP status SP reason": RFC 9112 section 4.
func (h *http) statusLine(s *httpSide, line []byte) {
	h.add(s, httpResponseLine, line)
	n := 0
	for n < len(line) && line[n] > ' ' {
		n++
	}
	h.version(s, line[:n])
	h.add(s, httpVersion, line[:n])
	rest := line[n:]
	if len(rest) < 4 || rest[0] != ' ' || !isDigit(rest[1]) || !isDigit(rest[2]) || !isDigit(rest[3]) ||
		rest[1] == '0' || rest[1] > '5' || len(rest) > 4 && rest[4] != ' ' {
		h.note(s, noteBadStatus)
	}
	for len(rest) > 0 && rest[0] <= ' ' {
		rest = rest[1:]
	}
	status, digits, word := 0, 0, rest
	for len(rest) > 0 && rest[0] != ' ' && rest[0] != '\r' {
		if isDigit(rest[0]) && status < 1000 {
			status = status*10 + int(rest[0]-'0')
			digits++
		} else if httpChars[rest[0]]&isAlnum != 0 && digits == 3 {
			break // "200ok"
		}
		rest = rest[1:]
	}
	if len(word)-len(rest) != 3 || digits != 3 || !commonVersion(line[:n]) {
		h.add(s, headField(s.kind), line[:len(line)-len(rest)]) // what is no version or status may be anything
	}
	s.frame.status = uint16(status)
	if digits > 0 {
		h.number(s, httpStatus, int64(status))
	}
	if len(rest) > 0 && rest[0] == ' ' {
		rest = rest[1:]
	}
	if len(rest) > 0 {
		h.add(s, httpReason, rest)
	}
}

// oldRequest takes a request line without version, which is a whole request of HTTP/0.9. Header lines that follow it
// nevertheless belong to it.
func (h *http) oldRequest(dir wire.Dir, s *httpSide, b []byte) (int, bool) {
	if s.lineAt > 0 || s.scan > len(b) {
		return 0, false
	}
	e := bytes.IndexByte(b[s.scan:], '\n')
	if e += s.scan; e < s.scan || e > maxFirstLine {
		return 0, false
	}
	line := trimCR(b[:e])
	if v := len(line) - len("HTTP/1.1"); v > 0 && commonVersion(line[v:]) || hasVersion(line) {
		return 0, false
	}
	if i := bytes.LastIndexByte(line, ' '); i < 0 || versionLike(line[i+1:]) || bytes.IndexByte(line, ' ') == i && i+1 == len(line) {
		return 0, false
	}
	h.startLine(s, line)
	s.scan, s.lineAt = 0, 0
	s.state, s.line = inHeadMore, true
	h.flush(dir, s, false)
	return e + 1, true
}
