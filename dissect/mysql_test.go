package dissect

import (
	"strings"
	"testing"
)

func mysqlPacket(seq byte, body string) string {
	n := len(body)
	return string([]byte{byte(n), byte(n >> 8), byte(n >> 16), seq}) + body
}

func mysqlLong(s string) string {
	return string([]byte{0xfd, byte(len(s)), byte(len(s) >> 8), byte(len(s) >> 16)}) + s
}

// TestMySQLLarge plays packets that are larger than what is waited for: what is in them is told as it comes.
func TestMySQLLarge(t *testing.T) {
	long := strings.Repeat("0123456789", 7000)
	def := mysqlPacket(2, "\x03def\x00\x00\x00\x01a\x00\x0c\x21\x00\xff\x00\x00\x00\xfd\x00\x00\x00\x00\x00")
	end := mysqlPacket(4, "\xfe\x00\x00\x02\x00")
	turns := []turn{
		{toS, mysqlPacket(0, "\x03SELECT '"+long+"' FROM shop.orders")},
		{toC, mysqlPacket(1, "\x01") + def + mysqlPacket(3, "\x01a"+mysqlLong(long)+"\xfb\x00\x01b") + mysqlPacket(4, "\x01c") + end},
		{toS, mysqlPacket(0, "\x18\x01\x00\x00\x00\x00\x00"+long) + mysqlPacket(0, "\x0e")},
		{toC, mysqlPacket(1, "\x00\x00\x00\x02\x00\x00\x00")},
		{toS, mysqlPacket(0, "\x03LOAD DATA LOCAL INFILE 'x' INTO TABLE t")},
		{toC, mysqlPacket(1, "\xfbx")},
		{toS, mysqlPacket(2, "a") + mysqlPacket(3, long) + mysqlPacket(4, "")},
		{toC, mysqlPacket(5, "\x00\x00\x00\x02\x00\x00\x00")},
	}
	inPieces(t, &MySQL, turns, map[string]string{
		"1 mysql.command": "query", "1 mysql.query": "SELECT '" + long + "' FROM shop.orders", "1 mysql.verb": "SELECT",
		"2 mysql.column": "a", "2 mysql.row": "a\t" + long + "\t\t\tb|c", "2 mysql.rows": "2",
		"3 mysql.command": "stmt_send_long_data", "3 mysql.statement_id": "1", "3 mysql.parameter": long, "4 mysql.command": "ping",
		"6 mysql.command": "query", "6 mysql.query": "LOAD DATA LOCAL INFILE 'x' INTO TABLE t", "6 mysql.verb": "LOAD", "6 mysql.table": "t",
		"7 mysql.file_name": "x", "8 mysql.file": "a" + long,
	})
}

// TestMySQLSplit plays a statement that goes on in a second packet, for it is longer than a packet may be.
func TestMySQLSplit(t *testing.T) {
	text := "SELECT '" + strings.Repeat("x", 1<<24)
	e, err := piecemeal(t, &MySQL, newEnv(), []turn{
		{toS, mysqlPacket(0, "\x03"+text[:mysqlMaxPacket-1]) + mysqlPacket(1, text[mysqlMaxPacket-1:]) + mysqlPacket(0, "\x0e")},
	}, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if got := e.values["1 mysql.query 3/0"]; got != text {
		t.Errorf("got %d bytes, want %d: %q", len(got), len(text), e.keys)
	}
	if got := e.values["2 mysql.command 1/0"]; got != "ping" {
		t.Errorf("got %q, want ping", got)
	}
}
