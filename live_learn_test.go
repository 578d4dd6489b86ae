package weir_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestLiveLearn lets real clients talk to real servers, learns, approves what is proposed and protects both: then the same is said once more, and
// nobody is stopped.
func TestLiveLearn(t *testing.T) {
	needs(t, append(liveNeeds, "nft", "nsenter")...)
	host, loads := bridged(t, 2)
	d := startDaemon(t, buildWeir(t), host, "")
	d.stop()
	folder := filepath.Join(d.dir, "policy.d")
	d.replace("[capture]", fmt.Sprintf("policy = %q\n[capture]", folder))
	d.launch(host)
	w := &town{t: t, host: host}
	talkToAll(t, "learn", loads)
	t.Cleanup(func() {
		if t.Failed() {
			out, _, _ := d.weir("policy", "learn")
			t.Logf("%s\n%s", out, d.lines())
		}
	})
	d.stop() // all conversations are over then; what was learned is kept
	d.launch(host)
	// Whether a server listens already is asked from its own host, as often as it takes: that is no matter of this test.
	own := fmt.Sprintf("[[groups]]\nname = \"own\"\nmatch = [\"name=%s\"]\n[[policy]]\nid = \"own\"\nfrom = [\"own\"]\nto = [\"own\"]\naction = \"allow\"\n", loads[1])
	if out, stderr, status := d.weir("policy", "approve", "--name", "20-learned.toml"); status != 0 {
		t.Fatalf("approve: %d, %q, %q", status, out, stderr)
	}
	if err := os.WriteFile(filepath.Join(folder, "10-own.toml"), []byte(own), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, stderr, status := d.weir("policy", "mode", "default", "protect"); status != 0 {
		t.Fatalf("mode: %d, %q, %q", status, out, stderr)
	}
	for _, name := range loads {
		w.eventually(name+" is protected", func() bool { return w.tables(name) > 0 })
	}
	talkToAll(t, "protect", loads)
	stopped := slices.DeleteFunc(strings.Split(string(d.stop()), "\n"), func(line string) bool { return !strings.Contains(line, `"engine":"policy"`) })
	for _, line := range stopped[:min(len(stopped), 10)] {
		t.Errorf("stopped: %s", line)
	}
	if t.Failed() {
		text, _ := os.ReadFile(filepath.Join(folder, "20-learned.toml"))
		t.Logf("%s", text)
	}
}
