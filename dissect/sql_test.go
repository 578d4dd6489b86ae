package dissect

import (
	"strings"
	"testing"
)

func TestSQL(t *testing.T) {
	for _, c := range []struct{ sql, want string }{
		{"select * from a", "SELECT a"},
		{"  /* x */ -- y\n SeLeCt 1", "SELECT"},
		{"SELECT a.x, 'from z' FROM \"Sales\".\"Order s\" a JOIN b ON a.i=b.i, c WHERE x IN (SELECT y FROM d, e)", "SELECT Sales.Order s b c d e"},
		{"select extract(year from t) from u", "SELECT u"},
		{"SELECT 1 IS DISTINCT FROM 2", "SELECT"},
		{"select * from (select * from in1) x, out1", "SELECT in1 out1"},
		{"INSERT INTO `t 1` (a, b) VALUES (1, 'into x')", "INSERT t 1"},
		{"insert ignore t values (1)", "INSERT t"},
		{"replace into x.y select * from z", "REPLACE x.y z"},
		{"UPDATE ONLY t SET a = 1 FROM u WHERE 1", "UPDATE t u"},
		{"INSERT INTO t VALUES (1) ON DUPLICATE KEY UPDATE a = 2", "INSERT t"},
		{"DELETE FROM [dbo].[t x] WHERE a = 1", "DELETE dbo.t x"},
		{"CREATE TABLE IF NOT EXISTS a.b (x int)", "CREATE a.b"},
		{"DROP TABLE IF EXISTS a, b", "DROP a b"},
		{"TRUNCATE t", "TRUNCATE t"},
		{"truncate table t", "TRUNCATE t"},
		{"WITH x AS (SELECT * FROM y) DELETE FROM z USING x", "DELETE z"},
		{"COPY t (a, b) FROM STDIN", "COPY t"},
		{"LOAD DATA LOCAL INFILE 'x' INTO TABLE t", "LOAD t"},
		{"MERGE INTO t USING s ON 1", "MERGE t"},
		{"EXPLAIN SELECT * FROM t", "EXPLAIN t"},
		{"SELECT * INTO n FROM o", "SELECT n o"},
		{"SELECT $1; DELETE FROM t", "SELECT t"},
		{"SET x = 1", "SET"},
		{"('x')", ""},
		{"", ""},
		{"select * from a, b, c, d, e, f, g, h, i, j", "SELECT a b c d e f g h"},
		{"select * from ((((a)))) x, (b)", "SELECT"},
		{"SELECT 'it''s \\' FROM t", "SELECT t"},
		{"SELECT \"unclosed FROM t", "SELECT"},
		{"SELECT /*! * FROM t */", "SELECT"},
	} {
		var got []string
		env := newEnv()
		u := unit{id: 1}
		tl := env.teller(&PostgreSQL, toS, &u, func(m *Message) {
			for _, p := range m.Parts {
				got = append(got, string(p.Bytes))
			}
		})
		sqlTell(tl, []byte(c.sql), false, pgVerb, pgTable)
		tl.flush(true, true)
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%s: got %s, want %s", c.sql, s, c.want)
		}
	}
}
