package engine

import (
	"cmp"
	"net/netip"
	"strings"

	"weir/alert"
	"weir/dissect"
	"weir/dlp"
	"weir/flow"
	"weir/rules"
	"weir/wire"
	"weir/workload"
)

// event returns an event of the present flow; of no flow if there is none.
func (l *Lane) event(typ string) *alert.Event {
	ev := &alert.Event{Time: l.t.now, Type: typ, Iface: l.t.iface(l.p.Frame)}
	if l.idle {
		ev.Iface = l.t.iface(&wire.Frame{})
	}
	if l.t.cfg.Number {
		ev.PcapCnt = l.t.frames
	}
	if l.fl != nil {
		l.name(ev, l.fl)
	}
	return ev
}

// name puts the flow's ends and names into an event.
func (l *Lane) name(ev *alert.Event, fl *flow.Flow[conn]) {
	k := &fl.Key
	a, b := netip.AddrPortFrom(k.AddrA(), k.APort), netip.AddrPortFrom(k.AddrB(), k.BPort)
	wa, wb := l.toldAt(fl, k.A, fl.AInitiates), l.toldAt(fl, k.B, !fl.AInitiates)
	if !fl.AInitiates {
		a, b, wa, wb = b, a, wb, wa
	}
	if k.Proto == wire.ProtoICMP || k.Proto == wire.ProtoICMPv6 { // the key's ports are the type and its counterpart
		code := uint16(0)
		if _, paired := wire.Counterpart(k.Proto, uint8(a.Port())); !paired {
			code = b.Port()
		} else if !l.idle {
			code = uint16(l.p.Code)
		}
		b = netip.AddrPortFrom(b.Addr(), code)
	}
	ev.Src, ev.Dst, ev.Proto, ev.FlowID = a, b, k.Proto, fl.ID
	if tw := fl.S.twin(); tw != nil {
		ev.FlowID = tw.id
	}
	ev.Weir.Src, ev.Weir.Dst = wa, wb
	ev.CommunityID = wire.CommunityID(k, 0)
	for i := range fl.NVLAN {
		ev.VLAN = append(ev.VLAN, fl.VLAN[i])
	}
	if app := fl.S.app; app != nil && app.proto != nil && !app.unsure {
		ev.AppProto = app.proto.Name
	}
}

// toldAt returns the workload at an end of a flow as events name it; nil if it is not known.
func (l *Lane) toldAt(fl *flow.Flow[conn], addr [16]byte, initiator bool) *alert.Workload {
	who, real := l.who(fl, addr, initiator)
	w := told(who)
	if real.IsValid() && w != nil {
		w.Address = real.String()
	}
	return w
}

// told returns a workload as events name it; nil for nil.
func told(w *workload.Workload) *alert.Workload {
	if w == nil {
		return nil
	}
	return &alert.Workload{ID: w.ID, Name: w.Name, Pod: w.Pod, Namespace: w.Namespace, Image: w.Image, Labels: w.Labels}
}

func (l *Lane) send(ev *alert.Event) {
	if ev.Type == "alert" {
		l.t.count.alerts++
	}
	if l.e.listens(ev.Type) {
		l.e.cfg.Emit(ev)
	}
}

// Severities as EVE counts them: 1 is highest.
var eveSeverity = [...]int{rules.Info: 4, rules.Low: 3, rules.Medium: 3, rules.High: 2, rules.Critical: 1}

