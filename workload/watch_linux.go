package workload

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Ours.
const (
	watchBuffer = 4 << 20 // bytes of the netlink socket's buffer; it holds the news of some thousand interfaces
	listTries   = 5       // times that a listing is begun anew because interfaces changed meanwhile

	watchQuiet = 20 * time.Millisecond // without news, after some were dropped: then all that was kept has been read
	watchAgain = time.Second           // between two listings until then
)

// Kind is what happened to an interface.
type Kind uint8

const (
	Arrived  Kind = iota // it is there, now or since before the watch began
	Changed              // its state or its peer is another one than told before
	Departed             // it is gone, was moved to another namespace, or has a name now that is not watched
	Failed               // watching ended with Event.Err
	Listed               // all interfaces that were there have been told; once
)

func (k Kind) String() string {
	return [...]string{"arrived", "changed", "departed", "failed", "listed"}[k]
}

// Event is news of an interface.
type Event struct {
	Kind      Kind
	Interface Interface // of Departed, as last told; of Failed and Listed, empty
	Err       error     // set iff Kind is Failed
}

// Watch tells which interfaces of the calling thread's network namespace are there and which come and go, until ctx
// ends; then it closes the channel. An interface is watched if its name matches a pattern (path.Match) of include and
// none of exclude. Interfaces that are there come first. A renamed interface departs and arrives. When the kernel has
// dropped news because nobody read it, all interfaces are listed again, so that the events always add up to what is
// there. A reader that is slow loses nothing but time.
func Watch(ctx context.Context, include, exclude []string) (<-chan Event, error) {
	return watch(ctx, include, exclude, watchBuffer)
}

// watch is Watch with a netlink buffer of so many bytes.
func watch(ctx context.Context, include, exclude []string, buffer int) (<-chan Event, error) {
	for _, p := range slices.Concat(include, exclude) {
		if _, err := path.Match(p, ""); err != nil {
			return nil, fmt.Errorf("interface name pattern %q: %w", p, err)
		}
	}
	// Both sockets belong to the namespace they are opened in, on whatever thread they are used.
	news, err := nl.Subscribe(unix.NETLINK_ROUTE, unix.RTNLGRP_LINK)
	if err != nil {
		return nil, fmt.Errorf("watch interfaces: %w", err)
	}
	news.SetReceiveBufferSize(buffer, true) // refused without CAP_NET_ADMIN: then there are more listings
	list, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		news.Close()
		return nil, fmt.Errorf("watch interfaces: %w", err)
	}
	w := &watcher{ctx: ctx, include: include, exclude: exclude, news: news, list: list, out: make(chan Event), known: map[int]Interface{}}
	go w.run()
	return w.out, nil
}

type watcher struct {
	ctx              context.Context
	include, exclude []string
	news             *nl.NetlinkSocket
	list             *netlink.Handle
	out              chan Event
	known            map[int]Interface // by index: what was told as there
}

func (w *watcher) run() {
	defer close(w.out)
	defer w.list.Close()
	stop := context.AfterFunc(w.ctx, w.news.Close)
	defer func() {
		if stop() {
			w.news.Close()
		}
	}()
	if err := w.follow(); err != nil && w.ctx.Err() == nil {
		w.send(Event{Kind: Failed, Err: fmt.Errorf("watch interfaces: %w", err)})
	}
}

func (w *watcher) follow() error {
	if err := w.relist(); err != nil {
		return err
	}
	w.send(Event{Kind: Listed})
	dropped, listed := false, time.Time{}
	for {
		if dropped && time.Since(listed) >= watchAgain { // there may be news without end
			if err := w.relist(); err != nil {
				return err
			}
			listed = time.Now()
		}
		msgs, from, err := w.news.Receive()
		switch {
		case w.ctx.Err() != nil:
			return nil
		case errors.Is(err, unix.ENOBUFS), dropped && errors.Is(err, unix.EAGAIN):
			// Until what it has kept is read the kernel drops everything, and says so once: what is listed now is listed again after that.
			dropped = !errors.Is(err, unix.EAGAIN)
			quiet := unix.Timeval{}
			if dropped {
				quiet = unix.NsecToTimeval(int64(watchQuiet))
			}
			if err := errors.Join(w.news.SetReceiveTimeout(&quiet), w.relist()); err != nil {
				return err
			}
			listed = time.Now()
			continue
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.EAGAIN):
			continue
		case err != nil:
			return err
		case from.Pid != nl.PidKernel:
			continue
		}
		for _, m := range msgs {
			if m.Header.Type != unix.RTM_NEWLINK && m.Header.Type != unix.RTM_DELLINK {
				continue
			}
			// A message of another family tells of a bridge's port, say, and its deletion leaves the interface there.
			if len(m.Data) < unix.SizeofIfInfomsg || m.Data[0] != unix.AF_UNSPEC {
				continue
			}
			header := unix.NlMsghdr(m.Header)
			link, err := netlink.LinkDeserialize(&header, m.Data)
			if err != nil {
				if err := w.relist(); err != nil {
					return err
				}
				continue
			}
			w.tell(fromLink(link), m.Header.Type == unix.RTM_NEWLINK)
		}
	}
}

// relist makes the events add up to what is there now. News that is older than the listing and not read yet does no
// harm: each is followed by the one that undoes it.
func (w *watcher) relist() error {
	var links []netlink.Link
	var err error
	for range listTries {
		if links, err = w.list.LinkList(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return err
	}
	there := map[int]bool{}
	for _, l := range links {
		there[l.Attrs().Index] = true
	}
	if err == nil { // an interrupted listing may miss some
		for index, i := range w.known {
			if !there[index] {
				w.tell(i, false)
			}
		}
	}
	for _, l := range links {
		w.tell(fromLink(l), true)
	}
	return nil
}

// tell sends what is new about an interface, if anything is.
func (w *watcher) tell(i Interface, there bool) {
	old, known := w.known[i.Index]
	watched := there && w.watched(i.Name)
	switch {
	case known && (!watched || old.Name != i.Name):
		delete(w.known, i.Index)
		w.send(Event{Kind: Departed, Interface: old})
		if watched {
			w.known[i.Index] = i
			w.send(Event{Kind: Arrived, Interface: i})
		}
	case watched && !known:
		w.known[i.Index] = i
		w.send(Event{Kind: Arrived, Interface: i})
	case watched && i != old:
		w.known[i.Index] = i
		w.send(Event{Kind: Changed, Interface: i})
	}
}

func (w *watcher) send(e Event) {
	select {
	case w.out <- e:
	case <-w.ctx.Done():
	}
}

func (w *watcher) watched(name string) bool {
	return matches(w.include, name) && !matches(w.exclude, name)
}

func matches(patterns []string, name string) bool {
	for _, p := range patterns {
		if ok, _ := path.Match(p, name); ok { // Watch has checked the patterns
			return true
		}
	}
	return false
}

// Gone reports whether there is no such interface any more in the namespace of the calling thread. What cannot be found out is no.
func (i Interface) Gone() bool {
	_, err := netlink.LinkByIndex(i.Index)
	return errors.As(err, new(netlink.LinkNotFoundError))
}

func fromLink(l netlink.Link) Interface {
	a := l.Attrs()
	i := Interface{Index: a.Index, Name: a.Name, Kind: l.Type(), NSID: a.NetNsID, Up: a.RawFlags&unix.IFF_UP != 0}
	if i.Kind == "veth" {
		i.PeerIndex = a.ParentIndex
	}
	return i
}
