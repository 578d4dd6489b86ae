package dissect

import (
	"strings"

	"weir/wire"
)

// FTPData is a connection for data that a control connection of FTP has announced.
var FTPData = Protocol{
	Name: "ftp-data",
	About: "Connections for data of FTP. No content tells them: they are known by address and port from what was said on the control connection, " +
		"for a minute. What a connection transfers is one exchange with an event `ftp_data`.",
	Event:   "ftp_data",
	Carrier: Stream,
	Probe:   func(wire.Dir, []byte) Guess { return No },
	Expected: func(dir wire.Dir, head []byte) Guess {
		if probeTLS(dir, head) == Yes {
			return No
		}
		return Yes
	},
	Fields: []FieldSpec{
		ftpDataName:    {Name: "ftp-data.filename", Doc: "argument of the command that asked for the transfer", EVE: "filename", File: FileName},
		ftpDataCommand: {Name: "ftp-data.command", Doc: "the command", EVE: "command", Derived: true},
		ftpDataBody:    {Name: "ftp-data.body", Doc: "what is transferred", File: File},
	},
	New: newFTPData,
}

// Fields of FTPData, in the order of its Fields.
const (
	ftpDataName Field = iota
	ftpDataCommand
	ftpDataBody
)

// ftpData parses one flow.
type ftpData struct {
	p             *Protocol
	env           *Env
	side          [2]unit
	off           [2]int64
	value         [2]uint32
	command, name string
	lastID        uint64
	told, over    bool
	closed        [2]bool
}

func newFTPData(p *Protocol, env *Env) Dissector {
	d := &ftpData{p: p, env: env}
	d.command, d.name, _ = strings.Cut(env.Announced, " ")
	return d
}

// Feed implements Dissector.
func (d *ftpData) Feed(dir wire.Dir, data []byte, emit func(*Message)) (Progress, error) {
	t := d.teller(dir, emit)
	if t.wants(ftpDataBody) && len(data) > 0 {
		if d.value[dir] == 0 {
			d.value[dir] = t.value()
		}
		t.run(ftpDataBody, d.value[dir], d.off[dir], data)
	}
	d.off[dir] += int64(len(data))
	t.flush(false, false)
	return Progress{Used: len(data)}, nil
}

// teller returns the teller of the message of dir: there is one.
func (d *ftpData) teller(dir wire.Dir, emit func(*Message)) *teller {
	u := &d.side[dir]
	if u.id == 0 {
		d.lastID++
		*u = unit{id: d.lastID, tx: 1}
	}
	t := d.env.teller(d.p, dir, u, emit)
	if !d.told {
		d.told = true
		if d.command != "" {
			t.addString(ftpDataCommand, d.command)
			if d.name != "" {
				t.addString(ftpDataName, d.name)
			}
		}
	}
	return t
}

// Gap implements Dissector.
func (d *ftpData) Gap(dir wire.Dir, n int, emit func(*Message)) bool {
	d.off[dir] += int64(n)
	return true
}

// Close implements Dissector.
func (d *ftpData) Close(dir wire.Dir, emit func(*Message)) {
	if d.closed[dir] {
		return
	}
	d.closed[dir] = true
	u := &d.side[dir]
	ends := d.told && !d.over && d.closed[dir.Other()]
	d.over = d.over || ends
	if u.id == 0 && !ends {
		return
	}
	t := d.teller(dir, emit)
	if v := d.value[dir]; v != 0 {
		t.part(Part{Field: ftpDataBody, Value: v, Off: d.off[dir]})
	}
	t.flush(true, ends)
}

// Rest implements Dissector.
func (d *ftpData) Rest() (Rest, bool) { return Rest{}, false }

// Size implements Dissector.
func (d *ftpData) Size() int { return 256 + len(d.name) }
