package engine

import (
	"bytes"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"weir/dissect"
	"weir/policy"
	"weir/wire"
)

// names are the DNS names that answers were seen to lead from to addresses, for groups that ask for them. Only answers of resolvers that are not
// beyond private networks count: else whoever is outside could name himself.
type names struct {
	changes atomic.Uint32 // an address has got a name that it had not

	mu sync.RWMutex
	of map[netip.Addr][]nameOf
}

// nameOf is a name of an address.
type nameOf struct {
	name  string
	until int64 // ns since the epoch
}

// Ours.
const (
	maxNamed    = 1 << 16         // addresses; then the names of one are forgotten for each that comes
	maxNamesOf  = 16              // of one address; then the one that ends first gives way
	nameLeast   = 60_000_000_000  // ns that a name is believed, however short its time to live,
	nameGrace   = 600_000_000_000 // and so long after it: connections are kept
	nameLongest = 86_400          // s of a time to live that are believed
)

// learn notes that a name leads to an address for ttl seconds. now is ns since the epoch.
func (x *names) learn(name []byte, a netip.Addr, ttl uint64, now int64) {
	if len(name) == 0 || len(name) > 255 {
		return
	}
	until := now + max(nameLeast, int64(min(ttl, nameLongest))*1e9) + nameGrace
	x.mu.Lock()
	defer x.mu.Unlock()
	list := x.of[a]
	for i := range list {
		if list[i].name == string(name) {
			list[i].until = max(list[i].until, until)
			return
		}
	}
	if x.of == nil {
		x.of = map[netip.Addr][]nameOf{}
	}
	if list == nil && len(x.of) >= maxNamed {
		for other := range x.of {
			delete(x.of, other)
			break
		}
	}
	if len(list) >= maxNamesOf {
		first := 0
		for i := range list {
			if list[i].until < list[first].until {
				first = i
			}
		}
		list = slices.Delete(list, first, first+1)
	}
	x.of[a] = append(list, nameOf{string(name), until})
	x.changes.Add(1)
}

// lead returns the names that lead to an address at a time.
func (x *names) lead(a netip.Addr, now int64) (out []string) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	for _, n := range x.of[a] {
		if n.until > now {
			out = append(out, n.name)
		}
	}
	return out
}

// asksNames reports whether a group of a policy is about DNS names.
func asksNames(set *policy.Set) bool {
	for i := range set.Groups {
		for _, line := range set.Groups[i].Match {
			for _, c := range line.All {
				if c.Key == "dns" {
					return true
				}
			}
		}
	}
	return false
}

// nameFields are the fields that names are learned from.
var nameFields = func() dissect.Wants {
	out := make(dissect.Wants, len(dissect.FieldNames))
	for i, name := range dissect.FieldNames {
		out[i] = slices.Contains([]string{"dns.query", "dns.question", "dns.answer.name", "dns.answer.ttl", "dns.answer"}, name)
	}
	return out
}()

// learnNames takes the names out of an answer of a resolver.
func (l *Lane) learnNames(m *dissect.Message) {
	if m.Protocol != &dissect.DNS || m.Dir != wire.ToClient {
		return
	}
	_, resolver := l.ends(wire.ToServer)
	if SubjectOf(resolver.who, resolver.at.Unmap()).External() {
		return
	}
	var asked, named []byte
	ttl := uint64(0)
	for i := range m.Parts {
		p := &m.Parts[i]
		if p.View != 0 || p.Off != 0 || p.More {
			continue
		}
		switch m.Protocol.Fields[p.Field].Name {
		case "dns.query", "dns.question":
			if asked == nil {
				asked = canonicalName(p.Bytes)
			}
		case "dns.answer.name":
			named, ttl = canonicalName(p.Bytes), 0
		case "dns.answer.ttl":
			ttl, _ = strconv.ParseUint(string(p.Bytes), 10, 32)
		case "dns.answer":
			a, err := netip.ParseAddr(string(p.Bytes))
			if err != nil {
				continue
			}
			l.e.names.learn(asked, a.Unmap(), ttl, l.t.now)
			if !bytes.Equal(asked, named) {
				l.e.names.learn(named, a.Unmap(), ttl, l.t.now)
			}
		}
	}
}

func canonicalName(b []byte) []byte {
	return []byte(strings.ToLower(strings.TrimSuffix(string(b), ".")))
}