// alertHit tells of a rule whose conditions hold, or of a test value. What is only worth an info event is none of an alert's business: no slice, no
// mark on the flow.
func (l *Lane) alertHit(m *dissect.Message, h *dlp.Hit) {
	typ, r := "alert", h.Rule
	if h.Test || r.Severity == rules.Info {
		typ = "info"
	} else {
		l.a.alerted = true
	}
	blocked, first := false, h.Dir
	if typ == "alert" {
		first = l.firstSender(r, h)
		elsewhere := false
		cut := l.closing && l.t.inline() && l.fl.S.more().ruled.blocked
		if blocked, elsewhere = l.follows(r); elsewhere || cut { // what was cut has been told
			return
		}
	}
	if !l.e.asked(typ) {
		if typ == "alert" {
			l.t.count.alerts++
		}
		return
	}
	ev := l.event(typ)
	if !h.Test && !l.allowed(ev, r.ID) {
		return
	}
	ev.Alert = &alert.Alert{
		Action: "allowed", GID: 1, SignatureID: r.SID, Rev: r.Rev,
		Signature: r.Description, Category: r.Category, Severity: eveSeverity[r.Severity], Metadata: metadata(r),
	}
	if blocked {
		ev.Alert.Action = "blocked"
	}
	ev.Weir.Rule, ev.Weir.Engine, ev.Weir.Severity = r.ID, r.Engine.String(), r.Severity.String()
	if h.Test {
		ev.Weir.Severity, ev.Weir.Why = "info", "a published test value: no alert"
		ev.Alert.Severity = eveSeverity[rules.Info]
	}
	if h.Rule.Per != rules.PerMessage && typ == "alert" {
		ev.Weir.Why = thresholdText(h)
	}
	if h.Field == dissect.DNS.Fields[dissect.DNSLabels].Name {
		ev.Weir.Why = joinedWhy
	}
	if typ == "alert" {
		if first != h.Dir {
			ev.Weir.Why = strings.TrimPrefix(ev.Weir.Why+"; "+repeated, "; ")
		}
		l.accuse(ev, r, first)
	}
	ev.Weir.Matches = []alert.Match{{
		Field: h.Field, Excerpt: h.Excerpt, Count: h.Count, Distinct: h.Distinct,
		Confidence: int(h.Confidence), Level: dlp.Level(h.Confidence).String(), Fingerprint: h.Fingerprint,
	}}
	if h.Test { // among those that count it is none
		ev.Weir.Matches[0].Count, ev.Weir.Matches[0].Distinct = 1, 1
	}
	if !l.foreign {
		ev.Weir.Gaps = l.fl.Dirs[0].Lost + l.fl.Dirs[1].Lost
	}
	if m != nil {
		ev.TxID = m.Tx &^ rawID
		if rec := l.a.find(m); rec != nil {
			ev.App = l.app(rec, nil)
		}
	}
	l.raise(ev, r.ID+": "+h.Field+" "+h.Masked)
}

// allowed asks the rate limit whether an alert of rule, or an info event of a rule that raises no alerts, may be told.
func (l *Lane) allowed(ev *alert.Event, rule string) bool {
	if l.within(ev, rule) {
		return true
	}
	l.t.count.heldBack++
	return false
}

// within asks the rate limit whether one more event of a kind may be told of the workload that it is about, and notes how many were not.
func (l *Lane) within(ev *alert.Event, kind string) bool {
	lim := l.e.cfg.Limiter
	if lim == nil {
		return true
	}
	who := l.t.iface(l.p.Frame)
	if w := ev.Weir.Src; w != nil {
		who = cmp.Or(w.ID, w.Name, who)
	}
	ok, held := lim.Allow(kind, who, ev.Time)
	ev.Weir.HeldBack = held
	return ok
}

// raise sends an alert with its slice.
func (l *Lane) raise(ev *alert.Event, comment string) {
	ev.Weir.DropsBefore = l.t.drops()
	if ev.Type == "alert" {
		l.openSlice(ev, comment)
	}
	l.send(ev)
}

// metadata makes an alert's metadata of a rule's tags. Techniques of MITRE ATT&CK, as "attack.T1048", stand under the key too that
// public rule sets have for them.
func metadata(r *rules.Rule) map[string][]string {
	if len(r.Tags) == 0 {
		return nil
	}
	out := map[string][]string{"tags": r.Tags}
	for _, tag := range r.Tags {
		if id, ok := strings.CutPrefix(tag, "attack.T"); ok {
			out["mitre_technique_id"] = append(out["mitre_technique_id"], "T"+id)
		}
	}
	return out
}

// notes tells what a dissector noticed: an anomaly each, and an alert for those that matter.
func (l *Lane) notes(m *dissect.Message) {
	for _, n := range m.Notes {
		l.t.count.notes++
		if l.a.tell(n.Code) {
			l.anomaly("applayer", n.Code, n.Detail)
		}
		if !n.Alert || needsAll[n.Code] && l.partial() {
			continue
		}
		l.a.sure = violated
		l.protocolAlert(m, "protocol."+n.Code, n.Detail)
	}
}

