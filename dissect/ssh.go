package dissect

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"errors"

	"weir/wire"
)

// SSH is the Secure Shell.
var SSH = Protocol{
	Name: "ssh",
	About: "SSH 2: RFC 4253; version 1 is told. What both ends say of themselves before encryption begins is one exchange with an event `ssh`: " +
		"versions, software, the algorithms that they offer, and the fingerprints HASSH and HASSHServer of those. The packets of the key exchange, and " +
		"whatever else is said in the clear, are looked into as they came. What follows is walked over and counted as not looked into (`weir.uninspected`, reason `encrypted`).",
	Carrier: Stream,
	Ports:   []uint16{22, 2222},
	Probe:   probeSSH,
	Fields: []FieldSpec{
		sshClientBanner:         {Name: "ssh.client.banner", Doc: "the client's identification string", EVE: "client/banner"},
		sshClientProto:          {Name: "ssh.client.proto_version", Doc: "its version of the protocol, as `2.0`", EVE: "client/proto_version", Derived: true},
		sshClientSoftware:       {Name: "ssh.client.software_version", Doc: "its software", EVE: "client/software_version", Derived: true},
		sshClientHASSH:          {Name: "ssh.client.hassh", Doc: "HASSH, MD5 in hex", EVE: "client/hassh/hash", Derived: true},
		sshClientHASSHString:    {Name: "ssh.client.hassh_string", Doc: "what HASSH is the hash of", EVE: "client/hassh/string", Derived: true},
		sshServerBanner:         {Name: "ssh.server.banner", Doc: "the server's identification string", EVE: "server/banner"},
		sshServerProto:          {Name: "ssh.server.proto_version", Doc: "its version of the protocol", EVE: "server/proto_version", Derived: true},
		sshServerSoftware:       {Name: "ssh.server.software_version", Doc: "its software", EVE: "server/software_version", Derived: true},
		sshServerHASSH:          {Name: "ssh.server.hassh", Doc: "HASSHServer, MD5 in hex", EVE: "server/hassh/hash", Derived: true},
		sshServerHASSHString:    {Name: "ssh.server.hassh_string", Doc: "what HASSHServer is the hash of", EVE: "server/hassh/string", Derived: true},
		sshHostKeyAlgorithms:    {Name: "ssh.host_key_algorithms", Doc: "algorithms of host keys that an end offers, with commas"},
		sshKexAlgorithms:        {Name: "ssh.kex_algorithms", Doc: "methods of key exchange that an end offers, with commas"},
		sshEncryptionAlgorithms: {Name: "ssh.encryption_algorithms", Doc: "ciphers that an end offers for what it sends itself, with commas"},
		sshText:                 {Name: "ssh.text", Doc: "lines of text before the identification string"},
		sshPacket:               {Name: "ssh.packet", Doc: "packets in the clear, from their message number on: keys, IGNORE, DEBUG, padding; of an offer what follows its lists"},
	},
	New: newSSH,
	Resume: func(p *Protocol, env *Env, r Rest) Dissector {
		return &ssh{p: p, env: env, id: r.ID, sealed: true, told: true}
	},
}

// Fields of SSH. Those of the server follow the client's in the same order.
const (
	sshClientBanner Field = iota
	sshClientProto
	sshClientSoftware
	sshClientHASSH
	sshClientHASSHString
	sshServerBanner
	sshServerProto
	sshServerSoftware
	sshServerHASSH
	sshServerHASSHString
	sshHostKeyAlgorithms
	sshKexAlgorithms
	sshEncryptionAlgorithms
	sshText
	sshPacket
)

// from the specification
const (
	sshHeader     = 5       // bytes of a packet's length and length of padding, RFC 4253 section 6
	sshCookie     = 16      // bytes
	sshKexInit    = 20      // SSH_MSG_KEXINIT
	sshNewKeys    = 21      // SSH_MSG_NEWKEYS
	sshDHInit     = 30      // SSH_MSG_KEXDH_INIT and its like: the client's, RFC 4253 section 8, RFC 5656 section 4
	sshGEXInit    = 32      // SSH_MSG_KEX_DH_GEX_INIT: the client's, RFC 4419
	sshGEXRequest = 34      // SSH_MSG_KEX_DH_GEX_REQUEST: the client's
	sshLists      = 10      // name-lists of a KEXINIT
	sshMaxBanner  = 255     // bytes of an identification string, RFC 4253 section 4.2
	sshMaxPacket  = 1 << 18 // bytes that implementations take
	sshMaxKexInit = 35000   // bytes that every implementation takes, RFC 4253 section 6.1
)

