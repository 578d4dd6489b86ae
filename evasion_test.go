package weir_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/gopacket/layers"

	"weir/alert"
	"weir/daemon"
	"weir/dissect"
	"weir/dlp"
	"weir/engine"
	"weir/flow"
	"weir/wire"
)

var (
	evasionSeed = flag.Uint64("evasion.seed", 0, "seed of the only dialogue that TestEvasion plays; 0: many")
	evasionTime = flag.Duration("evasion.time", 5*time.Second, "how long TestEvasion plays dialogues")
)

// trick is a set of what is done to a dialogue on its way.
type trick uint

const (
	cutUp trick = 1 << iota
	reorder
	duplicate
	resegment
	sparseACKs
	wrapISN
	timestamps
	shuffleFragments
	forgedRST // from here on decoys: their receiver drops them
	oldRST
	farFIN
	forgedSYN
	badChecksum
	withoutACK
	oldStamp
	wrongACK
	farData
	probe
	allTricks = 1<<iota - 1
)

var trickNames = []string{"cut", "reorder", "duplicate", "resegment", "sparseACKs", "wrapISN", "timestamps", "shuffleFragments",
	"forgedRST", "oldRST", "farFIN", "forgedSYN", "badChecksum", "withoutACK", "oldStamp", "wrongACK", "farData", "probe"}

func (k trick) String() string {
	var s []string
	for i, n := range trickNames {
		if k&(1<<i) != 0 {
			s = append(s, n)
		}
	}
	return strings.Join(s, ",")
}

// TestEvasion plays random dialogues in random ways: a message that holds the token is told once, and nothing else is.
func TestEvasion(t *testing.T) {
	db := evasionDB(t)
	defer db.Close()
	if *evasionSeed != 0 {
		playEvasion(t, db, *evasionSeed)
		return
	}
	first := rand.Uint64() >> 1
	n := uint64(0)
	for end := time.Now().Add(*evasionTime); time.Now().Before(end) && !t.Failed(); n++ {
		playEvasion(t, db, first+n)
	}
	t.Logf("%d dialogues from -evasion.seed %d on", n, first)
}

