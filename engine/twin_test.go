package engine

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"weir/alert"
	"weir/capture"
	"weir/dissect"
	"weir/dlp"
	"weir/flow"
	"weir/rules"
	"weir/wire"
	"weir/workload"
)

const twinToken = "TWINTOKEN-7f3a91"

// pair is an engine with the taps of two workloads, 10.0.0.1 and 10.0.0.2.
type pair struct {
	e     *Engine
	taps  [2]*Tap
	lanes [2]*Lane
	mu    sync.Mutex
	got   map[string]int // events by type, alerts by rule
	ids   map[uint64]bool
	cut   []string // whom rules want cut off, and why not who sent it
}

func newPair(t *testing.T, limits flow.Limits) *pair {
	p := &pair{got: map[string]int{}, ids: map[uint64]bool{}}
	db, err := dlp.Compile(&rules.Set{Rules: []*rules.Rule{{ID: "token", Regex: `TWINTOKEN-[0-9a-f]{6}`, Severity: rules.High}}}, dlp.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	p.e = New(Config{
		Flow: limits, Checksum: flow.ChecksumIgnore, Dissect: dissect.DefaultLimits,
		Events: map[string]bool{"alert": true, "http": true, "flow": true, "dns": true, "anomaly": true},
		Emit: func(ev *alert.Event) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.got[ev.Type]++
			if ev.Anomaly != nil {
				p.got[ev.Anomaly.Event]++
			}
			p.ids[ev.FlowID] = true
			if o := ev.Weir.Offender; o != nil {
				p.cut = append(p.cut, fmt.Sprint(o.Name, " ", strings.Contains(ev.Weir.Why, repeated)))
			}
		},
	})
	p.e.SetRules(db)
	var entries []workload.Entry
	for i := range p.taps {
		name := fmt.Sprintf("veth%d", i)
		p.taps[i] = p.e.NewTap(TapConfig{Interfaces: func() []capture.Interface { return []capture.Interface{{Name: name}} }})
		p.lanes[i] = p.e.NewLane()
		t.Cleanup(p.lanes[i].Free)
		entries = append(entries, workload.Entry{Workload: &workload.Workload{Name: name}, Addresses: []netip.Addr{netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)})}})
	}
	p.e.SetWorkloads(workload.NewTable(entries))
	return p
}

// block shows frames to one tap, each a copy: taps do not share memory.
func (p *pair) block(i int, frames []wire.Frame) {
	list := make([]wire.Frame, len(frames))
	for k, f := range frames {
		f.Data = append([]byte(nil), f.Data...)
		list[k] = f
	}
	p.lanes[i].Poison = true
	p.lanes[i].Block(p.taps[i], list)
}

// both shows the frames to both taps in blocks that come in any order.
func (p *pair) both(r *rand.Rand, frames [2][]wire.Frame) {
	for len(frames[0])+len(frames[1]) > 0 {
		i := r.IntN(2)
		n := r.IntN(len(frames[i]) + 1)
		p.block(i, frames[i][:n])
		frames[i] = frames[i][n:]
	}
}

func (p *pair) close() {
	for i := range p.taps {
		p.lanes[i].Close(p.taps[i])
	}
}

// segments is a conversation that is being made up.
type segments struct {
	seq  [2]uint32
	now  int64
	list []wire.Frame
}

func (s *segments) frame(dir wire.Dir, seq uint32, flags byte, data string) wire.Frame {
	b := make([]byte, headers+len(data))
	be := binary.BigEndian
	be.PutUint16(b[12:], 0x0800)
	ip, tcp := b[14:], b[34:]
	ip[0], ip[8], ip[9] = 0x45, 64, 6
	be.PutUint16(ip[2:], uint16(len(b)-14))
	copy(ip[12:], []byte{10, 0, 0, 1 + byte(dir), 10, 0, 0, 2 - byte(dir)})
	ports := [2]uint16{40000, 80}
	be.PutUint16(tcp[0:], ports[dir])
	be.PutUint16(tcp[2:], ports[1-dir])
	be.PutUint32(tcp[4:], seq)
	be.PutUint32(tcp[8:], s.seq[1-dir])
	tcp[12], tcp[13] = 0x50, flags
	be.PutUint16(tcp[14:], 65535)
	copy(tcp[20:], data)
	s.now += 1000
	return wire.Frame{Data: b, Time: s.now, Len: uint32(len(b)), Link: wire.LinkEthernet}
}

func (s *segments) say(dir wire.Dir, flags byte, data string) {
	s.list = append(s.list, s.frame(dir, s.seq[dir], flags, data))
	s.seq[dir] += uint32(len(data))
	if flags&3 != 0 {
		s.seq[dir]++
	}
}

