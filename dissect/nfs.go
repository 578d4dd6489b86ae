package dissect

import (
	"errors"
	"strconv"

	"weir/wire"
)

const nfsAbout = "ONC RPC (RFC 5531) with the programs that belong to NFS (RFC 1094, RFC 1813, RFC 7530): NFS itself, mount, portmap, locks. A call and its answer " +
	"are an exchange with an event `nfs`; what calls and answers carry is seen as it comes."

// NFS is ONC RPC over UDP with the programs that belong to NFS.
var NFS = Protocol{
	Name: "nfs", About: nfsAbout, Carrier: Datagram, Ports: []uint16{2049, 111}, Probe: probeNFS, Fields: nfsFields, New: newNFS,
}

// NFSTCP is the same over TCP, where a record stands behind its length.
var NFSTCP = Protocol{
	Name: "nfs", About: nfsAbout, Carrier: Stream, Ports: []uint16{2049, 111}, Probe: probeNFSTCP, Fields: nfsFields, New: newNFS,
}

var nfsFields = []FieldSpec{
	nfsProgram:   {Name: "nfs.program", Doc: "`nfs`, `mount`, `portmap` ...", EVE: "program", Derived: true},
	nfsVersion:   {Name: "nfs.version", Doc: "version of the program", EVE: "version", Number: true, Derived: true},
	nfsProcedure: {Name: "nfs.procedure", Doc: "what is called, as `LOOKUP`; of what is not NFS 3 its number", EVE: "procedure", Derived: true},
	nfsFile:      {Name: "nfs.filename", Doc: "name of the file, or path of the mount", EVE: "filename", Derived: true},
	nfsStatus:    {Name: "nfs.status", Doc: "how it ended, as `OK`", EVE: "status", Derived: true},
	nfsXID:       {Name: "nfs.xid", Doc: "number of the call", EVE: "rpc/xid", Number: true, Derived: true},
	nfsMachine:   {Name: "nfs.machine_name", Doc: "what the client calls itself", EVE: "rpc/creds/machine_name"},
	nfsUID:       {Name: "nfs.uid", Doc: "user that it says it is", EVE: "rpc/creds/uid", Number: true, Derived: true},
	nfsGID:       {Name: "nfs.gid", Doc: "group that it says it is", EVE: "rpc/creds/gid", Number: true, Derived: true},
	nfsData:      {Name: "nfs.data", Doc: "arguments of a call and results of an answer, as they came"},
}

// Fields of NFS, in the order of nfsFields.
const (
	nfsProgram Field = iota
	nfsVersion
	nfsProcedure
	nfsFile
	nfsStatus
	nfsXID
	nfsMachine
	nfsUID
	nfsGID
	nfsData
)

// ours
const (
	maxNFSPending = 128 // calls that wait for their answers
	nfsRead       = 6   // procedures of version 3: RFC 1813
	nfsWrite      = 7
	maxNFSHead    = 1 << 10 // bytes of a record that are waited for; the rest is told as it comes
)

var (
	errNFS        = errors.New("nfs: not a record")
	nfsProcedures = [...]string{"NULL", "GETATTR", "SETATTR", "LOOKUP", "ACCESS", "READLINK", "READ", "WRITE", "CREATE", "MKDIR", "SYMLINK", "MKNOD", "REMOVE",
		"RMDIR", "RENAME", "LINK", "READDIR", "READDIRPLUS", "FSSTAT", "FSINFO", "PATHCONF", "COMMIT"}
	nfsStatuses = map[uint32]string{0: "OK", 1: "ERR_PERM", 2: "ERR_NOENT", 5: "ERR_IO", 13: "ERR_ACCESS", 17: "ERR_EXIST", 20: "ERR_NOTDIR", 21: "ERR_ISDIR",
		22: "ERR_INVAL", 27: "ERR_FBIG", 28: "ERR_NOSPC", 30: "ERR_ROFS", 63: "ERR_NAMETOOLONG", 66: "ERR_NOTEMPTY", 69: "ERR_DQUOT", 70: "ERR_STALE",
		10004: "ERR_NOTSUPP", 10006: "ERR_SERVERFAULT", 10008: "ERR_JUKEBOX"}
)

// nfsAsked is a call that waits for its answer.
type nfsAsked struct {
	xid, program, version, procedure uint32
	tx                               uint64
}

