package weir_test

import (
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"

	"weir/flow"
)

// zeekLogs are the logs that are compared: what type of event a row is, the usual one first, and which fields hold the same. Logs whose event Weir does not have
// are left out, and logs that are not here: they have no counterpart (weird, analyzer) or stand in another's (conn's service).
var zeekLogs = map[string]struct {
	event  string
	fields []sameField
}{
	"conn": {"flow", []sameField{
		{"id.orig_h", "src_ip", nil},
		{"id.resp_h", "dest_ip", nil},
		{"proto", "proto", zeekProto},
		{"orig_pkts", "flow.pkts_toserver", nil},
		{"resp_pkts", "flow.pkts_toclient", nil},
	}},
	"http": {"http", []sameField{
		{"id.orig_h", "src_ip", nil},
		{"trans_depth", "tx_id", nil},
		{"method", "http.http_method", nil},
		{"uri", "http.url", unescaped},
		{"host", "http.hostname", withoutPort},
		{"referrer", "http.http_refer", nil},
		{"user_agent", "http.http_user_agent", nil},
		{"status_code", "http.status", notZero},
	}},
	"dns": {"dns", []sameField{
		{"id.orig_h", "conn.src_ip", nil},
		{"proto", "proto", strings.ToLower},
		{"trans_id", "dns.id", nil},
		{"query", "dns.queries.rrname", bareName},
		{"qtype_name", "dns.queries.rrtype", zeekType},
		{"rcode_name", "answer.dns.rcode", nil},
		{"opcode", "dns.opcode", nil},
		{"AA", "dns.aa", trueOnly},
		{"TC", "dns.tc", trueOnly},
		{"RD", "dns.rd", trueOnly},
		{"RA", "dns.ra", trueOnly},
		{"answers", "dns.answers.rdata", zeekAnswer},
		{"TTLs", "dns.answers.ttl", plainNumber},
	}},
	"ssl": {"tls dtls quic", []sameField{
		{"id.orig_h", "src_ip", nil},
		{"version", "tls.version dtls.version quic.tls_version", tlsVersionText},
		{"cipher", "tls.cipher dtls.cipher quic.cipher", nil},
		{"server_name", "tls.sni dtls.sni quic.sni", nil},
		{"resumed", "tls.session_resumed", trueOnly},
		{"last_alert", "tls.alert", nil},
		{"next_protocol", "tls.server_alpns", nil},
	}},
	"x509": {"tls", []sameField{
		{"certificate.serial", "tls.serial", hexDigits},
		{"certificate.subject", "tls.subject", distinguishedName},
		{"certificate.issuer", "tls.issuerdn", distinguishedName},
		{"certificate.not_valid_before", "tls.notbefore", seconds},
		{"certificate.not_valid_after", "tls.notafter", seconds},
		{"san.dns", "tls.subjectaltname", nil},
	}},
	"ssh": {"ssh", []sameField{
		{"client", "ssh.client.banner", nil},
		{"server", "ssh.server.banner", nil},
	}},
	"smtp": {"smtp", []sameField{
		{"helo", "smtp.helo", nil},
		{"mailfrom", "smtp.mail_from", mailAddress},
		{"rcptto", "smtp.rcpt_to", mailAddress},
		{"from", "email.from", nil},
		{"to", "email.to", nil},
		{"cc", "email.cc", nil},
		{"subject", "email.subject", nil},
		{"date", "email.date", nil},
		{"msg_id", "email.message_id", nil},
		{"tls", "smtp.tls", trueOnly},
	}},
	"ftp": {"ftp", []sameField{
		{"command", "ftp.command", nil},
		{"reply_code", "ftp.completion_code", nil},
	}},
	"mysql": {"mysql", []sameField{
		{"cmd", "mysql.command", nil},
		{"arg", "mysql.query mysql.user", nil},
		{"rows", "mysql.affected_rows", notZero},
	}},
	"redis": {"redis", []sameField{
		{"cmd.name", "redis.command", strings.ToUpper},
		{"cmd.key", "redis.key", nil},
	}},
	"sip": {"sip", []sameField{
		{"method", "sip.method", nil},
		{"uri", "sip.uri", nil},
		{"status_code", "sip.code", nil},
		{"status_msg", "sip.reason", nil},
	}},
	"dhcp": {"dhcp", []sameField{
		{"mac", "dhcp.client_mac", nil},
		{"host_name", "dhcp.hostname", nil},
		{"assigned_addr", "dhcp.assigned_ip", nil},
	}},
	"kerberos": {"krb5", []sameField{
		{"client", "krb5.cname", zeekPrincipal},
		{"service", "krb5.sname", nil},
		{"error_msg", "krb5.error_code", nil},
	}},
	"ldap": {"ldap", []sameField{
		{"message_id", "ldap.request.message_id", nil},
	}},
	"quic": {"quic", []sameField{
		{"version", "quic.version", nil},
		{"server_name", "quic.sni", nil},
		{"client_protocol", "quic.client_alpns", nil},
	}},
	"modbus": {"modbus", []sameField{
		{"tid", "modbus.transaction_id", nil},
		{"unit", "modbus.unit_id", nil},
	}},
	"socks": {"socks", []sameField{
		{"version", "socks.version", nil},
		{"request.name", "socks.host", nil},
		{"request_p", "socks.port", nil},
	}},
	"syslog": {"syslog", []sameField{
		{"message", "syslog.message", nil},
	}},
	"radius": {"radius", []sameField{
		{"username", "radius.username", nil},
	}},
	"rdp": {"rdp", []sameField{
		{"cookie", "rdp.cookie", nil},
		{"client_name", "rdp.client.client_name", nil},
	}},
	"rfb": {"vnc", []sameField{
		{"desktop_name", "vnc.framebuffer.name", nil},
		{"width", "vnc.framebuffer.width", nil},
	}},
}