// cut says data in pieces.
func (s *segments) cut(r *rand.Rand, dir wire.Dir, data string) {
	for len(data) > 0 {
		n := 1 + r.IntN(min(len(data), 40))
		s.say(dir, 0x18, data[:n])
		data = data[n:]
		if r.IntN(3) == 0 {
			s.say(1-dir, 0x10, "")
		}
	}
}

// conversation is two exchanges, each with one token.
func conversation(r *rand.Rand) []wire.Frame {
	s := &segments{seq: [2]uint32{r.Uint32(), r.Uint32()}, now: 1e18}
	s.say(wire.ToServer, 0x02, "")
	s.say(wire.ToClient, 0x12, "")
	s.say(wire.ToServer, 0x10, "")
	for range 2 {
		s.cut(r, wire.ToServer, fmt.Sprintf("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s..", len(twinToken)+2, twinToken))
		s.cut(r, wire.ToClient, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
	}
	s.say(wire.ToServer, 0x11, "")
	s.say(wire.ToClient, 0x11, "")
	s.say(wire.ToServer, 0x10, "")
	return s.list
}

func (p *pair) want(t *testing.T, what string, want map[string]int) {
	t.Helper()
	for k, n := range want {
		if p.got[k] != n {
			t.Errorf("%s: %d events %s, want %d; all: %v", what, p.got[k], k, n, p.got)
		}
	}
	if n := p.e.twins.pieces.Load(); n != 0 {
		t.Errorf("%s: %d pieces are still written down", what, n)
	}
	for i := range p.e.twins.homes {
		if o := &p.e.twins.homes[i].opens; o.bytes.Used() != 0 || o.oldest != nil {
			t.Errorf("%s: %d bytes are still open", what, o.bytes.Used())
		}
	}
	for i := range p.e.twins.shards {
		if n := len(p.e.twins.shards[i].at); n > 0 {
			t.Errorf("%s: %d twins wait for nobody", what, n)
		}
	}
}

// TestTwin: in whatever order two taps show a conversation, it is told once, as one conversation.
func TestTwin(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		p := newPair(t, flow.DefaultLimits)
		list := conversation(r)
		p.both(r, [2][]wire.Frame{list, list})
		p.close()
		p.want(t, fmt.Sprint("seed ", seed), map[string]int{"alert": 2, "http": 2, "flow": 1, "anomaly": 0})
		if len(p.ids) != 1 {
			t.Errorf("seed %d: flow ids %v, want one", seed, p.ids)
		}
		a, b := p.taps[0].Counters(), p.taps[1].Counters()
		if a.TwinBytes+b.TwinBytes != (a.Flow.GapBytes)+payload(list) || a.TwinsApart+b.TwinsApart != 0 {
			t.Errorf("seed %d: %d bytes were seen twice, want %d", seed, a.TwinBytes+b.TwinBytes, payload(list))
		}
	}
}

func payload(list []wire.Frame) (n uint64) {
	for _, f := range list {
		n += uint64(len(f.Data) - headers)
	}
	return n
}

// TestTwinNowhereToHide: whatever one tap does not see, or sees otherwise, the other one's bytes are inspected.
func TestTwinNowhereToHide(t *testing.T) {
	for _, c := range []struct {
		name   string
		see    func(r *rand.Rand, list []wire.Frame) [2][]wire.Frame
		alerts int // at least
	}{
		{"the initiator's tap is not there, or its address is spoofed", func(_ *rand.Rand, list []wire.Frame) [2][]wire.Frame {
			return [2][]wire.Frame{nil, list}
		}, 2},
		{"the other tap is not there", func(_ *rand.Rand, list []wire.Frame) [2][]wire.Frame {
			return [2][]wire.Frame{list, nil}
		}, 2},
		{"the initiator's tap is late", func(r *rand.Rand, list []wire.Frame) [2][]wire.Frame {
			return [2][]wire.Frame{list[r.IntN(len(list)):], list}
		}, 2},
		{"the initiator's tap ends early", func(r *rand.Rand, list []wire.Frame) [2][]wire.Frame {
			return [2][]wire.Frame{list[:r.IntN(len(list))], list}
		}, 2},
		{"one tap drops", func(r *rand.Rand, list []wire.Frame) [2][]wire.Frame {
			var some []wire.Frame
			for _, f := range list {
				if r.IntN(10) > 0 {
					some = append(some, f)
				}
			}
			all := [2][]wire.Frame{list, list}
			all[r.IntN(2)] = some
			return all
		}, 2},
		{"the initiator's tap is shown decoys", func(r *rand.Rand, list []wire.Frame) [2][]wire.Frame {
			var other []wire.Frame
			for _, f := range list {
				if n := len(f.Data) - headers; n > 0 && f.Data[26] == 10 {
					d := f
					d.Data = append([]byte(nil), f.Data...)
					for i := range n {
						d.Data[headers+i] ^= 1
					}
					other = append(other, d)
				}
				other = append(other, f)
			}
			return [2][]wire.Frame{other, list}
		}, 1}, // of both, at least the first: the decoys may end a request
	} {
		for seed := range uint64(200) {
			r := rand.New(rand.NewPCG(seed, 2))
			p := newPair(t, flow.DefaultLimits)
			p.both(r, c.see(r, conversation(r)))
			p.close()
			if p.got["alert"] < c.alerts {
				t.Errorf("%s, seed %d: %d alerts, want at least %d: %v", c.name, seed, p.got["alert"], c.alerts, p.got)
			}
			p.want(t, c.name, nil)
		}
	}
}

