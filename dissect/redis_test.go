package dissect

import (
	"fmt"
	"strings"
	"testing"
)

func redisBulk(s string) string { return fmt.Sprintf("$%d\r\n%s\r\n", len(s), s) }

// TestRedisLarge plays strings that are never held whole.
func TestRedisLarge(t *testing.T) {
	long := strings.Repeat("0123456789", 30000)
	inPieces(t, &Redis, []turn{
		{toS, "*3\r\n" + redisBulk("SET") + redisBulk(long) + redisBulk(long)},
		{toC, "+OK\r\n"},
		{toS, "*2\r\n" + redisBulk("mget") + redisBulk("k")},
		{toC, "*3\r\n" + redisBulk("a") + redisBulk(long) + redisBulk("")},
		{toS, "*1\r\n" + redisBulk(long[:100])},
		{toC, "-ERR\r\n"},
	}, map[string]string{
		"1 redis.request": "SET " + long + " " + long, "1 redis.command": "SET", "1 redis.key": long, "2 redis.reply": "OK",
		"3 redis.request": "mget k", "3 redis.command": "MGET", "3 redis.key": "k", "4 redis.reply": "a\t" + long,
		"5 redis.request": long[:100], "6 redis.error": "ERR",
	})
}

// TestRedisReplica plays what a replica gets: a file whose length is known, or that has no end, and commands behind it.
func TestRedisReplica(t *testing.T) {
	for _, c := range []struct{ name, file, want string }{
		{"length", "$5\r\nREDIS" + "*1\r\n$4\r\nPING\r\n", "FULLRESYNC 1 2|REDIS|PING"},
		{"no length", "$EOF:" + strings.Repeat("x", 40) + "\r\nREDIS*1", "FULLRESYNC 1 2|REDIS*1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, err := piecemeal(t, &Redis, newEnv(), []turn{
				{toS, "*3\r\n" + redisBulk("PSYNC") + redisBulk("?") + redisBulk("-1")},
				{toC, "+FULLRESYNC 1 2\r\n" + c.file},
			}, 0)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, k := range e.keys {
				if strings.Contains(k, "redis.reply") {
					got = append(got, e.values[k])
				}
			}
			if s := strings.Join(got, "|"); s != c.want {
				t.Errorf("got %q, want %q", s, c.want)
			}
		})
	}
}
