package dissect

import (
	"encoding/binary"
	"errors"

	"weir/wire"
)

// SMB is Server Message Block over TCP, directly or behind NetBIOS.
var SMB = Protocol{
	Name: "smb",
	About: "SMB 2 and 3 (MS-SMB2), and SMB 1 (MS-CIFS), of which the header and the dialects are understood. A command and its answer are an exchange with an " +
		"event `smb`; what is read and written is seen as it comes. Messages that are encrypted are counted as not looked into; those that are " +
		"compressed too, and are told.",
	Carrier: Stream,
	Ports:   []uint16{445, 139},
	Probe:   probeSMB,
	Fields: []FieldSpec{
		smbID:          {Name: "smb.id", Doc: "number of the exchange in the flow", EVE: "id", Number: true, Derived: true},
		smbDialect:     {Name: "smb.dialect", Doc: "dialect that was agreed on, as `3.11`; `unknown` if that was not seen", EVE: "dialect", Derived: true},
		smbCommand:     {Name: "smb.command", Doc: "the command, as `SMB2_COMMAND_CREATE`", EVE: "command", Derived: true},
		smbStatus:      {Name: "smb.status", Doc: "how it ended, as `STATUS_SUCCESS`", EVE: "status", Derived: true},
		smbStatusCode:  {Name: "smb.status_code", Doc: "that as a number in hex", EVE: "status_code", Derived: true},
		smbSession:     {Name: "smb.session_id", Doc: "session; the user of SMB 1", EVE: "session_id", Number: true, Derived: true},
		smbTree:        {Name: "smb.tree_id", Doc: "connection to a share", EVE: "tree_id", Number: true, Derived: true},
		smbOffered:     {Name: "smb.client_dialects", Doc: "dialects that the client offers, a value for each", EVE: "client_dialects[]"},
		smbServerGUID:  {Name: "smb.server_guid", Doc: "what the server calls itself", EVE: "server_guid", Derived: true},
		smbDomain:      {Name: "smb.ntlmssp.domain", Doc: "domain that a client logs in to, in NTLM's messages", EVE: "ntlmssp/domain"},
		smbUser:        {Name: "smb.ntlmssp.user", Doc: "user that it logs in as", EVE: "ntlmssp/user"},
		smbHost:        {Name: "smb.ntlmssp.host", Doc: "what it calls itself", EVE: "ntlmssp/host"},
		smbNTLMVersion: {Name: "smb.ntlmssp.version", Doc: "version of its system, as `10.0 build 10586 rev 15`", EVE: "ntlmssp/version", Derived: true},
		smbShare:       {Name: "smb.share", Doc: "share that is connected to, as `\\\\SERVER\\SHARE`", EVE: "share"},
		smbShareType:   {Name: "smb.share_type", Doc: "`FILE`, `PIPE` or `PRINT`", EVE: "share_type", Derived: true},
		smbFile:        {Name: "smb.filename", Doc: "name of the file or pipe that is opened", EVE: "filename"},
		smbOpenFile:    {Name: "smb.open_file", Doc: "name of the file or pipe that is read, written or closed, as it was opened", Derived: true},
		smbDisposition: {Name: "smb.disposition", Doc: "what a file is opened for, as `FILE_OPEN`", EVE: "disposition", Derived: true},
		smbAccess:      {Name: "smb.access", Doc: "`delete on close` or `normal`", EVE: "access", Derived: true},
		smbFUID:        {Name: "smb.fuid", Doc: "handle of the file", EVE: "fuid", Derived: true},
		smbSize:        {Name: "smb.size", Doc: "size of a file that was opened, bytes", EVE: "size", Number: true, Derived: true},
		smbEncrypted:   {Name: "smb.encrypted", Doc: "`true` of the first message that is encrypted", EVE: "encrypted", Bool: true, Derived: true},
		smbBody:        {Name: "smb.body", Doc: "bytes that are read or written"},
		smbData:        {Name: "smb.data", Doc: "the rest of commands that carry other things, as it came; strings in it are UTF-16"},
	},
	New: func(p *Protocol, env *Env) Dissector { return &smb{chat: chat{p: p, env: env}} },
}

// Fields of SMB, in the order of SMB.Fields.
const (
	smbID Field = iota
	smbDialect
	smbCommand
	smbStatus
	smbStatusCode
	smbSession
	smbTree
	smbOffered
	smbServerGUID
	smbDomain
	smbUser
	smbHost
	smbNTLMVersion
	smbShare
	smbShareType
	smbFile
	smbOpenFile
	smbDisposition
	smbAccess
	smbFUID
	smbSize
	smbEncrypted
	smbBody
	smbData
)

