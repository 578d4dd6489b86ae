package dissect

import (
	"bytes"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"

	"weir/wire"
)

// smb2Commands are the names of commands of SMB 2.
var smb2Commands = [...]string{
	"NEGOTIATE_PROTOCOL", "SESSION_SETUP", "SESSION_LOGOFF", "TREE_CONNECT", "TREE_DISCONNECT", "CREATE", "CLOSE", "FLUSH", "READ", "WRITE", "LOCK", "IOCTL",
	"CANCEL", "KEEPALIVE", "FIND", "NOTIFY", "GET_INFO", "SET_INFO", "BREAK",
}

// smbStatuses are the names of the statuses that are met most.
var smbStatuses = map[uint32]string{
	0: "STATUS_SUCCESS", 0x103: "STATUS_PENDING", 0x10c: "STATUS_NOTIFY_ENUM_DIR", 0x80000005: "STATUS_BUFFER_OVERFLOW", 0x80000006: "STATUS_NO_MORE_FILES",
	0xc0000002: "STATUS_NOT_IMPLEMENTED", 0xc0000003: "STATUS_INVALID_INFO_CLASS", 0xc000000d: "STATUS_INVALID_PARAMETER", 0xc000000f: "STATUS_NO_SUCH_FILE",
	0xc0000010: "STATUS_INVALID_DEVICE_REQUEST", 0xc0000011: "STATUS_END_OF_FILE", 0xc0000016: "STATUS_MORE_PROCESSING_REQUIRED", 0xc0000022: "STATUS_ACCESS_DENIED",
	0xc0000023: "STATUS_BUFFER_TOO_SMALL", 0xc0000033: "STATUS_OBJECT_NAME_INVALID", 0xc0000034: "STATUS_OBJECT_NAME_NOT_FOUND", 0xc0000035: "STATUS_OBJECT_NAME_COLLISION",
	0xc000003a: "STATUS_OBJECT_PATH_NOT_FOUND", 0xc0000043: "STATUS_SHARING_VIOLATION", 0xc0000056: "STATUS_DELETE_PENDING", 0xc000006d: "STATUS_LOGON_FAILURE",
	0xc000006e: "STATUS_ACCOUNT_RESTRICTION", 0xc0000071: "STATUS_PASSWORD_EXPIRED", 0xc0000072: "STATUS_ACCOUNT_DISABLED", 0xc00000ba: "STATUS_FILE_IS_A_DIRECTORY",
	0xc00000bb: "STATUS_NOT_SUPPORTED", 0xc00000c9: "STATUS_NETWORK_NAME_DELETED", 0xc00000cc: "STATUS_BAD_NETWORK_NAME", 0xc0000120: "STATUS_CANCELLED",
	0xc0000128: "STATUS_FILE_CLOSED", 0xc000015b: "STATUS_LOGON_TYPE_NOT_GRANTED", 0xc0000203: "STATUS_USER_SESSION_DELETED", 0xc0000225: "STATUS_NOT_FOUND",
	0xc0000234: "STATUS_ACCOUNT_LOCKED_OUT", 0xc000035c: "STATUS_NETWORK_SESSION_EXPIRED",
}

