package translate

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"weir/rules"
)

// tree reads documents of YAML as they stand, node by node, so that everything that is wrong has its place. Nothing of it is unfolded: a file
// takes memory as it has bytes.
type tree struct {
	file     string
	problems *rules.Problems
}

// maxTold is how many problems are told of all files, ours: nobody reads more.
const maxTold = 1000

func (t *tree) told(n *yaml.Node, level rules.Level, what, hint string) {
	p := rules.Problem{Pos: t.pos(n), Level: level, What: oneLine(what), Hint: oneLine(hint)}
	switch have := len(*t.problems); {
	case have < maxTold:
		*t.problems = append(*t.problems, p)
	case have == maxTold && level != rules.Error:
		*t.problems = append(*t.problems, rules.Problem{Pos: rules.Pos{File: t.file}, Level: level, What: "further problems are not listed"})
	case level == rules.Error && !t.problems.Failed(): // it says that nothing is made
		*t.problems = append(*t.problems, p)
	}
}

func (t *tree) wrong(n *yaml.Node, what, hint string) { t.told(n, rules.Error, what, hint) }

func (t *tree) pos(n *yaml.Node) rules.Pos {
	if n == nil {
		return rules.Pos{File: t.file}
	}
	return rules.Pos{File: t.file, Line: n.Line, Col: n.Column}
}

// maxPieces are the lines and members of a file that is read, ours: each is a node or two of some 200 bytes, and a file of nothing else would take a hundred times its size.
const maxPieces = 1 << 18

// pieces counts what may become nodes.
func pieces(text []byte) (n int) {
	for _, c := range text {
		switch c {
		case '\n', ',', '[', '{':
			n++
		}
	}
	return n
}

// documents calls what for each document, and for each item of a List, up to the first that is no YAML.
func (t *tree) documents(text []byte, what func(*yaml.Node)) {
	if n := pieces(text); n > maxPieces {
		t.wrong(nil, fmt.Sprintf("%d lines and members, more than %d", n, maxPieces), "split it")
		return
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var doc yaml.Node
		err := d.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.syntax(err)
			return
		}
		if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 || isNull(doc.Content[0]) {
			continue
		}
		root := doc.Content[0]
		m := t.mapping(root)
		if kind := t.text(m["kind"]); kind != "List" && !strings.HasSuffix(kind, "List") || m["items"] == nil {
			what(root)
			continue
		}
		for _, item := range t.list(m["items"]) {
			what(item)
		}
	}
}

func (t *tree) syntax(err error) {
	pos := rules.Pos{File: t.file}
	text := strings.TrimSpace(strings.TrimPrefix(oneLine(err.Error()), "yaml: "))
	if line, what, ok := strings.Cut(strings.TrimPrefix(text, "line "), ": "); ok && strings.HasPrefix(text, "line ") {
		if n, err := strconv.Atoi(line); err == nil {
			pos.Line, text = n, what
		}
	}
	*t.problems = append(*t.problems, rules.Problem{Pos: pos, Level: rules.Error, What: text})
}

func isNull(n *yaml.Node) bool { return n == nil || n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// mapping returns the keys of a mapping that have a value.
func (t *tree) mapping(n *yaml.Node) map[string]*yaml.Node {
	m := map[string]*yaml.Node{}
	switch {
	case isNull(n):
		return m
	case n.Kind == yaml.AliasNode:
		t.wrong(n, "aliases are not read", "write it out")
		return m
	case n.Kind != yaml.MappingNode:
		t.wrong(n, "this is no mapping", "KEY: VALUE")
		return m
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		_, twice := m[k.Value]
		switch {
		case k.Kind != yaml.ScalarNode:
			t.wrong(k, "this is no key", "")
		case twice:
			t.wrong(k, fmt.Sprintf("the key %q is there twice", short(k.Value)), "one of both would be lost")
		default:
			m[k.Value] = v
		}
	}
	for k, v := range m {
		if isNull(v) {
			delete(m, k)
		}
	}
	return m
}

// strange returns a key that is none of those that are known; "" if there is none.
func strange(m map[string]*yaml.Node, known ...string) string {
	var keys []string
	for k := range m {
		if !slices.Contains(known, k) {
			keys = append(keys, k)
		}
	}
	if keys == nil {
		return ""
	}
	return short(slices.Min(keys))
}

// short is what is told of a text of the file.
func short(s string) string {
	if len(s) > 80 {
		return strings.ToValidUTF8(s[:80], "") + "..."
	}
	return s
}

func (t *tree) list(n *yaml.Node) []*yaml.Node {
	switch {
	case isNull(n):
		return nil
	case n.Kind == yaml.AliasNode:
		t.wrong(n, "aliases are not read", "write it out")
		return nil
	case n.Kind != yaml.SequenceNode:
		t.wrong(n, "this is no list", "- VALUE")
		return nil
	}
	return n.Content
}

func (t *tree) text(n *yaml.Node) string {
	switch {
	case isNull(n):
		return ""
	case n.Kind == yaml.AliasNode:
		t.wrong(n, "aliases are not read", "write it out")
		return ""
	case n.Kind != yaml.ScalarNode:
		t.wrong(n, "this is no text", "")
		return ""
	}
	return n.Value
}

func (t *tree) texts(n *yaml.Node) (out []string) {
	for _, e := range t.list(n) {
		out = append(out, t.text(e))
	}
	return out
}
