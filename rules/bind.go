package rules

import (
	"encoding"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"time"
)

// binder puts decoded TOML into Go values. It goes on after an error, so that one run finds them all.
type binder struct {
	file     string
	places   *places
	problems Problems
}

func (b *binder) fail(path string, value bool, what, hint string) {
	at := b.places.find(path)
	pos := Pos{b.file, at.line, at.col}
	if value && at.valueLine > 0 {
		pos.Line, pos.Col = at.valueLine, at.valueCol
	}
	b.problems = b.problems.add(Problem{pos, Error, what, hint})
}

// wrong tells that the value at path is of another type.
func (b *binder) wrong(path string, v any, want string) {
	b.fail(path, true, fmt.Sprintf("%s must be %s, not %s", shown(path), want, typeName(v)), "")
}

// shown is a path for people: the line says which element it is.
func shown(path string) string {
	var b strings.Builder
	for {
		name, rest, ok := strings.Cut(path, "[")
		b.WriteString(name)
		if !ok {
			return b.String()
		}
		_, path, _ = strings.Cut(rest, "]")
	}
}

func typeName(v any) string {
	switch v.(type) {
	case string:
		return "a string"
	case bool:
		return "true or false"
	case int64:
		return "a whole number"
	case float64:
		return "a number"
	case time.Time:
		return "a date or time"
	case map[string]any:
		return "a table"
	}
	return "an array"
}

var durationType = reflect.TypeFor[time.Duration]()

// bind puts v into dst. What v does not have keeps the value that dst has.
func (b *binder) bind(v any, dst reflect.Value, path string) {
	if dst.Kind() == reflect.Pointer {
		fresh := reflect.New(dst.Type().Elem())
		b.bind(v, fresh.Elem(), path)
		dst.Set(fresh)
		return
	}
	if t, ok := dst.Addr().Interface().(encoding.TextUnmarshaler); ok {
		s, ok := v.(string)
		if !ok {
			b.wrong(path, v, "a string")
		} else if err := t.UnmarshalText([]byte(s)); err != nil {
			b.fail(path, true, shown(path)+": "+err.Error(), "")
		}
		return
	}
	if dst.Type() == durationType {
		b.duration(v, dst, path)
		return
	}
	switch dst.Kind() {
	case reflect.Interface:
		dst.Set(reflect.ValueOf(v))
	case reflect.Struct:
		b.table(v, dst, path)
	case reflect.Map:
		b.dict(v, dst, path)
	case reflect.Slice:
		b.list(v, dst, path)
	default:
		b.scalar(v, dst, path)
	}
}

func (b *binder) scalar(v any, dst reflect.Value, path string) {
	switch dst.Kind() {
	case reflect.String:
		s, ok := v.(string)
		if !ok {
			b.wrong(path, v, "a string")
			return
		}
		dst.SetString(s)
	case reflect.Bool:
		t, ok := v.(bool)
		if !ok {
			b.wrong(path, v, "true or false")
			return
		}
		dst.SetBool(t)
	case reflect.Float32, reflect.Float64:
		switch n := v.(type) {
		case float64:
			dst.SetFloat(n)
		case int64:
			dst.SetFloat(float64(n))
		default:
			b.wrong(path, v, "a number")
		}
	default:
		b.integer(v, dst, path)
	}
}

func (b *binder) integer(v any, dst reflect.Value, path string) {
	n, ok := v.(int64)
	if !ok {
		b.wrong(path, v, "a whole number")
		return
	}
	switch {
	case dst.CanInt() && !dst.OverflowInt(n):
		dst.SetInt(n)
	case dst.CanUint() && n >= 0 && !dst.OverflowUint(uint64(n)):
		dst.SetUint(uint64(n))
	default:
		low, high := limits(dst)
		b.fail(path, true, fmt.Sprintf("%s is %d, out of range", shown(path), n), fmt.Sprintf("%s to %s", low, high))
	}
}

