package engine

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"weir/dissect"
	"weir/dlp"
	"weir/flow"
	"weir/rules"
	"weir/wire"
)

// talk is a TCP connection whose frames are made in place: its two ends say data in turn, in order.
type talk struct {
	lane *Lane
	tap  *Tap
	seq  [2]uint32
	now  int64
	buf  [2][]byte
	one  [1]wire.Frame
	held bool // its packets are held until they are judged
}

const headers = 14 + 20 + 20 // bytes: Ethernet, IPv4, TCP

func newTalk(tb testing.TB, rs ...*rules.Rule) *talk {
	tb.Helper()
	e := New(Config{Flow: flow.DefaultLimits, Checksum: flow.ChecksumIgnore, Dissect: dissect.DefaultLimits})
	if len(rs) > 0 {
		db, err := dlp.Compile(&rules.Set{Rules: rs}, dlp.Options{})
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(db.Close)
		e.SetRules(db)
	}
	t := &talk{lane: e.NewLane(), tap: e.NewTap(TapConfig{}), seq: [2]uint32{1000, 2000}, now: 1e18}
	tb.Cleanup(t.lane.Free)
	t.say(wire.ToServer, 0x02, "")
	t.seq[wire.ToServer]++
	t.say(wire.ToClient, 0x12, "")
	t.seq[wire.ToClient]++
	t.say(wire.ToServer, 0x10, "")
	return t
}

// say sends a segment with the flags and takes it through the pipeline.
func (t *talk) say(dir wire.Dir, flags byte, data string) {
	b := t.buf[dir]
	if len(b) != headers+len(data) {
		b = make([]byte, headers+len(data))
		t.buf[dir] = b
	}
	be := binary.BigEndian
	be.PutUint16(b[12:], 0x0800)
	ip, tcp := b[14:], b[34:]
	ip[0], ip[8], ip[9] = 0x45, 64, 6
	be.PutUint16(ip[2:], uint16(len(b)-14))
	copy(ip[12:], []byte{10, 0, 0, 1 + byte(dir), 10, 0, 0, 2 - byte(dir)})
	ports := [2]uint16{40000, 8080}
	be.PutUint16(tcp[0:], ports[dir])
	be.PutUint16(tcp[2:], ports[1-dir])
	be.PutUint32(tcp[4:], t.seq[dir])
	be.PutUint32(tcp[8:], t.seq[1-dir])
	tcp[12], tcp[13] = 0x50, flags
	be.PutUint16(tcp[14:], 65535)
	copy(tcp[20:], data)
	t.seq[dir] += uint32(len(data))
	t.now += 1000
	t.one[0] = wire.Frame{Data: b, Time: t.now, Len: uint32(len(b)), Link: wire.LinkEthernet}
	if t.held {
		var ruling [1]Ruling
		t.lane.Judge(t.tap, t.one[:], ruling[:])
		return
	}
	t.lane.Block(t.tap, t.one[:])
}

// TestNoAllocation: what allocates once per packet is collected a million times a second.
func TestNoAllocation(t *testing.T) {
	const most = 0.01 // per packet: the counters that are published now and then
	many := make([]*rules.Rule, 0, 20)
	for i := range 20 {
		many = append(many, &rules.Rule{ID: fmt.Sprint("r", i), Regex: fmt.Sprintf(`\bsecret%d_[a-z]{16,}|\b%d\d{3}-\d{4}-\d{4}-\d{4}\b`, i, i%10)})
	}
	unknown := "\x00\x01\x02" + strings.Repeat("some bytes of nobody's protocol ", 40)
	ask := "GET /index.html?q=1 HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: test\r\n\r\n"
	body := strings.Repeat("<p>nothing to find here 4 12 1234</p>\n", 60)
	answer := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	cut := len(answer) / 2
	for _, c := range []struct {
		name    string
		rules   []*rules.Rule
		packets int
		turn    func(*talk)
	}{
		{"unknown protocol, no rules", nil, 2, func(k *talk) {
			k.say(wire.ToServer, 0x18, unknown)
			k.say(wire.ToClient, 0x18, unknown)
		}},
		{"unknown protocol, rules", many, 2, func(k *talk) {
			k.say(wire.ToServer, 0x18, unknown)
			k.say(wire.ToClient, 0x18, unknown)
		}},
		{"HTTP, no rules", nil, 3, func(k *talk) {
			k.say(wire.ToServer, 0x18, ask)
			k.say(wire.ToClient, 0x10, answer[:cut])
			k.say(wire.ToClient, 0x18, answer[cut:])
		}},
		{"HTTP, rules", many, 3, func(k *talk) {
			k.say(wire.ToServer, 0x18, ask)
			k.say(wire.ToClient, 0x10, answer[:cut])
			k.say(wire.ToClient, 0x18, answer[cut:])
		}},
	} {
		k := newTalk(t, c.rules...)
		for range 100 { // what is made once
			c.turn(k)
		}
		got := testing.AllocsPerRun(2000, func() { c.turn(k) }) / float64(c.packets)
		after := k.tap.read()
		if n := after.Messages; strings.HasPrefix(c.name, "HTTP") != (n > 4000) || after.Flow.Rejected+after.Shed+after.Flow.GapBytes > 0 {
			t.Fatalf("%s: not what was meant to be measured: %+v", c.name, after)
		}
		if got > most {
			t.Errorf("%s: %.2f allocations per packet, want none", c.name, got)
		}
	}
}