// smb2 takes a command of SMB 2, of which b is the front and size the whole. It returns how much of b it used.
func (d *smb) smb2(dir wire.Dir, s *smbSide, b []byte, size int, emit func(*Message)) int {
	command, status := le16(b, 12), le32(b, 8)
	response := b[16]&smb2Response != 0
	id := le64(b, 24)
	body := b[smb2Header:]
	q := smbAsked{id: id, command: command}
	interim := false
	if response {
		interim = status == 0x103
		if command == smb2Negotiate && len(d.pending) > 0 && d.pending[0].command == smb1Negotiate {
			d.pending[0].id, d.pending[0].command = id, command // asked in version 1
		}
		q = d.answers(id, command, interim)
	} else {
		q.name = d.smb2Name(command, b)
		q.tx = d.asked(q)
	}
	t := d.message(dir, q.tx, emit)
	if !response || q.id != id {
		t.number(smbID, int64(q.tx))
		name := "SMB2_COMMAND_UNKNOWN"
		if int(command) < len(smb2Commands) {
			name = "SMB2_COMMAND_" + smb2Commands[command]
		}
		t.addString(smbCommand, name)
	}
	if response && !interim {
		d.status(t, status)
		if command == smb2Negotiate && len(body) >= 24 {
			d.dialect = smb2Dialect(le16(body, 4))
			t.add(smbServerGUID, t.write(func(out []byte) []byte { return appendGUID(out, body[8:24]) }))
		}
		t.addString(smbDialect, d.known())
		t.add(smbSession, t.write(func(out []byte) []byte { return strconv.AppendUint(out, le64(b, 40), 10) }))
		t.number(smbTree, int64(le32(b, 36)))
	}
	n, f, at := 0, smbData, len(b)
	switch command {
	case smb2Negotiate, smb2Setup, smb2Tree, smb2Create, smb2Close:
		d.tell2(t, command, response, body, b, &q)
	case smb2Read, smb2Write:
		d.handle(t, command, response, body, &q)
		if fixed := smb2Fixed(b); fixed > 0 && status&0xc0000000 != 0xc0000000 {
			f = smbBody
			at, n = int(le16(body, 2)), int(le32(body, 4))
			if response {
				at = int(body[2])
			}
			if at < smb2Header+fixed || at > size || len(b) < smb2Header+fixed {
				at, n = len(b), 0
			}
			n = min(n, size-at)
		}
	default:
		at, n = smb2Header, size-smb2Header
	}
	ends := response && !interim
	if n <= 0 {
		d.over(dir, ends, emit)
		s.skip = size - len(b)
		return len(b)
	}
	t.flush(false, false)
	s.begin(f, n, ends)
	s.pad, s.skip = max(0, at-len(b)), size-at-n
	return min(at, len(b))
}

// tell2 tells of commands whose structure is understood.
func (d *smb) tell2(t *teller, command uint16, response bool, body, b []byte, q *smbAsked) {
	switch {
	case command == smb2Negotiate && !response:
		for i := range min(int(le16(body, 2)), 16) {
			t.addString(smbOffered, smb2Dialect(le16(body, 36+2*i)))
		}
	case command == smb2Setup:
		at, n := int(le16(body, 12)), int(le16(body, 14))
		if response {
			at, n = int(le16(body, 4)), int(le16(body, 6))
		}
		d.ntlm(t, leBytes(b, at, n))
	case command == smb2Tree && !response:
		t.add(smbShare, t.write(func(out []byte) []byte { return appendUTF16(out, leBytes(b, int(le16(body, 4)), int(le16(body, 6)))) }))
	case command == smb2Tree && len(body) >= 3:
		if names := [...]string{"", "FILE", "PIPE", "PRINT"}; body[2] < 4 && body[2] > 0 {
			t.addString(smbShareType, names[body[2]])
		}
	case command == smb2Create && !response:
		if q.name != "" {
			t.addString(smbFile, q.name)
		}
		if n := le32(body, 36); n < uint32(len(smbDispositions)) {
			t.addString(smbDisposition, smbDispositions[n])
		}
		access := "normal"
		if le32(body, 40)&0x1000 != 0 {
			access = "delete on close"
		}
		t.addString(smbAccess, access)
	case command == smb2Create && len(body) >= 80:
		t.number(smbSize, int64(le64(body, 48)))
		d.fuid(t, body[64:80])
		d.opened(body[64:80], q.name)
	case command == smb2Close && !response:
		id := leBytes(body, 8, 16)
		d.fuid(t, id)
		if q.name != "" {
			t.addString(smbOpenFile, q.name)
		}
		for i := range d.files {
			if len(id) == 16 && d.files[i].id == [16]byte(id) {
				d.files = append(d.files[:i], d.files[i+1:]...)
				break
			}
		}
	}
}

var smbDispositions = [...]string{"FILE_SUPERSEDE", "FILE_OPEN", "FILE_CREATE", "FILE_OPEN_IF", "FILE_OVERWRITE", "FILE_OVERWRITE_IF"}

