package weir_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"weir/flow"
)

// arkimeFields are the fields of a session that are compared with Weir's events of the flow: the event's type is the first word of its
// path. Those of events that Weir does not have are left out. A session has each value once, so do we.
var arkimeFields = map[string][]sameField{
	"flow": {
		{"source.ip", "src_ip", nil},
		{"destination.ip", "dest_ip", nil},
		{"source.port", "src_port", notZero},
		{"destination.port", "dest_port", notZero},
		{"source.packets", "flow.pkts_toserver", nil},
		{"destination.packets", "flow.pkts_toclient", nil},
		{"source.bytes", "flow.bytes_toserver", nil},
		{"destination.bytes", "flow.bytes_toclient", nil},
		{"network.community_id", "community_id", nil},
		{"network.vlan.id", "vlan", nil},
		{"icmp.type", "icmp_type response_icmp_type", nil},
		{"icmp.code", "icmp_code response_icmp_code", nil},
	},
	"http": {
		{"http.host", "http.hostname", withoutPort},
		{"http.method", "http.http_method", nil},
		{"http.path", "http.url", urlPath},
		{"http.statuscode", "http.status", nil},
		{"http.useragent", "http.http_user_agent", nil},
		{"http.clientVersion", "http.protocol", httpVersion},
		{"http.request-referer", "http.http_refer", nil},
		{"http.response-location", "http.redirect", nil},
	},
	"dns": {
		{"dns.queryHost", "dns.queries.rrname", bareName},
		{"dns.qt", "dns.queries.rrtype", nil},
		{"dns.status", "dns.rcode", arkimeRcode},
		{"dns.answers.ip", "dns.answers.rdata dns.authorities.rdata dns.additionals.rdata", addressOnly},
		{"dns.answers.type", "dns.answers.rrtype dns.authorities.rrtype dns.additionals.rrtype", notOPT},
	},
	"tls": {
		{"tls.ja3", "tls.ja3.hash", nil},
		{"tls.ja3s", "tls.ja3s.hash", nil},
		{"tls.ja4", "tls.ja4", nil},
		{"tls.version", "tls.version", tlsVersionText},
		{"tls.cipher", "tls.cipher", nil},
	},
	"ssh": {
		{"ssh.hassh", "ssh.client.hassh.hash", nil},
		{"ssh.hasshServer", "ssh.server.hassh.hash", nil},
	},
	"smtp": {
		{"email.smtpHello", "smtp.helo", strings.ToLower},
		{"email.subject", "email.subject", nil},
		{"email.src", "smtp.mail_from", mailAddress},
		{"email.dst", "smtp.rcpt_to", mailAddress},
		{"email.filename", "email.attachment", nil},
	},
	"mqtt": {
		{"mqtt.clientId", "mqtt.connect.client_id", nil},
		{"mqtt.topic", "mqtt.publish.topic mqtt.subscribe.topics.topic mqtt.unsubscribe.topics", nil},
	},
	"mysql": {{"mysql.user", "mysql.user", nil}, {"mysql.version", "mysql.version", nil}},
	"pgsql": {{"postgresql.user", "pgsql.request.startup_parameters.user", nil}, {"postgresql.db", "pgsql.request.startup_parameters.optional_parameters.database", nil}},
	"sip": {
		{"sip.method", "sip.method", nil},
		{"sip.callid", "sip.call_id", nil},
		{"sip.statuscode", "sip.code", nil},
		{"sip.from", "sip.from", nil},
		{"sip.to", "sip.to", nil},
	},
	"snmp":   {{"snmp.version", "snmp.version", nil}},
	"ntp":    {{"ntp.version", "ntp.version", nil}, {"ntp.mode", "ntp.mode", nil}},
	"modbus": {{"modbus.unitid", "modbus.unit_id", nil}, {"modbus.transactionid", "modbus.transaction_id", nil}},
	"ldap":   {{"ldap.bindname", "ldap.request.bind_request.name", notRoot}},
	"socks":  {{"socks.host", "socks.host", nil}, {"socks.port", "socks.port", nil}, {"socks.user", "socks.user", nil}},
	"dhcp":   {{"dhcp.type", "dhcp.dhcp_type", strings.ToLower}},
	"quic":   {{"quic.host", "quic.sni", nil}, {"quic.useragent", "quic.ua", nil}, {"quic.version", "quic.version", nil}},
	"tftp":   {{"tftp.filename", "tftp.file", nil}},
	"ftp":    {{"ftp.command", "ftp.command", nil}},
	"irc":    {{"irc.nick", "irc.nick", nil}, {"irc.channel", "irc.channel", nil}},
	"radius": {{"radius.user", "radius.username", nil}},
	"smb":    {{"smb.share", "smb.share", nil}, {"smb.filename", "smb.filename", nil}, {"smb.dialect", "smb.dialect", smbDialect}},
	"krb5": {
		{"krb5.cname", "krb5.cname", nil},
		{"krb5.realm", "krb5.realm", nil},
		{"krb5.sname", "krb5.sname", nil},
	},
}

