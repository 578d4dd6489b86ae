package scan

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// progress is a bar for who watches. Its methods do nothing where nobody does.
type progress struct {
	w     io.Writer
	mu    sync.Mutex
	begun time.Time
	shown time.Time
	drawn bool // there is a bar on the screen
	over  bool
	whole bool // the walk has met all files
	met   int64
	done  int64
	files int
	found int
}

const (
	progressEvery = 200 * time.Millisecond
	barWidth      = 30
)

func newProgress(w io.Writer) *progress { return &progress{w: w, begun: time.Now()} }

// expect adds a file that is to be looked at.
func (p *progress) expect(bytes int64) {
	if p.w == nil {
		return
	}
	p.mu.Lock()
	p.met += bytes
	p.mu.Unlock()
}

// known says that all files have been met.
func (p *progress) known() {
	if p.w == nil {
		return
	}
	p.mu.Lock()
	p.whole = true
	p.mu.Unlock()
}

// add adds a file that was looked at.
func (p *progress) add(bytes int64, found int) {
	if p.w == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done += bytes
	p.files++
	p.found += found
	if now := time.Now(); now.Sub(p.shown) >= progressEvery && !p.over {
		p.shown = now
		p.draw()
	}
}

func (p *progress) draw() {
	of, part := "?", 0.0
	if p.whole && p.met > 0 {
		part = min(1, float64(p.done)/float64(p.met))
		of = fmt.Sprintf("%3.0f%%", 100*part)
	}
	n := int(part * barWidth)
	speed := float64(p.done) / 1e6 / max(time.Since(p.begun).Seconds(), 1e-3)
	fmt.Fprintf(p.w, "\r\x1b[K[%s%s] %s  %d files  %s  %.0f MB/s  %d found",
		strings.Repeat("#", n), strings.Repeat(" ", barWidth-n), of, p.files, size(p.done), speed, p.found)
	p.drawn = true
}

// clear takes the bar off the screen, for a line that is written there.
func (p *progress) clear() {
	if p.w == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.drawn {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.drawn = false
	}
}

// end takes the bar away for good.
func (p *progress) end() {
	p.clear()
	p.mu.Lock()
	p.over = true
	p.mu.Unlock()
}

// size is a number of bytes for people.
func size(n int64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.1f GB", float64(n)/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	case n >= 1e3:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%d B", n)
}
