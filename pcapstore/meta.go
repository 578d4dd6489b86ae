package pcapstore

import (
	"encoding/binary"
	"encoding/json"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"

	"weir/capture"
	"weir/wire"
)

// Meta says why a slice was taken. It is kept as one line of JSON in the comment of the file's first block. No part of it
// ever becomes part of a path.
type Meta struct {
	Slice       string         `json:"slice"` // id of the slice; set by Begin
	Alert       string         `json:"alert,omitempty"`
	Rule        string         `json:"rule,omitempty"`
	Severity    string         `json:"severity,omitempty"`
	Time        int64          `json:"time"` // ns since the epoch, of the packet that raised the alert
	FlowID      uint64         `json:"flow_id,omitempty"`
	CommunityID string         `json:"community_id,omitempty"`
	Src         netip.AddrPort `json:"src"` // the initiator
	Dst         netip.AddrPort `json:"dst"`
	Proto       uint8          `json:"proto,omitempty"` // IP protocol
	AppProto    string         `json:"app_proto,omitempty"`
	Workloads   []string       `json:"workloads,omitempty"` // names, "ns/pod" for pods

	// How far back the slice goes: from Reach on, ns since the epoch, it holds every packet of its flow that was seen; of those seen before,
	// Overwritten had gone from memory when the alert was raised. 0 of them: the slice begins where the flow began.
	Reach       int64  `json:"reach,omitempty"`
	Overwritten uint64 `json:"overwritten,omitempty"`

	Redacted bool `json:"redacted,omitempty"` // it was pulled redacted: values were overwritten, and what could not be looked at

	// Interfaces of the source, in the order that wire.Frame.Iface counts them. Of them only those with packets are written, as blocks
	// of their own.
	Interfaces []capture.Interface `json:"-"`
}

// Closing says how a slice ended. It is kept as one line of JSON in the comment of the file's last block; a slice that
// was cut short by a crash has none.
type Closing struct {
	Packets   uint64   `json:"packets"`
	Bytes     uint64   `json:"bytes"` // of packets, as written
	First     int64    `json:"first"` // ns since the epoch, of the earliest packet
	Last      int64    `json:"last"`
	Lost      uint64   `json:"lost,omitempty"`       // frames that the capture lost meanwhile
	NotStored uint64   `json:"not_stored,omitempty"` // packets of the flow that a limit of the store kept out
	Why       string   `json:"why,omitempty"`        // which limit
	Alerts    []string `json:"alerts,omitempty"`     // further alerts that fell into this slice
	Rules     []string `json:"rules,omitempty"`      // their rules
}

// Info describes a slice.
type Info struct {
	ID       string
	Path     string
	Size     int64 // bytes of the file
	Pinned   bool
	Open     bool // it is still being written: the file is hidden, Closing is empty
	Complete bool // false: the file was saved after a crash, or is Open; Closing is empty
	Meta     Meta
	Closing  Closing
}

// from FORMAT.md
const (
	formatVersion = 1
	maxHead       = 64 << 10 // bytes; the first block is no longer
	maxTail       = 64 << 10 // bytes; the last block is no longer
	firstLook     = 2 << 10  // bytes; nearly every first and last block is shorter
	maxMetaText   = 512      // bytes of one text in Meta; 14 of them fit a comment even if JSON writes 6 bytes for each of theirs
	maxFurther    = 32       // further alerts of one slice that are named; more are only in the packets' comments
	maxFurtherLen = 128      // bytes of one's id, and of its rule
)

type metaLine struct {
	Weir int `json:"weir"` // formatVersion
	Meta
}

type closingLine struct {
	Weir int `json:"weir"`
	Closing
}

// line returns m as it is written. Texts are cut, so that the line fits an option.
func (m *Meta) line() string {
	c := *m
	for _, s := range []*string{&c.Slice, &c.Alert, &c.Rule, &c.Severity, &c.CommunityID, &c.AppProto} {
		*s = cutText(*s, maxMetaText)
	}
	c.Workloads = nil
	for _, w := range m.Workloads[:min(len(m.Workloads), 8)] {
		c.Workloads = append(c.Workloads, cutText(w, maxMetaText))
	}
	return jsonLine(metaLine{formatVersion, c})
}

