package dissect

import (
	"bytes"
	"strconv"
)

// ldapNames are the names of operations by their tags.
var ldapNames = [256]string{
	ldapBind: "bind_request", ldapBindDone: "bind_response", ldapUnbind: "unbind_request", ldapSearch: "search_request", ldapEntry: "search_result_entry",
	ldapSearchDone: "search_result_done", ldapModify: "modify_request", ldapModifyDone: "modify_response", ldapAdd: "add_request", ldapAddDone: "add_response",
	ldapDelete: "del_request", ldapDeleteDone: "del_response", ldapModDN: "mod_dn_request", ldapModDNDone: "mod_dn_response", ldapCompare: "compare_request",
	ldapCompareDone: "compare_response", ldapAbandon: "abandon_request", ldapReference: "search_result_reference", ldapExtended: "extended_request",
	ldapExtendedDone: "extended_response", ldapIntermediate: "intermediate_response",
}

// ldapAnswers are the operations that tell how a request ended, in the order of the fields behind ldapResults.
var ldapAnswers = [...]uint8{ldapBindDone, ldapSearchDone, ldapModifyDone, ldapAddDone, ldapDeleteDone, ldapModDNDone, ldapCompareDone, ldapExtendedDone}

// ldapCodes are names of result codes, RFC 4511 appendix A.
var ldapCodes = [...]string{
	0: "success", 1: "operations_error", 2: "protocol_error", 3: "time_limit_exceeded", 4: "size_limit_exceeded", 5: "compare_false", 6: "compare_true",
	7: "auth_method_not_supported", 8: "stronger_auth_required", 10: "referral", 11: "admin_limit_exceeded", 12: "unavailable_critical_extension",
	13: "confidentiality_required", 14: "sasl_bind_in_progress", 16: "no_such_attribute", 17: "undefined_attribute_type", 18: "inappropriate_matching",
	19: "constraint_violation", 20: "attribute_or_value_exists", 21: "invalid_attribute_syntax", 32: "no_such_object", 33: "alias_problem", 34: "invalid_dns_syntax",
	36: "alias_dereferencing_problem", 48: "inappropriate_authentication", 49: "invalid_credentials", 50: "insufficient_access_rights", 51: "busy", 52: "unavailable",
	53: "unwilling_to_perform", 54: "loop_detect", 64: "naming_violation", 65: "object_class_violation", 66: "not_allowed_on_non_leaf", 67: "not_allowed_on_rdn",
	68: "entry_already_exists", 69: "object_class_mods_prohibited", 71: "affects_multiple_dsas", 80: "other",
}

func ldapCode(code int64) string {
	if code >= 0 && code < int64(len(ldapCodes)) && ldapCodes[code] != "" {
		return ldapCodes[code]
	}
	return strconv.FormatInt(code, 10)
}

const ldapStartTLS = "1.3.6.1.4.1.1466.20037"

// tell tells of what a request asks for.
func (d *ldap) tell(t *teller, op uint8, v []byte, q *ldapAsked) {
	c := ber{b: v}
	switch op {
	case ldapBind:
		t.number(ldapVersion, berInt(c.want(0x02)))
		t.add(ldapName, c.want(0x04))
		d.credentials(t, &c)
	case ldapSearch:
		d.search(t, &c)
	case ldapModify:
		t.add(ldapModifyEntry, c.want(0x04))
		changes := ber{b: c.want(0x30)}
		for tag, change := changes.next(); tag == 0x30; tag, change = changes.next() {
			x := ber{b: change}
			x.want(0x0a)
			d.attribute(t, x.want(0x30))
		}
	case ldapAdd:
		t.add(ldapAddEntry, c.want(0x04))
		d.attributes(t, c.want(0x30))
	case ldapDelete:
		t.add(ldapDeleteEntry, v)
	case ldapModDN:
		t.add(ldapMoveEntry, c.want(0x04))
		t.add(ldapMoveTo, c.want(0x04))
		old := "false"
		if b := c.want(0x01); len(b) == 1 && b[0] != 0 {
			old = "true"
		}
		t.addString(ldapMoveOld, old)
	case ldapCompare:
		t.add(ldapCompareEntry, c.want(0x04))
		x := ber{b: c.want(0x30)}
		t.add(ldapCompareType, x.want(0x04))
		t.add(ldapCompareValue, x.want(0x04))
	case ldapExtended:
		name := c.want(0x80)
		t.add(ldapExtendedName, name)
		q.tls = string(name) == ldapStartTLS
		if v := c.want(0x81); len(v) > 0 {
			t.add(ldapValue, v)
		}
	}
}

