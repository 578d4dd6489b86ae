// Package scan looks for what rules describe in files and folders, with the engine that looks at traffic: files are read in pieces, by as many
// workers as there are processors, and what is found comes in the order of the files. It prints what was found as a table, as JSON or as
// SARIF; what was not looked at is told likewise.
package scan

import (
	"io"
	"runtime"
	"slices"
	"sync"
	"time"

	"weir/dlp"
	"weir/rules"
)

// Options of a run.
type Options struct {
	Paths    []string  // files and folders; "-" is Stdin
	Stdin    io.Reader // for "-"
	MaxFile  int64     // bytes of a file beyond which it is left out; 0: any size
	Jobs     int       // files that are looked at at the same time; 0: as many as processors
	Progress io.Writer // where a person watches the progress; nil: nobody does
	Explain  bool      // what was not found, although it looked like it, is in the results, too; for a database made for that
}

// Finding is a place where a rule found something. Nothing in it is unmasked.
type Finding struct {
	Rule        *rules.Rule
	Field       string
	Place       Place
	Member      string // file of an archive that it is in, masked; "": none
	Length      int64  // bytes; 0: not known exactly
	Masked      string
	Excerpt     string
	Fingerprint string
	Confidence  int  // percent
	Test        bool // a published test value: not what anybody need worry about
	Few         bool // with Options.Explain: there are fewer different ones in the file than the rule asks for
	Distinct    int  // different values of the rule in the file so far
}

// Refused is what matched a rule's expression and is no finding, and why.
type Refused struct {
	Rule   *rules.Rule
	Field  string
	Place  Place
	Masked string
	Why    string
}

// Result is what came of one file. Path is what may be shown of its name: what rules find there is masked.
type Result struct {
	Path     string
	Bytes    int64
	Findings []Finding
	Refused  []Refused // with Options.Explain
	More     []More    // rules that found more than is told one by one
	Blind    []Blind   // what was not looked at in it
	Skipped  string    // why it was left out on purpose; "" it was not
	Err      error     // it could not be read, or not to its end
}

// More counts findings of a rule beyond those that are told one by one.
type More struct {
	Rule  *rules.Rule
	Count int
}

// Blind tells that a part of a file was not looked at.
type Blind struct {
	Why    string
	Detail string
	Bytes  int64
}

// Reporter takes the results of a run, in the order of the files.
type Reporter interface {
	Result(r *Result) error
	End(sum *Summary) error
}

// Summary counts what a run did.
type Summary struct {
	Files   int   // looked at
	Bytes   int64 // of them
	Found   int   // findings, published test values apart
	Tests   int   // published test values
	With    int   // files with findings
	Skipped map[string]int
	Blind   int // files of which something was not looked at
	Failed  int // files and folders that could not be read
	Elapsed time.Duration
}

// window bounds how many files the walk is ahead of what is told; ours.
const window = 1 << 14

// job is a file to look at, or what came of one.
type job struct {
	n      int // its place in the order
	path   string
	size   int64 // bytes, as far as is known
	stdin  bool
	result *Result // set by the walk where there is nothing to look at
}

// Run looks at all files and gives what came of them to out. An error is one of out's, or that no worker could be made; files that cannot
// be read are in the results.
func Run(db *dlp.Database, opt Options, out Reporter) (*Summary, error) {
	if opt.Jobs <= 0 {
		opt.Jobs = runtime.GOMAXPROCS(0)
	}
	workers := make([]*worker, opt.Jobs)
	for i := range workers {
		w, err := newWorker(db, &opt)
		if err != nil {
			return nil, err
		}
		defer w.free()
		workers[i] = w
	}
	begun := time.Now()
	r := run{opt: &opt, jobs: make(chan job, 2*opt.Jobs), done: make(chan job, 2*opt.Jobs), room: make(chan struct{}, window)}
	r.progress = newProgress(opt.Progress)
	defer r.progress.end()
	go r.walk()
	var busy sync.WaitGroup
	for _, w := range workers {
		busy.Go(func() {
			for j := range r.jobs {
				j.result = w.file(&j)
				r.progress.add(j.result.Bytes, len(j.result.Findings))
				r.done <- j
			}
		})
	}
	go func() { busy.Wait(); close(r.done) }()
	sum := &Summary{Skipped: map[string]int{}}
	err := r.collect(out, sum)
	sum.Elapsed = time.Since(begun)
	r.progress.end()
	if err != nil {
		return sum, err
	}
	return sum, out.End(sum)
}

// run is the state of a run.
type run struct {
	opt      *Options
	jobs     chan job
	done     chan job
	room     chan struct{} // a place for each file that was met and is not told
	progress *progress
	met      int
}

// send hands a file to the workers. It waits while the walk is too far ahead.
func (r *run) send(j job) {
	r.room <- struct{}{}
	j.n = r.met
	r.met++
	r.progress.expect(j.size)
	r.jobs <- j
}

// collect tells the results in the order in which the files were met.
func (r *run) collect(out Reporter, sum *Summary) error {
	var failed error
	waiting := map[int]*Result{}
	next := 0
	for j := range r.done {
		waiting[j.n] = j.result
		for ; waiting[next] != nil; next++ {
			result := waiting[next]
			delete(waiting, next)
			<-r.room
			sum.count(result)
			if failed == nil {
				r.progress.clear()
				failed = out.Result(result)
			}
		}
	}
	return failed
}

func (s *Summary) count(r *Result) {
	switch {
	case r.Skipped != "":
		s.Skipped[r.Skipped]++
		return
	case r.Err != nil && r.Bytes == 0:
	default:
		s.Files++
		s.Bytes += r.Bytes
	}
	if r.Err != nil {
		s.Failed++
	}
	if len(r.Blind) > 0 {
		s.Blind++
	}
	found := 0
	for i := range r.Findings {
		switch f := &r.Findings[i]; {
		case f.Few:
		case f.Test:
			s.Tests++
		default:
			found++
		}
	}
	for _, m := range r.More {
		found += m.Count
	}
	s.Found += found
	if found > 0 {
		s.With++
	}
}

// Whole reports whether everything was looked at that was asked for.
func (s *Summary) Whole() bool { return s.Failed == 0 && s.Blind == 0 }

// sorted returns the keys of a map of counts, the greatest first.
func sorted(m map[string]int) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b string) int {
		if m[a] != m[b] {
			return m[b] - m[a]
		}
		if a < b {
			return -1
		}
		return 1
	})
	return keys
}