// handle tells of the file that is read or written.
func (d *smb) handle(t *teller, command uint16, response bool, body []byte, q *smbAsked) {
	if response {
		return
	}
	d.fuid(t, leBytes(body, 16, 16))
	if q.name != "" {
		t.addString(smbOpenFile, q.name)
	}
}

func (d *smb) fuid(t *teller, id []byte) {
	if len(id) == 16 && t.wants(smbFUID) {
		t.add(smbFUID, t.write(func(out []byte) []byte { return appendGUID(out, id) }))
	}
}

// smb2Name returns the name of the file that a command is about, "" if it is about none or the name is not known.
func (d *smb) smb2Name(command uint16, b []byte) string {
	body := b[smb2Header:]
	switch command {
	case smb2Create:
		name := leBytes(b, int(le16(body, 44)), int(le16(body, 46)))
		return string(appendUTF16(nil, name[:min(len(name), maxSMBName)]))
	case smb2Close:
		return d.nameOf(leBytes(body, 8, 16))
	case smb2Read, smb2Write:
		return d.nameOf(leBytes(body, 16, 16))
	}
	return ""
}

// known is the dialect that was agreed on.
func (d *smb) known() string {
	if d.dialect == "" {
		return "unknown"
	}
	return d.dialect
}

// status tells of how a command ended.
func (d *smb) status(t *teller, status uint32) {
	name := smbStatuses[status]
	if name == "" {
		name = "UNKNOWN"
	}
	t.addString(smbStatus, name)
	if t.wants(smbStatusCode) {
		t.add(smbStatusCode, t.write(func(out []byte) []byte { return strconv.AppendUint(append(out, "0x"...), uint64(status), 16) }))
	}
}

// ntlm tells of the user in messages of NTLM, wherever they stand in a security blob.
func (d *smb) ntlm(t *teller, blob []byte) {
	i := bytes.Index(blob, ntlmSignature)
	if i < 0 {
		return
	}
	n, ok := readNTLM(blob[i:])
	if !ok || n.typ != ntlmAuthenticate {
		return
	}
	for _, x := range []struct {
		f Field
		b []byte
	}{{smbDomain, n.domain}, {smbUser, n.user}, {smbHost, n.host}} {
		t.add(x.f, t.write(func(out []byte) []byte { return n.appendName(out, x.b) }))
	}
	if v := n.version; v != nil {
		t.add(smbNTLMVersion, t.write(func(out []byte) []byte {
			out = strconv.AppendUint(out, uint64(v[0]), 10)
			out = strconv.AppendUint(append(out, '.'), uint64(v[1]), 10)
			out = strconv.AppendUint(append(out, " build "...), uint64(le16(v, 2)), 10)
			return strconv.AppendUint(append(out, " rev "...), uint64(v[7]), 10)
		}))
	}
}

// smb2Dialect names a dialect.
func smb2Dialect(n uint16) string {
	const digits = "0123456789ABCDEF"
	if n == 0x0311 {
		return "3.11"
	}
	return string([]byte{digits[n>>8&15], '.', digits[n>>4&15], digits[n&15]})
}

// appendGUID writes 16 bytes as a GUID whose numbers are all little-endian, as EVE does.
func appendGUID(out, b []byte) []byte {
	for i, at := range [...]int{3, 2, 1, 0, 5, 4, 7, 6, 9, 8, 11, 10, 15, 14, 13, 12} {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			out = append(out, '-')
		}
		out = hex.AppendEncode(out, b[at:at+1])
	}
	return out
}

