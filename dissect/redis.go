package dissect

import (
	"errors"

	"weir/wire"
)

// Redis is RESP, the protocol of Redis, Valkey, KeyDB and Dragonfly.
var Redis = Protocol{
	Name: "redis",
	About: "RESP 2 and 3, and commands written as lines (Redis serialization protocol specification), as Redis, Valkey, KeyDB and Dragonfly speak it. An event " +
		"`redis` for each command with its reply, however they are pipelined; what the server says unasked (publications, MONITOR) has one of its own. " +
		"A reply is one value, its elements separated by tabs.",
	Carrier: Stream,
	Ports:   []uint16{6379, 6380, 26379},
	Probe:   probeRedis,
	Fields: []FieldSpec{
		redisRequest:  {Name: "redis.request", Doc: "command with its arguments, separated by spaces; of AUTH and HELLO only the command"},
		redisCommand:  {Name: "redis.command", Doc: "the command, upper case", EVE: "command", Derived: true},
		redisKey:      {Name: "redis.key", Doc: "its first key, or the channel that it publishes to", EVE: "key", Derived: true},
		redisPassword: {Name: "redis.password", Doc: "arguments of AUTH and HELLO, separated by spaces", Privacy: Credential},
		redisReply:    {Name: "redis.reply", Doc: "what the server says"},
		redisError:    {Name: "redis.error", Doc: "an error, as `NOAUTH Authentication required.`", EVE: "error"},
	},
	New:    newRedis,
	Resume: resumeRedis,
}

// Fields of Redis, in the order of Redis.Fields.
const (
	redisRequest Field = iota
	redisCommand
	redisKey
	redisPassword
	redisReply
	redisError
)

// from the specification
const (
	redisMaxBulk = 512 << 20 // bytes, as proto-max-bulk-len has it
	redisMaxArgs = 1 << 20   // of a command
)

// ours
const (
	redisMaxElements = 1 << 30  // elements of an aggregate
	redisOwn         = 64       // bytes of an argument or element that may be something of its own
	redisMaxName     = 64       // bytes of a command's name
	redisMaxLine     = 64 << 10 // bytes of a line
	redisMaxDepth    = 32       // aggregates in each other; in deeper ones the direction is given up as raw
	redisWords       = 24       // bytes of the first arguments that are remembered
	redisSize        = 512      // bytes that a redis is counted for
)

var (
	errRedis = errors.New("redis: not RESP")

	redisNoteDeep = Note{"redis.too_deep", false, "aggregates in each other, deeper than the limit: inspected as raw bytes from here on"}
)

// redisAsked is a command that waits for its replies.
type redisAsked struct {
	tx uint64
	n  int32 // replies
}

// redisSide is the state of one direction.
type redisSide struct {
	u     unit
	text  pieces // the request or reply in hand
	key   pieces // likewise its key
	value pieces // the bulk string in hand: what is left of it
	bulk  bool   // it is in hand
	bare  bool   // no CRLF follows it
	fails bool   // it is an error
	begun bool   // something of text was told
}

// redis parses one flow.
type redis struct {
	p       *Protocol
	env     *Env
	lastID  uint64
	lastTx  uint64
	pending []redisAsked // from first on, oldest first
	first   int
	side    [2]redisSide

	// the command in hand
	args   int64 // arguments still to come, that in hand among them
	arg    int64 // number of that in hand; 0: the command itself
	kind   redisKind
	words  [redisWords]byte // its first arguments, upper case, separated by spaces
	nwords uint8
	n      int32 // replies that it gets

	// the reply in hand
	depth int
	left  [redisMaxDepth]int64 // elements still to come of each aggregate

	quiet   bool // CLIENT REPLY OFF
	skip    bool // CLIENT REPLY SKIP: of the next command, too
	listens bool // it has subscribed
	sync    bool // a replica: a file comes as a bulk string without CRLF
	endless bool // likewise, without a length: all that comes is one value
}

// redisKind is what matters of a command.
type redisKind uint8

const (
	redisKeyed     redisKind = iota // its first argument is a key
	redisKeyless                    //
	redisSecret                     // AUTH, HELLO
	redisClient                     // CLIENT
	redisSubscribe                  // a reply for each argument
	redisSync                       // SYNC, PSYNC
)