// arkimeCert are fields of the first certificate that a server shows.
var arkimeCert = []sameField{
	{"cert.hash", "tls.fingerprint", nil},
	{"cert.serial", "tls.serial", hexDigits},
	{"cert.notBefore", "tls.notbefore", seconds},
	{"cert.notAfter", "tls.notafter", seconds},
	{"cert.alt", "tls.subjectaltname", strings.ToLower},
}

// TestConformanceArkime compares Arkime's sessions with Weir's events of the same flow, field by field.
func TestConformanceArkime(t *testing.T) {
	dir := corpus(t)
	names := neutralNames(t, dir, "arkime")
	var sessions []map[string]any
	var plain []playing
	eachLine(t, dir+"/events/arkime_sessions.jsonl", func(line []byte) {
		o := map[string]any{}
		if err := json.Unmarshal(line, &o); err != nil {
			t.Fatal(err)
		}
		sessions = append(sessions, o)
		plain = append(plain, playing{pcap: fmt.Sprint(o["pcap"]), mode: flow.ChecksumIgnore})
	})
	runs := playAll(t, dir, plain)
	seen := map[string][]*seenFlow{}
	sharing := map[string]int{} // sessions between the same ends
	for i, o := range sessions {
		ends, _ := sessionEnds(o)
		sharing[fmt.Sprint(plain[i].pcap, ends)]++
	}
	used := map[*seenFlow]bool{}
	s := newFieldScore()
	for i, o := range sessions {
		pcap := plain[i].pcap
		if seen[pcap] == nil {
			seen[pcap] = seenFlows(t, runs[plain[i]].events)
		}
		ends, ok := sessionEnds(o)
		if !ok {
			continue // no IP
		}
		list := between(seen[pcap], ends)
		f := nearestFlow(list, used, o)
		switch {
		case f == nil:
			f = &seenFlow{}
		case sharing[fmt.Sprint(pcap, ends)] == 1:
			f = oneFlow(f, list) // it does not time out as early there
		}
		used[f] = true
		compareSession(t, s, fmt.Sprint(pcap, " ", ends.proto, " ", ends.a, " ", ends.b), o, f, names)
	}
	s.tell(t, "arkime")
}

func sessionEnds(o map[string]any) (flowEnds, bool) {
	proto, _ := o["ipProtocol"].(float64)
	source, _ := o["source"].(map[string]any)
	dest, _ := o["destination"].(map[string]any)
	return endsOf(uint8(proto), fmt.Sprint(source["ip"]), source["port"], fmt.Sprint(dest["ip"]), dest["port"])
}

// nearestFlow returns the flow with a session's ends that fits best, of those that no session has yet if there are any.
func nearestFlow(list []*seenFlow, used map[*seenFlow]bool, session map[string]any) *seenFlow {
	var free []*seenFlow
	var events []map[string]any
	for _, f := range list {
		if !used[f] {
			free = append(free, f)
		}
	}
	if len(free) == 0 {
		free = list
	}
	for _, f := range free {
		events = append(events, f.flow)
	}
	if at := best(arkimeFields["flow"], session, events); at >= 0 {
		return free[at]
	}
	return nil
}