func evasionDB(t *testing.T) *dlp.Database {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rules.toml")
	if err := os.WriteFile(path, []byte(evasionRule), 0o600); err != nil {
		t.Fatal(err)
	}
	set, problems := daemon.LoadRules([]string{path}, false)
	if problems.Failed() {
		t.Fatal(problems.Err())
	}
	db, err := dlp.Compile(set, dlp.Options{FingerprintKey: make([]byte, 32)})
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func playEvasion(t *testing.T, db *dlp.Database, seed uint64) {
	a := &author{t: t, r: rand.New(rand.NewPCG(seed, 1))}
	turns := a.dialogue()
	list := wrappings()
	wrap := list[a.r.IntN(len(list))]
	for _, tricks := range []trick{0, allTricks} {
		c := newCarrier(t, rand.New(rand.NewPCG(seed, 2)), tricks, wrap)
		c.play(turns)
		if got := evade(db, a, c.sends); got != "" {
			c.shrink(func() bool { return evade(db, a, c.sends) != "" })
			t.Errorf("-evasion.seed %d, %s, tricks %v: %s\nwhere the token is: %s\n%s", seed, wrap.name, tricks != 0, evade(db, a, c.sends), strings.Join(a.places, "; "), c.text())
			return
		}
	}
}

// shrink leaves out what is not needed to fail.
func (c *carrier) shrink(fails func() bool) {
	for n := len(c.sends); n > 0; n /= 2 {
		for i := 0; i+n <= len(c.sends); i++ {
			if slices.ContainsFunc(c.sends[i:i+n], func(s send) bool { return !s.spare }) {
				continue
			}
			all := c.sends
			c.sends = slices.Concat(all[:i], all[i+n:])
			if !fails() {
				c.sends = all
			} else {
				i--
			}
		}
	}
}

func (c *carrier) text() string {
	var b strings.Builder
	for i, s := range c.sends {
		if i == 200 {
			b.WriteString("...\n")
			break
		}
		b.WriteString(s.what + "\n")
	}
	return b.String()
}

// evade takes packets through an engine. It returns what is wrong with what was told.
func evade(db *dlp.Database, a *author, sends []send) (wrong string) {
	var alerts, odd []string
	e := engine.New(engine.Config{Flow: flow.DefaultLimits, Dissect: dissect.DefaultLimits, Events: map[string]bool{"alert": true, "anomaly": true},
		Emit: func(ev *alert.Event) {
			if ev.Anomaly != nil {
				odd = append(odd, ev.Anomaly.Event)
				return
			}
			what := ev.Weir.Rule
			if len(ev.Weir.Matches) > 0 {
				what += " in " + ev.Weir.Matches[0].Field
			}
			alerts = append(alerts, what)
		}})
	e.SetRules(db)
	lane := e.NewLane()
	defer lane.Free()
	lane.Poison = true
	lane.OnPanic = func(stack string) { wrong = "panic: " + stack }
	tap := e.NewTap(engine.TapConfig{})
	now := int64(1_700_000_000_000_000_000)
	for _, s := range sends {
		for _, data := range s.frames {
			now += 100_000
			lane.Block(tap, []wire.Frame{{Data: slices.Clone(data), Time: now, Len: uint32(len(data)), Link: wire.LinkEthernet}})
		}
	}
	lane.Close(tap)
	n := 0
	for _, what := range alerts {
		if strings.HasPrefix(what, "test.token in ") {
			n++
		}
	}
	if wrong == "" && (n != a.want || n != len(alerts)) {
		wrong = fmt.Sprintf("got %d of %d: %s\nanomalies: %s", n, a.want, strings.Join(alerts, "; "), strings.Join(odd, "; "))
	}
	return wrong
}

// send is a packet, as one frame or several.
type send struct {
	frames [][]byte
	spare  bool // the dialogue is whole without it
	what   string
}

// carrier sends turns as an evasive sender on a bad network does, to a receiver that follows the standards.
type carrier struct {
	*player
	r       *rand.Rand
	tricks  trick
	sends   []send
	got     [2]received
	sent    [2]string // all that client, server said
	isn     [2]uint32
	clock   uint32
	hostile bool // the client is the one whose packets are forged
}

// received is what an end has of the other one's stream.
type received struct {
	have []bool
	next int
}

func newCarrier(t testing.TB, r *rand.Rand, tricks trick, wrap wrapping) *carrier {
	c := &carrier{r: r, tricks: tricks, clock: r.Uint32(), hostile: r.IntN(2) == 0}
	if put := wrap.put; tricks&shuffleFragments != 0 {
		wrap.put = func(t testing.TB, p ipPacket) [][]byte {
			frames := put(t, p)
			r.Shuffle(len(frames), func(i, j int) { frames[i], frames[j] = frames[j], frames[i] })
			return frames
		}
	}
	c.player = &player{t: t, d: &dialogue{client: uint16(1024 + r.IntN(60000)), srv: []uint16{80, 8080, 443, 5555}[r.IntN(4)]}, wrap: wrap}
	for i := range c.seq {
		c.seq[i] = r.Uint32()
		if tricks&wrapISN != 0 {
			c.seq[i] = -uint32(1 + r.IntN(3000))
		}
	}
	return c
}

func (c *carrier) on(k trick) bool { return c.tricks&k != 0 }
func (c *carrier) one(n int) bool  { return c.r.IntN(n) == 0 }

// options are those of a segment, with a timestamp so far back.
func (c *carrier) options(other []layers.TCPOption, back uint32) []layers.TCPOption {
	if !c.on(timestamps) {
		return other
	}
	c.clock += uint32(c.r.IntN(2))
	v := c.clock - back
	return append(slices.Clone(other), layers.TCPOption{OptionType: layers.TCPOptionKindTimestamps, OptionLength: 10,
		OptionData: []byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v), 0, 0, 0, 1}})
}

func (c *carrier) play(turns []turn) {
	c.isn = [2]uint32{c.seq[0] + 1, c.seq[1] + 1}
	c.send(true, c.seq[0], "", func(t *layers.TCP) { t.SYN, t.ACK, t.Ack, t.Options = true, false, 0, c.options(scaled, 0) })
	c.send(false, c.seq[1], "", func(t *layers.TCP) { t.SYN, t.Options = true, c.options(scaled, 0) })
	c.ack(true)
	for _, u := range turns {
		c.turn(u)
	}
	for _, client := range []bool{true, false} {
		c.send(client, c.isn[side(client)]+uint32(len(c.sent[side(client)])), "", func(t *layers.TCP) { t.FIN = true })
	}
}

// send is a segment as its sender would send it: it acknowledges what came.
func (c *carrier) send(client bool, seq uint32, data string, set func(*layers.TCP)) {
	o, what := side(!client), ""
	c.segment(client, seq, data, func(t *layers.TCP) {
		t.Ack = c.isn[o] + uint32(c.got[o].next)
		t.Options = c.options(nil, 0)
		if set != nil {
			set(t)
		}
		what = fmt.Sprintf("%5v seq %d len %d ack %d flags %s", client, int32(t.Seq-c.isn[side(client)]), len(data), int32(t.Ack-c.isn[o]), flags(t))
	})
	c.sends = append(c.sends, send{frames: c.frames, what: what, spare: len(data) == 0 && len(c.sends) > 2})
	c.frames = nil
}

func flags(t *layers.TCP) (s string) {
	for _, f := range []struct {
		name string
		set  bool
	}{{"S", t.SYN}, {"F", t.FIN}, {"R", t.RST}, {"A", t.ACK}, {" badsum", t.Checksum != 0}} {
		if f.set {
			s += f.name
		}
	}
	return s
}

