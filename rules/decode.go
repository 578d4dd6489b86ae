package rules

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/BurntSushi/toml"
)

// Decode reads TOML strictly into the struct that into points to, by its `toml` tags. It tells all that is wrong:
// syntax, types, values out of range and keys that are not known, each where it stands. What data does not name keeps
// the value that it has, so defaults are set before. A time.Duration is written as "5s"; a type with UnmarshalText is
// written as a string. file is for the positions only.
func Decode(file string, data []byte, into any) Problems {
	_, problems := decode(file, data, into)
	return problems
}

// decode is Decode that also returns where the keys stand; that is not nil.
func decode(file string, data []byte, into any) (*places, Problems) {
	if len(data) > maxFile {
		what := fmt.Sprintf("the file has %d bytes, more than %d", len(data), maxFile)
		return &places{}, Problems{{Pos{File: file}, Error, what, "split it"}}
	}
	where, deep, at := scan(string(data))
	if deep != "" {
		return where, Problems{{Pos{file, at.line, at.col}, Error, deep, ""}}
	}
	var raw map[string]any
	if _, err := toml.Decode(string(data), &raw); err != nil {
		return where, Problems{syntaxProblem(file, string(data), where, err)}
	}
	b := binder{file: file, places: where}
	b.table(raw, reflect.ValueOf(into).Elem(), "")
	b.problems.sortByPlace()
	return where, b.problems
}

// syntaxProblem is a decoder's error, with a place: the decoder's own line and column do not always belong together.
func syntaxProblem(file, text string, where *places, err error) Problem {
	p := Problem{Pos: Pos{File: file}, What: oneLine(err.Error())}
	var syntax toml.ParseError
	if !errors.As(err, &syntax) {
		return p
	}
	p.What = oneLine(syntax.Message)
	if strings.Contains(syntax.Message, "already") && where.twice.line > 0 {
		p.Line, p.Col = where.twice.line, where.twice.col
		return p
	}
	before := text[:max(0, min(syntax.Position.Start, len(text)))]
	p.Line = 1 + strings.Count(before, "\n")
	p.Col = len(before) - strings.LastIndexByte(before, '\n')
	return p
}

// oneLine keeps a foreign text on one line of output.
func oneLine(s string) string {
	return strings.Join(strings.Fields(s), " ")
}