// smb1 takes a command of SMB 1 up to what is told as it comes: what is read or written, or all behind the header. It returns how much it took.
func (d *smb) smb1(dir wire.Dir, s *smbSide, b []byte, emit func(*Message)) int {
	command, status := uint16(b[4]), le32(b, 5)
	response := b[9]&0x80 != 0
	id := uint64(le16(b, 26))<<16 | uint64(le16(b, 30)) // process and multiplex ID
	q := smbAsked{id: id, command: command}
	if response {
		q = d.answers(id, command, false)
	} else {
		q.tx = d.asked(q)
	}
	t := d.message(dir, q.tx, emit)
	if !response || q.id != id {
		t.number(smbID, int64(q.tx))
		t.addString(smbCommand, smb1Command(uint8(command)))
	}
	body := b[smb1Header:]
	if command == smb1Negotiate {
		d.negotiate1(t, response, body)
	}
	if !d.old && (response || command != smb1Negotiate || !slices.ContainsFunc(d.offered, func(s string) bool { return strings.HasPrefix(s, "SMB 2") })) {
		d.old = true
		t.note(smbNoteVersion1)
	}
	if response {
		if le16(b, 10)&0x4000 == 0 && status != 0 { // an error of DOS: class and code
			t.addString(smbStatus, "UNKNOWN")
		} else {
			d.status(t, status)
		}
		t.addString(smbDialect, d.known())
		t.number(smbSession, int64(le16(b, 28)))
		t.number(smbTree, int64(le16(b, 24)))
	}
	if command == smb1Setup {
		d.ntlm(t, body)
	}
	field, at := smbData, smb1Header
	if i := smb1Body(command, response, body, s.frame); i > at && i <= len(b) {
		t.add(smbData, b[at:i])
		field, at = smbBody, i
	}
	t.flush(false, false)
	s.frame -= at
	if s.frame == 0 {
		d.over(dir, response, emit)
	} else {
		s.begin(field, s.frame, response)
	}
	return at
}

// smb1Body returns where the bytes begin that a READ_ANDX has read or a WRITE_ANDX writes ([MS-CIFS] 2.2.4.42, 2.2.4.43), if a message of size bytes
// ends with them; 0 if not.
func smb1Body(command uint16, response bool, body []byte, size int) int {
	var n, at int
	switch {
	case command == 0x2e && response && len(body) > 24 && body[0] == 12:
		n, at = int(le16(body, 11))|int(le16(body, 15))<<16, int(le16(body, 13))
	case command == 0x2f && !response && len(body) > 24 && (body[0] == 12 || body[0] == 14):
		n, at = int(le16(body, 21))|int(le16(body, 19))<<16, int(le16(body, 23))
	}
	if n == 0 || at+n != size {
		return 0
	}
	return at
}

// negotiate1 tells of the dialects of SMB 1: the client's list, of which the server takes one.
func (d *smb) negotiate1(t *teller, response bool, body []byte) {
	if response {
		if i := int(le16(body, 1)); i < len(d.offered) {
			d.dialect = d.offered[i]
		}
		return
	}
	d.offered = d.offered[:0]
	list := body[min(3, len(body)):]
	for len(list) > 1 && list[0] == 2 && len(d.offered) < 16 {
		name, rest, ok := bytes.Cut(list[1:], []byte{0})
		if !ok || len(name) > 64 {
			break
		}
		d.offered = append(d.offered, string(name))
		t.add(smbOffered, name)
		list = rest
	}
}

// smb1Command names a command of SMB 1.
func smb1Command(c uint8) string {
	if n := smb1Commands[c]; n != "" {
		return "SMB1_COMMAND_" + n
	}
	return "SMB1_COMMAND_UNKNOWN"
}

var smb1Commands = [256]string{
	0x00: "CREATE_DIRECTORY", 0x01: "DELETE_DIRECTORY", 0x02: "OPEN", 0x03: "CREATE", 0x04: "CLOSE", 0x06: "DELETE", 0x07: "RENAME", 0x08: "QUERY_INFORMATION",
	0x0a: "READ", 0x0b: "WRITE", 0x10: "CHECK_DIRECTORY", 0x24: "LOCKING_ANDX", 0x25: "TRANS", 0x2b: "ECHO", 0x2d: "OPEN_ANDX", 0x2e: "READ_ANDX", 0x2f: "WRITE_ANDX",
	0x32: "TRANS2", 0x34: "FIND_CLOSE2", 0x71: "TREE_DISCONNECT", 0x72: "NEGOTIATE_PROTOCOL", 0x73: "SESSION_SETUP_ANDX", 0x74: "LOGOFF_ANDX", 0x75: "TREE_CONNECT_ANDX",
	0x80: "QUERY_INFO_DISK", 0xa0: "NT_TRANS", 0xa1: "NT_TRANS_SECONDARY", 0xa2: "NT_CREATE_ANDX", 0xa4: "NT_CANCEL",
}
