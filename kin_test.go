package weir_test

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/alert"
	"weir/dissect"
	"weir/dlp"
	"weir/engine"
	"weir/flow"
	"weir/pcapstore"
	"weir/wire"
)

// kinEngine is an engine with taps of one interface, as that has when it was split.
type kinEngine struct {
	*engine.Engine
	taps []*engine.Tap

	mu     sync.Mutex
	alerts []expectation
	flows  map[uint16]int // by client port: flow events
	outer  int            // flow events of what carried them
	odd    map[string]int // anomalies
}

func newKinEngine(t *testing.T, db *dlp.Database, taps int, store *pcapstore.Store) *kinEngine {
	k := &kinEngine{flows: map[uint16]int{}, odd: map[string]int{}}
	k.Engine = engine.New(engine.Config{
		Flow: flow.DefaultLimits, Dissect: dissect.DefaultLimits, Store: store, Post: time.Second,
		Events: map[string]bool{"alert": true, "info": true, "flow": true, "anomaly": true}, Emit: k.emit,
	})
	k.SetRules(db)
	k.taps = []*engine.Tap{k.NewTap(engine.TapConfig{})}
	for range taps - 1 {
		k.taps = append(k.taps, k.taps[0].Sibling())
	}
	return k
}

func (k *kinEngine) emit(ev *alert.Event) {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch ev.Type {
	case "flow":
		if slices.Contains([]string{"vxlan", "geneve", "gre", "ipip"}, ev.AppProto) {
			k.outer++ // each tap tells its own
			return
		}
		k.flows[ev.Src.Port()]++
	case "anomaly":
		k.odd[ev.Anomaly.Event]++
	default:
		x := expectation{Type: ev.Type, Rule: ev.Weir.Rule, App: ev.AppProto}
		if len(ev.Weir.Matches) > 0 {
			x.Field = ev.Weir.Matches[0].Field
		}
		x.forgetApp()
		k.alerts = append(k.alerts, x)
	}
}

func (k *kinEngine) lane(t *testing.T) *engine.Lane {
	lane := k.NewLane()
	t.Cleanup(lane.Free)
	lane.Poison = true
	lane.OnPanic = func(stack string) { t.Errorf("panic: %s", stack) }
	return lane
}

func (k *kinEngine) close(lane *engine.Lane) {
	for _, tap := range slices.Backward(k.taps) {
		lane.Close(tap)
	}
}

// TestKinCases plays every case to an interface with three rings, each frame to any of them: the same alerts as from one.
func TestKinCases(t *testing.T) {
	dbs := map[string]*dlp.Database{}
	r := rand.New(rand.NewPCG(1, 1))
	for _, c := range loadCases(t) {
		db := dbs[string(c.rulesText())]
		if db == nil {
			db = compileCase(t, c)
			dbs[string(c.rulesText())] = db
			defer db.Close()
		}
		for _, wrap := range wrappings() {
			for _, w := range []way{ways[r.IntN(len(ways))]} { // all of them from one tap are enough
				if c.dialogue.udp || c.dialogue.not == w.name {
					w = ways[0]
				}
				k := newKinEngine(t, db, 3, nil)
				k.SetPolicy(c.policy)
				lane := k.lane(t)
				now := int64(1_700_000_000_000_000_000)
				for frames := play(t, c.dialogue, w, wrap); len(frames) > 0; {
					n := min(1+r.IntN(4), len(frames))
					var block []wire.Frame
					for _, data := range frames[:n] {
						now += 1_000_000
						block = append(block, wire.Frame{Data: slices.Clone(data), Time: now, Len: uint32(len(data)), Link: wire.LinkEthernet})
					}
					lane.Block(k.taps[r.IntN(len(k.taps))], block)
					frames = frames[n:]
				}
				k.close(lane)
				if got, want := sorted(k.alerts), sorted(c.want); !reflect.DeepEqual(got, want) {
					t.Errorf("%s, %s, %s:\n got %s\nwant %s", c.name, wrap.name, w.name, text(got), text(want))
				}
				if len(k.flows) == 1 {
					single := newKinEngine(t, db, 1, nil)
					lane := single.lane(t)
					for i, data := range play(t, c.dialogue, w, wrap) {
						lane.Block(single.taps[0], []wire.Frame{{Data: data, Time: int64(1_700_000_000_000_000_000 + i*1_000_000), Len: uint32(len(data)), Link: wire.LinkEthernet}})
					}
					single.close(lane)
					if !reflect.DeepEqual(k.flows, single.flows) || !reflect.DeepEqual(k.odd, single.odd) {
						t.Errorf("%s, %s, %s: flows %v, anomalies %v; of one tap %v, %v", c.name, wrap.name, w.name, k.flows, k.odd, single.flows, single.odd)
					}
				}
				if t.Failed() {
					return
				}
			}
		}
	}
}

