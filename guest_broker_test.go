package weir_test

import (
	"fmt"
	"strings"
)

// brokers looks at the broker: it comes with the daemon, has its capabilities and no others, goes with the daemon, and its own going and coming
// disturbs nobody.
func (w guestWeir) brokers() {
	w.t.Helper()
	state := func() string {
		return strings.TrimSpace(w.run("systemctl show -P ActiveState weir-broker.service"))
	}
	pid := func() string { return strings.TrimSpace(w.run("systemctl show -P MainPID weir-broker.service")) }
	w.until("the broker to be there", func() bool { return state() == "active" })
	proc := w.run("cat /proc/" + pid() + "/status")
	caps := uint64(1<<12 | 1<<13 | 1<<19 | 1<<21) // CAP_NET_ADMIN, CAP_NET_RAW, CAP_SYS_PTRACE, CAP_SYS_ADMIN
	if want := fmt.Sprintf("CapEff:\t%016x\n", caps); !strings.Contains(proc, want) || !strings.Contains(proc, "\nSeccomp:\t2\n") {
		w.t.Errorf("/proc/PID/status of the broker has not %q, or no filter of system calls:\n%s", want, proc)
	}
	if got := w.run("stat -c '%a %U' /run/weir-broker.sock"); got != "600 root\n" {
		w.t.Errorf("mode of the broker's socket: %s", got)
	}
	if out := w.run("journalctl -u weir -o cat -p info"); !strings.Contains(out, "entered by the broker") {
		w.t.Errorf("the daemon does not say that it has the broker:\n%s", out)
	}
	daemon := w.pid()
	port := uint16(30011)
	for _, do := range []string{"restart weir-broker.service", "stop weir-broker.service", "kill -s KILL weir-broker.service"} {
		if strings.HasPrefix(do, "kill") {
			w.run("systemctl start weir-broker.service")
		}
		w.run("systemctl " + do)
		w.finds("shop", port)
		port++
	}
	w.until("the broker to be back after it was killed", func() bool { return state() == "active" })
	if got := w.pid(); got != daemon {
		w.t.Errorf("the daemon is process %s, was %s before the broker went", got, daemon)
	}
	w.run("systemctl stop weir")
	w.until("the broker to go after the daemon", func() bool { return state() == "inactive" }) // it comes behind it in the order
	w.run("systemctl start weir && systemctl restart weir")
	w.until("the broker to be there after a restart of the daemon", func() bool { return state() == "active" })
	w.finds("shop", port)
}
