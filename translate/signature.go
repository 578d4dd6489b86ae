package translate

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// anchor finds a beginning of text or line in an expression, that is no class's and not escaped.
var anchor = regexp.MustCompile(`(^|[^\[\\])\^|\\A`)

// signature is one rule of Suricata.
type signature struct {
	line, sid, rev int
	msg, class     string
	tags, notes    []string
	direction      string
	protocol       string
	severity       string
	sticky         string // buffer that what follows looks into; "" the payload
	patterns       []pattern
}

// pattern is a content or an expression, and where it must stand.
type pattern struct {
	regex    string
	n        int // bytes of a content
	buffer   string
	nocase   bool
	relative bool // behind the one before, with
	min, max int  // so many bytes between; max -1: any
	from     int  // offset at which it begins at the earliest ...
	to       int  // ... and at which it ends at the latest; -1: anywhere
	end      bool // it ends where the buffer does
	content  bool
}

// buffers are Weir's fields for Suricata's buffers, by the direction in which they are there.
var buffers = map[string]struct{ request, response []string }{
	"http.uri":           {request: []string{"http.uri"}},
	"http.method":        {request: []string{"http.method"}},
	"http.host":          {request: []string{"http.host"}},
	"http.user_agent":    {request: []string{"http.user_agent"}},
	"http.referer":       {request: []string{"http.referer"}},
	"http.request_line":  {request: []string{"http.request_line"}},
	"http.request_body":  {request: []string{"http.request.body"}},
	"http.header":        {[]string{"http.request.header"}, []string{"http.response.header"}},
	"http.cookie":        {[]string{"http.cookie"}, []string{"http.cookie"}},
	"http.content_type":  {[]string{"http.content_type"}, []string{"http.content_type"}},
	"http.stat_code":     {response: []string{"http.status"}},
	"http.stat_msg":      {response: []string{"http.reason"}},
	"http.response_line": {response: []string{"http.response_line"}},
	"http.response_body": {response: []string{"http.response.body"}},
	"http.location":      {response: []string{"http.location"}},
	"file.data":          {[]string{"http.request.body"}, []string{"http.response.body"}},
	"dns.query":          {request: []string{"dns.query"}},
	"tls.sni":            {request: []string{"tls.sni"}},
	"tls.cert_subject":   {response: []string{"tls.subject"}},
	"tls.cert_issuer":    {response: []string{"tls.issuerdn"}},
}

// older names of buffers: those with an underscore stand behind the content that they are for.
var older = map[string]string{
	"http_uri": "http.uri", "http_method": "http.method", "http_host": "http.host", "http_user_agent": "http.user_agent", "http_referer": "http.referer",
	"http_client_body": "http.request_body", "http_server_body": "http.response_body", "http_header": "http.header", "http_cookie": "http.cookie",
	"http_stat_code": "http.stat_code", "http_stat_msg": "http.stat_msg",
}

// renamed are sticky buffers of other names.
var renamed = map[string]string{"file_data": "file.data", "dns_query": "dns.query", "tls_sni": "tls.sni", "tls_cert_subject": "tls.cert_subject", "tls_cert_issuer": "tls.cert_issuer"}

// byFlag are the buffers that flags of an expression name.
var byFlag = map[rune]string{'U': "http.uri", 'P': "http.request_body", 'Q': "http.response_body", 'H': "http.header", 'M': "http.method", 'C': "http.cookie", 'S': "http.stat_code", 'V': "http.user_agent", 'W': "http.host"}

func (s *signature) name() string {
	if s.sid == 0 {
		return "a rule"
	}
	return strings.TrimSpace(fmt.Sprintf("sid %d %s", s.sid, s.msg))
}

