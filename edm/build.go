package edm

import (
	"context"
	"crypto/rand"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"
)

// Options say what Build does.
type Options struct {
	Columns  []string         // of the CSV, by the names in its first line
	Key      Key              //
	Progress func(p Progress) // called now and then; may be nil
	sortRun  int              // for tests
	random   func([]byte) (int, error)
}

// Progress is how far Build is.
type Progress struct {
	Read int64  // bytes of the CSV
	Rows uint64 // of it
	Step string // "read", "sort"
}

// Built is what Build did.
type Built struct {
	Rows    uint64
	Cells   uint64 // values that can be found
	Size    int64  // bytes of the set
	LeftOut []LeftOut
	Few     []string // columns with few different values: they say little of a row
}

// LeftOut says why values of a column cannot be found.
type LeftOut struct {
	Column string
	Why    string
	Count  uint64
	Line   int // of the first
}

// CSVError is what is wrong in a CSV, and where. It never shows anything of the content.
type CSVError struct {
	Line int // of the CSV, from 1
	Why  string
}

func (e *CSVError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Why) }

// builder gathers a set.
type builder struct {
	opt    Options
	head   header
	keys   *keys
	tokens *tokens
	cells  sorter // tokens
	prints sorter // fingerprints
	built  Built
	few    []map[uint64]bool // by column: its values, until they are many
	normal []byte
	room   []byte
}

// Build reads a CSV of any length and writes a set to path, which is there only once it is whole. What it needs beyond a bounded amount of memory
// it keeps, keyed, in the folder of path. An error of the content is a *CSVError.
func Build(ctx context.Context, r io.Reader, path string, opt Options) (*Built, error) {
	b := &builder{opt: opt}
	if err := b.start(path); err != nil {
		return nil, err
	}
	defer b.cells.close()
	defer b.prints.close()
	if err := b.read(ctx, r); err != nil {
		return nil, err
	}
	if b.head.cells == 0 {
		return nil, &CSVError{1, "there is no row with a value"}
	}
	if err := b.write(ctx, path); err != nil {
		return nil, err
	}
	for i, m := range b.few {
		if m != nil && b.head.rows >= fewRows {
			b.built.Few = append(b.built.Few, opt.Columns[i])
		}
	}
	b.built.Rows, b.built.Cells, b.built.Size = b.head.rows, b.head.cells, int64(b.head.size())
	return &b.built, nil
}

func (b *builder) start(path string) error {
	cols := b.opt.Columns
	switch {
	case len(cols) == 0:
		return errors.New("no columns are named")
	case len(cols) > MaxColumns:
		return fmt.Errorf("%d columns, at most %d", len(cols), MaxColumns)
	}
	for i, c := range cols {
		if c == "" || len(c) > maxName {
			return fmt.Errorf("a column's name has 1 to %d bytes", maxName)
		}
		if slices.Contains(cols[:i], c) {
			return fmt.Errorf("column %q is named twice", c)
		}
	}
	if len(b.opt.Key) < MinKey {
		return fmt.Errorf("the key has less than %d bytes", MinKey)
	}
	b.head.columns = cols
	random := b.opt.random
	if random == nil {
		random = rand.Read
	}
	if _, err := random(b.head.salt[:]); err != nil {
		return fmt.Errorf("make a salt: %w", err)
	}
	var err error
	if b.keys, err = derive(b.opt.Key, b.head.salt[:]); err != nil {
		return err
	}
	b.tokens = b.keys.tokens()
	b.few = make([]map[uint64]bool, len(cols))
	for i := range b.few {
		b.few[i] = map[uint64]bool{}
	}
	for _, s := range []*sorter{&b.cells, &b.prints} {
		s.dir, s.full = folder(path), b.opt.sortRun
	}
	return nil
}

// read takes in all rows.
func (b *builder) read(ctx context.Context, in io.Reader) error {
	limited := &recordReader{r: in, left: maxRecord}
	line := 1
	r, places, err := openTable(limited, b.opt.Columns)
	if err != nil {
		return err
	}
	for {
		limited.left = maxRecord
		record, err := r.Read()
		if err == io.EOF {
			return nil
		} else if err != nil {
			return csvError(err, line+1)
		}
		line, _ = r.FieldPos(0)
		if b.head.rows == maxRows {
			return fmt.Errorf("more than %d rows", uint64(maxRows))
		}
		for i, at := range places {
			if err := b.cell(i, record[at], r, at); err != nil {
				return err
			}
		}
		b.head.rows++
		if b.head.rows&0xfff == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
			b.progress("read", r.InputOffset())
		}
	}
}

