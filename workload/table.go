package workload

import "net/netip"

// maxAddresses is how many addresses a Table holds; ours. Entries beyond it are left out, the last first.
const maxAddresses = 1 << 16

// Entry says which addresses are a workload's.
type Entry struct {
	Workload  *Workload
	Addresses []netip.Addr
}

// Table tells the workload at an address. It never changes, so any goroutine may use it without locks; a new state is a
// new Table. A nil Table is empty.
type Table struct {
	at   map[[16]byte]*Workload // nil value: several workloads have this address
	left int
}

// NewTable makes a table. An address that several workloads have (private networks may overlap) belongs to none of
// them: no name is better than a wrong one. Loopback, link-local and multicast addresses mean nothing outside their
// namespace and are left out.
func NewTable(entries []Entry) *Table {
	t := &Table{at: map[[16]byte]*Workload{}}
	for _, e := range entries {
		for _, a := range e.Addresses {
			if !tells(a) {
				continue
			}
			key := a.As16()
			if w, known := t.at[key]; known {
				if w != e.Workload {
					t.at[key] = nil
				}
			} else if len(t.at) == maxAddresses {
				t.left++
			} else {
				t.at[key] = e.Workload
			}
		}
	}
	return t
}

// tells reports whether an address names one place as seen from the host.
func tells(a netip.Addr) bool {
	a = a.Unmap()
	return a.IsValid() && !a.IsUnspecified() && !a.IsLoopback() && !a.IsLinkLocalUnicast() && !a.IsMulticast()
}

// Lookup returns the workload at an address, IPv4 as IPv4-mapped IPv6, or nil. It does not allocate.
func (t *Table) Lookup(addr [16]byte) *Workload {
	if t == nil {
		return nil
	}
	return t.at[addr]
}

// Len returns the number of addresses in the table.
func (t *Table) Len() int {
	if t == nil {
		return 0
	}
	return len(t.at)
}

// Left returns how many addresses did not fit.
func (t *Table) Left() int {
	if t == nil {
		return 0
	}
	return t.left
}