// TestConformanceZeek compares rows of Zeek's logs with Weir's events of the same flow, field by field.
func TestConformanceZeek(t *testing.T) {
	dir := corpus(t)
	services := neutralNames(t, dir, "zeek")
	s := newFieldScore()
	var logs []*zeekLog
	var plain []playing
	eachLine(t, dir+"/events/zeek_logs.jsonl", func(line []byte) {
		l := &zeekLog{}
		if err := json.Unmarshal(line, l); err != nil {
			t.Fatal(err)
		}
		event, _, _ := strings.Cut(zeekLogs[l.Log].event, " ")
		if l.Custom || !l.Single || !everyEvent()[event] {
			return
		}
		p := playing{pcap: l.Pcap, mode: flow.ChecksumAuto}
		if strings.Contains(l.Command, " -C") {
			p.mode = flow.ChecksumIgnore
		}
		logs, plain = append(logs, l), append(plain, p)
	})
	runs := playAll(t, dir, plain)
	for i, l := range logs {
		l.compare(t, s, services, seenFlows(t, runs[plain[i]].events))
	}
	s.tell(t, "zeek")
}

type zeekLog struct {
	Pcap, Log, Command string
	Single             bool `json:"single_run"`
	Custom             bool `json:"custom_script"`
	Rows               []map[string]any
}

// compare compares the rows with events, each event with one row.
func (l *zeekLog) compare(t *testing.T, s *fieldScore, services map[string]string, flows []*seenFlow) {
	m := zeekLogs[l.Log]
	used := map[string]bool{}
	for _, row := range l.Rows {
		if l.Log == "x509" && row["host_cert"] != true {
			continue // Weir tells of the server's own
		}
		mine := flows
		if ends, ok := zeekEnds(row); ok {
			mine = between(flows, ends)
			if row["proto"] == nil && len(mine) == 0 { // most logs do not say
				ends.proto = 17
				mine = between(flows, ends)
			}
		}
		var events []map[string]any
		for _, f := range mine {
			var list []map[string]any
			for _, typ := range strings.Fields(m.event) {
				list = append(list, f.events[typ]...)
			}
			if l.Log == "dns" {
				list = dnsExchanges(list, f.flow)
			}
			for _, ev := range list {
				if !used[eventKey(ev)] {
					events = append(events, ev)
				}
			}
		}
		var ours []map[string]any
		if at := best(m.fields, row, events); at >= 0 {
			ours = events[at : at+1]
			used[eventKey(ours[0])] = true
		}
		s.compare(t, l.Pcap+" "+l.Log, prefixed(l.Log, m.fields), map[string]any{l.Log: row}, ours)
		if l.Log == "conn" {
			l.service(t, s, services, row, mine)
		}
	}
}

