package daemon

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
)

func testWorkloads() []InterfaceWorkload {
	addr := netip.MustParseAddr
	return []InterfaceWorkload{
		{Interface: "veth1", WorkloadStatus: WorkloadStatus{ID: testID, Name: "cart", Pod: "cart-0", Namespace: "shop", Image: "example.org/cart:1"},
			Labels: map[string]string{"app": "cart"}, Addresses: []netip.Addr{addr("10.0.0.2"), addr("fd00::2")},
			Attached: []string{"host", "loopback"}, NotSeen: []string{}, Groups: []string{"cart", "shop"}, Mode: "protect",
			Gate: &GateStatus{Since: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Failure: "open", Quarantine: true}},
		{Interface: "veth2", WorkloadStatus: WorkloadStatus{Name: "red\x1b[2J"}, Addresses: []netip.Addr{},
			Attached: []string{}, NotSeen: []string{"what it says to others: no room\x1b"}, Groups: []string{}, Mode: "protect", Gate: &GateStatus{Why: "no \x1bway"}},
		{Interface: "veth3", Addresses: []netip.Addr{addr("10.1.0.1"), addr("10.1.0.2"), addr("10.1.0.3"), addr("10.1.0.4"), addr("10.1.0.5"), addr("10.1.0.6")},
			Attached: []string{"netns"}, NotSeen: []string{}, Groups: []string{}},
	}
}

func TestWorkloads(t *testing.T) {
	_, path := serve(t, ControlHandlers{Workloads: testWorkloads})
	got, err := Dial(path).Workloads()
	if err != nil || !reflect.DeepEqual(got, testWorkloads()) {
		t.Fatalf("got %+v, %v", got, err)
	}
	var b strings.Builder
	if err := WriteWorkloads(&b, got); err != nil {
		t.Fatal(err)
	}
	want := strings.TrimPrefix(`
INTERFACE  NAME     POD     NAMESPACE  IMAGE               CONTAINER     ATTACHED       MODE       GROUPS     GATE                    ADDRESSES
veth1      cart     cart-0  shop       example.org/cart:1  0123456789ab  host+loopback  protect    cart,shop  fails open, quarantine  10.0.0.2 fd00::2
veth2      red?[2J  -       -          -                   -             -              protect    -          NOT PROTECTED           -
veth3      -        -       -          -                   -             netns          no policy  -          -                       10.1.0.1 10.1.0.2 10.1.0.3 10.1.0.4 and 2 more
veth2: not seen: what it says to others: no room?
veth2: not protected: no ?way
`, "\n")
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", &b, want)
	}
}
