package dissect

import (
	"errors"

	"weir/wire"
)

const ldapAbout = "LDAP: RFC 4511, over UDP too (MS-ADTS), with StartTLS, behind which the flow is looked at anew. A request with its answers is an exchange " +
	"with an event `ldap`. What is wrapped by SASL (RFC 4422) is counted as not looked into."

// LDAP is the Lightweight Directory Access Protocol.
var LDAP = Protocol{
	Name: "ldap", About: ldapAbout, Carrier: Stream, Ports: []uint16{389, 636, 3268, 1389}, Probe: probeLDAP, Fields: ldapFields, New: newLDAP,
}

// CLDAP is LDAP over UDP.
var CLDAP = Protocol{
	Name: "ldap", About: ldapAbout, Carrier: Datagram, Ports: []uint16{389}, Probe: probeLDAP, Fields: ldapFields, New: newLDAP,
}

var ldapFields = []FieldSpec{
	ldapID:           {Name: "ldap.message_id", Doc: "number of the request", EVE: "request/message_id", Number: true, Derived: true},
	ldapOperation:    {Name: "ldap.operation", Doc: "what is asked for, as `search_request`", EVE: "request/operation", Derived: true},
	ldapVersion:      {Name: "ldap.version", Doc: "version of a bind", EVE: "request/bind_request/version", Number: true, Derived: true},
	ldapName:         {Name: "ldap.bind_name", Doc: "name that a client binds as", EVE: "request/bind_request/name"},
	ldapMechanism:    {Name: "ldap.sasl_mechanism", Doc: "mechanism of a bind with SASL", EVE: "request/bind_request/sasl/mechanism"},
	ldapUser:         {Name: "ldap.user", Doc: "domain and user in NTLM's messages of a bind", EVE: "request/bind_request/ntlm_user"},
	ldapPassword:     {Name: "ldap.password", Doc: "password of a simple bind, or credentials of SASL; never shown", Privacy: Credential},
	ldapBase:         {Name: "ldap.base", Doc: "entry that a search begins at", EVE: "request/search_request/base_object"},
	ldapScope:        {Name: "ldap.scope", Doc: "`base_object`, `single_level` or `whole_subtree`", EVE: "request/search_request/scope", Derived: true},
	ldapFilter:       {Name: "ldap.filter", Doc: "filter of a search, as RFC 4515 writes it", EVE: "request/search_request/filter"},
	ldapWanted:       {Name: "ldap.wanted", Doc: "an attribute that a search asks for, a value for each", EVE: "request/search_request/attributes[]"},
	ldapAddEntry:     {Name: "ldap.add", Doc: "entry that is to be added", EVE: "request/add_request/entry"},
	ldapDeleteEntry:  {Name: "ldap.delete", Doc: "entry that is to be deleted", EVE: "request/del_request/dn"},
	ldapModifyEntry:  {Name: "ldap.modify", Doc: "entry that is to be changed", EVE: "request/modify_request/object"},
	ldapMoveEntry:    {Name: "ldap.rename", Doc: "entry that is to get another name", EVE: "request/mod_dn_request/entry"},
	ldapMoveTo:       {Name: "ldap.new_rdn", Doc: "that name", EVE: "request/mod_dn_request/new_rdn"},
	ldapMoveOld:      {Name: "ldap.delete_old_rdn", Doc: "`true` if the old name goes", EVE: "request/mod_dn_request/delete_old_rdn", Bool: true, Derived: true},
	ldapCompareEntry: {Name: "ldap.compare", Doc: "entry that is compared", EVE: "request/compare_request/entry"},
	ldapCompareType:  {Name: "ldap.compare_attribute", Doc: "attribute of it", EVE: "request/compare_request/attribute_value_assertion/description"},
	ldapCompareValue: {Name: "ldap.compare_value", Doc: "value that it is compared with", EVE: "request/compare_request/attribute_value_assertion/value"},
	ldapExtendedName: {Name: "ldap.extended", Doc: "object identifier of an extended request", EVE: "request/extended_request/name"},
	ldapAttribute:    {Name: "ldap.attribute", Doc: "name of an attribute that is added, changed or found"},
	ldapValue:        {Name: "ldap.value", Doc: "one of its values"},
	ldapAnswer:       {Name: "ldap.response", Doc: "what is answered, as `search_result_entry`", EVE: "responses.operation", Derived: true},
	ldapFound:        {Name: "ldap.entry", Doc: "entry that a search has found", EVE: "responses.search_result_entry/base_object"},
	ldapReferral:     {Name: "ldap.referral", Doc: "address of another server, a value for each"},
	ldapResults:      {Name: "ldap.bind_response.result_code", Doc: "how a bind ended, as `success`", EVE: "responses.bind_response/result_code", Derived: true},
	{Name: "ldap.bind_response.matched_dn", Doc: "part of the entry's name that there is", EVE: "responses.bind_response/matched_dn"},
	{Name: "ldap.bind_response.message", Doc: "what the server says of it", EVE: "responses.bind_response/message"},
	{Name: "ldap.search_response.result_code", Doc: "likewise, of a search", EVE: "responses.search_result_done/result_code", Derived: true},
	{Name: "ldap.search_response.matched_dn", Doc: "likewise", EVE: "responses.search_result_done/matched_dn"},
	{Name: "ldap.search_response.message", Doc: "likewise", EVE: "responses.search_result_done/message"},
	{Name: "ldap.modify_response.result_code", Doc: "likewise, of a change", EVE: "responses.modify_response/result_code", Derived: true},
	{Name: "ldap.modify_response.matched_dn", Doc: "likewise", EVE: "responses.modify_response/matched_dn"},
	{Name: "ldap.modify_response.message", Doc: "likewise", EVE: "responses.modify_response/message"},
	{Name: "ldap.add_response.result_code", Doc: "likewise, of an addition", EVE: "responses.add_response/result_code", Derived: true},
	{Name: "ldap.add_response.matched_dn", Doc: "likewise", EVE: "responses.add_response/matched_dn"},
	{Name: "ldap.add_response.message", Doc: "likewise", EVE: "responses.add_response/message"},
	{Name: "ldap.del_response.result_code", Doc: "likewise, of a deletion", EVE: "responses.del_response/result_code", Derived: true},
	{Name: "ldap.del_response.matched_dn", Doc: "likewise", EVE: "responses.del_response/matched_dn"},
	{Name: "ldap.del_response.message", Doc: "likewise", EVE: "responses.del_response/message"},
	{Name: "ldap.mod_dn_response.result_code", Doc: "likewise, of another name", EVE: "responses.mod_dn_response/result_code", Derived: true},
	{Name: "ldap.mod_dn_response.matched_dn", Doc: "likewise", EVE: "responses.mod_dn_response/matched_dn"},
	{Name: "ldap.mod_dn_response.message", Doc: "likewise", EVE: "responses.mod_dn_response/message"},
	{Name: "ldap.compare_response.result_code", Doc: "likewise, of a comparison", EVE: "responses.compare_response/result_code", Derived: true},
	{Name: "ldap.compare_response.matched_dn", Doc: "likewise", EVE: "responses.compare_response/matched_dn"},
	{Name: "ldap.compare_response.message", Doc: "likewise", EVE: "responses.compare_response/message"},
	{Name: "ldap.extended_response.result_code", Doc: "likewise, of an extended request", EVE: "responses.extended_response/result_code", Derived: true},
	{Name: "ldap.extended_response.matched_dn", Doc: "likewise", EVE: "responses.extended_response/matched_dn"},
	{Name: "ldap.extended_response.message", Doc: "likewise", EVE: "responses.extended_response/message"},
}

