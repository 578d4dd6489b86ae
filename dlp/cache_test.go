package dlp

import (
	"testing"
	"testing/synctest"
)

// TestCacheOnADiskThatHangs: who changes a cache is kept for a while only, and those who come later not at all.
func TestCacheOnADiskThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang, begun := make(chan struct{}), 0
		for range 3 {
			patiently(func() {
				begun++
				<-hang
			})
		}
		if begun != 1 {
			t.Errorf("%d changes were begun on a disk that hangs, want 1", begun)
		}
		close(hang)
		synctest.Wait()
		done := false
		if patiently(func() { done = true }); !done {
			t.Error("on a disk that works again nothing is changed")
		}
	})
}
