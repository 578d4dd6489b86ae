package rules

import "time"

// Document is a TOML file that was read, for who checks what only its own kind of file means: it knows where each key stands. A key's path
// is as `policy[2].ports[0]`: see Key and Element.
type Document struct {
	src source
}

// Read is Decode for who has more to check.
func Read(file string, data []byte, into any) *Document {
	where, problems := decode(file, data, into)
	return &Document{source{name: file, places: where, broken: problems.Failed(), problems: problems}}
}

// Fail notes what is wrong with the value at path, or with what that would be part of.
func (d *Document) Fail(path string, level Level, what, hint string) {
	d.src.fail(path, level, what, hint)
}

// Pos is where the key at path stands.
func (d *Document) Pos(path string) Pos { return d.src.pos(path) }

// ValuePos is where its value begins.
func (d *Document) ValuePos(path string) Pos { return d.src.valuePos(path) }

// Broken reports whether the file had errors when it was read: what is missing may be what was misspelt.
func (d *Document) Broken() bool { return d.src.broken }

// Meant is the hint for a word that is none of known.
func (d *Document) Meant(word string, known []string) string {
	return d.src.problems.meant(word, known)
}

// Date reads the value at path, a day given as a TOML date or a string; "" where it is none, which is a problem.
func (d *Document) Date(v any, path string) string { return d.src.expires(v, path) }

// Problems are all that is wrong, from top to bottom.
func (d *Document) Problems() Problems {
	d.src.problems.sortByPlace()
	return d.src.problems
}

// Key is the path of key in the table at path.
func Key(path, key string) string { return member(path, key) }

// Element is the path of the i-th element of the array at path.
func Element(path string, i int) string { return element(path, i) }

// Over reports whether a last day, YYYY-MM-DD, is over at now, in UTC. "" and a now that is zero never are.
func Over(day string, now time.Time) bool {
	return day != "" && !now.IsZero() && now.UTC().Format(dateForm) > day
}
