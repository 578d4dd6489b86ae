package workload

import "net/netip"

// Ours.
const (
	maxAddresses = 1 << 16 // addresses that a Table holds. Entries beyond it are left out, the last first
	maxHolders   = 16      // entries with one address. Further ones are left out
)

// Entry says which addresses are, or were, a workload's.
type Entry struct {
	Workload  *Workload
	Addresses []netip.Addr
	From      int64 // ns since the epoch: since when
	Until     int64 // the same; 0: it still has them
}

// Table tells the workload at an address. It never changes, so any goroutine may use it without locks; a new state is a
// new Table. A nil Table is empty.
type Table struct {
	at   map[[16]byte][]holder
	left int
}

// holder is a workload that has an address, or had it.
type holder struct {
	who         *Workload
	from, until int64
}

// NewTable makes a table. Loopback, link-local and multicast addresses mean nothing outside their namespace and are left
// out.
func NewTable(entries []Entry) *Table {
	t := &Table{at: map[[16]byte][]holder{}}
	for _, e := range entries {
		for _, a := range e.Addresses {
			if !tells(a) {
				continue
			}
			key := a.As16()
			list, known := t.at[key]
			switch {
			case !known && len(t.at) == maxAddresses:
				t.left++
			case len(list) == maxHolders, known && list[len(list)-1].who == e.Workload:
			default:
				t.at[key] = append(list, holder{e.Workload, e.From, e.Until})
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

// Lookup returns the workload that had an address, IPv4 as IPv4-mapped IPv6, at a time in ns since the epoch; nil if none
// is known. An address that several had at that time (private networks may overlap) is none's: no name is better than a
// wrong one. Where one workload alone is known to have ever had it, and still has, the time does not matter: clocks are
// set. It does not allocate.
func (t *Table) Lookup(addr [16]byte, at int64) (who *Workload) {
	if t == nil {
		return nil
	}
	list := t.at[addr]
	if len(list) == 1 && list[0].until == 0 {
		return list[0].who
	}
	for _, h := range list {
		if at < h.from || h.until != 0 && at > h.until {
			continue
		}
		if who != nil {
			return nil
		}
		who = h.who
	}
	return who
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
