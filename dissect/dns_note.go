package dissect

// dnsNote is an index into dnsNotes.
type dnsNote uint8

const (
	dnsNoteLoop dnsNote = iota
	dnsNoteForward
	dnsNoteLongName
	dnsNoteTrailing
	dnsNoteRecord
	dnsNoteMany
	dnsNoteTransfer
	dnsNoteNull
	dnsNoteTruncated
	dnsNoteMalformed
	dnsNoteUnrequested
	dnsNoteReserved
	dnsNoteKinds
)

var dnsNotes = [dnsNoteKinds]Note{
	dnsNoteLoop:        {"dns.pointer_loop", true, "the pointers of a compressed name lead in a circle"},
	dnsNoteForward:     {"dns.forward_pointer", false, "a pointer of a compressed name does not lead to earlier bytes"},
	dnsNoteLongName:    {"dns.name_too_long", false, "a name of more than 255 bytes or 127 labels"},
	dnsNoteTrailing:    {"dns.trailing_bytes", false, "bytes behind the last record"},
	dnsNoteRecord:      {"dns.malformed_record", false, "a record that is not what its type says: inspected as it came"},
	dnsNoteMany:        {"dns.too_many_records", false, "more records, or longer names in all, than the limit: the rest is inspected as it came"},
	dnsNoteTransfer:    {"dns.zone_transfer", false, "a whole zone is asked for (AXFR, IXFR)"},
	dnsNoteNull:        {"dns.type_null", false, "a question or record of type NULL: any bytes, used by tunnels"},
	dnsNoteTruncated:   {"dns.truncated", false, "the message ends before its last record does"},
	dnsNoteMalformed:   {"dns.malformed_message", false, "what stands behind a length is no message: inspected as it came"},
	dnsNoteUnrequested: {"dns.answer_without_query", false, "an answer that no query waits for"},
	dnsNoteReserved:    {"dns.reserved_bit", false, "the header's reserved bit is set, or its opcode is not assigned"},
}

// note remembers an oddity of the message in hand; it is told once.
func (x *dnsParser) note(n dnsNote) {
	if x.told&(1<<n) == 0 {
		x.told |= 1 << n
		x.notes = append(x.notes, dnsNotes[n])
	}
}
