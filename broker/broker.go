// Package broker opens sockets in other network namespaces, and does nothing else. Who serves needs the capabilities that entering a
// namespace takes; who asks gets descriptors, and needs none of them. So the daemon, which parses what strangers send, cannot enter
// anything: all that it can have of a namespace is a socket of one of four kinds.
//
// A request is one packet on a Unix socket: a Kind, and the path that names the namespace. The answer is one packet: an errno, 0 with the
// socket in SCM_RIGHTS, else with words.
package broker

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Kind is what kind of socket is asked for. All are non-blocking, and closed on exec.
type Kind uint8

const (
	Packet    Kind = 1 + iota // AF_PACKET, SOCK_RAW: it receives nothing until it is bound to a protocol
	Netfilter                 // NETLINK_NETFILTER: queues, nftables, conntrack
	SockDiag                  // NETLINK_SOCK_DIAG: sockets and who has them
	Route                     // NETLINK_ROUTE: interfaces and addresses
)

var kinds = [...]string{Packet: "packet", Netfilter: "netfilter", SockDiag: "sock_diag", Route: "route"}

func (k Kind) valid() bool { return k >= Packet && int(k) < len(kinds) }

func (k Kind) String() string {
	if !k.valid() {
		return fmt.Sprintf("kind %d", uint8(k))
	}
	return kinds[k]
}

// Ours.
const (
	// Socket is where the broker of systemd listens.
	Socket = "/run/weir-broker.sock"

	maxName    = 255              // bytes of a namespace's name: a file's
	maxRequest = 1 + 64 + maxName // bytes; a longer one is refused
	maxAnswer  = 512              // bytes
	maxConns   = 8                // that are served at once; further ones wait
	writeTime  = 2 * time.Second  // a peer that does not read its answer for so long is left
	askTime    = 10 * time.Second // that an answer is waited for
)

// ErrPath says that a path is none of those by which a namespace may be named: /run/netns/NAME, /var/run/netns/NAME, /proc/PID/ns/net.
var ErrPath = errors.New("no network namespace is named so (/run/netns/NAME, /var/run/netns/NAME or /proc/PID/ns/net)")

// valid reports whether a path is one by which a namespace may be named. Nothing in it can lead elsewhere.
func valid(path string) bool {
	for _, dir := range []string{"/run/netns/", "/var/run/netns/"} {
		if name, ok := strings.CutPrefix(path, dir); ok {
			return isName(name)
		}
	}
	pid, ok := strings.CutPrefix(path, "/proc/")
	if !ok {
		return false
	}
	pid, ok = strings.CutSuffix(pid, "/ns/net")
	return ok && isPID(pid)
}

func isName(s string) bool {
	return s != "" && s != "." && s != ".." && len(s) <= maxName && !strings.ContainsAny(s, "/\x00")
}

// isPID reports whether s is a process's id as the kernel writes it. It is at most 4194304, proc_sys_kernel(5).
func isPID(s string) bool {
	if s == "" || len(s) > 7 || s[0] == '0' {
		return false
	}
	return strings.Trim(s, "0123456789") == ""
}
