package weir_test

import (
	"net"
	"runtime"
	"testing"

	"github.com/mdlayher/packet"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// inNamespace runs fn on a thread in a network namespace; the thread ends with it.
func inNamespace(t testing.TB, ns string, fn func() error) {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked
		h, err := netns.GetFromName(ns)
		if err == nil {
			defer h.Close()
			err = netns.Set(h)
		}
		if err == nil {
			err = fn()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// links changes and reads the interfaces of a namespace, without a process for each.
func links(t testing.TB, ns string) (h *netlink.Handle) {
	t.Helper()
	inNamespace(t, ns, func() (err error) {
		h, err = netlink.NewHandle()
		return err
	})
	t.Cleanup(h.Close)
	return h
}

// sentBy returns the frames that an interface has ever sent.
func sentBy(t testing.TB, h *netlink.Handle, name string) uint64 {
	t.Helper()
	l, err := h.LinkByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return l.Attrs().Statistics.TxPackets
}

// wireEnd sends frames out of an interface.
type wireEnd struct {
	t    testing.TB
	conn *packet.Conn
}

// openWire opens an interface of a namespace for sending.
func openWire(t testing.TB, ns, name string) *wireEnd {
	t.Helper()
	w := &wireEnd{t: t}
	inNamespace(t, ns, func() error {
		i, err := net.InterfaceByName(name)
		if err == nil {
			w.conn, err = packet.Listen(i, packet.Raw, 0, nil)
		}
		return err
	})
	t.Cleanup(func() { w.conn.Close() })
	return w
}

func (w *wireEnd) send(frames [][]byte) {
	w.t.Helper()
	for _, f := range frames {
		if _, err := w.conn.WriteTo(f, &packet.Addr{HardwareAddr: f[:6]}); err != nil {
			w.t.Fatal(err)
		}
	}
}