// TestKinParallel plays many conversations at once to an interface with four rings that are read at the same time. As when rings are split and
// folded, a conversation comes by another ring from time to time, once what came before has been read. Each is told once.
func TestKinParallel(t *testing.T) {
	db := evasionDB(t)
	defer db.Close()
	const rings, conversations, phases = 4, 200, 20
	r := rand.New(rand.NewPCG(2, 2))
	var talks [conversations][][]byte
	list := wrappings()
	for i := range talks {
		d, err := parseDialogue(fmt.Sprintf("tcp %d 80\n> POST / HTTP/1.1\\r\\nHost: a\\r\\nContent-Length: 1016\\r\\n\\r\\n\n> \"x\"*1000\n> WEIRTOKEN-7f3a91\n< HTTP/1.1 204 x\\r\\n\\r\\n", 10000+i))
		if err != nil {
			t.Fatal(err)
		}
		wrap := list[i%len(list)]
		if strings.HasPrefix(wrap.name, "fragments") && i >= len(list) { // between equal hosts fragments with equal numbers would be mixed
			wrap = list[0]
		}
		talks[i] = play(t, d, way{size: 16, isn: 1000}, wrap)
	}
	k := newKinEngine(t, db, 1, nil)
	var now int64 = 1_700_000_000_000_000_000
	for phase := range phases {
		if phase == phases/4 { // the others come later
			for range rings - 1 {
				k.taps = append(k.taps, k.taps[0].Sibling())
			}
		}
		var blocks [rings][]wire.Frame
		for i := range talks {
			n := (len(talks[i]) + phases - 1 - phase) / (phases - phase)
			ring := r.IntN(len(k.taps))
			for _, data := range talks[i][:n] {
				now += 1000
				blocks[ring] = append(blocks[ring], wire.Frame{Data: data, Time: now, Len: uint32(len(data)), Link: wire.LinkEthernet})
			}
			talks[i] = talks[i][n:]
		}
		var wg sync.WaitGroup
		for ring, tap := range k.taps {
			lane := k.lane(t)
			wg.Go(func() {
				for b := range slices.Chunk(blocks[ring], 100) {
					lane.Block(tap, b)
				}
				lane.Tick(tap, now)
			})
		}
		wg.Wait()
	}
	k.close(k.lane(t))
	if len(k.alerts) != conversations {
		t.Errorf("%d alerts of %d conversations; anomalies %v", len(k.alerts), conversations, k.odd)
	}
	for port, n := range k.flows {
		if n != 1 {
			t.Errorf("port %d: %d flows", port, n)
		}
	}
	if len(k.flows) != conversations {
		t.Errorf("%d flows of %d conversations", len(k.flows), conversations)
	}
	if len(k.odd) > 0 {
		t.Errorf("anomalies: %v", k.odd)
	}
	var c engine.Counters
	for _, tap := range k.taps {
		c.Add(tap.Counters())
	}
	if c.Flow.Flows != uint64(conversations+k.outer) || c.Flow.Active != 0 || c.Defrag.Datagrams == 0 {
		t.Errorf("counters: %+v", c)
	}
}

// TestKinEvidence: a flow that stays with its tap while its frames, fragments too, come by another ring has all of them in its slice.
func TestKinEvidence(t *testing.T) {
	db := evasionDB(t)
	defer db.Close()
	d, err := parseDialogue("> POST / HTTP/1.1\\r\\nHost: a\\r\\nContent-Length: 116\\r\\n\\r\\n\n> \"x\"*100\n> WEIRTOKEN-7f3a91\n< HTTP/1.1 204 x\\r\\n\\r\\n")
	if err != nil {
		t.Fatal(err)
	}
	for _, wrap := range wrappings() {
		var packets []int
		for _, taps := range []int{1, 3} {
			dir := t.TempDir()
			store, err := pcapstore.Open(dir, pcapstore.Options{Quota: 1 << 30})
			if err != nil {
				t.Fatal(err)
			}
			k := newKinEngine(t, db, taps, store)
			lane := k.lane(t)
			for i, data := range play(t, d, way{size: 100, isn: 1000}, wrap) {
				data = slices.Clone(data)
				lane.Block(k.taps[i/2%taps], []wire.Frame{{Data: data, Time: int64(1_700_000_000_000_000_000 + i*1000), Len: uint32(len(data)), Link: wire.LinkEthernet}})
			}
			k.close(lane)
			if err := store.Close(); err != nil {
				t.Fatal(err)
			}
			packets = append(packets, packetsOf(t, dir))
			if len(k.alerts) != 1 {
				t.Errorf("%s, %d taps: %d alerts", wrap.name, taps, len(k.alerts))
			}
		}
		if packets[0] == 0 || packets[0] != packets[1] {
			t.Errorf("%s: %d packets of one tap, %d of three", wrap.name, packets[0], packets[1])
		}
	}
}

// packetsOf counts the packets of all slices in a folder.
func packetsOf(t *testing.T, dir string) (n int) {
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".pcapng" {
			return err
		}
		packets, err := packetsIn(path)
		n += packets
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}
