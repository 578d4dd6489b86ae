package edm

import (
	"cmp"
	"slices"
)

// Steps are what may still be spent on comparing rows; each entry of the table that is read costs one. Below 0 nothing more is compared.
type Steps int

// lookup is what it costs to find out whether a value stands in a row, about.
const lookup = 8

// Common returns a row that two values stand in.
func (s *Set) Common(a, b Rows, steps *Steps) (row uint32, ok bool) {
	if a.Len() > b.Len() {
		a, b = b, a
	}
	for i := range a.Len() {
		if *steps -= lookup; *steps < 0 {
			return 0, false
		}
		row = s.Row(a, i)
		b.from = s.search(b.from, b.to, func(_ uint64, at uint32) bool { return at >= row }) // rows ascend in both
		if b.Len() == 0 {
			return 0, false
		}
		if s.Row(b, 0) == row {
			return row, true
		}
	}
	return 0, false
}

// A Member is one of some values, and a row that it shares with others.
type Member struct {
	Index int
	Row   uint32
}

// Shared appends those of before that stand in one row with last, if so many values of different columns do, last among them, none overlapping another:
// need, at least 2. Values are in order of their ends, and end before last begins.
func (s *Set) Shared(before []Value, last *Value, need int, members []Member, steps *Steps) []Member {
	if need == 2 {
		for i := range before {
			if before[i].Column == last.Column {
				continue
			}
			if row, ok := s.Common(before[i].Rows, last.Rows, steps); ok {
				members = append(members, Member{i, row})
			}
		}
		return members
	}
	missing := len(before)
	s.candidates(before, last, need, func(r Rows) (more bool) {
		for i := 0; i < r.Len() && missing > 0; i++ {
			row := s.Row(r, i)
			if *steps -= lookup; *steps < 0 {
				return false
			}
			if !s.Has(last.Rows, row) || !s.stand(before, 0, 1<<last.Column, row, need-1, steps) {
				continue
			}
			for j := range before {
				known := slices.ContainsFunc(members, func(m Member) bool { return m.Index == j })
				if !known && before[j].Column != last.Column && s.Has(before[j].Rows, row) {
					members = append(members, Member{j, row})
					missing--
				}
			}
		}
		return missing > 0
	})
	return members
}

// stand reports whether need values from end on stand in a row, each of a column that is not used, none overlapping another.
func (s *Set) stand(before []Value, end int, used uint32, row uint32, need int, steps *Steps) bool {
	if need == 0 {
		return true
	}
	for i := range before {
		v := &before[i]
		if v.Start < end || used>>v.Column&1 != 0 {
			continue
		}
		if *steps -= lookup; *steps < 0 {
			return false
		}
		if s.Has(v.Rows, row) && s.stand(before[i+1:], v.End, used|1<<v.Column, row, need-1, steps) {
			return true
		}
	}
	return false
}

// candidates gives the rows among which the one that is looked for must be: those of last, or, where these are fewer, those of so many of the other columns
// that not all that are needed can be among the rest.
func (s *Set) candidates(before []Value, last *Value, need int, try func(Rows) (more bool)) {
	var rows [MaxColumns]struct{ column, rows int }
	columns := rows[:0]
	for i := range before {
		v := &before[i]
		if v.Column == last.Column {
			continue
		}
		at := slices.IndexFunc(columns, func(c struct{ column, rows int }) bool { return c.column == v.Column })
		if at < 0 {
			at = len(columns)
			columns = append(columns, struct{ column, rows int }{column: v.Column})
		}
		columns[at].rows += v.Rows.Len()
	}
	if len(columns) < need-1 {
		return
	}
	slices.SortFunc(columns, func(a, b struct{ column, rows int }) int { return cmp.Compare(a.rows, b.rows) })
	columns = columns[:len(columns)-need+2]
	sum := 0
	for _, c := range columns {
		sum += c.rows
	}
	if last.Rows.Len() <= sum {
		try(last.Rows)
		return
	}
	for _, c := range columns {
		for i := range before {
			if before[i].Column == c.column && !try(before[i].Rows) {
				return
			}
		}
	}
}
