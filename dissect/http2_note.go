package dissect

// http2NoteSet is a set of http2Notes.
type http2NoteSet uint64

// http2NoteKind is an index into http2Notes.
type http2NoteKind uint8

const (
	h2FrameSize http2NoteKind = iota
	h2StreamID
	h2Padding
	h2PaddingUsed
	h2Settings
	h2Window
	h2Push
	h2FrameTooLarge
	h2BlockBroken
	h2BlockTooLarge
	h2Flood
	h2ListTooLarge
	h2RapidReset
	h2TooManyStreams
	h2HpackLost
	h2HpackBad
	h2PseudoMissing
	h2PseudoRepeated
	h2PseudoLate
	h2PseudoUnknown
	h2PseudoTrailer
	h2Uppercase
	h2BadName
	h2BadValue
	h2ValueSpace
	h2Connection
	h2LengthDiffers
	h2NoHeaders
	h2AfterEnd
	h2Scheme
	h2NoteKinds
)

var http2Notes = [h2NoteKinds]Note{
	h2FrameSize:      {"http2.bad_frame_size", false, "a frame whose length its type does not allow, or that is larger than the receiver announced"},
	h2StreamID:       {"http2.bad_stream_id", false, "a frame on a stream that it cannot belong to"},
	h2Padding:        {"http2.bad_padding", true, "padding as long as the frame or longer"},
	h2PaddingUsed:    {"http2.padding_used", true, "padding that is not zero: inspected as payload"},
	h2Settings:       {"http2.bad_settings", false, "a setting outside its range, or an acknowledgement with content"},
	h2Window:         {"http2.bad_window_update", false, "a window update of zero"},
	h2Push:           {"http2.bad_push", false, "a push promise by a client or of a stream that cannot be promised"},
	h2FrameTooLarge:  {"http2.frame_too_large", true, "a frame that is larger than is waited for: inspected as payload"},
	h2BlockBroken:    {"http2.header_block_broken", true, "a header block interrupted by another frame, or continued without a beginning"},
	h2BlockTooLarge:  {"http2.header_block_too_large", true, "a header block that is larger than is waited for: inspected in pieces"},
	h2Flood:          {"http2.continuation_flood", true, "a header block in very many frames"},
	h2ListTooLarge:   {"http2.header_list_too_large", true, "a header list that decodes to more than the limit: the rest of it is not inspected"},
	h2RapidReset:     {"http2.rapid_reset", true, "very many requests that were cancelled at once"},
	h2TooManyStreams: {"http2.too_many_streams", true, "more streams at once than the limit: the oldest is given up"},
	h2HpackLost:      {"http2.hpack_lost", false, "headers that refer to what was never seen: they are not inspected"},
	h2HpackBad:       {"http2.bad_header_block", true, "a header block that is not well coded"},
	h2PseudoMissing:  {"http2.pseudo_header_missing", false, "a request or an answer without its mandatory pseudo-headers"},
	h2PseudoRepeated: {"http2.pseudo_header_repeated", true, "a pseudo-header is given more than once"},
	h2PseudoLate:     {"http2.pseudo_header_late", true, "a pseudo-header after a regular header"},
	h2PseudoUnknown:  {"http2.pseudo_header_unknown", true, "a pseudo-header that is not defined for the message"},
	h2PseudoTrailer:  {"http2.pseudo_header_in_trailer", true, "a pseudo-header among the trailers"},
	h2Uppercase:      {"http2.uppercase_header_name", false, "upper-case letters in a header name"},
	h2BadName:        {"http2.bad_header_name", true, "a header name with characters that are not allowed: a receiver that turns it into HTTP/1 may split it"},
	h2BadValue:       {"http2.bad_header_value", true, "CR, LF or NUL in a header value: a receiver that turns it into HTTP/1 may split it"},
	h2ValueSpace:     {"http2.header_value_space", false, "white space around a header value"},
	h2Connection:     {"http2.connection_header", true, "a header that HTTP/2 does not have: a receiver that turns it into HTTP/1 may frame the message differently"},
	h2LengthDiffers:  {"http2.content_length_differs", true, "Content-Length is not the length of the body"},
	h2NoHeaders:      {"http2.data_without_headers", false, "data on a stream whose headers were not seen: inspected as it came"},
	h2AfterEnd:       {"http2.data_after_end", false, "frames of a message on a stream where it had ended"},
	h2Scheme:         {"http2.bad_scheme", true, "a scheme with characters that are not allowed"},
}

// note remembers a violation of a message; it is told once.
func (n *http2Noted) note(k http2NoteKind) {
	if n.told&(1<<k) == 0 {
		n.told |= 1 << k
		n.fresh |= 1 << k
	}
}

// http2Noted holds which violations of a message, or of a connection, were seen.
type http2Noted struct{ told, fresh http2NoteSet }
