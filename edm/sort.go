package edm

import (
	"bufio"
	"cmp"
	"container/heap"
	"fmt"
	"io"
	"os"
	"slices"
)

// pair is what is sorted: a token or a fingerprint, and a row.
type pair struct {
	key uint64
	row uint32
}

func (a pair) compare(b pair) int {
	return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.row, b.row))
}

// sorter sorts any number of pairs in bounded memory: runs that are full go to a file that has no name any more, so that nothing of it stays.
type sorter struct {
	dir  string
	run  []pair
	full int // pairs of a run; 0: sortRun
	file *os.File
	runs []int64 // where each begins
	end  int64
}

const pairSize = 12 // bytes in the file

func (s *sorter) add(p pair) error {
	if s.full == 0 {
		s.full = sortRun
	}
	if s.run == nil {
		s.run = make([]pair, 0, s.full)
	}
	if s.run = append(s.run, p); len(s.run) < s.full {
		return nil
	}
	return s.flush()
}

// flush writes the run in hand.
func (s *sorter) flush() error {
	slices.SortFunc(s.run, pair.compare)
	if s.file == nil {
		f, err := os.CreateTemp(s.dir, tempPrefix+"*") // for the owner only
		if err != nil {
			return err
		}
		s.file = f
		if err := os.Remove(f.Name()); err != nil {
			return err
		}
	}
	s.runs = append(s.runs, s.end)
	w := bufio.NewWriterSize(s.file, 1<<18)
	var b [pairSize]byte
	for _, p := range s.run {
		le.PutUint64(b[:], p.key)
		le.PutUint32(b[8:], p.row)
		if _, err := w.Write(b[:]); err != nil {
			return err
		}
	}
	s.end += int64(len(s.run)) * pairSize
	s.run = s.run[:0]
	return w.Flush()
}

func (s *sorter) close() {
	if s.file != nil {
		s.file.Close()
	}
}

// each gives all pairs in order, and may be called again.
func (s *sorter) each(visit func(pair) error) error {
	if len(s.runs) == 0 {
		slices.SortFunc(s.run, pair.compare)
		for _, p := range s.run {
			if err := visit(p); err != nil {
				return err
			}
		}
		return nil
	}
	if len(s.run) > 0 {
		if err := s.flush(); err != nil {
			return err
		}
	}
	var m merge
	for i, from := range s.runs {
		to := s.end
		if i+1 < len(s.runs) {
			to = s.runs[i+1]
		}
		r := runReader{r: bufio.NewReaderSize(io.NewSectionReader(s.file, from, to-from), 1<<16)}
		if more, err := r.next(); err != nil {
			return err
		} else if more {
			m = append(m, &r)
		}
	}
	heap.Init(&m)
	for len(m) > 0 {
		if err := visit(m[0].head); err != nil {
			return err
		}
		more, err := m[0].next()
		if err != nil {
			return err
		}
		if more {
			heap.Fix(&m, 0)
		} else {
			heap.Pop(&m)
		}
	}
	return nil
}

// runReader reads a run back.
type runReader struct {
	r    *bufio.Reader
	head pair
}

func (r *runReader) next() (more bool, err error) {
	var b [pairSize]byte
	if _, err := io.ReadFull(r.r, b[:]); err == io.EOF {
		return false, nil
	} else if err != nil {
		return false, fmt.Errorf("read back what was sorted: %w", err)
	}
	r.head = pair{le.Uint64(b[:]), le.Uint32(b[8:])}
	return true, nil
}

// merge is a heap of runs.
type merge []*runReader

func (m merge) Len() int           { return len(m) }
func (m merge) Less(i, j int) bool { return m[i].head.compare(m[j].head) < 0 }
func (m merge) Swap(i, j int)      { m[i], m[j] = m[j], m[i] }
func (m *merge) Push(x any)        { *m = append(*m, x.(*runReader)) }
func (m *merge) Pop() any {
	last := len(*m) - 1
	x := (*m)[last]
	*m = (*m)[:last]
	return x
}
