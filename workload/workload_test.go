package workload

import (
	"net/netip"
	"strings"
	"testing"
)

const (
	testID  = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	otherID = "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"
	testUID = "2f6a1c5e-7b3d-4e8f-9a0b-1c2d3e4f5a6b"
)

func TestFromCgroup(t *testing.T) {
	underscored := strings.ReplaceAll(testUID, "-", "_")
	for _, c := range []struct{ name, text, id, uid string }{
		{"none", "0::/user.slice/user-0.slice/session-1.scope\n", "", ""},
		{"empty", "", "", ""},
		{"docker, systemd", "0::/system.slice/docker-" + testID + ".scope\n", testID, ""},
		{"docker, cgroupfs, v1", "3:cpuset:/docker/" + testID + "\n2:cpu:/docker/" + testID + "\n", testID, ""},
		{"podman", "0::/machine.slice/libpod-" + testID + ".scope/container\n", testID, ""},
		{"pod in a name", "0::/podman-0123456789abcdef/" + testID + "\n", testID, ""},
		{"containerd, cgroupfs", "0::/kubepods/besteffort/pod" + testUID + "/" + testID + "\n", testID, testUID},
		{"containerd, systemd", "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + underscored + ".slice/cri-containerd-" + testID + ".scope\n", testID, testUID},
		{"cri-o", "0::/kubepods.slice/kubepods-pod" + underscored + ".slice/crio-" + testID + ".scope\n", testID, testUID},
		{"static pod", "0::/kubepods/burstable/pod0123456789abcdef0123456789abcdef/" + testID + "\n", testID, "0123456789abcdef0123456789abcdef"},
		{"nested", "0::/docker/" + otherID + "/kubelet/kubepods/pod" + testUID + "/" + testID + "\n", testID, testUID},
		{"unified hierarchy decides", "4:memory:/docker/" + otherID + "\n0::/docker/" + testID + "\n", testID, ""},
		{"unified hierarchy empty", "4:memory:/docker/" + testID + "\n0::/\n", testID, ""},
		{"63 digits", "0::/docker/" + testID[1:] + "\n", "", ""},
		{"65 digits", "0::/docker/" + testID + "0\n", "", ""},
		{"colon in a name", "0::/a:b/" + testID + "\n", testID, ""},
		{"garbage", "::::\n\x00\n", "", ""},
	} {
		if id, uid := fromCgroup([]byte(c.text)); id != c.id || uid != c.uid {
			t.Errorf("%s: got %q, %q, want %q, %q", c.name, id, uid, c.id, c.uid)
		}
	}
}

func FuzzFromCgroup(f *testing.F) {
	f.Add("0::/kubepods/pod" + testUID + "/" + testID + "\n")
	f.Fuzz(func(t *testing.T, text string) {
		id, uid := fromCgroup([]byte(text))
		if len(id) != 0 && len(id) != idLen || len(uid) > uidLen {
			t.Errorf("got %q, %q", id, uid)
		}
	})
}

func TestTable(t *testing.T) {
	a, b := &Workload{Name: "a"}, &Workload{Name: "b"}
	addrs := func(s ...string) (out []netip.Addr) {
		for _, x := range s {
			out = append(out, netip.MustParseAddr(x))
		}
		return out
	}
	table := NewTable([]Entry{
		{a, addrs("10.0.0.1", "fd00::1", "127.0.0.1", "::1", "fe80::1", "10.0.0.9", "10.0.0.1")},
		{b, append(addrs("::ffff:10.0.0.2", "10.0.0.9"), netip.Addr{})},
	})
	for addr, want := range map[string]*Workload{
		"10.0.0.1": a, "fd00::1": a, "10.0.0.2": b,
		"10.0.0.9":  nil, // both have it
		"127.0.0.1": nil, "::1": nil, "fe80::1": nil, "10.0.0.3": nil,
	} {
		if got := table.Lookup(netip.MustParseAddr(addr).As16()); got != want {
			t.Errorf("%s: got %v, want %v", addr, got, want)
		}
	}
	if got := table.Len(); got != 4 {
		t.Errorf("len: got %d, want 4", got)
	}
	key := netip.MustParseAddr("10.0.0.1").As16()
	if n := testing.AllocsPerRun(100, func() { table.Lookup(key) }); n != 0 {
		t.Errorf("Lookup allocates %v times", n)
	}
	var none *Table
	if none.Lookup(key) != nil || none.Len() != 0 || none.Left() != 0 {
		t.Error("a nil table is not empty")
	}
}

func TestTableFull(t *testing.T) {
	e := Entry{Workload: &Workload{}}
	addr := netip.MustParseAddr("10.0.0.0")
	for range maxAddresses + 5 {
		e.Addresses = append(e.Addresses, addr)
		addr = addr.Next()
	}
	table := NewTable([]Entry{e})
	if table.Len() != maxAddresses || table.Left() != 5 {
		t.Errorf("got %d and %d left, want %d and 5", table.Len(), table.Left(), maxAddresses)
	}
}
