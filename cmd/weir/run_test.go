package main

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// TestWrongConfigurationIsStatus2: what is wrong with configuration, rules or policy is told as such, by the daemon and by a replay.
func TestWrongConfigurationIsStatus2(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	paths := fmt.Sprintf("[paths]\nstate = %q\nlog = %q\nrun = %q\n", dir+"/state", dir+"/log", dir+"/run")
	file("cut/a.toml", "[[policy]]\nid = ")
	file("unknown/a.toml", "[[policy]]\nid = \"a\"\nfrom = [\"*\"]\nto = [\"*\"]\nprotocol = \"htp\"\naction = \"allow\"\n")
	file("rules/a.toml", "[[rules]]\nid = \"a\"\nregex = '''('''\n")
	for name, c := range map[string]struct {
		conf string
		root bool
	}{
		"policy that is no TOML":    {paths + fmt.Sprintf("policy = %q\n", dir+"/cut"), false},
		"policy of unknown words":   {paths + fmt.Sprintf("policy = %q\n", dir+"/unknown"), false},
		"rule that is no regex":     {paths + fmt.Sprintf("rules = [%q]\n", dir+"/rules"), false},
		"memory for nothing":        {paths + "[budget]\nmemory = \"128MiB\"\n[capture]\nring = \"32MiB\"\n[pcap]\npre = \"8MiB\"\n", true},
		"memory for less than that": {paths + "[budget]\nmemory = \"16MiB\"\n", false},
	} {
		conf := file("weir.toml", c.conf)
		if !c.root || os.Geteuid() == 0 {
			// A daemon that does come up is ended.
			end := time.AfterFunc(20*time.Second, func() { syscall.Kill(os.Getpid(), syscall.SIGTERM) })
			got := run([]string{"run", "--config", conf})
			end.Stop()
			if got != exitUsage {
				t.Errorf("%s: weir run ends with %d, want %d", name, got, exitUsage)
			}
		}
		if c.root { // a replay has no such budget
			continue
		}
		if got := run([]string{"replay", "--config", conf, "none.pcap"}); got != exitUsage {
			t.Errorf("%s: weir replay ends with %d, want %d", name, got, exitUsage)
		}
	}
}
