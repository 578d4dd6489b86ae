package daemon

import "testing"

// TestGateMemory: gates and what is learned are part of the budget, whatever it is.
func TestGateMemory(t *testing.T) {
	for _, c := range []struct {
		memory   Size
		protects bool
	}{{128 << 20, true}, {1 << 30, false}, {1 << 30, true}, {16 << 30, true}} {
		conf := DefaultConfig()
		conf.Budget.Memory = c.memory
		d := conf.divide(16<<20, 4<<20, programMin, c.protects)
		sum := d.rings + d.recent + d.program + d.garbage + d.learn + d.gates + d.flows + d.inspect + d.held + d.fragment + d.evidence + d.events
		if sum > int64(c.memory) || sum < int64(c.memory)*99/100 {
			t.Errorf("%s: the parts are %s", c.memory, Size(sum))
		}
		if (d.gates > 0) != c.protects || d.gates > gatesMost || d.learn == 0 || d.learn > 24<<20 {
			t.Errorf("%s, protects %v: %s for gates, %s for what is learned", c.memory, c.protects, Size(d.gates), Size(d.learn))
		}
		m := newGateMemory(d.gates)
		if all := m.Flows.Total()*flowCost + m.Held.Total() + m.Inspect.Total() + m.Fragments.Total() + m.Recent.Total(); all > d.gates {
			t.Errorf("%s: gates may take %s of %s", c.memory, Size(all), Size(d.gates))
		}
	}
}
