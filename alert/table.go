package alert

import (
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Ours: widths of the columns, in characters. What is longer is not cut and shifts the rest of its line.
const (
	timeWidth     = 18 // MM-DD HH:MM:SS.mmm
	severityWidth = 8
	ruleWidth     = 24
	endsWidth     = 45
	protoWidth    = 10
	maxShown      = 160 // characters of one text from the wire
)

// Colours of severities on a terminal (ECMA-48 SGR).
var colours = map[string]string{"critical": "1;31", "high": "31", "medium": "33", "low": "36", "info": "2"}

// Table is a Sink for people: a line for each event. Nothing in it can command a terminal.
type Table struct {
	l        lines
	terminal bool
	compact  bool // all types alike: no column for rules
	begun    bool
}

// NewTable returns a Table that writes to w, with colours if terminal is set. It is buffered: see Flush. Close does not
// close w.
func NewTable(w io.Writer, terminal bool) *Table {
	return &Table{l: lines{w: w}, terminal: terminal}
}

// NewCompact returns a Table for who looks at events of all types as they come: what is most of interest of each, and whether it was let
// through.
func NewCompact(w io.Writer, terminal bool) *Table {
	return &Table{l: lines{w: w}, terminal: terminal, compact: true}
}

// Write implements Sink.
func (t *Table) Write(e *Event) error {
	severity, rule, what := describe(e)
	if t.compact {
		severity, what = summarise(e)
	}
	if !t.begun {
		t.begun = true
		first := "SEVERITY"
		if t.compact {
			first = "VERDICT"
		}
		t.row("TIME (UTC)", first, "", "RULE", "SOURCE → DESTINATION", "PROTOCOL", "WHAT")
	}
	t.row(time.Unix(0, e.Time).UTC().Format("01-02 15:04:05.000"), severity, colours[severity], rule, ends(e), protocol(e), what)
	if len(t.l.buf) < writeSize {
		return nil
	}
	return t.Flush()
}

// Flush writes out what is buffered. On an error the lines are kept, as far as there is room.
func (t *Table) Flush() error {
	err := t.l.flush(len(t.l.buf))
	if len(t.l.buf) > maxBacklog {
		t.l.buf = t.l.buf[:t.l.done] // who watches has long gone
	}
	return err
}

// Close implements Sink.
func (t *Table) Close() error { return t.Flush() }

func (t *Table) row(when, severity, colour, rule, ends, proto, what string) {
	b := column(t.l.buf, when, timeWidth)
	if t.terminal && colour != "" {
		b = append(append(append(b, "\x1b["...), colour...), 'm')
		b = appendShown(b, severity)
		b = append(b, "\x1b[0m"...)
		b = pad(b, severityWidth-utf8.RuneCountInString(severity))
	} else {
		b = column(b, severity, severityWidth)
	}
	if !t.compact {
		b = column(b, rule, ruleWidth)
	}
	b = column(b, ends, endsWidth)
	b = column(b, proto, protoWidth)
	b = appendShown(b, what)
	for b[len(b)-1] == ' ' {
		b = b[:len(b)-1]
	}
	t.l.buf = append(b, '\n')
}

// column appends s as it may be shown, filled up to width characters and a gap.
func column(b []byte, s string, width int) []byte {
	at := len(b)
	b = appendShown(b, s)
	return pad(b, width-utf8.RuneCount(b[at:]))
}

func pad(b []byte, n int) []byte {
	for range max(n, 0) + 2 {
		b = append(b, ' ')
	}
	return b
}

// Shown returns a text as it may be written to a terminal: see appendShown.
func Shown(s string) string { return string(appendShown(nil, s)) }

// Coloured returns a severity's name, which may have spaces behind it, in its colour on a terminal.
func Coloured(severity string) string {
	c := colours[strings.TrimSpace(severity)]
	if c == "" {
		return severity
	}
	return "\x1b[" + c + "m" + severity + "\x1b[0m"
}

// appendShown appends s with everything that is not printable escaped: control characters, ESC above all, characters
// that turn the direction of writing or have no width, and bytes that are not UTF-8.
func appendShown(b []byte, s string) []byte {
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1, r < 0x100 && !unicode.IsPrint(r):
			b = fmt.Appendf(b, `\x%02x`, byte(s[i+n-1]))
		case r < utf8.RuneSelf || unicode.IsPrint(r):
			b = append(b, s[i:i+n]...)
		default:
			b = fmt.Appendf(b, `\u%04x`, r)
		}
		i += n
	}
	return b
}

// describe says what an event is: its severity or kind, its rule or name, and the rest.
func describe(e *Event) (severity, rule, what string) {
	switch {
	case e.Anomaly != nil:
		return orType(e.Weir.Severity, e), e.Anomaly.Event, first(e.Weir.Why, e.Anomaly.Detail)
	case e.Alert != nil:
		return orType(e.Weir.Severity, e), first(e.Weir.Rule, strconv.FormatUint(uint64(e.Alert.SignatureID), 10)), describeAlert(e)
	case e.Flow != nil:
		return orType(e.Weir.Severity, e), e.Flow.State, describeFlow(e)
	case e.Drop != nil:
		return e.Type, e.Drop.Reason, describeDrop(e)
	case e.File != nil:
		return orType(e.Weir.Severity, e), e.Weir.Rule, describeFile(e.File)
	case e.App != nil:
		return orType(e.Weir.Severity, e), e.Weir.Rule, describeApp(e.App)
	case e.Stats != nil:
		return e.Type, "", describeStats(e.Stats)
	}
	return orType(e.Weir.Severity, e), e.Weir.Rule, e.Weir.Why
}

