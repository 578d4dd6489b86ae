package alert

import (
	"net/netip"
	"strconv"
)

// IP protocols with a name in EVE (IANA, as /etc/protocols writes them); others are told by number.
const (
	protoICMP   = 1
	protoTCP    = 6
	protoUDP    = 17
	protoICMPv6 = 58
	protoSCTP   = 132
)

var protoNames = [256]string{
	protoICMP: "ICMP", 2: "IGMP", 4: "IPv4", protoTCP: "TCP", protoUDP: "UDP", 33: "DCCP", 41: "IPv6", 47: "GRE", 50: "ESP",
	51: "AH", protoICMPv6: "IPv6-ICMP", 89: "OSPF", 94: "IPIP", 103: "PIM", 112: "VRRP", protoSCTP: "SCTP", 136: "UDPLite",
}

// AppendEVE appends e to dst as one JSON object without a newline, in the format of Suricata's EVE, and returns the
// longer slice. Strings may hold any bytes. An error means that a value of Stats is of a type that has no form
// there; dst is then returned as it was.
func AppendEVE(dst []byte, e *Event) ([]byte, error) {
	o := object{b: append(dst, '{')}
	o.head(e)
	if e.Alert != nil {
		o.alert(e.Alert)
	}
	if e.App != nil {
		o.comma()
		o.b = append(o.b, e.App.Text...)
	}
	if e.Flow != nil {
		o.flow(e.Flow)
	}
	if e.Anomaly != nil {
		o.anomaly(e.Anomaly)
	}
	if e.Drop != nil {
		o.drop(e.Drop)
	}
	if e.File != nil {
		o.file(e.File)
	}
	if e.Stats != nil {
		o.key("stats")
		o.value(e.Stats)
	}
	o.filled("capture_file", e.Weir.CaptureFile)
	o.weir(e)
	o.close()
	if o.err != nil {
		return dst, o.err
	}
	return o.b, nil
}

// head writes what all events have.
func (o *object) head(e *Event) {
	o.time("timestamp", e.Time)
	if e.FlowID != 0 {
		o.uint("flow_id", e.FlowID)
	}
	o.filled("in_iface", e.Iface)
	o.str("event_type", e.Type)
	if len(e.VLAN) > 0 {
		o.key("vlan")
		o.b = append(o.b, '[')
		for _, id := range e.VLAN {
			o.comma()
			o.b = strconv.AppendUint(o.b, uint64(id), 10)
		}
		o.b = append(o.b, ']')
	}
	o.ends(e)
	o.filled("app_proto", e.AppProto)
	o.filled("app_proto_ts", e.AppProtoTS)
	o.filled("app_proto_tc", e.AppProtoTC)
	o.filled("app_proto_orig", e.AppProtoOrig)
	o.filled("community_id", e.CommunityID)
	if e.App != nil || e.Alert != nil || e.File != nil {
		o.uint("tx_id", e.TxID)
	}
	if e.PcapCnt != 0 {
		o.uint("pcap_cnt", e.PcapCnt)
	}
}

// ends writes addresses, ports and protocol.
func (o *object) ends(e *Event) {
	icmp := e.Proto == protoICMP || e.Proto == protoICMPv6
	ports := !icmp && (e.Proto == protoTCP || e.Proto == protoUDP || e.Proto == protoSCTP || e.Src.Port() != 0 || e.Dst.Port() != 0)
	if e.Src.IsValid() {
		o.addr("src_ip", e.Src.Addr())
		if ports {
			o.uint("src_port", uint64(e.Src.Port()))
		}
	}
	if e.Dst.IsValid() {
		o.addr("dest_ip", e.Dst.Addr())
		if ports {
			o.uint("dest_port", uint64(e.Dst.Port()))
		}
	}
	if e.Proto == 0 && !e.Src.IsValid() {
		return
	}
	o.str("proto", protoName(e.Proto))
	if e.Src.IsValid() {
		version := uint64(6)
		if e.Src.Addr().Unmap().Is4() {
			version = 4
		}
		o.uint("ip_v", version)
	}
	if icmp {
		o.uint("icmp_type", uint64(e.Src.Port()))
		o.uint("icmp_code", uint64(e.Dst.Port()))
		if f := e.Flow; f != nil && f.ICMP != nil {
			o.uint("response_icmp_type", uint64(f.ICMP.Type))
			o.uint("response_icmp_code", uint64(f.ICMP.Code))
		}
	}
}