func (c *Closing) line() string { return jsonLine(closingLine{formatVersion, *c}) }

func jsonLine(v any) string {
	b, err := json.Marshal(v)
	if err != nil { // such as an address with a zone that is no text: then the packets alone must do
		return ""
	}
	return string(b)
}

func cutText(s string, limit int) string {
	return strings.ToValidUTF8(s[:min(len(s), limit)], "?")
}

// readInfo reads what the first and the last block of a slice say. It reports false if the file is no slice.
func readInfo(f io.ReaderAt, size int64, i *Info) bool {
	found := false
	for _, n := range [...]int64{firstLook, maxHead} {
		head := make([]byte, min(size, n))
		if _, err := f.ReadAt(head, 0); err != nil && err != io.EOF {
			return false
		}
		if i.Meta, found = parseMeta(head); found {
			break
		}
	}
	if !found {
		return false
	}
	for _, n := range [...]int64{firstLook, maxTail} {
		tail := make([]byte, min(size, n))
		if _, err := f.ReadAt(tail, size-int64(len(tail))); err != nil && err != io.EOF {
			return false
		}
		if i.Closing, i.Complete = parseClosing(tail); i.Complete {
			break
		}
	}
	return true
}

// parseMeta reads the Meta out of a file's first bytes.
func parseMeta(head []byte) (Meta, bool) {
	c := wire.Cut(head)
	kind, n := le32(&c), le32(&c)
	if kind != blockSection || le32(&c) != byteOrderMagic || n > maxHead || n < 28 {
		return Meta{}, false
	}
	c.Skip(12) // version and section length
	options := wire.Cut(c.Bytes(int(n) - 28))
	var l metaLine
	ok := !c.Short() && comment(&options, &l) && l.Weir == formatVersion
	if !ok {
		return Meta{}, false
	}
	return l.Meta, true
}

// parseClosing reads the Closing out of a file's last bytes.
func parseClosing(tail []byte) (Closing, bool) {
	if len(tail) < 4 {
		return Closing{}, false
	}
	n := int(binary.LittleEndian.Uint32(tail[len(tail)-4:]))
	if n < 24 || n > len(tail) {
		return Closing{}, false
	}
	c := wire.Cut(tail[len(tail)-n:])
	if le32(&c) != blockStats || int(le32(&c)) != n {
		return Closing{}, false
	}
	c.Skip(12) // interface and time
	options := wire.Cut(c.Bytes(n - 24))
	var l closingLine
	if c.Short() || !comment(&options, &l) || l.Weir != formatVersion {
		return Closing{}, false
	}
	return l.Closing, true
}

// comment looks for the first comment among options that is JSON for v.
func comment(c *wire.Cursor, v any) bool {
	for {
		code, n := le16(c), int(le16(c))
		b := c.Bytes(n)
		c.Skip(min(-n&3, c.Len()))
		if c.Short() || code == optEnd {
			return false
		}
		if code == optComment && json.Unmarshal(b, v) == nil {
			return true
		}
	}
}

func le16(c *wire.Cursor) uint16 {
	if b := c.Bytes(2); b != nil {
		return binary.LittleEndian.Uint16(b)
	}
	return 0
}

func le32(c *wire.Cursor) uint32 {
	if b := c.Bytes(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

// Has reports whether id is that of the slice, or of an alert that fell into it.
func (i *Info) Has(id string) bool {
	return id != "" && (i.ID == id || i.Meta.Alert == id || slices.Contains(i.Closing.Alerts, id))
}

// pinned: a slice without write permission is kept. The mode is part of no name, so paths stay as alerts told them.
func pinned(m os.FileMode) bool { return m&0o200 == 0 }
