package engine

import (
	"testing"

	"weir/capture"
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
