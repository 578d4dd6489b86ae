package alert

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"time"
)

// parseTime reads what appendTime writes, with any number of digits after the point and any zone.
const parseTime = "2006-01-02T15:04:05-0700"

// eveLine is an EVE line as AppendEVE writes it; the protocol's own object is read apart.
type eveLine struct {
	Timestamp   string         `json:"timestamp"`
	FlowID      uint64         `json:"flow_id"`
	Iface       string         `json:"in_iface"`
	Type        string         `json:"event_type"`
	VLAN        []uint16       `json:"vlan"`
	SrcIP       netip.Addr     `json:"src_ip"`
	SrcPort     uint16         `json:"src_port"`
	DestIP      netip.Addr     `json:"dest_ip"`
	DestPort    uint16         `json:"dest_port"`
	Proto       string         `json:"proto"`
	ICMPType    uint16         `json:"icmp_type"`
	ReplyType   *uint8         `json:"response_icmp_type"`
	ReplyCode   uint8          `json:"response_icmp_code"`
	ICMPCode    uint16         `json:"icmp_code"`
	AppProto    string         `json:"app_proto"`
	AppTS       string         `json:"app_proto_ts"`
	AppTC       string         `json:"app_proto_tc"`
	AppOrig     string         `json:"app_proto_orig"`
	CommunityID string         `json:"community_id"`
	TxID        uint64         `json:"tx_id"`
	PcapCnt     uint64         `json:"pcap_cnt"`
	Alert       *eveAlert      `json:"alert"`
	Flow        *eveFlow       `json:"flow"`
	Anomaly     *eveAnomaly    `json:"anomaly"`
	Drop        *eveDrop       `json:"drop"`
	File        *eveFile       `json:"fileinfo"`
	Stats       map[string]any `json:"stats"`
	CaptureFile string         `json:"capture_file"`
	Weir        eveWeir        `json:"weir"`
}

type eveAlert struct {
	Action      string              `json:"action"`
	GID         uint32              `json:"gid"`
	SignatureID uint32              `json:"signature_id"`
	Rev         int                 `json:"rev"`
	Signature   string              `json:"signature"`
	Category    string              `json:"category"`
	Severity    int                 `json:"severity"`
	Metadata    map[string][]string `json:"metadata"`
}

type eveDrop struct {
	Len    uint32  `json:"len"`
	TTL    uint8   `json:"ttl"`
	Seq    *uint32 `json:"tcpseq"`
	Ack    uint32  `json:"tcpack"`
	Window uint16  `json:"tcpwin"`
	FIN    bool    `json:"fin"`
	SYN    bool    `json:"syn"`
	RST    bool    `json:"rst"`
	PSH    bool    `json:"psh"`
	ACK    bool    `json:"ack"`
	URG    bool    `json:"urg"`
	Urgent uint16  `json:"tcpurgp"`
	Reason string  `json:"reason"`
}

func (d *eveDrop) drop() *Drop {
	out := &Drop{Reason: d.Reason, Len: d.Len, TTL: d.TTL}
	if d.Seq != nil {
		out.TCP = &DropTCP{Seq: *d.Seq, Ack: d.Ack, Window: d.Window, Urgent: d.Urgent}
		for i, set := range []bool{d.FIN, d.SYN, d.RST, d.PSH, d.ACK, d.URG} {
			if set {
				out.TCP.Flags |= 1 << i
			}
		}
	}
	return out
}

type eveFlow struct {
	PktsToServer  uint64 `json:"pkts_toserver"`
	PktsToClient  uint64 `json:"pkts_toclient"`
	BytesToServer uint64 `json:"bytes_toserver"`
	BytesToClient uint64 `json:"bytes_toclient"`
	Start         string `json:"start"`
	End           string `json:"end"`
	State         string `json:"state"`
	Reason        string `json:"reason"`
	Alerted       bool   `json:"alerted"`
	TxCount       uint64 `json:"tx_cnt"`
}