func limits(v reflect.Value) (low, high string) {
	bits := v.Type().Bits()
	if v.CanUint() {
		return "0", fmt.Sprint(uint64(math.MaxUint64) >> (64 - bits))
	}
	return fmt.Sprint(int64(math.MinInt64) >> (64 - bits)), fmt.Sprint(int64(math.MaxInt64) >> (64 - bits))
}

func (b *binder) duration(v any, dst reflect.Value, path string) {
	s, ok := v.(string)
	if !ok {
		b.wrong(path, v, `a string with a unit, as "5s"`)
		return
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		b.fail(path, true, fmt.Sprintf("%s is no duration: %q", shown(path), s), `a number with a unit, as "5s", "10m" or "1h30m"`)
		return
	}
	dst.SetInt(int64(d))
}

func (b *binder) list(v any, dst reflect.Value, path string) {
	in := reflect.ValueOf(v)
	if in.Kind() != reflect.Slice {
		b.wrong(path, v, "an array")
		return
	}
	out := reflect.MakeSlice(dst.Type(), in.Len(), in.Len())
	for i := range in.Len() {
		b.bind(in.Index(i).Interface(), out.Index(i), element(path, i))
	}
	dst.Set(out)
}

func (b *binder) dict(v any, dst reflect.Value, path string) {
	in, ok := v.(map[string]any)
	if !ok {
		b.wrong(path, v, "a table")
		return
	}
	if dst.IsNil() {
		dst.Set(reflect.MakeMapWithSize(dst.Type(), len(in)))
	}
	for key, sub := range in {
		value := reflect.New(dst.Type().Elem()).Elem()
		b.bind(sub, value, member(path, key))
		dst.SetMapIndex(reflect.ValueOf(key).Convert(dst.Type().Key()), value)
	}
}

// table puts a TOML table into a struct. Keys match the `toml` tag in any case, as they do in gitleaks.
func (b *binder) table(v any, dst reflect.Value, path string) {
	in, ok := v.(map[string]any)
	if !ok {
		b.wrong(path, v, "a table")
		return
	}
	fields := fieldsOf(dst)
	seen := map[int]string{}
	for _, key := range b.keys(in, path) {
		i := slices.IndexFunc(fields, func(f field) bool { return strings.EqualFold(f.name, key) })
		sub := member(path, key)
		if i < 0 {
			b.unknown(key, path, fields)
			continue
		}
		if other, ok := seen[i]; ok {
			b.fail(sub, false, fmt.Sprintf("%s is given twice, as %q and as %q", fields[i].name, other, key), "")
			continue
		}
		seen[i] = key
		b.bind(in[key], fields[i].value, sub)
	}
}

// keys lists the keys of a table in file order; what has no known place comes last, sorted.
func (b *binder) keys(in map[string]any, path string) []string {
	keys := make([]string, 0, len(in))
	for _, k := range b.places.names[path] {
		if _, ok := in[k]; ok {
			keys = append(keys, k)
		}
	}
	if len(keys) == len(in) {
		return keys
	}
	placed := len(keys)
	for k := range in {
		if !slices.Contains(keys[:placed], k) {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys[placed:])
	return keys
}

func (b *binder) unknown(key, path string, fields []field) {
	known := make([]string, len(fields))
	for i, f := range fields {
		known[i] = f.name
	}
	where := ""
	if path != "" {
		where = " in " + shown(path)
	}
	b.fail(member(path, key), false, fmt.Sprintf("unknown key %q%s", key, where), b.problems.meant(key, known))
}

// field is a struct field that a TOML key is put into.
type field struct {
	name  string
	value reflect.Value
}

// fieldsOf lists the fields of a struct that have a `toml` tag; those of embedded structs stand among them.
func fieldsOf(s reflect.Value) []field {
	var out []field
	for i := range s.NumField() {
		t := s.Type().Field(i)
		name := t.Tag.Get("toml")
		switch {
		case t.Anonymous && name == "":
			out = append(out, fieldsOf(s.Field(i))...)
		case name != "" && name != "-":
			out = append(out, field{name, s.Field(i)})
		}
	}
	return out
}
