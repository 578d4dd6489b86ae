package daemon

import (
	"weir/budget"
	"weir/engine"
)

// gateMemory is what all gates share of [budget] memory. They have budgets of their own, so that what is only looked at cannot take them what they judge with.
type gateMemory struct{ engine.Budgets }

// ours: parts of what gates may have, in percent; the rest is for recent packets, from which the slices of their alerts are made.
const (
	gateFlowsPart = 45
	gateHeldPart  = 20
	gateOpenPart  = 20
	gateFragsPart = 3
)

func newGateMemory(bytes int64) *gateMemory {
	m := &gateMemory{engine.Budgets{Flows: budget.New(0), Held: budget.New(0), Fragments: budget.New(0), Inspect: budget.New(0), Recent: budget.New(0)}}
	m.divide(bytes)
	return m
}

// divide gives gates so many bytes from now on.
func (m *gateMemory) divide(bytes int64) {
	m.Flows.Set(bytes / 100 * gateFlowsPart / flowCost)
	m.Held.Set(bytes / 100 * gateHeldPart)
	m.Inspect.Set(bytes / 100 * gateOpenPart)
	m.Fragments.Set(bytes / 100 * gateFragsPart)
	m.Recent.Set(bytes - bytes/100*(gateFlowsPart+gateHeldPart+gateOpenPart+gateFragsPart))
}

// taken returns the bytes that gates have taken.
func (m *gateMemory) taken() int64 {
	return m.Flows.Taken()*flowCost + m.Held.Taken() + m.Inspect.Taken() + m.Fragments.Taken() + m.Recent.Taken()
}