// TestTwinAlone: a conversation that only one tap sees is inspected as by a tap alone, also after the other one was waited for in vain, and
// in the middle of a message that is kept.
func TestTwinAlone(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 5))
	list := conversation(r)
	for cut := range list {
		p := newPair(t, flow.DefaultLimits)
		for i, f := range list {
			if i >= cut {
				f.Time += 2 * twinWait
			}
			p.block(1, []wire.Frame{f})
		}
		p.close()
		p.want(t, fmt.Sprint("cut at ", cut), map[string]int{"alert": 2, "http": 2, "flow": 1, "anomaly": 0})
	}
}

// TestTwinDatagrams: datagrams carry no numbers; each is inspected once, also where some are lost on either side.
func TestTwinDatagrams(t *testing.T) {
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 3))
		p := newPair(t, flow.DefaultLimits)
		var list [2][]wire.Frame
		lost := [2]int{}
		for i := range 40 {
			f := datagram(fmt.Sprintf("number %d %s", i, twinToken), int64(1e18+i*1000))
			lose := r.IntN(12)
			for k := range list {
				if lose != k {
					list[k] = append(list[k], f)
				} else {
					lost[k]++
				}
			}
		}
		p.both(r, list)
		p.close()
		if p.got["alert"] < 40 || p.got["alert"] > 40+lost[0]+lost[1] {
			t.Errorf("seed %d: %d alerts of 40 datagrams, of which the taps lost %v", seed, p.got["alert"], lost)
		}
		p.want(t, "datagrams", map[string]int{"flow": 1})
	}
}

func datagram(data string, now int64) wire.Frame {
	b := make([]byte, 14+20+8+len(data))
	be := binary.BigEndian
	be.PutUint16(b[12:], 0x0800)
	ip, udp := b[14:], b[34:]
	ip[0], ip[8], ip[9] = 0x45, 64, 17
	be.PutUint16(ip[2:], uint16(len(b)-14))
	copy(ip[12:], []byte{10, 0, 0, 1, 10, 0, 0, 2})
	be.PutUint16(udp[0:], 40001)
	be.PutUint16(udp[2:], 9999)
	be.PutUint16(udp[4:], uint16(8+len(data)))
	copy(udp[8:], data)
	return wire.Frame{Data: b, Time: now, Len: uint32(len(b)), Link: wire.LinkEthernet}
}

// TestTwinAtOnce runs both taps at the same time, for the race detector.
func TestTwinAtOnce(t *testing.T) {
	p := newPair(t, flow.DefaultLimits)
	var wg, read sync.WaitGroup
	read.Add(len(p.taps))
	var lists [][]wire.Frame
	for seed := range uint64(50) {
		list := conversation(rand.New(rand.NewPCG(seed, 4)))
		for i := range list {
			port := 34
			if list[i].Data[29] == 2 { // to 10.0.0.2: from the client
				binary.BigEndian.PutUint16(list[i].Data[port:], uint16(41000+seed))
			} else {
				binary.BigEndian.PutUint16(list[i].Data[port+2:], uint16(41000+seed))
			}
		}
		lists = append(lists, list)
	}
	for i := range p.taps {
		wg.Go(func() {
			for _, list := range lists {
				for n := 0; n < len(list); n += 5 {
					p.block(i, list[n:min(n+5, len(list))])
				}
			}
			read.Done()
			read.Wait()
			p.lanes[i].Close(p.taps[i])
		})
	}
	wg.Wait()
	p.want(t, "at once", map[string]int{"alert": 100, "http": 100, "flow": 50})
}
