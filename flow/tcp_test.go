package flow

import (
	"strings"
	"testing"
)

const shake = `
> S 0 0
< SA 0 1
> A 1 1
`

const shakeTS = `
> S 0 0 - ts=100
< SA 0 1 - ts=900
> A 1 1 - ts=101
`

func TestTCP(t *testing.T) {
	playAll(t, DefaultLimits, Linux, []scriptCase{
		{"in order", shake + "> A 1 1 GET\n< A 1 4 200\n> FA 4 4\n< FA 4 5\n> A 5 5", ">GET <200 >. <. end:drained |", ""},
		{"fin with data", shake + "> FA 1 1 GET\n< FA 1 5 200\n> A 5 5\ntick 30s", ">GET. <200. end |", ""},
		{"reordered", shake + "> A 4 1 def\n> A 1 1 abc", ">abc >def >. <. end:drained |", "[ ]"},
		{"held", shake + "> A 4 1 def\n> A 10 1 jk", ">(3)def >(3)jk. <. end:drained |", "[ (3) 3 (3) 2 ]"},
		{"retransmitted", shake + "> A 1 1 abc\n> A 1 1 abc\n> A 2 1 bcd\n> A 3 1 x", ">abc >d >. <. end:drained |", ""},
		{"keep-alive", shake + "> A 1 1 abc\n> A 3 1 -\n> A 3 1 x\n> A 4 1 d", ">abc >d >. <. end:drained |", ""},
		{"fin out of order", shake + "> FA 4 1\n> A 1 1 abc\n> A 5 1", ">abc. <. end:drained |", ""},
		{"fin out of order with data", shake + "> FA 4 1 def\n> A 1 1 abc", ">abc >def. <. end:drained |", ""},
		{"fin again", shake + "> FA 1 1 a\n> FA 1 1 a\n> FA 2 1", ">a. <. end:drained |", ""},
		{"fast open", "> S 0 0 GET\n< SA 0 4\n> A 4 1 /", ">GET >/ >. <. end:drained | SYNData", ""},
		{"fast open refused", "> S 0 0 GET\n< SA 0 1\n> A 1 1 GET", ">GET >. <. end:drained | SYNData", ""},
		{"fast open, server first", "> S 0 0 GET\n< SA 0 4\n< A 1 4 200\n> A 4 1", ">GET <200 >. <. end:drained | SYNData", ""},
		{"fast open one-sided", "> S 0 0 GET\n> A 4 1 /", ">GET >/ >. end:drained | SYNData", ""},
		{"fast open unanswered", "> S 0 0 GET\ntick 2m", ">GET. end:idle |", ""},
		{"simultaneous open", "> S 0 0\n< S 0 0\n> SA 0 1\n< SA 0 1\n> A 1 1 a\n< A 1 2 b", ">a <b >. <. end:drained |", ""},
		{"data with the handshake's end", "> S 0 0\n< SA 0 1\n> A 1 1 GET", ">GET >. <. end:drained |", ""},
		{"mid-stream", "> A 50 70 abc\n< A 70 53 xyz\n> A 53 73 d", ">abc <xyz >d >. <. end:drained | Midstream", ""},
		{"mid-stream, server first", "< A 70 53 xyz\n> A 53 73 d", "<xyz >d >. <. end:drained | Midstream", ""},
		{"mid-stream, first lost", "> A 50 70\n< A 80 50 xyz\n> A 50 83\n> A 50 83 - 60ms", "<(10)xyz >. <. end:drained | Midstream GapTold", ""},
		{"one-sided to server", "> S 0 0\n> A 1 1 abc\n> A 4 500 def\n> FA 7 600", ">abc >def >. end:drained |", ""},
		{"one-sided to client", "< SA 0 1\n< A 1 900 abc\n< A 4 90000 def", "<abc <def <. end:drained |", ""},
		{"one-sided hole", "> S 0 0\n> A 1 1 abc\n> A 6 500 def\n> A 9 500 g 3s", ">abc >(2)def >g >. end:drained | GapTold", ""},
		{"syn and ack lost", "> S 0 0\n> A 1 1 abc\n< A 1 4 xyz\n> A 4 4 d", ">abc <xyz >d >. <. end:drained |", ""},
		{"no ACK", shake + "> P 1 1 bad\n> 0 1 1 bad\n> A 1 1 abc", "~>bad ~>bad >abc >. <. end:drained | BadFlags", ""},
		{"syn and fin", shake + "> SF 5 1\n> A 1 1 abc", ">abc >. <. end:drained | BadFlags", ""},
		{"urgent", shake + "> UA 1 1 abc", ">abc >. <. end:drained | UrgentData", ""},
		{"refused", "> S 0 0\n< RA 0 1\ntick 11s", ">. <. end |", ""},
		{"refused, again", "> S 0 0\n< RA 0 1\n> S 900 0\n< RA 0 901", ">. <. end >. <. end:drained |", ""},
		{"port used again", shake + "> FA 1 1 a\n< FA 1 3 b\n> A 3 3\n> S 700 0 - 1s\n< SA 800 701\n> A 701 801 c\n< A 801 702 d",
			">a. <b. end >c <d >. <. end:drained |", ""},
		{"port used again unclosed", shake + "> A 1 1 a\n> S 700 0 - 1s\n< SA 800 701\n> A 701 801 c\n< A 801 702 d",
			">a >. <. end >c <d >. <. end:drained |", ""},
		{"idle", shake + "> A 1 1 a\ntick 29m\ntick 5m", ">a >. <. end:idle |", ""},
		{"idle without tick", shake + "> A 1 1 a\n> A 2 1 b 31m", ">a >. <. end:idle >b >. end:drained | Midstream", ""},
		{"window scale", "> S 0 0 - ws=4\n< SA 0 1 - ws=4 w=100\n> A 1 1 - w=100\n< A 1 1 - w=10\n> A 1 1 a x=160\n> A 161 1 bb\n< A 1 161 - w=10\n> A 161 1 c",
			">" + as(160) + " ~>bb >c >. <. end:drained | OverlapDiffers OutOfWindow", ""},
		{"zero window probe", "> S 0 0\n< SA 0 1 - w=3\n> A 1 1 abc\n> A 4 1 d\n< A 1 4 - w=0\n> A 4 1 d\n< A 1 4 - w=100\n> A 4 1 def", ">abc >def >. <. end:drained |", ""},
	})
}