// service compares the names of a connection: the right name is enough where Zeek gives several.
func (l *zeekLog) service(t *testing.T, s *fieldScore, services map[string]string, row map[string]any, flows []*seenFlow) {
	text, _ := row["service"].(string)
	var want, got []string
	for _, label := range strings.Split(text, ",") {
		if name := services[label]; everyName()[name] {
			want = append(want, name)
		}
	}
	for _, f := range flows {
		got = append(got, f.names...)
	}
	if len(want) > 0 {
		ok := slices.ContainsFunc(want, func(n string) bool { return slices.Contains(got, n) })
		s.count(t, l.Pcap+" conn", "conn.service", ok, got, want)
	}
}

// prefixed puts a log's name before their paths, so that counts are told apart.
func prefixed(log string, fields []sameField) []sameField {
	out := slices.Clone(fields)
	for i := range out {
		out[i].theirs = log + "." + out[i].theirs
	}
	return out
}

func eventKey(ev map[string]any) string {
	raw, _ := json.Marshal([]any{ev["flow_id"], ev["tx_id"], ev["event_type"], ev["time"], ev["pcap_cnt"]})
	return string(raw)
}

// zeekEnds are the ends that a row names; of TCP if it does not say.
func zeekEnds(row map[string]any) (flowEnds, bool) {
	proto := uint8(6)
	text, _ := row["proto"].(string)
	switch n, known := row["ip_proto"].(float64); {
	case known:
		proto = uint8(n)
	case text == "udp":
		proto = 17
	}
	a, _ := row["id.orig_h"].(string)
	b, _ := row["id.resp_h"].(string)
	return endsOf(proto, a, row["id.orig_p"], b, row["id.resp_p"])
}

// dnsExchanges puts a query and its answer together, as a row of Zeek's does: the answer's fields, and the
// answer by itself.
func dnsExchanges(list []map[string]any, conn map[string]any) (out []map[string]any) {
	byTx := map[any]map[string]any{}
	for _, ev := range list {
		key, _ := json.Marshal([]any{ev["flow_id"], ev["tx_id"]})
		x := byTx[string(key)]
		if x == nil {
			x = map[string]any{"conn": conn}
			byTx[string(key)] = x
			out = append(out, x)
		}
		if fieldAt(ev, "dns.type") == "response" {
			x["answer"] = ev
			maps.Copy(x, ev)
			continue
		}
		if x["answer"] == nil {
			maps.Copy(x, ev)
		}
	}
	return out
}

// unescaped undoes percent escapes, as Zeek does.
func unescaped(s string) string {
	if u, err := url.PathUnescape(s); err == nil {
		return u
	}
	return s
}

func zeekType(s string) string {
	if s == "*" {
		return "ANY"
	}
	return s
}

func notZero(s string) string {
	if s == "0" {
		return ""
	}
	return s
}

func zeekProto(s string) string {
	if s = strings.ToLower(s); s == "ipv6-icmp" {
		return "icmp"
	}
	return s
}

// trueOnly takes false for nothing said.
func trueOnly(s string) string {
	if s = strings.ToLower(s); s == "true" {
		return s
	}
	return ""
}

// zeekAnswer writes an answer without what Zeek puts before it ("TXT 12 text") and the root's dot.
func zeekAnswer(s string) string {
	if rest, ok := strings.CutPrefix(s, "TXT "); ok {
		_, s, _ = strings.Cut(rest, " ")
	}
	return bareName(s)
}

// zeekPrincipal leaves out the realm.
func zeekPrincipal(s string) string {
	name, _, _ := strings.Cut(s, "/")
	return name
}

func mailAddress(s string) string { return strings.Trim(s, "<>") }
