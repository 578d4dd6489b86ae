package translate

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
)

// sensor is what an NvDlpSecurityRule or NvWafSecurityRule says.
type sensor struct {
	Kind  string      `yaml:"kind"`
	Items []yaml.Node `yaml:"items"` // of a List
	Spec  struct {
		Sensor struct {
			Name    string      `yaml:"name"`
			Comment string      `yaml:"comment"`
			Rules   []yaml.Node `yaml:"rules"`
		} `yaml:"sensor"`
	} `yaml:"spec"`
}

type sensorRule struct {
	Name     string      `yaml:"name"`
	Patterns []yaml.Node `yaml:"patterns"`
}

type sensorPattern struct {
	Key     string `yaml:"key"`
	Op      string `yaml:"op"`
	Value   string `yaml:"value"`
	Context string `yaml:"context"`
}

// contexts are the fields of Weir for where a pattern looks.
var contexts = map[string][]string{
	"url":    {"http.uri"},
	"header": {"http.request_line", "http.request.header", "http.response_line", "http.response.header"},
	"body":   {"http.request.body", "http.response.body"},
	"packet": nil, // all that is inspected
	"":       nil,
}

// wrongYAML puts the place that an error of the reader names in front, as elsewhere.
func wrongYAML(file string, err error) error {
	text := strings.TrimSpace(strings.TrimPrefix(oneLine(err.Error()), "yaml: "))
	if line, what, ok := strings.Cut(strings.TrimPrefix(text, "line "), ": "); ok && strings.HasPrefix(text, "line ") {
		return fmt.Errorf("%s:%s: %s", file, line, what)
	}
	return fmt.Errorf("%s: %s", file, text)
}

const maxItems = 20000 // of a file, ours: as many as a set may have

// sensors gathers the rules of a file.
type sensors struct {
	out   Result
	w     writer
	taken map[string]bool
}

func neuvector(file string, text []byte) (*Result, error) {
	s := sensors{taken: map[string]bool{}}
	if n := pieces(text); n > maxPieces {
		return nil, fmt.Errorf("%s: %d lines and members, more than %d (split it)", file, n, maxPieces)
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	known := 0
	for {
		var doc yaml.Node
		err := d.Decode(&doc)
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, wrongYAML(file, err)
		}
		n, err := s.document(&doc)
		if err != nil {
			return nil, wrongYAML(file, err)
		}
		known += n
	}
	if known == 0 {
		return nil, fmt.Errorf("%s: there is no NvDlpSecurityRule and no NvWafSecurityRule in it", file)
	}
	var w writer
	w.head(file, "NeuVector", s.out.Left)
	s.out.TOML = append(w.Bytes(), s.w.Bytes()...)
	return &s.out, nil
}

// document takes in one document, or one item of a list, and returns how many sensors it has.
func (s *sensors) document(node *yaml.Node) (known int, err error) {
	var doc sensor
	if err := node.Decode(&doc); err != nil {
		return 0, err
	}
	for i := range doc.Items[:min(len(doc.Items), maxItems)] {
		n, err := s.document(&doc.Items[i])
		if err != nil {
			return 0, err
		}
		known += n
	}
	if doc.Kind != "NvDlpSecurityRule" && doc.Kind != "NvWafSecurityRule" {
		if doc.Kind != "List" && doc.Kind != "" {
			s.left(node.Line, doc.Kind, "this kind holds no patterns")
		}
		return known, nil
	}
	for i := range doc.Spec.Sensor.Rules {
		if err := s.rule(&doc, &doc.Spec.Sensor.Rules[i]); err != nil {
			return 0, err
		}
	}
	return known + 1, nil
}

func (s *sensors) left(line int, rule, why string) {
	s.out.Left = append(s.out.Left, Left{line, rule, why})
}

// rule takes in one rule: all of its patterns must be found in a message.
func (s *sensors) rule(doc *sensor, node *yaml.Node) error {
	var r sensorRule
	if err := node.Decode(&r); err != nil {
		return err
	}
	name := doc.Spec.Sensor.Name + "/" + r.Name
	base := rule{description: strings.TrimSpace(r.Name + ": " + doc.Spec.Sensor.Comment), severity: "high", tags: []string{"neuvector." + slug(doc.Spec.Sensor.Name)}}
	base.description = strings.TrimSuffix(base.description, ":")
	if doc.Kind == "NvWafSecurityRule" {
		base.engine = "signature"
	}
	var parts []rule
	for i := range r.Patterns {
		var p sensorPattern
		if err := r.Patterns[i].Decode(&p); err != nil {
			return err
		}
		fields, ok := contexts[strings.ToLower(p.Context)]
		why := unfit(p.Value)
		switch {
		case p.Key != "pattern" && p.Key != "":
			why = fmt.Sprintf("key %q is none that is known (pattern)", p.Key)
		case p.Op == "!regex" || p.Op == "not_regex":
			why = "it asks that a pattern is not there (" + p.Op + "), which no rule of Weir does"
		case p.Op != "regex":
			why = fmt.Sprintf("op %q is none that is known (regex, !regex)", p.Op)
		case !ok:
			why = fmt.Sprintf("context %q is none that is known (url, header, body, packet)", p.Context)
		}
		if why != "" {
			s.left(r.Patterns[i].Line, name, why)
			return nil
		}
		part := base
		part.regex, part.fields = p.Value, fields
		parts = append(parts, part)
	}
	if len(parts) == 0 {
		s.left(node.Line, name, "it has no patterns")
		return nil
	}
	id := unique("neuvector."+slug(doc.Spec.Sensor.Name)+"."+slug(r.Name), s.taken)
	writeParts(&s.w, id, parts, s.taken)
	s.out.Rules++
	return nil
}

// writeParts writes a rule of several expressions, which must all be found in a message: the first one is raised, and requires the others.
func writeParts(w *writer, id string, parts []rule, taken map[string]bool) {
	first := parts[0]
	first.id = id
	for i := range parts[1:] {
		p := &parts[i+1]
		p.id = unique(fmt.Sprintf("%s.and%d", id, i+2), taken)
		p.hidden, p.sid, p.rev, p.notes = true, 0, 0, nil
		first.required = append(first.required, p.id)
	}
	w.rule(&first)
	for i := range parts[1:] {
		w.rule(&parts[i+1])
	}
}