// from the specification
const (
	nbssHeader    = 4 // bytes
	nbssKeepAlive = 0x85
	smb1Header    = 32 // bytes
	smb2Header    = 64 // bytes
	smb1Negotiate = 0x72
	smb1Setup     = 0x73
	smb2Response  = 1 // flag
	smb2Negotiate = 0
	smb2Setup     = 1
	smb2Tree      = 3
	smb2Create    = 5
	smb2Close     = 6
	smb2Read      = 8
	smb2Write     = 9
	smb2ReadFixed = 16 // bytes of an answer to READ before its buffer
	smb2WriteHead = 48 // bytes of a WRITE before its buffer
)

// ours
const (
	maxSMBHeld    = 64 << 10 // bytes of a command that are waited for; what is beyond is told as it comes
	maxSMBPending = 128      // commands that wait for their answer
	maxSMBFiles   = 64       // open files whose names are remembered
	maxSMBName    = 512      // bytes of them
)

var (
	errSMB            = errors.New("smb: not a message")
	smbNoteVersion1   = Note{"smb.version_1", false, "version 1 of SMB, which is to be used no more"}
	smbNoteCompressed = Note{"smb.compressed", false, "a compressed message: not looked into"}
)

// smbAsked is a command that waits for its answer.
type smbAsked struct {
	id      uint64 // message ID; of SMB 1 process and multiplex IDs
	tx      uint64
	command uint16
	name    string // of the file
}

// smbOpen is an open file.
type smbOpen struct {
	id   [16]byte
	name string
}

// smbSide is the state of one direction.
type smbSide struct {
	frame  int // bytes to come of the message, what follows included
	stream int // bytes to come of a value
	pad    int // bytes to come before them
	skip   int // bytes to come of what is passed over behind them
	opaque int // likewise, which is ciphertext
	field  Field
	value  uint32
	off    int64
	ends   bool // with the value the exchange ends
}

// smb parses one flow.
type smb struct {
	chat
	side    [2]smbSide
	pending []smbAsked
	files   []smbOpen
	dialect string
	sealed  bool // encryption was told
	old     bool // SMB 1 was told
	offered []string
}

// Feed implements Dissector.
func (d *smb) Feed(dir wire.Dir, data []byte, emit func(*Message)) (pr Progress, err error) {
	s := &d.side[dir]
	for pr.Used < len(data) && err == nil && pr.Need == 0 {
		b := data[pr.Used:]
		n := 0
		switch {
		case s.opaque > 0:
			n = min(s.opaque, len(b))
			s.opaque -= n
			s.frame -= n
			pr.Opaque += n
		case s.pad > 0:
			n = min(s.pad, len(b))
			s.pad -= n
			s.frame -= n
			pr.Passed += n
		case s.stream > 0:
			n = d.stream(dir, s, b, emit)
		case s.skip > 0:
			n = min(s.skip, len(b))
			s.skip -= n
			s.frame -= n
			pr.Passed += n
		case s.frame == 0:
			n, pr.Need, err = d.frame(s, b)
		default:
			n, pr.Need, err = d.command(dir, s, b, emit)
		}
		pr.Used += n
	}
	if d.closed[dir] {
		pr.Need = 0 // what is no message is inspected raw
	}
	return pr, err
}

// stream takes bytes of a value.
func (d *smb) stream(dir wire.Dir, s *smbSide, b []byte, emit func(*Message)) int {
	n := min(s.stream, len(b))
	t := d.message(dir, 0, emit)
	if t.wants(s.field) {
		if s.value == 0 {
			s.value = t.value()
		}
		t.part(Part{Field: s.field, Value: s.value, Off: s.off, Bytes: b[:n], More: n < s.stream})
	}
	s.off += int64(n)
	s.stream -= n
	s.frame -= n
	if s.stream == 0 {
		d.over(dir, s.ends, emit)
	} else {
		t.flush(false, false)
	}
	return n
}

// begin announces n bytes of a value of the message in hand.
func (s *smbSide) begin(f Field, n int, ends bool) {
	s.field, s.stream, s.value, s.off, s.ends = f, n, 0, 0, ends
}

// frame takes the header of a message.
func (d *smb) frame(s *smbSide, b []byte) (used, need int, err error) {
	if len(b) < nbssHeader {
		return 0, nbssHeader - len(b), nil
	}
	n := int(b[1])<<16 | int(b[2])<<8 | int(b[3])
	switch b[0] {
	case 0:
	case nbssKeepAlive, nbSession, nbSessionDone, nbSessionDone + 1, nbSessionDone + 2:
		s.skip = n
	default:
		return 0, 0, errSMB
	}
	s.frame = n
	return nbssHeader, 0, nil
}