type eveAnomaly struct {
	Type     string `json:"type"`
	Event    string `json:"event"`
	Layer    string `json:"layer"`
	AppProto string `json:"app_proto"`
}

type eveFile struct {
	Name  string `json:"filename"`
	State string `json:"state"`
	Gaps  bool   `json:"gaps"`
	Size  uint64 `json:"size"`
	TxID  uint64 `json:"tx_id"`
}

type eveWeir struct {
	Src          *eveWorkload   `json:"src"`
	Dst          *eveWorkload   `json:"dst"`
	Rule         string         `json:"rule"`
	Engine       string         `json:"engine"`
	Severity     string         `json:"severity"`
	Why          string         `json:"why"`
	Score        int            `json:"score"`
	Conversation string         `json:"conversation"`
	Matches      []eveMatch     `json:"matches"`
	Slice        string         `json:"slice"`
	Gaps         uint64         `json:"gaps"`
	Inside       []string       `json:"inside"`
	Uninspected  *eveSkipped    `json:"uninspected"`
	Counts       map[string]int `json:"counts"`
	Unsure       map[string]int `json:"unsure"`
	Verdict      *eveVerdict    `json:"verdict"`
	Quarantine   string         `json:"quarantine"`
	HeldBack     uint64         `json:"held_back"`
	DropsBefore  uint64         `json:"drops_before"`
	Lost         uint64         `json:"lost"`
}

type eveVerdict struct {
	Action string `json:"action"`
	Rule   string `json:"rule"`
	Why    string `json:"why"`
	Mode   string `json:"mode"`
}

type eveWorkload struct {
	ID        string            `json:"id"`
	Name      string            `json:"name"`
	Pod       string            `json:"pod"`
	Namespace string            `json:"namespace"`
	Image     string            `json:"image"`
	Labels    map[string]string `json:"labels"`
	Address   string            `json:"address"`
	Service   string            `json:"service"`
	Process   *Process          `json:"process"`
}

type eveMatch struct {
	Field       string `json:"field"`
	Excerpt     string `json:"excerpt"`
	Count       int    `json:"count"`
	Distinct    int    `json:"distinct"`
	Confidence  int    `json:"confidence"`
	Level       string `json:"level"`
	Fingerprint string `json:"fingerprint"`
}

type eveSkipped struct {
	Reason string `json:"reason"`
	Bytes  uint64 `json:"bytes"`
}

// common names the members of the root that are no protocol's own object.
var common = map[string]bool{"alert": true, "flow": true, "anomaly": true, "drop": true, "fileinfo": true, "stats": true, "weir": true}

// ParseEVE reads one line that AppendEVE has written. Times come back in whole microseconds; numbers in Stats as
// json.Number; strings as they are shown, so a byte that was no UTF-8 as the text \xNN. Members that it does not know
// are passed over.
func ParseEVE(line []byte) (*Event, error) {
	var in eveLine
	d := json.NewDecoder(bytes.NewReader(line))
	d.UseNumber()
	if err := d.Decode(&in); err != nil {
		return nil, fmt.Errorf("alert: not an EVE line: %w", err)
	}
	now, err := eveNanos(in.Timestamp)
	if err != nil {
		return nil, fmt.Errorf("alert: not an EVE line: %w", err)
	}
	if in.Type == "" {
		return nil, errors.New("alert: not an EVE line: no event_type")
	}
	e := &Event{Time: now, Type: in.Type, FlowID: in.FlowID, Iface: in.Iface, Proto: protoNumber(in.Proto), AppProto: in.AppProto, AppProtoOrig: in.AppOrig,
		AppProtoTS: in.AppTS, AppProtoTC: in.AppTC,
		CommunityID: in.CommunityID, VLAN: in.VLAN, TxID: in.TxID, PcapCnt: in.PcapCnt, Stats: in.Stats}
	if e.Proto == protoICMP || e.Proto == protoICMPv6 {
		in.SrcPort, in.DestPort = in.ICMPType, in.ICMPCode
	}
	e.Src, e.Dst = netip.AddrPortFrom(in.SrcIP, in.SrcPort), netip.AddrPortFrom(in.DestIP, in.DestPort)
	e.Alert, e.File = (*Alert)(in.Alert), (*FileInfo)(in.File)
	if a := in.Anomaly; a != nil {
		e.Anomaly = &Anomaly{Type: a.Type, Event: a.Event, Layer: a.Layer, AppProto: a.AppProto, Detail: in.Weir.Why}
	}
	if in.Drop != nil {
		e.Drop = in.Drop.drop()
	}
	if f := in.Flow; f != nil {
		if e.Flow, err = f.flow(); err != nil {
			return nil, fmt.Errorf("alert: not an EVE line: %w", err)
		}
		if in.ReplyType != nil {
			e.Flow.ICMP = &ICMP{*in.ReplyType, in.ReplyCode}
		}
	}
	e.Weir = in.Weir.weir()
	e.Weir.CaptureFile = in.CaptureFile
	e.App, err = parseApp(line)
	return e, err
}

