package dissect

import (
	"strings"
	"testing"
	"time"
)

// drip plays bytes one by one, as an engine would that holds what is left over. It returns how many bytes Feed was given in all, and the error
// that ended it.
func drip(p *Protocol, head, rest string) (looked int64, err error) {
	d := p.New(p, newEnv())
	var held []byte
	need := 0
	drop := func(*Message) {}
	for i := -1; i < len(rest) && err == nil; i++ {
		if i < 0 {
			held = []byte(head)
		} else {
			held = append(held, rest[i])
		}
		if len(held) >= need {
			var pr Progress
			pr, err = d.Feed(toS, held, drop)
			looked += int64(len(held))
			held = held[pr.Used:]
			need = len(held) + pr.Need
		}
	}
	d.Close(toS, drop)
	d.Close(toC, drop)
	return looked, err
}

// TestDripGivenUp plays what is never whole: a parser that can only begin anew each time gives up before that costs much.
func TestDripGivenUp(t *testing.T) {
	for _, c := range []struct {
		p          *Protocol
		head, rest string
		most       int64 // bytes
	}{
		{&Thrift, "\x80\x01\x00\x01\x00\x00\x00\x01a\x00\x00\x00\x01", strings.Repeat("\x02\x00\x01\x01", 60<<8), thriftMaxWalk + thriftMaxStruct},
	} {
		if looked, err := drip(c.p, c.head, c.rest); looked > c.most {
			t.Errorf("%s: looks at %d bytes, %d times what came (%v)", c.p.Name, looked, looked/int64(len(c.rest)), err)
		}
	}
}

// TestDripCost has each end of each case's conversation break off, and go on with what suits no parser, byte by byte: a byte costs about what the packet
// costs that brings it, not what came before it. The bound is a wide one, for busy machines.
func TestDripCost(t *testing.T) {
	const size, most = 12 << 10, 60 * time.Microsecond // bytes, of a byte
	for _, c := range loadCases(t) {
		if c.protocol.Carrier&Stream == 0 {
			continue
		}
		for _, tn := range c.turns[:min(2, len(c.turns))] {
			for _, s := range []string{"a", "a: b\r\n", "\x00", "{\"a\":"} {
				rest := strings.Repeat(s, size/len(s))
				d := c.protocol.New(c.protocol, newEnv())
				held := []byte(tn.data[:max(1, len(tn.data)-1)])
				need, began := 0, time.Now()
				var err error
				for i := 0; i < len(rest) && err == nil; i++ {
					if held = append(held, rest[i]); len(held) < need {
						continue
					}
					var pr Progress
					pr, err = d.Feed(tn.dir, held, func(*Message) {})
					held = held[pr.Used:]
					need = len(held) + pr.Need
				}
				if took := time.Since(began); took > size*most {
					t.Errorf("%s: %q behind its beginning costs %v a byte", c.path, s, took/size)
				}
				close2(d, newHeard())
			}
		}
	}
}

// TestDripResumed plays what is whole at last: what was looked at is not looked at again, and what is told is as if it had come at once.
func TestDripResumed(t *testing.T) {
	for _, c := range []struct {
		p    *Protocol
		text string
		want string
	}{
		{&STOMP, "SEND\n" + strings.Repeat("a:b\r\n", 4000) + "destination:/q\n\nbody\x00SEND\ndestination:/r\n\nWEIRTOKEN\x00", "WEIRTOKEN"},
		{&XMPP, "<stream:stream to='x'> <message to='a>b'><x y=\"" + strings.Repeat("'>'", 5000) + "\"/><body>" + strings.Repeat("<i/>", 3000) +
			"</body></message> <message><body>WEIRTOKEN</body></message>", "WEIRTOKEN"},
	} {
		turns := []turn{{toS, c.text}}
		whole, err := piecemeal(t, c.p, newEnv(), turns, 0)
		if err != nil || !strings.Contains(strings.Join(whole.lines(), "\n"), c.want) {
			t.Fatalf("%s: %v", c.p.Name, err)
		}
		for _, size := range []int{1, 5, 1000} {
			cut, err := piecemeal(t, c.p, newEnv(), turns, size)
			if err == nil {
				err = same(whole, cut)
			}
			if err != nil {
				t.Errorf("%s in pieces of %d: %v", c.p.Name, size, err)
			}
		}
	}
}

// BenchmarkDrip plays heads that come in single bytes.
func BenchmarkDrip(b *testing.B) {
	for _, c := range []struct {
		name       string
		p          *Protocol
		head, rest string
	}{
		{"stomp", &STOMP, "SEND\n", strings.Repeat("a:b\r\n", 8000)},
		{"xmpp", &XMPP, "<stream:stream to='x'><message a=\"", strings.Repeat(">", 40000)},
		{"thrift", &Thrift, "\x80\x01\x00\x01\x00\x00\x00\x01a\x00\x00\x00\x01", strings.Repeat("\x02\x00\x01\x01", 10000)},
	} {
		b.Run(c.name, func(b *testing.B) {
			for range b.N {
				drip(c.p, c.head, c.rest)
			}
		})
	}
}
