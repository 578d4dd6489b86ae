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

// TestFingerprintKeyShared: of many that make it at the same time all have the same one, and who only asks has the daemon's.
func TestFingerprintKeyShared(t *testing.T) {
	conf := DefaultConfig()
	conf.Paths.State = t.TempDir()
	dir := conf.Paths.Fingerprints()
	keys := make(chan []byte, 8)
	for range cap(keys) {
		go func() {
			key, err := fingerprintKey(dir, true)
			if err != nil {
				t.Error(err)
			}
			keys <- key
		}()
	}
	first := <-keys
	for range cap(keys) - 1 {
		if key := <-keys; !bytes.Equal(key, first) {
			t.Error("two keys were made")
		}
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Errorf("left in the folder: %v, %v", left, err)
	}
	if err := os.Chmod(filepath.Join(dir, keyFile), 0o644); err != nil {
		t.Fatal(err)
	}
	if key, err := readKey(filepath.Join(dir, keyFile)); err != nil || !bytes.Equal(key, first) {
		t.Error(err)
	}
	if st, err := os.Stat(filepath.Join(dir, keyFile)); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("a key that others may read stays so: %v, %v", st.Mode(), err)
	}
}
