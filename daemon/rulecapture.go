package daemon

import (
	"cmp"
	"io"
	"net/netip"
	"path/filepath"
	"slices"

	"weir/alert"
	"weir/dissect"
	"weir/dlp"
	"weir/engine"
	"weir/rules"
)

// Tried is what a rule made of something in a capture.
type Tried struct {
	Rule       string // id
	Src, Dst   netip.AddrPort
	App        string // protocol
	Frame      uint64 // number of the packet in the file
	Field      string
	Excerpt    string // masked
	Why        string // why it is no finding; "": it is one
	Confidence int
}

// TryCapture runs a capture through the pipeline and returns what the rules of a set find in it, and what they refuse, at most most of each.
func TryCapture(set *rules.Set, file string, most int) ([]Tried, error) {
	conf := DefaultConfig()
	div := conf.divide(0, 0, programMin, false)
	key, err := fingerprintKey(filepath.Join(userDir(), "state"), false)
	if err != nil {
		return nil, err
	}
	db, err := dlp.Compile(set, dlp.Options{CacheDir: filepath.Join(userDir(), "cache"), FingerprintKey: key, OpenBytes: div.inspect, Unsieved: true})
	if err != nil {
		return nil, err
	}
	defer db.Close()
	var out []Tried
	count := map[string]int{}
	add := func(t Tried) {
		kind := t.Rule + "\x00" + t.Why
		if count[kind]++; count[kind] <= most {
			out = append(out, t)
		}
	}
	e := engine.New(engine.Config{
		Flow: div.limits(conf), Dissect: dissect.DefaultLimits, Budgets: div.budgets(), Validation: conf.Protocols.validation(),
		Events: map[string]bool{"alert": true, "info": true},
		Emit: func(ev *alert.Event) {
			if ev.Alert == nil || ev.Weir.Rule == "" {
				return
			}
			t := triedOf(ev)
			t.Rule, t.Why = ev.Weir.Rule, ev.Weir.Why
			for _, m := range ev.Weir.Matches {
				t.Field, t.Excerpt, t.Confidence = m.Field, m.Excerpt, m.Confidence
			}
			add(t)
		},
	})
	e.SetRules(db)
	lane := e.NewLane()
	defer lane.Free()
	lane.OnRefused = func(ev *alert.Event, r *dlp.Refusal) {
		t := triedOf(ev)
		t.Rule, t.Field, t.Excerpt, t.Why = r.Rule.ID, r.Field, r.Masked, r.Why
		add(t)
	}
	run := replayRun{e: e, lane: lane, stderr: io.Discard}
	err = run.file(file)
	run.close()
	slices.SortStableFunc(out, func(a, b Tried) int { return cmp.Compare(a.Frame, b.Frame) })
	return out, err
}

func triedOf(ev *alert.Event) Tried {
	return Tried{Src: ev.Src, Dst: ev.Dst, App: ev.AppProto, Frame: ev.PcapCnt}
}
