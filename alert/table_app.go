package alert

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
)

// members are those of a protocol's own object, in order; those of an object in it have its name and a slash before their own.
type members []struct {
	key   string
	value any // string, json.Number, bool, []string or []members
}

// maxDepth is the number of objects in objects of a protocol's own. What is deeper is not shown.
const maxDepth = 4

// members reads a's text. Of what is not as AppendEVE writes it, there is none.
func (a *App) members() members {
	var out members
	line := append(append([]byte{'{'}, a.Text...), '}')
	_ = eachMember(line, func(name string, raw json.RawMessage) error {
		prefix := ""
		if name+"/" == besides && name != a.Name {
			prefix = besides
		}
		return out.read(raw, prefix, 0)
	})
	return out
}

// read appends the members of an object.
func (m *members) read(raw []byte, prefix string, depth int) error {
	if depth > maxDepth {
		return nil
	}
	return eachMember(raw, func(name string, v json.RawMessage) error {
		name = prefix + name
		if v[0] == '{' {
			return m.read(v, name+"/", depth+1)
		}
		value, err := parseValue(v, depth)
		if value != nil {
			*m = append(*m, members{{name, value}}...)
		}
		return err
	})
}

// parseValue reads a value that members may hold; nil for null.
func parseValue(raw []byte, depth int) (any, error) {
	if raw[0] != '[' {
		var v any
		d := json.NewDecoder(bytes.NewReader(raw))
		d.UseNumber()
		err := d.Decode(&v)
		return v, err
	}
	var list []json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, err
	}
	var rows []members
	texts := []string{}
	for _, v := range list {
		if v[0] == '{' {
			var row members
			if err := row.read(v, "", depth+1); err != nil {
				return nil, err
			}
			rows = append(rows, row)
			continue
		}
		var s string
		if json.Unmarshal(v, &s) != nil {
			s = strings.TrimSpace(string(v)) // a number, as another's line may have it
		}
		texts = append(texts, s)
	}
	if rows != nil {
		return rows, nil
	}
	return texts, nil
}

// describeApp shows an exchange: the way HTTP, DNS and TLS are commonly written in a line, others by their members.
func describeApp(a *App) string {
	m := a.members()
	switch a.Name {
	case "http":
		s := joined(m.text("http_method"), m.text("hostname")+m.text("url"))
		return joined(s, m.text("status"))
	case "dns":
		return joined(first(m.text("rrtype"), m.rows("queries", "rrtype")), first(m.text("rrname"), m.rows("queries", "rrname")),
			first(m.rows("answers", "rdata"), m.text("rcode")))
	case "tls":
		return joined(m.text("sni"), m.text("version"), m.text("subject"))
	}
	var parts []string
	for _, e := range m {
		if s := m.text(e.key); s != "" && len(parts) < 6 {
			parts = append(parts, e.key+"="+s)
		}
	}
	return strings.Join(parts, " ")
}

// text returns the member of that key in a few characters, empty if it is none or a list of objects.
func (m members) text(key string) string {
	for _, e := range m {
		if e.key != key {
			continue
		}
		switch v := e.value.(type) {
		case string:
			return short(v)
		case json.Number:
			return short(string(v))
		case bool:
			return strconv.FormatBool(v)
		case []string:
			return short(strings.Join(v, ","))
		}
	}
	return ""
}

// rows returns the members called key of the objects in a list.
func (m members) rows(list, key string) string {
	var out []string
	for _, e := range m {
		rows, ok := e.value.([]members)
		if e.key != list || !ok {
			continue
		}
		for _, row := range rows {
			if s := row.text(key); s != "" {
				out = append(out, s)
			}
		}
	}
	return short(strings.Join(out, ","))
}
