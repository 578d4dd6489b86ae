package tunnel

import (
	"bytes"

	"weir/dissect"
	"weir/wire"
)

var (
	httpWords  = fieldsOf(&dissect.HTTP, "http.request.header", "http.request.body", "http.response.body", "http.uri")
	http2Words = fieldsOf(&dissect.HTTP2, "http.request.header", "http.request.body", "http.response.body", "http.uri")
)

const (
	httpHead = iota + 1
	httpRequest
	httpResponse
	httpTarget
)

// HTTP looks at a part of a message of HTTP/1 or HTTP/2. s is what is remembered of its flow; it is made if something is to be.
func HTTP(s **Stream, m *dissect.Message) (Verdict, bool) {
	words := &httpWords
	if m.Protocol == &dissect.HTTP2 {
		words = &http2Words
	}
	for i := range m.Parts {
		p := &m.Parts[i]
		if p.View != dissect.ViewPlain || len(p.Bytes) == 0 {
			continue
		}
		switch words[p.Field] {
		case httpHead:
			if p.Off != 0 {
				continue
			}
			if why := toolOf(p.Bytes); why != "" {
				return Verdict{Kind: KindHTTP, Score: 90, Why: why}, true
			}
		case httpRequest, httpResponse:
			if b := beginning(s, m.Dir, p); len(b) > 0 {
				if in := Inside(m.Dir, b); in != nil && isForeign(in) {
					return remember(s).body(m.Dir, in)
				}
			}
		}
		if p.Off != 0 { // how a value begins is all that is looked at
			continue
		}
		if v, found := pollTake(s, words[p.Field], p.Bytes); found {
			return v, true
		}
	}
	return Verdict{}, false
}

// isForeign reports whether bodies do not begin with a protocol of themselves. Text may well quote HTTP.
func isForeign(p *dissect.Protocol) bool {
	switch p.Name {
	case "ssh", "tls", "socks", "rdp", "smb":
		return true
	}
	return false
}

func remember(s **Stream) *Stream {
	if *s == nil {
		*s = &Stream{}
	}
	return *s
}

func (s *Stream) body(dir wire.Dir, in *dissect.Protocol) (Verdict, bool) {
	was := s.inside[dir]
	s.inside[dir] = in
	switch {
	case s.inside[0] != nil && s.inside[0] == s.inside[1] && was == nil:
		return Verdict{Kind: KindHTTP, Score: 95, Why: "bodies of requests and of answers begin with another protocol: SSH, TLS, SOCKS, RDP or SMB"}, true
	case dir == wire.ToServer && was == nil && in.Name == "tls":
		return Verdict{Kind: KindHTTP, Score: 70, Why: "the body of a request is the beginning of a TLS conversation"}, true
	}
	return Verdict{}, false
}

// toolOf returns whose marks stand in the head of a request; "": nobody's. It goes over the lines once: there are many requests, and few
// have a header that a tool has.
func toolOf(head []byte) string {
	for rest := head; len(rest) > 0; {
		var line []byte
		line, rest, _ = bytes.Cut(rest, []byte("\n"))
		if len(line) == 0 || line[0]|0x20 != 's' && line[0]|0x20 != 'x' {
			continue
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		for _, t := range tools {
			if len(name) == len(t.header) && bytes.EqualFold(name, []byte(t.header)) && (t.value == "" || containsFold(value, t.value)) &&
				(t.also == "" || lineOf(head, t.also) != nil) {
				return t.why
			}
		}
	}
	return ""
}

// tools are tunnels that say who they are. Their headers begin with S or X.
var tools = []struct{ header, value, also, why string }{
	{"sec-websocket-protocol", "chisel-v", "", "the protocol that a client of chisel asks for"},
	{"sec-websocket-protocol", "v1, authorization.bearer.ey", "", "the protocol that a client of wstunnel asks for, with where to go in a token"},
	{"x-cmd", "", "x-target", "the headers of reGeorg: a command and a target"},
	{"x-cmd", "read", "", "the headers of reGeorg: a command"},
	{"x-cmd", "forward", "", "the headers of reGeorg: a command"},
	{"x-cmd", "disconnect", "", "the headers of reGeorg: a command"},
}

// lineOf returns the value of the header name, nil if there is none.
func lineOf(head []byte, name string) []byte {
	for len(head) > 0 {
		var line []byte
		line, head, _ = bytes.Cut(head, []byte("\n"))
		if len(line) > len(name) && line[len(name)] == ':' && bytes.EqualFold(line[:len(name)], []byte(name)) {
			return bytes.TrimSpace(line[len(name)+1:])
		}
	}
	return nil
}

func containsFold(b []byte, s string) bool {
	for i := 0; i+len(s) <= len(b); i++ {
		if bytes.EqualFold(b[i:i+len(s)], []byte(s)) {
			return true
		}
	}
	return false
}
