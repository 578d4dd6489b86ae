package daemon

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// NewLog returns the daemon's log on f, and what is to be called at the end: it waits a moment for lines that are not written yet. To log
// waits for no longer than that. Where f leads to the journal each line begins with its priority, so that journalctl -p works, and has no time: the
// journal knows that.
func NewLog(f *os.File) (log *slog.Logger, flush func()) {
	q := newLogQueue(f)
	return slog.New(logHandler(f, q)), q.flush
}

// logHandler writes to w what is meant for f.
func logHandler(f *os.File, w io.Writer) slog.Handler {
	if journal(f) {
		return newJournalHandler(w)
	}
	return slog.NewTextHandler(w, nil)
}

// Priority returns what a line of the level on f begins with: its priority as sd-daemon(3) has it where f leads to the journal, else "".
func Priority(f *os.File, l slog.Level) string {
	if !journal(f) {
		return ""
	}
	return priority(l)
}

// journal reports whether f is the stream to the journal that systemd has opened for this process: systemd.exec(5), JOURNAL_STREAM.
func journal(f *os.File) bool {
	var st unix.Stat_t
	return unix.Fstat(int(f.Fd()), &st) == nil && os.Getenv("JOURNAL_STREAM") == fmt.Sprintf("%d:%d", st.Dev, st.Ino)
}

// priority is the prefix of a line of the level, from syslog(3).
func priority(l slog.Level) string {
	switch {
	case l >= slog.LevelError:
		return "<3>"
	case l >= slog.LevelWarn:
		return "<4>"
	case l >= slog.LevelInfo:
		return "<6>"
	}
	return "<7>"
}

// journalHandler writes lines of slog's text format behind their priorities.
type journalHandler struct {
	slog.Handler // writes into line, without time and level
	shared       *journalLine
}

// journalLine is what a journalHandler shares with those that were made of it.
type journalLine struct {
	mu   sync.Mutex
	w    io.Writer
	line bytes.Buffer
}

func newJournalHandler(w io.Writer) *journalHandler {
	l := &journalLine{w: w}
	return &journalHandler{shared: l, Handler: slog.NewTextHandler(&l.line, &slog.HandlerOptions{
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if _, level := a.Value.Any().(slog.Level); level && a.Key == slog.LevelKey && len(groups) == 0 {
				return slog.Attr{}
			}
			return a
		},
	})}
}

// Handle implements slog.Handler.
func (h *journalHandler) Handle(ctx context.Context, r slog.Record) error {
	l := h.shared
	l.mu.Lock()
	defer l.mu.Unlock()
	l.line.Reset()
	l.line.WriteString(priority(r.Level))
	r.Time = time.Time{}
	if err := h.Handler.Handle(ctx, r); err != nil {
		return err
	}
	_, err := l.w.Write(l.line.Bytes())
	return err
}

// WithAttrs implements slog.Handler.
func (h *journalHandler) WithAttrs(list []slog.Attr) slog.Handler {
	return &journalHandler{h.Handler.WithAttrs(list), h.shared}
}

// WithGroup implements slog.Handler.
func (h *journalHandler) WithGroup(name string) slog.Handler {
	return &journalHandler{h.Handler.WithGroup(name), h.shared}
}
