package dissect

// ours
const (
	sqlMaxScan   = 4 << 10 // bytes of a statement that are scanned for its verb and tables
	sqlMaxTables = 8       // tables of a statement that are told
	sqlMaxDepth  = 63      // parentheses that are told apart
	sqlMaxWord   = 16      // bytes of a keyword
)

// sqlScan walks over the words of a statement. It borrows from the statement.
type sqlScan struct {
	b      []byte
	at     int
	escape bool // a backslash escapes in strings (MySQL)
	text   []byte
	kind   byte // of the token in hand: 'w' word, 'q' quoted name, 's' string, or the character itself; 0: none is left
}

// next takes the next token in hand.
func (s *sqlScan) next() bool {
	s.space()
	if s.at >= len(s.b) {
		s.kind, s.text = 0, nil
		return false
	}
	from := s.at
	c := s.b[from]
	s.at++
	s.kind = c
	switch {
	case sqlWordByte(c):
		s.kind = 'w'
		for s.at < len(s.b) && sqlWordByte(s.b[s.at]) {
			s.at++
		}
	case c == '\'':
		s.kind = 's'
		s.quoted(c)
	case c == '"' || c == '`':
		s.kind = 'q'
		s.quoted(c)
	case c == '[':
		s.kind = 'q'
		s.quoted(']')
	}
	s.text = s.b[from:s.at]
	return true
}

// quoted passes over what ends with the quote end; a doubled one stands for itself.
func (s *sqlScan) quoted(end byte) {
	for s.at < len(s.b) {
		c := s.b[s.at]
		s.at++
		switch {
		case c == '\\' && s.escape && end == '\'':
			s.at = min(s.at+1, len(s.b))
		case c == end && s.at < len(s.b) && s.b[s.at] == end:
			s.at++
		case c == end:
			return
		}
	}
}

// space passes over white space and comments. What stands in a comment of the kind that MySQL executes, "/*! */", is no comment.
func (s *sqlScan) space() {
	for s.at < len(s.b) {
		rest := s.b[s.at:]
		switch {
		case rest[0] <= ' ' || rest[0] == ';' && s.at == 0:
			s.at++
		case len(rest) > 1 && (rest[0] == '-' && rest[1] == '-') || rest[0] == '#' && s.escape:
			for s.at < len(s.b) && s.b[s.at] != '\n' {
				s.at++
			}
		case len(rest) > 2 && rest[0] == '/' && rest[1] == '*' && rest[2] == '!' && s.escape:
			s.at += 3
			for s.at < len(s.b) && isDigit(s.b[s.at]) {
				s.at++
			}
		case len(rest) > 1 && rest[0] == '/' && rest[1] == '*':
			s.at += 2
			for s.at < len(s.b) && (s.b[s.at] != '/' || s.b[s.at-1] != '*') {
				s.at++
			}
			s.at = min(s.at+1, len(s.b))
		default:
			return
		}
	}
}

func sqlWordByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || isDigit(c) || c == '_' || c == '$' || c == '@' || c >= 0x80
}

// is reports whether the token in hand is a word, in any case; word is upper case.
func (s *sqlScan) is(word string) bool {
	if s.kind != 'w' || len(s.text) != len(word) {
		return false
	}
	for i := range word {
		if c := s.text[i]; c != word[i] && (c < 'a' || c > 'z' || c-'a'+'A' != word[i]) {
			return false
		}
	}
	return true
}

// sqlVerbs are the words that statements begin with.
var sqlVerbs = map[string]bool{
	"SELECT": true, "INSERT": true, "UPDATE": true, "DELETE": true, "REPLACE": true, "MERGE": true, "WITH": true, "VALUES": true, "TABLE": true,
	"CREATE": true, "ALTER": true, "DROP": true, "TRUNCATE": true, "RENAME": true, "COMMENT": true, "GRANT": true, "REVOKE": true,
	"BEGIN": true, "START": true, "COMMIT": true, "ROLLBACK": true, "SAVEPOINT": true, "RELEASE": true, "END": true, "ABORT": true, "XA": true,
	"SET": true, "RESET": true, "SHOW": true, "USE": true, "DESC": true, "DESCRIBE": true, "EXPLAIN": true, "ANALYZE": true, "VACUUM": true,
	"COPY": true, "LOAD": true, "CALL": true, "EXEC": true, "EXECUTE": true, "PREPARE": true, "DEALLOCATE": true, "DECLARE": true, "FETCH": true,
	"CLOSE": true, "MOVE": true, "LOCK": true, "UNLOCK": true, "LISTEN": true, "UNLISTEN": true, "NOTIFY": true, "DISCARD": true, "DO": true,
	"KILL": true, "FLUSH": true, "OPTIMIZE": true, "CHECK": true, "REPAIR": true, "HANDLER": true, "PURGE": true, "CHANGE": true, "STOP": true,
	"REFRESH": true, "REINDEX": true, "CLUSTER": true, "CHECKPOINT": true, "IF": true, "WAITFOR": true, "BACKUP": true, "RESTORE": true, "DBCC": true,
	"PRINT": true, "BULK": true, "SYSTEM": true, "ATTACH": true, "DETACH": true, "EXISTS": true, "BATCH": true, "LIST": true,
}

// sqlBegins says whether b begins as a statement does: with a verb, behind which no name goes on.
func sqlBegins(b []byte) Guess {
	s := sqlScan{b: b[:min(len(b), sqlMaxScan)], escape: true}
	for s.next() {
		if s.kind == '(' {
			continue
		}
		if s.kind != 'w' || len(s.text) > sqlMaxWord {
			return No
		}
		word, whole := sqlUpper(s.text), s.at < len(s.b)
		switch {
		case whole && sqlVerbs[word]:
			return Yes
		case whole:
			return No
		}
		for v := range sqlVerbs {
			if len(v) >= len(word) && v[:len(word)] == word {
				return Maybe
			}
		}
		return No
	}
	return Maybe
}

