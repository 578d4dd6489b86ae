package daemon

import (
	"encoding/binary"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"weir/engine"
	"weir/wire"
)

// inChild runs a test in a process of its own, whose memory nobody else has used. It reports whether this is the child.
func inChild(t *testing.T) bool {
	t.Helper()
	if os.Getenv("WEIR_CHILD") == t.Name() {
		return true
	}
	cmd := exec.Command(os.Args[0], "-test.v", "-test.run=^"+strings.ReplaceAll(t.Name(), "/", "$/^")+"$")
	cmd.Env = append(os.Environ(), "WEIR_CHILD="+t.Name())
	out, err := cmd.CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if text := strings.TrimSpace(line); err != nil || strings.Contains(text, "MiB") {
			t.Log(text)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return false
}

// site is a daemon without interfaces: what a ring would bring, the test does.
type site struct {
	d    *Daemon
	lane *engine.Lane
	tap  *engine.Tap

	now    int64
	frames []wire.Frame
	buf    []byte
	at     int
	peak   int64 // bytes
}

const siteBlock = 1 << 20 // bytes

// newSite opens a daemon with rules beside the built-in ones.
func newSite(t *testing.T, conf *Config, rules string) *site {
	dir := t.TempDir()
	conf.Paths.State, conf.Paths.Log, conf.Paths.Run, conf.Paths.Rules = dir+"/state", dir+"/log", dir+"/run", writeRules(t, rules)
	d := newDaemon(conf, slog.New(slog.NewTextHandler(&siteLog{t: t}, nil)))
	if err := d.open(); err != nil {
		t.Fatal(err)
	}
	stop := d.keep()
	s := &site{d: d, lane: <-d.lanes, tap: d.engine.NewTap(engine.TapConfig{}), now: time.Now().UnixNano(), buf: make([]byte, siteBlock)}
	t.Cleanup(func() {
		s.flush()
		stop()
		s.lane.Close(s.tap)
		d.lanes <- s.lane
		if err := d.close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// siteLog passes log lines on to the test while it runs.
type siteLog struct {
	t    *testing.T
	over atomic.Bool
}

func (l *siteLog) Write(b []byte) (int, error) {
	if l.t.Context().Err() == nil {
		l.t.Log(strings.TrimSpace(string(b)))
	}
	return len(b), nil
}

// ends is a conversation between two addresses.
type ends struct {
	addr  [2][4]byte
	ports [2]uint16
	seq   [2]uint32
}

// client returns the conversation number n with a server.
func client(n uint32, port uint16) *ends {
	return &ends{addr: [2][4]byte{{10, byte(n >> 16), byte(n >> 8), byte(n)}, {172, 16, 0, byte(n >> 24)}}, ports: [2]uint16{40000, port}, seq: [2]uint32{1000 + n, 2000 + n}}
}

// room returns the bytes of the next frame's Ethernet and IP with a payload of n bytes, which is to be filled.
func (s *site) room(k *ends, dir wire.Dir, proto byte, n int) []byte {
	const head = 14 + 20
	if s.at+head+n > len(s.buf) {
		s.flush()
	}
	b := s.buf[s.at : s.at+head+n]
	s.at += len(b)
	clear(b[:head])
	be := binary.BigEndian
	be.PutUint16(b[12:], 0x0800)
	ip := b[14:]
	ip[0], ip[8], ip[9] = 0x45, 64, proto
	be.PutUint16(ip[2:], uint16(20+n))
	copy(ip[12:], k.addr[dir][:])
	copy(ip[16:], k.addr[1-dir][:])
	checksum(ip)
	s.now += 1000
	s.frames = append(s.frames, wire.Frame{Data: b, Time: s.now, Len: uint32(len(b)), Link: wire.LinkEthernet, Flag: wire.FlagCsumPartial})
	return b[head:]
}

func checksum(ip []byte) {
	be, sum := binary.BigEndian, uint32(0)
	be.PutUint16(ip[10:], 0)
	for i := 0; i < 20; i += 2 {
		sum += uint32(be.Uint16(ip[i:]))
	}
	sum = sum>>16 + sum&0xffff
	be.PutUint16(ip[10:], ^uint16(sum>>16+sum))
}

const (
	fin, syn, rst, psh, ack = 1, 2, 4, 8, 16
)

// tcp sends a segment. skip moves its number on: what is before it comes later, or never.
func (s *site) tcp(k *ends, dir wire.Dir, flags byte, data string) {
	b := s.room(k, dir, wire.ProtoTCP, 20+len(data))
	be := binary.BigEndian
	be.PutUint16(b[0:], k.ports[dir])
	be.PutUint16(b[2:], k.ports[1-dir])
	be.PutUint32(b[4:], k.seq[dir])
	be.PutUint32(b[8:], k.seq[1-dir])
	b[12], b[13] = 0x50, flags
	be.PutUint16(b[14:], 65535)
	clear(b[16:20])
	copy(b[20:], data)
	k.seq[dir] += uint32(len(data))
	if flags&(syn|fin) != 0 {
		k.seq[dir]++
	}
}

func (s *site) udp(k *ends, dir wire.Dir, data string) {
	b := s.room(k, dir, wire.ProtoUDP, 8+len(data))
	be := binary.BigEndian
	be.PutUint16(b[0:], k.ports[dir])
	be.PutUint16(b[2:], k.ports[1-dir])
	be.PutUint16(b[4:], uint16(len(b)))
	be.PutUint16(b[6:], 0)
	copy(b[8:], data)
}

// shake opens a connection.
func (s *site) shake(k *ends) {
	s.tcp(k, wire.ToServer, syn, "")
	s.tcp(k, wire.ToClient, syn|ack, "")
	s.tcp(k, wire.ToServer, ack, "")
}

// flush takes the frames through the pipeline.
func (s *site) flush() {
	if len(s.frames) > 0 {
		s.lane.Block(s.tap, s.frames)
	}
	s.frames, s.at = s.frames[:0], 0
	s.peak = max(s.peak, anonymous())
}

// rest gives the other goroutines, as the keeper, time, and the tap ticks.
func (s *site) rest(d time.Duration) {
	s.flush()
	time.Sleep(d)
	s.now += int64(d)
	s.lane.Tick(s.tap, s.now)
	s.peak = max(s.peak, anonymous())
}

func mib(n int64) string { return fmt.Sprintf("%d MiB", n>>20) }
