package dissect

// noteSet is a set of noteKinds.
type noteSet uint64

// noteKind is an index into httpNotes.
type noteKind uint8

const (
	noteLengthAndCoding noteKind = iota
	noteLengthRepeated
	noteLengthDiffers
	noteBadLength
	noteBadCoding
	noteChunkedTwice
	noteChunkedNotLast
	noteCodingOldVersion
	noteHiddenFraming
	noteDoubtfulName
	noteFold
	noteFoldFraming
	noteEmptyName
	noteNoColon
	noteBadName
	noteNUL
	noteControl
	noteBareCR
	noteBareLF
	noteBlankLine
	noteLongHead
	noteManyHeaders
	noteNoHost
	noteHostTwice
	noteBadHost
	noteHostDiffers
	noteBadVersion
	noteOldVersion
	noteBadMethod
	noteUnknownMethod
	noteURISpace
	noteURIControl
	noteURI8Bit
	noteURICRLF
	noteInjection
	noteSplitting
	noteURIUTF8
	noteBadStatus
	noteBodyUnexpected
	noteLeading
	noteJunk
	noteResync
	noteUnrequested
	noteRoles
	noteAfterClose
	notePending
	noteChunkSize
	noteChunkSpelling
	noteChunkExt
	noteBadExt
	noteChunkEnd
	noteTrailer
	noteTruncated
	noteUndecodable
	noteCodingMismatch
	noteBudget
	noteDecoders
	noteAuthorization
	noteDepth
	noteMetadata
	noteContainerAPI
	noteContainerExec
	noteContainerPrivileged
	noteKinds
)

