package rules

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Level says how bad a Problem is.
type Level uint8

const (
	Error   Level = iota // the file cannot be used
	Warning              // it can, but probably not as meant
)

// Problem is one thing that is wrong in a file, for people.
type Problem struct {
	Pos
	Level Level
	What  string // what is wrong
	Hint  string // what was meant, or what to do; may be empty
}

// String gives FILE:LINE:COL: WHAT (HINT), a warning with that word before WHAT.
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.Pos.String())
	b.WriteString(": ")
	if p.Level == Warning {
		b.WriteString("warning: ")
	}
	b.WriteString(p.What)
	if p.Hint != "" {
		fmt.Fprintf(&b, " (%s)", p.Hint)
	}
	return b.String()
}

// String gives FILE:LINE:COL, without what is unknown.
func (p Pos) String() string {
	switch {
	case p.Line == 0:
		return p.File
	case p.Col == 0:
		return fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Col)
}

// Problems are all that is wrong: files in the order in which they were read, each from top to bottom.
type Problems []Problem

// Failed reports whether one of them is an error.
func (ps Problems) Failed() bool {
	return slices.ContainsFunc(ps, func(p Problem) bool { return p.Level == Error })
}

// Err is nil if there is no error among them, else an error whose text has all the errors, one a line.
func (ps Problems) Err() error {
	var lines []string
	for _, p := range ps {
		if p.Level == Error {
			lines = append(lines, p.String())
		}
	}
	if lines == nil {
		return nil
	}
	return problemsError(strings.Join(lines, "\n"))
}

type problemsError string

func (e problemsError) Error() string { return string(e) }

// maxProblems is how many problems are listed of one file, ours: nobody reads more, and finding what was meant costs
// time.
const maxProblems = 1000

// add appends p. Beyond maxProblems only one more is there, which says so; it is an error iff one of those left out is.
func (ps Problems) add(p Problem) Problems {
	if len(ps) < maxProblems {
		return append(ps, p)
	}
	if len(ps) == maxProblems {
		ps = append(ps, Problem{Pos{File: p.File}, Warning, "further problems are not listed", ""})
	}
	last := &ps[maxProblems]
	last.Level = min(last.Level, p.Level)
	return ps
}

// meant is the hint for a word that is none of known; none is looked for once no more problems are listed.
func (ps Problems) meant(word string, known []string) string {
	if len(ps) >= maxProblems {
		return ""
	}
	return meant(word, known)
}

// sortByPlace orders the problems of one file from top to bottom; those without a place come last.
func (ps Problems) sortByPlace() {
	line := func(p Problem) int {
		if p.Line == 0 {
			return math.MaxInt
		}
		return p.Line
	}
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(line(a), line(b)), cmp.Compare(a.Col, b.Col))
	})
}
