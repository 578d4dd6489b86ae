package weir_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestFTPData plays a control connection of FTP and then one for data, as the client or the server opens it: what is transferred is known for that,
// whatever it looks like, unless it is TLS or another port's; a client that announces a port of its own and begins from there hides nothing.
func TestFTPData(t *testing.T) {
	rules := filepath.Join(t.TempDir(), "rules.toml")
	if err := os.WriteFile(rules, []byte(evasionRule), 0o600); err != nil {
		t.Fatal(err)
	}
	db := compileCase(t, &testCase{path: "ftp-data", rules: rules})
	defer db.Close()
	const control = "tcp 40000 2121\n< 220 FTP ready\\r\\n\n> USER a\\r\\n\n< 230 in\\r\\n\n"
	const passive = "> PASV\\r\\n\n< 227 Entering Passive Mode (10,0,0,1,195,80)\\r\\n\n> RETR x.txt\\r\\n\n< 150 Opening\\r\\n\n"
	const extended = "> EPSV\\r\\n\n< 229 Extended Passive Mode (|||50000|)\\r\\n\n> STOR x.txt\\r\\n\n< 150 Opening\\r\\n\n"
	const active = "> EPRT |1||40001|\\r\\n\n< 200 ok\\r\\n\n> RETR x.txt\\r\\n\n< 150 Opening\\r\\n\n"
	for name, x := range map[string]struct{ control, data, field, app string }{
		"passive":    {passive, "tcp 40001 50000\n< SSH-2.0-WEIRTOKEN-7f3a91\\r\\n\n", "ftp-data.body", "ftp-data"},
		"extended":   {extended, "tcp 40001 50000\n> a WEIRTOKEN-7f3a91\\r\\n\n", "ftp-data.body", "ftp-data"},
		"own port":   {active, "tcp 40001 80\n> POST / HTTP/1.1\\r\\nHost: a\\r\\nContent-Length: 16\\r\\n\\r\\nWEIRTOKEN-7f3a91\n", "http.request.body", "http"},
		"other port": {extended, "tcp 40001 50001\n> SSH-2.0-WEIRTOKEN-7f3a91\\r\\n\n", "ssh.client.banner", "ssh"},
	} {
		t.Run(name, func(t *testing.T) {
			var frames [][]byte
			for _, text := range []string{control + x.control, x.data} {
				d, err := parseDialogue(strings.TrimSpace(text))
				if err != nil {
					t.Fatal(err)
				}
				frames = slices.Concat(frames, play(t, d, ways[0], wrappings()[0]))
			}
			got := runFrames(t, db, nil, frames)
			if len(got) != 1 || got[0].Field != x.field || got[0].App != x.app {
				t.Errorf("got %s, want one in %s of %s", text(got), x.field, x.app)
			}
		})
	}
}