var httpNotes = [noteKinds]Note{
	noteMetadata:            {"http.cloud_metadata", false, "a call of the cloud's metadata service, where credentials of the machine are read"},
	noteContainerAPI:        {"http.container_api", false, "a call of an API that runs containers (Docker, Podman, kubelet, Kubernetes, CRI, containerd), in the clear: `http.api` says which"},
	noteContainerExec:       {"http.container_exec", false, "a command is run in a container by such a call, or somebody is let into it"},
	noteContainerPrivileged: {"http.container_privileged", true, "a privileged container is asked for by such a call: it is as good as the host"},
	noteLengthAndCoding:     {"http.length_and_transfer_coding", true, "both Content-Length and Transfer-Encoding: receivers disagree on where the body ends"},
	noteLengthRepeated:      {"http.content_length_repeated", true, "Content-Length is given more than once"},
	noteLengthDiffers:       {"http.content_length_differs", true, "Content-Length is given more than once with different values"},
	noteBadLength:           {"http.bad_content_length", true, "Content-Length is not a plain decimal number"},
	noteBadCoding:           {"http.bad_transfer_coding", true, "Transfer-Encoding names an unknown coding or is oddly spelled"},
	noteChunkedTwice:        {"http.chunked_twice", true, "the chunked coding is given more than once"},
	noteChunkedNotLast:      {"http.chunked_not_last", true, "Transfer-Encoding does not end in chunked"},
	noteCodingOldVersion:    {"http.transfer_coding_in_old_version", true, "Transfer-Encoding in a version before HTTP/1.1"},
	noteHiddenFraming:       {"http.hidden_framing", true, "a framing header stands behind odd bytes in another line"},
	noteDoubtfulName:        {"http.doubtful_framing_name", true, "a header name looks like a framing header's but is not spelled like it"},
	noteFold:                {"http.folded_header", false, "a header is continued on the next line (obsolete)"},
	noteFoldFraming:         {"http.folded_framing", true, "a continuation line holds or belongs to a framing header"},
	noteEmptyName:           {"http.empty_header_name", true, "a header line begins with a colon"},
	noteNoColon:             {"http.header_without_colon", false, "a header line has no colon"},
	noteBadName:             {"http.bad_header_name", false, "a header name has characters that are not allowed"},
	noteNUL:                 {"http.nul_in_head", true, "a NUL byte in start line or headers"},
	noteControl:             {"http.control_in_head", false, "control bytes in start line or headers"},
	noteBareCR:              {"http.bare_cr", true, "a CR without LF in start line or headers"},
	noteBareLF:              {"http.bare_lf", false, "lines end in LF only"},
	noteBlankLine:           {"http.blank_line", true, "a line of only white space in or after the headers"},
	noteLongHead:            {"http.head_too_long", true, "the header block is longer than is waited for"},
	noteManyHeaders:         {"http.too_many_headers", true, "more header lines than the limit"},
	noteNoHost:              {"http.host_missing", false, "an HTTP/1.1 request without Host"},
	noteHostTwice:           {"http.host_repeated", true, "Host is given more than once"},
	noteBadHost:             {"http.bad_host", false, "Host or the target's authority is not a valid host"},
	noteHostDiffers:         {"http.host_differs", false, "the target names another host than the Host header"},
	noteBadVersion:          {"http.bad_version", false, "the version is not HTTP/1.0 or HTTP/1.1"},
	noteOldVersion:          {"http.version_0_9", false, "a request without version"},
	noteBadMethod:           {"http.bad_method", true, "the method has characters that are not allowed"},
	noteUnknownMethod:       {"http.unknown_method", false, "the method is not a registered one"},
	noteURISpace:            {"http.space_in_uri", false, "white space inside the request target"},
	noteURIControl:          {"http.control_in_uri", true, "control bytes in the request target"},
	noteURI8Bit:             {"http.uri_8bit", false, "bytes outside ASCII in the request target"},
	noteURICRLF:             {"http.uri_crlf", false, "an encoded line end in the request target"},
	noteInjection:           {"http.header_injection", true, "an encoded line end in the request target, and a header behind it: an answer that repeats it has one header more"},
	noteSplitting:           {"http.response_splitting", true, "an encoded line end in the request target, and the beginning of an answer behind it"},
	noteURIUTF8:             {"http.uri_utf8", false, "overlong, invalid or full-width UTF-8 in the decoded request target"},
	noteBadStatus:           {"http.bad_status", false, "the status line is not well formed"},
	noteBodyUnexpected:      {"http.body_unexpected", true, "a GET, HEAD, CONNECT or TRACE request that declares a body"},
	noteLeading:             {"http.leading_space", false, "white space before the start line"},
	noteJunk:                {"http.unexpected_data", true, "bytes where a message should begin"},
	noteResync:              {"http.resync", false, "bytes passed over after a gap"},
	noteUnrequested:         {"http.answer_without_request", false, "an answer that no request asked for"},
	noteRoles:               {"http.roles_changed", true, "a request where answers come from, or an answer where requests do"},
	noteAfterClose:          {"http.data_after_close", false, "bytes after a message that was to be the last"},
	notePending:             {"http.too_many_pending", true, "more requests wait for an answer than the limit"},
	noteChunkSize:           {"http.bad_chunk_size", true, "a chunk size that is no number or overflows: the rest is taken as it came"},
	noteChunkSpelling:       {"http.odd_chunk_size", true, "a chunk size with prefix, sign, white space or junk"},
	noteChunkExt:            {"http.long_chunk_extension", true, "a chunk extension that is unusually long"},
	noteBadExt:              {"http.bad_chunk_extension", false, "a chunk extension is empty or its quotes do not match"},
	noteChunkEnd:            {"http.bad_chunk_end", true, "chunk data does not end in CRLF"},
	noteTrailer:             {"http.framing_in_trailer", true, "a framing header among the trailers"},
	noteTruncated:           {"http.truncated", false, "the message was cut short"},
	noteUndecodable:         {"http.undecodable", false, "a content or transfer coding that is unknown or broken: inspected as it came"},
	noteCodingMismatch:      {"http.coding_mismatch", false, "the body is not in the coding that is declared"},
	noteBudget:              {"http.decode_budget", true, "the body decodes to more than the limit: the rest is inspected as it came"},
	noteDecoders:            {"http.too_many_decoders", false, "more coded bodies at once than the limit: inspected as it came"},
	noteAuthorization:       {"http.bad_authorization", false, "the Authorization header is not well formed"},
	noteDepth:               {"http.coding_depth", true, "more stacked codings than the limit: inspected as it came"},
}

// note remembers a violation of the message in hand; it is told once.
func (h *http) note(s *httpSide, k noteKind) {
	if s.told&(1<<k) == 0 {
		s.told |= 1 << k
		s.fresh |= 1 << k
		if k == noteUndecodable || k == noteBudget || k == noteDecoders || k == noteDepth {
			h.env.Count.Undecodable++
		}
	}
}

const _ = uint64(1) << (noteKinds - 1) // a noteSet has room for them
