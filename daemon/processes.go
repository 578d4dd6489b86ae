package daemon

import (
	"cmp"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"weir/alert"
	"weir/broker"
	"weir/workload"
)

// processes names the processes behind the local ends of events. It is asked by whoever writes events, never by who looks at packets; it takes so much time and no more, and what is over by
// then has no name.
type processes struct {
	d      *Daemon
	owners *workload.Owners
	known  map[socketKey]owner
	left   float64 // questions that may be put now; less than none after one that took long
	at     time.Time

	mu   sync.Mutex          // guards what follows
	said map[string]*said    // of containers in the host's network namespace, by id; nil: it is asked for
	host map[netip.Addr]bool // the host's own addresses
}

type said struct{ what *workload.Description }

// socketKey is one end of a conversation; Remote is the other one.
type socketKey struct {
	proto         uint8
	space         uint64 // of the end's network namespace; 0: the host's
	local, remote netip.AddrPort
}

type owner struct {
	who *workload.Process // nil: nobody was found
	at  time.Time
}

// ours
const (
	ownersPerSecond = 50               // questions to the kernel, in the long run
	ownersEach      = 2e-3             // seconds that one may take; one that takes longer counts for as many: a tenth of the time is taken at most
	ownersBurst     = 100              // at once
	ownersKnown     = 1 << 12          // ends that are remembered; then it begins anew
	ownersGood      = 30 * time.Second // so long
	ownersBad       = time.Second      // that nobody was found: it may not be accepted yet
	saidMost        = 256              // containers in the host's network namespace that are known
)

func newProcesses(d *Daemon) *processes {
	return &processes{d: d, owners: workload.NewOwners(), known: map[socketKey]owner{}, left: ownersBurst, at: time.Now(), said: map[string]*said{}, host: map[netip.Addr]bool{}}
}

// setHost tells the addresses of the host.
func (p *processes) setHost(list []netip.Addr) {
	m := make(map[netip.Addr]bool, len(list))
	for _, a := range list {
		m[a] = true
	}
	p.mu.Lock()
	p.host = m
	p.mu.Unlock()
}

// name puts the processes behind an event's ends into it. One goroutine calls it at a time.
func (p *processes) name(ev *alert.Event) {
	if ev.Proto != unix.IPPROTO_TCP && ev.Proto != unix.IPPROTO_UDP || !ev.Src.IsValid() || !ev.Dst.IsValid() || strings.HasSuffix(ev.Iface, loopbackName) {
		return
	}
	src, dst := plain(ev.Src), plain(ev.Dst)
	ev.Weir.Src = p.end(ev, ev.Weir.Src, src, dst)
	ev.Weir.Dst = p.end(ev, ev.Weir.Dst, dst, src)
}

func plain(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }

// end returns one end of an event with its process.
func (p *processes) end(ev *alert.Event, w *alert.Workload, local, remote netip.AddrPort) *alert.Workload {
	if w != nil {
		if real, err := netip.ParseAddrPort(w.Address); err == nil { // behind a service's address
			local = plain(real)
		}
		who := p.d.where.Load().Lookup(local.Addr().As16(), ev.Time)
		if who == nil || who.NetNS == "" || who.Space == 0 {
			return w
		}
		if found := p.owner(socketKey{ev.Proto, who.Space, local, remote}, way{path: who.NetNS, inode: who.Space}); found != nil {
			w.Process = &alert.Process{PID: found.PID, Comm: found.Comm, Exe: found.Exe}
		}
		return w
	}
	p.mu.Lock()
	is := p.host[local.Addr()]
	p.mu.Unlock()
	if !is {
		return nil
	}
	found := p.owner(socketKey{ev.Proto, 0, local, remote}, way{})
	if found == nil || found.ID == "" {
		return nil
	}
	w = &alert.Workload{ID: found.ID, Process: &alert.Process{PID: found.PID, Comm: found.Comm, Exe: found.Exe}}
	if d := p.describe(found); d != nil {
		w.Name, w.Pod, w.Namespace, w.Image, w.Labels = d.Name, d.Pod, d.Namespace, d.Image, d.Labels
	}
	return w
}

// owner returns who has a socket; nil: nobody knows, or too much was asked.
func (p *processes) owner(k socketKey, w way) *workload.Process {
	now := time.Now()
	if o, ok := p.known[k]; ok {
		good := ownersGood
		if o.who == nil {
			good = ownersBad
		}
		if now.Sub(o.at) < good {
			return o.who
		}
	}
	p.left = min(p.left+ownersPerSecond*now.Sub(p.at).Seconds(), ownersBurst)
	if p.at = now; p.left < 1 {
		return nil
	}
	if len(p.known) >= ownersKnown {
		clear(p.known)
	}
	who := p.find(k, w)
	p.known[k] = owner{who, now}
	p.left -= max(1, time.Since(now).Seconds()/ownersEach)
	return who
}

func (p *processes) find(k socketKey, w way) *workload.Process {
	f, err := p.diag(w)
	if err != nil {
		return nil
	}
	defer f.Close()
	s, err := workload.FindSocket(f, k.proto, k.local, k.remote)
	if err != nil {
		return nil
	}
	who, ok := p.owners.Owner(s, cmp.Or(w.inode, hostInode()))
	if !ok {
		return nil
	}
	return &who
}

// diag opens a socket that tells of sockets, where a way leads; without one, here.
func (p *processes) diag(w way) (*os.File, error) {
	if w.path != "" {
		p.d.mu.Lock()
		spaces := p.d.spaces
		p.d.mu.Unlock()
		if spaces == nil {
			return nil, errNoWay
		}
		return p.d.openIn(w, broker.SockDiag)
	}
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "sock_diag"), nil
}

func hostInode() uint64 {
	var st unix.Stat_t
	if unix.Stat("/proc/self/ns/net", &st) != nil {
		return 0
	}
	return st.Ino
}

// describe returns what a runtime calls a container that is in the host's network namespace; nil: nobody has said yet.
func (p *processes) describe(who *workload.Process) *workload.Description {
	p.mu.Lock()
	s, asked := p.said[who.ID]
	if !asked {
		if len(p.said) >= saidMost {
			clear(p.said)
		}
		p.said[who.ID] = &said{}
	}
	p.mu.Unlock()
	if asked {
		return s.what
	}
	p.d.naming.wonder(who.ID, who.Mark)
	return nil
}

// answered takes note of what a runtime calls a container, if somebody asked for it here.
func (p *processes) answered(id string, what *workload.Description) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := p.said[id]; s != nil && what != nil && what.Name != "" {
		p.said[id] = &said{what}
	}
}
