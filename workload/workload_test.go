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
	for _, c := range []struct{ name, text, id, uid, mark string }{
		{"none", "0::/user.slice/user-0.slice/session-1.scope\n", "", "", ""},
		{"empty", "", "", "", ""},
		{"docker, systemd", "0::/system.slice/docker-" + testID + ".scope\n", testID, "", "docker"},
		{"docker, cgroupfs, v1", "3:cpuset:/docker/" + testID + "\n2:cpu:/docker/" + testID + "\n", testID, "", "docker"},
		{"podman", "0::/machine.slice/libpod-" + testID + ".scope/container\n", testID, "", "libpod"},
		{"podman, in a pod", "0::/machine.slice/machine-libpod_pod_" + otherID + ".slice/libpod-" + testID + ".scope\n", testID, "", "libpod"},
		{"podman, cgroupfs", "0::/libpod_parent/libpod-" + testID + "\n", testID, "", "libpod"},
		{"pod in a name", "0::/podman-0123456789abcdef/" + testID + "\n", testID, "", ""},
		{"containerd, cgroupfs", "0::/kubepods/besteffort/pod" + testUID + "/" + testID + "\n", testID, testUID, ""},
		{"containerd, systemd", "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + underscored + ".slice/cri-containerd-" + testID + ".scope\n", testID, testUID, "cri-containerd"},
		{"containerd, the wrong driver", "0::/system.slice/kubepods-pod" + underscored + ".slice:cri-containerd:" + testID + "\n", testID, testUID, "cri-containerd"},
		{"cri-o", "0::/kubepods.slice/kubepods-pod" + underscored + ".slice/crio-" + testID + ".scope\n", testID, testUID, "crio"},
		{"static pod", "0::/kubepods/burstable/pod0123456789abcdef0123456789abcdef/" + testID + "\n", testID, "0123456789abcdef0123456789abcdef", ""},
		{"nested", "0::/docker/" + otherID + "/kubelet/kubepods/pod" + testUID + "/" + testID + "\n", testID, testUID, ""},
		{"unified hierarchy decides", "4:memory:/docker/" + otherID + "\n0::/crio-" + testID + "\n", testID, "", "crio"},
		{"unified hierarchy empty", "4:memory:/docker/" + testID + "\n0::/\n", testID, "", "docker"},
		{"63 digits", "0::/docker/" + testID[1:] + "\n", "", "", ""},
		{"65 digits", "0::/docker/" + testID + "0\n", "", "", ""},
		{"colon in a name", "0::/a:b/" + testID + "\n", testID, "", ""},
		{"garbage", "::::\n\x00\n", "", "", ""},
	} {
		want := process{id: c.id, podUID: c.uid, mark: c.mark}
		if got := fromCgroup([]byte(c.text)); got != want {
			t.Errorf("%s: got %+v, want %+v", c.name, got, want)
		}
	}
}

// FuzzProc reads files of /proc.
func FuzzProc(f *testing.F) {
	f.Add("0::/kubepods/pod" + testUID + "/" + testID + "\n")
	f.Add("0::/system.slice:docker:" + testID + "\n")
	f.Add("1 (a) b) S 1 1 1 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4711 2 3")
	f.Fuzz(func(t *testing.T, text string) {
		parseStart([]byte(text))
		p := fromCgroup([]byte(text))
		if len(p.id) != 0 && len(p.id) != idLen || len(p.podUID) > uidLen || p.mark != "" && p.id == "" {
			t.Errorf("got %+v", p)
		}
	})
}

func TestParseStart(t *testing.T) {
	after := " S 1 1 1 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4711 2 3"
	for _, c := range []struct {
		text string
		want uint64
	}{
		{"1 (init)" + after, 4711}, {"1 (a) b (c))" + after, 4711}, {"1 (a\n b)" + after, 4711},
		{"", 0}, {"1 (init", 0}, {"1 (init) S 1", 0}, {strings.Replace("1 (init)"+after, "4711", "-4711", 1), 0},
	} {
		if got := parseStart([]byte(c.text)); got != c.want {
			t.Errorf("%q: got %d, want %d", c.text, got, c.want)
		}
	}
}

func TestMadeUp(t *testing.T) {
	for name, want := range map[string]bool{
		"cni-" + testUID: true, "netns-" + testUID: true, testUID: true,
		"web": false, "": false, "cni-web": false, "x-" + testUID: false, testUID + "0": false, "cni-": false,
	} {
		if got := madeUp(name); got != want {
			t.Errorf("%q: got %v, want %v", name, got, want)
		}
	}
}

func TestTable(t *testing.T) {
	a, b := &Workload{Name: "a"}, &Workload{Name: "b"}
	addrs := func(s ...string) (out []netip.Addr) {
		for _, x := range s {
			out = append(out, netip.MustParseAddr(x))
		}
		return out
	}
	c, old := &Workload{Name: "c"}, &Workload{Name: "old"}
	table := NewTable([]Entry{
		{Workload: a, Addresses: addrs("10.0.0.1", "fd00::1", "127.0.0.1", "::1", "fe80::1", "10.0.0.9", "10.0.0.1")},
		{Workload: b, Addresses: append(addrs("::ffff:10.0.0.2", "10.0.0.9"), netip.Addr{}), From: 100},
		{Workload: c, Addresses: addrs("10.0.0.5"), From: 100},
		{Workload: old, Addresses: addrs("10.0.0.5", "10.0.0.6"), From: 50, Until: 90},
		{Workload: a, Addresses: addrs("10.0.0.6"), From: 80, Until: 120},
	})
	for _, x := range []struct {
		addr string
		at   int64
		want *Workload
	}{
		{"10.0.0.1", 0, a}, {"fd00::1", 0, a}, {"10.0.0.2", 100, b},
		{"10.0.0.2", 0, b},     // it alone has ever had it
		{"10.0.0.9", 99, a},    // it had it
		{"10.0.0.9", 0, a},     //
		{"10.0.0.9", 100, nil}, // both have it
		{"10.0.0.5", 100, c}, {"10.0.0.5", 95, nil}, {"10.0.0.5", 90, old}, {"10.0.0.5", 49, nil},
		{"10.0.0.6", 70, old}, {"10.0.0.6", 85, nil}, {"10.0.0.6", 120, a}, {"10.0.0.6", 121, nil},
		{"127.0.0.1", 0, nil}, {"::1", 0, nil}, {"fe80::1", 0, nil}, {"10.0.0.3", 0, nil},
	} {
		if got := table.Lookup(netip.MustParseAddr(x.addr).As16(), x.at); got != x.want {
			t.Errorf("%s at %d: got %v, want %v", x.addr, x.at, got, x.want)
		}
	}
	if got := table.Len(); got != 6 {
		t.Errorf("len: got %d, want 6", got)
	}
	key := netip.MustParseAddr("10.0.0.5").As16()
	if n := testing.AllocsPerRun(100, func() { table.Lookup(key, 100) }); n != 0 {
		t.Errorf("Lookup allocates %v times", n)
	}
	var none *Table
	if none.Lookup(key, 0) != nil || none.Len() != 0 || none.Left() != 0 {
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
