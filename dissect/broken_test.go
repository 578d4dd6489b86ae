package dissect

import (
	"path/filepath"
	"testing"
)

// TestCasesBroken plays every case up to some byte, that one being another: whoever looks beyond the end of what there is, panics.
func TestCasesBroken(t *testing.T) {
	const most = 400 // places in a case that are tried
	for _, c := range loadCases(t) {
		t.Run(filepath.Base(c.path), func(t *testing.T) {
			size := 0
			for _, tn := range c.turns {
				size += len(tn.data)
			}
			for at := 0; at < size; at += 1 + size/most {
				piecemeal(t, c.protocol, newEnv(), broken(c.turns, at, "\x00?\xff"[at%3:at%3+1]), 0)
			}
		})
	}
}

// broken returns what is said up to a byte, and b in place of that.
func broken(turns []turn, at int, b string) (out []turn) {
	for _, tn := range turns {
		if at < len(tn.data) {
			tn.data = tn.data[:at] + b
			return append(out, tn)
		}
		out = append(out, tn)
		at -= len(tn.data)
	}
	return out
}
