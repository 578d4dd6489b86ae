package weir_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"weir/content"
	"weir/daemon"
	"weir/dissect"
	"weir/flow"
)

// tokenRule finds the cases' tokens in whatever field they stand.
const tokenRule = `
[[rules]]
id = "test.token"
description = "A token that stands for whatever must be found"
regex = '''(?i)WEIRTOKEN-[0-9a-f]{6}'''
severity = "high"
`

// opened returns what is encoded in what Weir writes.
func opened(text []byte) (out [][]byte) {
	wants := make(dissect.Wants, len(dissect.FieldNames))
	wants[dissect.RawBytes] = true
	m := dissect.Message{Protocol: &dissect.Raw, Parts: []dissect.Part{{Field: dissect.RawBytes, Bytes: text}}, End: true}
	var st content.State
	content.New(dissect.DefaultLimits).Open(&st, &m, wants, func(m *dissect.Message) { out = append(out, bytes.Clone(m.Parts[0].Bytes)) })
	return out
}

// TestNoLeakCases plays every case with events of all types: none shows a token, in whatever field of whatever protocol it stood, nor
// what it was encoded as.
func TestNoLeakCases(t *testing.T) {
	dir := t.TempDir()
	own := filepath.Join(dir, "token.toml")
	if err := os.WriteFile(own, []byte(tokenRule), 0o600); err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	r := daemon.Replay{Rules: []string{own}, Checksum: flow.ChecksumAuto, Output: "json", Stdout: &text, Stderr: &text, Slices: filepath.Join(dir, "slices")}
	set, problems := r.LoadRules()
	if problems.Failed() {
		t.Fatal(problems.Err())
	}
	token := regexp.MustCompile(`(?i)WEIRTOKEN-[0-9a-f]{6}`)
	path := filepath.Join(dir, "case.pcap")
	for _, c := range loadCases(t) {
		for _, w := range ways[:3] {
			if c.dialogue.udp && w.name != "whole" || c.dialogue.not == w.name {
				continue
			}
			writePcap(t, path, play(t, c.dialogue, w, wrappings()[0]))
			text.Reset()
			if _, err := r.Run(set, []string{path}); err != nil {
				t.Fatal(err)
			}
			for what, output := range outputs(t, text.Bytes(), r.Slices) {
				output = written(output)
				if at := token.FindStringIndex(output); at != nil {
					t.Errorf("%s, %s, %s: shown: %q", c.name, w.name, what, output[max(0, at[0]-200):min(len(output), at[1]+60)])
				}
			}
			if err := os.RemoveAll(r.Slices); err != nil {
				t.Fatal(err)
			}
			for _, inside := range opened(text.Bytes()) {
				if token.Match(inside) {
					t.Errorf("%s, %s: shown, encoded: %s", c.name, w.name, text.Bytes())
				}
			}
		}
	}
}