// needsAll are the violations that cannot be told where part of the conversation was not seen.
var needsAll = map[string]bool{"http.unexpected_data": true, "http.answer_without_request": true, "ssh.reversed": true}

// anomaly tells an oddity of the present flow.
func (l *Lane) anomaly(typ, code, detail string) {
	l.t.count.anomalies++
	if !l.e.listens("anomaly") || typ != "engine" && l.e.full() {
		return
	}
	ev := l.event("anomaly")
	ev.Anomaly = &alert.Anomaly{Type: typ, Event: code, Layer: layerOf[typ], AppProto: ev.AppProto, Detail: detail}
	l.send(ev)
}

// layerOf are the types of anomalies, and the layer that EVE names with each.
var layerOf = map[string]string{"decode": "l2-l4", "stream": "l4", "applayer": "proto_parser", "engine": "engine", "capture": "capture"}

// flowOddities tells what the flow table noticed, once per flow and kind.
func (l *Lane) flowOddities(fl *flow.Flow[conn]) {
	fresh := fl.Fresh
	fl.Fresh = 0
	if tw := fl.S.twin(); tw != nil {
		defer tw.home.lock(l)()
		fresh, tw.told = fresh&^tw.told, tw.told|fresh
	}
	for _, o := range oddities {
		if fresh&o.bit != 0 {
			l.anomaly("stream", o.code, o.detail)
		}
	}
}

var oddities = []struct {
	bit          flow.Anomaly
	code, detail string
}{
	{flow.OverlapDiffers, "stream.overlap_differs", "segments overlap with different bytes: one reader sees other bytes than another"},
	{flow.BadChecksum, "stream.bad_checksum", "a segment was not accepted: its checksum is wrong, where the sender's were right before"},
	{flow.ForgedACK, "stream.forged_ack", "an ACK for bytes that were never sent: ignored"},
	{flow.ForgedRST, "stream.forged_rst", "an RST that its receiver would not accept (RFC 5961): ignored"},
	{flow.ForgedSYN, "stream.forged_syn", "a SYN inside a connection (RFC 5961): ignored"},
	{flow.OutOfWindow, "stream.out_of_window", "data that its receiver would not accept: outside the window"},
	{flow.OldTimestamp, "stream.old_timestamp", "a segment that its receiver would drop: timestamp older than the last (PAWS, RFC 7323)"},
	{flow.Midstream, "stream.midstream", "the connection began before it was watched"},
	{flow.SYNData, "stream.syn_data", "data in a SYN (TCP Fast Open): inspected"},
	{flow.GapTold, "stream.gap", "bytes of the stream were never seen: they are not inspected"},
	{flow.BudgetReached, "stream.budget", "bytes were given up because a memory limit was reached: they are not inspected"},
	{flow.UrgentData, "stream.urgent", "urgent data: readers differ in whether they see it in the stream"},
	{flow.DataAfterClose, "stream.data_after_close", "data after the connection was closed: inspected"},
	{flow.BadFlags, "stream.bad_flags", "TCP flags that make no sense: the segment was not accepted"},
	{flow.Unaccepted, "stream.unaccepted", "doubtful bytes that their receiver never acknowledged: inspected by themselves"},
}

// tellOnce tells an oddity that belongs to no flow, the first time; later ones are counted.
func (t *Tap) tellOnce(typ, code, detail string) {
	t.told[code]++ // codes are constants: bounded
	if t.told[code] > 1 || t.lane == nil || !t.e.listens("anomaly") || t.kin != nil && !t.kin.first(code) {
		return
	}
	ev := t.lane.event("anomaly")
	ev.Anomaly = &alert.Anomaly{Type: typ, Event: code, Layer: layerOf[typ], Detail: detail}
	t.lane.send(ev)
}