// credentials tells of how a client binds.
func (d *ldap) credentials(t *teller, c *ber) {
	switch tag, v := c.next(); tag {
	case 0x80:
		if len(v) > 0 {
			t.add(ldapPassword, v)
		}
	case 0xa3:
		x := ber{b: v}
		t.add(ldapMechanism, x.want(0x04))
		secret := x.want(0x04)
		ldapNTLM(t, secret)
		if len(secret) > 0 {
			t.add(ldapPassword, secret)
		}
	case 0x89, 0x8a, 0x8b: // Sicily, MS-ADTS 5.1.1.1.3: NTLM
		ldapNTLM(t, v)
	}
}

// ldapNTLM tells of the user in a message of NTLM, wherever it stands in b.
func ldapNTLM(t *teller, b []byte) {
	i := bytes.Index(b, ntlmSignature)
	if i < 0 {
		return
	}
	if n, ok := readNTLM(b[i:]); ok && n.typ == ntlmAuthenticate {
		t.add(ldapUser, t.write(n.appendFull))
	}
}

// search tells of a search.
func (d *ldap) search(t *teller, c *ber) {
	t.add(ldapBase, c.want(0x04))
	scope := berInt(c.want(0x0a))
	if names := [...]string{"base_object", "single_level", "whole_subtree", "subordinate_subtree"}; scope >= 0 && scope < int64(len(names)) {
		t.addString(ldapScope, names[scope])
	}
	c.want(0x0a) // aliases
	c.want(0x02) // sizeLimit
	c.want(0x02) // timeLimit
	c.want(0x01) // typesOnly
	tag, v := c.next()
	if t.wants(ldapFilter) && tag != 0 {
		t.add(ldapFilter, t.write(func(b []byte) []byte {
			at := len(b)
			return appendFilter(b, tag, v, at+maxLDAPFilter, 0)
		}))
	}
	list := ber{b: c.want(0x30)}
	for tag, a := list.next(); tag == 0x04; tag, a = list.next() {
		t.add(ldapWanted, a)
	}
}

// attributes tells of a list of attributes.
func (d *ldap) attributes(t *teller, b []byte) {
	c := ber{b: b}
	for tag, a := c.next(); tag == 0x30; tag, a = c.next() {
		d.attribute(t, a)
	}
}

// attribute tells of one and its values.
func (d *ldap) attribute(t *teller, b []byte) {
	c := ber{b: b}
	t.add(ldapAttribute, c.want(0x04))
	set := ber{b: c.want(0x31)}
	for tag, v := set.next(); tag == 0x04; tag, v = set.next() {
		t.add(ldapValue, v)
	}
}

// maxFilterDepth is how deep filters may stand in filters.
const maxFilterDepth = 32

// appendFilter writes a filter as RFC 4515 does, up to a length of b.
func appendFilter(b []byte, tag uint8, v []byte, limit, depth int) []byte {
	if len(b) > limit || depth > maxFilterDepth {
		return b
	}
	b = append(b, '(')
	c := ber{b: v}
	switch tag {
	case 0xa0, 0xa1:
		b = append(b, "&|"[tag&1])
		for k, x := c.next(); k != 0; k, x = c.next() {
			b = appendFilter(b, k, x, limit, depth+1)
		}
	case 0xa2:
		b = append(b, '!')
		if k, x := c.next(); k != 0 {
			b = appendFilter(b, k, x, limit, depth+1)
		}
	case 0xa3, 0xa5, 0xa6, 0xa8:
		b = append(b, c.want(0x04)...)
		b = append(b, map[uint8]string{0xa3: "=", 0xa5: ">=", 0xa6: "<=", 0xa8: "~="}[tag]...)
		b = append(b, c.want(0x04)...)
	case 0xa4:
		b = append(append(b, c.want(0x04)...), '=')
		x := ber{b: c.want(0x30)}
		final := false
		for k, s := x.next(); k != 0; k, s = x.next() {
			if final = k == 0x82; k != 0x80 {
				b = append(b, '*')
			}
			b = append(b, s...)
		}
		if !final {
			b = append(b, '*')
		}
	case 0x87:
		b = append(append(b, v...), "=*"...)
	case 0xa9:
		rule, typ, value := c.want(0x81), c.want(0x82), c.want(0x83)
		b = append(b, typ...)
		if len(rule) > 0 {
			b = append(append(b, ':'), rule...)
		}
		b = append(append(b, ":="...), value...)
	}
	return append(b, ')')
}