// oneFlow takes several flows for one that begins as first does.
func oneFlow(first *seenFlow, list []*seenFlow) *seenFlow {
	if len(list) < 2 || first.flow == nil {
		return first
	}
	sum := map[string]any{}
	all := &seenFlow{ends: first.ends, events: map[string][]map[string]any{}, flow: maps.Clone(first.flow)}
	for _, f := range list {
		turned := f.flow["src_ip"] != first.flow["src_ip"]
		for key, v := range f.flow["flow"].(map[string]any) {
			n, ok := v.(float64)
			if turned {
				key = strings.NewReplacer("toserver", "toclient", "toclient", "toserver").Replace(key)
			}
			if have, _ := sum[key].(float64); ok {
				sum[key] = have + n
			}
		}
		for typ, list := range f.events {
			all.events[typ] = append(all.events[typ], list...)
		}
		all.names = append(all.names, f.names...)
	}
	all.flow["flow"] = sum
	all.events["flow"] = []map[string]any{all.flow}
	return all
}

func compareSession(t *testing.T, s *fieldScore, where string, session map[string]any, f *seenFlow, names map[string]string) {
	labels := textsAt(session, "protocol")
	for _, typ := range slices.Sorted(maps.Keys(arkimeFields)) {
		// Arkime tells hosts of TLS as hosts of HTTP, and hellos inside DTLS and QUIC as those of TLS
		if everyEvent()[typ] && (typ != "http" || slices.Contains(labels, "http")) && (typ != "tls" || slices.Contains(labels, "tls")) {
			s.compare(t, where, arkimeFields[typ], session, f.events[typ])
		}
	}
	if certs, _ := session["cert"].([]any); len(certs) > 0 && slices.Contains(f.names, "tls") {
		s.compare(t, where, arkimeCert, map[string]any{"cert": certs[leafOf(certs)]}, f.events["tls"])
	}
	for _, label := range labels {
		name := names[label]
		if name == "icmp" && f.ends.proto == 58 {
			name = "icmpv6"
		}
		if everyName()[name] {
			s.count(t, where, "protocol", slices.Contains(f.names, name), f.names, []string{name})
		}
	}
}

// leafOf returns the index of the server's own certificate: no other one's issuer is called like its subject.
func leafOf(certs []any) int {
	for i, c := range certs {
		subject := textsAt(c, "subjectCN")
		if !slices.ContainsFunc(certs, func(o any) bool {
			return fmt.Sprint(o) != fmt.Sprint(c) && slices.Equal(textsAt(o, "issuerCN"), subject)
		}) {
			return i
		}
	}
	return 0
}

// arkimeRcode writes Arkime's name of a response code as others do.
func arkimeRcode(s string) string {
	if s == "NOTIMPL" {
		return "NOTIMP"
	}
	return s
}

// notRoot leaves out the empty name.
func notRoot(s string) string {
	if s == "<ROOT>" {
		return ""
	}
	return s
}

// smbDialect writes a dialect as EVE does, "3.11". What a server answers while more than one is open, is none.
func smbDialect(s string) string {
	major, minor, _ := strings.Cut(strings.TrimPrefix(s, "SMB "), ".")
	if minor = strings.ReplaceAll(minor, ".", ""); minor == "FF" {
		return ""
	}
	return major + "." + minor
}

// notOPT leaves out the record of EDNS, which Arkime does not list.
func notOPT(s string) string {
	if s == "OPT" {
		return ""
	}
	return s
}

// urlPath leaves the path of a request target.
func urlPath(s string) string {
	s, _, _ = strings.Cut(s, "?")
	if _, rest, ok := strings.Cut(s, "://"); ok {
		_, path, _ := strings.Cut(rest, "/")
		s = "/" + path
	}
	return s
}

// addressOnly leaves out what is no address.
func addressOnly(s string) string {
	if isAddr(s) {
		return s
	}
	return ""
}