// Fields of LDAP, in the order of ldapFields. Behind ldapResults are three for each kind of answer, in the order of ldapAnswers.
const (
	ldapID Field = iota
	ldapOperation
	ldapVersion
	ldapName
	ldapMechanism
	ldapUser
	ldapPassword
	ldapBase
	ldapScope
	ldapFilter
	ldapWanted
	ldapAddEntry
	ldapDeleteEntry
	ldapModifyEntry
	ldapMoveEntry
	ldapMoveTo
	ldapMoveOld
	ldapCompareEntry
	ldapCompareType
	ldapCompareValue
	ldapExtendedName
	ldapAttribute
	ldapValue
	ldapAnswer
	ldapFound
	ldapReferral
	ldapResults
)

// ours
const (
	maxLDAP        = 512 << 10 // bytes of a message; a larger one is passed over, and counted as not looked into
	maxLDAPPending = 256       // requests that wait for their answers; of more, answers are exchanges of their own
	maxLDAPFilter  = 4 << 10   // bytes that a filter is written in; then it is cut
)

var (
	errLDAP       = errors.New("ldap: not a message")
	ldapNoteLarge = Note{"ldap.too_large", false, "a message larger than what is waited for: passed over"}
)

// ldapAsked is a request that waits for its answers.
type ldapAsked struct {
	id  int64
	tx  uint64
	tls bool
}

// ldap parses one flow.
type ldap struct {
	chat
	pending []ldapAsked
	skip    [2]int // bytes to come of a message that is passed over
	sealed  bool   // messages may be wrapped by SASL
	taken   bool
}

func newLDAP(p *Protocol, env *Env) Dissector { return &ldap{chat: chat{p: p, env: env}} }

// Feed implements Dissector.
func (d *ldap) Feed(dir wire.Dir, data []byte, emit func(*Message)) (pr Progress, err error) {
	for pr.Used < len(data) {
		b := data[pr.Used:]
		if n := min(d.skip[dir], len(b)); n > 0 {
			d.skip[dir] -= n
			pr.Used += n
			pr.Opaque += n
			continue
		}
		if d.sealed && b[0] != 0x30 {
			if !d.wrapped(dir, b, &pr) {
				return pr, errLDAP
			}
			if pr.Need > 0 {
				return d.last(dir, data, pr), nil
			}
			continue
		}
		_, at, n, need, ok := berTag(b)
		switch {
		case !ok || b[0] != 0x30:
			return pr, errLDAP
		case need:
			pr.Need = 1
			return d.last(dir, data, pr), nil
		case at+n > maxLDAP && d.p.Carrier&Stream != 0:
			d.message(dir, d.next(), emit).note(ldapNoteLarge)
			d.over(dir, true, emit)
			d.skip[dir] = at + n
			continue
		case at+n > len(b):
			pr.Need = at + n - len(b)
			return d.last(dir, data, pr), nil
		}
		up := d.one(dir, b[at:at+n], emit)
		if !d.taken {
			return pr, errLDAP
		}
		pr.Used += at + n
		if up {
			return pr, nil
		}
	}
	return pr, nil
}