func (o *object) addr(name string, a netip.Addr) {
	o.key(name)
	o.b = append(o.b, '"')
	o.b = a.Unmap().WithZone("").AppendTo(o.b)
	o.b = append(o.b, '"')
}

func protoName(p uint8) string {
	if s := protoNames[p]; s != "" {
		return s
	}
	return strconv.Itoa(int(p))
}

func (o *object) alert(a *Alert) {
	o.open("alert")
	o.str("action", a.Action)
	o.uint("gid", uint64(a.GID))
	o.uint("signature_id", uint64(a.SignatureID))
	o.int("rev", a.Rev)
	o.str("signature", a.Signature)
	o.str("category", a.Category)
	o.int("severity", a.Severity)
	if len(a.Metadata) > 0 {
		var room [8]string
		o.open("metadata")
		for _, k := range sorted(room[:0], a.Metadata) {
			o.anyKey(k)
			o.strings(a.Metadata[k])
		}
		o.close()
	}
	o.close()
}

func (o *object) flow(f *Flow) {
	o.open("flow")
	o.uint("pkts_toserver", f.PktsToServer)
	o.uint("pkts_toclient", f.PktsToClient)
	o.uint("bytes_toserver", f.BytesToServer)
	o.uint("bytes_toclient", f.BytesToClient)
	o.time("start", f.Start)
	o.time("end", f.End)
	o.uint("age", uint64(max(0, f.End-f.Start)/1e9)) // s
	o.str("state", f.State)
	o.str("reason", f.Reason)
	o.bool("alerted", f.Alerted)
	o.uint("tx_cnt", f.TxCount)
	o.close()
	if f.TCP != nil {
		o.tcp(f.TCP)
	}
}

// tcpFlags are the flags as EVE names them, by bit.
var tcpFlags = [...]string{"fin", "syn", "rst", "psh", "ack", "urg", "ecn", "cwr"}

func (o *object) tcp(t *TCP) {
	o.open("tcp")
	all := t.ToServer | t.ToClient
	for _, f := range []struct {
		name  string
		flags uint8
	}{{"tcp_flags", all}, {"tcp_flags_ts", t.ToServer}, {"tcp_flags_tc", t.ToClient}} {
		o.key(f.name)
		o.b = append(o.b, '"', hex[f.flags>>4], hex[f.flags&15], '"')
	}
	for i, name := range tcpFlags {
		if all>>i&1 != 0 {
			o.key(name)
			o.b = append(o.b, "true"...)
		}
	}
	o.str("state", t.State)
	o.close()
}

func (o *object) anomaly(a *Anomaly) {
	o.open("anomaly")
	o.str("type", a.Type)
	o.str("event", a.Event)
	o.filled("layer", a.Layer)
	o.filled("app_proto", a.AppProto)
	o.close()
}

// dropFlags are the flags of TCP that EVE tells of a dropped segment.
const dropFlags = 6

func (o *object) drop(d *Drop) {
	o.open("drop")
	if d.Len > 0 {
		o.uint("len", uint64(d.Len))
		o.uint("ttl", uint64(d.TTL))
	}
	if t := d.TCP; t != nil {
		o.uint("tcpseq", uint64(t.Seq))
		o.uint("tcpack", uint64(t.Ack))
		o.uint("tcpwin", uint64(t.Window))
		for i, name := range tcpFlags[:dropFlags] {
			o.bool(name, t.Flags>>i&1 != 0)
		}
		o.uint("tcpurgp", uint64(t.Urgent))
	}
	o.str("reason", d.Reason)
	o.close()
}

