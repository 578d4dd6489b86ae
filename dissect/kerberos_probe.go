package dissect

import "weir/wire"

const maxKerberos = 1 << 20 // bytes of a message

// probeKerberos recognises a message's tag, and its version behind it.
func probeKerberos(_ wire.Dir, head []byte) Guess {
	if len(head) > 0 && krbTypes[head[0]] == "" {
		return No
	}
	_, at, n, need, ok := berTag(head)
	switch {
	case !ok:
		return No
	case need:
		return Maybe
	case n < 16 || n > maxKerberos:
		return No
	}
	b := head[at:]
	if len(b) > 0 && b[0] != 0x30 {
		return No
	}
	_, at, n, need, ok = berTag(b)
	switch {
	case !ok:
		return No
	case need:
		return Maybe
	case n < 12:
		return No
	}
	b = b[at:]
	for i, c := range b[:min(len(b), 5)] {
		if i == 0 && c != 0xa0 && c != 0xa1 || i > 0 && c != "\x00\x03\x02\x01\x05"[i] {
			return No
		}
	}
	if len(b) < 5 {
		return Maybe
	}
	return Yes
}

func probeKerberosTCP(dir wire.Dir, head []byte) Guess {
	c := wire.Cut(head)
	n := c.U32()
	if len(head) > 0 && head[0] != 0 || len(head) > 1 && head[1] > maxKerberos>>16 {
		return No
	}
	if c.Short() {
		return Maybe
	}
	if n < 16 || n > maxKerberos {
		return No
	}
	g := probeKerberos(dir, c.Rest())
	if g == Yes {
		if _, at, k, _, _ := berTag(c.Rest()); uint32(at+k) != n {
			return No
		}
	}
	return g
}

// krbTypes are the names of messages by their tags.
var krbTypes = [256]string{
	0x6a: "KRB_AS_REQ", 0x6b: "KRB_AS_REP", 0x6c: "KRB_TGS_REQ", 0x6d: "KRB_TGS_REP", 0x6e: "KRB_AP_REQ", 0x6f: "KRB_AP_REP",
	0x74: "KRB_SAFE", 0x75: "KRB_PRIV", 0x76: "KRB_CRED", 0x7e: "KRB_ERROR",
}