func as(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = 'a'
	}
	return string(b)
}

func TestGaps(t *testing.T) {
	playAll(t, DefaultLimits, Linux, []scriptCase{
		{"one ACK is not enough", shake + "> A 1 1 abc\n> A 7 1 ghi\n< A 1 10", ">abc >(3)ghi. <. end:drained |", "[ (3) 3 ]"},
		{"two at once are not", shake + "> A 1 1 abc\n> A 7 1 ghi\n< A 1 10\n< A 1 10\n> A 4 1 def", ">abc >def >ghi >. <. end:drained |", "[ ]"},
		{"two with time between", shake + "> A 1 1 abc\n> A 7 1 ghi\n< A 1 10\n< A 1 10 - 60ms\n> A 4 1 def\n> A 10 1 j", ">abc >(3)ghi >j >. <. end:drained | GapTold", "[ ]"},
		{"an old hole", shake + "> A 1 1 abc\n> A 7 1 ghi\n> A 10 1 jkl 6s\n< A 1 13", ">abc >(3)ghi >jkl >. <. end:drained | GapTold", "[ ]"},
		{"the receiver waits", shake + "> A 1 1 abc\n> A 7 1 ghi\n< A 1 4 - 6s\n< A 1 4 - 6s\n> A 4 1 def", ">abc >def >ghi >. <. end:drained |", "[ ]"},
		{"two holes", shake + "> A 1 1 abc\n> A 7 1 ghi\n> A 12 1 lm\n< A 1 14\n< A 1 14 - 60ms", ">abc >(3)ghi >(2)lm >. <. end:drained | GapTold", "[ ]"},
		{"the tail", shake + "> A 1 1 abc\n< A 1 9\n< A 1 9 - 60ms\n> A 9 1 ijk\n< A 1 12\n< A 1 12 - 60ms", ">abc >(5)ijk >. <. end:drained | GapTold", "[ ]"},
		{"ACKs from before the hole", shake + "> A 1 1 abc\n< A 1 900\n< A 1 900 - 60ms\n> A 9 1 ijk\n< A 1 900 - 60ms\n> A 4 1 defgh", ">abc >defgh >ijk >. <. end:drained |", "[ ]"},
		{"the tail at the end", shake + "> A 1 1 abc\n< A 1 9\n< A 1 9 - 60ms", ">abc >(5). <. end:drained |", ""},
		{"lost with answers", shake + "> A 1 1 abc\n< A 1 9 xyz\n> A 9 4 ijk 1s\n< A 4 12 uvw\n< A 7 12 rst 60ms", ">abc <xyz <uvw >(5)ijk <rst >. <. end:drained | GapTold", "[ ]"},
		{"picked up at a keep-alive", "> A 49 70\n< A 70 50\n> A 50 70 abc", ">abc >. <. end:drained | Midstream", ""},
		{"lost answer", shake + "> A 1 1 abc\n> A 4 10 def\n< A 10 7 xyz\n> A 7 13 ghi 60ms\n> A 10 13 jkl 60ms\n< A 13 13 w", ">abc >def >ghi <(9)xyz >jkl <w >. <. end:drained | GapTold", "[ ]"},
	})
}

