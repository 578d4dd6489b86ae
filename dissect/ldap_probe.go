package dissect

import "weir/wire"

// from the specification: operations
const (
	ldapBind         = 0x60
	ldapBindDone     = 0x61
	ldapUnbind       = 0x42
	ldapSearch       = 0x63
	ldapEntry        = 0x64
	ldapSearchDone   = 0x65
	ldapModify       = 0x66
	ldapModifyDone   = 0x67
	ldapAdd          = 0x68
	ldapAddDone      = 0x69
	ldapDelete       = 0x4a
	ldapDeleteDone   = 0x6b
	ldapModDN        = 0x6c
	ldapModDNDone    = 0x6d
	ldapCompare      = 0x6e
	ldapCompareDone  = 0x6f
	ldapAbandon      = 0x50
	ldapReference    = 0x73
	ldapExtended     = 0x77
	ldapExtendedDone = 0x78
	ldapIntermediate = 0x79
)

// probeLDAP recognises a message: a sequence of a small number and an operation of the direction that fits into it.
func probeLDAP(dir wire.Dir, head []byte) Guess {
	if len(head) > 0 && head[0] != 0x30 {
		return No
	}
	_, at, n, need, ok := berTag(head)
	switch {
	case !ok:
		return No
	case need:
		return Maybe
	case n < 5:
		return No
	}
	b := head[at:]
	if len(b) > 0 && b[0] != 0x02 || len(b) > 1 && (b[1] == 0 || b[1] > 4) {
		return No
	}
	if len(b) < 2 {
		return Maybe
	}
	k := 2 + int(b[1])
	if len(b) > 2 && b[2]&0x80 != 0 {
		return No
	}
	if len(b) < k+1 {
		return Maybe
	}
	op := b[k]
	if !ldapOf(dir, op) {
		return No
	}
	_, oat, on, need, ok := berTag(b[k:])
	switch {
	case !ok:
		return No
	case need:
		return Maybe
	case k+oat+on > n || on == 0 && op != ldapUnbind:
		return No
	}
	if op == ldapUnbind && (on != 0 || k+oat != n) {
		return No
	}
	return Yes
}

// ldapOf reports whether an operation is one that an end of that direction says.
func ldapOf(dir wire.Dir, op uint8) bool {
	switch op {
	case ldapBind, ldapUnbind, ldapSearch, ldapModify, ldapAdd, ldapDelete, ldapModDN, ldapCompare, ldapAbandon, ldapExtended:
		return dir == wire.ToServer
	case ldapBindDone, ldapEntry, ldapSearchDone, ldapModifyDone, ldapAddDone, ldapDeleteDone, ldapModDNDone, ldapCompareDone, ldapReference, ldapExtendedDone, ldapIntermediate:
		return dir == wire.ToClient
	}
	return false
}