// undecoded counts a frame that is kept but not understood.
func (l *Lane) undecoded(r wire.Result) {
	c := &l.t.count
	switch r {
	case wire.Malformed:
		c.undecoded++
		l.t.tellOnce("decode", "decode.malformed", "a frame whose lengths or versions lie: kept, not inspected")
	case wire.Truncated:
		c.undecoded++
		l.t.tellOnce("decode", "decode.truncated", "a frame that the capture cut before its transport header: kept, not inspected")
	case wire.UnknownLink:
		c.undecoded++
		l.t.tellOnce("decode", "decode.unknown_link", "frames of a link type that is not read: kept, not inspected")
	default:
		c.noIP++
	}
}

// fragmentOddities tells what is odd about fragments, the first time in a tap: they belong to no flow yet.
func (l *Lane) fragmentOddities(odd flow.FragAnomaly) {
	for _, o := range fragmentOddities {
		if odd&o.bit != 0 {
			l.t.tellOnce("decode", o.code, o.detail)
		}
	}
}

// ended is told by the flow table that a flow is over; last is what it still held.
func (t *Tap) ended(fl *flow.Flow[conn], last []flow.Chunk, why flow.Reason) {
	l := t.lane
	if t.kin != nil {
		t.kin.release(&fl.Key, t)
	}
	keepFl, keepA, keepIdle, keepClosing, keepComments := l.fl, l.a, l.idle, l.closing, l.comments // a packet may be under way
	l.fl, l.a, l.idle, l.closing, l.comments = fl, fl.S.app, true, true, nil
	l.finishChunks(last)
	if fl.Fresh != 0 {
		l.flowOddities(fl)
	}
	if tw := fl.S.twin(); tw != nil {
		l.endTwin(tw, fl, why)
	} else {
		l.endFlow(fl, why)
		l.freeApp(fl.S.app)
	}
	t.flowClosed(fl)
	t.unawait(fl)
	fl.S = conn{}
	l.fl, l.a, l.idle, l.closing, l.comments = keepFl, keepA, keepIdle, keepClosing, keepComments
}

// finishChunks inspects what a flow that is over still held. A panic costs this flow the rest.
func (l *Lane) finishChunks(last []flow.Chunk) {
	defer l.survive()
	l.tail = [2][]byte{}
	l.chunks(last)
}

// endFlow ends all that is open for a flow, and tells its event.
func (l *Lane) endFlow(fl *flow.Flow[conn], why flow.Reason) {
	if a := fl.S.app; a != nil && a.work != nil { // else nothing is open
		l.finishApp(a)
	}
	if l.Trace != nil {
		l.Trace.Ended(&fl.Info, fl.S.app != nil && fl.S.app.blind)
	}
	l.noteFlow(fl)
	l.tellFlow(fl, why)
}

// finishApp ends all that is open in the layer-7 state of the present flow.
func (l *Lane) finishApp(a *app) {
	l.a = a
	l.finishBytes(a)
	l.finishScan(a)
	defer l.survive()
	for len(a.records) > 0 {
		l.tellRecord(a.records[0])
		l.dropRecord(0)
	}
}

func (l *Lane) finishBytes(a *app) {
	defer l.survive()
	if !a.panicked {
		l.end(a, wire.ToServer)
		l.end(a, wire.ToClient)
	}
}

func (l *Lane) finishScan(a *app) {
	defer l.survive()
	l.scanEnd(a)
}

// tellRecord writes the events of an exchange: its own, and those of its files.
func (l *Lane) tellRecord(r *record) {
	l.tellExchange(r)
	if len(r.files) > 0 {
		l.tellFiles(r)
	}
}

func (l *Lane) tellExchange(r *record) {
	if !l.e.listens(r.proto.EventType()) || !r.shown() || l.e.full() {
		return
	}
	ev := l.event(r.proto.EventType())
	ev.Time = r.time
	ev.AppProto = r.proto.Name
	ev.TxID = r.tx
	var from *dissect.Protocol
	if r.proto == &dissect.TLS && l.a.rare != nil { // STARTTLS
		from = l.a.rare.orig
	}
	ev.App = l.app(r, from)
	if r.proto.PerMessage && r.items[0].reply {
		ev.Src, ev.Dst = ev.Dst, ev.Src
		ev.Weir.Src, ev.Weir.Dst = ev.Weir.Dst, ev.Weir.Src
	}
	l.send(ev)
}

