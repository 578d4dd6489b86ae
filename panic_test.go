package weir_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
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

// bomb is a dissector that panics where it is told to, by what it is fed.
type bomb struct {
	dissect.Dissector
	close bool
}

func (b *bomb) Feed(dir wire.Dir, data []byte, emit func(*dissect.Message)) (dissect.Progress, error) {
	b.close = b.close || bytes.Contains(data, []byte("BOMB-CLOSE"))
	if bytes.Contains(data, []byte("BOMB-FEED")) {
		panic(data) // the worst that a parser may do
	}
	return b.Dissector.Feed(dir, data, func(m *dissect.Message) {
		for _, p := range m.Parts {
			if bytes.Contains(p.Bytes, []byte("BOMB-EMIT")) {
				panic("emit")
			}
		}
		emit(m)
	})
}

func (b *bomb) Gap(dir wire.Dir, n int, emit func(*dissect.Message)) bool {
	if n == 77 {
		panic("gap")
	}
	return b.Dissector.Gap(dir, n, emit)
}

func (b *bomb) Close(dir wire.Dir, emit func(*dissect.Message)) {
	if b.close {
		panic("close")
	}
	b.Dissector.Close(dir, emit)
}

// TestPanic has a dissector panic in every call: that flow is told not to be inspected, its packets are kept, another
// flow is inspected as ever, and nothing is leaked.
func TestPanic(t *testing.T) {
	made, resume := dissect.HTTP.New, dissect.HTTP.Resume
	dissect.HTTP.New = func(p *dissect.Protocol, env *dissect.Env) dissect.Dissector { return &bomb{Dissector: made(p, env)} }
	dissect.HTTP.Resume = nil // what resumed would be no bomb
	defer func() { dissect.HTTP.New, dissect.HTTP.Resume = made, resume }()
	const (
		found = "> POST /1 HTTP/1.1\\r\\nHost: a\\r\\nContent-Length: 16\\r\\n\\r\\nWEIRTOKEN-aaaaaa\n< HTTP/1.1 204 No Content\\r\\n\\r\\n\n"
		open  = "> POST /1 HTTP/1.1\\r\\nHost: a\\r\\nContent-Encoding: gzip\\r\\nContent-Length: 1000\\r\\n\\r\\n\\x1f\\x8b\\x08\\x00\\x00\\x00\\x00\\x00\\x00\\xff\n"
		after = "> POST /3 HTTP/1.1\\r\\nHost: a\\r\\nContent-Length: 16\\r\\n\\r\\nWEIRTOKEN-cccccc\n"
	)
	for _, c := range []struct{ name, dialogue string }{
		{"feed", found + "> GET /BOMB-FEED HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n\n" + after},
		{"feed, a body open", open + "> BOMB-FEED\n" + after},
		{"emit", found + "> GET /BOMB-EMIT HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n\n" + after},
		{"gap", found + "gap > 77\n> GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n\n< HTTP/1.1 204 No Content\\r\\n\\r\\n\n"},
		{"end", found + "> GET /BOMB-CLOSE HTTP/1.1\\r\\nHost: a\\r\\n"},
	} {
		t.Run(c.name, func(t *testing.T) { testPanic(t, c.dialogue) })
	}
}

func testPanic(t *testing.T, script string) {
	base := dlp.NativeBytes()
	db := evasionDB(t)
	dir := t.TempDir()
	store, err := pcapstore.Open(dir, pcapstore.Options{Quota: 1 << 30, App: "test"})
	if err != nil {
		t.Fatal(err)
	}
	var alerts, panics []uint16
	uninspected := map[uint16]string{}
	e := engine.New(engine.Config{Flow: flow.DefaultLimits, Dissect: dissect.DefaultLimits, Store: store, Post: time.Second,
		Events: map[string]bool{"alert": true, "anomaly": true, "flow": true},
		Emit: func(ev *alert.Event) {
			switch {
			case ev.Type == "alert":
				alerts = append(alerts, ev.Src.Port())
			case ev.Type == "anomaly" && ev.Anomaly.Event == "engine.panic":
				panics = append(panics, ev.Src.Port())
			case ev.Type == "flow" && ev.Weir.Uninspected != nil:
				uninspected[ev.Src.Port()] = ev.Weir.Uninspected.Reason
			}
		}})
	e.SetRules(db)
	lane := e.NewLane()
	lane.Poison = true
	lane.OnPanic = func(stack string) {
		if strings.Contains(stack, "BOMB") || strings.Contains(stack, "WEIRTOKEN") {
			t.Errorf("the stack shows packet bytes: %s", stack)
		}
		if strings.Contains(stack, "0x") || !strings.Contains(stack, "bomb") {
			t.Errorf("want functions and lines, and no arguments: %s", stack)
		}
	}
	tap := e.NewTap(engine.TapConfig{})
	bad, err := parseDialogue(script)
	if err != nil {
		t.Fatal(err)
	}
	good, err := parseDialogue("tcp 40001 80\n> GET /WEIRTOKEN-bbbbbb HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n\n< HTTP/1.1 204 No Content\\r\\n\\r\\n\n" +
		"> GET /x HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n\n< HTTP/1.1 200 x\\r\\nContent-Length: 16\\r\\n\\r\\nWEIRTOKEN-bbbbbb")
	if err != nil {
		t.Fatal(err)
	}
	a, b := play(t, bad, ways[0], wrappings()[0]), play(t, good, ways[0], wrappings()[0])
	now := int64(1_700_000_000_000_000_000)
	for i := range max(len(a), len(b)) {
		for _, list := range [][][]byte{a, b} {
			if i < len(list) {
				now += 20_000_000
				data := slices.Clone(list[i])
				lane.Block(tap, []wire.Frame{{Data: data, Time: now, Len: uint32(len(data)), Link: wire.LinkEthernet}})
			}
		}
	}
	lane.Tick(tap, now+1)
	lane.Close(tap)
	if got := tap.Counters().Panics; got != 1 {
		t.Errorf("%d panics are counted, want 1", got)
	}
	if !slices.Equal(panics, []uint16{40000}) {
		t.Errorf("panics were told of %d, want 40000", panics)
	}
	if got := slices.DeleteFunc(slices.Clone(alerts), func(p uint16) bool { return p != 40001 }); len(got) != 2 {
		t.Errorf("the other flow has %d alerts, want 2", len(got))
	}
	if got := slices.DeleteFunc(alerts, func(p uint16) bool { return p != 40000 }); len(got) > 1 {
		t.Errorf("the flow that caused the panic has %d alerts", len(got))
	}
	if why := uninspected[40000]; why != "panic" || len(uninspected) != 1 {
		t.Errorf("not inspected: %v, want 40000 for its panic", uninspected)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(script, "WEIRTOKEN-aaaaaa") && strings.Contains(script, "BOMB") && !kept(t, dir, "BOMB") {
		t.Error("the packet that caused the panic was not kept")
	}
	lane.Free()
	db.Close()
	if got := dlp.NativeBytes(); got != base {
		t.Errorf("%d bytes of C memory are left", got-base)
	}
}

// kept reports whether text stands in a slice.
func kept(t *testing.T, dir, text string) (ok bool) {
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err != nil || info.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		ok = ok || bytes.Contains(b, []byte(text))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return ok
}