func (o *object) file(f *FileInfo) {
	o.open("fileinfo")
	o.filled("filename", f.Name)
	o.bool("gaps", f.Gaps)
	o.str("state", f.State)
	o.bool("stored", false)
	o.uint("size", f.Size)
	o.uint("tx_id", f.TxID)
	o.close()
}

// weir writes what EVE has no name for.
func (o *object) weir(e *Event) {
	w := &e.Weir
	at := o.open("weir")
	o.workload("src", w.Src)
	o.workload("dst", w.Dst)
	o.filled("rule", w.Rule)
	o.filled("engine", w.Engine)
	o.filled("severity", w.Severity)
	why := w.Why
	if why == "" && e.Anomaly != nil {
		why = e.Anomaly.Detail
	}
	o.filled("why", why)
	o.counted("score", uint64(w.Score))
	o.filled("conversation", w.Conversation)
	o.matches(w.Matches)
	o.filled("slice", w.Slice)
	o.counted("gaps", w.Gaps)
	if len(w.Inside) > 0 {
		o.key("inside")
		o.strings(w.Inside)
	}
	if u := w.Uninspected; u != nil {
		o.open("uninspected")
		o.str("reason", u.Reason)
		o.uint("bytes", u.Bytes)
		o.close()
	}
	if v := w.Verdict; v != nil {
		o.open("verdict")
		o.str("action", v.Action)
		o.filled("rule", v.Rule)
		o.filled("why", v.Why)
		o.filled("mode", v.Mode)
		o.close()
	}
	o.counts("counts", w.Counts)
	o.counts("unsure", w.Unsure)
	if w.Offender != nil && len(w.Offender.Names()) > 0 {
		o.str("quarantine", w.Offender.Names()[0])
	}
	o.counted("held_back", w.HeldBack)
	o.counted("drops_before", w.DropsBefore)
	o.counted("lost", w.Lost)
	o.closeFilled(at)
}

// counts writes counts by rule.
func (o *object) counts(name string, n map[string]int) {
	if len(n) == 0 {
		return
	}
	var room [16]string
	o.open(name)
	for _, rule := range sorted(room[:0], n) {
		o.anyKey(rule)
		o.b = strconv.AppendInt(o.b, int64(n[rule]), 10)
	}
	o.close()
}

// counted writes a count that is not nought.
func (o *object) counted(name string, n uint64) {
	if n != 0 {
		o.uint(name, n)
	}
}

func (o *object) workload(name string, w *Workload) {
	if w == nil {
		return
	}
	at := o.open(name)
	o.filled("id", w.ID)
	o.filled("name", w.Name)
	o.filled("pod", w.Pod)
	o.filled("namespace", w.Namespace)
	o.filled("image", w.Image)
	o.filled("address", w.Address)
	o.filled("service", w.Service)
	if p := w.Process; p != nil {
		o.open("process")
		o.int("pid", p.PID)
		o.filled("comm", p.Comm)
		o.filled("exe", p.Exe)
		o.close()
	}
	if len(w.Labels) > 0 {
		var room [16]string
		o.open("labels")
		for _, k := range sorted(room[:0], w.Labels) {
			o.anyKey(k)
			o.b = appendString(o.b, w.Labels[k])
		}
		o.close()
	}
	o.closeFilled(at)
}

func (o *object) matches(m []Match) {
	if len(m) == 0 {
		return
	}
	o.key("matches")
	o.b = append(o.b, '[')
	for i := range m {
		o.comma()
		o.b = append(o.b, '{')
		o.str("field", m[i].Field)
		o.str("excerpt", m[i].Excerpt)
		o.int("count", m[i].Count)
		o.int("distinct", m[i].Distinct)
		o.int("confidence", m[i].Confidence)
		o.filled("level", m[i].Level)
		o.filled("fingerprint", m[i].Fingerprint)
		o.close()
	}
	o.b = append(o.b, ']')
}
