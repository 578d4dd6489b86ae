package dissect

// Violations returns the notes that raise alerts, of all protocols.
func Violations() (out []Note) {
	lists := [][]Note{httpNotes[:], http2Notes[:], dnsNotes[:], tlsNotes[:], {
		ajpInclude, fcgiPHPValue, ftpNoteInjected, ftpNoteBounce, imapNoteInjection, mysqlNoteInfile, popNoteInjection, pgNoteEarly,
		smtpNoteInjection, smtpNoteBare, sshNoteReversed,
	}}
	for _, list := range lists {
		for _, n := range list {
			if n.Alert {
				out = append(out, n)
			}
		}
	}
	return out
}
