package daemon

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

const (
	keySize = 32 // bytes
	keyFile = "fingerprint.key"
)

// fingerprintKey returns the key for fingerprints of what was found: HMACs, so that the same card in three places can
// be told without the card. It is kept in dir and made at first use. If it can be neither read nor made, and need not
// be kept, it is a new one: fingerprints then compare within the run only.
func fingerprintKey(dir string, keep bool) ([]byte, error) {
	path := filepath.Join(dir, keyFile)
	key, err := readKey(path)
	if err == nil {
		return key, nil
	}
	if errors.Is(err, errKeySize) {
		return nil, err
	}
	key = make([]byte, keySize)
	rand.Read(key)
	if errors.Is(err, fs.ErrNotExist) {
		if err = writeKey(path, key); errors.Is(err, fs.ErrExist) { // somebody else was faster
			key, err = readKey(path)
		}
	}
	if err != nil && keep {
		return nil, fmt.Errorf("fingerprint key: %w", err)
	}
	return key, nil
}

var errKeySize = errors.New("a key of another size")

// readKey reads the key at path. One that others may read is closed to them: who has it can try all card numbers.
func readKey(path string) ([]byte, error) {
	key, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if len(key) == 0 { // a crash came between making and writing it: nobody has used it
		return nil, errors.Join(fs.ErrNotExist, os.Remove(path))
	}
	if len(key) != keySize {
		return nil, fmt.Errorf("%s: %w: %d bytes, want %d (restore it, or remove it: fingerprints of old events then no longer compare)", path, errKeySize, len(key), keySize)
	}
	if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o077 != 0 {
		if err := os.Chmod(path, 0o600); err != nil {
			return nil, err
		}
	}
	return key, nil
}

// writeKey writes a key that is there whole or not at all, and is nobody's who was faster: then the error is fs.ErrExist.
func writeKey(path string, key []byte) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, keyFile+".*") // 0600
	if err != nil {
		return err
	}
	_, err = f.Write(key)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = renameNew(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