func (b *builder) progress(step string, n int64) {
	if b.opt.Progress != nil {
		b.opt.Progress(Progress{Read: n, Rows: b.head.rows, Step: step})
	}
}

// cell takes in one value of the row in hand; one that is empty is none.
func (b *builder) cell(column int, value string, r *csv.Reader, at int) error {
	line := func() int { l, _ := r.FieldPos(at); return l }
	if !utf8.ValidString(value) {
		return &CSVError{line(), fmt.Sprintf("column %q: this is not UTF-8 (convert the file, as with iconv)", b.opt.Columns[column])}
	}
	var sh shape
	b.normal, sh = normal(b.normal[:0], []byte(value), &b.room)
	if len(b.normal) == 0 {
		return nil
	}
	if why := cannot(sh, b.normal, value); why != "" {
		b.leaveOut(column, why, line())
		return nil
	}
	if b.head.cells == maxCells {
		return fmt.Errorf("more than %d values", uint64(maxCells))
	}
	b.head.cells++
	b.head.addShape(sh, len(b.normal))
	token := b.tokens.of(b.opt.Columns[column], b.normal)
	if m := b.few[column]; m != nil {
		if m[token] = true; len(m) > fewValues {
			b.few[column] = nil
		}
	}
	if err := b.cells.add(pair{token, uint32(b.head.rows)}); err != nil {
		return err
	}
	return b.prints.add(pair{key: b.keys.print(b.keys.join(emptyHash, b.keys.word(b.normal), len(b.normal)))})
}

// cannot says why a value cannot be found; "" if it can.
func cannot(sh shape, form []byte, value string) string {
	switch {
	case sh.hard:
		return "what stands between the words would end a value in a text"
	case utf8.RuneCount(form) < minValue:
		return "a single character stands everywhere"
	case sh.words > MaxWords:
		return fmt.Sprintf("more than %d words", MaxWords)
	case len(form) > MaxValue, len(value) > MaxRaw:
		return fmt.Sprintf("longer than %d bytes", MaxValue)
	}
	return ""
}

func (b *builder) leaveOut(column int, why string, line int) {
	name := b.opt.Columns[column]
	for i := range b.built.LeftOut {
		if o := &b.built.LeftOut[i]; o.Column == name && o.Why == why {
			o.Count++
			return
		}
	}
	b.built.LeftOut = append(b.built.LeftOut, LeftOut{name, why, 1, line})
}

// csvError says what is wrong, in the record at line, without showing it.
func csvError(err error, line int) error {
	var p *csv.ParseError
	if errors.Is(err, errLongRecord) {
		return &CSVError{line, err.Error()}
	}
	if !errors.As(err, &p) {
		return err
	}
	switch {
	case errors.Is(p.Err, csv.ErrFieldCount):
		return &CSVError{p.Line, "it has another number of columns than the first line"}
	case errors.Is(p.Err, csv.ErrQuote):
		return &CSVError{p.StartLine, fmt.Sprintf(`column %d: a " inside of quotes must be written twice, or a quote is not closed`, p.Column)}
	case errors.Is(p.Err, csv.ErrBareQuote):
		return &CSVError{p.Line, fmt.Sprintf(`column %d: a " in a value without quotes`, p.Column)}
	}
	return &CSVError{p.Line, p.Err.Error()}
}

// recordReader ends a record that has no end, as after a quote that is not closed: it would be read into memory.
type recordReader struct {
	r    io.Reader
	left int // bytes that may still be read for the record in hand
}

func (r *recordReader) Read(b []byte) (int, error) {
	if r.left < 0 {
		return 0, errLongRecord
	}
	n, err := r.r.Read(b)
	r.left -= n
	return n, err
}

var errLongRecord = fmt.Errorf("a record is longer than %d bytes: is a quote not closed?", maxRecord)
