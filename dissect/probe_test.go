package dissect

import (
	"bytes"
	"testing"

	"weir/wire"
)

// TestProbesOfOneByte asks every probe about every beginning that is one byte over and over: words without an end, of all lengths.
func TestProbesOfOneByte(t *testing.T) {
	for _, p := range Protocols {
		t.Run(p.Name, func(t *testing.T) {
			c, n := 0, 0
			defer func() {
				if e := recover(); e != nil {
					t.Errorf("%s: %d times %#02x: %v", p.Name, n, c, e)
				}
			}()
			for c = range 256 {
				head := bytes.Repeat([]byte{byte(c)}, MaxProbe)
				for n = 1; n <= len(head); n += 1 + n/128*16 {
					for dir := range wire.Dir(2) {
						p.Probe(dir, head[:n:n])
					}
				}
			}
		})
	}
}
