package workload

import (
	"fmt"

	"github.com/vishvananda/netlink"
)

// Frames returns how many frames the kernel has counted on an interface, in both directions. It fails if the interface is gone.
func (i Interface) Frames() (uint64, error) {
	link, err := netlink.LinkByIndex(i.Index)
	if err != nil {
		return 0, fmt.Errorf("counters of %s: %w", i.Name, err)
	}
	s := link.Attrs().Statistics
	if s == nil {
		return 0, fmt.Errorf("counters of %s: the kernel tells none", i.Name)
	}
	return s.RxPackets + s.TxPackets, nil
}