// nfs parses one flow.
type nfs struct {
	chat
	pending []nfsAsked
	left    [2]int // bytes to come of a fragment
	value   [2]uint32
	off     [2]int64
	file    [2]int64 // offset at which the content of a file begins; 0: there is none
	ends    [2]bool  // with the fragment the message ends, and its exchange
	last    [2]bool  // it is the last of its record
	more    [2]bool  // the next fragment goes on with the record
	taken   bool
}

func newNFS(p *Protocol, env *Env) Dissector { return &nfs{chat: chat{p: p, env: env}} }

// Feed implements Dissector.
func (d *nfs) Feed(dir wire.Dir, data []byte, emit func(*Message)) (pr Progress, err error) {
	if d.p.Carrier == Datagram {
		n, ok := d.head(dir, data, emit)
		if !ok {
			return pr, errNFS
		}
		d.last[dir], d.left[dir] = true, len(data)-n
		d.rest(dir, data[n:], emit)
		return Progress{Used: len(data)}, nil
	}
	for pr.Used < len(data) {
		b := data[pr.Used:]
		if n := min(d.left[dir], len(b)); n > 0 {
			d.rest(dir, b[:n], emit)
			pr.Used += n
			continue
		}
		if len(b) < 4 {
			break
		}
		mark := wireU32(b)
		size := int(mark &^ (1 << 31))
		if size > maxOncRecord || size == 0 {
			return pr, errNFS
		}
		if d.more[dir] {
			d.left[dir], d.last[dir] = size, mark>>31 != 0
			pr.Used += 4
			continue
		}
		if len(b) < 4+min(size, maxNFSHead) {
			break
		}
		n, ok := d.head(dir, b[4:4+min(size, maxNFSHead)], emit)
		if !ok && !d.taken {
			return pr, errNFS
		}
		d.taken = true
		d.left[dir], d.last[dir] = size-n, mark>>31 != 0
		pr.Used += 4 + n
		if d.left[dir] == 0 {
			d.rest(dir, nil, emit)
		}
	}
	if d.closed[dir] {
		pr.Used = len(data)
	}
	return pr, nil
}

// rest takes bytes of what a call or an answer carries.
func (d *nfs) rest(dir wire.Dir, b []byte, emit func(*Message)) {
	d.left[dir] -= len(b)
	ends := d.left[dir] == 0 && d.last[dir]
	d.more[dir] = !ends
	if d.unit[dir].id == 0 { // of a record that was not understood
		d.message(dir, d.next(), emit)
		d.ends[dir] = true
	}
	t := d.message(dir, 0, emit)
	if t.wants(nfsData) && (len(b) > 0 || d.value[dir] != 0) {
		if d.value[dir] == 0 {
			d.value[dir], d.off[dir] = t.value(), 0
		}
		if k := d.file[dir] - d.off[dir]; d.file[dir] > 0 && k >= 0 && k < int64(len(b)) {
			if k > 0 {
				t.part(Part{Field: nfsData, Value: d.value[dir], Off: d.off[dir], Bytes: b[:k], More: true})
			}
			t.part(Part{Field: nfsData, Value: d.value[dir], Off: d.off[dir] + k, Bytes: b[k:], More: !ends, Begin: true})
		} else {
			t.part(Part{Field: nfsData, Value: d.value[dir], Off: d.off[dir], Bytes: b, More: !ends})
		}
	}
	d.off[dir] += int64(len(b))
	if !ends {
		t.flush(false, false)
		return
	}
	d.value[dir], d.file[dir] = 0, 0
	d.over(dir, d.ends[dir], emit)
}

