package edm

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"fmt"
	"io"
	"strings"

	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// maxHead bounds the first line of a table.
const maxHead = 1 << 16 // bytes

// separators are what may stand between columns, the usual one first.
var separators = []rune{',', ';', '\t', '|'}

// openTable finds the columns that are wanted in a table's first line, separated by whatever it takes to have them all, and returns a reader of
// the lines behind it. A mark at the beginning may say that it is UTF-16; it is read as UTF-8.
func openTable(limited *recordReader, columns []string) (*csv.Reader, []int, error) {
	in := bufio.NewReaderSize(transform.NewReader(limited, unicode.BOMOverride(transform.Nop)), maxHead)
	head, err := in.Peek(maxHead)
	if len(head) == 0 && err == io.EOF {
		return nil, nil, &CSVError{1, "the file is empty"}
	} else if len(head) == 0 {
		return nil, nil, err
	}
	var first error
	for _, separator := range separators {
		names, err := recordsOf(bytes.NewReader(head), separator).Read()
		var places []int
		if err == nil {
			places, err = placesOf(names, columns)
		} else {
			err = csvError(err, 1)
		}
		if err != nil {
			if first == nil {
				first = err
			}
			continue
		}
		limited.left = maxRecord
		r := recordsOf(in, separator)
		if _, err := r.Read(); err != nil {
			return nil, nil, csvError(err, 1)
		}
		return r, places, nil
	}
	return nil, nil, first
}

func recordsOf(in io.Reader, separator rune) *csv.Reader {
	r := csv.NewReader(in)
	r.Comma, r.ReuseRecord = separator, true
	return r
}

// placesOf says where columns are. Case and blanks around names do not count, where that leaves no doubt.
func placesOf(names, columns []string) ([]int, error) {
	places := make([]int, len(columns))
	for i, c := range columns {
		n := 0
		for at, name := range names {
			if name == c {
				places[i], n = at, 1
				break
			}
			if strings.EqualFold(strings.TrimSpace(name), strings.TrimSpace(c)) {
				places[i] = at
				n++
			}
		}
		switch n {
		case 0: // its names may be values: they are not shown
			return nil, &CSVError{1, fmt.Sprintf("no column is called %q: the first line must name the %d columns", c, len(names))}
		case 1:
		default:
			return nil, &CSVError{1, fmt.Sprintf("%d columns are called %q: names must differ", n, c)}
		}
	}
	return places, nil
}
