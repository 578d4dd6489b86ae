package weir_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"weir/alert"
)

var (
	base64Runs = regexp.MustCompile(`[A-Za-z0-9+/_-]{6,}`)
	hexRuns    = regexp.MustCompile(`(?:[0-9a-fA-F]{2}){4,}`)
	separators = strings.NewReplacer(" ", "", "-", "", ".", "", "/", "", "_", "")
)

// written returns all that somebody could read out of an output: it in lower case, percent-decoded, and what its base64 and hexadecimal digits
// stand for.
func written(output string) string {
	var b strings.Builder
	add := func(s string) { b.WriteString(strings.ToLower(s) + "\n") }
	add(output)
	text := output
	for range 2 {
		if s, err := url.QueryUnescape(percents.ReplaceAllString(text, "%25$1")); err == nil && s != text {
			add(s)
			text = s
		}
	}
	for _, run := range base64Runs.FindAllString(text, -1) {
		run = strings.NewReplacer("-", "+", "_", "/").Replace(run)
		for shift := range 4 {
			if s := run[min(shift, len(run)):]; len(s) >= 6 {
				if len(s)%4 == 1 {
					s = s[:len(s)-1]
				}
				raw, _ := base64.RawStdEncoding.DecodeString(s)
				add(string(raw))
				add(strings.ReplaceAll(string(raw), "\x00", "")) // UTF-16, and so UTF-7
			}
		}
	}
	for _, run := range hexRuns.FindAllString(text, -1) {
		raw, _ := hex.DecodeString(run)
		add(string(raw))
	}
	return b.String()
}

var percents = regexp.MustCompile(`%([^0-9a-fA-F]|.[^0-9a-fA-F]|.?$)`)

// outputs returns all that Weir tells of a run: EVE JSON, the tables of `weir alerts` and `weir observe`, and what its slices say beside packets.
func outputs(t *testing.T, eve []byte, slices string) map[string]string {
	t.Helper()
	out := map[string]string{"eve.json": string(eve)}
	var table, compact bytes.Buffer
	for line := range bytes.Lines(eve) {
		ev, err := alert.ParseEVE(line)
		if err != nil {
			continue // what is no event
		}
		for _, s := range []alert.Sink{alert.NewTable(&table, false), alert.NewCompact(&compact, true)} {
			if err := s.Write(ev); err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	out["alerts"], out["observe"] = table.String(), compact.String()
	if slices == "" {
		return out
	}
	err := filepath.WalkDir(slices, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if strings.HasSuffix(path, ".pcapng") {
			b = withoutPackets(b)
		}
		out["slices"] += path + "\n" + string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// withoutPackets returns all of a pcapng file but the bytes of its packets.
func withoutPackets(b []byte) (out []byte) {
	for len(b) >= 12 {
		n := int(binary.LittleEndian.Uint32(b[4:]))
		if n < 12 || n > len(b) {
			break
		}
		block := b[:n]
		if binary.LittleEndian.Uint32(block) == 6 && n >= 32 { // an enhanced packet
			kept := int(binary.LittleEndian.Uint32(block[20:]))
			block = append(bytes.Clone(block[:28]), block[min(n, 28+(kept+3)&^3):]...)
		}
		out = append(out, block...)
		b = b[n:]
	}
	return append(out, b...)
}