// last takes what is left when no more bytes will come.
func (d *ldap) last(dir wire.Dir, data []byte, pr Progress) Progress {
	if d.closed[dir] {
		pr.Passed += len(data) - pr.Used
		pr.Used = len(data)
	}
	return pr
}

// wrapped passes over what SASL has wrapped: it stands behind its length.
func (d *ldap) wrapped(dir wire.Dir, b []byte, pr *Progress) bool {
	if len(b) < 4 {
		pr.Need = 4 - len(b)
		return true
	}
	n := int(wireU32(b))
	if n <= 0 || n > 1<<24 {
		return false
	}
	d.skip[dir] = 4 + n
	return true
}

// one takes a message without its tag. up says that TLS follows.
func (d *ldap) one(dir wire.Dir, b []byte, emit func(*Message)) (up bool) {
	c := ber{b: b}
	id := berInt(c.want(0x02))
	op, v := c.next()
	if c.bad || ldapNames[op] == "" {
		return false
	}
	d.taken = true
	if ldapOf(wire.ToServer, op) {
		d.request(dir, id, op, v, emit)
		return false
	}
	return d.response(dir, id, op, v, emit)
}

// request tells of a request.
func (d *ldap) request(dir wire.Dir, id int64, op uint8, v []byte, emit func(*Message)) {
	q := ldapAsked{id: id, tx: d.next()}
	t := d.message(dir, q.tx, emit)
	t.number(ldapID, id)
	t.addString(ldapOperation, ldapNames[op])
	d.tell(t, op, v, &q)
	ends := op == ldapUnbind || op == ldapAbandon || len(d.pending) >= maxLDAPPending
	if !ends {
		d.pending = append(d.pending, q)
	}
	d.over(dir, ends, emit)
}

// response tells of an answer.
func (d *ldap) response(dir wire.Dir, id int64, op uint8, v []byte, emit func(*Message)) (up bool) {
	i := len(d.pending) - 1
	for i >= 0 && d.pending[i].id != id {
		i--
	}
	q := ldapAsked{}
	if i >= 0 {
		q = d.pending[i]
	} else {
		q.tx = d.next()
	}
	t := d.message(dir, q.tx, emit)
	row := t.value()
	ldapCell(t, row, ldapAnswer, []byte(ldapNames[op]))
	done := op != ldapEntry && op != ldapReference && op != ldapIntermediate
	c := ber{b: v}
	code := int64(-1)
	switch op {
	case ldapEntry:
		ldapCell(t, row, ldapFound, c.want(0x04))
		d.attributes(t, c.want(0x30))
	case ldapReference:
		for tag, u := c.next(); tag == 0x04; tag, u = c.next() {
			t.add(ldapReferral, u)
		}
	case ldapIntermediate:
	default:
		code = d.result(t, row, op, &c)
	}
	if done && i >= 0 {
		d.pending = append(d.pending[:i], d.pending[i+1:]...)
	}
	if q.tls && code == 0 {
		d.upgrade(dir, emit)
		return true
	}
	if op == ldapBindDone && code == 0 {
		d.sealed = true
	}
	d.over(dir, done, emit)
	return false
}

// ldapCell collects a member of an object in the list of answers.
func ldapCell(t *teller, row uint32, f Field, b []byte) {
	if t.wants(f) {
		t.part(Part{Field: f, Value: row, Bytes: b})
	}
}

// result tells of how a request ended.
func (d *ldap) result(t *teller, row uint32, op uint8, c *ber) (code int64) {
	code = berInt(c.want(0x0a))
	dn, message := c.want(0x04), c.want(0x04)
	for i, a := range ldapAnswers {
		if a == op {
			f := ldapResults + Field(3*i)
			name := ldapCode(code)
			ldapCell(t, row, f, t.write(func(b []byte) []byte { return append(b, name...) }))
			ldapCell(t, row, f+1, dn)
			ldapCell(t, row, f+2, message)
		}
	}
	return code
}

// Gap implements Dissector.
func (d *ldap) Gap(dir wire.Dir, n int, emit func(*Message)) bool {
	if d.p.Carrier&Stream == 0 {
		return true
	}
	if n > d.skip[dir] {
		return false
	}
	d.skip[dir] -= n
	return true
}

// Close implements Dissector.
func (d *ldap) Close(dir wire.Dir, emit func(*Message)) {
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
func (d *ldap) Rest() (Rest, bool) { return Rest{}, false }

// Size implements Dissector.
func (d *ldap) Size() int { return 200 + 32*cap(d.pending) }
