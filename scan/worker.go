package scan

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"weir/content"
	"weir/dissect"
	"weir/dlp"
	"weir/rules"
)

// ours
const (
	piece       = 256 << 10 // bytes that are read and looked at at once: they stay in the processor's cache
	maxInside   = 1 << 30   // bytes that come out of what is packed into a file
	patience    = 8         // times what candidates may cost in traffic
	readAhead   = 4         // pieces of a file from which on the kernel is told that all of it will be read
	maxFindings = 1 << 16   // findings of a file that are told one by one, of all rules
)

// worker looks at one file at a time.
type worker struct {
	opt  *Options
	db   *dlp.Database
	scan *dlp.Scanner
	st   dlp.State
	id   uint64 // of the last message

	opener *content.Opener
	wants  dissect.Wants
	inside content.State
	emit   func(*dissect.Message) // match, stored once

	msg   dissect.Message
	parts [1]dissect.Part
	hits  []dlp.Hit

	masker dlp.Masker

	// of the file at hand
	j      *job
	result *Result
	lines  lines
	path   []byte
	found  []found
}

// found is a finding that may still be taken back: its rule may not be raised in the file.
type found struct {
	Finding
	value uint32
	off   int64
	raise bool
}

func newWorker(db *dlp.Database, opt *Options) (*worker, error) {
	s, err := db.NewScanner()
	if err != nil {
		return nil, err
	}
	s.Excerpts, s.Patience = true, patience
	w := &worker{opt: opt, db: db, scan: s, lines: newLines(), opener: content.New(limits()), wants: db.Wants()}
	w.opener.Speaks, w.opener.Files = db.Speaks, true
	w.emit = w.match
	if opt.Explain {
		s.Refused = w.refuse
	}
	return w, nil
}

// limits are those of traffic, but that a file may hold more than a message.
func limits() dissect.Limits {
	l := dissect.DefaultLimits
	l.DecodeMax = maxInside
	return l
}

func (w *worker) free() { w.scan.Free() }

// file looks at one file. A panic costs the file its inspection, and nothing else.
func (w *worker) file(j *job) (result *Result) {
	defer func() {
		if r := recover(); r != nil {
			result = w.mend(r)
		}
	}()
	w.result = j.result
	if w.result == nil {
		w.result = &Result{Path: j.path}
	}
	w.path = append(w.path[:0], w.result.Path...)
	w.found = w.found[:0]
	w.hits = w.hits[:0]
	w.lines.reset(nil)
	switch {
	case j.result != nil: // met, and not to be looked at
		w.name()
		w.found = w.found[:0]
	case j.stdin:
		w.content(w.opt.Stdin, -1)
	case w.db.LeavesOut(j.path):
		w.name()
		w.found, w.result.Skipped = w.found[:0], skipAllowed
	default:
		w.open(j.path)
	}
	w.settle()
	return w.result
}

// mend goes on after a panic, with as little as possible of what was at hand then.
func (w *worker) mend(r any) *Result {
	w.opener.Drop(&w.inside)
	w.opener = content.New(limits())
	w.opener.Speaks, w.opener.Files = w.db.Speaks, true
	w.st = dlp.State{} // what it holds is lost
	w.id++
	w.result.Err = fmt.Errorf("an internal error was survived (%T): please report it", r)
	w.result.Findings = nil
	w.settle()
	return w.result
}

// open looks at the name of a file, and into it.
func (w *worker) open(path string) {
	fd, err := retry(func() (int, error) {
		return unix.Open(path, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	})
	if errors.Is(err, unix.ELOOP) { // named, or put there since the walk
		fd, err = w.followed(path)
	}
	if err != nil {
		w.name()
		w.result.Err = err
		return
	}
	defer unix.Close(fd)
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		w.name()
		w.result.Err = err
		return
	}
	if stat.Mode&unix.S_IFMT != unix.S_IFREG {
		w.name()
		w.result.Skipped = skipSpecial
		return
	}
	if w.opt.MaxFile > 0 && stat.Size > w.opt.MaxFile {
		w.name()
		w.result.Skipped = skipSize
		return
	}
	if stat.Size > readAhead*piece {
		_ = unix.Fadvise(fd, 0, 0, unix.FADV_SEQUENTIAL)
	}
	w.name()
	w.content(file(fd), stat.Size)
}