func eveNanos(s string) (int64, error) {
	t, err := time.Parse(parseTime, s)
	if err == nil && (t.Year() < 1678 || t.Year() > 2261) {
		err = fmt.Errorf("%s: out of range", s) // of what nanoseconds since the epoch can say
	}
	return t.UnixNano(), err
}

func protoNumber(name string) uint8 {
	for i, s := range protoNames {
		if s != "" && s == name {
			return uint8(i)
		}
	}
	n, _ := strconv.ParseUint(name, 10, 8)
	return uint8(n)
}

func (f *eveFlow) flow() (*Flow, error) {
	start, err1 := eveNanos(f.Start)
	end, err2 := eveNanos(f.End)
	return &Flow{PktsToServer: f.PktsToServer, PktsToClient: f.PktsToClient, BytesToServer: f.BytesToServer, BytesToClient: f.BytesToClient,
		Start: start, End: end, State: f.State, Reason: f.Reason, Alerted: f.Alerted, TxCount: f.TxCount}, errors.Join(err1, err2)
}

func (w *eveWeir) weir() Weir {
	out := Weir{Src: (*Workload)(w.Src), Dst: (*Workload)(w.Dst), Rule: w.Rule, Engine: w.Engine, Severity: w.Severity, Why: w.Why, Score: w.Score, Conversation: w.Conversation,
		Slice: w.Slice, Gaps: w.Gaps, Inside: w.Inside, Uninspected: (*Uninspected)(w.Uninspected), Counts: w.Counts, Unsure: w.Unsure, HeldBack: w.HeldBack,
		Verdict: (*Verdict)(w.Verdict), DropsBefore: w.DropsBefore, Lost: w.Lost}
	if w.Quarantine != "" {
		out.Offender = &Offender{Workload: Workload{Name: w.Quarantine}}
	}
	for _, m := range w.Matches {
		out.Matches = append(out.Matches, Match(m))
	}
	return out
}

// parseApp reads the object of the root that is none of the common ones; nil if there is none.
func parseApp(line []byte) (app *App, err error) {
	err = eachMember(line, func(name string, raw json.RawMessage) error {
		switch {
		case common[name] || raw[0] != '{':
			return nil
		case app == nil:
			app = &App{Name: name}
		case name+"/" == besides:
			app.Text = append(app.Text, ',')
		default:
			return nil
		}
		app.Text = append(append(appendString(app.Text, name), ':'), raw...)
		return nil
	})
	return app, err
}

// eachMember calls each with the members of an object, in their order.
func eachMember(raw []byte, each func(name string, raw json.RawMessage) error) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if _, err := d.Token(); err != nil {
		return err
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return err
		}
		var v json.RawMessage
		if err := d.Decode(&v); err != nil {
			return err
		}
		name, _ := key.(string)
		if err := each(name, v); err != nil {
			return err
		}
	}
	return nil
}
