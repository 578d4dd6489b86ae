package dlp

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/flier/gohs/hyperscan"
)

// A compiled database is a program for Hyperscan's machines, and loading a forged one is running the forger's. So a
// cache file is read only if it and its folder are ours and nobody else may write them, and only if its MAC holds.

// ours
const (
	cacheMagic = "weir-hs1"

	cacheSuffix = ".hsdb"
	partPrefix  = ".new-"   // of a file that is being written
	maxCache    = 256 << 20 // bytes of a cache file
	maxCaches   = 64        // cache files; of more, those that were used longest ago go
	cacheWait   = 2 * time.Second
	partAge     = time.Hour // after which an unfinished file is a crash's
)

// hanging counts the changes of caches that nobody waits for any more.
var hanging atomic.Int32

// patiently changes a cache, and waits for that, but not for a disk that hangs: rules come into force without. While it hangs no more
// are begun.
func patiently(change func()) {
	if hanging.Load() > 0 {
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		change()
	}()
	select {
	case <-done:
	case <-time.After(cacheWait):
		hanging.Add(1)
		go func() {
			<-done
			hanging.Add(-1)
		}()
	}
}

func quote(s string) string { return regexp.QuoteMeta(s) }

// cacheName is a hash of all that a compiled database depends on.
func cacheName(pats []*hyperscan.Pattern, mode hyperscan.ModeFlag) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s %v\n", hyperscan.Version(), mode)
	if p, ok := hyperscan.PopulatePlatform().(interface {
		Tune() hyperscan.TuneFlag
		CpuFeatures() hyperscan.CpuFeature
	}); ok {
		fmt.Fprintf(h, "%d %d\n", p.Tune(), p.CpuFeatures())
	}
	for _, p := range pats {
		fmt.Fprintf(h, "%d %d %q\n", p.Id, p.Flags, p.Expression)
	}
	return hex.EncodeToString(h.Sum(nil)) + cacheSuffix
}

func ours(fi os.FileInfo) bool {
	st, ok := fi.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Geteuid() && fi.Mode().Perm()&0o022 == 0
}

func readCache(dir, name string, key []byte) ([]byte, bool) {
	if dir == "" {
		return nil, false
	}
	if fi, err := os.Lstat(dir); err != nil || !fi.IsDir() || !ours(fi) {
		return nil, false
	}
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return nil, false
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil || !fi.Mode().IsRegular() || !ours(fi) || fi.Size() > maxCache {
		return nil, false
	}
	b, err := io.ReadAll(io.LimitReader(f, maxCache))
	head := len(cacheMagic) + sha256.Size
	if err != nil || len(b) < head || string(b[:len(cacheMagic)]) != cacheMagic {
		return nil, false
	}
	if !hmac.Equal(b[len(cacheMagic):head], cacheMAC(key, name, b[head:])) {
		return nil, false
	}
	now, path := time.Now(), f.Name()
	patiently(func() { _ = os.Chtimes(path, now, now) }) // used: sweep goes by it
	return b[head:], true
}

func cacheMAC(key []byte, name string, b []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(name))
	h.Write(b)
	return h.Sum(nil)
}

// writeCache keeps b for the next start. It is a cache: what cannot be written is compiled again.
func writeCache(dir, name string, key, b []byte) {
	if dir == "" {
		return
	}
	patiently(func() { writeCacheFile(dir, name, key, b) })
}

func writeCacheFile(dir, name string, key, b []byte) {
	if os.MkdirAll(dir, 0o700) != nil {
		return
	}
	sweep(dir) // before, too: on a slow disk nobody may stay until this one is written
	f, err := os.CreateTemp(dir, partPrefix+"*")
	if err != nil {
		return
	}
	defer os.Remove(f.Name())
	_, e1 := f.WriteString(cacheMagic)
	_, e2 := f.Write(cacheMAC(key, name, b))
	_, e3 := f.Write(b)
	if e4 := f.Close(); e1 != nil || e2 != nil || e3 != nil || e4 != nil {
		return
	}
	if os.Rename(f.Name(), filepath.Join(dir, name)) == nil {
		sweep(dir)
	}
}

// sweep removes the cache files that are too many, and what crashes left.
func sweep(dir string) {
	list, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	var kept []fs.FileInfo
	for _, d := range list {
		fi, err := d.Info()
		switch {
		case err != nil || !fi.Mode().IsRegular():
		case strings.HasPrefix(d.Name(), partPrefix):
			if time.Since(fi.ModTime()) > partAge {
				_ = os.Remove(filepath.Join(dir, d.Name()))
			}
		case strings.HasSuffix(d.Name(), cacheSuffix):
			kept = append(kept, fi)
		}
	}
	slices.SortFunc(kept, func(a, b fs.FileInfo) int { return b.ModTime().Compare(a.ModTime()) })
	for _, fi := range kept[min(len(kept), maxCaches):] {
		_ = os.Remove(filepath.Join(dir, fi.Name()))
	}
}
