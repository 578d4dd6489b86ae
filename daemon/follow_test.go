package daemon

import (
	"context"
	"strings"
	"sync"
	"testing"
)

// TestFollowersLeaveRoom has as many follow as may: one more is told so, and who only asks is answered.
func TestFollowersLeaveRoom(t *testing.T) {
	log := NewEventLog(1 << 20)
	_, path := serve(t, ControlHandlers{Status: testStatus, Events: log, Alerts: log})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	follow := func(ctx context.Context, there func()) error {
		return Dial(path).Events(ctx, Ask{Follow: true}, func(*Seen) error { there(); return nil }, func([]byte) error { return nil })
	}
	all := make(chan bool, controlFollow)
	for range controlFollow {
		wg.Go(func() { follow(ctx, func() { all <- true }) })
	}
	for range controlFollow {
		<-all
	}
	if err := follow(ctx, func() { t.Error("one more follows") }); err == nil || !strings.Contains(err.Error(), "48 follow already") {
		t.Errorf("got %v", err)
	}
	if _, err := Dial(path).Status(); err != nil {
		t.Error(err)
	}
	if err := Dial(path).Events(ctx, Ask{Last: 1}, func(*Seen) error { return nil }, func([]byte) error { return nil }); err != nil {
		t.Error(err)
	}
}
