package weir_test

import (
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestHandOver: a daemon that ends for its successor leaves what is enforced in force. Of a group that fails closed nothing passes between the two, and what is allowed goes on with the next; of
// one that fails open it passes.
func TestHandOver(t *testing.T) {
	for _, failure := range []string{"open", "closed"} {
		t.Run(failure, func(t *testing.T) {
			w := newTown(t)
			web, shop := fmt.Sprintf("wweb-%d", os.Getpid()), fmt.Sprintf("wshop-%d", os.Getpid())
			w.workload(web, 2)
			w.workload(shop, 3)
			s := &counter{came: make(chan bool, 100), errs: make(chan error, 100)}
			w.listen(web, ":81", s.take)
			d := w.protect(buildWeir(t), strings.Replace(protectPolicy, "[[policy]]", "[failure]\nweb = \""+failure+"\"\n[[policy]]", 1), web)
			c, err := w.dial(shop, "10.77.0.2:81")
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			said := func(n int) string { return fmt.Sprintf("GET /orders/%d HTTP/1.1\r\nHost: a\r\n\r\n", n) }
			fmt.Fprint(c, said(1))
			w.eventually("what is allowed has come", func() bool { return s.text() == said(1) })
			if err := d.cmd.Process.Signal(syscall.SIGUSR2); err != nil {
				t.Fatal(err)
			}
			<-d.done
			if w.tables(web) != 1 {
				t.Fatalf("%d tables are there after the first daemon", w.tables(web))
			}
			fmt.Fprint(c, said(2))
			if failure == "open" {
				w.eventually("what nobody judges passes", func() bool { return s.text() == said(1)+said(2) })
			} else {
				var other net.Conn
				inNamespace(t, shop, func() error {
					other, err = net.DialTimeout("tcp", "10.77.0.2:81", 300*time.Millisecond)
					return nil
				})
				if err == nil {
					other.Close()
					t.Error("somebody connected while nobody judges")
				}
				if got := s.text(); got != said(1) {
					t.Errorf("what nobody judged has come: %q", got)
				}
			}
			d.launch(w.host)
			w.eventually("the next daemon judges", func() bool { out, _, _ := d.weir("workloads"); return strings.Contains(out, "fails "+failure) })
			w.eventually("it goes on", func() bool { return s.text() == said(1)+said(2) })
			if c, err = w.dial(shop, "10.77.0.2:81"); err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			fmt.Fprint(c, "DELETE /orders/1 HTTP/1.1\r\nHost: a\r\n\r\n")
			c.SetReadDeadline(time.Now().Add(5 * time.Second))
			if _, err := c.Read(make([]byte, 1)); err == nil || os.IsTimeout(err) {
				t.Errorf("the next daemon does not judge: %v", err)
			}
			if got := s.text(); got != said(1)+said(2) {
				t.Errorf("the server has %q", got)
			}
			d.stop()
			if w.tables(web) != 0 {
				t.Error("rules are left")
			}
		})
	}
}