// command takes the beginning of a command, or all of it.
func (d *smb) command(dir wire.Dir, s *smbSide, b []byte, emit func(*Message)) (used, need int, err error) {
	if s.frame < smb1Header {
		s.skip = s.frame
		return 0, 0, nil
	}
	if len(b) < 8 {
		return 0, 8 - len(b), nil
	}
	switch kind := string(b[:4]); {
	case kind == "\xfdSMB":
		s.opaque = s.frame
		if !d.sealed {
			d.sealed = true
			d.message(dir, d.next(), emit).addString(smbEncrypted, "true")
			d.over(dir, true, emit)
		}
		return 0, 0, nil
	case kind == "\xfcSMB":
		s.opaque = s.frame
		d.message(dir, d.next(), emit).note(smbNoteCompressed)
		d.over(dir, true, emit)
		return 0, 0, nil
	case kind == "\xffSMB":
		if len(b) < min(s.frame, maxSMBHeld) {
			return 0, min(s.frame, maxSMBHeld) - len(b), nil
		}
		return d.smb1(dir, s, b[:min(len(b), s.frame)], emit), 0, nil
	case kind != "\xfeSMB" || s.frame < smb2Header:
		s.skip = s.frame
		return 0, 0, nil
	}
	if len(b) < smb2Header {
		return 0, smb2Header - len(b), nil
	}
	size := int(binary.LittleEndian.Uint32(b[20:]))
	if size < smb2Header || size > s.frame {
		size = s.frame
	}
	held := min(size, maxSMBHeld)
	if n := smb2Fixed(b); n > 0 {
		held = min(size, smb2Header+n)
	}
	if len(b) < held {
		return 0, held - len(b), nil
	}
	used = d.smb2(dir, s, b[:held], size, emit)
	s.frame -= used
	return used, 0, nil
}

// smb2Fixed returns the bytes behind the header that tell where the bytes begin that are read or written; 0 of other commands.
func smb2Fixed(b []byte) int {
	response := b[16]&smb2Response != 0
	switch c := le16(b, 12); {
	case c == smb2Read && response:
		return smb2ReadFixed
	case c == smb2Write && !response:
		return smb2WriteHead
	}
	return 0
}

// le16 and le32 read little-endian numbers, 0 where there are none.
func le16(b []byte, at int) uint16 {
	if at < 0 || at+2 > len(b) {
		return 0
	}
	return binary.LittleEndian.Uint16(b[at:])
}

func le32(b []byte, at int) uint32 {
	if at < 0 || at+4 > len(b) {
		return 0
	}
	return binary.LittleEndian.Uint32(b[at:])
}

func le64(b []byte, at int) uint64 {
	if at < 0 || at+8 > len(b) {
		return 0
	}
	return binary.LittleEndian.Uint64(b[at:])
}

// leBytes returns n bytes at a place, nil if they are not there.
func leBytes(b []byte, at, n int) []byte {
	if at < 0 || n < 0 || at > len(b) || n > len(b)-at {
		return nil
	}
	return b[at : at+n]
}

// asked notes a command; it returns its exchange.
func (d *smb) asked(q smbAsked) uint64 {
	q.tx = d.next()
	if len(d.pending) >= maxSMBPending {
		d.pending = d.pending[:copy(d.pending, d.pending[1:])]
	}
	d.pending = append(d.pending, q)
	return q.tx
}

// answers returns the command that an answer belongs to; one that was not seen is an exchange of its own. interim answers leave it.
func (d *smb) answers(id uint64, command uint16, interim bool) smbAsked {
	for i := range d.pending {
		if q := d.pending[i]; q.id == id && q.command == command {
			if !interim {
				d.pending = append(d.pending[:i], d.pending[i+1:]...)
			}
			return q
		}
	}
	return smbAsked{tx: d.next(), command: command}
}

// opened remembers a file, closed forgets it.
func (d *smb) opened(id []byte, name string) {
	if len(id) < 16 || name == "" {
		return
	}
	if len(d.files) >= maxSMBFiles {
		d.files = d.files[:copy(d.files, d.files[1:])]
	}
	d.files = append(d.files, smbOpen{[16]byte(id), name})
}

func (d *smb) nameOf(id []byte) string {
	for i := range d.files {
		if len(id) >= 16 && d.files[i].id == [16]byte(id) {
			return d.files[i].name
		}
	}
	return ""
}

// Gap implements Dissector: inside of what is streamed or passed over parsing goes on.
func (d *smb) Gap(dir wire.Dir, n int, emit func(*Message)) bool {
	s := &d.side[dir]
	switch {
	case s.pad > 0 || s.stream > 0 && n >= s.stream:
		return false
	case n <= s.opaque:
		s.opaque -= n
	case n < s.stream:
		s.stream -= n
		s.off += int64(n)
	case s.stream == 0 && n <= s.skip:
		s.skip -= n
	default:
		return false
	}
	s.frame -= n
	return true
}

// Close implements Dissector.
func (d *smb) Close(dir wire.Dir, emit func(*Message)) {
	d.closed[dir] = true
	d.over(dir, false, emit)
	d.side[dir].stream = 0
	if d.closed[dir.Other()] {
		for _, q := range d.pending {
			d.message(dir, q.tx, emit)
			d.over(dir, true, emit)
		}
		d.pending = nil
	}
}

// Rest implements Dissector.
func (d *smb) Rest() (Rest, bool) { return Rest{}, false }

// Size implements Dissector.
func (d *smb) Size() int { return 384 + 48*cap(d.pending) + (32+64)*cap(d.files) }
