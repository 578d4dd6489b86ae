package dissect

import "strconv"

// Types of records that are looked into; the IANA registry "DNS Parameters".
const (
	typeA     = 1
	typeNS    = 2
	typeMD    = 3
	typeMF    = 4
	typeCNAME = 5
	typeSOA   = 6
	typeMB    = 7
	typeMG    = 8
	typeMR    = 9
	typeNULL  = 10
	typePTR   = 12
	typeHINFO = 13
	typeMINFO = 14
	typeMX    = 15
	typeTXT   = 16
	typeRP    = 17
	typeAFSDB = 18
	typeRT    = 21
	typeAAAA  = 28
	typeSRV   = 33
	typeKX    = 36
	typeDNAME = 39
	typeOPT   = 41
	typeSPF   = 99
	typeIXFR  = 251
	typeAXFR  = 252
	typeURI   = 256
	typeCAA   = 257
)

// dnsTypes are the names of the types; the IANA registry "DNS Parameters".
var dnsTypes = [...]string{
	1: "A", 2: "NS", 3: "MD", 4: "MF", 5: "CNAME", 6: "SOA", 7: "MB", 8: "MG", 9: "MR", 10: "NULL", 11: "WKS", 12: "PTR",
	13: "HINFO", 14: "MINFO", 15: "MX", 16: "TXT", 17: "RP", 18: "AFSDB", 19: "X25", 20: "ISDN", 21: "RT", 22: "NSAP",
	23: "NSAP-PTR", 24: "SIG", 25: "KEY", 26: "PX", 27: "GPOS", 28: "AAAA", 29: "LOC", 30: "NXT", 31: "EID", 32: "NIMLOC",
	33: "SRV", 34: "ATMA", 35: "NAPTR", 36: "KX", 37: "CERT", 38: "A6", 39: "DNAME", 40: "SINK", 41: "OPT", 42: "APL",
	43: "DS", 44: "SSHFP", 45: "IPSECKEY", 46: "RRSIG", 47: "NSEC", 48: "DNSKEY", 49: "DHCID", 50: "NSEC3", 51: "NSEC3PARAM",
	52: "TLSA", 53: "SMIMEA", 55: "HIP", 56: "NINFO", 57: "RKEY", 58: "TALINK", 59: "CDS", 60: "CDNSKEY", 61: "OPENPGPKEY",
	62: "CSYNC", 63: "ZONEMD", 64: "SVCB", 65: "HTTPS", 66: "DSYNC", 99: "SPF", 100: "UINFO", 101: "UID", 102: "GID",
	103: "UNSPEC", 104: "NID", 105: "L32", 106: "L64", 107: "LP", 108: "EUI48", 109: "EUI64", 128: "NXNAME", 249: "TKEY",
	250: "TSIG", 251: "IXFR", 252: "AXFR", 253: "MAILB", 254: "MAILA", 255: "ANY", 256: "URI", 257: "CAA", 258: "AVC",
	259: "DOA", 260: "AMTRELAY", 261: "RESINFO", 262: "WALLET", 263: "CLA", 264: "IPN",
}

// dnsTypeName returns the name of a type, "" if it has none.
func dnsTypeName(typ uint16) string {
	switch {
	case int(typ) < len(dnsTypes):
		return dnsTypes[typ]
	case typ == 32768:
		return "TA"
	case typ == 32769:
		return "DLV"
	}
	return ""
}

// appendDNSType appends the name of a type, TYPE and its number if it has none (RFC 3597).
func appendDNSType(b []byte, typ uint16) []byte {
	if s := dnsTypeName(typ); s != "" {
		return append(b, s...)
	}
	return strconv.AppendUint(append(b, "TYPE"...), uint64(typ), 10)
}

// dnsRcodes are the names of the response codes; the IANA registry "DNS Parameters".
var dnsRcodes = [...]string{
	"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET", "NXRRSET", "NOTAUTH", "NOTZONE",
	"DSOTYPENI", 16: "BADVERS", 17: "BADKEY", 18: "BADTIME", 19: "BADMODE", 20: "BADNAME", 21: "BADALG", 22: "BADTRUNC", 23: "BADCOOKIE",
}

// appendRcode appends the name of a response code, RCODE and its number if it has none.
func appendRcode(b []byte, rcode int) []byte {
	if rcode < len(dnsRcodes) && dnsRcodes[rcode] != "" {
		return append(b, dnsRcodes[rcode]...)
	}
	return strconv.AppendInt(append(b, "RCODE"...), int64(rcode), 10)
}
