package daemon

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"

	"weir/pcapstore"
	"weir/rules"
	"weir/wire"
)

// OpenEvidence opens the pcap store in a folder beside whoever writes to it. Its errors say what to do next.
func OpenEvidence(dir string) (*pcapstore.Store, error) {
	s, err := pcapstore.View(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%w (no slice was ever written there: is the daemon running? weir status; or give --dir)", err)
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("%w (run as root: slices hold packets as they were)", err)
	}
	return s, err
}

// ParseQuery is pcapstore.ParseQuery with a proposal for a word that is none.
func ParseQuery(text string, now time.Time) (*pcapstore.Query, error) {
	q, err := pcapstore.ParseQuery(text, now)
	var e *pcapstore.QueryError
	if !errors.As(err, &e) {
		return q, err
	}
	if near := rules.Nearest(e.Word, e.Known); near != "" {
		return nil, fmt.Errorf("query: %w (did you mean %s?)", err, near)
	}
	return nil, fmt.Errorf("query: %w (see: weir pcap --help)", err)
}

// Evidence is a slice as programs get it told; names as in EVE where EVE has one.
type Evidence struct {
	ID          string    `json:"id"`
	Time        time.Time `json:"timestamp"` // of the packet that raised the alert
	Rule        string    `json:"rule"`
	Severity    string    `json:"severity"`
	FlowID      uint64    `json:"flow_id"`
	CommunityID string    `json:"community_id"`
	SrcIP       string    `json:"src_ip"`
	SrcPort     uint16    `json:"src_port"`
	DestIP      string    `json:"dest_ip"`
	DestPort    uint16    `json:"dest_port"`
	Proto       string    `json:"proto"`
	AppProto    string    `json:"app_proto,omitempty"`
	Workloads   []string  `json:"workloads"`
	Packets     uint64    `json:"packets"`
	PacketBytes uint64    `json:"packet_bytes"`
	Bytes       int64     `json:"bytes"`          // of the file
	First       time.Time `json:"first,omitzero"` // packet
	Last        time.Time `json:"last,omitzero"`
	Reach       time.Time `json:"reach,omitzero"` // from then on all packets of the flow are there
	Overwritten uint64    `json:"overwritten"`    // of those seen before, which were not in memory any more
	Lost        uint64    `json:"lost"`           // frames, by the capture
	NotStored   uint64    `json:"not_stored"`     // packets that a limit kept out
	Why         string    `json:"why,omitempty"`
	Alerts      []string  `json:"alerts"`   // further ones in it
	Rules       []string  `json:"rules"`    // theirs
	Pinned      bool      `json:"pinned"`   //
	Open        bool      `json:"open"`     // it is still being written
	Complete    bool      `json:"complete"` // false: it is open, or was saved after a crash
	Path        string    `json:"path"`     //
	src, dst    string
}

// NewEvidence describes slices.
func NewEvidence(list []pcapstore.Info) []Evidence {
	out := make([]Evidence, len(list))
	for k := range list {
		i, m, c := &list[k], &list[k].Meta, &list[k].Closing
		e := Evidence{
			ID: i.ID, Time: time.Unix(0, m.Time).UTC(), Rule: cmp.Or(m.Rule, first(c.Rules)), Severity: m.Severity, FlowID: m.FlowID,
			CommunityID: m.CommunityID, Proto: protocolName(m.Proto), AppProto: m.AppProto, Workloads: notNil(m.Workloads),
			Packets: c.Packets, PacketBytes: c.Bytes, Bytes: i.Size, Lost: c.Lost, NotStored: c.NotStored, Why: c.Why,
			Alerts: notNil(c.Alerts), Rules: notNil(c.Rules), Pinned: i.Pinned, Open: i.Open, Complete: i.Complete, Path: i.Path, src: "-", dst: "-",
		}
		if m.Src.IsValid() {
			e.SrcIP, e.SrcPort, e.src = m.Src.Addr().String(), m.Src.Port(), m.Src.String()
		}
		if m.Dst.IsValid() {
			e.DestIP, e.DestPort, e.dst = m.Dst.Addr().String(), m.Dst.Port(), m.Dst.String()
		}
		e.Overwritten = m.Overwritten
		if m.Reach != 0 {
			e.Reach = time.Unix(0, m.Reach).UTC()
		}
		if i.Complete {
			e.First, e.Last = time.Unix(0, c.First).UTC(), time.Unix(0, c.Last).UTC()
		}
		out[k] = e
	}
	return out
}

func first(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}

