package dissect

import (
	"bytes"
	"errors"

	"weir/wire"
)

// HTTP is HTTP/1.x and 0.9 (RFC 9110, RFC 9112): any number of exchanges on a connection, pipelined or not. Which
// direction carries requests is learnt from the content, so that a flow picked up midway parses too.
//
// It decodes what a lenient receiver would decode, and notes what a strict one would refuse: the two together leave no
// room between what was inspected and what was understood.
//
// Close must be told for both directions when a flow is dropped for whatever reason: decoders are given back there.
var HTTP = Protocol{
	Name: "http",
	About: "HTTP/1.x and 0.9 over TCP: RFC 9110, RFC 9112. Keep-alive, pipelining, 100 Continue, CONNECT and Upgrade; content and " +
		"transfer codings gzip, deflate (with and without zlib header), br, zstd, also stacked. Calls of the APIs of Docker, Podman, kubelets, Kubernetes, container runtimes " +
		"and clouds' metadata are named, with what is asked of them; most clusters call those over TLS, and nothing of that is seen. An event `http` for each exchange, at " +
		"its end. URI and query are looked at percent-decoded once and twice, forms percent-decoded, JSON bodies with escapes " +
		"resolved.",
	Carrier: Stream,
	Ports:   []uint16{80, 8080, 8000, 8008, 8081, 8888, 3000, 3128, 5000, 5985, 9000, 9090, 9200, 2375},
	Probe:   probeHTTP,
	Fields: []FieldSpec{
		httpMethod:        {Name: "http.method", Doc: "the method", EVE: "http_method"},
		httpURI:           {Name: "http.uri", Doc: "the request target as it came", EVE: "url", File: FileURL},
		httpPath:          {Name: "http.path", Doc: "of the target, without scheme, authority and query", Derived: true},
		httpQuery:         {Name: "http.query", Doc: "of the target, without `?`", Derived: true},
		httpVersion:       {Name: "http.version", Doc: "as `HTTP/1.1`", EVE: "protocol", First: true, Derived: true},
		httpHost:          {Name: "http.host", Doc: "lower case, without port: the target's if it has one, else the Host header's", EVE: "hostname", Derived: true},
		httpStatus:        {Name: "http.status", Doc: "the answer's status, digits", EVE: "status", Number: true},
		httpReason:        {Name: "http.reason", Doc: "the text after the status"},
		httpUserAgent:     {Name: "http.user_agent", Doc: "header User-Agent", EVE: "http_user_agent", Derived: true},
		httpContentType:   {Name: "http.content_type", Doc: "header Content-Type of the answer", EVE: "http_content_type", Derived: true},
		httpReferer:       {Name: "http.referer", Doc: "header Referer", EVE: "http_refer", Derived: true},
		httpLocation:      {Name: "http.location", Doc: "header Location", EVE: "redirect", Derived: true},
		httpRequestLine:   {Name: "http.request_line", Doc: "the first line of a request, without its line end", Derived: true},
		httpResponseLine:  {Name: "http.response_line", Doc: "the first line of an answer, without its line end", Derived: true},
		httpRequestHead:   {Name: "http.request.header", Doc: "the header block of a request; trailers and chunk extensions are further values"},
		httpResponseHead:  {Name: "http.response.header", Doc: "likewise of an answer"},
		httpRequestBody:   {Name: "http.request.body", Doc: "the body of a request, after transfer and content codings", File: File},
		httpResponseBody:  {Name: "http.response.body", Doc: "likewise of an answer", File: File},
		httpCookie:        {Name: "http.cookie", Doc: "Cookie and Set-Cookie, a value for each line", Derived: true, Privacy: Cookies},
		httpLength:        {Name: "http.length", Doc: "bytes of an answer's body as they came", EVE: "length", Number: true, Derived: true},
		httpBodyFile:      {Name: "http.body_file", Doc: "file names of multipart parts", Derived: true, File: FileName},
		httpRequestType:   {Name: "http.request.content_type", Doc: "header Content-Type of the request", Derived: true},
		httpAuthorization: {Name: "http.authorization", Doc: "header Authorization", Derived: true, Privacy: Credential},
		httpFileName:      {Name: "http.filename", Doc: "file name in the header Content-Disposition", Derived: true, File: FileName},
		httpFileSize:      {Name: "http.body_file_size", Doc: "bytes of the file of a multipart part", Derived: true, File: InnerFile},
		httpAPI:           {Name: "http.api", Doc: "API that is called, where one is known by host or path: `docker`, `kubelet`, `kubernetes`, `cri`, `containerd`, `cloud-metadata`", EVE: "api/name", Derived: true},
		httpAPIOperation:  {Name: "http.api_operation", Doc: "what is asked of an API that runs containers, as `create`, `exec`, `list secrets`", EVE: "api/operation", Derived: true},
	},
	New:    newHTTP,
	Resume: resumeHTTP,
}

