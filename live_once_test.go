package weir_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// once is what the tests of running daemons make once and share: it takes seconds.
var once struct {
	dir   string // removed when all tests are over
	build sync.Once
	mu    sync.Mutex // guards the compiled rules in dir/state
}

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	var err error
	if once.dir, err = os.MkdirTemp("", "weir-test-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(once.dir)
	return m.Run()
}

// buildWeir builds the binary, once for all tests.
func buildWeir(t testing.TB) string {
	bin := filepath.Join(once.dir, "weir")
	once.build.Do(func() { command(t, "go", "build", "-o", bin, "./cmd/weir") })
	if _, err := os.Stat(bin); err != nil {
		t.Fatal(err)
	}
	return bin
}

// fetchRules gives a daemon's state the rules that were compiled before, and the key that says they are its own.
func fetchRules(t testing.TB, state string) {
	t.Helper()
	once.mu.Lock()
	defer once.mu.Unlock()
	copyState(t, filepath.Join(once.dir, "state"), state)
}

// keepRules keeps what a daemon has compiled.
func keepRules(t testing.TB, state string) {
	t.Helper()
	once.mu.Lock()
	defer once.mu.Unlock()
	copyState(t, state, filepath.Join(once.dir, "state"))
}

func copyState(t testing.TB, from, to string) {
	t.Helper()
	for _, dir := range []string{"state", "cache"} {
		if _, err := os.Stat(filepath.Join(from, dir)); os.IsNotExist(err) {
			continue
		}
		err := os.MkdirAll(to, 0o700)
		if err == nil {
			err = exec.Command("cp", "--archive", "--no-clobber", filepath.Join(from, dir), to).Run()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
