package weir_test

import (
	"os"
	"testing"

	"weir/daemon"
	"weir/dlp"
)

// TestWindow: the third different value that one end sends within the window raises, in whichever flow it is; what the other end sends does not
// count with it, nor does a value that came before.
func TestWindow(t *testing.T) {
	file := t.TempDir() + "/rules.toml"
	rule := "[[rules]]\nid = 'customer'\nregex = '''\\bKD-\\d{8}\\b'''\nmin_distinct = 3\nwindow = '10m'\n"
	if err := os.WriteFile(file, []byte(rule), 0o600); err != nil {
		t.Fatal(err)
	}
	set, problems := daemon.LoadRules([]string{file}, false)
	if set == nil {
		t.Fatal(problems)
	}
	db, err := dlp.Compile(set, dlp.Options{FingerprintKey: make([]byte, 32)})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, c := range []struct {
		text string
		want int
	}{
		{"> GET /?KD-10000001 HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n\n> GET /?KD-10000002 HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n\n> GET /?KD-10000003 HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n\n", 1},
		{"> GET /?KD-10000001 HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n\n> GET /?KD-10000002 HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n\n> GET /?KD-10000001 HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n\n", 0},
		{"> GET /?KD-10000001 HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n\n< HTTP/1.1 200 OK\\r\\nContent-Length: 23\\r\\n\\r\\nKD-10000002 KD-10000003\n", 0},
		{"> GET /?KD-10000001,KD-10000002,KD-10000003,KD-10000004 HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n\n> GET /?KD-10000005 HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n\n", 1},
	} {
		d, err := parseDialogue(c.text)
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range ways {
			if got := runFrames(t, db, nil, play(t, d, w, wrappings()[0])); len(got) != c.want {
				t.Errorf("%s: %s: got %s, want %d alerts", c.text, w.name, text(got), c.want)
			}
		}
	}
}
