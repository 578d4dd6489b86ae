package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"weir/engine"
	"weir/policy"
)

// ours
const (
	learnQueue = 16          // tables that wait for the learner; what lanes note meanwhile is lost, and counted
	learnSave  = time.Minute // between writing what was learned to disk
	learnMost  = 128 << 20   // bytes of a file of it that is still read
)

// LearnedFile returns where what was learned is kept.
func (p *PathsConfig) LearnedFile() string { return filepath.Join(p.State, "state", "learned.json") }

// learning keeps what lanes note of what is said: they hand over tables, one goroutine takes them in and writes them down now and then.
type learning struct {
	learner *policy.Learner
	log     *slog.Logger
	file    string

	full    chan *policy.Seen
	empty   chan *policy.Seen
	lost    atomic.Uint64
	problem atomic.Pointer[string] // why what was learned is not kept
	ends    chan struct{}
	done    chan struct{}
}

// startLearning takes up what was learned before, in so many bytes. What cannot be read is set aside and told, and learning begins anew.
func startLearning(file string, bytes int64, log *slog.Logger) *learning {
	l := &learning{
		learner: policy.NewLearner(engine.Terms), log: log, file: file,
		full: make(chan *policy.Seen, learnQueue), empty: make(chan *policy.Seen, learnQueue), ends: make(chan struct{}), done: make(chan struct{}),
	}
	l.learner.Bound(bytes)
	if err := restore(l.learner, file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		aside := file + ".unreadable"
		log.Warn("what was learned cannot be read: learning begins anew", "problem", err, "kept", aside)
		if err := os.Rename(file, aside); err != nil {
			log.Warn("set aside", "problem", err)
		}
	}
	go l.run()
	return l
}

// restore reads what was learned from a file.
func restore(l *policy.Learner, file string) error {
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	if info.Size() > learnMost {
		return fmt.Errorf("%s: %d bytes, more than %d", file, info.Size(), learnMost)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if err := l.Restore(data); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

// Exchange takes a table that is full, or has been written to for some time, and returns an empty one. It never waits: where the learner does not keep up, the table's
// content is dropped and counted.
func (l *learning) Exchange(s *policy.Seen) *policy.Seen {
	select {
	case l.full <- s:
	default:
		n := s.Count()
		s.Reset()
		s.Lose(n)
		l.lost.Add(n)
		return s
	}
	select {
	case s = <-l.empty:
		return s
	default:
		return policy.NewSeen(engine.Terms)
	}
}

func (l *learning) run() {
	defer close(l.done)
	tick := time.NewTicker(learnSave)
	defer tick.Stop()
	changed := false
	take := func(s *policy.Seen) {
		l.learner.Merge(s)
		s.Reset()
		select {
		case l.empty <- s:
		default:
		}
		changed = true
	}
	for {
		select {
		case s := <-l.full:
			take(s)
		case <-tick.C:
			if changed {
				l.save()
				changed = false
			}
		case <-l.ends:
			for {
				select {
				case s := <-l.full:
					take(s)
				default:
					if changed {
						l.save()
					}
					return
				}
			}
		}
	}
}

// close writes down what is known. No table is handed over any more.
func (l *learning) close() {
	close(l.ends)
	<-l.done
}

func (l *learning) save() {
	data, err := l.learner.Marshal()
	if err == nil {
		err = replaceFile(l.file, data)
	}
	if err != nil {
		text := err.Error()
		if before := l.problem.Swap(&text); before == nil || *before != text {
			l.log.Error("what was learned is not kept", "problem", text)
		}
		return
	}
	l.problem.Store(nil)
}

// replaceFile writes a file that is there whole or as it was, and for nobody else to read.
func replaceFile(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// LearnedBefore reads what a daemon had learned when it wrote it down last. That there is nothing is no error.
func LearnedBefore(conf *Config) (*policy.Learner, error) {
	l := policy.NewLearner(engine.Terms)
	if err := restore(l, conf.Paths.LearnedFile()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return l, nil
}
