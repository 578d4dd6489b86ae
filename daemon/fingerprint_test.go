package daemon

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

func TestFingerprintKey(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	path := filepath.Join(dir, "fingerprint.key")
	first, err := fingerprintKey(dir, true)
	if err != nil || len(first) != keySize {
		t.Fatalf("got %d bytes, %v", len(first), err)
	}
	if again, err := fingerprintKey(dir, true); err != nil || !bytes.Equal(again, first) {
		t.Errorf("it is another one at the next start (%v)", err)
	}
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v, want mode 0600", st.Mode(), err)
	}
	// A crash between making and writing it must not keep Weir from starting.
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	fresh, err := fingerprintKey(dir, true)
	if err != nil || bytes.Equal(fresh, first) {
		t.Errorf("a key that was never written: %v", err)
	}
	if again, err := fingerprintKey(dir, true); err != nil || !bytes.Equal(again, fresh) {
		t.Errorf("the new one is not kept (%v)", err)
	}
	// One that somebody has cut is not replaced silently.
	if err := os.Truncate(path, keySize/2); err != nil {
		t.Fatal(err)
	}
	if _, err := fingerprintKey(dir, false); err == nil {
		t.Error("half a key is taken")
	}
}