// notNil makes a list that is a list in JSON too if it is empty.
func notNil(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// protocolName names an IP protocol as EVE does.
func protocolName(p uint8) string {
	switch p {
	case wire.ProtoTCP:
		return "TCP"
	case wire.ProtoUDP:
		return "UDP"
	case wire.ProtoICMP:
		return "ICMP"
	case wire.ProtoICMPv6:
		return "IPv6-ICMP"
	case wire.ProtoSCTP:
		return "SCTP"
	}
	return strconv.Itoa(int(p))
}

// WriteEvidence writes slices for people.
func WriteEvidence(w io.Writer, list []Evidence) error {
	var b bytes.Buffer
	t := table(&b)
	fmt.Fprintln(t, "ID\tTIME (UTC)\tSEVERITY\tRULE\tSOURCE → DESTINATION\tPROTOCOL\tPACKETS\tBYTES\tSTATE")
	for k := range list {
		e := &list[k]
		proto := cmp.Or(e.AppProto, strings.ToLower(e.Proto))
		packets, pinned := strconv.FormatUint(e.Packets, 10), ""
		if !e.Complete {
			packets = "?"
		}
		switch {
		case e.Open:
			pinned = "open"
		case e.Pinned:
			pinned = "pinned"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s → %s\t%s\t%s\t%s\t%s\n", e.ID, e.Time.Format(time.DateTime), clean(e.Severity),
			clean(further(e)), e.src, e.dst, clean(proto), packets, Size(e.Bytes), pinned)
	}
	t.Flush()
	_, err := w.Write(b.Bytes())
	return err
}

// further names a slice's rule, and how many others also found something in it.
func further(e *Evidence) string {
	others := 0
	for _, r := range e.Rules {
		if r != e.Rule {
			others++
		}
	}
	if others == 0 {
		return cmp.Or(e.Rule, "-")
	}
	return fmt.Sprintf("%s +%d", e.Rule, others)
}

// EvidenceStats sums up a pcap store.
type EvidenceStats struct {
	Dir       string         `json:"dir"`
	Slices    int            `json:"slices"`
	Pinned    int            `json:"pinned"`
	Bytes     int64          `json:"bytes"`           // those being written included
	Quota     int64          `json:"quota,omitempty"` // 0: not known
	Packets   uint64         `json:"packets"`
	Lost      uint64         `json:"lost"`
	NotStored uint64         `json:"not_stored"`
	Oldest    time.Time      `json:"oldest,omitzero"` // alert
	Newest    time.Time      `json:"newest,omitzero"`
	Rules     []EvidenceRule `json:"rules"` // most bytes first
}

// EvidenceRule is the part of a store that one rule's alerts take.
type EvidenceRule struct {
	Rule   string `json:"rule"`
	Slices int    `json:"slices"`
	Bytes  int64  `json:"bytes"`
}

// NewEvidenceStats sums up the slices of a store that takes the given bytes; a quota of 0 is not known.
func NewEvidenceStats(dir string, list []Evidence, bytes, quota int64) *EvidenceStats {
	s := &EvidenceStats{Dir: dir, Slices: len(list), Bytes: bytes, Quota: quota, Rules: []EvidenceRule{}}
	at := map[string]int{}
	for k := range list {
		e := &list[k]
		if e.Pinned {
			s.Pinned++
		}
		s.Packets += e.Packets
		s.Lost += e.Lost
		s.NotStored += e.NotStored
		if s.Oldest.IsZero() || e.Time.Before(s.Oldest) {
			s.Oldest = e.Time
		}
		if e.Time.After(s.Newest) {
			s.Newest = e.Time
		}
		n, ok := at[e.Rule]
		if !ok {
			n = len(s.Rules)
			at[e.Rule] = n
			s.Rules = append(s.Rules, EvidenceRule{Rule: e.Rule})
		}
		s.Rules[n].Slices++
		s.Rules[n].Bytes += e.Bytes
	}
	slices.SortFunc(s.Rules, func(a, b EvidenceRule) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Rule, b.Rule))
	})
	return s
}

// WriteTable writes s for people, times as ages before now too.
func (s *EvidenceStats) WriteTable(w io.Writer, now time.Time) error {
	var b bytes.Buffer
	t := table(&b)
	fmt.Fprintf(t, "Folder\t%s\n", s.Dir)
	fmt.Fprintf(t, "Slices\t%d, %d of them pinned\n", s.Slices, s.Pinned)
	if s.Quota > 0 {
		fmt.Fprintf(t, "Bytes\t%s of %s %s\n", Size(s.Bytes), Size(s.Quota), bar(s.Bytes, s.Quota))
	} else {
		fmt.Fprintf(t, "Bytes\t%s\n", Size(s.Bytes))
	}
	fmt.Fprintf(t, "Packets\t%d; lost by the capture %d, kept out by a limit %d\n", s.Packets, s.Lost, s.NotStored)
	if s.Slices > 0 {
		fmt.Fprintf(t, "Oldest\t%s UTC, %s ago\n", s.Oldest.Format(time.DateTime), age(now, s.Oldest))
		fmt.Fprintf(t, "Newest\t%s UTC, %s ago\n", s.Newest.Format(time.DateTime), age(now, s.Newest))
	}
	t.Flush()
	if len(s.Rules) > 0 {
		t = table(&b)
		fmt.Fprintln(t, "\nRULE\tSLICES\tBYTES")
		for _, r := range s.Rules {
			fmt.Fprintf(t, "%s\t%d\t%s\t%s\n", clean(cmp.Or(r.Rule, "-")), r.Slices, Size(r.Bytes), bar(r.Bytes, s.Rules[0].Bytes))
		}
		t.Flush()
	}
	_, err := w.Write(b.Bytes())
	return err
}

// bar draws a share of a whole, 20 characters long at the most, in eighths of one.
func bar(part, whole int64) string {
	const width = 20 // characters
	eighths := int(8 * width * min(float64(part)/float64(max(whole, 1)), 1))
	out := strings.Repeat("█", eighths/8)
	if rest := eighths % 8; rest > 0 || eighths == 0 && part > 0 {
		out += string([]rune("▏▏▎▍▌▋▊▉")[rest])
	}
	return out
}
