package policy

import "slices"

// ports divides all ports of all IP protocols into classes: rules make no difference between two of one class.
type ports struct {
	of [256]uint32    // class of an IP protocol, if all its ports are in one
	by [256]*[]uint32 // classes by port, else; nil: they are not

}

func newPorts(rules []rule) (p ports) {
	var cuts [256][]int // where another class begins
	for i := range rules {
		for _, x := range rules[i].ports {
			cuts[x.Proto] = append(cuts[x.Proto], int(x.Low), int(x.Top)+1)
		}
	}
	class := uint32(0)
	for proto := range cuts {
		if len(cuts[proto]) == 0 { // class 0: all protocols that no rule names
			continue
		}
		slices.Sort(cuts[proto])
		class++
		p.of[proto] = class
		list := slices.Compact(cuts[proto])
		if list = slices.DeleteFunc(list, func(at int) bool { return at == 0 || at > 0xffff }); len(list) == 0 {
			continue
		}
		table := make([]uint32, 1<<16)
		next := 0
		for port := range table {
			if next < len(list) && list[next] == port {
				class++
				next++
			}
			table[port] = class
		}
		p.by[proto] = &table
	}
	return p
}

// class returns that of a port.
func (p *ports) class(proto uint8, port uint16) uint32 {
	if by := p.by[proto]; by != nil {
		return (*by)[port]
	}
	return p.of[proto]
}