// ours
const (
	maxSSHText = 1024 // lines before the identification string
	sshSize    = 240  // bytes that an ssh is counted for
)

var errSSH = errors.New("ssh: not what comes before encryption")

var sshNoteReversed = Note{"ssh.reversed", true, "the end that connected is the server of SSH, and the one that listened its client: somebody is let in from outside"}

var sshNoteVersion1 = Note{"ssh.version_1", false, "an end that speaks nothing but version 1 of SSH, which is broken"}

// sshState is how a direction is read.
type sshState uint8

const (
	sshBanner  sshState = iota // lines up to the identification string
	sshPackets                 // packets in the clear
	sshOpaque                  // ciphertext, or a place that is not known
)

type sshSide struct {
	state  sshState
	kex    bool // KEXINIT was told
	closed bool
	lines  int
	unit   unit
	value  pieces // packet in hand
	left   int    // bytes of it to come
}

// ssh parses one flow.
type ssh struct {
	p        *Protocol
	env      *Env
	side     [2]sshSide
	id       uint64 // of the last message
	unit     unit
	told     bool // the exchange is complete
	any      bool // something was told
	sealed   bool // all is ciphertext
	reversed bool // that was told
}

func newSSH(p *Protocol, env *Env) Dissector { return &ssh{p: p, env: env} }

// Feed implements Dissector.
func (d *ssh) Feed(dir wire.Dir, data []byte, emit func(*Message)) (pr Progress, err error) {
	s := &d.side[dir]
	for pr.Used < len(data) && pr.Need == 0 && err == nil {
		b := data[pr.Used:]
		n := len(b)
		switch {
		case s.left > 0:
			n = d.clear(dir, s, b, emit)
		case d.sealed || s.state == sshOpaque:
			pr.Opaque += n
		case s.state == sshBanner:
			n, pr.Need, err = d.banner(dir, s, b, emit)
		default:
			n, pr.Need, err = d.packet(dir, s, b, emit)
		}
		pr.Used += n
	}
	if s.closed {
		pr.Need = 0 // what is no packet is inspected raw
	}
	return pr, err
}

// clear takes what there is of a packet in the clear: keys, and what nobody reads.
func (d *ssh) clear(dir wire.Dir, s *sshSide, b []byte, emit func(*Message)) int {
	n := min(len(b), s.left)
	s.left -= n
	t := d.env.teller(d.p, dir, &s.unit, emit)
	s.value.take(t, b[:n])
	t.flush(s.left == 0, s.left == 0 && d.finish(d.encrypted()))
	return n
}

// encrypted reports whether nothing more is to come in the clear.
func (d *ssh) encrypted() bool {
	return d.sealed || d.side[0].state == sshOpaque && d.side[1].state == sshOpaque && d.side[0].left == 0 && d.side[1].left == 0
}

// opaque takes what follows in a direction for ciphertext.
func (d *ssh) opaque(dir wire.Dir, s *sshSide, emit func(*Message)) {
	s.state, s.left = sshOpaque, 0
	if d.any && d.finish(d.encrypted()) {
		d.message(dir, emit).flush(true, true)
	}
}

// message begins a message of dir.
func (d *ssh) message(dir wire.Dir, emit func(*Message)) *teller {
	d.id++
	d.any = true
	d.unit = unit{id: d.id, tx: 1}
	return d.env.teller(d.p, dir, &d.unit, emit)
}

// banner takes a line up to the identification string.
func (d *ssh) banner(dir wire.Dir, s *sshSide, b []byte, emit func(*Message)) (used, need int, err error) {
	line, whole := firstLine(b[:min(len(b), sshMaxBanner+1)])
	if !whole {
		if len(b) > sshMaxBanner {
			return 0, 0, errSSH
		}
		return 0, 1, nil
	}
	used = lineEnd(b)
	t := d.message(dir, emit)
	if !bytes.HasPrefix(line, []byte("SSH-")) {
		if s.lines++; s.lines > maxSSHText {
			return 0, 0, errSSH
		}
		t.add(sshText, line)
		t.flush(true, false)
		return used, 0, nil
	}
	at := sshClientBanner
	if dir == wire.ToClient {
		at = sshServerBanner
	}
	t.add(at, line)
	proto, software, _ := bytes.Cut(line[4:], []byte{'-'})
	t.add(at+1, proto)
	t.add(at+2, bytes.TrimRight(software, " \x00"))
	s.state = sshPackets
	if bytes.HasPrefix(proto, []byte("1.")) && string(proto) != "1.99" {
		t.note(sshNoteVersion1)
		d.sealed = true
	}
	t.flush(true, d.finish(d.sealed))
	return used, 0, nil
}