// redisKinds has commands whose first argument is no key.
var redisKinds = map[string]redisKind{
	"AUTH": redisSecret, "HELLO": redisSecret, "CLIENT": redisClient, "SUBSCRIBE": redisSubscribe, "PSUBSCRIBE": redisSubscribe, "SSUBSCRIBE": redisSubscribe,
	"UNSUBSCRIBE": redisSubscribe, "PUNSUBSCRIBE": redisSubscribe, "SUNSUBSCRIBE": redisSubscribe, "SYNC": redisSync, "PSYNC": redisSync,
	"PING": redisKeyless, "ECHO": redisKeyless, "SELECT": redisKeyless, "INFO": redisKeyless, "CONFIG": redisKeyless, "COMMAND": redisKeyless, "CLUSTER": redisKeyless,
	"KEYS": redisKeyless, "SCAN": redisKeyless, "EVAL": redisKeyless, "EVALSHA": redisKeyless, "FCALL": redisKeyless, "FUNCTION": redisKeyless, "SCRIPT": redisKeyless,
	"SLAVEOF": redisKeyless, "REPLICAOF": redisKeyless, "REPLCONF": redisKeyless, "ROLE": redisKeyless, "WAIT": redisKeyless, "SHUTDOWN": redisKeyless, "SAVE": redisKeyless,
	"BGSAVE": redisKeyless, "FLUSHALL": redisKeyless, "FLUSHDB": redisKeyless, "DBSIZE": redisKeyless, "DEBUG": redisKeyless, "SLOWLOG": redisKeyless, "LATENCY": redisKeyless,
	"ACL": redisKeyless, "MODULE": redisKeyless, "MULTI": redisKeyless, "EXEC": redisKeyless, "XREAD": redisKeyless, "XREADGROUP": redisKeyless, "XINFO": redisKeyless,
	"XGROUP": redisKeyless, "OBJECT": redisKeyless, "MEMORY": redisKeyless, "PUBSUB": redisKeyless, "TIME": redisKeyless, "QUIT": redisKeyless, "RESET": redisKeyless,
	"SWAPDB": redisKeyless, "FAILOVER": redisKeyless, "SENTINEL": redisKeyless, "BITOP": redisKeyless, "MONITOR": redisKeyless, "LASTSAVE": redisKeyless, "MIGRATE": redisKeyless,
}

func newRedis(p *Protocol, env *Env) Dissector { return &redis{p: p, env: env} }

func resumeRedis(p *Protocol, env *Env, r Rest) Dissector {
	return &redis{p: p, env: env, lastID: r.ID, lastTx: r.Tx, quiet: r.State&1 != 0, listens: r.State&2 != 0, sync: r.State&4 != 0, skip: r.State&8 != 0}
}

// Rest implements Dissector: no command waits for its reply.
func (d *redis) Rest() (Rest, bool) {
	ok := d.first == len(d.pending) && d.side[0].u.id == 0 && d.side[1].u.id == 0 && d.args == 0 && !d.endless
	return Rest{ID: d.lastID, Tx: d.lastTx, State: bit(d.quiet) | bit(d.listens)<<1 | bit(d.sync)<<2 | bit(d.skip)<<3}, ok
}

// Size implements Dissector.
func (d *redis) Size() int { return redisSize + 16*cap(d.pending) }

// Feed implements Dissector.
func (d *redis) Feed(dir wire.Dir, data []byte, emit func(*Message)) (pr Progress, err error) {
	s := &d.side[dir]
	t := d.env.teller(d.p, dir, &s.u, emit)
	for pr.Used < len(data) && pr.Need == 0 && err == nil {
		n := 0
		switch b := data[pr.Used:]; {
		case s.bulk:
			n, pr.Need, err = d.bulk(dir, s, t, b)
		case dir == wire.ToServer:
			n, pr.Need, err = d.request(s, t, b)
		default:
			n, pr.Need, err = d.reply(s, t, b)
		}
		pr.Used += n
	}
	t.flush(false, false)
	return pr, err
}

// ask notes the command in hand for its replies.
func (d *redis) ask(tx uint64, n int32) {
	if d.first > 0 && d.first == len(d.pending) {
		d.pending, d.first = d.pending[:0], 0
	}
	if len(d.pending)-d.first >= d.env.Limits.Pending {
		d.first++
	}
	if d.first > 64 && d.first > len(d.pending)/2 {
		d.pending, d.first = d.pending[:copy(d.pending, d.pending[d.first:])], 0
	}
	d.pending = append(d.pending, redisAsked{tx, n})
}

// begin takes a message in hand.
func (d *redis) begin(s *redisSide, tx uint64) {
	d.lastID++
	s.u = unit{id: d.lastID, tx: tx}
	s.text, s.key, s.begun = pieces{}, pieces{}, false
}

// end ends the message in hand.
func (d *redis) end(s *redisSide, t *teller, tx bool) {
	t.joinEnd(&s.text)
	t.flush(true, tx)
	s.u = unit{}
}

// say tells bytes of the request or reply in hand, as a value of f.
func (s *redisSide) say(t *teller, f Field, sep string, b []byte, first bool) {
	if s.text.value == 0 || s.text.field != f {
		if !t.wants(f) {
			return
		}
		t.joinEnd(&s.text)
		s.text = pieces{field: f, value: t.value()}
	} else if first && s.begun {
		t.joinString(&s.text, sep)
	}
	s.begun = true
	own := first && s.bulk && s.value.left >= redisOwn
	if own {
		t.at = -1
	}
	t.join(&s.text, b)
	if n := len(t.parts); own && n > 0 && t.parts[n-1].Value == s.text.value {
		t.parts[n-1].Begin = true
	}
}

// Gap implements Dissector: it goes on if what was lost lies within a bulk string.
func (d *redis) Gap(dir wire.Dir, n int, emit func(*Message)) bool {
	s := &d.side[dir]
	if !s.bulk || !d.endless && !s.value.lost(n) {
		return d.endless
	}
	s.text.off += int64(n)
	return true
}

// Close implements Dissector.
func (d *redis) Close(dir wire.Dir, emit func(*Message)) {
	if s := &d.side[dir]; s.u.id != 0 {
		t := d.env.teller(d.p, dir, &s.u, emit)
		d.end(s, t, dir == wire.ToClient)
	}
}
