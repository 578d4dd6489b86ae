package dissect

import "strconv"

// appendCipher writes the IANA name of a cipher suite; its number if it has none here.
func appendCipher(b []byte, v uint16) []byte {
	if name := cipherNames[v]; name != "" {
		return append(append(b, "TLS_"...), name...)
	}
	return appendHex(b, v)
}

// appendAlert writes the name of an alert; its number if it has none.
func appendAlert(b []byte, v uint8) []byte {
	if name := alertNames[v]; name != "" {
		return append(b, name...)
	}
	return strconv.AppendUint(b, uint64(v), 10)
}

// alertNames are the names of alert descriptions (IANA TLS Alerts).
var alertNames = [256]string{
	0:   "close_notify",
	10:  "unexpected_message",
	20:  "bad_record_mac",
	21:  "decryption_failed",
	22:  "record_overflow",
	30:  "decompression_failure",
	40:  "handshake_failure",
	41:  "no_certificate",
	42:  "bad_certificate",
	43:  "unsupported_certificate",
	44:  "certificate_revoked",
	45:  "certificate_expired",
	46:  "certificate_unknown",
	47:  "illegal_parameter",
	48:  "unknown_ca",
	49:  "access_denied",
	50:  "decode_error",
	51:  "decrypt_error",
	60:  "export_restriction",
	70:  "protocol_version",
	71:  "insufficient_security",
	80:  "internal_error",
	86:  "inappropriate_fallback",
	90:  "user_canceled",
	100: "no_renegotiation",
	109: "missing_extension",
	110: "unsupported_extension",
	111: "certificate_unobtainable",
	112: "unrecognized_name",
	113: "bad_certificate_status_response",
	114: "bad_certificate_hash_value",
	115: "unknown_psk_identity",
	116: "certificate_required",
	120: "no_application_protocol",
	121: "ech_required",
}
