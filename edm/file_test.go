package edm

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestNothingIsInTheFile looks for values, and for what anybody could make of them, in a set.
func TestNothingIsInTheFile(t *testing.T) {
	path := build(t, people, "name", "email", "phone", "iban")
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if fi, _ := os.Stat(path); fi.Mode().Perm() != 0o600 {
		t.Errorf("mode %o", fi.Mode().Perm())
	}
	rows, _ := csv.NewReader(strings.NewReader(people)).ReadAll()
	for _, row := range rows[1:] {
		for i, v := range row[1:] {
			form, _ := normal(nil, []byte(v), new([]byte))
			for _, text := range []string{v, string(form), rows[0][i+1] + string(form)} {
				if len(text) < 4 || v == "" {
					continue
				}
				b := []byte(text)
				h256, h1, h5 := sha256.Sum256(b), sha1.Sum(b), md5.Sum(b)
				crc := le.AppendUint32(nil, crc32.ChecksumIEEE(b))
				for what, bare := range map[string][]byte{"value": b, "SHA-256": h256[:8], "SHA-1": h1[:8], "MD5": h5[:8],
					"hex": []byte(hex.EncodeToString(h256[:8])), "base64": []byte(base64.StdEncoding.EncodeToString(b)), "CRC": crc} {
					if bytes.Contains(bytes.ToLower(file), bytes.ToLower(bare)) && what != "CRC" || bytes.Contains(file, bare) {
						t.Errorf("the file holds a %s", what)
					}
				}
				// Entries are not aligned to bytes: the bits themselves.
				s := openSet(t, path)
				for i := range uint32(s.cells) {
					rest, _ := s.entry(i)
					if bare := be64(h256[:]) & (1<<(tokenBits-s.bucketBits) - 1); rest == bare {
						t.Errorf("entry %d is a bare SHA-256", i)
					}
				}
			}
		}
	}
	left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".*"))
	if len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func be64(b []byte) (v uint64) {
	for _, c := range b[:8] {
		v = v<<8 | uint64(c)
	}
	return v
}

// TestSalt: the same table and key give another file each time, and the same answers.
func TestSalt(t *testing.T) {
	a, _ := os.ReadFile(build(t, people, "name"))
	b, _ := os.ReadFile(build(t, people, "name"))
	if len(a) != len(b) || bytes.Equal(a[headerSize:], b[headerSize:]) {
		t.Error("two builds of one table should differ in all their tokens")
	}
}

func TestWrongKey(t *testing.T) {
	path := build(t, people, "name", "email")
	other := Key(strings.Repeat("a key for tests.", 2))
	if _, err := Open(path, other); !errors.Is(err, ErrKey) {
		t.Errorf("%v, want %v", err, ErrKey)
	}
	// Nor does a set match whose header is believed under another key.
	s := openSet(t, path)
	k, err := derive(other, s.salt[:])
	if err != nil {
		t.Fatal(err)
	}
	s.keys = k
	var f Finder
	if got := found(s, &f, people); got != nil {
		t.Errorf("found with another key: %d", len(got))
	}
}

// TestDamage changes and cuts a set everywhere.
func TestDamage(t *testing.T) {
	path := build(t, people, "name", "email")
	file, _ := os.ReadFile(path)
	try := func(b []byte) error {
		p := filepath.Join(t.TempDir(), "x.edm")
		if err := os.WriteFile(p, b, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(p, testKey)
		if s != nil {
			s.Close()
		}
		os.Remove(p)
		return err
	}
	if err := try(file); err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(file); i++ {
		if i > 400 && i < atSeal-8 {
			continue // nothing is there: the seal covers it all the same
		}
		b := bytes.Clone(file)
		b[i] ^= 1 << (i & 7)
		if err := try(b); !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrKey) && !errors.Is(err, ErrFormat) {
			t.Errorf("byte %d changed: %v", i, err)
		}
	}
	for _, n := range []int{0, 1, 7, 8, 100, headerSize - 1, headerSize, headerSize + 1, len(file) - 1} {
		if err := try(file[:n]); !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrFormat) {
			t.Errorf("cut to %d: %v", n, err)
		}
	}
	if err := try(append(bytes.Clone(file), 0)); !errors.Is(err, ErrCorrupt) {
		t.Errorf("longer: %v", err)
	}
}

// TestCutWhileMapped: who cuts the file under a reader gets an error, not the end of the program.
func TestCutWhileMapped(t *testing.T) {
	path := build(t, people, "name", "email")
	s := openSet(t, path)
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	var f Finder
	err := Guard(func() error {
		s.Find(&f, []byte(people), 0, 0, true)
		return nil
	})
	if !errors.Is(err, ErrCorrupt) {
		t.Errorf("%v, want %v", err, ErrCorrupt)
	}
}

// FuzzOpen: whatever a file holds, reading it gives an answer.
func FuzzOpen(f *testing.F) {
	file, _ := os.ReadFile(build(f, people, "name", "email"))
	f.Add(file)
	f.Add(file[:headerSize])
	f.Fuzz(func(t *testing.T, b []byte) {
		path := filepath.Join(t.TempDir(), "set.edm")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		try := func() {
			s, err := Open(path, testKey)
			if err != nil {
				return
			}
			defer s.Close()
			var find Finder
			s.Find(&find, []byte(people), 0, 0, true)
		}
		try()
		if len(b) < headerSize { // sealed anew, so that what comes behind the seal is reached
			return
		}
		var h header
		copy(h.salt[:], b[atSalt:])
		k, err := derive(testKey, h.salt[:])
		if err != nil {
			t.Fatal(err)
		}
		copy(b[atCheck:], k.check[:])
		copy(b[atSeal:], k.sealHeader(b[:atSeal]))
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		try()
	})
}