// finish reports whether the exchange ends with the message in hand, if now it is complete.
func (d *ssh) finish(complete bool) bool {
	if !complete || d.told {
		return false
	}
	d.told = true
	return true
}

// packet takes the header of a packet, and all of it if it is KEXINIT.
func (d *ssh) packet(dir wire.Dir, s *sshSide, b []byte, emit func(*Message)) (used, need int, err error) {
	if len(b) < sshHeader+1 {
		return 0, sshHeader + 1 - len(b), nil
	}
	c := wire.Cut(b)
	n, padding, typ := int(c.U32()), int(c.U8()), c.U8()
	switch {
	case n < 2+padding || n > sshMaxPacket || typ > 50:
		d.opaque(dir, s, emit)
		return 0, 0, nil
	case typ == sshNewKeys:
		s.state = sshOpaque // behind what is left of this packet
	case typ == sshKexInit && !s.kex && n <= sshMaxKexInit:
		if len(b) < 4+n {
			return 0, 4 + n - len(b), nil
		}
		d.kexInit(dir, s, b[sshHeader:4+n], emit)
		return 4 + n, 0, nil
	}
	if dir == wire.ToClient && s.kex && !d.reversed && (typ == sshDHInit || typ == sshGEXInit || typ == sshGEXRequest) {
		d.reversed = true
		t := d.message(dir, emit)
		t.note(sshNoteReversed)
		t.flush(true, false)
	}
	s.left = 4 + n - sshHeader
	d.id++
	d.any = true
	s.unit = unit{id: d.id, tx: 1}
	s.value = d.env.teller(d.p, dir, &s.unit, emit).stream(sshPacket, int64(s.left))
	return sshHeader, 0, nil
}

// kexInit tells of the algorithms that an end offers.
func (d *ssh) kexInit(dir wire.Dir, s *sshSide, b []byte, emit func(*Message)) {
	c := wire.Cut(b)
	c.Skip(1 + sshCookie)
	var lists [sshLists][]byte
	for i := range lists {
		lists[i] = c.Bytes(int(c.U32()))
	}
	t := d.message(dir, emit)
	if c.Short() {
		t.add(sshPacket, b)
		t.flush(true, false)
		return
	}
	s.kex = true
	at, own := sshClientHASSH, 0 // the lists for what the client sends come first
	if dir == wire.ToClient {
		at, own = sshServerHASSH, 1
	}
	print := t.write(func(b []byte) []byte {
		for i, l := range [][]byte{lists[0], lists[2+own], lists[4+own], lists[6+own]} {
			if i > 0 {
				b = append(b, ';')
			}
			b = append(b, l...)
		}
		return b
	})
	if t.wants(at) {
		sum := md5.Sum(print)
		t.add(at, t.write(func(b []byte) []byte { return hex.AppendEncode(b, sum[:]) }))
	}
	t.add(at+1, print)
	t.add(sshKexAlgorithms, lists[0])
	t.add(sshHostKeyAlgorithms, lists[1])
	t.add(sshEncryptionAlgorithms, lists[2+own])
	t.add(sshPacket, c.Rest())
	t.flush(true, false)
}

// Gap implements Dissector: what was lost may have been the end of what is in the clear.
func (d *ssh) Gap(dir wire.Dir, n int, emit func(*Message)) bool {
	s := &d.side[dir]
	if !d.sealed && n < s.left {
		s.left -= n
		s.value.lost(n)
		return true
	}
	d.opaque(dir, s, emit)
	return true
}

// Close implements Dissector.
func (d *ssh) Close(dir wire.Dir, emit func(*Message)) {
	d.side[dir].closed = true
	if d.any && d.side[dir.Other()].closed && d.finish(true) {
		d.message(dir, emit).flush(true, true)
	}
}

// Rest implements Dissector.
func (d *ssh) Rest() (Rest, bool) {
	if !d.told || !d.sealed && (d.side[0].state != sshOpaque || d.side[1].state != sshOpaque || d.side[0].left > 0 || d.side[1].left > 0) {
		return Rest{}, false
	}
	return Rest{ID: d.id, Tx: 1}, true
}

// Size implements Dissector.
func (d *ssh) Size() int { return sshSize }
