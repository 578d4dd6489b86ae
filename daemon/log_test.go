package daemon

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestJournalLines has lines with their priority, without a time of their own.
func TestJournalLines(t *testing.T) {
	var b bytes.Buffer
	log := slog.New(newJournalHandler(&b))
	log.Info("ready", "status", "watching 0 interfaces")
	log.Warn("two\nlines", "time", "kept: it is no slog's")
	log.Error("hangs", "problem", errors.New("veth0\n<0>is forged"))
	log.Debug("not told")
	log.With("a", 1).WithGroup("g").Error("x", "level", 2)
	want := "<6>msg=ready status=\"watching 0 interfaces\"\n" +
		"<4>msg=\"two\\nlines\" time=\"kept: it is no slog's\"\n" +
		"<3>msg=hangs problem=\"veth0\\n<0>is forged\"\n" +
		"<3>msg=x a=1 g.level=2\n"
	if got := b.String(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// TestLogKnowsTheJournal gives lines priorities only where the stream is the journal's.
func TestLogKnowsTheJournal(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ stream, want, priority string }{
		{fmt.Sprintf("%d:%d", st.Dev, st.Ino), `^<6>msg=x\n$`, "<3>"},
		{fmt.Sprintf("%d:%d", st.Dev, st.Ino+1), `^time=\S+ level=INFO msg=x\n$`, ""}, // inherited, but redirected
		{"", `^time=\S+ level=INFO msg=x\n$`, ""},
	} {
		t.Setenv("JOURNAL_STREAM", c.stream)
		if err := f.Truncate(0); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Seek(0, 0); err != nil {
			t.Fatal(err)
		}
		log, flush := NewLog(f)
		log.Info("x")
		flush()
		got, err := os.ReadFile(f.Name())
		if err != nil || !regexp.MustCompile(c.want).Match(got) {
			t.Errorf("JOURNAL_STREAM=%q: got %q, %v, want %s", c.stream, got, err, c.want)
		}
		if got := Priority(f, slog.LevelError); got != c.priority {
			t.Errorf("JOURNAL_STREAM=%q: priority %q, want %q", c.stream, got, c.priority)
		}
	}
}

// TestLogWaitsForNobody has a log that nobody reads: no line waits for it, and those that were lost are told once it is read.
func TestLogWaitsForNobody(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	log, flush := NewLog(w)
	const lines = 3 * logWaiting
	pad := strings.Repeat("x", 1<<10) // a pipe holds less than logWaiting of them
	for i := range lines {
		log.Info("line", "n", i, "pad", pad)
	}
	got, told, last := 0, 0, -1
	in := bufio.NewScanner(r)
	for got+told < lines && in.Scan() {
		if m := regexp.MustCompile(`level=WARN msg="lines of this log were lost: nobody took them" lines=(\d+)$`).FindStringSubmatch(in.Text()); m != nil {
			n, _ := strconv.Atoi(m[1])
			told += n
			continue
		}
		m := regexp.MustCompile(`msg=line n=(\d+) `).FindStringSubmatch(in.Text())
		if m == nil {
			t.Fatalf("got %q", in.Text())
		}
		if n, _ := strconv.Atoi(m[1]); n <= last {
			t.Fatalf("line %d comes behind %d", n, last)
		} else {
			last = n
		}
		got++
	}
	if got < logWaiting || told == 0 || got+told != lines {
		t.Errorf("%d lines came and %d were told as lost, of %d", got, told, lines)
	}
	r.Close()
	log.Info("nobody is there")
	flush()
}
