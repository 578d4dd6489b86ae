package alert

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// dnsVersion is the version of the members of the object "dns", from Suricata's EVE.
const dnsVersion = 3

// dnsFlags are the bits of a DNS header that EVE tells one by one, where they are set.
var dnsFlags = [...]struct {
	name string
	bit  uint64
}{{"qr", 1 << 15}, {"aa", 1 << 10}, {"tc", 1 << 9}, {"rd", 1 << 8}, {"ra", 1 << 7}, {"z", 1 << 6}}

// dnsParts are the members of the objects that EVE has for records whose text is several values.
var dnsParts = map[string][]string{
	"SOA": {"mname", "rname", "serial", "refresh", "retry", "expire", "minimum"},
	"SRV": {"priority", "weight", "port", "name"},
}

// dns writes the members of the object "dns". EVE tells some things of a message twice: flags one by one, what a SOA or SRV record says
// member by member, and the answers by type.
func (o *object) dns(fields []KV) {
	version, typ, answer, flags, grouped := false, false, false, uint64(0), false
	for i := range fields {
		switch f := &fields[i]; f.Key {
		case "version":
			version = true
		case "type":
			typ = true
		case "rcode", "answers":
			answer = true
		case "flags":
			text, _ := f.Value.(string)
			flags, _ = strconv.ParseUint(text, 16, 16)
		default:
			grouped = grouped || strings.HasPrefix(f.Key, "grouped/")
		}
	}
	if !version {
		o.uint("version", dnsVersion)
	}
	switch {
	case typ:
	case answer:
		o.str("type", "response")
	default:
		o.str("type", "request")
	}
	if !grouped { // else it was read from a line that has it all
		fields = dnsTwice(fields, flags)
	}
	o.members(fields, "", 0)
}

// dnsTwice returns fields with what EVE tells twice.
func dnsTwice(fields []KV, flags uint64) []KV {
	out := make([]KV, 0, len(fields)+len(dnsFlags))
	for i := range fields {
		f := fields[i]
		if rows, ok := f.Value.([][]KV); ok {
			f.Value = dnsRows(rows)
		}
		out = append(out, f)
		if f.Key != "flags" {
			continue
		}
		for _, b := range dnsFlags {
			if flags&b.bit != 0 && !has(fields, b.name) {
				out = append(out, KV{b.name, true})
			}
		}
	}
	return dnsGrouped(out)
}

// dnsRows returns records with what SOA and SRV records say member by member.
func dnsRows(rows [][]KV) [][]KV {
	for i, row := range rows {
		typ, text := rowText(row, "rrtype"), rowText(row, "rdata")
		names, words := dnsParts[typ], strings.Fields(text)
		object := strings.ToLower(typ) + "/"
		if len(names) == 0 || len(words) != len(names) || has(row, object+names[0]) {
			continue
		}
		row = slices.Clip(row)
		for k, name := range names {
			var v any = words[k]
			if isNumber(words[k]) {
				v = json.Number(words[k])
			}
			row = append(row, KV{object + name, v})
		}
		rows = slices.Clone(rows)
		rows[i] = row
	}
	return rows
}

// dnsGrouped returns fields with what the answers say by their type.
func dnsGrouped(fields []KV) []KV {
	at := len(fields)
	for i := range fields {
		rows, ok := fields[i].Value.([][]KV)
		if !ok || fields[i].Key != "answers" {
			continue
		}
		for _, row := range rows {
			typ := rowText(row, "rrtype")
			k := slices.IndexFunc(row, func(kv KV) bool { return kv.Key == "rdata" })
			if typ == "" || k < 0 {
				continue
			}
			key := "grouped/" + typ
			g := at + slices.IndexFunc(fields[at:], func(kv KV) bool { return kv.Key == key })
			if g < at {
				g = len(fields)
				fields = append(fields, KV{key, []string(nil)})
			}
			list, _ := fields[g].Value.([]string)
			fields[g].Value = append(list, rowText(row, "rdata"))
		}
	}
	return fields
}

// rowText returns a text in a row; "" if there is none.
func rowText(row []KV, key string) string {
	for i := range row {
		if row[i].Key == key {
			s, _ := row[i].Value.(string)
			return s
		}
	}
	return ""
}