// head takes the header of a call or an answer; n is its length. What it carries follows.
func (d *nfs) head(dir wire.Dir, b []byte, emit func(*Message)) (n int, ok bool) {
	c := wire.Cut(b)
	xid, typ := c.U32(), c.U32()
	if typ == oncReply {
		return d.reply(dir, xid, b, &c, emit)
	}
	version, program, programVersion, procedure := c.U32(), c.U32(), c.U32(), c.U32()
	flavor, cred := c.U32(), c.Bytes(int(c.U32()))
	c.Skip(4)
	c.Skip(int(c.U32()))
	if c.Short() || typ != oncCall || version != oncVersion {
		return 0, false
	}
	q := nfsAsked{xid: xid, program: program, version: programVersion, procedure: procedure, tx: d.next()}
	if len(d.pending) >= maxNFSPending {
		d.pending = d.pending[:copy(d.pending, d.pending[1:])]
	}
	d.pending = append(d.pending, q)
	t := d.message(dir, q.tx, emit)
	t.number(nfsXID, int64(xid))
	t.addString(nfsProgram, oncProgram(program))
	t.number(nfsVersion, int64(programVersion))
	if v3 := program == 100003 && programVersion == 3; v3 && int(procedure) < len(nfsProcedures) {
		t.addString(nfsProcedure, nfsProcedures[procedure])
	} else {
		t.addString(nfsProcedure, strconv.FormatUint(uint64(procedure), 10))
	}
	if flavor == 1 { // AUTH_SYS
		a := wire.Cut(cred)
		a.Skip(4)
		machine := xdrBytes(&a)
		uid, gid := a.U32(), a.U32()
		if !a.Short() {
			t.add(nfsMachine, machine)
			t.number(nfsUID, int64(uid))
			t.number(nfsGID, int64(gid))
		}
	}
	if program == 100003 && programVersion == 3 && procedure == nfsWrite {
		args := c
		xdrBytes(&args) // the file
		args.Skip(20)   // where, how much, how, and its length
		if !args.Short() {
			d.file[dir] = int64(c.Len() - args.Len())
		}
	}
	args := c
	switch {
	case program == 100003 && programVersion == 3 && (procedure == 3 || procedure >= 8 && procedure <= 14):
		xdrBytes(&args)
		fallthrough
	case program == 100005 && procedure == 1:
		if name := xdrBytes(&args); !args.Short() && len(name) > 0 {
			t.add(nfsFile, name)
		}
	}
	d.ends[dir] = false
	t.flush(false, false)
	return len(b) - c.Len(), true
}

// reply takes the header of an answer.
func (d *nfs) reply(dir wire.Dir, xid uint32, b []byte, c *wire.Cursor, emit func(*Message)) (n int, ok bool) {
	accepted := c.U32()
	if accepted == 0 {
		c.Skip(4)
		c.Skip(int(c.U32()))
	}
	result := c.U32()
	if c.Short() || accepted > 1 {
		return 0, false
	}
	q := nfsAsked{}
	for i := range d.pending {
		if d.pending[i].xid == xid {
			q = d.pending[i]
			d.pending = append(d.pending[:i], d.pending[i+1:]...)
			break
		}
	}
	if q.tx == 0 {
		q.tx = d.next()
	}
	t := d.message(dir, q.tx, emit)
	if q.program == 100003 && accepted == 0 && result == 0 && c.Len() >= 4 {
		look := *c
		status := look.U32()
		name := nfsStatuses[status]
		if name == "" {
			name = strconv.FormatUint(uint64(status), 10)
		}
		t.addString(nfsStatus, name)
		if q.version == 3 && q.procedure == nfsRead && status == 0 {
			if look.U32() != 0 {
				look.Skip(84) // attributes
			}
			look.Skip(12) // how much, whether it is the end, and its length
			if !look.Short() {
				d.file[dir] = int64(c.Len() - look.Len())
			}
		}
	}
	d.ends[dir] = true
	t.flush(false, false)
	return len(b) - c.Len(), true
}

// xdrBytes reads bytes behind their length, padded to four (RFC 4506).
func xdrBytes(c *wire.Cursor) []byte {
	n := c.U32()
	if n > 1<<16 {
		c.Skip(-1)
		return nil
	}
	b := c.Bytes(int(n))
	c.Skip(int(-n & 3))
	return b
}

// Gap implements Dissector: inside of what a call carries parsing goes on.
func (d *nfs) Gap(dir wire.Dir, n int, emit func(*Message)) bool {
	if d.p.Carrier == Datagram {
		return true
	}
	if n >= d.left[dir] {
		return false
	}
	d.left[dir] -= n
	d.off[dir] += int64(n)
	return true
}

// Close implements Dissector.
func (d *nfs) Close(dir wire.Dir, emit func(*Message)) {
	d.closed[dir] = true
	d.over(dir, false, emit)
	if d.closed[dir.Other()] {
		for _, q := range d.pending {
			d.unanswered(dir, q.tx, emit)
		}
		d.pending = nil
	}
}

// Rest implements Dissector.
func (d *nfs) Rest() (Rest, bool) { return Rest{}, false }

// Size implements Dissector.
func (d *nfs) Size() int { return 224 + 24*cap(d.pending) }