// Fields of HTTP, in the order of HTTP.Fields.
const (
	httpMethod        Field = iota
	httpURI                 // the request target as it came
	httpPath                // of the target, without scheme, authority and query
	httpQuery               // of the target, without '?'
	httpVersion             // "HTTP/1.1" as it came
	httpHost                // lower case, without port; the target's if it has one, else the Host header's
	httpStatus              // decimal digits
	httpReason              // what follows the status
	httpUserAgent           //
	httpContentType         // of an answer
	httpReferer             //
	httpLocation            //
	httpRequestLine         // without its line end
	httpResponseLine        // without its line end
	httpRequestHead         // the header block; trailers and chunk extensions are further values
	httpResponseHead        // likewise
	httpRequestBody         // after transfer and content codings
	httpResponseBody        // likewise
	httpCookie              // Cookie and Set-Cookie, a value for each line
	httpLength              // bytes of an answer's body as they came, chunk framing but the last empty line included
	httpBodyFile            // file names of multipart parts
	httpRequestType         // Content-Type of a request
	httpAuthorization       //
	httpFileName            // in Content-Disposition
	httpFileSize            // bytes of a multipart part with a file name
	httpAPI                 // that runs containers, or is the cloud's
	httpAPIOperation        // what is asked of it
)

// ours
const (
	maxMethod = 32 // bytes of a method; longer ones are none
	// bytes of a request line that is looked at to its end before it is known to be one
	maxFirstLine = 8 << 10
	maxJunk      = 1 << 20 // bytes that are passed over in search of the next message, then the flow is given up as raw
	maxParts     = 64      // parts that are collected before they are emitted
)

// Errors of Feed; the flow is inspected as raw from there on.
var (
	errHTTPLost    = errors.New("http: no message found in the bytes that follow")
	errHTTP2       = errors.New("http: HTTP/2 connection preface")
	errHTTPUpgrade = errors.New("http: bytes of another protocol after an upgrade")
)

// httpState is what a direction waits for.
type httpState uint8

const (
	atStart    httpState = iota // of a message
	inHead                      // start line and header block, until complete
	inHeadMore                  // the rest of a header block that was too long to wait for
	inBody                      // remain bytes of body
	inBodyTail                  // body until the direction ends
	atChunkSize
	inChunkExt
	inChunk // remain bytes of chunk data
	atChunkEnd
	inTrailer
	inJunk // bytes that begin no message: body, until a line does
	upgraded
)

// httpKind says what a message is.
type httpKind uint8

const (
	noKind httpKind = iota
	request
	response
)

// httpSide is the state of one direction.
type httpSide struct {
	state  httpState
	role   httpKind // of the messages of this direction, once known
	kind   httpKind // of the message in hand
	class  httpClass
	closed bool
	open   bool // a message is in hand: emitted without End, or about to be
	want   bool // the body is asked for
	ended  bool // the message in hand said Connection: close
	cr     bool // the last byte of a chunk line was a CR
	line   bool // at the beginning of a line, in junk
	gapped bool // junk after a gap, which is no violation
	body   bool // a body part was emitted, with More set
	first  bool // no chunk has been parsed yet
	quoted bool // in a chunk extension's quoted string
	slash  bool // the last byte of it was a backslash
	spared bool // the body that was asked about may not come: the answer came first
	sniff  bool // the body's first byte may call for a view
	blank  uint8
	frame  httpFrame

	id, tx uint64
	told   noteSet // notes of the message in hand, told
	fresh  noteSet // and not told yet
	values uint32  // value numbers given
	bodyNo uint32  // value number of the body
	headNo uint32  // value number of the open header value
	remain int64   // bytes of body or chunk that are still to come
	off    int64   // of the next body byte
	length int64   // body bytes as they came
	ext    int64   // bytes of the chunk extension in hand
	junk   int64   // junk bytes since the last message
	headAt int64   // offset in an open header value
	scan   int     // bytes of the unfinished head that were searched
	lineAt int     // where the line begins that was being searched
	left   int     // bytes not used by the last Feed
	chain  *codings
	view   *viewer
	files  *multipart
	events *sse
	dir    wire.Dir
}

// http parses one flow.
type http struct {
	p       *Protocol
	env     *Env
	x       *httpScratch
	side    [2]httpSide
	pending []httpClass // of requests that wait for their answer
	lastID  uint64
	reqTx   uint64 // exchange of the last request
	ansTx   uint64 // exchange of the last answer
	done    uint64 // exchanges below are answered; an unfinished request ends its exchange itself
	lost    bool   // a gap or too many pending requests: answers cannot be paired for sure
	emit    func(*Message)
}

// Feed implements Dissector.
func (h *http) Feed(dir wire.Dir, data []byte, emit func(*Message)) (Progress, error) {
	h.emit = emit
	h.x = h.env.httpScratch()
	h.x.refresh(h.p, h.env)
	s := &h.side[dir]
	if s.state == upgraded {
		return Progress{}, errHTTPUpgrade
	}
	used := 0
	for used < len(data) {
		n, more, err := h.step(dir, s, data[used:])
		used += n
		if err != nil {
			h.flush(dir, s, false)
			h.release()
			return Progress{Used: used}, err
		}
		if !more {
			break
		}
	}
	if s.closed && s.state != upgraded {
		h.finish(dir, s, data[used:])
		used = len(data)
	}
	h.flush(dir, s, false)
	s.left = len(data) - used
	h.emit = nil
	return Progress{Used: used}, nil
}

