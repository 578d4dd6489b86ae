package dissect

import (
	"bytes"

	"weir/wire"
)

// redisInline are the commands that are believed of a client that writes lines.
var redisInline = []string{"PING\r\n", "INFO\r\n", "COMMAND\r\n", "CONFIG GET ", "KEYS ", "FLUSHALL\r\n", "FLUSHDB\r\n", "MONITOR\r\n", "SUBSCRIBE ", "PSUBSCRIBE ",
	"SLAVEOF ", "REPLICAOF ", "SYNC\r\n", "PSYNC ", "DBSIZE\r\n", "CLIENT LIST\r\n", "HGETALL ", "LRANGE ", "info\r\n", "ping\r\n"}

// redisWrites are commands that begin what is loaded as lines, with the words that follow at least.
var redisWrites = []struct {
	name  string
	words int
}{{"SET ", 2}, {"SETEX ", 3}, {"MSET ", 2}, {"HSET ", 3}, {"HMSET ", 3}, {"SADD ", 2}, {"ZADD ", 3}, {"LPUSH ", 2}, {"RPUSH ", 2}, {"XADD ", 4}}

// redisReplies are errors that only such a server says.
var redisReplies = []string{"-NOAUTH ", "-WRONGTYPE ", "-NOPERM ", "-WRONGPASS ", "-MOVED ", "-ASK ", "-LOADING ", "-READONLY ", "-DENIED ", "-BUSY ", "-NOPROTO ", "+PONG\r\n", "+FULLRESYNC ", "+CONTINUE"}

// probeRedis says Yes to an array of bulk strings, and to answers that are told from text.
func probeRedis(dir wire.Dir, head []byte) Guess {
	if head[0] == '*' {
		return probeRedisArray(dir, head)
	}
	list := redisInline
	if dir == wire.ToClient {
		switch head[0] {
		case '$':
			return probeRedisBulk(head)
		case '%', '~', '>':
			return probeRedisArray(dir, head)
		case ':':
			_, _, g := redisCount(head[1:])
			return g
		case '-':
			if g := probeRedisError(head); g != No {
				return g
			}
		}
		list = redisReplies
	}
	best := No
	for _, s := range list {
		best = max(best, starts(head, s))
	}
	if dir == wire.ToServer {
		for _, w := range redisWrites {
			if g := starts(head, w.name); g == Yes {
				return probeRedisLine(head[len(w.name):], w.words)
			} else if g == Maybe {
				best = max(best, Maybe)
			}
		}
	}
	return best
}

// probeRedisLine knows a line of that many words of text at least, with one space between.
func probeRedisLine(b []byte, words int) Guess {
	n, space := 0, true
	for i, c := range b {
		switch {
		case c == '\r':
			switch {
			case n < words || space:
				return No
			case i+1 == len(b):
				return Maybe
			}
			return starts(b[i+1:], "\n")
		case c == ' ' && space, c < ' ', c == 0x7f:
			return No
		case space:
			n++
		}
		space = c == ' '
	}
	return Maybe
}

// probeRedisError knows "-ERR " with text that no quote begins: NATS says those.
func probeRedisError(head []byte) Guess {
	if g := starts(head, "-ERR "); g != Yes {
		return g
	}
	if len(head) == len("-ERR ") {
		return Maybe
	}
	if c := head[5]; c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' {
		return Yes
	}
	return No
}

// probeRedisArray knows an array or another aggregate whose first element is there.
func probeRedisArray(dir wire.Dir, head []byte) Guess {
	n, rest, g := redisCount(head[1:])
	if g != Yes {
		return g
	}
	if n == 0 || n > redisMaxElements || dir == wire.ToServer && n > 1<<20 {
		return No
	}
	if len(rest) == 0 {
		return Maybe
	}
	if dir == wire.ToClient {
		if bytes.IndexByte([]byte("$:*+-%~_#,(=!"), rest[0]) >= 0 {
			if rest[0] == '+' || rest[0] == '-' || rest[0] == '_' {
				return Yes
			}
			_, _, g := redisCount(rest[1:])
			return g
		}
		return No
	}
	if rest[0] != '$' {
		return No
	}
	n, rest, g = redisCount(rest[1:])
	switch {
	case g != Yes:
		return g
	case n == 0 || n > redisMaxName:
		return No
	case len(rest) == 0:
		return Maybe
	}
	if c := rest[0]; c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' {
		return Yes
	}
	return No
}

// probeRedisBulk knows a bulk string that ends where it says.
func probeRedisBulk(head []byte) Guess {
	n, rest, g := redisCount(head[1:])
	switch {
	case g != Yes:
		return g
	case n > MaxProbe:
		return No
	case len(rest) < int(n)+2:
		return Maybe
	}
	return starts(rest[n:], "\r\n")
}

// redisCount reads a number up to its CRLF.
func redisCount(b []byte) (n int64, rest []byte, g Guess) {
	for i, c := range b {
		switch {
		case isDigit(c) && i < 12:
			n = n*10 + int64(c-'0')
		case c == '\r' && i > 0:
			if i+1 == len(b) {
				return 0, nil, Maybe
			}
			if b[i+1] != '\n' {
				return 0, nil, No
			}
			return n, b[i+2:], Yes
		default:
			return 0, nil, No
		}
	}
	return 0, nil, Maybe
}