func (c *carrier) ack(client bool) {
	c.send(client, c.isn[side(client)]+uint32(len(c.sent[side(client)])), "", nil)
}

// piece is a range of a side's stream.
type piece struct{ from, to int }

func (c *carrier) turn(u turn) {
	me := side(u.client)
	from := len(c.sent[me])
	c.sent[me] += string(u.data)
	to := len(c.sent[me])
	got := &c.got[me]
	got.have = append(got.have, make([]bool, len(u.data))...)
	for _, p := range c.pieces(from, to) {
		if c.one(6) {
			c.decoy(u.client)
		}
		c.send(u.client, c.isn[me]+uint32(p.from), c.sent[me][p.from:p.to], nil)
		c.sends[len(c.sends)-1].spare = !slices.Contains(got.have[p.from:p.to], false)
		for i := p.from; i < p.to; i++ {
			got.have[i] = true
		}
		for got.next < len(got.have) && got.have[got.next] {
			got.next++
		}
		if !c.on(sparseACKs) || c.one(5) {
			// A receiver acknowledges its own sequence number as far as it has spoken.
			c.ack(!u.client)
		}
	}
	if !c.on(sparseACKs) || c.one(2) {
		c.ack(!u.client)
	}
}

// pieces cuts a range up, repeats and reorders it; all of it is there.
func (c *carrier) pieces(from, to int) (out []piece) {
	most := maxSegment
	if c.on(cutUp) && to-from < 6000 {
		most = 1 + c.r.IntN([]int{2, 12, 100, maxSegment}[c.r.IntN(4)])
	}
	for at := from; at < to; {
		n := min(1+c.r.IntN(most), to-at)
		if !c.on(cutUp) {
			n = min(maxSegment, to-at)
		}
		out = append(out, piece{at, at + n})
		at += n
	}
	if c.on(reorder) && c.one(2) {
		reach := 1 + c.r.IntN(40)
		for i := range out {
			j := i + c.r.IntN(min(reach, len(out)-i))
			out[i], out[j] = out[j], out[i]
		}
	}
	var more []piece
	for _, p := range out {
		more = append(more, p)
		if c.on(duplicate) && c.one(6) {
			more = append(more, piece{p.from, p.to})
		}
		if c.on(resegment) && c.one(6) { // again, cut elsewhere, as far back as there is
			q := piece{max(0, p.from-c.r.IntN(300)), min(to, p.to+c.r.IntN(300))}
			q.to = min(q.to, q.from+maxSegment)
			more = append(more, q)
		}
	}
	return more
}

// decoy is a segment that its receiver drops.
func (c *carrier) decoy(client bool) {
	me, o := side(client), side(!client)
	if client != c.hostile { // one end's packets are forged: with both, nobody could tell what is true
		return
	}
	next := c.isn[me] + uint32(c.got[me].next)
	end := c.isn[me] + uint32(len(c.sent[me]))
	noise := strings.Repeat("0\r\n\r\nHTTP/1.1 999 decoy\r\n", 1+c.r.IntN(3))
	const far = window<<wscale + 1<<21
	kind := forgedRST << c.r.IntN(len(trickNames)-8)
	n := uint32(c.r.IntN(30000))
	if !c.on(kind) {
		return
	}
	before := len(c.sends)
	defer func() {
		for i := range c.sends[before:] {
			c.sends[before+i].spare = true
			c.sends[before+i].what += " decoy"
		}
	}()
	switch kind {
	case forgedRST:
		c.send(client, end+1+n, "", func(t *layers.TCP) { t.RST = true })
	case oldRST:
		c.send(client, next-1-n, noise, func(t *layers.TCP) { t.RST = true })
	case farFIN:
		c.send(client, end+far, "", func(t *layers.TCP) { t.FIN = true })
	case forgedSYN:
		c.send(client, next+(n<<16), "", func(t *layers.TCP) { t.SYN, t.ACK, t.Ack = true, false, 0 })
	case badChecksum:
		c.send(client, next, noise, func(t *layers.TCP) { t.Checksum = 1 })
	case withoutACK:
		c.send(client, next, noise, func(t *layers.TCP) { t.ACK, t.Ack = false, 0 })
	case oldStamp:
		if c.on(timestamps) {
			c.send(client, next, noise, func(t *layers.TCP) { t.Options = c.options(nil, 100000) })
		}
	case wrongACK:
		c.send(client, next, noise, func(t *layers.TCP) { t.Ack += uint32(len(c.sent[o])-c.got[o].next) + 1 + n })
	case farData:
		c.send(client, end+far, noise, nil)
	case probe: // a keep-alive
		c.send(client, next-1, noise[:n%2], nil)
	}
}