func TestAttacks(t *testing.T) {
	playAll(t, DefaultLimits, Linux, []scriptCase{
		{"RST out of window", shake + "> A 1 1 abc\n> R 90000 0\n> A 4 1 def", ">abc >def >. <. end:drained | ForgedRST", ""},
		{"RST in window", shake + "> A 1 1 abc\n> R 6 0\n< R 3 0\n> A 4 1 def", ">abc >def >. <. end:drained | ForgedRST", ""},
		{"RST unheeded", shake + "> A 1 1 abc\n> R 4 0\n> A 4 1 def\n< A 1 7\n> A 7 1 ghi\n< A 1 10", ">abc >def >ghi >. <. end:drained | DataAfterClose", ""},
		{"RST heeded", shake + "> A 1 1 abc\n< R 1 4\n> A 4 1 def\ntick 11s", ">abc >def. <. end |", ""},
		{"FIN out of window", shake + "> A 1 1 abc\n> FA 90000 1\n> A 4 1 def", ">abc >def >. <. end:drained |", ""},
		{"FIN ahead", shake + "> A 1 1 abc\n> FA 6 1\n> A 4 1 def\n> A 7 1 ghi", ">abc >def >ghi >. <. end:drained |", ""},
		{"FIN unheeded", shake + "> A 1 1 abc\n> FA 4 1\n> A 4 1 def\n< A 1 7\n> A 7 1 ghi", ">abc >. >def >ghi >. <. end:drained | DataAfterClose", ""},
		{"SYN inside", shake + "> A 1 1 abc\n> S 500 0\n> A 4 1 def\n< SA 0 1\n> A 7 1 ghi", ">abc >def >ghi >. <. end:drained | ForgedSYN", ""},
		{"SYN and its answer inside", shake + "> A 1 1 abc\n> S 500 0\n< SA 800 501\n> A 4 1 def\n< A 1 7 xyz", ">abc >def <xyz >. <. end:drained | ForgedSYN", ""},
		{"SYN before", "> S 500 0 FAKE\n> S 0 0\n< SA 0 1\n> A 1 1 abc\n< A 1 4 xyz", "~>FAKE >abc <xyz >. <. end:drained | ForgedSYN SYNData", ""},
		{"RST and FIN before the answer", "> S 0 0\n< RA 700 1\n< FA 700 1\n< SA 0 1\n> A 1 1 abc\n< A 1 4 xyz", "<. >abc <xyz >. <. end:drained | ForgedSYN", ""},
		{"data of a SYN that another took the place of", "> S 0 0 SYNDATA\n> A 0 0 OTHER", "~>SYNDATA >THER >. end:drained | OverlapDiffers SYNData", ""},
		{"SYN before, with data", "> S 500 0\n> S 0 0 GET\n< SA 0 4\n> A 4 1 abc", ">GET >abc >. <. end:drained | ForgedSYN SYNData", ""},
		{"SYN before, one-sided", "> S 500 0\n> S 0 0\n> A 1 1 abc", ">abc >. end:drained | ForgedSYN", ""},
		{"SYN after", "> S 0 0\n> S 500 0\n< SA 0 1\n> A 1 1 abc", ">abc >. <. end:drained | ForgedSYN", ""},
		{"SYN and ACK before", "> S 0 0\n< SA 800 1\n< SA 0 1\n> A 1 1 abc\n< A 1 4 xyz", ">abc <xyz >. <. end:drained | ForgedSYN", ""},
		{"SYN and ACK after", "> S 0 0\n< SA 0 1\n< SA 800 1\n> A 1 1 abc\n< A 1 4 xyz", ">abc <xyz >. <. end:drained | ForgedSYN", ""},
		{"SYN and ACK of nothing", "> S 0 0\n< SA 800 77\n< SA 0 1\n> A 1 1 abc\n< A 1 4 xyz", ">abc <xyz >. <. end:drained | ForgedSYN", ""},
		{"ACK of nothing", shake + "> A 1 1 abc\n< A 1 100\n> A 4 1 def\n< A 1 7", ">abc >def >. <. end:drained | ForgedACK", ""},
		{"data with an ACK of nothing", shake + "> A 1 9 BAD\n> A 1 1 abc\n< A 1 4", "~>BAD >abc >. <. end:drained | OverlapDiffers", ""},
		{"bad checksum", shake + "> A 1 1 BAD bad\n> A 1 1 abc", "~>BAD >abc >. <. end:drained | OverlapDiffers BadChecksum", "[ ]"},
		{"bad checksum, longer", shake + "> A 1 1 BADBAD bad\n> A 1 1 abc\n< A 1 4\n> A 4 1 def", "~>BADBAD >abc >def >. <. end:drained | OverlapDiffers BadChecksum", "[ ]"},
		{"bad checksum, no true one", shake + "> A 1 1 abc\n> A 4 1 BAD bad\n< A 1 4", ">abc ~>BAD >. <. end:drained | BadChecksum", "[ 3? ]"},
		{"bad checksum acknowledged", shake + "> A 1 1 abc bad\n< A 1 4\n> A 4 1 def", ">abc >def >. <. end:drained | BadChecksum", "[ ]"},
		{"bad checksum of RST, FIN, SYN", shake + "> A 1 1 abc\n> R 4 0 - bad\n> FA 4 1 - bad\n> S 400 0 - bad\n> A 4 1 def", ">abc >def >. <. end:drained | BadChecksum", "[ ]"},
		{"old duplicate", shake + "> A 1 1 abc\n> A 1 1 BAD\n> A 2 1 BAd", ">abc >d >. <. end:drained |", ""},
		{"PAWS", shakeTS + "> A 1 1 BAD ts=50\n> A 1 1 abc ts=102\n< A 1 4 - ts=901\n> A 4 1 def ts=103", "~>BAD >abc >def >. <. end:drained | OverlapDiffers OldTimestamp", ""},
		{"PAWS ahead", shakeTS + "> A 4 1 BAD ts=50\n> A 1 1 abc ts=102\n< A 1 4 - ts=901\n> A 4 1 def ts=103\n< A 1 7 - ts=902", ">abc ~>BAD >def >. <. end:drained | OverlapDiffers OldTimestamp", ""},
		{"PAWS never filled", shakeTS + "> A 1 1 BAD ts=50\n< A 1 1 - ts=901", "~>BAD >. <. end:drained | OldTimestamp", "[ 3? ]"},
		{"stamp driven forward", shakeTS + "> A 1 1 a ts=99999\n> A 2 1 b ts=103\n< A 1 3 - ts=901\n> A 3 1 c ts=104\n< A 1 4 - ts=901", ">a >b >c >. <. end:drained | OldTimestamp", ""},
		{"no timestamp", shakeTS + "> A 1 1 abc", ">abc >. <. end:drained |", ""},
		{"out of window", shake + "> A 20000 1 BAD\n> A 1 1 abc\n> A 9000000 1 BAD\n< A 1 4\n> A 4 1 def", ">abc ~>BAD >def ~>BAD >. <. end:drained | OutOfWindow", "[ (19993) 3? ]"},
		{"tiny overlaps", shake + "> A 5 1 X\n> A 3 1 cd\n> A 4 1 DEF\n> A 1 1 ab", "~>DEF ~>X >ab >cd >EF >. <. end:drained | OverlapDiffers", "[ ]"},
		{"ACK far in the past", shake + "< A 1 1 x\n> A 1 2 a\n> A 2 -900000 BAD\n> A 2 2 b", "<x >a ~>BAD >b >. <. end:drained | OverlapDiffers ForgedACK", ""},
	})
}

// TestRefused: bytes that no receiver takes are counted, but not those that are a repetition.
func TestRefused(t *testing.T) {
	for _, c := range []struct {
		name, script string
		want         uint32
	}{
		{"nothing", "> A 1 1 abc\n> A 1 1 abc\n< A 1 4", 0},
		{"without ACK", "> 0 1 1 abc\n> A 1 1 abc\n< A 1 4", 3},
		{"beyond the window", "> A 900000000 1 abc", 3},
		{"with RST", "> RA 77 1 abc", 3},
		{"never acknowledged", "> A 1 1 abc\n< A 1 4\n> A 4 99999 evil\n< A 1 4 xyz\n> A 4 4 d\n< A 4 5", 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPlayer(t, DefaultLimits, Linux, 0)
			for _, line := range strings.Split(shake+c.script, "\n") {
				p.line(line)
			}
			p.table.Close()
			if got := p.table.Counters().RefusedBytes; got != uint64(c.want) {
				t.Errorf("got %d refused, want %d", got, c.want)
			}
		})
	}
}