// read takes in a rule. why says what cannot be translated; "" if all can.
func (s *signature) read(l string) (why string) {
	head, options, why := cut(l)
	if why != "" {
		return why
	}
	s.protocol, s.severity = head[1], "medium"
	for _, o := range options { // its name first, for whatever is wrong
		switch o.key {
		case "msg":
			s.msg, _ = unquote(o.value)
			s.msg = strings.NewReplacer(`\;`, ";", `\:`, ":", `\"`, `"`, `\\`, `\`).Replace(s.msg)
		case "sid":
			s.sid, _ = strconv.Atoi(o.value)
		}
	}
	switch {
	case s.sid <= 0 || s.sid > 1<<31-1:
		return "it has no sid that a rule of Weir can have"
	case !slices.Contains([]string{"alert", "drop", "reject"}, head[0]):
		return "action " + head[0] + " is none that raises an alert"
	case !slices.Contains([]string{"tcp", "udp", "ip", "http", "http1", "http2", "dns", "tls", "tcp-stream", "tcp-pkt"}, s.protocol):
		return "protocol " + s.protocol + " has no counterpart"
	}
	if head[0] != "alert" {
		s.notes = append(s.notes, "action "+head[0]+" is an alert here")
	}
	if where := strings.Join([]string{head[2], head[3], head[4], head[5], head[6]}, " "); strings.ContainsAny(where, "0123456789[!") {
		return "it is for certain addresses or ports only (" + where + ")"
	} else if where != "any any -> any any" {
		s.notes = append(s.notes, "addresses and ports are not looked at: "+where)
	}
	for _, o := range options {
		if why := s.option(o); why != "" {
			return why
		}
	}
	if len(s.patterns) == 0 {
		return "it has neither content nor pcre"
	}
	return s.check()
}

// option takes in one option.
func (s *signature) option(o option) (why string) {
	key := cmp.Or(renamed[o.key], o.key)
	if _, ok := buffers[key]; ok {
		s.sticky = key
		return ""
	}
	if buffer, ok := older[o.key]; ok {
		if len(s.patterns) == 0 {
			return o.key + " stands behind no content"
		}
		s.patterns[len(s.patterns)-1].buffer = buffer
		return ""
	}
	switch key {
	case "msg", "sid", "gid", "metadata", "fast_pattern", "target":
	case "pkt_data":
		s.sticky = ""
	case "rev":
		s.rev, _ = strconv.Atoi(o.value)
	case "classtype":
		s.class = o.value
	case "reference":
		s.tags = append(s.tags, "reference."+strings.ReplaceAll(strings.ReplaceAll(o.value, " ", ""), ",", ":"))
	case "priority":
		if i, err := strconv.Atoi(o.value); err == nil && i >= 1 {
			s.severity = []string{"high", "medium", "low", "info"}[min(i, 4)-1]
		}
	case "flow":
		return s.flow(o.value)
	case "content":
		return s.content(o.value)
	case "pcre":
		return s.pcre(o.value)
	case "threshold":
		if !strings.Contains(o.value, "type limit") {
			return "it counts (threshold: " + o.value + ")"
		}
		s.notes = append(s.notes, "alerts are limited by [alerts] of weir.toml, not by threshold: "+o.value)
	default:
		return s.modifier(o)
	}
	return ""
}

func (s *signature) flow(v string) (why string) {
	for word := range strings.SplitSeq(v, ",") {
		switch strings.TrimSpace(word) {
		case "established", "stateless", "":
		case "to_server", "from_client":
			s.direction = "request"
		case "to_client", "from_server":
			s.direction = "response"
		default:
			return "flow: " + strings.TrimSpace(word) + " has no counterpart"
		}
	}
	return ""
}

func (s *signature) content(v string) (why string) {
	text, not := unquote(v)
	if not {
		return "it asks that a content is not there, which no rule of Weir does"
	}
	p := pattern{buffer: s.sticky, max: -1, to: -1, content: true}
	if p.regex, p.n, why = literal(text); why != "" {
		return why
	}
	s.patterns = append(s.patterns, p)
	return ""
}

func (s *signature) pcre(v string) (why string) {
	text, not := unquote(v)
	if not {
		return "it asks that an expression does not match, which no rule of Weir does"
	}
	text = strings.NewReplacer(`\;`, ";", `\:`, ":", `\"`, `"`).Replace(text)
	end := strings.LastIndexByte(text, '/')
	if end < 1 || text[0] != '/' {
		return "its pcre is not between slashes"
	}
	p := pattern{buffer: s.sticky, max: -1, to: -1}
	flags := ""
	for _, f := range text[end+1:] {
		switch {
		case strings.ContainsRune("ism", f):
			flags += string(f)
		case byFlag[f] != "":
			p.buffer = byFlag[f]
		case f == 'R':
			p.relative = true
		case f == 'O':
		default:
			return fmt.Sprintf("flag %c of its pcre has no counterpart", f)
		}
	}
	p.regex = strings.ReplaceAll(text[1:end], `\/`, "/")
	if rest, begins := strings.CutPrefix(p.regex, "^"); p.relative && begins { // right behind the one before
		p.regex, p.max = rest, 0
	}
	if anchor.MatchString(p.regex) && (p.relative || !strings.HasPrefix(p.regex, "^")) {
		return "its pcre has an anchor inside"
	}
	if flags != "" {
		p.regex = "(?" + flags + ")" + p.regex
	}
	s.patterns = append(s.patterns, p)
	return ""
}

// modifier takes in what says more of the content before it.
func (s *signature) modifier(o option) (why string) {
	n, err := strconv.Atoi(o.value)
	number := func() string {
		if err != nil {
			return o.key + " names a variable"
		}
		return ""
	}
	if len(s.patterns) == 0 || !s.patterns[len(s.patterns)-1].content {
		return o.key + " has no counterpart"
	}
	p := &s.patterns[len(s.patterns)-1]
	switch o.key {
	case "nocase":
		p.nocase = true
	case "rawbytes":
	case "startswith":
		p.from, p.to = 0, p.n
	case "endswith":
		p.end = true
	case "offset":
		p.from, why = n, number()
	case "depth":
		p.to, why = n, number()
	case "distance":
		p.relative, p.min, why = true, n, number()
	case "within":
		p.relative, p.max, why = true, n, number()
	default:
		return o.key + " has no counterpart"
	}
	return why
}

// check looks at how the patterns fit together.
func (s *signature) check() (why string) {
	for i := range s.patterns {
		p := &s.patterns[i]
		if p.relative && (i == 0 || s.patterns[i-1].buffer != p.buffer) {
			return "a content is relative to none before it in the same buffer"
		}
		if p.min < 0 {
			return "a content may overlap the one before it (distance below 0)"
		}
		if p.relative && (p.from > 0 || p.to >= 0) {
			return "a content is relative, and has an offset"
		}
		if p.buffer == "" && !slices.Contains([]string{"tcp", "udp", "ip", "tcp-stream", "tcp-pkt"}, s.protocol) {
			return "a content looks at the bytes of " + s.protocol + " as they came, not at a buffer"
		}
		if p.buffer == "" && (p.from > 0 || p.to >= 0 || p.end) {
			return "a content has a place in the packet: in Weir's fields it has another"
		}
		if p.buffer != "" && s.fields(p.buffer) == nil {
			return p.buffer + " is not there in this direction"
		}
	}
	return ""
}

// fields returns the fields of a buffer in the rule's direction.
func (s *signature) fields(buffer string) []string {
	b := buffers[buffer]
	switch s.direction {
	case "request":
		return b.request
	case "response":
		return b.response
	}
	out := slices.Concat(b.request, b.response)
	slices.Sort(out)
	return slices.Compact(out)
}

// parts makes a rule of each run of patterns that stand one behind the other.
func (s *signature) parts() (out []rule) {
	base := rule{
		description: s.msg, direction: s.direction, severity: s.severity, engine: "signature", category: s.class, sid: s.sid, rev: s.rev,
		tags: s.tags, notes: s.notes,
	}
	if s.class != "" {
		base.tags = append([]string{"classtype." + s.class}, s.tags...)
	}
	for i := range s.patterns {
		p := &s.patterns[i]
		re := p.expression()
		if p.relative {
			last := &out[len(out)-1]
			last.regex += p.between() + re
			continue
		}
		part := base
		part.regex, part.fields = p.place()+re, s.fields(p.buffer)
		if p.buffer == "" {
			part.fields = nil
		}
		out = append(out, part)
	}
	// The longest is raised: it says most.
	longest := 0
	for i := range out {
		if len(out[i].regex) > len(out[longest].regex) {
			longest = i
		}
	}
	if longest > 0 {
		out[0], out[longest] = out[longest], out[0]
	}
	return out
}

// expression is the pattern alone, in a group of its own.
func (p *pattern) expression() string {
	re := p.regex
	if p.nocase {
		re = "(?i:" + re + ")"
	} else if !p.content {
		re = "(?:" + re + ")"
	}
	if p.end {
		re += `\z`
	}
	return re
}

// between is what stands between a pattern and the one before it. within counts from behind the distance to its end.
func (p *pattern) between() string {
	if p.max < 0 {
		return anything(p.min, -1)
	}
	return anything(p.min, p.min+max(0, p.max-p.n))
}

// place is what stands before a pattern that has one.
func (p *pattern) place() string {
	switch {
	case p.to >= 0:
		return `\A` + anything(p.from, p.from+max(0, p.to-p.n))
	case p.from > 0:
		return `\A` + anything(p.from, -1)
	}
	return ""
}

// anything matches so many bytes of whatever; most -1: or more.
func anything(least, most int) string {
	switch {
	case most == 0:
		return ""
	case most < 0:
		return fmt.Sprintf(`(?s:.){%d,}`, least)
	}
	return fmt.Sprintf(`(?s:.){%d,%d}`, least, most)
}