// summarise says an event in a line that needs no other: its severity if it has one, else what became of what it tells of.
func summarise(e *Event) (verdict, what string) {
	_, name, what := describe(e)
	switch {
	case e.Alert != nil:
		return first(e.Weir.Severity, e.Type), joined(name+":", what)
	case e.Anomaly != nil:
		return e.Type, joined(name+":", what)
	case e.Flow != nil:
		what = "flow " + joined(name+":", what)
	case e.File != nil:
		what = "file " + what
	case e.App != nil && e.App.Name == "http":
		if n := e.App.members().text("length"); n != "" {
			what = joined(what, n+"B")
		}
	}
	if e.Type == "drop" {
		return "blocked", what
	}
	return "allowed", what
}

func orType(severity string, e *Event) string { return first(severity, e.Type) }

// first returns the first of texts that is not empty.
func first(texts ...string) string {
	for _, s := range texts {
		if s != "" {
			return s
		}
	}
	return ""
}

func describeAlert(e *Event) string {
	var parts []string
	if e.Alert.Action == "blocked" {
		parts = append(parts, "BLOCKED")
	}
	for _, m := range e.Weir.Matches {
		s := m.Field + " " + short(m.Excerpt)
		if m.Count > 1 {
			s += fmt.Sprintf(" (%d found, %d distinct)", m.Count, m.Distinct)
		}
		parts = append(parts, s)
	}
	if len(e.Weir.Matches) == 0 {
		parts = append(parts, short(first(e.Alert.Signature, e.Weir.Why)))
	}
	if e.Type == "info" {
		parts = append(parts, short(e.Weir.Why))
	}
	if o := e.Weir.Offender; o != nil && len(o.Names()) > 0 {
		parts = append(parts, "quarantine of "+o.Names()[0])
	}
	if n := e.Weir.HeldBack; n > 0 {
		parts = append(parts, fmt.Sprintf("+%d held back", n))
	}
	if e.Weir.Slice != "" {
		parts = append(parts, "slice "+e.Weir.Slice)
	}
	return strings.Join(parts, "  ")
}

func describeFlow(e *Event) string {
	f := e.Flow
	s := fmt.Sprintf("%d/%d packets  %d/%d bytes  %.1fs  %s", f.PktsToServer, f.PktsToClient, f.BytesToServer, f.BytesToClient,
		float64(max(0, f.End-f.Start))/1e9, f.Reason)
	if f.Alerted {
		s += "  alerted"
	}
	if e.Weir.Gaps > 0 {
		s += fmt.Sprintf("  %d bytes never seen", e.Weir.Gaps)
	}
	if u := e.Weir.Uninspected; u != nil {
		s += fmt.Sprintf("  %d bytes not inspected: %s", u.Bytes, short(u.Reason))
	}
	return s
}

func describeDrop(e *Event) string {
	s := "cut off"
	if v := e.Weir.Verdict; v != nil && e.Drop.Reason == "policy" {
		s += " by " + v.Rule
	}
	if e.Drop.Len > 0 {
		s += fmt.Sprintf(" at a packet of %d bytes", e.Drop.Len)
	}
	return s
}

func describeFile(f *FileInfo) string {
	s := joined(short(f.Name), strconv.FormatUint(f.Size, 10)+"B")
	if f.State != "CLOSED" {
		s += ", not all of it seen"
	}
	return s
}

// joined puts a space between those texts that are not empty.
func joined(texts ...string) string {
	var b strings.Builder
	for _, s := range texts {
		if s != "" && b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(s)
	}
	return b.String()
}

func describeStats(m map[string]any) string {
	var parts []string
	for _, k := range sorted(nil, m) {
		switch v := m[k].(type) {
		case map[string]any:
			for _, inner := range sorted(nil, v) {
				if s := fmt.Sprint(v[inner]); s != "0" {
					parts = append(parts, k+"."+inner+"="+s)
				}
			}
		default:
			if s := fmt.Sprint(v); s != "0" {
				parts = append(parts, k+"="+s)
			}
		}
	}
	return strings.Join(parts, " ")
}

// short cuts a text that came from the wire.
func short(s string) string {
	if len(s) <= maxShown {
		return s
	}
	n := 0
	for i := range s {
		if n == maxShown {
			return s[:i] + "…"
		}
		n++
	}
	return s
}

// ends shows who spoke with whom; workloads by their names.
func ends(e *Event) string {
	if !e.Src.IsValid() && !e.Dst.IsValid() {
		return first(e.Iface, "-")
	}
	ports := e.Proto != protoICMP && e.Proto != protoICMPv6
	return end(e.Src, e.Weir.Src, ports) + " → " + end(e.Dst, e.Weir.Dst, ports)
}

func end(a netip.AddrPort, w *Workload, ports bool) string {
	ports = ports && a.Port() != 0
	name := first(w.Names()...)
	switch {
	case name != "" && ports:
		return name + ":" + strconv.Itoa(int(a.Port()))
	case name != "":
		return name
	case !a.IsValid():
		return "-"
	case ports:
		return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()).String()
	}
	return a.Addr().Unmap().String()
}

func protocol(e *Event) string {
	switch {
	case e.AppProto != "" && e.AppProto != "failed":
		return e.AppProto
	case e.Proto == 0:
		return "-"
	case e.Proto == protoICMP, e.Proto == protoICMPv6:
		return fmt.Sprintf("%s %d/%d", strings.ToLower(protoName(e.Proto)), e.Src.Port(), e.Dst.Port())
	}
	return strings.ToLower(protoName(e.Proto))
}
