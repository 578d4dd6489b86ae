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

// BenchmarkExchange is a request, its answer and an ACK, on connections that take turns: what a flow gives back between two exchanges it
// must get again.
func BenchmarkExchange(b *testing.B) {
	many := make([]*rules.Rule, 0, 20)
	for i := range 20 {
		many = append(many, &rules.Rule{ID: fmt.Sprint("r", i), Regex: fmt.Sprintf(`\bsecret%d_[a-z]{16,}|\b%d\d{3}-\d{4}-\d{4}-\d{4}\b`, i, i%10)})
	}
	ask := "GET /index.html?q=1 HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: test\r\n\r\n"
	body := strings.Repeat("<p>nothing to find here 4 12 1234</p>\n", 20)
	answer := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	raw := "\x00\x01\x02" + strings.Repeat("some bytes of nobody's protocol ", 20)
	for _, c := range []struct {
		name   string
		rules  []*rules.Rule
		flows  int
		ask    string
		answer string
	}{
		{"http", many, 1, ask, answer},
		{"small", nil, 1, ask, "HTTP/1.1 204 No Content\r\n\r\n"},
		{"many", many, 10000, ask, answer},
		{"raw", many, 1, raw, raw},
	} {
		b.Run(c.name, func(b *testing.B) { benchmarkExchange(b, c.rules, c.flows, c.ask, c.answer) })
	}
}

const benchTurns = 32 // exchanges in a block

func benchmarkExchange(b *testing.B, rs []*rules.Rule, flows int, ask, answer string) {
	e := New(Config{Flow: flow.DefaultLimits, Checksum: flow.ChecksumIgnore, Dissect: dissect.DefaultLimits, Events: map[string]bool{"http": true}})
	if len(rs) > 0 {
		db, err := dlp.Compile(&rules.Set{Rules: rs}, dlp.Options{})
		if err != nil {
			b.Fatal(err)
		}
		defer db.Close()
		e.SetRules(db)
	}
	lane, tap := e.NewLane(), e.NewTap(TapConfig{})
	defer lane.Free()
	now := int64(1e18)
	seqs := make([][2]uint32, flows)
	var frames []wire.Frame
	var room [3 * benchTurns][2048]byte
	say := func(n int, dir wire.Dir, flags byte, data string) {
		f := room[len(frames)][:14+20+20+len(data)]
		be, ip, tcp := binary.BigEndian, f[14:], f[34:]
		be.PutUint16(f[12:], 0x0800)
		ip[0], ip[8], ip[9] = 0x45, 64, 6
		be.PutUint16(ip[2:], uint16(len(f)-14))
		copy(ip[12:], []byte{10, 0, 0, 1 + byte(dir), 10, 0, 0, 2 - byte(dir)})
		ports := [2]uint16{20000 + uint16(n), 8080}
		be.PutUint16(tcp[0:], ports[dir])
		be.PutUint16(tcp[2:], ports[1-dir])
		be.PutUint32(tcp[4:], seqs[n][dir])
		be.PutUint32(tcp[8:], seqs[n][1-dir])
		tcp[12], tcp[13] = 0x50, flags
		be.PutUint16(tcp[14:], 65535)
		copy(tcp[20:], data)
		seqs[n][dir] += uint32(len(data))
		if flags&2 != 0 {
			seqs[n][dir]++
		}
		now += 1000
		frames = append(frames, wire.Frame{Data: f, Time: now, Len: uint32(len(f)), Link: wire.LinkEthernet})
		if len(frames) == len(room) {
			lane.Block(tap, frames)
			frames = frames[:0]
		}
	}
	for n := range flows {
		say(n, wire.ToServer, 0x02, "")
		say(n, wire.ToClient, 0x12, "")
		say(n, wire.ToServer, 0x10, "")
	}
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		for range benchTurns {
			say(n, wire.ToServer, 0x18, ask)
			say(n, wire.ToClient, 0x18, answer)
			say(n, wire.ToServer, 0x10, "")
			if n++; n == flows {
				n = 0
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/(3*benchTurns), "ns/packet")
}
