package daemon

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

const keySize = 32 // bytes

// fingerprintKey returns the key for fingerprints of what was found: HMACs, so that the same card in three places can
// be told without the card. It is kept in dir and made at first use. If it can be neither read nor made, and need not
// be kept, it is a new one: fingerprints then compare within the run only.
func fingerprintKey(dir string, keep bool) ([]byte, error) {
	path := filepath.Join(dir, "fingerprint.key")
	key, err := os.ReadFile(path)
	switch {
	case err == nil && len(key) == keySize:
		return key, nil
	case err == nil && len(key) == 0: // a crash came between making and writing it: nobody has used it
		err = os.Remove(path)
		if err == nil {
			err = fs.ErrNotExist
		}
	case err == nil:
		return nil, fmt.Errorf("%s: %d bytes, want %d (restore it, or remove it: fingerprints of old events then no longer compare)", path, len(key), keySize)
	}
	key = make([]byte, keySize)
	rand.Read(key)
	if errors.Is(err, fs.ErrNotExist) {
		err = writeKey(path, key)
	}
	if err != nil && keep {
		return nil, fmt.Errorf("fingerprint key: %w", err)
	}
	return key, nil
}

func writeKey(path string, key []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(key)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}
