package dissect

import (
	"bytes"
	"strconv"

	"weir/wire"
)

// content takes bytes of a mail: after DATA up to the line with a dot alone, after BDAT as many as were announced.
func (d *smtp) content(b []byte, last bool, emit func(*Message)) (n int) {
	if d.mode == smtpChunk && len(b) > d.left {
		b = b[:d.left]
	}
	chunkEnd := d.mode == smtpChunk && len(b) == d.left
	n, whole := cutLine(b, mailLine, last || chunkEnd)
	if n == 0 {
		return 0
	}
	line := b[:n]
	bol := d.bol
	t := d.tellerOf(&d.unit[smtpMailUnit], wire.ToServer, d.tx, emit)
	if !d.open {
		d.open, d.bare, d.crlf = true, false, false
		if d.mail == nil {
			d.mail = new(mime)
		}
		d.mail.begin(smtpMail, &smtpNoteDeep)
	}
	eol := line[n-1] == '\n'
	if d.mode == smtpChunk {
		d.left -= n
		d.bol = eol
		d.mail.line(t, line, bol, whole && eol)
		if d.left == 0 {
			d.mode = smtpCommands
			if d.final {
				d.mailEnd(true, emit)
			} else {
				t.flush(false, false)
			}
		}
		return n
	}
	d.bol = eol
	bare := eol && !bytes.HasSuffix(line, []byte("\r\n"))
	if bol && line[0] == '.' {
		if eol && len(bytes.TrimRight(line, "\r\n")) == 1 {
			if d.crlf && (bare || d.bare) {
				t.note(smtpNoteBare)
			}
			d.mode = smtpCommands
			d.mailEnd(true, emit)
			d.asked(smtpDataEnd)
			return n
		}
		line = line[1:]
	}
	d.bare, d.crlf = bare, d.crlf || eol && !bare
	if len(line) > 0 {
		d.mail.line(t, line, bol, eol)
	}
	return n
}

// mailEnd ends the mail in hand.
func (d *smtp) mailEnd(whole bool, emit func(*Message)) {
	u := &d.unit[smtpMailUnit]
	t := d.tellerOf(u, wire.ToServer, d.tx, emit)
	d.mail.end(t, whole)
	t.flush(true, false)
	*u = unit{}
	d.open = false
}

// chunk reads the arguments of BDAT.
func (d *smtp) chunk(args []byte) smtpKind {
	size, rest := cutWord(args)
	n, err := strconv.ParseInt(string(size), 10, 63)
	if err != nil || n < 0 {
		return smtpOther
	}
	d.final = foldEqual(bytes.TrimSpace(rest), "last")
	d.left = int(n)
	if n > 0 {
		d.mode = smtpChunk
		if !d.open {
			d.bol = true
		}
	}
	if d.final {
		return smtpDataEnd
	}
	return smtpOther
}