// followed opens a link that was named.
func (w *worker) followed(path string) (int, error) {
	if !slices.Contains(w.opt.Paths, path) {
		return -1, errors.New("it has become a symbolic link meanwhile")
	}
	return retry(func() (int, error) {
		return unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	})
}

// file is a descriptor that is read without what os.File does for others: small files are many.
type file int

// Read is io.Reader's.
func (f file) Read(b []byte) (int, error) {
	n, err := retry(func() (int, error) { return unix.Read(int(f), b) })
	if err != nil {
		return 0, err
	}
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// ReadAt is io.ReaderAt's.
func (f file) ReadAt(b []byte, off int64) (done int, err error) {
	for done < len(b) {
		n, err := retry(func() (int, error) { return unix.Pread(int(f), b[done:], off+int64(done)) })
		if err != nil {
			return done, err
		}
		if n == 0 {
			return done, io.EOF
		}
		done += n
	}
	return done, nil
}

func retry(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}

// name looks at the name of the file.
func (w *worker) name() {
	w.hits = w.scan.InFile(w.result.Path, w.hits[:0])
	w.keep(nil, w.hits)
	w.inspect(dissect.OnDiskName, dissect.Part{Bytes: w.path}, true)
}

// content looks at all that r yields. size is what is expected, -1 if nobody knows.
func (w *worker) content(r io.Reader, size int64) {
	if at, ok := r.(file); ok {
		w.lines.reset(at)
	} else {
		w.hits = w.scan.InFile("", w.hits[:0])
	}
	for off := int64(0); ; {
		b, last, err := w.lines.fill(r, size-off)
		w.result.Bytes += int64(len(b))
		w.inspect(dissect.OnDiskContent, dissect.Part{Value: 1, Off: off, Bytes: b, More: !last}, last)
		off += int64(len(b))
		if err != nil {
			w.result.Err = err
		}
		if last {
			return
		}
	}
}

// inspect gives a part of the file's message to the scanner, and what it holds in other encodings; last ends the message.
func (w *worker) inspect(field dissect.Field, p dissect.Part, last bool) {
	p.Field = field
	w.parts[0] = p
	w.msg = dissect.Message{Protocol: &dissect.OnDisk, ID: w.id, Tx: w.id, Parts: w.parts[:]}
	w.match(&w.msg)
	w.opener.Open(&w.inside, &w.msg, w.wants, w.emit)
	w.refused()
	if !last {
		return
	}
	w.opener.Close(&w.inside, w.emit)
	w.refused()
	w.st.Beyond(w.beyond)
	w.hits = w.scan.Close(&w.st, w.hits[:0])
	w.take(&w.msg)
	w.id++
}

// match looks for what rules describe in a message, or in what one holds.
func (w *worker) match(m *dissect.Message) {
	w.hits = w.scan.Inspect(&w.st, m, w.hits[:0])
	w.take(m)
}

// refused notes what was not opened.
func (w *worker) refused() {
	for _, r := range w.opener.Refused() {
		w.blind(r.Code, r.Detail, int64(r.Bytes))
	}
}

// take takes over what the scanner has found and given up.
func (w *worker) take(m *dissect.Message) {
	if len(w.hits) > 0 {
		w.keep(m, w.hits)
	}
	if n, why := w.scan.GaveUp(); why != "" {
		w.blind(why, "detection reached a budget: not all of it was matched against all rules", int64(n))
	}
}

// refuse notes a match that is no finding, once for its place: shorter ones that were tried are not told.
func (w *worker) refuse(r *dlp.Refusal) {
	out := Refused{Rule: r.Rule, Field: r.Field, Masked: r.Masked, Why: r.Why}
	if r.Field == contentField {
		out.Place = w.lines.place(r.Off, r.End)
	}
	same := func(o Refused) bool { return o.Rule == r.Rule && o.Field == r.Field && o.Place.Off == out.Place.Off }
	if len(w.result.Refused) < maxFindings && !slices.ContainsFunc(w.result.Refused, same) {
		w.result.Refused = append(w.result.Refused, out)
	}
}

// blind notes what was not looked at.
func (w *worker) blind(why, detail string, n int64) {
	for i := range w.result.Blind {
		if b := &w.result.Blind[i]; b.Why == why {
			b.Bytes += n
			return
		}
	}
	w.result.Blind = append(w.result.Blind, Blind{why, detail, n})
}

// beyond notes findings that were counted only.
func (w *worker) beyond(r *rules.Rule, n int) {
	if !r.SkipReport {
		w.result.More = append(w.result.More, More{r, n})
	}
}

// keep makes findings of hits.
func (w *worker) keep(m *dissect.Message, hits []dlp.Hit) {
	for i := range hits {
		h := &hits[i]
		w.mask(h, m)
		if h.Rule.SkipReport || h.Unsure || h.Given || h.Fingerprint == "" && h.Count > dlp.MaxHits { // counted: see beyond
			continue
		}
		f := found{value: h.Value, off: h.Off, raise: h.Raise, Finding: Finding{
			Rule: h.Rule, Field: h.Field, Masked: h.Masked, Excerpt: h.Excerpt, Fingerprint: h.Fingerprint,
			Confidence: int(h.Confidence), Test: h.Test, Distinct: h.Distinct,
		}}
		if m == nil { // the name is what was found, and it is shown anyway
			f.Masked, f.Excerpt = "", "a file of this name"
		}
		if m != nil && m.Parts[0].Field == dissect.OnDiskContent {
			f.Place = w.lines.place(h.Off, h.End)
			if h.Exact {
				f.Length = h.End - h.Off
			}
		}
		if m != nil && len(f.Member) == 0 {
			f.Member = w.member(h)
		}
		if k := w.before(&f); h.Grown && k >= 0 {
			f.raise = f.raise || w.found[k].raise
			w.found[k] = f
			continue
		}
		if len(w.found) >= maxFindings {
			w.blind("scan.findings", "too many findings: the rest is not told", 0)
			continue
		}
		w.found = append(w.found, f)
	}
}

// member returns the file of an archive that a hit is in, without what was found.
func (w *worker) member(h *dlp.Hit) string {
	name := w.opener.Inside()
	if text := w.scan.Found(h); name != "" && len(text) > 0 {
		name = strings.ReplaceAll(name, string(text), h.Masked)
	}
	return string(w.masker.Text([]byte(name), dissect.Text))
}

// before returns where the finding stands that f replaces, -1 if nowhere.
func (w *worker) before(f *found) int {
	for k := len(w.found) - 1; k >= 0; k-- {
		if o := &w.found[k]; o.Rule == f.Rule && o.off == f.off && o.value == f.value && o.Field == f.Field {
			return k
		}
	}
	return -1
}

// mask hides in the shown path what was found: in the name itself, or in the content if the name has it too.
func (w *worker) mask(h *dlp.Hit, m *dissect.Message) {
	const least = 6 // bytes: what is shorter stands in names by chance
	text := w.scan.Found(h)
	inName := m != nil && m.Parts[0].Field == dissect.OnDiskName
	if len(text) == 0 || !inName && (len(text) < least || !bytes.Contains(w.path, text)) {
		return
	}
	w.path = bytes.ReplaceAll(w.path, text, []byte(h.Masked))
	w.result.Path = string(w.path)
}

// settle takes over the findings of rules that are raised in the file, in the order of their places.
func (w *worker) settle() {
	r := w.result
	if len(w.found) > 0 {
		raised := map[*rules.Rule]bool{}
		for i := range w.found {
			if w.found[i].raise {
				raised[w.found[i].Rule] = true
			}
		}
		for i := range w.found {
			f := &w.found[i]
			f.Few = !f.Test && !raised[f.Rule]
			if !f.Few || w.opt.Explain {
				r.Findings = append(r.Findings, f.Finding)
			}
		}
		r.More = slices.DeleteFunc(r.More, func(m More) bool { return !raised[m.Rule] })
		slices.SortStableFunc(r.Findings, func(a, b Finding) int { return a.Place.compare(&b.Place) })
	}
	slices.SortStableFunc(r.Refused, func(a, b Refused) int { return a.Place.compare(&b.Place) })
	var p *fs.PathError
	if errors.As(r.Err, &p) {
		r.Err = p.Err // without the name
	}
}