// step parses from the front of b, which is not empty. It returns what it used, and whether to go on: more is false
// when it waits for bytes beyond b.
func (h *http) step(dir wire.Dir, s *httpSide, b []byte) (n int, more bool, err error) {
	switch s.state {
	case atStart:
		return h.start(s, b)
	case inHead:
		n, more = h.head(dir, s, b)
	case inHeadMore:
		n, more = h.headMore(dir, s, b)
	case inBody, inBodyTail, inChunk:
		if s.spared {
			return 0, h.sparedBody(dir, s, b), nil
		}
		n, more = h.bodyBytes(dir, s, b), true
	case atChunkSize:
		n, more = h.chunkSize(dir, s, b)
	case inChunkExt:
		n, more = h.chunkExt(s, b), true
	case atChunkEnd:
		n, more = h.chunkEnd(s, b), true
	case inTrailer:
		n, more = h.trailer(dir, s, b)
	case inJunk:
		return h.junkBytes(dir, s, b)
	}
	return n, more, nil // after an upgrade the rest is left to the protocol that follows
}

// Gap implements Dissector.
func (h *http) Gap(dir wire.Dir, n int, emit func(*Message)) bool {
	h.emit = emit
	h.x = h.env.httpScratch()
	h.x.refresh(h.p, h.env)
	s := &h.side[dir]
	s.scan, s.lineAt, s.left = 0, 0, 0
	h.gap(dir, s, int64(n))
	h.flush(dir, s, false)
	h.emit = nil
	return s.state != upgraded
}

func (h *http) gap(dir wire.Dir, s *httpSide, n int64) {
	switch s.state {
	case inBodyTail:
		h.skipBody(s, n)
		return
	case inBody, inChunk:
		if n < s.remain {
			h.skipBody(s, n)
			s.remain -= n
			return
		}
		if n == s.remain {
			h.skipBody(s, n)
			s.remain = 0
			h.bodyDone(dir, s)
			return
		}
	case upgraded:
		return
	case atStart, inHead:
		h.lost, h.pending = true, h.pending[:0]
		h.startJunk(s, true)
		return
	}
	h.note(s, noteTruncated)
	h.end(dir, s)
	h.lost, h.pending = true, h.pending[:0]
	h.startJunk(s, true)
}

// Close implements Dissector. A head that was left over is finished by the Feed that follows.
func (h *http) Close(dir wire.Dir, emit func(*Message)) {
	h.emit = emit
	h.x = h.env.httpScratch()
	h.x.refresh(h.p, h.env)
	s := &h.side[dir]
	s.closed = true
	if s.left == 0 {
		h.finish(dir, s, nil)
		h.flush(dir, s, false)
	}
	h.drop(s)
	h.emit = nil
}

// finish ends what is open when no more bytes come after rest.
func (h *http) finish(dir wire.Dir, s *httpSide, rest []byte) {
	switch s.state {
	case atStart:
		if i := bytes.IndexByte(rest, ' '); s.role != response && (knownMethod(rest) || i > 0 && knownMethod(rest[:i])) {
			h.begin(s, request)
			h.finishHead(dir, s, rest)
		} else if len(rest) > 0 {
			h.startJunk(s, false)
			h.junkRest(dir, s, rest)
		}
	case inHead:
		h.finishHead(dir, s, rest)
	case inHeadMore:
		h.note(s, noteTruncated)
		h.headPiece(s, rest)
		h.endHeadValue(s)
		h.end(dir, s)
	case inJunk:
		h.junkRest(dir, s, rest)
	case atChunkSize:
		h.chunkRest(dir, s, rest)
	case inTrailer:
		if len(rest) > 0 {
			h.add(s, headField(s.kind), rest)
		}
		h.end(dir, s)
	case inBody, inBodyTail, inChunk, inChunkExt, atChunkEnd:
		h.endBody(dir, s)
	}
	if s.state != upgraded {
		s.state = atStart
	}
}

// finishHead takes a head that was cut short.
func (h *http) finishHead(dir wire.Dir, s *httpSide, rest []byte) {
	h.note(s, noteTruncated)
	h.wholeHead(dir, s, rest, len(rest), len(rest))
	if s.open && s.state != upgraded {
		h.endBody(dir, s)
	}
}

// drop gives back what a direction holds.
func (h *http) drop(s *httpSide) {
	s.chain = h.x.freeCodings(s.chain)
	s.view = h.x.freeViewer(s.view)
	s.files = h.x.freeMultipart(s.files)
	s.events = nil
}

func (h *http) release() {
	h.drop(&h.side[0])
	h.drop(&h.side[1])
}