func sqlUpper(b []byte) string {
	var buf [sqlMaxWord]byte
	return string(appendUpper(buf[:0], b))
}

func appendUpper(to, b []byte) []byte {
	for _, c := range b {
		if c >= 'a' && c <= 'z' {
			c -= 'a' - 'A'
		}
		to = append(to, c)
	}
	return to
}

// sqlTell tells the verb of a statement, upper case, and the tables that it names, without quotes.
func sqlTell(t *teller, statement []byte, escape bool, verb, table Field) {
	if !t.wants(verb) && !t.wants(table) {
		return
	}
	s := sqlScan{b: statement[:min(len(statement), sqlMaxScan)], escape: escape}
	for s.next() && s.kind == '(' {
	}
	if s.kind != 'w' || len(s.text) > sqlMaxWord {
		return
	}
	if s.is("WITH") {
		for depth := 0; s.next(); {
			switch s.kind {
			case '(':
				depth++
			case ')':
				depth--
			}
			if depth == 0 && (s.is("SELECT") || s.is("INSERT") || s.is("UPDATE") || s.is("DELETE") || s.is("MERGE")) {
				break
			}
		}
		if s.kind == 0 {
			t.addString(verb, "WITH")
			return
		}
	}
	word := s.text
	t.add(verb, t.write(func(b []byte) []byte { return appendUpper(b, word) }))
	if t.wants(table) {
		s.tables(t, table)
	}
}

// tables tells the tables that the statement names; its verb is in hand.
func (s *sqlScan) tables(t *teller, table Field) {
	ddl := s.is("CREATE") || s.is("ALTER") || s.is("DROP") || s.is("TRUNCATE") || s.is("LOCK") || s.is("RENAME") || s.is("LOAD") || s.is("REPAIR") || s.is("OPTIMIZE") || s.is("ANALYZE")
	name := s.is("UPDATE") || s.is("COPY") || s.is("DESC") || s.is("DESCRIBE") || s.is("TRUNCATE") || s.is("TABLE") // a table's name follows
	into := s.is("INSERT") || s.is("REPLACE") || s.is("MERGE") || s.is("SELECT") || ddl
	selects := uint64(0) // bit n: a SELECT or DELETE stands in the parentheses of depth n
	if s.is("SELECT") || s.is("DELETE") || s.is("SHOW") || s.is("UPDATE") {
		selects = 1
	}
	bare := s.is("INSERT") || s.is("REPLACE") || s.is("MERGE") // INTO may be left out
	lists := uint64(0)                                         // bit n: after a comma in the parentheses of depth n comes another table
	for depth, n := 0, 0; n < sqlMaxTables; {
		bit := uint64(1) << min(depth, sqlMaxDepth)
		if name {
			name = false
			if s.name(t, table) {
				n++
				bare = false
			}
			continue // what is no name is looked at as anything else
		}
		if !s.next() {
			return
		}
		switch {
		case s.kind == '(':
			depth++
			selects &^= 1 << min(depth, sqlMaxDepth)
			lists &^= 1 << min(depth, sqlMaxDepth)
		case s.kind == ')':
			depth = max(depth-1, 0)
		case s.kind == ',':
			name = lists&bit != 0
		case s.is("SELECT"), s.is("DELETE"):
			selects |= bit
			lists &^= bit
		case s.is("FROM"), s.is("JOIN"):
			if selects&bit != 0 {
				name = true
				lists |= bit
			}
		case s.is("DISTINCT"): // IS DISTINCT FROM
			if from := s.at; s.next() && !s.is("FROM") {
				s.at = from
			}
		case s.is("INTO"):
			name = into
			lists &^= bit
		case s.is("TABLE"):
			name = ddl || into
			lists |= bit
		case s.is("WHERE"), s.is("SET"), s.is("VALUES"), s.is("ORDER"), s.is("GROUP"), s.is("LIMIT"):
			bare = false
			lists &^= bit
		case bare && (s.kind == 'q' || s.kind == 'w' && !s.is("IGNORE") && !s.is("OVERWRITE") && !s.is("DELAYED") && !s.is("LOW_PRIORITY") && !s.is("HIGH_PRIORITY")):
			s.at -= len(s.text)
			name = true
		}
	}
}

// name takes a name, as "a"."b", and tells it. What stands before one is passed over.
func (s *sqlScan) name(t *teller, table Field) bool {
	for s.next() && (s.is("ONLY") || s.is("IF") || s.is("NOT") || s.is("EXISTS") || s.is("LATERAL") || s.is("TABLE") || s.is("INTO") || s.is("IGNORE") || s.is("LOW_PRIORITY")) {
	}
	if s.kind != 'w' && s.kind != 'q' || s.is("SELECT") || isDigit(s.text[0]) {
		s.at -= len(s.text)
		return false
	}
	out := t.write(func(b []byte) []byte {
		for {
			b = append(b, unquoted(s.text)...)
			if s.at+1 >= len(s.b) || s.b[s.at] != '.' {
				return b
			}
			from := s.at
			s.at++
			if s.next(); s.kind != 'w' && s.kind != 'q' {
				s.at = from + 1
				return b
			}
			b = append(b, '.')
		}
	})
	t.add(table, out)
	return true
}

func unquoted(b []byte) []byte {
	if c := b[0]; len(b) >= 2 && (c == '"' || c == '`' || c == '[') {
		return b[1 : len(b)-1]
	}
	return b
}