var flowReasons = [...]string{flow.Ended: "shutdown", flow.Idle: "timeout", flow.Evicted: "forced", flow.Drained: "shutdown"}

// tellFlow writes the event of a flow that is over.
func (l *Lane) tellFlow(fl *flow.Flow[conn], why flow.Reason) {
	if !l.e.listens("flow") || l.e.full() {
		return
	}
	s, c := &fl.Dirs[wire.ToServer], &fl.Dirs[wire.ToClient]
	ev := &alert.Event{Time: fl.Last, Type: "flow", Iface: l.t.iface(&wire.Frame{})}
	l.name(ev, fl)
	ev.Flow = &alert.Flow{
		PktsToServer: s.Packets, PktsToClient: c.Packets, BytesToServer: s.Bytes, BytesToClient: c.Bytes,
		Start: fl.Start, End: fl.Last, State: flowStates[fl.State], Reason: flowReasons[why],
	}
	if fl.Key.Proto == wire.ProtoTCP {
		ev.Flow.TCP = &alert.TCP{State: ev.Flow.State, ToServer: uint8(s.Flags), ToClient: uint8(c.Flags)}
	}
	if proto := fl.Key.Proto; c.Packets > 0 && (proto == wire.ProtoICMP || proto == wire.ProtoICMPv6) {
		if reply, paired := wire.Counterpart(proto, uint8(ev.Src.Port())); paired {
			ev.Flow.ICMP = &alert.ICMP{Type: reply}
		}
	}
	ev.Weir.Inside = l.inside()
	ev.Weir.Gaps = s.Lost + c.Lost
	ev.Weir.Verdict = l.verdict()
	if a := fl.S.app; a != nil {
		ev.Flow.Alerted, ev.Flow.TxCount = a.alerted, a.txs
		if a.rare != nil && a.rare.orig != nil {
			ev.AppProtoOrig = a.rare.orig.Name
		}
		if a.rare != nil {
			ev.Weir.Counts, ev.Weir.Unsure = a.rare.tellCounts()
		}
		if a.why != 0 {
			ev.Weir.Uninspected = &alert.Uninspected{Reason: a.why.String(), Bytes: a.skipped}
		}
		if ev.AppProto == "" {
			ev.AppProto = "failed"
		}
		ev.Weir.Conversation = certainties[a.sure]
		if a.rare != nil {
			if other := a.rare.other; other != nil {
				names := [2]string{ev.AppProto, ev.AppProto}
				names[a.rare.otherDir] = other.Name
				ev.AppProtoTS, ev.AppProtoTC = names[wire.ToServer], names[wire.ToClient]
			}
		}
	}
	l.send(ev)
}

var fragmentOddities = []struct {
	bit          flow.FragAnomaly
	code, detail string
}{
	{flow.FragOverlap, "fragment.overlap", "IP fragments overlap: today's receivers drop such datagrams, older ones do not"},
	{flow.FragDiffers, "fragment.overlap_differs", "overlapping IP fragments carry different bytes: one receiver reads other bytes than another"},
	{flow.FragTeardrop, "fragment.teardrop", "an IP fragment lies inside another"},
	{flow.FragTiny, "fragment.tiny", "a first IP fragment too short for its transport header (RFC 1858)"},
	{flow.FragTooBig, "fragment.too_big", "IP fragments reach past the greatest datagram (ping of death): dropped"},
	{flow.FragConflict, "fragment.conflict", "an IP fragment ends where it cannot: dropped"},
	{flow.FragBadLength, "fragment.bad_length", "an IPv6 fragment whose length is no multiple of 8: dropped"},
	{flow.FragBadChecksum, "fragment.bad_checksum", "an IP fragment with a wrong header checksum: dropped"},
	{flow.FragCut, "fragment.cut", "an IP fragment that the capture cut: its datagram is not inspected"},
	{flow.FragBudget, "fragment.budget", "incomplete IP datagrams were given up because a limit was reached: they are not inspected"},
}

// flowStates are the states as EVE names them.
var flowStates = [...]string{flow.StateNew: "new", flow.StateEstablished: "established", flow.StateClosing: "closed", flow.StateClosed: "closed"}
