package workload

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func TestWatch(t *testing.T) {
	host, pod := newSpace(t), newSpace(t)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var ch <-chan Event
	in(t, host, func() (err error) {
		if err = netlink.LinkAdd(veth("v1", pod, "eth1")); err == nil {
			ch, err = Watch(ctx, []string{"v*", "w?"}, []string{"v9*"})
		}
		return err
	})
	e := expect(t, ch, "arrived v1")
	if e.Interface.Kind != "veth" || e.Interface.NSID < 0 || e.Interface.PeerIndex == 0 || e.Interface.Up {
		t.Errorf("got %+v", e.Interface)
	}
	index := e.Interface.Index
	steps := []struct {
		do   func() error
		want []string
	}{
		{func() error { return netlink.LinkAdd(veth("v99", pod, "eth99")) }, nil},
		{func() error { return netlink.LinkAdd(veth("x1", pod, "eth2")) }, nil},
		{func() error { return netlink.LinkAdd(veth("v2", pod, "eth3")) }, []string{"arrived v2"}},
		{func() error { return netlink.LinkSetUp(veth("v1", nil, "")) }, []string{"changed v1"}},
		{func() error { return netlink.LinkSetDown(veth("v1", nil, "")) }, []string{"changed v1"}},
		{func() error {
			return netlink.LinkSetName(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Index: index}}, "w1")
		}, []string{"departed v1", "arrived w1"}},
		{func() error {
			return netlink.LinkSetName(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Index: index}}, "x9")
		}, []string{"departed w1"}},
		{func() error { return netlink.LinkDel(veth("x9", nil, "")) }, nil},
		{func() error { return netlink.LinkSetNsFd(veth("v2", nil, ""), int(pod.Fd())) }, []string{"departed v2"}},
		{func() error { return netlink.LinkAdd(veth("v3", nil, "v4")) }, []string{"arrived v4", "arrived v3"}},
		{func() error { return netlink.LinkDel(veth("v3", nil, "")) }, []string{"departed v3", "departed v4"}},
	}
	for _, s := range steps {
		in(t, host, s.do)
		for _, want := range s.want {
			expect(t, ch, want)
		}
	}
	cancel()
	for range ch { // ends
	}
}

// TestWatchOverflow makes the kernel drop news while nobody reads: afterwards the events add up all the same.
func TestWatchOverflow(t *testing.T) {
	host := newSpace(t)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	in(t, host, func() error {
		ch, err := watch(ctx, []string{"v*"}, nil, 1)
		if err != nil {
			return err
		}
		for round := range 20 {
			if err := netlink.LinkAdd(veth(fmt.Sprint("v", round), nil, fmt.Sprint("p", round))); err != nil {
				return err
			}
			if round%2 == 0 {
				continue
			}
			if err := netlink.LinkDel(veth(fmt.Sprint("v", round), nil, "")); err != nil {
				return err
			}
		}
		there := map[string]bool{}
		for len(there) < 10 || there["v19"] {
			select {
			case e := <-ch:
				switch e.Kind {
				case Arrived:
					if there[e.Interface.Name] {
						return fmt.Errorf("%s arrived twice", e.Interface.Name)
					}
					there[e.Interface.Name] = true
				case Departed:
					if !there[e.Interface.Name] {
						return fmt.Errorf("%s departed twice", e.Interface.Name)
					}
					delete(there, e.Interface.Name)
				}
			case <-time.After(patience):
				return fmt.Errorf("the events say %v", there)
			}
		}
		for round := range 20 {
			if name := fmt.Sprint("v", round); there[name] != (round%2 == 0) {
				return fmt.Errorf("%s: the events say %v", name, there[name])
			}
		}
		return nil
	})
}

// TestWatchDropped: what changes while news are dropped is known in the end, also where the kernel has said before that it drops some.
func TestWatchDropped(t *testing.T) {
	t.Run("then quiet", func(t *testing.T) { watchDropped(t, false) })
	t.Run("news without end", func(t *testing.T) { watchDropped(t, true) })
}

func watchDropped(t *testing.T, churn bool) {
	host := newSpace(t)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	in(t, host, func() error {
		ch, err := watch(ctx, []string{"v*"}, nil, 1)
		if err != nil {
			return err
		}
		const before = 20
		if e := <-ch; e.Kind != Listed {
			return fmt.Errorf("got %v", e.Kind)
		}
		for i := range before { // nobody reads: the watcher waits with the first one
			if err := netlink.LinkAdd(veth(fmt.Sprint("v", i), nil, fmt.Sprint("p", i))); err != nil {
				return err
			}
		}
		there := map[string]bool{}
		next := func() error {
			select {
			case e := <-ch:
				switch e.Kind {
				case Arrived:
					there[e.Interface.Name] = true
				case Departed:
					delete(there, e.Interface.Name)
				}
				return nil
			case <-time.After(patience):
				return fmt.Errorf("the events say %v", there)
			}
		}
		for !there["v2"] { // that some were dropped is known by now, and all were listed
			if err := next(); err != nil {
				return err
			}
		}
		if err := errors.Join(netlink.LinkAdd(veth("v99", nil, "p99")), netlink.LinkDel(veth("v1", nil, ""))); err != nil {
			return err
		}
		if churn {
			h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
			if err != nil {
				return err
			}
			defer h.Close()
			stop, stopped := make(chan bool), make(chan error)
			defer func() {
				close(stop)
				if err := <-stopped; err != nil {
					t.Error(err)
				}
			}()
			go func() { stopped <- change(h, "p0", watchQuiet/10, stop) }()
		}
		for len(there) != before || !there["v99"] || there["v1"] {
			if err := next(); err != nil {
				return err
			}
		}
		return nil
	})
}

// change changes an interface again and again.
func change(h *netlink.Handle, name string, every time.Duration, stop <-chan bool) error {
	l, err := h.LinkByName(name)
	for tick, n := time.NewTicker(every), 0; err == nil; n++ {
		select {
		case <-tick.C:
			err = h.LinkSetMTU(l, 1400+n%2)
		case <-stop:
			tick.Stop()
			return nil
		}
	}
	return err
}

func TestWatchPattern(t *testing.T) {
	if _, err := Watch(context.Background(), []string{"["}, nil); err == nil {
		t.Error("a bad pattern was taken")
	}
}
