package engine

import (
	"strings"
	"testing"

	"weir/capture"
	"weir/flow"
	"weir/pcapstore"
	"weir/wire"
)

// TestInterfacesBehind: a slice names who is behind its interfaces; an event names the interface alone, and asks nobody.
func TestInterfacesBehind(t *testing.T) {
	list := []capture.Interface{{Name: "veth1"}, {Name: "veth2"}}
	asked := 0
	tap := &Tap{cfg: TapConfig{Interfaces: func() []capture.Interface { return list }, Behind: func() string { asked++; return "shop/cart" }}}
	if name := tap.iface(&wire.Frame{Iface: 1}); name != "veth2" || asked != 0 {
		t.Errorf("an event names %q, and asked %d times", name, asked)
	}
	for i, got := range tap.interfaces() {
		if got.Name != list[i].Name || got.Description != "shop/cart" || list[i].Description != "" {
			t.Errorf("a slice names %+v of %+v", got, list[i])
		}
	}
}

// TestSliceEndsEarly: of too many slices that are open on an interface the oldest ends, and says that it does not go as far as it should.
func TestSliceEndsEarly(t *testing.T) {
	store, err := pcapstore.Open(t.TempDir(), pcapstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	tap := &Tap{}
	for i := range maxOpenSlices + 1 {
		tap.limitSlices()
		out, err := store.Begin(pcapstore.Meta{Rule: "a", Time: int64(i) + 1})
		if err != nil {
			t.Fatal(err)
		}
		if err := out.Add(&wire.Frame{Data: make([]byte, 60), Time: 1, Len: 60}, ""); err != nil {
			t.Fatal(err)
		}
		s := &slice{out: out, fl: &flow.Flow[conn]{}}
		s.fl.S.more().slice = s
		tap.slices = append(tap.slices, s)
	}
	list, err := store.List()
	if err != nil || len(list) != 1 || list[0].Meta.Time != 1 || !strings.Contains(list[0].Closing.Why, "ended early") || list[0].Closing.NotStored != 0 {
		t.Fatalf("%v, %+v", err, list)
	}
	for len(tap.slices) > 0 {
		tap.endSlice(tap.slices[0])
	}
}
